"""A snapshot: one geometry of a cell, with its labels."""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from .._display import counted, shown
from .._input import InputError, came, check_finite, did_you_mean
from .._typing import Float
from .cell import Cell

SHAPES = {"energy": "a number, eV", "forces": "(atoms, 3), eV/A", "virial": "(3, 3), eV"}
"""Labels a snapshot may carry."""

DEFECT, BULK, STRAIN = "defect", "bulk", "strain"
"""Roles: defect cells (E, F), the perfect primitive cell (E, FC, V0), strained primitive cells (V)."""

ROLES = ("", DEFECT, BULK, STRAIN)
"""What a snapshot may be for; the empty role is any labelled configuration (E, F and the virial that it carries)."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A configuration: displaced atoms in a possibly strained box, with its cell (crystal, defect, sites) and labels.

    Raises
    ------
    InputError
        For shapes that do not fit the cell, numbers that are not finite, unknown labels, or an unknown role.

    Notes
    -----
    What is observed on a snapshot follows from its `role`, which `dg.training_cells` sets. `group` and `source` are names.

    Examples
    --------
    >>> import defectgen as dg
    >>> cell = dg.supercell(dg.fcc("Cu", 3.615), 2)
    >>> dg.Snapshot(cell, cell.positions, cell.vectors, group="bulk", labels={"energy": -113.4})
    Snapshot(fcc Cu, 32 atoms of Cu, group bulk, labels: energy)
    """

    cell: Cell
    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    vectors: Float[np.ndarray, "3 3"]
    """Box vectors as rows, A."""
    group: str = ""
    """Configuration group: rows of one group share a weight. Any name; it decides nothing else."""
    labels: dict | None = None
    """`energy` (eV), `forces` (eV/A), `virial` (= -dE/d(strain), eV), those that are known; None before labelling."""
    source: str = ""
    """Who computed the labels, or which file they came from."""
    role: str = ""
    """What it is for: one of `ROLES`."""
    amplitude: float | None = None
    """Of a cell with a role: standard deviation of its rattle (A), or the size of its strain; 0 for the relaxed defect cell."""
    pair: bool = False
    """Whether a strained cell combines two strain modes."""
    weight: float = 1.0
    """Factor of all its rows in a fit, on top of the weights of kinds and groups."""
    atom_weights: Float[np.ndarray, " atoms"] | None = None
    """Factors of the force rows of every atom; None: one everywhere."""
    columns: dict | None = None
    """Numbers of your own, by name: one for the configuration, or one for every atom. Weights may be functions of them."""

    def __post_init__(self):
        if not isinstance(self.cell, Cell):
            raise InputError(f"a snapshot is of a cell, such as dg.supercell(lattice, 2); got {came(self.cell)}")
        what = f"snapshot of group {self.group!r}"
        if self.role not in ROLES:
            raise InputError(
                f"the role of a snapshot is {', '.join(repr(r) for r in ROLES if r)} or empty; a {what} has {self.role!r}: "
                "give a name of your own as its group"
            )
        if self.amplitude is not None and not (isinstance(self.amplitude, Real) and np.isfinite(self.amplitude)):
            raise InputError(f"the amplitude of a {what} is a finite number or None; got {self.amplitude!r}")
        _check(self.positions, (len(self.cell), 3), f"positions of a {what}")
        _check(self.vectors, (3, 3), f"box vectors of a {what}")
        if abs(np.linalg.det(self.vectors)) < 1e-6:
            raise InputError(f"the box vectors of a {what} span no volume; got {self.vectors.tolist()}")
        if not (isinstance(self.weight, Real) and np.isfinite(self.weight) and self.weight >= 0):
            raise InputError(f"the weight of a {what} is zero or a positive number; got {self.weight!r}")
        if self.atom_weights is not None:
            _check(self.atom_weights, (len(self.cell),), f"weights of the atoms of a {what}")
            if np.any(np.asarray(self.atom_weights) < 0):
                raise InputError(
                    f"the weights of the atoms of a {what} are zero or positive; the smallest is {np.min(self.atom_weights)}"
                )
        self._check_columns(what)
        if self.labels is None:
            return
        if not isinstance(self.labels, dict):
            raise InputError(f"labels are a table of {', '.join(SHAPES)}; got {type(self.labels).__name__}")
        shape = {"energy": (), "forces": (len(self.cell), 3), "virial": (3, 3)}
        for key, value in self.labels.items():
            if key not in shape:
                raise InputError(
                    f"labels are {', '.join(f'{k} ({s})' for k, s in SHAPES.items())}; a {what} has {key!r}"
                    + did_you_mean(key, shape)
                )
            _check(value, shape[key], f"label {key} of a {what}")

    def __repr__(self) -> str:
        known = ", ".join(name for name, value in (self.labels or {}).items() if value is not None)
        return shown(
            self,
            self.cell.lattice.name,
            self.cell.defect,
            counted(self.cell.symbols),
            f"group {self.group}" if self.group else "",
            f"role {self.role}" if self.role else "",
            f"labels: {known}" if known else "without labels",
        )

    @property
    def strain(self) -> str:
        """The strain of a strained cell in words that a loss reads, `strain 0.01` or `strain 0.01 pair`; empty for others."""
        if self.role != STRAIN or self.amplitude is None:
            return ""
        return f"strain {self.amplitude:g}{' pair' if self.pair else ''}"

    def _check_columns(self, what: str) -> None:
        """Raises InputError for columns that are no numbers of the configuration or of its atoms."""
        if self.columns is None:
            return
        if not isinstance(self.columns, dict) or any(not isinstance(name, str) for name in self.columns):
            raise InputError(f"columns are a table of names and numbers, like {{'temperature': 300.0}}; got {self.columns!r}")
        for name, value in self.columns.items():
            _check(value, () if np.ndim(value) == 0 else (len(self.cell),), f"column {name!r} of a {what}")


def _check(value: object, shape: tuple[int, ...], what: str) -> None:
    array = np.asarray(value)
    if array.shape != shape or not np.issubdtype(array.dtype, np.number):
        raise InputError(f"the {what} must be numbers of shape {shape}; got shape {array.shape}, {array.dtype}")
    if not np.all(np.isfinite(array)):
        bad = np.count_nonzero(~np.isfinite(array))
        raise InputError(f"the {what} must be finite, but {bad} of its {array.size} numbers are not; correct it or leave it out")
    check_finite(array, f"the {what}")
