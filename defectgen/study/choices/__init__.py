"""Question: what is each choice of a design worth? An ablation: every variant changes one of them, everything else stays."""

from collections.abc import Iterable

from pydantic import Field, model_validator

from ...campaign import Given
from ..costs import cost_page, cost_tables
from ..fitting import Fits
from ..interface import Study, Tables
from ..page import Page
from ..rates import rates_of_fits
from ..results import trial_tables
from ..run import Run
from ..settings import Strict, Variant
from ..spec import RunSpec
from ..tasks import FitTrial
from ..trials import convergence_page
from .tables import DESIGNED, NAME, curves, study_name, worth


class Choices(Strict):
    """The effect of each choice of a design: the study as it is, and variants that change one choice each."""

    sizes: tuple[int, ...] = Field(min_length=1)
    """Size of the training cell: conventional cells along each side."""
    variants: dict[str, Variant] = Field(min_length=1)
    """Variants by name: the keys of [training], [fit] and the basis that each changes."""
    varied_at: tuple[int, ...] | None = None
    """Sizes of the list at which the variants are carried out; all if not given."""

    @model_validator(mode="after")
    def _varies_what_is_there(self):
        if self.varied_at is not None and (not self.varied_at or set(self.varied_at) - set(self.sizes)):
            raise ValueError(f"varied_at must be some of the sizes {list(self.sizes)} of the design; got {list(self.varied_at)}")
        return self


class ChoicesStudy(Study[Choices]):
    """One trial per variant, case, training size and observation set."""

    name = "choices"
    settings = Choices
    fits = True

    def sizes(self, asked: Choices) -> Iterable[int]:
        """Sizes of the training cells."""
        return asked.sizes

    def trials(self, spec: RunSpec, asked: Choices) -> list[tuple[str, FitTrial]]:
        """Every trial, with the entry of its variant in the column `study`."""
        designs = {DESIGNED: spec}
        for name, change in asked.variants.items():
            designs[name] = spec.varied(change.training, change.fit, change.basis, f"choices.variants.{name}")
        return [(study_name(name), trial) for name, varied in designs.items() for trial in _trials(varied, asked, name)]

    def tables(self, spec: RunSpec, asked: Choices, given: Given) -> Tables:
        """Lines of results.csv, the rates of variants carried out at several sizes, choices.csv, and costs.csv of the design."""
        trials = self.trials(spec, asked)
        found, designed = trial_tables(trials, given), [each for each in trials if each[0] == study_name(DESIGNED)]
        rates = Tables(rates=rates_of_fits(curves(found.results), spec))
        return found + rates + worth(found.results) + cost_tables(designed, given)

    def page(self, run: Run) -> Page:
        """Convergence of the design and of its variants, and the effect of each choice."""
        if NAME not in run.others:
            return Page()
        from .figures import choices_findings, choices_pictures

        table = run.others[NAME]
        converging = convergence_page(
            run, run.results[run.results["study"].str.startswith(study_name(""))], (study_name(DESIGNED),)
        )
        changed = Page((), tuple(choices_findings(table)), tuple(choices_pictures(table)))
        return converging + changed + cost_page(run, (study_name(DESIGNED),))


def _trials(varied: RunSpec, asked: Choices, name: str) -> list[FitTrial]:
    fits = Fits(varied, "" if name == DESIGNED else name)
    sizes = asked.sizes if name == DESIGNED else asked.varied_at or asked.sizes
    return [
        fits.trial(case, size, case.basis.degree, observations)
        for case in varied.cases
        if case.basis is not None
        for size in sorted(set(sizes))
        for observations in varied.observations
    ]


STUDIES = (ChoicesStudy,)
