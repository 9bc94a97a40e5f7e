"""What only crystals have: the price of each set of observations, and how often a relaxed defect went wrong."""

from collections import defaultdict
from typing import Any

import numpy as np

from ....campaign import Record, Task
from ...interface import Tables
from ..rows import Rows
from ..source import unpack
from ..split import structures_of
from ..tables import TRIAL_TASK
from .blocks import chosen_of, seen_phases
from .steps import STRAYED

DRAWN = "defectgen.study.diversity.crystals.steps:drawn"
PORTRAIT = "defectgen.study.diversity.crystals.portrait:portrait"


def tabulate(source: str, rows: Rows, outcome: list[tuple[Task, Record]]) -> Tables:
    """What one data set costs, which relaxations failed, how far atoms strayed, and its portrait; `rows` are of diversity.csv."""
    others = {
        "diversity_cost": costs(source, outcome),
        "diversity_outcomes": outcomes(rows),
        "diversity_phases": phases(source, outcome),
        "diversity_portrait": portraits(source, outcome),
    }
    return Tables(others={name: lines for name, lines in others.items() if lines})


def costs(source: str, outcome: list[tuple[Task, Record]]) -> Rows:
    """One line a split and set of observations, means over the seeds: calculations, and numbers of each kind that they give.

    V comes with the calculation that gives energy and forces. FC of a phase are counted as the 6 displaced supercells a
    sublattice atom that central differences without symmetry take, beside the labels of the budget.
    """
    records = {task.key: record for task, record in outcome}
    pools: dict[str, Any] = {}
    groups: dict[tuple, list[dict[str, float]]] = defaultdict(list)
    for task, record in outcome:
        if task.function != TRIAL_TASK or not record.ok:
            continue
        key = task.after[0].key
        if key not in pools:
            pools[key] = unpack(records[key])
        pool, spec = pools[key], task.spec
        chosen = chosen_of(spec, pool)
        after = tuple(records[t.key] for t in task.after[3:])
        kinds = spec["observations"].split("+")
        seen = {pool.families[name] for name in structures_of(pool, chosen)}
        stable = seen_phases(spec, pool, chosen, after) if "FC" in kinds else []
        atoms = int(pool.dataset.atoms[chosen].sum())
        groups[spec["observations"], spec["structures"], spec["conformations"]].append(
            {
                "labels": len(chosen),
                "atoms": atoms,
                "calculations": len(chosen) + sum(6 * len(rest.arrays["motif"]) for _, rest in stable),
                "energies": len(chosen),
                "forces": 3 * atoms,
                "virials": 6 * len(chosen) if "V" in kinds else 0,
                "phases": len(seen),
                "phases_with_force_constants": len(stable),
            }
        )
    return [
        {"source": source, "observations": o, "structures": s, "conformations": c, "seeds": len(own), **_means(own)}
        for (o, s, c), own in sorted(groups.items(), key=lambda item: (item[0][1] * item[0][2], item[0][1], len(item[0][0])))
    ]


def phases(source: str, outcome: list[tuple[Task, Record]]) -> Rows:
    """One line a phase: whether it is stable at rest, and in how many of its configurations an atom has left its site."""
    records = {task.key: record for task, record in outcome}
    return [
        {
            "source": source,
            "phase": task.spec["phase"],
            "stable": records[task.after[0].key].values["stable"],
            "lowest_phonon": records[task.after[0].key].values["lowest_phonon"],
            "configurations": len(record.arrays["strayed"]),
            "strayed": int((record.arrays["strayed"] > STRAYED).sum()),
        }
        for task, record in outcome
        if task.function == DRAWN and record.ok
    ]


def portraits(source: str, outcome: list[tuple[Task, Record]]) -> Rows:
    """One line an atom: position (A) in a frame whose x is the first cell vector and whose z is across the first two."""
    found = []
    for task, record in outcome:
        if task.function != PORTRAIT or not record.ok:
            continue
        a, v = record.arrays["vectors"], record.values
        frame = np.linalg.qr(a.T)[0]
        frame = frame * np.sign(np.sum(frame * a.T, axis=0))
        about = {name: v[name] for name in ("test", "structure", "law", "level", "limit")}
        design = {name: task.spec[name] for name in ("observations", "conformations", "seed")}
        design["structures_trained"] = task.spec["structures"]
        for x, grade, error in zip(
            record.arrays["positions"] @ frame, record.arrays["grade"], record.arrays["error"], strict=True
        ):
            place = dict(zip("xyz", x.tolist(), strict=True))
            found.append({"source": source, **about, **design, **place, "grade": float(grade), "error": float(error)})
    return found


def _means(lines: list[dict[str, Any]]) -> dict[str, float]:
    return {name: sum(line[name] for line in lines) / len(lines) for name in lines[0]}


def outcomes(rows: Rows) -> Rows:
    """One line a split, set of observations and relaxed defect: seeds, and how many did not end where they should."""
    names = ("source", "observations", "budget", "structures", "conformations", "test")
    groups: dict[tuple, Rows] = defaultdict(list)
    for row in {tuple(row[n] for n in (*names, "seed")): row for row in rows if "outcome" in row}.values():
        groups[tuple(row[name] for name in names)].append(row)
    return [
        {
            **dict(zip(names, key, strict=True)),
            "seeds": len(own),
            "failed": sum(bool(row["outcome"]) for row in own),
            "reasons": "; ".join(sorted({row["outcome"] for row in own if row["outcome"]})),
        }
        for key, own in groups.items()
    ]
