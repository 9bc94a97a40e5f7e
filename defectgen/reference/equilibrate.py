"""The relaxed perfect crystal: lattice vectors and internal coordinates at zero stress and zero force."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from .._input import InputError, real
from .._typing import Float
from ..crystal.cell import check_lattice
from ..crystal.elements import element
from ..crystal.lattice import Lattice
from ..crystal.symmetry import homogeneous_modes, symmetric_modes
from ..energy.crystal_state import crystal_force_constants, crystal_response
from ..energy.perfect import ForceConstants
from ..energy.potential import Potential, check_potential


@dataclass(frozen=True, eq=False)
class Response:
    """Response of the crystal: its energy (eV) and minus its gradient with respect to strain (eV) and positions (eV/A)."""

    energy: float
    virial: Float[np.ndarray, "3 3"]
    forces: Float[np.ndarray, "sublattices 3"]


def response_of(lattice: Lattice, potential: Potential) -> Callable[[Lattice], Response]:
    """Energy, virial and internal forces of a crystal as a function of its lattice.

    Parameters
    ----------
    lattice : Lattice
        A crystal to try the potential on.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.

    Returns
    -------
    callable
        From a Lattice to a Response; without a stress the virial is the central difference of energies.

    Raises
    ------
    InputError
        If the potential cannot be used at all.
    """
    try:
        crystal_response(lattice, potential)
    except InputError:
        crystal_response(lattice, potential, stress=False)  # if this fails too, the potential cannot be used at all
        return lambda crystal: _by_differences(crystal, potential)

    def ask(crystal: Lattice) -> Response:
        energy, forces, virial = crystal_response(crystal, potential)
        virial = np.asarray(virial)
        return _planar(crystal, Response(float(energy), (virial + virial.T) / 2, forces - forces.mean(axis=0)))

    return ask


def _by_differences(lattice: Lattice, potential: Potential, step: float = 2e-3) -> Response:
    """The virial from energies at strains of +-h and +-2h, h = 2e-3: error h^4, and 1e-10 eV from the rounding of energies."""
    energy, forces, _ = crystal_response(lattice, potential, stress=False)
    virial = np.zeros((3, 3))
    for a in range(lattice.dimension):
        for b in range(a, lattice.dimension):
            mode = np.zeros((3, 3))
            mode[a, b] += 0.5
            mode[b, a] += 0.5
            value = [
                float(crystal_response(lattice.deformed(np.eye(3) + m * step * mode), potential, stress=False)[0])
                for m in (1, -1, 2, -2)
            ]
            virial[a, b] = virial[b, a] = -(8 * (value[0] - value[1]) - (value[2] - value[3])) / (12 * step)
    return _planar(lattice, Response(float(energy), virial, forces - forces.mean(axis=0)))


def _planar(lattice: Lattice, response: Response) -> Response:
    """In two dimensions only in-plane strain and forces count."""
    if lattice.dimension == 3:
        return response
    virial, forces = response.virial.copy(), response.forces.copy()
    virial[2, :] = virial[:, 2] = 0.0
    forces[:, 2] = 0.0
    return Response(response.energy, virial, forces)


Ask = Callable[[Lattice], Response]
"""A crystal's energy, virial and forces."""

SEARCH = 0.3
"""Largest change of all lengths (a fraction) that the search for zero pressure tries."""
FELT = 1e-8
"""eV: a trace of the virial below it is rounding of atoms that do not see each other."""
STRONG = 3.0
"""eV per atom: a trace of the virial that no crystal has within a few per cent of zero pressure."""
CROWDED = 3000
"""Atoms within the cutoff: potentials that reach far see a few hundred."""
CLOSE = 0.5
"""Neighbours nearer than this part of twice the smallest covalent radius, and many of them, are no relaxed crystal."""
COARSE = 1e-3
"""eV/A and eV per atom: a black box whose residual is above this has not found equilibrium."""


