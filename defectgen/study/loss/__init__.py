"""Question: what does the choice of the loss do to the errors of a defect, on the same labels?"""

from collections.abc import Iterable, Iterator
from typing import Any

from ...campaign import Given, Step
from ...fit import Loss, Weighting
from ..fitting import Fits
from ..interface import Study, Tables
from ..page import Page, Part, Section
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from .losses import called, check, designs, listed
from .settings import LossStudy
from .steps import LossTrial, Sensitivities
from .tables import SENSITIVITY, tables
from .words import loss_findings, loss_tables

LEAD = (
    "Labels are computed once; every loss (observations, weights, powers of the distance, strains, priors, robustness, rows held "
    "exactly) is then a small solve, and its model is relaxed like the reference."
)
ABOUT = (
    "The default, the losses that none beats in both errors of the defect (numbered as in the figure), and the best by "
    "geometry. Every loss with every setting and error is in losses.csv (pareto: beaten by none in geometry, energy and "
    "force error), every slope in loss_sensitivity.csv."
)


class Losses(Study[LossStudy]):
    """One trial per case and loss, and the response of the designs to every weight."""

    name = "loss"
    settings = LossStudy
    fits = True

    def check(self, spec: RunSpec, asked: LossStudy) -> None:
        """Raises InputError for weights and strains without rows to act on."""
        for case in spec.cases:
            if case.basis is not None:
                check(spec, case)

    def sizes(self, asked: LossStudy) -> Iterable[int]:
        """The one training size."""
        return (asked.size,)

    def plan(self, spec: RunSpec, asked: LossStudy) -> list[Step[Any]]:
        """Trials and sensitivities of every case."""
        return [*_trials(spec, asked), *_sensitivities(spec, asked)]

    def tables(self, spec: RunSpec, asked: LossStudy, given: Given) -> Tables:
        """Lines of results.csv, losses.csv and loss_sensitivity.csv."""
        return tables(spec, _trials(spec, asked), _sensitivities(spec, asked), given)

    def page(self, run: Run) -> Page:
        """The front of losses, the response of the designs, the table of the best."""
        losses, slopes = run.others.get("losses"), run.others.get(SENSITIVITY)
        if losses is None or losses.empty:
            return Page()
        from .figures import loss_pictures

        parts = tuple(Part(case, tables=(table,)) for case, table in loss_tables(losses))
        section = Section("losses", "Losses", (Part(about=ABOUT), *parts))
        return Page((LEAD,), tuple(loss_findings(losses, slopes)), tuple(loss_pictures(losses, slopes)), (section,))


def _trials(spec: RunSpec, asked: LossStudy) -> Iterator[LossTrial]:
    for case in spec.cases:
        if case.basis is not None:
            yield from (_trial(spec, asked, case, loss) for loss in listed(spec))


def _sensitivities(spec: RunSpec, asked: LossStudy) -> Iterator[Sensitivities]:
    for case in spec.cases:
        if case.basis is not None and asked.sensitivity:
            yield from (Sensitivities(trial=_trial(spec, asked, case, design)) for design in designs(spec))


def _trial(spec: RunSpec, asked: LossStudy, case: Case, loss: Loss) -> LossTrial:
    assert case.basis is not None  # the specification refuses a case without one
    fits = Fits(spec)
    like = fits.trial(case, asked.size, case.basis.degree, loss.observations)
    return LossTrial(
        crystal=like.crystal,
        exact=like.exact,
        rows=fits.rows(case, asked.size, subdivide=True if asked.subdivide == "parts" else asked.subdivide),
        basis=like.basis,
        observations=loss.observations,
        fit=like.fit,
        loss={key: _plain(value) for key, value in loss.settings.items()} | ({"name": loss.name} if loss.name else {}),
        name=called(spec, loss),
    )


def _plain(value: Any) -> Any:
    """Settings as a file holds them."""
    if isinstance(value, Weighting):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else dict(value) if isinstance(value, dict) else value


STUDIES = (Losses,)
