"""Question: with N labels to spend, how many different structures, and how many configurations of each?

Two experiments (theory: diversity/fixed-budget, diversity/fixed-set): N constant and split in all ways, and structures fixed with
growing numbers of configurations. The configurations come from a source (source.py explains how to add one): molecules, a
file, crystals. A run has one data set, `[diversity]`, or several, `[[diversity_sets]]`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Any

from ..._input import InputError
from ...campaign import Given, Step
from ...dataset import budget_grid
from ..interface import Study, Tables
from ..page import Page
from ..run import Run
from ..spec import RunSpec
from .domain import Everything, Measured
from .rows import UsedRows
from .settings import Diversity, DiversitySets
from .source import Source
from .sources import find
from .split import RANDOM, Split
from .steps import DesignTrial, available
from .tables import BUDGET, SET, shifts, tabulate

__all__ = ["STUDIES", "Design", "DiversityOfOneSet", "DiversityOfSets", "designs"]


@dataclass(frozen=True)
class Design:
    """What one fit is trained on: S structures with C configurations each, in one of the experiments."""

    experiment: str
    structures: int
    conformations: int
    selection: str = RANDOM

    @property
    def labels(self) -> int:
        """Configurations that are trained on."""
        return self.structures * self.conformations


def designs(asked: Diversity, source: Source) -> list[Design]:
    """All designs of a data set.

    Raises
    ------
    InputError
        A budget cannot be split, or a fixed set is too large for the source.
    """
    parts = asked.structural + asked.scaffold + asked.size
    all_structures, all_conformations = source.counts()
    structures, conformations = floor(all_structures * (1 - parts)), all_conformations - asked.reserve
    if conformations < 1:
        raise InputError(
            f"the source has {all_conformations} configurations of each structure and {asked.reserve} are reserved for tests: "
            "none is left to train on; draw more, or lower diversity.reserve"
        )
    found = []
    for budget in asked.budgets:
        for s, c in budget_grid(budget, min(structures, budget), conformations, asked.ratio):
            chosen = asked.selections if budget == max(asked.budgets) else (RANDOM,)
            found += [Design(BUDGET, s, c, selection) for selection in chosen]
    for s in asked.fixed_set.structures:
        for c in asked.fixed_set.conformations:
            if s > structures or c > conformations:
                raise InputError(
                    f"fixed_set needs {s} structures with {c} configurations each, and after the tests are held out the "
                    f"source has about {structures} with {conformations}; use fewer, or draw more"
                )
            found.append(Design(SET, s, c))
    return list(dict.fromkeys(found))


class DiversityOfOneSet(Study[Diversity]):
    """Both experiments on one data set."""

    name = "diversity"
    settings = Diversity
    needs_cases = False

    def check(self, spec: RunSpec, asked: Diversity) -> None:
        """Raises InputError for a source that cannot be used, and where a package is missing."""
        _check(asked)

    def plan(self, spec: RunSpec, asked: Diversity) -> list[Step[Any]]:
        """The pool, the rows of what is used of it, then a trial for every design, set of observations and repetition."""
        return _steps(spec, asked, _source(asked))

    def tables(self, spec: RunSpec, asked: Diversity, given: Given) -> Tables:
        """diversity.csv (every error of every fit) and what follows from it."""
        source = _source(asked)
        return tabulate(asked.source, _experiments(asked, source), _steps(spec, asked, source), given)

    def page(self, run: Run) -> Page:
        """What was found, figures, and the section of tables."""
        if "diversity" not in run.others or "diversity_observations" in run.others:
            return Page()
        from .figures import budget_pictures
        from .words import LEAD, budget_findings, budget_parts, section

        tables = (run.others.get(f"diversity_{name}") for name in ("gaps", "tradeoff", "curves"))
        return Page(
            (LEAD,), tuple(budget_findings(run.others)), tuple(budget_pictures(*tables)), section(budget_parts(run.others))
        )


class DiversityOfSets(Study[DiversitySets]):
    """Both experiments on several data sets: in the same tables, by `source`; and what only a source has."""

    name = "diversity_sets"
    settings = DiversitySets
    needs_cases = False

    def check(self, spec: RunSpec, asked: DiversitySets) -> None:
        """Raises InputError for sources that cannot be used, and where a package is missing."""
        for each in asked.sets:
            _check(each)

    def plan(self, spec: RunSpec, asked: DiversitySets) -> list[Step[Any]]:
        """The steps of every data set."""
        return [step for each in asked.sets for step in _of_set(spec, each, _source(each))]

    def tables(self, spec: RunSpec, asked: DiversitySets, given: Given) -> Tables:
        """The tables of every data set, what sets of observations change, and what only its source has."""
        found = Tables()
        for each in asked.sets:
            source = _source(each)
            steps = _of_set(spec, each, source)
            tables = tabulate(source.called, _experiments(each, source), steps, given)
            rows = tables.others.get("diversity", [])
            shifted = Tables(others={"diversity_observations": list(shifts(rows, spec.observations[0]))})
            found += tables + shifted + source.tables(source.called, rows, steps, given)
        return found

    def page(self, run: Run) -> Page:
        """What was found, figures, and the section of tables."""
        if "diversity" not in run.others or "diversity_observations" not in run.others:
            return Page()
        from .crystals.figures import crystal_pictures
        from .crystals.words import crystal_findings, crystal_parts
        from .words import LEAD, section

        return Page(
            (LEAD,),
            tuple(crystal_findings(run.others)),
            tuple(crystal_pictures(run.others)),
            section(crystal_parts(run.others)),
        )


def _source(asked: Diversity) -> Source:
    return find(asked.source, asked.settings)


def _check(asked: Diversity) -> None:
    _source(asked)
    if asked.baseline:
        available()


def _experiments(asked: Diversity, source: Source) -> dict[tuple[int, int, str], list[str]]:
    """The experiments that a design is in."""
    found: dict[tuple[int, int, str], list[str]] = {}
    for d in designs(asked, source):
        found.setdefault((d.structures, d.conformations, d.selection), []).append(d.experiment)
    return found


def _of_set(spec: RunSpec, asked: Diversity, source: Source) -> list[Step[Any]]:
    """The steps of one data set of several.

    Grades of atoms are computed for one set of observations, the first: they take the longest.
    """
    steps = _steps(spec, asked, source, f"{source.called} ", spec.observations[:1])
    return [*steps, *source.pictured([step for step in steps if isinstance(step, Measured) and step.seed == 0])]


def _steps(
    spec: RunSpec, asked: Diversity, source: Source, prefix: str = "", graded: tuple[str, ...] | None = None
) -> list[Step[Any]]:
    """The steps of one data set; `graded`: the sets of observations whose domain of applicability is measured, all if None."""
    all_designs, pool = designs(asked, source), source.pool()
    rows = UsedRows(
        pool=pool,
        basis=asked.basis,
        split=Split(
            reserve=asked.reserve,
            configurations=max(d.conformations for d in all_designs),
            structural=asked.structural,
            scaffold=asked.scaffold,
            size=asked.size,
        ),
        seeds=asked.seeds,
        designs=tuple(sorted({(d.structures, d.conformations) for d in all_designs})),
        selections=asked.selections,
        called=prefix + asked.source,
    )
    best = Everything(pool=pool, rows=rows, fit=spec.fit, called=prefix + asked.source)
    steps: list[Step[Any]] = [rows, *([best] if asked.domain else [])]
    for design, trial in _trials(spec, asked, source, rows, all_designs, prefix):
        steps.append(trial)
        at_largest = design.experiment == BUDGET and design.labels == max(asked.budgets) and design.selection == RANDOM
        if asked.domain and at_largest and (graded is None or trial.observations in graded):
            steps.append(Measured.like(trial, best=best))
    return list({step.key: step for step in steps}.values())


def _trials(
    spec: RunSpec, asked: Diversity, source: Source, rows: UsedRows, all_designs: list[Design], prefix: str
) -> Iterator[tuple[Design, DesignTrial]]:
    """One trial a set of observations, repetition and design."""
    fewest = {n: min(d.structures for d in all_designs if d.labels == n and d.experiment == BUDGET) for n in asked.budgets}
    known, further = {"E", "F", *source.kinds}, source.further()
    for observations in spec.observations:
        if set(observations.split("+")) - known:
            has = ", ".join(("E", "F", *source.kinds)) if source.kinds else "energies and forces"
            raise InputError(
                f"the source {asked.source} has {has} only, and observations need {observations}; use "
                f"{'+'.join(('E', 'F', *source.kinds))}"
            )
        for seed in range(asked.seeds):
            for design in all_designs:
                trial = DesignTrial(
                    source=source,
                    files=source.files(),
                    pool=rows.pool,
                    rows=rows,
                    further=further,
                    seed=seed,
                    structures=design.structures,
                    conformations=design.conformations,
                    common=fewest.get(design.labels, design.structures),
                    selection=design.selection,
                    observations=observations,
                    fit=spec.fit,
                    baseline=asked.baseline,
                    prefix=prefix,
                )
                yield design, trial


STUDIES = (DiversityOfOneSet, DiversityOfSets)
