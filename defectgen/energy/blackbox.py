"""A black box: a potential of which only energy, forces and stress are known, such as another code."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Float
from ..crystal.cell import Cell, primitive_cell, supercell
from ..crystal.lattice import Lattice, widths
from .perfect import ForceConstants


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One configuration's energy (eV), forces (eV/A) and virial -dE/d(strain) (eV; None if the potential has no stress)."""

    energy: float
    forces: Float[np.ndarray, "atoms 3"]
    virial: Float[np.ndarray, "3 3"] | None

    def __repr__(self) -> str:
        largest = f", {np.abs(self.forces).max():.3g} eV/A at most" if self.forces.size else ""
        virial = "no virial" if self.virial is None else f"virial of trace {np.trace(self.virial):.6g} eV"
        return shown(self, f"energy {self.energy:.8g} eV", f"forces on {len(self.forces):,} atoms{largest}", virial)


class BlackBox(ABC):
    """Energies, forces and stress from elsewhere; second derivatives by central differences with a recorded step."""

    step: float
    """Central-difference displacement, A."""

    has_stress: bool = True
    """Whether it can compute a stress."""

    reach: float = 12.0
    """Width of the supercell in which force constants are differenced, A."""

    @abstractmethod
    def evaluate(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
        stress: bool,
    ) -> Evaluation:
        """Evaluate one configuration.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array, (atoms, 3)
            A.
        vectors : array, (3, 3)
            Box vectors as rows, A.
        periodic : tuple of bool
            Along which of them the box repeats.
        stress : bool
            Whether the virial is needed.

        Returns
        -------
        Evaluation
            Energy, forces and, where `stress` is true, the virial.

        Raises
        ------
        InputError
            If `stress` is true and the potential has none.
        """


def blackbox_bulk_response(
    lattice: Lattice, potential: BlackBox, stress: bool = True
) -> tuple[float, Float[np.ndarray, "sublattices 3"], Float[np.ndarray, "3 3"] | None]:
    """Energy, internal forces and virial of the primitive cell.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    potential : BlackBox
        Another code.
    stress : bool
        Whether the virial is needed.

    Returns
    -------
    energy : float
        eV.
    forces : array, (sublattices, 3)
        eV/A.
    virial : array, (3, 3), or None
        eV.
    """
    cell = primitive_cell(lattice)
    result = potential.evaluate(cell.symbols, cell.positions, cell.vectors, cell.periodic, stress)
    return result.energy, result.forces, result.virial


@dataclass(frozen=True, eq=False)
class Displacement:
    """A perfect supercell with one atom moved: two of them make a column of force constants."""

    cell: Cell
    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    atom: int
    axis: int
    sign: float


def displacements(
    lattice: Lattice, step: float, reach: float, size: int | tuple[int, ...] | np.ndarray | None = None
) -> list[Displacement]:
    """One atom of every sublattice moved forward and back along every axis, in a supercell of the perfect crystal.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    step : float
        Displacement, A.
    reach : float
        Least width of the supercell, A.
    size : int, tuple of int or array (3, 3), optional
        The supercell, as `dg.supercell` takes it, instead of the smallest of that width.

    Returns
    -------
    list of Displacement
        2 x dimension for every sublattice.
    """
    if size is None:
        width = widths(lattice.conventional @ lattice.vectors)
        size = tuple(max(2, int(np.ceil(reach / w))) if p else 1 for w, p in zip(width, lattice.periodic, strict=True))
    cell = supercell(lattice, size)  # pyright: ignore[reportArgumentType]
    found = []
    for b in range(lattice.sublattices):
        origin = int(np.flatnonzero(cell.perfect_sites.sublattices == b)[0])
        for a in range(lattice.dimension):
            for sign in (1.0, -1.0):
                moved = cell.positions.copy()
                moved[origin, a] += sign * step
                found.append(Displacement(cell, moved, origin, a, sign))
    return found


