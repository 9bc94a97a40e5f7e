"""Question: how accurate is a fit to one defect for another defect of the same crystal?"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..._input import InputError
from ...campaign import Given, Step
from ..fitting import Fits
from ..interface import Study, Tables
from ..page import Page
from ..run import Run
from ..spec import RunSpec
from ..tasks import FitTrial
from .settings import Transfer
from .steps import NAME, FitElasticity
from .tables import ELASTICITY, PLAIN, tables

LEAD = (
    "A potential is fitted to training cells of one defect and tested on every defect of the same crystal. Each defect is "
    "relaxed with the reference, and from this equilibrium with the fit."
)


class TransferStudy(Study[Transfer]):
    """One trial per way to train, training defect, test defect and observation set."""

    name = NAME
    settings = Transfer
    fits = True

    def check(self, spec: RunSpec, asked: Transfer) -> None:
        """Raises InputError for a crystal with one defect, and for bases of one crystal that differ."""
        for case in spec.cases:
            others = [other for other in spec.cases if other.material.name == case.material.name]
            if len(others) < 2:
                raise InputError(
                    f"transfer is from one defect to another, and {case.material.name} has one case, {case.defect}; give at "
                    "least two [[cases]] of each material"
                )
            if any(other.basis != case.basis for other in others):
                raise InputError(
                    f"the cases of {case.material.name} have different bases; give them one, so that only the training differs"
                )

    def sizes(self, asked: Transfer) -> Iterable[int]:
        """The one training size."""
        return (asked.size,)

    def trials(self, spec: RunSpec, asked: Transfer) -> list[tuple[str, FitTrial]]:
        """Every trial, with its variant."""
        return list(_trials(spec, asked))

    def plan(self, spec: RunSpec, asked: Transfer) -> list[Step[Any]]:
        """Trials, and the elastic constants of every fit."""
        trials = self.trials(spec, asked)
        return [*(step for _, step in trials), *(step for _, step in _elasticities(trials))]

    def tables(self, spec: RunSpec, asked: Transfer, given: Given) -> Tables:
        """Lines of results.csv, transfer.csv and transfer_elasticity.csv."""
        trials = self.trials(spec, asked)
        return tables(trials, _elasticities(trials), given)

    def page(self, run: Run) -> Page:
        """The matrices, and the findings in sentences."""
        if NAME not in run.others:
            return Page()
        from .figures import transfer_pictures
        from .words import transfer_findings

        table, constants = run.others[NAME], run.others.get(ELASTICITY)
        return Page((LEAD,), tuple(transfer_findings(table, constants)), tuple(transfer_pictures(table)))


def _trials(spec: RunSpec, asked: Transfer) -> Iterator[tuple[str, FitTrial]]:
    designs = {name: spec.varied(v.training, v.fit, v.basis, f"transfer.variants.{name}") for name, v in asked.variants.items()}
    for name, varied in (designs or {PLAIN: spec}).items():
        fits = Fits(varied, "" if name == PLAIN else name)
        for case in varied.cases:
            if case.basis is None:
                continue  # the specification refuses it
            for observations in varied.observations:
                for tried in varied.cases:
                    if tried.material == case.material:
                        yield name, fits.trial(case, asked.size, case.basis.degree, observations, tried)


def _elasticities(trials: Iterable[tuple[str, FitTrial]]) -> list[tuple[str, FitElasticity]]:
    """One step per fit, taken from its trial on its own defect."""
    return [
        (name, FitElasticity(crystal=trial.crystal, trial=trial))
        for name, trial in trials
        if trial.exact.defect == trial.rows.defect
    ]


STUDIES = (TransferStudy,)