def equilibrate(lattice: Lattice, potential: Potential, tolerance: float = 1e-10) -> Lattice:
    """The lattice with strain and internal coordinates at zero stress and zero force, its orientation kept.

    Parameters
    ----------
    lattice : Lattice
        A crystal whose lengths are within 30 % of the relaxed ones.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    tolerance : float
        Largest virial per atom (eV) and internal force (eV/A). A black box whose stress is not that precise is taken as far as
        it
        goes.

    Returns
    -------
    Lattice
        The relaxed crystal. Whether it is a minimum is a separate question: `check_stable`.

    Raises
    ------
    InputError
        If the potential does not know the species, or if there is no equilibrium near the given lattice.

    Notes
    -----
    First the volume at zero pressure is found downhill from the given one, then Newton's method is run on the strains and
    shifts
    that the crystal's symmetry allows; if the given lattice is not quite symmetric, on all of them.

    Examples
    --------
    >>> import defectgen as dg
    >>> copper = dg.equilibrate(dg.fcc("Cu", 3.5), dg.reference.CleriRosato("Cu"))
    >>> round(copper.nearest_neighbour * 2**0.5, 2)
    3.61
    """
    check_lattice(lattice)
    check_potential(potential)
    tolerance = real(tolerance, "the tolerance of an equilibrium (eV per atom, eV/A)", 0, above=True)
    _check_crowded(lattice, potential)
    ask = response_of(lattice, potential)
    lattice = _zero_pressure(lattice, ask)
    lattice, residual = _newton(lattice, ask, symmetric_modes(lattice), tolerance)
    if residual > tolerance:
        free, free_residual = _newton(lattice, ask, homogeneous_modes(lattice), tolerance)
        if free_residual < 0.1 * residual:  # less is noise, which is no reason to break the symmetry
            lattice, residual = free, free_residual
    if residual > COARSE:
        raise InputError(
            f"no equilibrium of {lattice.name} was found: forces or stress of {residual:.2g} eV/A remain; "
            "start from another lattice constant or crystal structure"
        )
    return lattice


def _check_crowded(lattice: Lattice, potential: Potential) -> None:
    """Raises InputError, before a crystal of thousands of neighbours is evaluated, for lengths that are far too small."""
    cutoff = getattr(potential, "cutoff", None)
    if cutoff is None:
        return
    nearest, flat = lattice.nearest_neighbour, lattice.dimension == 2
    unit = abs(np.linalg.det(lattice.vectors)) / (np.linalg.norm(lattice.vectors[2]) if flat else 1.0)
    count = lattice.sublattices / unit * (np.pi * cutoff**2 if flat else 4 / 3 * np.pi * cutoff**3)
    near = nearest < CLOSE * 2 * min(element(s).covalent_radius for s in lattice.species)
    if count > CROWDED or (near and count > CROWDED / 10):
        raise InputError(
            f"nearest neighbours of {lattice.name} are {nearest:.3g} A apart, which puts about {count:.2g} atoms within the "
            f"cutoff of {cutoff:g} A: the lattice constant is far too small; give it in A"
        )


def _scaled(lattice: Lattice, factor: float) -> Lattice:
    """All lengths times a factor (in the plane, in two dimensions)."""
    return lattice.deformed(np.diag([factor, factor, factor if lattice.dimension == 3 else 1.0]))


def _zero_pressure(lattice: Lattice, ask: Ask) -> Lattice:
    """The lattice at the nearest volume of zero pressure, found downhill in steps of 2 % of the length."""

    def push(factor: float) -> float:
        return float(np.trace(ask(_scaled(lattice, factor)).virial))

    here, push_here = 1.0, push(1.0)
    if abs(push_here) < 1e-6 * lattice.sublattices and push(1.02) < -FELT and push(0.98) > FELT:
        return lattice
    step = 0.02 if push_here > 0 else -0.02
    if push_here * push(1.0 + step) >= 0.0:  # a fitted potential may be right nearby and have no meaning at the end
        end = push(1.0 + np.sign(step) * SEARCH) / lattice.sublattices
        if abs(end) > STRONG and end * push_here > 0:  # not even there: no need to walk, and to compile, all the way
            raise InputError(_nowhere(lattice, "it flies apart" if step > 0 else "it collapses"))
    while abs(here + step - 1.0) <= SEARCH:
        there = here + step
        push_there = push(there)
        if push_here * push_there < 0.0 and max(abs(push_here), abs(push_there)) > FELT:
            root = brentq(push, here, there, xtol=1e-7)
            return _scaled(lattice, float(root))  # pyright: ignore[reportArgumentType]
        here, push_here = there, push_there
        if step > 0 and abs(push_here) < FELT:  # nothing left to feel
            break
    fate = "it flies apart" if step > 0 else "its atoms do not see each other" if abs(push_here) < FELT else "it collapses"
    raise InputError(_nowhere(lattice, fate))


def _nowhere(lattice: Lattice, fate: str) -> str:
    return (
        f"{lattice.name} has no zero-pressure volume within {SEARCH:.0%} of the given lengths ({fate}; nearest neighbours are "
        f"{lattice.nearest_neighbour:.3g} A apart); check the lattice constant, the structure and that the potential is meant "
        "for it"
    )


