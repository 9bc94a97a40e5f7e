"""Whether the labels of a file belong together: between two frames of one structure the energy changes by the work of forces and
stresses, in one unit."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError, InputWarning
from .labels import factor_in_words
from .units import ENERGY

LAGS = (1, 2, 3, 5, 8, 13, 21)
"""Each frame is compared with those that follow it by so many places in the order of volumes."""

PAIRS = 5000
"""Pairs that are compared at most, about a second."""

MOVED, STRAINED = 0.3, 0.15
"""A, and a strain: atoms that moved farther in the box, and boxes that are strained more, are other structures."""

LEAST = 1e-6
"""Strain: two frames in one box, as of molecular dynamics, do not show the work of a stress."""

QUIET = 2e-3
"""eV per atom: smaller differences of energy may be those of basis sets and k-points. Pairs whose energies differ by less count
only if the work is several times as large (LOUD), and otherwise where no pair is above it and all of them agree on one known
mistake."""

LOUD = 5.0
"""Work of the virials over QUIET from which a pair counts for any energies: those may be in a larger unit, or per atom."""

CERTAIN = 3.0
"""Largest change of energy, or work over LOUD, over QUIET from which few pairs or an unknown factor are enough to refuse a file;
below, a file is refused if several pairs agree on a known mistake, and otherwise warned of."""

FAINT, FEWEST = 0.1, 3
"""Part of QUIET that a pair must have where none is above it, and how many such pairs there must be."""

FAR, SCATTER = (0.6, 1.6), 0.2
"""A file is refused if the median of its factors is not between these, and half of them lie within this part of the median. With
right labels the median is within a few per cent of 1 (EMT at strains to 0.05, rattled by 0.1 A; DFT of TiAl)."""

EXPLAINED, LARGE, AGREED = 0.1, 0.3, 0.8
"""A pair shows two units if with the factor between them the energy and the work agree to this part of their difference without
it. A file is refused if one factor explains at least FEWEST, and nearly all, of the pairs whose difference is more than a part of
the largest."""

Frame = tuple[tuple[str, ...], np.ndarray, np.ndarray, tuple[bool, bool, bool], dict]
"""Symbols, positions (A), box vectors (A), boundaries and labels."""


def check_stresses(frames: Sequence[Frame], path: str) -> None:
    """Refuse virials whose sign or unit contradicts the energies, where frames of one structure at several strains show it; warn
    (InputWarning) where they contradict them in another way.

    Refuse also frames whose labels are in another unit than those of the others.

    From frame A to B the energy changes by the work of stress and forces, by the rule of the trapezium
    E_B - E_A = -(W_A + W_B) : e / 2 - sum (f_A + f_B) u / 2, up to third order in the logarithmic strain e and the displacements
    u in the box. Pairs count whose two ends agree on the work, roughly: near a minimum the two halves cancel.
    """
    groups: dict[tuple, list[Frame]] = {}
    for frame in frames:
        symbols, _, _, periodic, labels = frame
        if any(periodic) and "energy" in labels and {"forces", "virial"} & set(labels):
            groups.setdefault((symbols, periodic), []).append(frame)
    found: list[tuple[float, float, int, float, bool]] = []
    units: list[tuple[float, str]] = []
    seen = 0
    for members in groups.values():
        members.sort(key=lambda f: abs(np.linalg.det(f[2])))
        for k, first in enumerate(members):
            for second in (members[k + lag] for lag in LAGS if k + lag < len(members)):
                change = _change(first, second) if seen < PAIRS else None
                if change is None:
                    continue
                seen += 1
                units += [] if (two := _two_units(change)) is None else [two]
                pair = _work(change)
                if pair is not None:
                    found.append((pair[0], pair[1], len(first[0]), float(abs(np.linalg.det(first[2]))), pair[2]))
    _judge_units(units, path)
    clear = [each for each in found if each[4]]
    if clear or len(found) >= FEWEST:
        work, change, sizes, volumes, _ = np.array(clear if _certain(clear) or len(clear) >= FEWEST else found).T
        _judge(work, change, sizes, volumes, path, bool(clear), _certain(clear))


def _certain(pairs: list[tuple[float, float, int, float, bool]]) -> bool:
    """Whether a pair is far above the noise of energies."""
    return any(max(abs(change), abs(work) / LOUD) >= CERTAIN * QUIET * atoms for work, change, atoms, *_ in pairs)


@dataclass(frozen=True)
class _Change:
    """From one frame to another one of the same structure."""

    energies: tuple[float, float]
    work: tuple[float, float] | None
    """What the virial of either end gives for the strain between them, eV; None if one of them has none."""
    pull: tuple[float, float]
    """What the forces of either end give for the displacements in the box, eV."""
    strained: bool
    atoms: int


def _change(first: Frame, second: Frame) -> _Change | None:
    """The change between two frames; None where they are other structures, or no label measures it."""
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
    strained = bool(np.abs(strain).max() >= LEAST)
    virials = "virial" in old and "virial" in new
    if strained and not virials:
        return None
    turn = (axes / np.sqrt(square)) @ axes.T @ deformation  # the second frame may be turned: its labels are turned back
    work = (-float(np.vdot(old["virial"], strain)), -float(np.vdot(turn @ new["virial"] @ turn.T, strain))) if virials else None
    pull = (-float(np.vdot(old["forces"] @ turn, moved)), -float(np.vdot(new["forces"], moved))) if forces else (0.0, 0.0)
    return _Change((float(old["energy"]), float(new["energy"])), work, pull, strained, len(x))


def _work(found: _Change) -> tuple[float, float, bool] | None:
    """Work of the virials, the change of energy without the work of the forces, eV, and whether that is more than the noise of
    energies; None where a pair tells nothing."""
    if found.work is None or not found.strained:
        return None
    work, pull = found.work, found.pull
    change = found.energies[1] - found.energies[0] - sum(pull) / 2
    size = max(abs(change), abs(sum(work)) / 2 / LOUD)
    uneven = abs(sum(work)) < abs(work[1] - work[0]) / 2 or abs(pull[1] - pull[0]) / 2 > abs(change)
    if uneven or change == 0.0 or size < FAINT * QUIET * found.atoms:
        return None
    return sum(work) / 2, change, size >= QUIET * found.atoms


def _two_units(found: _Change) -> tuple[float, str] | None:
    """By how much the energies of a pair differ from the work, eV per atom, and the two units that explain it, "" for none; None
    for a pair whose energies differ by the work."""
    before, after = found.energies
    work = [a + b for a, b in zip(found.work or (0.0, 0.0), found.pull, strict=True)]
    off = abs(after - before - sum(work) / 2)
    if off < max(QUIET * found.atoms, 0.3 * abs(work[1] - work[0]) / 2, 0.3 * abs(sum(work)) / 2):
        return None
    for unit, value in ENERGY.items():
        larger = max(value, 1 / value)
        for first, second in ((larger, 1.0), (1.0, larger)):  # the frame whose numbers are the smaller ones
            change = second * after - first * before
            whole = change - (first * work[0] + second * work[1]) / 2
            energies = change - sum(work) / 2  # only the energy is in another unit, and forces and stresses are not
            if larger > 1 and min(abs(whole), abs(energies)) < EXPLAINED * off:
                return off / found.atoms, f"eV and {unit}"
    return off / found.atoms, ""


def _judge_units(pairs: list[tuple[float, str]], path: str) -> None:
    """Refuse a file of which one factor between units explains nearly all pairs that are off by the most."""
    largest = max((off for off, _ in pairs), default=0.0)
    most = [words for off, words in pairs if off > LARGE * largest]
    for words in sorted(set(most) - {""}):
        count = most.count(words)
        if count >= FEWEST and count >= AGREED * len(most):
            raise InputError(
                f"the frames of {path} are in two units of energy, likely {words}: energies of one structure are up to "
                f"{largest:.3g} eV per atom apart, and in {count} of {len(most)} such pairs of frames they differ by the work of "
                "forces and stresses if one of the two is in the other unit; split the file by units, and read each part with "
                "its own, as units={'energy': 'hartree'}"
            )


def _energy_in_words(factor: float, atoms: int | None) -> str:
    """What the energies are likely to be where the work of the virials is `factor` times their change; empty if unknown."""
    known = {f"in {unit}": ENERGY[unit] for unit in ("hartree", "Ry", "kcal/mol", "kJ/mol")}
    if atoms is not None and atoms > 1:
        known["per atom"] = float(atoms)
    return next((words for words, value in known.items() if abs(factor / value - 1) < 0.15), "")


def _judge(work: np.ndarray, change: np.ndarray, sizes: np.ndarray, volumes: np.ndarray, path: str, clear: bool, certain: bool):
    """Refuse a factor that is known or certain, warn of another one that is not 1."""
    ratio = work / change
    factor = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio / factor - 1))) if factor else 0.0
    if FAR[0] < factor < FAR[1] or spread > SCATTER:
        return
    atoms = int(sizes[0]) if np.all(sizes == sizes[0]) else None
    volume = float(volumes.mean()) if np.ptp(volumes) < 0.5 * volumes.mean() else None
    words = factor_in_words(factor, atoms, volume) if work.any() else "zero, where it was not computed"
    energies = _energy_in_words(factor, atoms)
    if (len(work) < 2 or not clear) and not words and not energies:
        return
    stress = not work.any() or abs(abs(factor) - 1) < 0.3 or bool(factor_in_words(abs(factor), atoms, volume))
    known, plain = stress or bool(energies), spread <= SCATTER / 2 and len(work) >= FEWEST  # one factor, for any volume
    guesses = [f"the stress is likely {words}"] * bool(words) + [f"the energies are likely {energies}"] * bool(energies)
    sentence = (
        f"stresses and energies of {path} contradict each other: over {len(work)} pair{'s' * (len(work) > 1)} of frames of one "
        f"structure at different strains the virials give {factor:.3g} times the change of energy"
        f"{', so ' * bool(guesses)}{', or '.join(guesses)}; state the "
        "units, such as units={'stress': 'GPa'} (with a minus, '-GPa', if it has the sign of a pressure) or "
        "{'energy': 'hartree'}, or name the right key"
    )
    if (known and (certain or len(work) >= FEWEST)) or (certain and (plain or not 0.2 < factor < 5.0)):
        raise InputError(sentence)
    warnings.warn(
        f"{sentence}; they are used as they are: stresses of plane waves below convergence, or of another k-point mesh than "
        "the energies, look like this too",
        InputWarning,
        stacklevel=4,
    )
