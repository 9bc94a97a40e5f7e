"""Question: which loss gives the smallest errors on defects that it was not tuned on?"""

from collections.abc import Iterable
from typing import Any

from ..._input import InputError
from ...campaign import Given, Step
from ...fit import Loss, Weighting
from ..fitting import Fits
from ..interface import Study, Tables
from ..page import Page, Part, Section
from ..run import Run
from ..spec import RunSpec
from .own import bench_loss
from .planned import trials
from .settings import LossBench, listed
from .steps import BenchTrial
from .tables import NAME, RANKING, tables

LEAD = (
    "For every crystal potentials are fitted to training cells of one defect with every loss, and relaxed on all of its defects. "
    "Losses are ranked by the defects that the training cells do not contain, paired with the default loss on the same training "
    "set, basis and defect."
)
ABOUT = (
    "Ratios are geometric means with 95 % intervals by a bootstrap over defects. “Worse” is the share of held-out cases with a "
    "larger error than with the default, in brackets the largest ratio. “Lost”: held-out defects that left their state. Elastic "
    "and phonon errors are medians over fits, relative to the reference. Every line is in loss_bench.csv, the ranking in "
    "loss_ranking.csv."
)

__all__ = ["STUDIES", "BenchTrial", "Fits", "Loss", "LossBenchStudy", "Weighting", "bench_loss", "listed"]


class LossBenchStudy(Study[LossBench]):
    """One trial per training set, basis and loss; each is judged on all defects of its crystal."""

    name = NAME
    settings = LossBench
    fits = True

    def check(self, spec: RunSpec, asked: LossBench) -> None:
        """Raises InputError for a crystal with one defect, and for bases of one crystal that differ."""
        for case in spec.cases:
            others = [other for other in spec.cases if other.material.name == case.material.name]
            if len(others) < 2:
                raise InputError(
                    f"a loss is judged on defects that it was not tuned on, and {case.material.name} has one case, "
                    f"{case.defect}; give at least two [[cases]] of each material"
                )
            if any(other.basis != case.basis for other in others):
                raise InputError(f"the cases of {case.material.name} have different bases; give them one")
        if spec.training.force_distance_power or spec.training.force_constant_range_power:
            raise InputError("the bench weighs by distance late: take the powers out of [training] and put them into a loss")

    def sizes(self, asked: LossBench) -> Iterable[int]:
        """Of the training cells."""
        return asked.sizes

    def richer(self, asked: LossBench) -> float:
        """Degrees of the largest basis beyond that of the case."""
        return max(0.0, *asked.degrees)

    def plan(self, spec: RunSpec, asked: LossBench) -> list[Step[Any]]:
        """All trials."""
        return list(trials(spec, asked))

    def tables(self, spec: RunSpec, asked: LossBench, given: Given) -> Tables:
        """Lines of loss_bench.csv and loss_ranking.csv."""
        return tables(trials(spec, asked), asked.resamples, given)

    def page(self, run: Run) -> Page:
        """The front, the ranking and the sources of the losses."""
        table, ranked = run.others.get(NAME), run.others.get(RANKING)
        if table is None or ranked is None or ranked.empty:
            return Page()
        from .figures import bench_pictures
        from .words import bench_findings, ranking_table, sources_table

        parts = (
            Part(about=ABOUT, tables=(ranking_table(ranked),)),
            Part("Where the losses come from", tables=(sources_table(ranked),), folded=True),
        )
        section = Section("loss-ranking", "Ranking of losses", parts)
        return Page((LEAD,), tuple(bench_findings(ranked)), tuple(bench_pictures(table, ranked)), (section,))


STUDIES = (LossBenchStudy,)
