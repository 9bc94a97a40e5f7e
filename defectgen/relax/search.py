"""One inexact Newton step: conjugate gradients in a trust region, shortened until the energy falls."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Float
from .counted import LARGEST, Counted
from .preconditioner import Preconditioner

Field = Float[np.ndarray, "atoms 3"]


FLAT = 1e-8
"""Curvature, relative to the perfect crystal's, below which a direction counts as one of negative curvature."""

MAX_PRODUCTS = 200
"""Hessian products per Newton step; the preconditioned spectrum is clustered, so a few dozen reach rounding."""


@dataclass(frozen=True, eq=False)
class Step:
    """A step s of the quadratic model F.s - s.Hs/2."""

    vector: Field
    """s, A."""
    residual: Field
    """F - H s, eV/A: what the model leaves of the force."""
    norm: float
    """Length of s in the perfect crystal's energy norm, sqrt(eV)."""
    inside: bool
    """False if the step ends on the trust region or follows a direction of negative curvature."""

    def scaled(self, factor: float, force: Field) -> "Step":
        """The step `factor` s."""
        return Step(factor * self.vector, force - factor * (force - self.residual), factor * self.norm, self.inside)

    def decrease(self, force: Field) -> float:
        """The model's decrease F.s - s.Hs/2, eV."""
        return float(np.vdot(self.vector, force + self.residual)) / 2


def truncated_newton(
    product: Callable[[Field], Field],
    precondition: Callable[[Field], Field],
    force: Field,
    forcing: float,
    radius: float,
    reach: float,
) -> Step:
    """An approximate solution of H s = F by preconditioned conjugate gradients inside a trust region.

    Parameters
    ----------
    product : callable
        v -> H v, eV/A^2 times the unit of v.
    precondition : callable
        Force to displacement, the inverse of the perfect crystal's operator P.
    force : array, (atoms, 3)
        F, eV/A.
    forcing : float
        The residual is reduced to this part of |F|, in the dual of the energy norm of P.
    radius : float
        Trust radius in the energy norm, sqrt(eV).
    reach : float
        Where the radius is infinite, no atom follows a direction of negative curvature farther than this, A.

    Returns
    -------
    Step
        The step and the residual of the linear system.

    Notes
    -----
    Stops at the trust radius (measured in the energy norm by recursion, so P itself is never applied) or on a direction of
    negative
    curvature, which is followed to the radius. T. Steihaug, SIAM J. Numer. Anal. 20, 626 (1983); Conn, Gould, Toint,
    Trust-Region
    Methods (2000), section 7.5.
    """
    step, residual = np.zeros_like(force), force.copy()
    search = z = precondition(residual)
    energy = start = float(np.vdot(residual, z))
    length, overlap, width = 0.0, 0.0, energy  # |s|^2, <s, p> and |p|^2 in the energy norm
    for _ in range(MAX_PRODUCTS):
        if not energy > 0.0:
            break
        image = product(search)
        curvature = float(np.vdot(search, image))
        downhill = curvature > FLAT * width
        alpha = energy / curvature if downhill else np.inf
        if not downhill or length + 2 * alpha * overlap + alpha**2 * width >= radius**2:
            if np.isfinite(radius):
                root = np.sqrt(max(overlap**2 + width * (radius**2 - length), 0.0))
                alpha = (radius**2 - length) / (overlap + root) if overlap + root > 0 else 0.0
            else:
                alpha = reach / np.abs(search).max()
            norm = np.sqrt(max(length + 2 * alpha * overlap + alpha**2 * width, 0.0))
            return Step(step + alpha * search, residual - alpha * image, float(norm), False)
        step = step + alpha * search
        residual = residual - alpha * image
        length += 2 * alpha * overlap + alpha**2 * width
        z = precondition(residual)
        previous, energy = energy, float(np.vdot(residual, z))
        if energy <= forcing**2 * start:
            break
        beta = energy / previous
        overlap = beta * (overlap + alpha * width)
        width = energy + beta**2 * width
        search = z + beta * search
    return Step(step, residual, float(np.sqrt(length)), True)


MAX_MOVE = 0.3
"""A: no atom moves farther in one step; a tenth of a bond, well inside a basin."""

SMALL_MOVE = 0.02
"""A: below it the decrease is measured by the forces, (F0 + F1).s/2, exact to third order in s and blind to the rounding of E."""

TINY_MOVE = 1e-4
"""A: below it Newton's method gains decades per step, unless the forces are noise."""

FLOOR, NOISE = "float64 floor", "noise floor"
"""How `stopped` begins where the forces resolve no smaller residual: because of double precision, or of noise above it."""

LARGE_FORCE = 0.01
"""eV/A: no noise of forces is above it; what remains there is a place where the potential has gone wild."""


