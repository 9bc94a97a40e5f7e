"""A saddle point near a guess, and the barrier of a hop into a vacancy: uphill in one direction, downhill in all others."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from .._display import shown
from .._input import InputError, InputWarning, takes
from .._typing import Float
from ..crystal.cell import Cell
from ..crystal.elements import checked_potentials
from ..energy.functional import cell_energy
from ..energy.potential import Potential, energy_zero
from .counted import LARGEST, Counted, Product, rounding_level
from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .newton import MISSED, UNDER_PRESSURE, relax
from .preconditioner import Preconditioner
from .search import Field, dual_norm, truncated_newton
from .stability import Eigenpair, lowest_eigenpair, lowest_eigenvalue, sign_in_doubt

MAX_MOVE = 0.15
"""A: no atom moves farther in one step; a twentieth of a bond, so that the path stays near the pass."""

SURROUNDINGS = 0.05
"""sqrt(eV), dual norm of the force: so far the surroundings follow the guess before the climb starts."""


@dataclass(frozen=True, eq=False)
class _Mode:
    """A direction v of displacement and its dual p = P v, <p, v> = 1, in the metric P of the perfect crystal."""

    v: Field
    p: Field

    def off(self, w: Field) -> Field:
        """The displacement w without its part along v."""
        return w - np.vdot(self.p, w) * self.v

    def off_force(self, f: Field) -> Field:
        """The force f without what acts along v."""
        return f - np.vdot(self.v, f) * self.p


@takes(cell=(Cell, "a cell, such as dg.vacancy().apply(dg.supercell(lattice, 4))"))
def saddle_point(
    cell: Cell,
    potential: Potential,
    start: Float[np.ndarray, "atoms 3"],
    direction: Float[np.ndarray, "atoms 3"],
    tolerance: float = 1e-8,
    max_newton: int = 100,
    preconditioner: GreensFunction | None = None,
    chemical_potentials: Mapping[str, float] | None = None,
) -> Equilibrium:
    """The first-order saddle point of a cell near given positions, on a path that leads along a direction.

    Parameters
    ----------
    cell : Cell
        A cell with a defect.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    start : array, (atoms, 3)
        Positions, A.
    direction : array, (atoms, 3)
        Displacement along the path, in any unit.
    tolerance : float
        Largest force component of a converged result, eV/A.
    max_newton : int
        Newton steps at most.
    preconditioner : GreensFunction, optional
        From `greens_function`; saves time when a supercell is used more than once.
    chemical_potentials : mapping, optional
        Those of `relax`.

    Returns
    -------
    Equilibrium
        `converged` says that the force is below the tolerance, or missed by less than a decade because of rounding, and that
        exactly
        one eigenvalue is negative; `message` why not.

    Raises
    ------
    InputError
        For fields of the wrong shape, a direction without length, and what `relax` refuses.

    Warns
    -----
    InputWarning
        About a perfect crystal that is not at equilibrium with the potential, with its pressure.

    Notes
    -----
    While the force is large, the surroundings relax at a fixed progress along `direction`. Then every step climbs along the
    softest
    mode, s = -|lambda|^-1 <F, v> v, and is Newton's in all others, by preconditioned conjugate gradients (C. J. Cerjan and W.
    H.
    Miller, J. Chem. Phys. 75, 2800 (1981)). Softest is meant in the metric P of the perfect crystal, H v = lambda P v, so that
    long
    waves of a large cell are not mistaken for it. theory: bounds/barriers.
    """
    clock = perf_counter()
    x, direction = (np.asarray(field, dtype=float) for field in (start, direction))
    for name, field in (("start", x), ("direction", direction)):
        if field.shape != cell.positions.shape:
            raise InputError(
                f"the {name} of a saddle point has one row per atom, {cell.positions.shape}; got shape {field.shape}"
            )
    green = greens_function(cell, potential) if preconditioner is None else preconditioner
    precondition = Preconditioner(cell, green)
    functional, known = cell_energy(cell, potential), checked_potentials(chemical_potentials, cell)
    unrest = functional.crystal.unrest()
    if unrest:
        warnings.warn(f"{unrest}; {UNDER_PRESSURE}", InputWarning, stacklevel=2)
    counted = Counted(functional, potential, precondition)
    path = precondition.project(direction)
    if not np.linalg.norm(path) > 0:
        raise InputError("the direction of a saddle point has no length on the free atoms; give the way of the atom that hops")
    answer = precondition(path)
    mode = _Mode(answer / np.vdot(path, answer), path)

    energy, force = counted.energy_forces(x)
    residuals, climbing, resolved = [float(np.abs(force).max(initial=0.0))], False, False
    while residuals[-1] > tolerance and len(residuals) <= max_newton:
        if len(residuals) > 2 and LARGEST >= residuals[-1] > 0.5 * residuals[-3]:  # no progress: rounding, perhaps
            resolved = residuals[-1] <= min(rounding_level(counted, x, force), MISSED * tolerance)
            if resolved:
                break
        climbing = climbing or dual_norm(precondition, mode.off_force(force)) < SURROUNDINGS
        climb, hessian = 0.0, counted.hessian(x)
        if climbing:
            curvature, mode = _softest(hessian, precondition)
            climb = -float(np.vdot(force, mode.v)) / max(abs(curvature), 1e-3)
        step = _downhill(hessian, precondition, force, mode) + climb * mode.v
        step *= min(1.0, MAX_MOVE / max(float(np.linalg.norm(step, axis=1).max()), 1e-300))
        x = x + step
        energy, force = counted.energy_forces(x)
        residuals.append(float(np.abs(force).max()))
    products = counted.products
    lowest, second, eigenvalue = _two_lowest(counted.hessian(x), precondition)
    notes = [] if residuals[-1] <= tolerance or resolved else [_unfinished(residuals)]
    doubt = sign_in_doubt(lowest, None, counted.coarser(x)) or sign_in_doubt(second)
    if doubt:
        notes.append(doubt)
    elif not lowest.value < 0.0 < second.value:
        which = "a minimum" if lowest.value > 0.0 else "a place with two or more ways down"
        notes.append(f"this is {which}, no first-order saddle point; start nearer to the middle of the path")
    converged, floor = not notes, f"converged to the rounding of the forces, {residuals[-1]:.1e} eV/A"
    notes = notes or ([floor] if resolved else [])
    if unrest:
        notes.append(unrest)
    return Equilibrium(
        cell=cell,
        positions=x,
        forces=force,
        energy=energy,
        residual=residuals[-1],
        residuals=tuple(residuals),
        converged=converged,
        eigenvalue=None if doubt else eigenvalue,
        stability_constant=None if doubt else lowest.value,
        bulk_stable=green.stable,
        newton_steps=len(residuals) - 1,
        energy_evaluations=counted.evaluations,
        hessian_products=products,
        eigenvalue_products=counted.products - products,
        seconds=perf_counter() - clock,
        message="; ".join(notes) or "converged",
        bulk_energy=functional.crystal.energy,
        chemical_potentials=known,
        energy_zero=energy_zero(potential),
        unrest=unrest,
    )


def _unfinished(residuals: list[float]) -> str:
    return f"not there yet: {residuals[-1]:.1e} eV/A after {len(residuals) - 1} Newton steps"


def _downhill(hessian: Product, precondition: Preconditioner, force: Field, mode: _Mode) -> Field:
    """Newton's step in all directions but the mode; where even they have negative curvature, down along it."""

    def product(w):
        return mode.off_force(hessian(mode.off(w)))

    def inverse(f):
        return mode.off(precondition(mode.off_force(f)))

    rest = mode.off_force(force)
    forcing = float(np.clip(dual_norm(precondition, rest), 1e-4, 0.1))
    return mode.off(truncated_newton(product, inverse, rest, forcing, np.inf, MAX_MOVE).vector)


