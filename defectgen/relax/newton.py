"""Relaxation: an inexact Newton method on the bulk-referenced energy, in the metric of the perfect crystal."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.cell import Cell
from ..energy.functional import Potential, cell_energy
from .counted import Counted
from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .preconditioner import Preconditioner
from .search import Field, advance, first
from .stability import stability

COLLAPSED = "collapsed"


def relax(
    cell: Cell,
    potential: Potential,
    start: Float[np.ndarray, "atoms 3"] | Equilibrium | None = None,
    tolerance: float = 1e-10,
    max_newton: int = 60,
    preconditioner: GreensFunction | None = None,
    eigenvalue: bool = True,
    progress: Callable[[int, float, float], None] | None = None,
) -> Equilibrium:
    """The equilibrium of a cell that Newton's method reaches from `start` (default: the unrelaxed positions).

    Each step solves H s = F by preconditioned conjugate gradients to the Eisenstat-Walker accuracy
    0.9 (|F_k| / |F_k-1|)^2 in the dual norm (SIAM J. Sci. Comput. 17, 16 (1996)), inside a trust region with backtracking.
    In large periodic cells H is the Hessian where the crystal is strained and that of the perfect crystal elsewhere, so that a
    step costs little more than its forces, which are exact.

    `tolerance` (eV/A) bounds the largest force component; where rounding or the potential's noise stops the iteration
    earlier, or a model lets atoms fall into each other, `converged` is False and `message` says how far it came.
    `preconditioner` comes from `greens_function` and saves time when a supercell is relaxed more than once.
    `eigenvalue=False` skips the check that it is a minimum.
    `progress(step, energy, residual)` is called after every Newton step.
    Raises InputError for a start of the wrong shape or with overlapping atoms, an unknown kind of potential, or a
    preconditioner of another supercell.
    """
    clock = perf_counter()
    if not tolerance > 0:
        raise InputError(f"the force tolerance must be positive (eV/A); got {tolerance}: the default is 1e-10")
    functional = cell_energy(cell, potential)
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
    converged = now.residual <= tolerance
    examine = eigenvalue and not now.stopped.startswith(COLLAPSED)  # where atoms have met there is no Hessian
    checked = stability(counted.hessian(now.x), precondition) if examine else None

    notes = [] if converged else [now.stopped or f"not there yet: {now.residual:.1e} eV/A after {max_newton} Newton steps"]
    if checked is not None and checked.constant <= 0:
        notes.append(f"saddle point: lowest eigenvalue {checked.eigenvalue:.3g} eV/A^2; start a little off its symmetry")
    if not green.stable:
        notes.append(green.message)
    return Equilibrium(
        cell=cell,
        positions=now.x,
        forces=now.force,
        energy=now.energy,
        residual=now.residual,
        residuals=tuple(residuals),
        converged=converged,
        lowest_eigenvalue=None if checked is None else checked.eigenvalue,
        stability_constant=None if checked is None else checked.constant,
        bulk_stable=green.stable,
        newton_steps=len(residuals) - 1,
        energy_evaluations=counted.evaluations,
        hessian_products=products,
        eigenvalue_products=counted.products - products,
        seconds=perf_counter() - clock,
        message="; ".join(notes) or "converged",
    )


def _starting_positions(precondition: Preconditioner, start: Field | Equilibrium | None) -> Field:
    """Starting positions, A; what cannot move is where the cell has it."""
    cell = precondition.cell
    x = cell.positions if start is None else start.positions if isinstance(start, Equilibrium) else np.asarray(start, dtype=float)
    if x.shape != cell.positions.shape:
        raise InputError(
            f"a start is an Equilibrium or positions of shape {cell.positions.shape}; got shape {x.shape}: use the same cell"
        )
    if not np.all(np.isfinite(x)):
        raise InputError("a start wants finite positions; got numbers that are not finite")
    return np.where(precondition.movable, x, cell.positions)
