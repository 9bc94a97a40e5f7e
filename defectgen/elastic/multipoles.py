"""The elastic dipole of a defect and its next moment, from Kanzaki forces or from the stress of a periodic cell."""

from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Float, Int
from ..crystal.cell import Cell
from ..energy.blackbox import BlackBox, gives_stress
from ..energy.crystal_state import crystal_force_constants, crystal_response, require_equilibrium
from ..energy.elastic import ElasticConstants, elastic_constants
from ..energy.functional import evaluate
from ..energy.perfect import ForceConstants
from ..energy.potential import Potential
from ..relax.equilibrium import Equilibrium
from ..relax.fourier import blocks, convolve, grid


class HarmonicCrystal:
    """The force constants H of the perfect crystal on displacements of the sites of one cell.

    In a ball, what lies outside counts as undisplaced; a site all of whose neighbours are in the ball gets its exact force.
    """

    def __init__(self, cell: Cell, constants: ForceConstants):
        lattice, sites = cell.lattice, cell.perfect_sites
        matrix = sites.matrix
        if matrix is None:
            reach = np.abs(constants.translations).max(axis=0)
            span = np.ptp(sites.translations, axis=0) + 1 + reach  # no site meets another around the corner
            span[lattice.dimension :] = 1
            matrix = np.diag(span)
        self._dimension = lattice.dimension
        self._grid = grid(matrix)
        self._block = blocks(self._grid, lattice, constants)
        self._place: Int[np.ndarray, " sites"] = self._grid.index(sites.translations) * lattice.sublattices + sites.sublattices
        self._shape = (int(np.prod(self._grid.divisors)), lattice.sublattices * lattice.dimension)

    def forces(self, u: Float[np.ndarray, "sites 3"]) -> Float[np.ndarray, "sites 3"]:
        """H u: the external forces that hold a displacement of the sites.

        Parameters
        ----------
        u : array, (sites, 3)
            A.

        Returns
        -------
        array, (sites, 3)
            eV/A.
        """
        d = self._dimension
        field = np.zeros((self._shape[0] * self._shape[1] // d, d))
        field[self._place] = u[:, :d]
        answer = convolve(self._block, self._grid, field.reshape(self._shape)).reshape(field.shape)
        result = np.zeros_like(u)
        result[:, :d] = answer[self._place]
        return result


def site_displacement(cell: Cell, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "sites 3"]:
    """Displacement (A) of every perfect site: that of the atom on it, zero where there is none.

    Any value would do on a vacant site: it changes u by a field v of finite support; H v has no resultant and no dipole.
    """
    u = np.zeros((len(cell.perfect_sites.sublattices), 3))
    on = np.flatnonzero(cell.sites >= 0)
    u[cell.sites[on]] = cell.minimum_image(positions[on] - cell.site_positions[cell.sites[on]])
    return u


def relaxed_shifts(sublattices: int, dimension: int, constants: ForceConstants) -> Float[np.ndarray, "sublattices 3 3 3"]:
    """ds_b/d(strain): shift (A) of every sublattice per unit of a symmetric strain, its mean zero; zero in a Bravais lattice."""
    d = dimension
    stiffness = np.zeros((sublattices, sublattices, d, d))
    coupling = np.zeros((sublattices, d, d, d))
    phi = constants.phi[:, :d, :d]
    np.add.at(stiffness, (constants.first, constants.second), phi)
    np.add.at(coupling, constants.first, phi[:, :, :, None] * constants.separations[:, None, None, :d])
    coupling = (coupling + coupling.swapaxes(2, 3)) / 2
    square = stiffness.swapaxes(1, 2).reshape(sublattices * d, -1)
    shift = -np.linalg.pinv((square + square.T) / 2, rcond=1e-9) @ coupling.reshape(sublattices * d, -1)
    result = np.zeros((sublattices, 3, 3, 3))
    result[:, :d, :d, :d] = shift.reshape(sublattices, d, d, d)
    return result


VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, eq=False)
class Multipoles:
    """Moments of forces about a point; sublattices condensed, so that they are those of the acoustic far field."""

    dipole: Float[np.ndarray, "3 3"]
    """P_ij = sum f_i r_j, its symmetric part, eV."""
    quadrupole: Float[np.ndarray, "3 3 3"] | None
    """M_ijk = sum f_i r_j r_k, eV A; None in a multilattice, where it is not defined without the dispersion of the shifts."""
    torque: float
    """Largest antisymmetric entry of sum f_i r_j, eV: zero up to what the boundary of the cell makes of it."""

    def __repr__(self) -> str:
        quadrupole = "no quadrupole" if self.quadrupole is None else "quadrupole"
        return shown(self, f"dipole of trace {np.trace(self.dipole):.6g} eV", quadrupole, f"torque {self.torque:.2g} eV")


@dataclass(frozen=True, eq=False)
class ElasticDipole:
    """How a defect pushes on the crystal around it. theory: setting/dipole."""

    dipole: Float[np.ndarray, "3 3"]
    """P, symmetric, eV; a positive trace pushes outwards. By the route that `route` names."""
    route: str
    """"stress": the virial of the periodic cell; "forces": Kanzaki forces, in a ball and where the potential has no stress."""
    quadrupole: Float[np.ndarray, "3 3 3"] | None
    """Third-rank moment sum f_i r_j r_k about the defect's centre, eV A; None in a multilattice."""
    from_stress: Float[np.ndarray, "3 3"] | None
    """P as the virial (minus volume times stress) of the periodic cell less that of the perfect crystal, eV; None for a ball and
    without a stress. It misses that of the infinite crystal by the defect's response to the strain of its images, R^-d."""
    from_forces: Float[np.ndarray, "3 3"] | None
    """P = sum f (x) r of the Kanzaki forces, eV; None without a potential. It misses also the anharmonic far field and what is
    cut off half a cell away: ten per cent in cells of a hundred atoms."""
    relaxation_volume_tensor: Float[np.ndarray, "3 3"] | None
    """S : P, A^3 (A^2 in two dimensions): strain of a stress-free cell times its volume; None without elastic constants."""
    torque: float | None
    """Largest antisymmetric entry of sum f (x) r, eV; not zero because the cell is finite. None without a potential."""
    stiffness: ElasticConstants | Float[np.ndarray, "6 6"] | None
    """The elastic constants behind the relaxation volume, eV/A^3; of a black box with the step of their differences."""

    def __repr__(self) -> str:
        rows = "; ".join(" ".join(f"{x:.4g}" for x in row) for row in np.where(np.abs(self.dipole) < 1e-10, 0.0, self.dipole))
        if self.relaxation_volume_tensor is None:
            volume = "no relaxation volume"
        else:
            unit = "A^3" if np.any(self.dipole[2]) else "A^2"  # the third row is zero in two dimensions
            volume = f"relaxation volume {self.relaxation_volume:.4g} {unit}"
        return shown(self, f"[{rows}] eV", volume, f"from {self.route}")

    @property
    def relaxation_volume(self) -> float:
        """Trace of the relaxation volume tensor, A^3 (A^2); tr P / (3 B) in a cubic crystal.

        Raises InputError without elastic constants.
        """
        if self.relaxation_volume_tensor is None:
            raise InputError(
                "a relaxation volume needs elastic constants: dg.elastic_dipole(equilibrium, stiffness=...), Voigt, eV/A^3"
            )
        return float(np.trace(self.relaxation_volume_tensor))


def elastic_dipole(
    equilibrium: Equilibrium, potential: Potential | None = None, *, stiffness: Float[np.ndarray, "6 6"] | None = None
) -> ElasticDipole:
    """The elastic dipole of a relaxed defect, in a periodic cell or a clamped ball.

    Parameters
    ----------
    equilibrium : Equilibrium
        The relaxed defect.
    potential : SiteEnergy or BlackBox, optional
        The potential it was relaxed with. Black boxes have all of it by differences. Not of an equilibrium from
        `dg.equilibrium`: its dipole is that of the stresses that came with it.
    stiffness : array, (6, 6), optional
        Elastic constants in Voigt order, eV/A^3, for the relaxation volume of an equilibrium from `dg.equilibrium`.

    Returns
    -------
    ElasticDipole
        By the route that `route` names, and by both where there are both; with the relaxation volume.

    Raises
    ------
    InputError
        For what is no equilibrium, for a perfect crystal that is not at equilibrium, and for an equilibrium from elsewhere
        without stresses.

    Notes
    -----
    In a periodic cell of a potential with a stress, P is the virial of the cell less that of the perfect crystal in the same
    box.
    Otherwise it is P_ij = sum_l f_i(l) r_j(l), f = H u with the force constants H of the perfect crystal (H. Kanzaki, J. Phys.
    Chem.
    Solids 2, 24 (1957)). theory: setting/dipole.
    """
    if not isinstance(equilibrium, Equilibrium):
        raise InputError(f"an elastic dipole is that of an equilibrium, as dg.relax returns it; got {type(equilibrium).__name__}")
    if potential is None:
        return _from_stress(equilibrium, stiffness)
    if equilibrium.residual_virial is not None:
        raise InputError(
            "the elastic dipole of an equilibrium from dg.equilibrium follows from the stresses that came with it; leave the "
            "potential out, and give stiffness= for the relaxation volume"
        )
    if stiffness is not None:
        raise InputError("elastic constants follow from the potential; give a potential or stiffness, not both")
    cell = equilibrium.cell
    require_equilibrium(cell.lattice, potential, "an elastic dipole")
    constants = crystal_force_constants(cell.lattice, potential)
    crystal = HarmonicCrystal(cell, constants)
    found = multipoles(cell, crystal, constants, equilibrium.positions, equilibrium.forces)
    stress = residual_virial(cell, potential, equilibrium.positions)
    dipole, route = (found.dipole, "forces") if stress is None else (stress, "stress")
    constant = elastic_constants(cell.lattice, potential)
    return ElasticDipole(
        dipole=dipole,
        route=route,
        quadrupole=found.quadrupole,
        from_stress=stress,
        from_forces=found.dipole,
        relaxation_volume_tensor=relaxation_volume_tensor(dipole, constant),
        torque=found.torque,
        stiffness=constant,
    )


def _from_stress(equilibrium: Equilibrium, stiffness: Float[np.ndarray, "6 6"] | None) -> ElasticDipole:
    """The dipole of an equilibrium from elsewhere. Raises InputError where its stresses are not known."""
    dipole = equilibrium.residual_virial
    if dipole is None:
        raise InputError(
            "an elastic dipole without a potential needs the stresses of the relaxed and of the perfect structure: give both to "
            "dg.equilibrium as labels or as stress= and bulk_stress= (eV/A^3), or give the potential that relaxed the defect"
        )
    if not equilibrium.cell.free.all():
        raise InputError("the stress of a cell with atoms that were held includes what held them, and is no elastic dipole")
    tensor = None
    if stiffness is not None:
        try:
            stiffness = np.asarray(stiffness, dtype=float)
        except (TypeError, ValueError):
            stiffness = np.zeros(0)
        if stiffness.shape != (6, 6) or not np.all(np.isfinite(stiffness)):
            raise InputError(f"elastic constants are a finite (6, 6) array in Voigt order, eV/A^3; got shape {stiffness.shape}")
        tensor = relaxation_volume_tensor(dipole, stiffness)
    return ElasticDipole(dipole, "stress", None, dipole, None, tensor, None, stiffness)


def residual_virial(cell: Cell, potential: Potential, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "3 3"] | None:
    """The virial of a relaxed periodic cell less that of the perfect crystal in its box.

    Parameters
    ----------
    cell : Cell
        The cell.
    potential : SiteEnergy or BlackBox
        A black box computes both in one box, so that what its sampling leaves of a stress cancels.
    positions : array, (atoms, 3)
        Relaxed positions, A.

    Returns
    -------
    array, (3, 3), or None
        eV; None for a ball, for a cell with atoms that are held, and for a potential without a stress.
    """
    lattice = cell.lattice
    if cell.clamped or not cell.free.all() or cell.periodic != lattice.periodic:
        return None
    if isinstance(potential, BlackBox):
        if not gives_stress(potential, cell):
            return None
        still = evaluate(potential, cell.perfect).virial
    else:
        still = np.asarray(crystal_response(lattice, potential)[2]) * (len(cell.site_positions) / lattice.sublattices)
    virial = evaluate(potential, cell, positions).virial
    if virial is None or still is None:
        return None
    difference = virial - still
    return lattice.in_plane((difference + difference.T) / 2)


def multipoles(
    cell: Cell,
    crystal: HarmonicCrystal,
    constants: ForceConstants,
    positions: Float[np.ndarray, "atoms 3"],
    residual: Float[np.ndarray, "atoms 3"],
) -> Multipoles:
    """Moments of the Kanzaki forces H u about the cell's centre.

    Parameters
    ----------
    cell : Cell
        The cell.
    crystal : HarmonicCrystal
        H on its sites.
    constants : ForceConstants
        The same force constants, eV/A^2.
    positions : array, (atoms, 3)
        Relaxed positions, A.
    residual : array, (atoms, 3)
        Forces that the relaxation left, eV/A.

    Returns
    -------
    Multipoles
        Dipole, quadrupole and torque.

    Notes
    -----
    In a ball the clamped sites are left out: only on free ones is H u minus the non-linear part of the force, which is what
    pushes;
    the forces that clamp are none of the defect's. The residual is added: far from the defect it is that of a wrong u, and
    cancels
    what it does to H u. theory: setting/dipole.
    """
    force = crystal.forces(site_displacement(cell, positions))
    on = np.flatnonzero(cell.sites >= 0)
    force[cell.sites[on]] += residual[on]
    force = np.where(_free_sites(cell)[:, None], force, 0.0)
    r = cell.minimum_image(cell.site_positions - cell.centre)
    tensor = force.T @ r
    b = cell.lattice.sublattices
    if b > 1:
        resultant = np.array([force[cell.perfect_sites.sublattices == k].sum(axis=0) for k in range(b)])
        tensor = tensor + np.einsum("ba,baij->ij", resultant, relaxed_shifts(b, cell.lattice.dimension, constants))
    quadrupole = np.einsum("li,lj,lk->ijk", force, r, r) if b == 1 else None
    return Multipoles((tensor + tensor.T) / 2, quadrupole, float(np.abs(tensor - tensor.T).max() / 2))


def relaxation_volume_tensor(dipole: Float[np.ndarray, "3 3"], stiffness: Float[np.ndarray, "6 6"]) -> Float[np.ndarray, "3 3"]:
    """S : P, the strain of a stress-free cell times its volume.

    Parameters
    ----------
    dipole : array, (3, 3)
        P, eV.
    stiffness : array, (6, 6)
        Elastic constants, Voigt, eV/A^3.

    Returns
    -------
    array, (3, 3)
        A^3; components that are not stiff at all stay zero.
    """
    stress = np.array([dipole[i, j] for i, j in VOIGT])
    strain = np.linalg.pinv(np.asarray(stiffness), rcond=1e-9) @ stress
    tensor = np.zeros((3, 3))
    for (i, j), e in zip(VOIGT, strain, strict=True):
        tensor[i, j] = tensor[j, i] = e if i == j else e / 2
    return tensor


def _free_sites(cell: Cell) -> np.ndarray:
    """Perfect sites that are free or vacant."""
    free = np.ones(len(cell.perfect_sites.sublattices), dtype=bool)
    on = cell.sites >= 0
    free[cell.sites[on]] = cell.free[on]
    return free