def _softest(hessian: Product, precondition: Preconditioner) -> tuple[float, _Mode]:
    """The lowest eigenvalue of H v = lambda P v and its mode."""
    found = lowest_eigenpair(hessian, precondition, 1e-6)
    return found.value, _mode(hessian, found)


def _mode(hessian: Product, found: Eigenpair) -> _Mode:
    """The mode of an eigenvalue; P v is H v / lambda, as P itself is not at hand."""
    p = hessian(found.mode) / found.value
    size = np.sqrt(abs(float(np.vdot(p, found.mode))))
    return _Mode(found.mode / size, p / size)


def _two_lowest(hessian: Product, precondition: Preconditioner) -> tuple[Eigenpair, Eigenpair, float]:
    """The two lowest eigenvalues of H v = lambda P v, and the lowest of H (eV/A^2).

    The second is the lowest once the first is moved to 1, by H + (1 - lambda) P v (P v)^T.
    """
    lowest = lowest_eigenpair(hessian, precondition, 1e-6)
    mode = _mode(hessian, lowest)
    second = lowest_eigenpair(lambda w: hessian(w) + (1.0 - lowest.value) * np.vdot(mode.p, w) * mode.p, precondition)
    return lowest, second, lowest_eigenvalue(hessian, precondition, mode.v)[0]


