"""One inexact Newton step: solve to the accuracy that pays, shorten until the energy falls, update the trust."""

from dataclasses import dataclass, replace

import numpy as np

from .._typing import Float
from .counted import Counted
from .krylov import Step, truncated_newton
from .preconditioner import Preconditioner

Field = Float[np.ndarray, "atoms 3"]

MAX_MOVE = 0.3
"""A: no atom moves farther in one step; a tenth of a bond, well inside a basin."""

SMALL_MOVE = 0.02
"""A: below it the decrease is measured by the forces, (F0 + F1).s/2, exact to third order in s and blind to the rounding of E."""

TINY_MOVE = 1e-4
"""A: below it Newton's method gains decades per step, unless the forces are noise."""

FLOOR = "float64 floor"
"""How `stopped` begins where the forces resolve no smaller residual."""

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
    if now.residual < LARGE_FORCE:
        return _stop(now, FLOOR, "the forces of this potential do not resolve less")
    return _stop(now, "stalled", "the energy is too steep and rough here for any step; the potential is of no use in this place")


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
