"""Labels of a foreign frame: which of its many keys hold energy, forces and virial, and whether the numbers can be trusted."""

import warnings
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.spatial import KDTree

from .._input import InputError, InputWarning
from ..units import EV_PER_A3_IN_GPA
from .units import Units

FAMILIES = ("ref_", "dft_", "")
"""Prefixes of label keys (compared without case), the most trusted first: bare keys may be of whatever calculator ran last."""

NAMES = {
    "energy": ("free_energy", "energy"),
    "forces": ("forces", "force"),
    "virial": ("virial", "virials"),
    "stress": ("stress",),
}
"""What each kind of label is called after its prefix. Forces are minus the gradient of the free energy, so it comes first."""

SYMMETRIC = 1e-3, 1e-5
"""Largest difference of the off-diagonal components of a stress, relative and in eV/A^3 (VASP prints 0.01 kbar): a potential
that does not change when the crystal is turned has a symmetric stress."""

PLAUSIBLE = 1.0, 10.0
"""eV/A^3 (160 GPa and 1600 GPa): the largest component of a stress of unstated and of stated unit. A larger one is nearly
always one in another unit."""

IN_GPA = {"GPa": 1.0, "kbar": 0.1, "MPa": 1e-3, "bar": 1e-4}
"""Units that stresses of files are found in, GPa."""

LABELLED = 0.01, 150.0
"""GPa: the largest stress component of a labelled frame is usually between these, which tells its unit up to two or three."""

NEAREST = 0.5
"""A: atoms are never nearer; a bond of hydrogen is 0.74 A."""

SEARCHED = 1000
"""Atoms of the largest frame whose distances are checked: some milliseconds."""


@dataclass(eq=False)
class Notes:
    """What is said once about a file, however many frames it concerns."""

    path: str
    frames: int = 0
    """How many there are."""
    energies: int = 0
    """Frames with an energy and a free energy that differ."""
    largest: float = 0.0
    """Of these differences, eV."""
    held: int = 0
    """Frames with forces on atoms that are fixed."""
    moments: int = 0
    """Frames with initial magnetic moments or charges."""
    taken: list[str] = field(default_factory=list)
    """Keys of the energies that are used."""

    def say(self) -> None:
        """The warnings, one line each."""
        if self.energies:
            warnings.warn(
                f"{self.energies} of {self.frames} frames of {self.path} have an energy and a free energy that differ by up to "
                f"{self.largest:.3g} eV; {', '.join(dict.fromkeys(self.taken))} is used (forces are minus the gradient of the "
                "free energy)",
                InputWarning,
                stacklevel=4,
            )
        if self.held:
            warnings.warn(
                f"{self.held} of {self.frames} frames of {self.path} hold atoms fixed (FixAtoms): these stay clamped, and their "
                "forces are not fitted; remove the constraint if they are labels like any other",
                InputWarning,
                stacklevel=4,
            )
        if self.moments:
            warnings.warn(
                f"{self.moments} of {self.frames} frames of {self.path} have initial magnetic moments or charges, which are "
                "ignored: the potentials here have no spin and no charge",
                InputWarning,
                stacklevel=4,
            )


