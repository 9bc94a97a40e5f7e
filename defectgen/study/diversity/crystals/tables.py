"""What only crystals have: the price of each set of observations, and how often a relaxed defect went wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....campaign import Given, Step
from ...interface import Tables
from ..pool import Pool
from ..split import structures_of
from ..steps import DesignTrial
from ..tables import Rows
from .settings import Settings
from .steps import STRAYED, Portrait, drawn, seen_phases


def crystal_tables(asked: Settings, called: str, rows: Rows, steps: Sequence[Step[Any]], given: Given) -> Tables:
    """What one data set costs, which relaxations failed, how far atoms strayed, and its portrait; `rows` are of diversity.csv."""
    others = {
        "diversity_cost": costs(asked, called, [step for step in steps if isinstance(step, DesignTrial)], given),
        "diversity_outcomes": outcomes(rows),
        "diversity_phases": phases(asked, called, given),
        "diversity_portrait": [row for step in steps if isinstance(step, Portrait) for row in portrait(called, step, given)],
    }
    return Tables(others={name: lines for name, lines in others.items() if lines})


def costs(asked: Settings, called: str, trials: Sequence[DesignTrial], given: Given) -> Rows:
    """One line a split and set of observations, means over the seeds: calculations, and numbers of each kind that they give.

    V comes with the calculation that gives energy and forces. FC of a phase are counted as the 6 displaced supercells a
    sublattice atom that central differences without symmetry take, in addition to the labels of the budget.
    """
    pools: dict[str, Pool] = {}
    groups: dict[tuple, list[dict[str, float]]] = defaultdict(list)
    for step in trials:
        if given.get(step) is None:
            continue
        if step.pool.key not in pools:
            pools[step.pool.key] = given[step.pool].unpack()
        pool = pools[step.pool.key]
        chosen = step.parts(pool, given).design(step.structures, step.conformations)
        kinds = step.observations.split("+")
        seen = {pool.families[name] for name in structures_of(pool, chosen)}
        stable = seen_phases(asked, pool, chosen, given) if "FC" in kinds else []
        atoms = int(pool.dataset.atoms[chosen].sum())
        groups[step.observations, step.structures, step.conformations].append(
            {
                "labels": len(chosen),
                "atoms": atoms,
                "calculations": len(chosen) + sum(6 * len(rest.motif) for _, rest in stable),
                "energies": len(chosen),
                "forces": 3 * atoms,
                "virials": 6 * len(chosen) if "V" in kinds else 0,
                "phases": len(seen),
                "phases_with_force_constants": len(stable),
            }
        )
    return [
        {"source": called, "observations": o, "structures": s, "conformations": c, "seeds": len(own), **_means(own)}
        for (o, s, c), own in sorted(groups.items(), key=lambda item: (item[0][1] * item[0][2], item[0][1], len(item[0][0])))
    ]


def phases(asked: Settings, called: str, given: Given) -> Rows:
    """One line a phase: whether it is stable, and in how many of its configurations an atom has left its site."""
    return [
        {
            "source": called,
            "phase": step.rest.phase,
            "stable": given[step.rest].stable,
            "lowest_phonon": given[step.rest].lowest_phonon,
            "configurations": len(found.strayed),
            "strayed": int((found.strayed > STRAYED).sum()),
        }
        for step, found in ((step, given.get(step)) for step in drawn(asked))
        if found is not None
    ]


def portrait(called: str, step: Portrait, given: Given) -> Rows:
    """One line an atom: position (A) in a frame whose x is the first cell vector and whose z is across the first two."""
    found = given.get(step)
    if found is None:
        return []
    frame = np.linalg.qr(found.vectors.T)[0]
    frame = frame * np.sign(np.sum(frame * found.vectors.T, axis=0))
    about = {name: getattr(found, name) for name in ("test", "structure", "law", "level", "limit")}
    design = {name: getattr(step, name) for name in ("observations", "conformations", "seed")}
    design["structures_trained"] = step.structures
    return [
        {"source": called, **about, **design, **dict(zip("xyz", x.tolist(), strict=True)), "grade": grade, "error": error}
        for x, grade, error in zip(found.positions @ frame, found.grade.tolist(), found.error.tolist(), strict=True)
    ]


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
