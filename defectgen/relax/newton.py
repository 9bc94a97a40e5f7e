"""Relaxation: an inexact Newton method on the bulk-referenced energy, in the metric of the perfect crystal."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from time import perf_counter

import numpy as np

from .._input import InputError, InputWarning, came, real
from .._typing import Float
from ..crystal.cell import Cell
from ..crystal.elements import checked_potentials
from ..energy.functional import CellEnergy, cell_energy
from ..energy.potential import Potential, energy_zero
from .counted import Counted, rounding_level
from .equilibrium import Equilibrium, check_reservoirs
from .greens import GreensFunction, greens_function
from .preconditioner import Preconditioner
from .search import FLOOR, NOISE, Field, advance, first
from .stability import Eigenpair, Stability, lowest_eigenvalue, sign_in_doubt, stability

COLLAPSED = "collapsed"

TOLERANCE = 1e-10
"""eV/A: forces that relaxations leave by default."""

MISSED = 10.0
"""Multiple of a given tolerance that rounding may leave: less than a decade decides about no result."""


def relax(
    cell: Cell,
    potential: Potential,
    start: Float[np.ndarray, "atoms 3"] | Equilibrium | None = None,
    tolerance: float | None = None,
    max_newton: int = 60,
    preconditioner: GreensFunction | None = None,
    eigenvalue: bool = True,
    progress: Callable[[int, float, float], None] | None = None,
    chemical_potentials: Mapping[str, float] | None = None,
    energy: CellEnergy | None = None,
) -> Equilibrium:
    """Relax a cell: the equilibrium that Newton's method reaches from the unrelaxed or given positions.

    Parameters
    ----------
    cell : Cell
        A cell with a defect, or the perfect crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    start : array, (atoms, 3), or Equilibrium, optional
        Starting positions, A; by default the unrelaxed ones.
    tolerance : float, optional
        Largest force component of a converged result, eV/A; by default 1e-10, or the rounding of the potential's forces where
        that
        is more. A given tolerance may be missed by a factor of ten at most if the residual is rounding.
    max_newton : int
        Newton steps at most.
    preconditioner : GreensFunction, optional
        From `greens_function`; saves time when a supercell is relaxed more than once.
    eigenvalue : bool
        Whether it is checked that the result is a minimum, by its stability constant. The lowest eigenvalue itself is computed
        when it is first read.
    progress : callable, optional
        Called as `progress(step, energy, residual)` (eV, eV/A) after every Newton step.
    chemical_potentials : mapping, optional
        eV per atom, by species, in the potential's own energy zero. They make the `formation_energy` of a defect that changes
        the composition of a compound, or brings a foreign species; the relaxation does not depend on them.
    energy : CellEnergy, optional
        From `cell_energy` of this cell and potential; saves its neighbour list when they are relaxed more than once.

    Returns
    -------
    Equilibrium
        Where larger noise stops the iteration earlier, or a model lets atoms fall into each other, `converged` is False;
        `message` says how far it came, and `rounding` what the forces allow.

    Raises
    ------
    InputError
        For a start of the wrong shape or with overlapping atoms, an unknown kind of potential, a preconditioner of another
        supercell, or an energy of another cell or potential.

    Warns
    -----
    InputWarning
        About a perfect crystal that is not at equilibrium with the potential, with its pressure: the cell is then relaxed under
        that pressure. Also about chemical potentials that do not add up to the energy of the crystal.

    Notes
    -----
    Each step solves H s = F by preconditioned conjugate gradients to the Eisenstat-Walker accuracy 0.9 (|F_k| / |F_k-1|)^2 in
    the dual norm (SIAM J. Sci. Comput. 17, 16 (1996)), inside a trust region with backtracking. In large periodic cells H is the
    Hessian where the crystal is strained and that of the perfect crystal elsewhere, so that a step costs little more than its
    forces, which are exact. theory: setting/cell.
    """
    clock = perf_counter()
    if tolerance is not None:
        tolerance = real(tolerance, f"the force tolerance ({TOLERANCE:g} by default)", 0, above=True, unit="eV/A")
    allowed = np.inf if tolerance is None else MISSED * tolerance
    tolerance = TOLERANCE if tolerance is None else tolerance
    functional = cell_energy(cell, potential) if energy is None else energy
    if functional.cell is not cell or functional.potential is not potential:
        raise InputError("energy= was made for another cell or potential; make it with cell_energy(cell, potential) of these two")
    known, crystal = checked_potentials(chemical_potentials, cell), functional.crystal
    check_reservoirs(cell, crystal.energy, known)
    unrest = crystal.unrest()
    if unrest:
        warnings.warn(f"{unrest}; {UNDER_PRESSURE}", InputWarning, stacklevel=2)
    green = greens_function(cell, potential) if preconditioner is None else preconditioner
    precondition = Preconditioner(cell, green)
    counted = Counted(functional, potential, precondition)

    now = first(counted, _starting_positions(precondition, start))
    residuals = [now.residual]
    while now.residual > tolerance and not now.stopped and len(residuals) <= max_newton:
        try:
            now = advance(now, counted, tolerance)
        except InputError as error:  # a fit with a hole in it: the atoms have met, which no longer is the caller's input
            now = replace(now, stopped=f"{COLLAPSED} after {len(residuals) - 1} Newton steps: {error}")
            break
        residuals.append(now.residual)
        if progress is not None:
            progress(len(residuals) - 1, now.energy, now.residual)
    products = counted.products
    rounding = rounding_level(counted, now.x, now.force) if now.stopped.startswith((FLOOR, NOISE)) else None
    reached = rounding is not None and now.residual <= min(rounding, allowed)
    converged = now.residual <= tolerance or reached
    examine = eigenvalue and not now.stopped.startswith(COLLAPSED)  # where atoms have met there is no Hessian
    checked = stability(counted.hessian(now.x), precondition, coarser=counted.coarser(now.x)) if examine else None

    if reached:
        notes = [f"converged to the rounding of the forces, {now.residual:.1e} eV/A (tolerance {tolerance:.1e})"]
    elif converged:
        notes = ["converged"]
    else:
        notes = [now.stopped or f"not there yet: {now.residual:.1e} eV/A after {max_newton} Newton steps"]
    if checked is not None and checked.undecided:
        notes.append(checked.undecided)
        checked = None
    elif checked is not None and not checked.constant > 0:
        notes.append(f"saddle point: lowest eigenvalue {checked.eigenvalue:.3g} eV/A^2; start a little off its symmetry")
    if not green.stable:
        notes.append(green.message)
    if unrest:
        notes.append(unrest)
    return Equilibrium(
        cell=cell,
        positions=now.x,
        forces=now.force,
        energy=now.energy,
        residual=now.residual,
        residuals=tuple(residuals),
        converged=converged,
        eigenvalue=None if checked is None else _eigenvalue(checked, potential, precondition, now.x),
        stability_constant=None if checked is None else checked.constant,
        bulk_stable=green.stable,
        newton_steps=len(residuals) - 1,
        energy_evaluations=counted.evaluations,
        hessian_products=products,
        eigenvalue_products=counted.products - products,
        seconds=perf_counter() - clock,
        message="; ".join(notes[1:] if notes[0] == "converged" and len(notes) > 1 else notes),
        bulk_energy=crystal.energy,
        chemical_potentials=known,
        energy_zero=energy_zero(potential),
        unrest=unrest,
        rounding=rounding,
    )


def _eigenvalue(
    checked: Stability, potential: Potential, precondition: Preconditioner, x: Field
) -> float | Callable[[], float | None]:
    """The lowest eigenvalue of the Hessian at x, if the check needed it; otherwise the function that computes it."""
    if checked.eigenvalue is not None:
        return checked.eigenvalue
    return partial(_eigenvalue_at, checked.constant, checked.mode, potential, precondition, x)


def _eigenvalue_at(constant: float, mode: Field, potential: Potential, precondition: Preconditioner, x: Field) -> float | None:
    """The lowest eigenvalue, eV/A^2; None, with a warning, if its sign is not that of the stability constant."""
    counted = Counted(cell_energy(precondition.cell, potential), potential, precondition)
    value = lowest_eigenvalue(counted.hessian(x), precondition, mode)[0]
    if doubt := sign_in_doubt(Eigenpair(constant, mode, 0.0), value):
        warnings.warn(doubt, InputWarning, stacklevel=4)
        return None
    return value


UNDER_PRESSURE = (
    "the cell is relaxed under this pressure: call dg.equilibrate(lattice, potential) first and make the cell of its result, "
    "unless the pressure is meant"
)


def _starting_positions(precondition: Preconditioner, start: Field | Equilibrium | None) -> Field:
    """Starting positions, A; what cannot move is where the cell has it."""
    cell = precondition.cell
    try:
        x = np.asarray(
            start.positions if isinstance(start, Equilibrium) else cell.positions if start is None else start, dtype=float
        )
    except (TypeError, ValueError):
        raise InputError(f"a start is an Equilibrium or positions of shape {cell.positions.shape}; got {came(start)}") from None
    if x.shape != cell.positions.shape:
        raise InputError(
            f"a start is an Equilibrium or positions of shape {cell.positions.shape}; got shape {x.shape}: use the same cell"
        )
    if not np.all(np.isfinite(x)):
        raise InputError("a start needs finite positions; got numbers that are not finite")
    return np.where(precondition.movable, x, cell.positions)
