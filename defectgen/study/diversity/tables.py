"""From trials to tables: diversity.csv, and what follows from its rows (curves.py, ratios.py)."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...campaign import Record, Task
from ..interface import Tables
from .curves import budget_curves, fixed_sets, tradeoffs
from .ratios import gaps, selections
from .rows import Rows, positive, quantities
from .split import CONFORMATIONAL

STEPS = "defectgen.study.diversity.steps"
ROWS_TASK, TRIAL_TASK = f"{STEPS}:rows", f"{STEPS}:trial"
DOMAIN_TASK = "defectgen.study.diversity.domain:measured"
BEST_TASK = "defectgen.study.diversity.domain:everything"

DESIGN = ("selection", "observations", "structures", "conformations", "seed")
BOTH = "conformational and structural"
"""The geometric mean of both errors."""
UNSEEN = "structural"

Experiments = dict[tuple[int, int, str], list[str]]
"""(structures, conformations, selection) -> the experiments that a design is in."""


def tabulate(
    source: str,
    experiments: Experiments,
    outcome: list[tuple[Task, Record]],
) -> Tables:
    """All tables of a study of diversity."""
    rows, pool = [], None
    for task, record in outcome:
        if task.function == ROWS_TASK:
            pool = task.after[0]
        if task.function == TRIAL_TASK and record.ok:
            rows += _rows(source, experiments, task, record)
    rows += list(combined(rows))
    records = {task.key: record for task, record in outcome}
    skipped: Rows = []
    if pool is not None and records[pool.key].ok:
        found = records[pool.key].values["skipped"]
        skipped = [{"structure": name, "reason": reason} for name, reasons in found.items() for reason in reasons]
    others = {
        "diversity": rows,
        "diversity_tradeoff": list(tradeoffs(rows)),
        "diversity_curves": [*fixed_sets(rows), *budget_curves(rows)],
        "diversity_gaps": list(gaps(rows)),
        "diversity_selections": list(selections(rows)),
        "diversity_domain": [
            {"source": source, **_design(task), **line}
            for task, record in outcome
            if task.function == DOMAIN_TASK and record.ok
            for line in record.values["lines"]
        ],
        "diversity_skipped": skipped,
    }
    return Tables(others={name: lines for name, lines in others.items() if lines})


def _rows(source: str, experiments: Experiments, task: Task, record: Record) -> Iterator[dict[str, Any]]:
    own = task.spec["structures"], task.spec["conformations"], task.spec["selection"]
    for experiment in experiments[own]:
        for line in record.values["tests"]:
            yield {
                "source": source,
                "experiment": experiment,
                **_design(task),
                "labels": record.values["labels"],
                "atoms": record.values["atoms"],
                **line,
                "seconds": record.seconds,
            }


def _design(task: Task) -> dict[str, Any]:
    return {**{name: task.spec[name] for name in DESIGN}, "budget": task.spec["structures"] * task.spec["conformations"]}


def combined(rows: Rows) -> Iterator[dict[str, Any]]:
    """For a use that meets seen and unseen structures alike: of every fit the geometric mean of both errors, as a test BOTH."""
    about = ("source", "experiment", *DESIGN, "model")
    fits: dict[tuple, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        fits[tuple(row[name] for name in about)][row["test"]] = row
    for tests in fits.values():
        if CONFORMATIONAL in tests and UNSEEN in tests:
            one, other = tests[CONFORMATIONAL], tests[UNSEEN]
            shared = [q for q in quantities([one]) if positive(one.get(q)) and positive(other.get(q))]
            kept = {name: value for name, value in one.items() if name not in quantities([one])}
            kept |= {name: one[name] + other[name] for name in ("configurations", "test_structures")}
            yield {**kept, "test": BOTH, **{q: float(np.sqrt(one[q] * other[q])) for q in shared}}