@dataclass(frozen=True, eq=False)
class Iterate:
    """A point of the Newton iteration and what the next step should know."""

    x: Field
    energy: float
    force: Field
    dual: float
    """Force in the dual of the perfect crystal's energy norm, sqrt(F.P^+ F), sqrt(eV)."""
    forcing: float = 0.1
    """Relative accuracy of the next linear solve."""
    radius: float = np.inf
    """Trust radius in the energy norm, sqrt(eV)."""
    idle: int = 0
    """Tiny steps in a row that gained nothing."""
    stopped: str = ""
    """Why the iteration cannot go on; empty while it can."""

    @property
    def residual(self) -> float:
        """Largest force component, eV/A."""
        return float(np.abs(self.force).max(initial=0.0))


def first(counted: Counted, x: Field) -> Iterate:
    """The iteration's starting point. Raises InputError if the potential cannot be evaluated there."""
    energy, force = counted.energy_forces(x)
    return Iterate(x, energy, force, dual_norm(counted.precondition, force))


def dual_norm(precondition: Preconditioner, force: Field) -> float:
    """sqrt(F.P^+ F), sqrt(eV)."""
    return float(np.sqrt(max(np.vdot(force, precondition(force)), 0.0)))


def advance(now: Iterate, counted: Counted, tolerance: float) -> Iterate:
    """The iterate after one Newton step, or the same one with `stopped` saying why there is none."""
    precondition = counted.precondition
    step = truncated_newton(counted.hessian(now.x), precondition, now.force, now.forcing, now.radius, MAX_MOVE)
    longest = _move(step)
    if longest > MAX_MOVE:
        step = step.scaled(MAX_MOVE / longest, now.force)
    for _ in range(12 if longest > TINY_MOVE else 3):
        if _move(step) <= 4 * np.finfo(float).eps * max(1.0, float(np.abs(now.x).max())):
            return _stop(now, FLOOR, "smaller steps are below the rounding of the positions")
        energy, force = counted.trial(now.x + step.vector)
        ratio = _agreement(now, step, energy, force)
        if ratio > 1e-4:
            return _accepted(now, step, ratio, energy, force, precondition, tolerance)
        now = replace(now, radius=0.5 * step.norm)
        step = step.scaled(0.5 if np.isfinite(energy) else 0.25, now.force)
    if longest <= TINY_MOVE:
        return _unresolved(now)
    return _stop(now, "stalled", "no shorter step lowers the energy; the forces may not be the gradient of the energy")


def _move(step: Step) -> float:
    """Longest displacement of an atom, A."""
    return float(np.linalg.norm(step.vector, axis=1).max(initial=0.0))


def _stop(now: Iterate, kind: str, why: str) -> Iterate:
    return replace(now, stopped=f"{kind}: {now.residual:.1e} eV/A; {why}")


def _unresolved(now: Iterate) -> Iterate:
    """Tiny steps gain nothing: at small forces that is rounding, at large ones the fault of the potential."""
    if now.residual <= LARGEST:
        return _stop(now, FLOOR, "the forces of this potential do not resolve less")
    if now.residual < LARGE_FORCE:
        why = "the forces of this potential resolve no less, as in single precision or without tight convergence"
        return _stop(now, NOISE, f"{why}; give a larger tolerance")
    return _stop(now, "stalled", "the energy is too steep and rough here for any step; the potential cannot be used there")


def _agreement(now: Iterate, step: Step, energy: float, force: Field) -> float:
    """Measured over predicted decrease."""
    if not np.isfinite(energy):
        return -np.inf
    measured = float(np.vdot(step.vector, now.force + force)) / 2 if _move(step) < SMALL_MOVE else now.energy - energy
    return measured / max(step.decrease(now.force), 1e-300)


def _accepted(
    now: Iterate, step: Step, ratio: float, energy: float, force: Field, precondition: Preconditioner, tolerance: float
) -> Iterate:
    """The next iterate: trust by agreement, accuracy by Eisenstat and Walker's second choice."""
    radius = now.radius
    if ratio < 0.25:
        radius = 0.5 * step.norm
    elif ratio > 0.75:
        radius = np.inf if step.inside else max(2 * step.norm, radius if np.isfinite(radius) else 0.0)
    residual = float(np.abs(force).max())
    idle = now.idle + 1 if _move(step) < TINY_MOVE and residual > 0.5 * now.residual else 0
    if idle and residual >= now.residual:  # noise: keep the better point
        after = replace(now, radius=radius, idle=idle)
    else:
        dual = dual_norm(precondition, force)
        gain = 0.9 * (dual / now.dual) ** 2
        enough = 0.3 * tolerance / max(residual, 1e-300)
        forcing = float(np.clip(max(gain, enough), 1e-7, 0.1))
        after = Iterate(now.x + step.vector, energy, force, dual, forcing, radius, idle)
    return _unresolved(after) if idle >= 3 else after
