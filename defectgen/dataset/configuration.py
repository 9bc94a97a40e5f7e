"""A configuration: one geometry of one structure, with the labels somebody computed for it."""

from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float


@dataclass(frozen=True, eq=False)
class Configuration:
    """What a row of a data set is. A structure is what stays when atoms move: a molecule, or a phase, cell and defect.

    Raises InputError for shapes that do not fit the atoms, numbers that are not finite, and a periodic configuration without
    cell vectors.
    """

    structure: str
    """Which structure it is a configuration of."""
    conformation: int
    """Its number among those of the same structure and law, from 0."""
    symbols: tuple[str, ...]
    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    law: str = ""
    """How the positions were drawn ("300 K", "rattled 0.05 A", ...): rows of one law are one group of a fit."""
    energy: float | None = None
    """eV, whole; None if nobody computed it."""
    forces: Float[np.ndarray, "atoms 3"] | None = None
    """eV/A; None if nobody computed them."""
    vectors: Float[np.ndarray, "3 3"] | None = None
    """Cell vectors as rows, A; None for a molecule."""
    periodic: tuple[bool, bool, bool] = (False, False, False)
    source: str = ""
    """Where it came from."""
    virial: Float[np.ndarray, "3 3"] | None = None
    """-dE/d(strain), eV; None if nobody computed it."""

    def __post_init__(self):
        where = f"configuration {self.conformation} of {self.structure!r}"
        atoms = len(self.symbols)
        if atoms == 0:
            raise InputError(f"{where} has no atoms; leave it out")
        _check(self.positions, (atoms, 3), f"the positions of {where}")
        if self.forces is not None:
            _check(self.forces, (atoms, 3), f"the forces of {where}")
        if self.energy is not None:
            _check(self.energy, (), f"the energy of {where}")
        if self.virial is not None:
            _check(self.virial, (3, 3), f"the virial of {where}")
        if self.vectors is not None:
            _check(self.vectors, (3, 3), f"the cell vectors of {where}")
        elif any(self.periodic):
            raise InputError(f"{where} is periodic and has no cell vectors; give them, or periodic=(False, False, False)")

    def __len__(self) -> int:
        return len(self.symbols)


def _check(value, shape: tuple[int, ...], what: str) -> None:
    array = np.asarray(value)
    if array.shape != shape or not np.issubdtype(array.dtype, np.number):
        raise InputError(f"{what} must be numbers of shape {shape}; got shape {array.shape}, {array.dtype}")
    if not np.all(np.isfinite(array)):
        bad = np.count_nonzero(~np.isfinite(array))
        raise InputError(f"{what} must be finite, and {bad} of {array.size} numbers are not; leave this configuration out")