def everything(atoms: Atoms) -> dict:
    """All data of a frame besides its geometry, by lower-case key; ASE hides bare energies and forces in a calculator."""
    hidden = atoms.calc.results if atoms.calc is not None else {}
    own = {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    return {key.lower(): value for store in (hidden, own, atoms.info) for key, value in store.items()}


def _check_spelled_once(atoms: Atoms, keys: dict, where: str) -> None:
    """Raises InputError for a label under two keys that differ in case only, with two values."""
    hidden = atoms.calc.results if atoms.calc is not None else {}
    for label, key in keys.items():
        found = [(k, v) for store in (hidden, atoms.arrays, atoms.info) for k, v in store.items() if k.lower() == key]
        if any(not np.array_equal(value, found[0][1]) for _, value in found[1:]):
            names = " and ".join(sorted({repr(k) for k, _ in found}))
            raise InputError(f"{where} has the {label} under {names}, with different values; remove one of them")


def labels(atoms: Atoms, named: dict[str, str | None], where: str, units: Units, notes: Notes) -> dict:
    """Energy (float, eV), forces ((atoms, 3), eV/A) and virial ((3, 3), eV) of a frame, those that it has.

    `named` maps the four kinds of `NAMES` to keys, or to None for the usual ones. `where` begins every message. `atoms` has
    its box in A already; `units` are those of the labels.
    Raises InputError for labels that are no finite numbers of the right shape, are spread over families, or contradict each
    other, and for a stress that is asymmetric or of implausible size.
    """
    store, keys = everything(atoms), _keys(everything(atoms), named, where)
    _check_spelled_once(atoms, keys, where)
    result: dict = {label: _number(store[key], len(atoms), label, where) for label, key in keys.items()}
    _note_energies(store, keys, result, units, notes, where)
    for label, factor in (("energy", units.energy), ("forces", units.force), ("virial", units.virial), ("stress", units.stress)):
        if label in result:
            result[label] = result[label] * factor
    if "energy" in result:
        result["energy"] = float(result["energy"])
    if "forces" in result:
        _check_constraints(atoms, result["forces"], where)
    volume = atoms.get_volume() if atoms.cell.rank == 3 else None
    for label, size in (("virial", volume or np.inf), ("stress", 1.0)):
        if label in result:
            _check_symmetric(result[label], label, size, where)
    if "stress" in result:
        if volume is None:
            raise InputError(f"{where} has a stress but no volume; give it a cell with three vectors, or a virial")
        stress = result.pop("stress")
        given = result.setdefault("virial", -stress * volume)
        # files keep seven digits or eight decimals: the bound lies above such rounding and far below a wrong sign, unit or volume
        if np.abs(given + stress * volume).max() > 1e-4 * np.abs(given).max() + 1e-7 * volume:
            raise InputError(
                f"{where} has a virial and a stress that contradict each other (virial must be -stress * volume, in eV)"
                f"{_likely(float(-np.vdot(stress * volume, given) / np.vdot(given, given)) if given.any() else 1.0)}; "
                "name the right one with virial_key or stress_key, or state the unit as units={'stress': 'GPa'}"
            )
    if "virial" in result and volume is not None and all(atoms.pbc):  # along open directions a volume is arbitrary
        _check_size(result["virial"] / volume, bool({"stress", "virial"} & units.stated), where)
    return result


def factor_in_words(factor: float, atoms: int | None = None, volume: float | None = None) -> str:
    """What a stress is likely to be that is `factor` times too large; empty if nothing is known to give this number."""
    size, sign = abs(factor), "the sign of a pressure" if factor < 0 else ""
    per_unit = {"GPa": EV_PER_A3_IN_GPA, "kbar": 10 * EV_PER_A3_IN_GPA, "bar": 1e4 * EV_PER_A3_IN_GPA}
    known = {f"in {unit}": value for unit, value in per_unit.items()}
    known |= {f"in eV/A^3 and taken for one in {unit}": 1 / value for unit, value in per_unit.items()}
    if atoms is not None and atoms > 1:
        known["per atom"] = 1 / atoms
    if volume is not None:
        known["not multiplied by the volume"] = 1 / volume
        known["multiplied by the volume twice"] = volume
    for unit, taken in permutations(("GPa", "kbar", "bar"), 2):
        known[f"in {unit} and taken for one in {taken}"] = IN_GPA[taken] / IN_GPA[unit]
    words = next((word for word, value in known.items() if abs(size / value - 1) < 0.15), "")
    if not words and abs(size - 1) < 0.3:
        return f"with {sign}" if sign else ""
    return " and ".join(part for part in (words, f"with {sign}" if sign else "") if part)


def _likely(factor: float) -> str:
    words = factor_in_words(factor)
    return f": the stress is likely {words}" if words else ""


def _keys(store: dict, named: dict, where: str) -> dict:
    """The key of each kind of label: the named one, else what the first family with any label calls it."""
    chosen = {label: key.lower() for label, key in named.items() if key is not None and key.lower() in store}
    open_kinds = [label for label in NAMES if named[label] is None]
    if named["virial"] is not None or named["stress"] is not None:  # one of them settles the other
        open_kinds = [label for label in open_kinds if label not in ("virial", "stress")]
    found = []
    for family in FAMILIES:
        here = {label: [family + name for name in NAMES[label] if family + name in store] for label in open_kinds}
        found.append({label: keys[0] for label, keys in here.items() if keys})
    found = [family for family in found if family]
    for other in found[1:]:
        covered = set(found[0]) | ({"virial", "stress"} if {"virial", "stress"} & set(found[0]) else set())
        for label in set(other) - covered:
            raise InputError(
                f"{where} has {next(iter(found[0].values()))!r}, but its {label} only as {other[label]!r}, which may come from "
                f"another code; pass {label}_key={other[label]!r} if they belong together"
            )
    return (found[0] if found else {}) | chosen


def _note_energies(store: dict, keys: dict, result: dict, units: Units, notes: Notes, where: str) -> None:
    """Count a frame whose energy and free energy differ by more than rounding."""
    if "energy" not in keys:
        return
    used = keys["energy"]
    family = next((f for f in FAMILIES if used in (f + "energy", f + "free_energy")), None)
    if family is None:  # a key of the caller's own: the forces tell which free energy could be meant
        family = next((f for f in FAMILIES if keys.get("forces") in (f + "forces", f + "force")), None)
    others = [f"{family}{name}" for name in NAMES["energy"] if family is not None and f"{family}{name}" != used]
    for other in others:
        if other in store and "free_energy" in used + other:
            difference = abs(float(result["energy"]) - float(_number(store[other], 0, "energy", where))) * units.energy
            if difference > rounding(float(result["energy"]) * units.energy):
                notes.energies += 1
                notes.largest = max(notes.largest, difference)
                notes.taken.append(repr(used))


def rounding(energy: float) -> float:
    """eV: two energies that differ by less are one, written with the digits that files keep."""
    return 1e-6 + 1e-9 * abs(energy)


def _number(value: Any, atoms: int, label: str, where: str) -> np.ndarray:
    """The label as an array of its proper shape; 3 x 3 tensors may come as nine numbers or as six in Voigt order."""
    shapes = {"energy": [()], "forces": [(atoms, 3)]}.get(label, [(3, 3), (9,), (6,)])
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{where} has {str(value)[:40]!r} as {label}, not a number; correct the file")
    if array.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise InputError(f"{where} has {label} of shape {array.shape}, expected {expected}; correct the file")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{where} has {label} that is not finite (NaN or infinite); remove this label or the frame")
    array = array.astype(float)
    if array.shape == (6,):
        return voigt_6_to_full_3x3_stress(array)
    return array.reshape(3, 3, order="F") if array.shape == (9,) and label in ("virial", "stress") else array


def _check_symmetric(tensor: np.ndarray, label: str, volume: float, where: str) -> None:
    relative, absolute = SYMMETRIC
    size = volume if np.isfinite(volume) else 0.0
    if (skew := np.abs(tensor - tensor.T).max()) > relative * np.abs(tensor).max() + absolute * size:
        raise InputError(
            f"{where} has a {label} that is not symmetric (components differ by {skew:.3g} from their transposes, the largest is "
            f"{np.abs(tensor).max():.3g}): energies do not change when a crystal is rotated; correct the {label} or leave it out"
        )


def _check_size(stress: np.ndarray, stated: bool, where: str) -> None:
    """Refuse what is beyond any stress that solids are labelled at."""
    size = float(np.abs(stress).max())
    if not size > PLAUSIBLE[stated]:
        return
    unit = "bar" if size > 2000 else "kbar" if size > 20 else "GPa"
    others = [u for u, in_gpa in IN_GPA.items() if u != unit and LABELLED[0] <= size * in_gpa <= LABELLED[1]]
    likely = " or ".join(f"{u} (then {size * IN_GPA[u]:.3g} GPa)" for u in [unit, *others])
    raise InputError(
        f"{where} has a stress of {size:.3g} eV/A^3 = {size * EV_PER_A3_IN_GPA:.3g} GPa, which is too large; it is likely in "
        f"{likely}, or a virial that was taken for a stress: state the unit as units={{'stress': '{unit}'}}, with a minus, "
        f"'-{unit}', if it has the sign of a pressure, or remove the frame"
    )


def _check_constraints(atoms: Atoms, forces: np.ndarray, where: str) -> None:
    """Refuse forces to which a constraint was applied: they are not the derivatives of the energy."""
    held = sorted({int(k) for c in atoms.constraints for k in np.ravel(getattr(c, "index", []))})
    if held and len(atoms) > 1 and not forces[held].any() and forces.any():
        raise InputError(
            f"{where} has zero forces on all {len(held)} atoms under constraint, so the constraint was applied to the labels; "
            "write forces with get_forces(apply_constraint=False), or remove the constraint and the zeros"
        )


def check_distances(atoms: Atoms, where: str) -> None:
    """Refuse atoms that are nearer than any bond, in cells up to a size at which this is cheap."""
    if len(atoms) > SEARCHED or np.any(atoms.pbc & ~np.asarray(atoms.cell).any(axis=1)):
        return
    box, x = np.asarray(atoms.cell.complete()), atoms.get_positions(wrap=True)
    images = np.stack(np.meshgrid(*[[0, -1, 1] if p else [0] for p in atoms.pbc], indexing="ij"), -1).reshape(-1, 3)
    everywhere = (x[None] + (images @ box)[:, None]).reshape(-1, 3)
    if len(everywhere) > 1 and (nearest := float(KDTree(everywhere).query(x, k=2)[0][:, 1].min())) < NEAREST:
        raise InputError(
            f"{where} has atoms {nearest:.3g} A apart, nearer than any bond; state the unit of positions as "
            "units={'length': 'nm'} if it is not A, or remove the frame"
        )
