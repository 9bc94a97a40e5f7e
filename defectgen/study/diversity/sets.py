"""Several data sets in one study, `[[diversity_sets]]`: the same experiments, in the same tables by `source`."""

from dataclasses import replace
from typing import Any

from ...campaign import PlainTask, Record, Task, in_order
from ..interface import Tables
from ..plan import Kitchen
from ..spec import Diversity, RunSpec
from . import experiments
from .crystals.tables import PORTRAIT, tabulate
from .observations import shifts
from .tables import DOMAIN_TASK, TRIAL_TASK


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """The tasks of every data set. Grades of atoms are computed for one set of observations, the first: they take the longest."""
    return [task for asked in spec.diversity_sets for task in _plan(spec, asked, kitchen)]


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """The tables of a study of diversity with one source for each data set, and what only crystals have."""
    found, kitchen = Tables(), Kitchen(spec)
    for asked in spec.diversity_sets:
        keys = {task.key for task in in_order(_plan(spec, asked, kitchen))}
        own = [(task, record) for task, record in outcome if task.key in keys]
        tables = experiments.harvest(_single(spec, asked), own)
        named = {name: [{**line, **_source(asked, line)} for line in lines] for name, lines in tables.others.items()}
        found += Tables(others=named)
        found += Tables(others={"diversity_observations": list(shifts(named.get("diversity", []), spec.observations[0]))})
        if asked.source == "crystals":
            found += tabulate(label(asked), named.get("diversity", []), own)
    return found


def label(asked: Diversity) -> str:
    """What a data set is called in the tables: its material, or its source."""
    return str(asked.settings.get("material", asked.source))


def _single(spec: RunSpec, asked: Diversity) -> RunSpec:
    return spec.model_copy(update={"diversity": asked, "diversity_sets": ()})


def _plan(spec: RunSpec, asked: Diversity, kitchen: Kitchen) -> list[Task]:
    tasks = experiments.plan(_single(spec, asked), kitchen)
    first = spec.observations[0]
    kept = [task for task in tasks if task.function != DOMAIN_TASK or task.spec["observations"] == first]
    return [replace(task, label=f"{label(asked)} {task.label}") for task in [*kept, *_portrait(asked, kept)]]


def _portrait(asked: Diversity, tasks: list[Task]) -> list[Task]:
    """One cell for the page, of the middle split of the largest budget; only crystals have one."""
    graded = [task for task in tasks if task.function == DOMAIN_TASK and task.spec["seed"] == 0]
    if asked.source != "crystals" or not graded or not asked.settings.get("apart"):
        return []
    middle = sorted(graded, key=lambda task: task.spec["structures"])[len(graded) // 2]
    trial = next(task for task in tasks if task.function == TRIAL_TASK and task.spec == middle.spec)
    return [PlainTask(PORTRAIT, trial.spec, trial.after, "portrait", version="2")]


def _source(asked: Diversity, line: dict[str, Any]) -> dict[str, str]:
    return {"source": label(asked)} if "source" in line else {}