@dataclass(frozen=True, eq=False)
class Barrier:
    """What it takes an atom to hop into the vacancy next to it."""

    minimum: Equilibrium
    saddle: Equilibrium
    atom: int
    """The atom that hops."""

    def __repr__(self) -> str:
        return shown(
            self,
            self.minimum.cell.lattice.name,
            self.minimum.cell.defect,
            f"barrier {self.energy:.5g} eV",
            f"atom {self.atom} hops",
            "converged" if self.converged else "not converged",
        )

    @property
    def energy(self) -> float:
        """E(saddle) - E(minimum), eV."""
        return self.saddle.energy - self.minimum.energy

    @property
    def converged(self) -> bool:
        """Whether the one is a minimum and the other a first-order saddle point above it, both to the tolerance."""
        return self.minimum.converged and self.minimum.is_minimum is not False and self.saddle.converged


@takes(cell=(Cell, "a cell, such as dg.vacancy().apply(dg.supercell(lattice, 4))"))
def migration_barrier(
    cell: Cell,
    potential: Potential,
    atom: int | None = None,
    preconditioner: GreensFunction | None = None,
    chemical_potentials: Mapping[str, float] | None = None,
) -> Barrier:
    """The barrier of a hop of an atom into the vacancy.

    Parameters
    ----------
    cell : Cell
        A cell with one vacant site.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    atom : int, optional
        The atom that hops; by default the nearest one, of several that with largest x, then y, then z.
    preconditioner : GreensFunction, optional
        From `greens_function`; saves time when a supercell is used more than once.
    chemical_potentials : mapping, optional
        Those of `relax`, for the formation energies of both states; the barrier does not depend on them.

    Returns
    -------
    Barrier
        The minimum, the saddle point and the energy between them.

    Raises
    ------
    InputError
        For a cell without exactly one vacant site, an atom that is not there, and what `relax` refuses.

    Warns
    -----
    InputWarning
        About a perfect crystal that is not at equilibrium: the barrier is then that under its pressure.

    Notes
    -----
    The saddle point is looked for from half way between the atom's site and the vacant one. theory: bounds/barriers.
    """
    vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites)
    if len(vacant) != 1:
        raise InputError(f"a hop needs one vacant site, such as dg.vacancy().apply(cell) has; this cell has {len(vacant)}")
    away = cell.minimum_image(cell.positions - cell.site_positions[vacant[0]])
    if atom is None:
        keys = np.round(np.column_stack([-away[:, ::-1], np.linalg.norm(away, axis=1)]), 6)
        atom = int(np.lexsort(keys.T)[0])
    if not 0 <= atom < len(cell) or not cell.free[atom]:
        raise InputError(f"the atom that hops is a free one, 0 to {len(cell) - 1}; got {atom}")
    green = greens_function(cell, potential) if preconditioner is None else preconditioner
    minimum = relax(cell, potential, preconditioner=green, chemical_potentials=chemical_potentials)
    start, direction = minimum.positions.copy(), np.zeros_like(cell.positions)
    start[atom] = cell.positions[atom] - away[atom] / 2
    direction[atom] = -away[atom]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # the same as that of the minimum
        saddle = saddle_point(cell, potential, start, direction, preconditioner=green, chemical_potentials=chemical_potentials)
    if saddle.converged and saddle.energy <= minimum.energy:
        lower = (
            f"converged to a saddle point {minimum.energy - saddle.energy:.3g} eV below the minimum that the hop starts from: "
            "the relaxed vacancy is not the most stable state; relax the defect with the atom half way to the vacant site"
        )
        saddle = replace(saddle, converged=False, message=lower)
    return Barrier(minimum, saddle, atom)
