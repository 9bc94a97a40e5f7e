"""Truncated Newton step: conjugate gradients preconditioned by the Green's function, inside a trust region (Steihaug)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._typing import Float

FLAT = 1e-8
"""Curvature, relative to the perfect crystal's, below which a direction counts as one of negative curvature."""

MAX_PRODUCTS = 200
"""Hessian products per Newton step; the preconditioned spectrum is clustered, so a few dozen reach rounding."""

Field = Float[np.ndarray, "atoms 3"]


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
    """An approximate solution of H s = F with |F - Hs| <= `forcing` |F| in the dual of the perfect crystal's energy norm.

    Stops at the trust `radius` (sqrt(eV), measured in the energy norm by recursion, so P itself is never applied) or on a
    direction of negative curvature, which is followed to the radius, or until an atom has moved `reach` (A) if that is
    infinite. T. Steihaug, SIAM J. Numer. Anal. 20, 626 (1983); Conn, Gould, Toint, Trust-Region Methods (2000), section 7.5.
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
