"""Whether the stresses of a file belong to its energies: between two frames of one structure the energy changes by their work."""

from collections.abc import Sequence

import numpy as np

from .._input import InputError
from .labels import factor_in_words

LAGS = (1, 2, 3, 5, 8, 13, 21)
"""Each frame is compared with those that follow it by so many places in the order of volumes."""

PAIRS = 5000
"""Pairs that are compared at most, about a second."""

MOVED, STRAINED = 0.3, 0.15
"""A, and a strain: atoms that moved farther in the box, and boxes that are strained more, are other structures."""

QUIET = 2e-3
"""eV per atom: smaller differences of energy are not compared, they may be those of basis sets and k-points."""

FAR, SCATTER = (0.6, 1.6), 0.2
"""A file is refused if the median of its factors is not between these, and half of them lie within this part of the median. With
right labels the median is within a few per cent of 1 (EMT at strains to 0.05, rattled by 0.1 A; DFT of TiAl)."""

Frame = tuple[tuple[str, ...], np.ndarray, np.ndarray, tuple[bool, bool, bool], dict]
"""Symbols, positions (A), box vectors (A), boundaries and labels."""


def check_stresses(frames: Sequence[Frame], path: str) -> None:
    """Refuse virials whose sign or unit contradicts the energies, where frames of one structure at several strains show it.

    From frame A to B the energy changes by the work of stress and forces, by the rule of the trapezium
    E_B - E_A = -(W_A + W_B) : e / 2 - sum (f_A + f_B) u / 2, up to third order in the logarithmic strain e and the displacements
    u in the box. Pairs count whose two ends agree on the work, roughly: near a minimum the two halves cancel.
    """
    groups: dict[tuple, list[Frame]] = {}
    for frame in frames:
        symbols, _, _, periodic, labels = frame
        if any(periodic) and {"energy", "virial"} <= set(labels):
            groups.setdefault((symbols, periodic), []).append(frame)
    found: list[tuple[float, float, int, float]] = []
    for members in groups.values():
        members.sort(key=lambda f: abs(np.linalg.det(f[2])))
        for k, first in enumerate(members):
            for second in (members[k + lag] for lag in LAGS if k + lag < len(members)):
                pair = _work(first, second)
                if pair is not None and len(found) < PAIRS:
                    found.append((*pair, len(first[0]), float(abs(np.linalg.det(first[2])))))
    if found:
        work, change, sizes, volumes = np.array(found).T
        _judge(work, change, sizes, volumes, path)


def _work(first: Frame, second: Frame) -> tuple[float, float] | None:
    """Work of the virials, and the change of energy without the work of the forces, eV; None where a pair tells nothing."""
    (_, x, box, periodic, old), (_, y, other, _, new) = first, second
    deformation = np.linalg.solve(box, other)  # rows: other = box @ deformation
    if not np.linalg.det(deformation) > 0 or np.abs(deformation - np.eye(3)).max() > STRAINED:
        return None
    moved = np.linalg.solve(other.T, (y - x @ deformation).T).T
    moved = (moved - np.rint(moved) * np.array(periodic)) @ other
    moved = moved - moved.mean(axis=0)
    forces = "forces" in old and "forces" in new
    if np.linalg.norm(moved, axis=1).max() > (MOVED if forces else 1e-3):
        return None
    square, axes = np.linalg.eigh(deformation @ deformation.T)
    strain = (axes * np.log(square) / 2) @ axes.T
    turn = (axes / np.sqrt(square)) @ axes.T @ deformation  # the second frame may be turned: its labels are turned back
    work = [-float(np.vdot(w, strain)) for w in (old["virial"], turn @ new["virial"] @ turn.T)]
    pull = [-float(np.vdot(f, moved)) for f in (old["forces"] @ turn, new["forces"])] if forces else [0.0, 0.0]
    change = float(new["energy"] - old["energy"]) - sum(pull) / 2
    if abs(sum(work)) < abs(work[1] - work[0]) / 2 or abs(pull[1] - pull[0]) / 2 > abs(change) or abs(change) < QUIET * len(x):
        return None
    return sum(work) / 2, change


def _judge(work: np.ndarray, change: np.ndarray, sizes: np.ndarray, volumes: np.ndarray, path: str) -> None:
    ratio = work / change
    factor = float(np.median(ratio))
    if FAR[0] < factor < FAR[1] or (factor and np.median(np.abs(ratio / factor - 1)) > SCATTER):
        return
    atoms = int(sizes[0]) if np.all(sizes == sizes[0]) else None
    volume = float(volumes.mean()) if np.ptp(volumes) < 0.5 * volumes.mean() else None
    words = factor_in_words(factor, atoms, volume) if work.any() else "zero, where nobody computed it"
    if len(work) < 2 and not words:
        return
    raise InputError(
        f"stresses and energies of {path} contradict each other: over {len(work)} pairs of frames of one structure at different "
        f"strains the virials give {factor:.3g} times the change of energy"
        f"{f', so the stress is likely {words}' if words else ''}; state its unit, such as units={{'stress': 'GPa'}} (with a "
        "minus, '-GPa', if it has the sign of a pressure), or name the right key"
    )