def _apply(lattice: Lattice, motion: Float[np.ndarray, " coordinates"]) -> Lattice:
    """The lattice under a small symmetric strain and sublattice shifts."""
    strained = lattice.deformed(np.eye(3) + motion[:9].reshape(3, 3))
    return strained.with_motif(strained.motif + motion[9:].reshape(-1, 3))


def _newton(lattice: Lattice, ask: Ask, modes: Float[np.ndarray, "modes coordinates"], tolerance: float) -> tuple[Lattice, float]:
    """The best lattice and its residual (over all modes), by Newton's method in the given ones.

    The central-difference Jacobian is kept while it serves and made again when convergence slows.
    """
    step = 1e-4  # A or strain: truncation 1e-8 relative, which only slows a convergence that the residual decides

    def gradient(crystal: Lattice) -> tuple[np.ndarray, float]:
        r = ask(crystal)
        size = max(np.abs(r.virial).max() / lattice.sublattices, np.abs(r.forces).max())
        return -modes @ np.concatenate([r.virial.ravel(), r.forces.ravel()]), float(size)

    slope, residual = gradient(lattice)
    jacobian: np.ndarray | None = None
    for _ in range(40):
        if residual <= tolerance:
            break
        fresh = jacobian is None
        if jacobian is None:
            columns = [gradient(_apply(lattice, step * m))[0] - gradient(_apply(lattice, -step * m))[0] for m in modes]
            jacobian = np.stack(columns, axis=1) / (2 * step)
        move = modes.T @ -np.linalg.lstsq(jacobian, slope, rcond=1e-10)[0]
        move *= min(1.0, 0.1 / max(float(np.abs(move).max()), 1e-300))  # at most 10 % strain or 0.1 A at once
        for fraction in (1.0, 0.5, 0.25, 0.125) if fresh else (1.0,):
            trial = _apply(lattice, fraction * move)
            new_slope, new_residual = gradient(trial)
            if new_residual < 0.9 * residual:
                break
        else:
            if fresh:
                break  # rounding, noise of a black box, or no way down
            jacobian = None
            continue
        jacobian = jacobian if new_residual < 0.05 * residual else None
        lattice, slope, residual = trial, new_slope, new_residual
    return lattice, residual


def check_stable(lattice: Lattice, potential: Potential, grid: int = 6, constants: ForceConstants | None = None) -> float:
    """Lowest eigenvalue of the dynamical matrix (unit masses) on a grid of wave vectors, translations left out.

    Parameters
    ----------
    lattice : Lattice
        The relaxed crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    grid : int
        Wave vectors along each reciprocal vector.
    constants : ForceConstants, optional
        The crystal's force constants, if they are known already.

    Returns
    -------
    float
        eV/A^2.

    Raises
    ------
    InputError
        If it is not positive: the crystal is then no minimum, and no defect in it can be relaxed.
    """
    phi = crystal_force_constants(lattice, potential) if constants is None else constants
    count, dimension = lattice.sublattices, lattice.dimension
    steps = np.arange(grid) / grid
    k = np.stack(np.meshgrid(steps, steps, steps if dimension == 3 else [0.0], indexing="ij"), -1).reshape(-1, 3)
    phase = np.exp(2j * np.pi * k @ phi.translations.T)
    matrix = np.zeros((len(k), count, count, 3, 3), dtype=complex)
    for pair in range(len(phi.first)):
        matrix[:, phi.first[pair], phi.second[pair]] += phase[:, pair, None, None] * phi.phi[pair]
    matrix = matrix[..., :dimension, :dimension].transpose(0, 1, 3, 2, 4).reshape(len(k), count * dimension, count * dimension)
    eigenvalues = np.linalg.eigvalsh((matrix + matrix.conj().transpose(0, 2, 1)) / 2)
    at_rest = np.argsort(np.abs(eigenvalues[0]))[dimension:]  # the wave vector 0 without its translations
    lowest = float(np.concatenate([eigenvalues[0, at_rest], eigenvalues[1:].ravel()]).min())
    if lowest <= 1e-8 * eigenvalues.max():
        raise InputError(
            f"{lattice.name} is not stable: the lowest eigenvalue of its dynamical matrix is {lowest:.3g} eV/A^2; "
            "choose another crystal structure, lattice constant or potential"
        )
    return lowest
