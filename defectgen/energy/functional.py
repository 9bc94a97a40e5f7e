"""The bulk-referenced energy of one cell as a function of its positions: E(x) = sum_l [V_l(Dx) - V_l(0)]."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from .._input import InputError, takes
from .._typing import Float
from ..crystal.cell import Cell
from .blackbox import BlackBox, Evaluation, blackbox_force_constants, check_no_ball
from .bonds import Bonds, bonds, pad
from .crystal_state import CrystalState, crystal_state, state_of
from .perfect import ForceConstants, crystal_bonds, force_constants
from .potential import Potential, check_potential
from .prepared import prepared_hessian
from .site import SiteEnergy
from .total import energy_forces_virial, hessian_product

SKIN = 0.4
"""A: the neighbour list is built this much wider than the cutoff and rebuilt when an atom has moved half of it."""


class CellEnergy(ABC):
    """Energy minus N times the bulk energy per atom, its gradient and its Hessian, of one cell; clamped atoms feel no force."""

    cell: Cell
    potential: Any
    """A site energy, or another code."""
    crystal: CrystalState
    """The perfect crystal of the cell with this potential."""

    @abstractmethod
    def energy_forces(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        """Energy relative to the perfect crystal, and forces.

        Parameters
        ----------
        x : array, (atoms, 3)
            Positions, A.

        Returns
        -------
        energy : float
            E(x) - N E_bulk, eV.
        forces : array, (atoms, 3)
            eV/A; zero on clamped atoms.
        """

    @abstractmethod
    def hessian_product(self, x: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """(d2E/dx2) v, restricted to free atoms.

        Parameters
        ----------
        x : array, (atoms, 3)
            Positions, A.
        v : array, (atoms, 3)
            Displacements, in any unit.

        Returns
        -------
        array, (atoms, 3)
            eV/A^2 times the unit of v.
        """

    def hessian(self, x: Float[np.ndarray, "atoms 3"]) -> Callable[[Float[np.ndarray, "atoms 3"]], Float[np.ndarray, "atoms 3"]]:
        """v -> (d2E/dx2) v at positions x (A), for several products at one place."""
        return lambda v: self.hessian_product(x, v)

    @abstractmethod
    def force_constants(self) -> ForceConstants:
        """Force constants of the perfect crystal, eV/A^2: what the lattice Green's function is made of."""


def cell_energy(cell: Cell, potential: Potential) -> CellEnergy:
    """The energy functional of a cell.

    Parameters
    ----------
    cell : Cell
        A perfect or defective cell.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.

    Returns
    -------
    CellEnergy
        E(x) - N E_bulk with its forces and Hessian products. theory: setting/energy.

    Raises
    ------
    InputError
        For something that is no cell, or no potential.
    """
    if not isinstance(cell, Cell):
        raise InputError(
            f"a cell is needed, such as defect.apply(dg.supercell(lattice, 4)); got {type(cell).__name__}: "
            "dg.from_ase and dg.defect_from_atoms make lattices and defects of ASE structures"
        )
    if isinstance(potential, BlackBox):
        return BlackBoxCell(cell, potential)
    check_potential(potential)
    return SiteSum(cell, potential)