def blackbox_force_constants(
    lattice: Lattice,
    potential: BlackBox,
    reach: float | None = None,
    size: int | tuple[int, ...] | np.ndarray | None = None,
) -> ForceConstants:
    """Force constants of the perfect crystal by central differences in a supercell.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    potential : BlackBox
        Another code.
    reach : float, optional
        Least width of the supercell, A; by default the potential's own.
    size : int, tuple of int or array (3, 3), optional
        The supercell, as `dg.supercell` takes it, instead of the smallest of that width.

    Returns
    -------
    ForceConstants
        eV/A^2, with their step and supercell.

    Notes
    -----
    Each force is given to the nearest image of its atom, shared equally among images at the same distance. Interactions longer
    than
    half the supercell are therefore folded back: the width of the supercell is the resolution of the result.
    """
    step = potential.step
    asked = displacements(lattice, step, potential.reach if reach is None else reach, size)
    cell = asked[0].cell
    columns: dict[int, np.ndarray] = {}
    for one in asked:
        forces = potential.evaluate(cell.symbols, one.positions, cell.vectors, cell.periodic, False).forces
        columns.setdefault(one.atom, np.zeros((len(cell), 3, 3)))[:, one.axis, :] -= one.sign * forces / (2 * step)
    images = np.stack(np.meshgrid(*[np.arange(-2, 3) if p else np.array([0]) for p in cell.periodic], indexing="ij"), -1).reshape(
        -1, 3
    )
    matrix = cell.perfect_sites.matrix
    assert matrix is not None  # a supercell has one
    box_in_primitive = images @ matrix
    first, second, translations, phi = [], [], [], []
    for origin, block in columns.items():
        b = int(cell.perfect_sites.sublattices[origin])
        relative = cell.perfect_sites.translations - cell.perfect_sites.translations[origin]
        for atom in range(len(cell)):
            t = relative[atom] + box_in_primitive
            d = t @ lattice.vectors + lattice.motif[cell.perfect_sites.sublattices[atom]] - lattice.motif[b]
            r = np.linalg.norm(d, axis=1)
            nearest = np.flatnonzero(r < r.min() + 1e-6)
            for n in nearest:
                first.append(b)
                second.append(int(cell.perfect_sites.sublattices[atom]))
                translations.append(t[n])
                phi.append(block[atom] / len(nearest))
    first, second, translations = np.array(first), np.array(second), np.array(translations)
    separation = translations @ lattice.vectors + lattice.motif[second] - lattice.motif[first]
    return ForceConstants(first, second, translations, separation, np.array(phi), step, matrix)


def gives_stress(potential: BlackBox, cell: Cell) -> bool:
    """Whether a black box has a stress for the cell: many codes that have one refuse boxes that are open in some direction.

    Parameters
    ----------
    potential : BlackBox
        Another code.
    cell : Cell
        The cell in question.

    Returns
    -------
    bool
        It is evaluated to find out, unless it announces that it has none.

    Raises
    ------
    InputError
        If it fails for a cell that is periodic in all directions.
    """
    if not potential.has_stress or all(cell.periodic):
        return potential.has_stress
    try:
        potential.evaluate(cell.symbols, cell.positions, cell.vectors, cell.periodic, True)
    except InputError:
        potential.evaluate(cell.symbols, cell.positions, cell.vectors, cell.periodic, False)
        return False
    return True


def check_no_ball(cell: Cell) -> None:
    """Black boxes cannot leave out the surface sites of a clamped ball or cylinder."""
    if cell.clamped:
        raise InputError("a black-box calculator cannot relax a clamped ball (its surface would count); use a periodic supercell")


def own_force_constant(lattice: Lattice, potential: BlackBox, step: float) -> float:
    """Minus the force on an atom of the perfect crystal over its displacement along x, by central differences.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal; its conventional cell is used, in which the images of the atom move too.
    potential : BlackBox
        Another code.
    step : float
        The displacement, A.

    Returns
    -------
    float
        eV/A^2. For a smooth potential it does not depend on the step, up to the square of the step.
    """
    cell = supercell(lattice, 1)
    forces = []
    for sign in (1, -1):
        x = np.array(cell.positions)
        x[0, 0] += sign * step
        forces.append(potential.evaluate(cell.symbols, x, cell.vectors, cell.periodic, False).forces[0, 0])
    return float(forces[1] - forces[0]) / (2 * step)
