"""The two experiments on one data set: which designs they have, the tasks of each, and their tables."""

import math
from dataclasses import dataclass

from ..._input import InputError
from ...campaign import PlainTask, Record, Task
from ...dataset import budget_grid
from ..interface import Tables
from ..plan import Kitchen
from ..spec import Diversity, RunSpec
from .baseline import available
from .rows import BUDGET, SET
from .selection import RANDOM
from .source import Source, find
from .tables import BEST_TASK, DOMAIN_TASK, ROWS_TASK, TRIAL_TASK, tabulate


@dataclass(frozen=True)
class Design:
    """What one fit is trained on: S structures with C configurations each, in one of the experiments."""

    experiment: str
    structures: int
    conformations: int
    selection: str = RANDOM

    @property
    def labels(self) -> int:
        return self.structures * self.conformations


def designs(asked: Diversity, source: Source) -> list[Design]:
    """All designs of a study. Raises InputError for budgets that cannot be split, and sets that are too large for the source."""
    parts = asked.structural + asked.scaffold + asked.size
    structures, conformations = math.floor(source.structures * (1 - parts)), source.conformations - asked.reserve
    if conformations < 1:
        raise InputError(
            f"the source has {source.conformations} configurations of each structure and {asked.reserve} are reserved for tests: "
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
                    f"fixed_set asks for {s} structures with {c} configurations each, and after the tests are held out the "
                    f"source has about {structures} with {conformations}; ask for fewer, or draw more"
                )
            found.append(Design(SET, s, c))
    return list(dict.fromkeys(found))


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """The pool, the rows of what is used of it, then a trial for every design, set of observations and seed."""
    if spec.diversity is None:
        return []
    asked, source = spec.diversity, find(spec.diversity.source, spec.diversity.settings)
    if asked.baseline:
        available()
    all_designs = designs(asked, source)
    split = {"reserve": asked.reserve, "configurations": max(d.conformations for d in all_designs)}
    split |= {name: getattr(asked, name) for name in ("structural", "scaffold", "size")}
    shared = {"split": split, "basis": asked.basis.model_dump(mode="json")}
    pairs = sorted({(d.structures, d.conformations) for d in all_designs})
    how = {"seeds": asked.seeds, "designs": pairs, "selections": list(asked.selections)}
    rows = PlainTask(ROWS_TASK, {**shared, **how}, (source.pool,), f"{asked.source} rows", 30.0)
    best = PlainTask(
        BEST_TASK, {**shared, "fit": spec.fit.model_dump(mode="json")}, (source.pool, rows), f"{asked.source} best fit", 5.0
    )
    tasks = [rows, *([best] if asked.domain else [])]
    fewest = {n: min(d.structures for d in all_designs if d.labels == n and d.experiment == BUDGET) for n in asked.budgets}
    for observations in spec.observations:
        if source.blocks is None and set(observations.split("+")) - {"E", "F"}:
            raise InputError(
                f"the source {asked.source} has energies and forces only, and observations ask for {observations}; use E+F"
            )
        for seed in range(asked.seeds):
            for design in all_designs:
                own = _trial(spec, source, design, fewest.get(design.labels, design.structures), observations, seed, shared)
                label = f"{design.structures} x {design.conformations}, {design.selection}, {observations}, seed {seed}"
                before = (source.pool, rows)
                tasks.append(PlainTask(TRIAL_TASK, own, (*before, *source.after), label, 1.0 + 1e-3 * design.labels))
                if asked.domain and design.selection == RANDOM and _at_largest(asked, design):
                    tasks.append(PlainTask(DOMAIN_TASK, own, (*before, best, *source.after), f"domain of {label}", 4.0))
    return list({task.key: task for task in tasks}.values())


def _at_largest(asked: Diversity, design: Design) -> bool:
    return design.experiment == BUDGET and design.labels == max(asked.budgets)


def _trial(spec: RunSpec, source: Source, design: Design, common: int, observations: str, seed: int, shared: dict) -> dict:
    """The specification of a trial: nothing in it names the experiment, so that equal designs are carried out once."""
    assert spec.diversity is not None
    return {
        **shared,
        "seed": seed,
        "structures": design.structures,
        "conformations": design.conformations,
        "common": common,
        "selection": design.selection,
        "observations": observations,
        "fit": spec.fit.model_dump(mode="json"),
        "blocks": source.blocks,
        "metrics": list(source.metrics),
        "settings": {**spec.diversity.settings, **({"files": source.files} if source.files else {})},
        "baseline": spec.diversity.baseline,
    }


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """diversity.csv (every error of every fit) and what follows from it: see tables.py."""
    if spec.diversity is None:
        return Tables()
    source = find(spec.diversity.source, spec.diversity.settings)
    experiments: dict[tuple[int, int, str], list[str]] = {}
    for d in designs(spec.diversity, source):
        experiments.setdefault((d.structures, d.conformations, d.selection), []).append(d.experiment)
    return tabulate(spec.diversity.source, experiments, outcome)