class SiteSum(CellEnergy):
    """Bulk-referenced sum of site energies. The bulk energy is subtracted site by site, before anything large is summed."""

    def __init__(self, cell: Cell, potential: SiteEnergy):
        self.cell = cell
        self.potential = potential
        self._vectors = np.array(cell.vectors)
        self._built_at = np.full_like(cell.positions, np.inf)
        self._bonds: Bonds | None = None
        self._movable = np.ones((1, 3)) if cell.lattice.dimension == 3 else np.array([[1.0, 1.0, 0.0]])
        self._movable = self._movable * cell.free[:, None]
        x, near = crystal_bonds(cell.lattice, potential)
        values, forces, virial = energy_forces_virial(potential, x, cell.lattice.vectors, near)
        count = cell.lattice.sublattices
        bulk = np.asarray(values)[:count]
        self.crystal = state_of(cell.lattice, float(bulk.sum()), np.asarray(forces)[:count], np.asarray(virial), count)
        mean = float(bulk.mean())
        own = np.full(len(cell), mean)
        on = cell.sites >= 0
        home = cell.perfect_sites.sublattices[cell.sites[on]]
        native = np.array([cell.lattice.species[b] for b in home]) == np.array(cell.symbols)[on]
        own[np.flatnonzero(on)[native]] = bulk[home[native]]
        self._counted = self._complete_sites()
        self._own = own
        self._offset = float(np.sum((own - mean)[self._counted])) - self._perfect_offset(bulk - mean)

    def _perfect_offset(self, excess: np.ndarray) -> float:
        """What the counted sites of the perfect crystal would give: zero in a box, not in a ball that is not stoichiometric."""
        cell = self.cell
        inside = np.ones(len(cell.perfect_sites.sublattices), dtype=bool)
        if cell.clamped:
            inside = self._near_free(cell.site_positions)
        return float(np.sum(excess[cell.perfect_sites.sublattices[inside]]))

    def _complete_sites(self) -> np.ndarray:
        """Sites whose stencil is complete: all of a periodic cell; in a ball or cylinder those that can see a free atom."""
        cell, reach = self.cell, self.potential.cutoff
        if not cell.clamped:
            return np.ones(len(cell), dtype=bool)
        outer = cell.distance_from_centre(cell.site_positions).max()
        inner = cell.distance_to_defect()[cell.free].max()
        if outer - inner < 2 * reach - cell.lattice.nearest_neighbour:
            raise InputError(
                f"a clamped ball needs a shell of twice the cutoff (2 x {reach:.2f} A) around its free atoms, this one has "
                f"{outer - inner:.2f} A; use dg.ball(lattice, radius, clamp={2 * reach + 0.5:.1f})"
            )
        return self._near_free(cell.positions)

    def _near_free(self, points: np.ndarray) -> np.ndarray:
        """Points within the cutoff of a free or vacant site, wherever in the ball the defect has its centre.

        In a cylinder distances along the line do not count: it repeats there.
        """
        cell = self.cell
        across = np.eye(3) if cell.line is None else np.eye(3) - np.outer(cell.line, cell.line)
        vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites)
        seen = KDTree(np.vstack([cell.positions[cell.free], cell.site_positions[vacant]]) @ across)
        return seen.query(points @ across)[0] <= self.potential.cutoff

    def bonds(self, x: Float[np.ndarray, "atoms 3"]) -> Bonds:
        """The neighbour list valid at x."""
        moved = np.linalg.norm(x - self._built_at, axis=1).max() if self._bonds is not None else np.inf
        if self._bonds is None or not moved < SKIN / 2:
            cell = self.cell
            self._bonds = bonds(x, cell.vectors, cell.periodic, cell.symbols, self.potential, SKIN)
            self._built_at = np.array(x)
        return self._bonds

    def energy_forces(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        near = self.bonds(x)
        rows = near.index.shape[0]
        values, forces, _ = energy_forces_virial(self.potential, pad(x, rows), self._vectors, near)
        n = len(x)
        energy = float(np.sum((np.asarray(values)[:n] - self._own)[self._counted])) + self._offset
        return energy, np.asarray(forces)[:n] * self._movable

    def hessian_product(self, x: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        near = self.bonds(x)
        rows = near.index.shape[0]
        v = v * self._movable
        product = hessian_product(self.potential, pad(x, rows), self._vectors, near, pad(v, rows))
        return np.asarray(product)[: len(x)] * self._movable

    def hessian(self, x: Float[np.ndarray, "atoms 3"]) -> Callable[[Float[np.ndarray, "atoms 3"]], Float[np.ndarray, "atoms 3"]]:
        near = self.bonds(x)
        prepared = prepared_hessian(self.potential, pad(x, near.index.shape[0]), self._vectors, near)
        if prepared is None:
            return super().hessian(x)
        return lambda v: prepared(v * self._movable) * self._movable

    def force_constants(self) -> ForceConstants:
        return force_constants(self.cell.lattice, self.potential)


class BlackBoxCell(CellEnergy):
    """The same for another code: totals minus N times the bulk energy, Hessian products by central differences of forces."""

    def __init__(self, cell: Cell, potential: BlackBox):
        check_no_ball(cell)
        self.cell = cell
        self.potential = potential
        self._movable = cell.free[:, None] * (np.ones((1, 3)) if cell.lattice.dimension == 3 else np.array([[1.0, 1.0, 0.0]]))
        self.crystal = crystal_state(cell.lattice, potential)
        self._bulk = self.crystal.energy

    def energy_forces(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        cell = self.cell
        result = self.potential.evaluate(cell.symbols, x, cell.vectors, cell.periodic, False)
        return result.energy - len(cell) * self._bulk, result.forces * self._movable

    def hessian_product(
        self, x: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"], scale: float = 1.0
    ) -> Float[np.ndarray, "atoms 3"]:
        """(d2E/dx2) v from two evaluations, `scale` times the potential's own step apart from x."""
        v = v * self._movable
        size = np.abs(v).max()
        if size == 0.0:
            return np.zeros_like(v)
        h = scale * self.potential.step / size
        return -(self.energy_forces(x + h * v)[1] - self.energy_forces(x - h * v)[1]) / (2 * h)

    def force_constants(self) -> ForceConstants:
        return blackbox_force_constants(self.cell.lattice, self.potential)


@takes(cell=(Cell, "a cell, such as dg.vacancy().apply(dg.supercell(lattice, 4))"))
def evaluate(
    potential: Potential,
    cell: Cell,
    positions: Float[np.ndarray, "atoms 3"] | None = None,
    vectors: Float[np.ndarray, "3 3"] | None = None,
    stress: bool = True,
) -> Evaluation:
    """Absolute energy, forces and virial of a cell.

    Parameters
    ----------
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    cell : Cell
        Its symbols and periodicity count.
    positions : array, (atoms, 3), optional
        A; by default the cell's own.
    vectors : array, (3, 3), optional
        Box vectors as rows, A; by default the cell's own.
    stress : bool
        Whether the virial is needed.

    Returns
    -------
    Evaluation
        Energy (eV, in the potential's own zero), forces (eV/A) and virial -dE/d(strain) (eV).

    Raises
    ------
    InputError
        For something that is no cell or no potential, species that the potential does not know, and overlapping atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> copper = dg.primitive_cell(dg.fcc("Cu", 3.615))
    >>> round(dg.evaluate(dg.reference.CleriRosato("Cu"), copper).energy, 2)
    -3.54
    """
    x = cell.positions if positions is None else positions
    box = cell.vectors if vectors is None else vectors
    if isinstance(potential, BlackBox):
        return potential.evaluate(cell.symbols, x, box, cell.periodic, stress)
    check_potential(potential)
    near = bonds(x, box, cell.periodic, cell.symbols, potential)
    rows = near.index.shape[0]
    values, forces, virial = energy_forces_virial(potential, pad(x, rows), box, near)
    return Evaluation(float(np.asarray(values).sum()), np.asarray(forces)[: len(x)], np.asarray(virial))


def hessian(
    potential: SiteEnergy, cell: Cell, positions: Float[np.ndarray, "atoms 3"] | None = None
) -> Float[np.ndarray, "atoms 3 atoms 3"]:
    """Dense Hessian d2E/dx dx of a cell, column by column from Hessian-vector products.

    Parameters
    ----------
    potential : SiteEnergy
        A reference or a fitted model.
    cell : Cell
        Its box, symbols and periodicity count.
    positions : array, (atoms, 3), optional
        A; by default the cell's own.

    Returns
    -------
    array, (atoms, 3, atoms, 3)
        eV/A^2.
    """
    x = cell.positions if positions is None else positions
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, potential)
    rows, n = near.index.shape[0], len(x)
    padded, box = jnp.asarray(pad(x, rows)), jnp.asarray(cell.vectors)
    columns = []
    for start in range(0, 3 * n, 32):
        seeds = np.zeros((32, rows * 3))
        for k in range(start, min(start + 32, 3 * n)):
            seeds[k - start, k] = 1.0
        batch = hessian_product(potential, padded, box, near, seeds.reshape(32, rows, 3))
        columns.append(np.asarray(batch)[: min(32, 3 * n - start), :n])
    return np.moveaxis(np.concatenate(columns).reshape(n, 3, n, 3), (0, 1), (2, 3))
