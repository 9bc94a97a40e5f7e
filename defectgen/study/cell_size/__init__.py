"""Question: how fast does the error of a fit fall as its training cell grows?"""

from collections.abc import Iterable

from pydantic import Field

from ...campaign import Given
from ..costs import cost_page, cost_tables
from ..fitting import Fits
from ..interface import Study, Tables
from ..page import Page
from ..rates import rates_of_fits
from ..results import trial_tables
from ..run import Run
from ..settings import Strict
from ..spec import RunSpec
from ..tasks import FitTrial
from ..trials import convergence_page

NAME = "cell-size"
"""What the column `study` says."""


class CellSize(Strict):
    """Error against training-cell size."""

    sizes: tuple[int, ...] = Field(min_length=1)
    """Size of the training cell: conventional cells along each side."""


class CellSizeStudy(Study[CellSize]):
    """One trial per case, training size and observation set, with the basis of the case."""

    name = "cell_size"
    settings = CellSize
    fits = True

    def sizes(self, asked: CellSize) -> Iterable[int]:
        """Sizes of the training cells."""
        return asked.sizes

    def trials(self, spec: RunSpec, asked: CellSize) -> list[tuple[str, FitTrial]]:
        """Every trial, with the name of the study."""
        fits = Fits(spec)
        return [
            (NAME, fits.trial(case, size, case.basis.degree, observations))
            for case in spec.cases
            if case.basis is not None
            for size in sorted(set(asked.sizes))
            for observations in spec.observations
        ]

    def tables(self, spec: RunSpec, asked: CellSize, given: Given) -> Tables:
        """Lines of results.csv, their rates, and costs.csv."""
        trials = self.trials(spec, asked)
        found = trial_tables(trials, given)
        return found + Tables(rates=rates_of_fits(found.results, spec)) + cost_tables(trials, given)

    def page(self, run: Run) -> Page:
        """Figures per case: both errors against the training radius and against the cost of the labels."""
        return convergence_page(run, run.results[run.results["study"] == NAME]) + cost_page(run, (NAME,))


STUDIES = (CellSizeStudy,)
