"""Labels of a foreign frame: which of its many keys hold energy, forces and virial, and whether the numbers can be trusted."""

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from .._input import InputError

FAMILIES = ("ref_", "dft_", "")
"""Prefixes of label keys (compared without case), the most trusted first: bare keys may be of whatever calculator ran last."""

NAMES = {
    "energy": ("energy", "free_energy"),
    "forces": ("forces", "force"),
    "virial": ("virial", "virials"),
    "stress": ("stress",),
}
"""What each kind of label is called after its prefix."""


def everything(atoms: Atoms) -> dict:
    """All that a frame carries beside its geometry, by lower-case key; ASE hides bare energies and forces in a calculator."""
    hidden = atoms.calc.results if atoms.calc is not None else {}
    own = {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    return {key.lower(): value for store in (hidden, own, atoms.info) for key, value in store.items()}


def labels(atoms: Atoms, named: dict[str, str | None], where: str) -> dict:
    """Energy (float, eV), forces ((atoms, 3), eV/A) and virial ((3, 3), eV) of a frame, those that it has.

    `named` maps the four kinds of `NAMES` to keys, or to None for the usual ones. `where` begins every message.
    Raises InputError for labels that are no finite numbers of the right shape, are spread over families, or contradict each
    other.
    """
    store = everything(atoms)
    result: dict = {label: _number(store[key], len(atoms), label, where) for label, key in _keys(store, named, where).items()}
    if "energy" in result:
        result["energy"] = float(result["energy"])
    if "stress" in result:
        if atoms.cell.rank < 3:
            raise InputError(f"{where} has a stress but no volume; give it a cell with three vectors, or a virial")
        virial = -result.pop("stress") * atoms.get_volume()
        given = result.setdefault("virial", virial)
        # files keep seven digits or eight decimals: the bound lies above such rounding and far below a wrong sign, unit or volume
        if np.abs(given - virial).max() > 1e-4 * np.abs(given).max() + 1e-7 * atoms.get_volume():
            raise InputError(
                f"{where} has a virial and a stress that contradict each other (virial must be -stress * volume, in eV); "
                "name the right one with virial_key or stress_key"
            )
    return result


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


def _number(value, atoms: int, label: str, where: str) -> np.ndarray:
    """The label as an array of its proper shape; 3 x 3 tensors may come as nine numbers or as six in Voigt order."""
    shapes = {"energy": [()], "forces": [(atoms, 3)]}.get(label, [(3, 3), (9,), (6,)])
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{where} has {str(value)[:40]!r} as {label}, which is no number; mend the file")
    if array.shape not in shapes:
        raise InputError(f"{where} has {label} of shape {array.shape}, wanted {' or '.join(map(str, shapes))}; mend the file")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{where} has {label} that is not finite (NaN or infinite); remove this label or the frame")
    array = array.astype(float)
    if array.shape == (6,):
        return voigt_6_to_full_3x3_stress(array)
    return array.reshape(3, 3, order="F") if array.shape == (9,) and label in ("virial", "stress") else array
