"""A defect relaxed with an expensive reference, from the equilibrium of a fitted model and with the model's Hessian.

Newton's method with the Hessian H of the model: u <- u + H^-1 f(u), f the forces of the reference. It contracts by the part by
which the Hessians differ, a few per cent for a good fit, and the secant pairs (s, y) of the steps taken improve H^-1 as in
L-BFGS. A few evaluations of the reference are enough, where a method that starts from nothing needs dozens.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from .._input import InputError, came, real, whole
from .._typing import Float
from ..energy.functional import cell_energy
from ..energy.potential import Potential, check_potential, energy_zero
from ..energy.site import SiteEnergy
from ..relax import Equilibrium
from ..relax.equilibrium import check_reservoirs
from .certificate.sensitivity import check_own, inverse_hessian

LONGEST = 0.2
"""A: the largest step of an atom; a longer one leaves the neighbourhood in which a Hessian is known."""

PAIRS = 8
"""Secant pairs that are kept."""

Field = Float[np.ndarray, "atoms 3"]


def relax_from(
    rest: Equilibrium,
    model: SiteEnergy,
    reference: Potential,
    tolerance: float = 2e-3,
    max_evaluations: int = 20,
    progress: Callable[[int, float, float], None] | None = None,
) -> Equilibrium:
    """Relax a defect with a reference, starting from the equilibrium of a model, in few evaluations.

    Parameters
    ----------
    rest : Equilibrium
        The defect relaxed with `model`, converged to a minimum. The result has its chemical potentials.
    model : SiteEnergy
        The fitted model, ``fit.model``.
    reference : BlackBox or SiteEnergy
        What the defect is relaxed with, such as ``dg.ASEReference(calculator)``. Its perfect crystal is evaluated once.
    tolerance : float
        Largest force component of a converged result, eV/A.
    max_evaluations : int
        Evaluations of the reference at most.
    progress : callable, optional
        Called as ``progress(evaluation, energy, residual)`` (eV, eV/A) after every evaluation.

    Returns
    -------
    Equilibrium
        Of the reference; `converged` is False where the evaluations did not suffice. Whether it is a minimum is not examined. It
        keeps symmetries of `rest`: displace `rest` and relax again where the reference may break them.

    Raises
    ------
    InputError
        For an equilibrium that is not a converged minimum of the model, and what the reference raises.

    Warns
    -----
    InputWarning
        If the chemical potentials do not add up to the reference's energy of the perfect crystal.

    Notes
    -----
    theory: fit/certificate. The first step is the displacement that the certificate's H^-1 gives for the forces of the
    reference, so ``relax_from(rest, model, reference, max_evaluations=1)`` is one evaluation at the model's equilibrium.
    """
    if not isinstance(rest, Equilibrium):
        raise InputError(f"the start is the defect relaxed with the model, as dg.relax returns it; got {came(rest)}")
    check_potential(model)
    check_potential(reference)
    if not isinstance(model, SiteEnergy):
        raise InputError(f"the Hessian is that of a fitted model or another site energy; got {came(model)}")
    if not rest.converged:
        raise InputError(f"the defect must be relaxed with the model, and it is not: {rest.message}")
    check_own(rest, cell_energy(rest.cell, model).energy_forces(np.array(rest.positions))[1])
    tolerance = real(tolerance, "the force tolerance", 0, above=True, unit="eV/A")
    most = whole(max_evaluations, "the number of evaluations", 1)
    clock = perf_counter()
    functional, solve = cell_energy(rest.cell, reference), inverse_hessian(rest, model)
    x = np.array(rest.positions)
    steps: list[Field] = []
    changes: list[Field] = []
    energy, force = functional.energy_forces(x)
    best = (float(np.abs(_free(force, rest)).max()), energy, x, force)
    residuals = [best[0]]
    while True:
        residual = residuals[-1]
        if progress is not None:
            progress(len(residuals), energy, residual)
        if residual <= tolerance or len(residuals) >= most:
            break
        step = _direction(_free(force, rest), solve, steps, changes)
        longest = float(np.linalg.norm(step, axis=1).max())
        step *= min(1.0, LONGEST / longest)
        before = force
        x = x + step
        energy, force = functional.energy_forces(x)
        change = _free(before, rest) - _free(force, rest)
        if float(np.vdot(change, step)) > 0:  # a pair without positive curvature tells nothing about a minimum
            steps, changes = [*steps, step][-PAIRS:], [*changes, change][-PAIRS:]
        residuals.append(float(np.abs(_free(force, rest)).max()))
        if residuals[-1] < best[0]:
            best = (residuals[-1], energy, x, force)
    residual, energy, x, force = best
    converged = residual <= tolerance
    crystal, known = functional.crystal, rest.chemical_potentials
    check_reservoirs(rest.cell, crystal.energy, known)
    message = (
        f"relaxed to forces of {residual:.1e} eV/A in {len(residuals)} evaluations"
        if converged
        else f"not there yet: {residual:.1e} eV/A after {len(residuals)} evaluations"
    )
    return Equilibrium(
        cell=rest.cell,
        positions=x,
        forces=force,
        energy=energy,
        residual=residual,
        residuals=tuple(residuals),
        converged=converged,
        eigenvalue=None,
        stability_constant=None,
        bulk_stable=rest.bulk_stable,
        newton_steps=len(residuals) - 1,
        energy_evaluations=len(residuals),
        hessian_products=0,
        eigenvalue_products=0,
        seconds=perf_counter() - clock,
        message=message,
        bulk_energy=crystal.energy,
        chemical_potentials=known,
        energy_zero=energy_zero(reference),
        unrest=crystal.unrest(),
    )


def _free(force: Field, rest: Equilibrium) -> Field:
    """Forces on what can move, without their mean where the cell can drift."""
    free = np.where(rest.cell.free[:, None], force, 0.0)
    return free - free.mean(axis=0) if rest.cell.free.all() else free


def _direction(force: Field, solve: Callable[[Field], Field], steps: list[Field], changes: list[Field]) -> Field:
    """The L-BFGS step (two-loop recursion) whose first guess of the inverse Hessian is that of the model."""
    q, factors = force.copy(), []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        a = float(np.vdot(s, q)) / float(np.vdot(y, s))
        factors.append(a)
        q = q - a * y
    r = np.asarray(solve(q))
    for (s, y), a in zip(zip(steps, changes, strict=True), reversed(factors), strict=True):
        r = r + s * (a - float(np.vdot(y, r)) / float(np.vdot(y, s)))
    return r
