"""The estimate of a certificate as a differentiable function of the weights of a loss.

With A_b the rows of one kind and group, weighted as in a pilot fit, and w_b = exp(lambda_b) their further weights,
    N = sum w_b^2 A_b' A_b + Gamma^2,  theta = N^-1 sum w_b^2 A_b' y_b,
written in coordinates in which the pilot's N is the identity, so that nothing is lost by squaring. The equilibrium answers to
theta to first order, K = du/dtheta at the pilot's (implicit differentiation), and all of it is differentiated by JAX.
"""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Float
from ...fit import Fit
from ..certificate.quantity import Rows
from ..certificate.sensitivity import Sensitivity
from ..domain.deviations import regularised


class Side(eqx.Module):
    """One fit, ready for other weights: Gram matrices of its groups in the pilot's coordinates.

    Unknown is the change of the coefficients from the pilot's, and labels are its residuals: small numbers are not made of
    differences of large ones.
    """

    grams: Float[Array, "groups p p"]
    sides: Float[Array, "groups p"]
    squares: Float[Array, " groups"]
    prior: Float[Array, "p p"]
    prior_side: Float[Array, " p"]
    prior_square: Float[Array, ""]
    motion: Float[Array, "k p"]
    """D K in these coordinates: strains per coordinate."""
    energy: Float[Array, " p"]
    motion_before: Float[Array, " k"]
    """D K theta of the pilot."""
    energy_before: Float[Array, ""]

    def solve(self, log_weights: Float[Array, " groups"]):
        """Answers D K theta (A) and k . theta (eV), and the squares of their spreads, under the weights."""
        square = jnp.exp(2 * log_weights)
        matrix = jnp.einsum("g,gij->ij", square, self.grams) + self.prior
        side = square @ self.sides + self.prior_side
        factor = jax.scipy.linalg.cho_factor(matrix)
        z = jax.scipy.linalg.cho_solve(factor, side)
        residual = square @ self.squares + self.prior_square - side @ z
        answer = jax.scipy.linalg.cho_solve(factor, self.motion.T)
        geometry = residual * jnp.sum(self.motion.T * answer) / len(z)
        energy = residual * (self.energy @ jax.scipy.linalg.cho_solve(factor, self.energy)) / len(z)
        return self.motion_before + self.motion @ z, self.energy_before + self.energy @ z, geometry, energy


class Objective(eqx.Module):
    """log of the certificate's estimates of geometry (A) and energy (eV) against the log of the weights."""

    own: Side
    richer: Side | None
    share: float = eqx.field(static=True)
    """Of the energy in the sum of the two logarithms."""

    def estimates(self, log_weights: Float[Array, " groups"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Squares of the two estimates."""
        motion, value, geometry, energy = self.own.solve(log_weights)
        if self.richer is not None:
            motion_wide, value_wide, geometry, energy = self.richer.solve(log_weights)
            geometry = geometry + jnp.sum((motion_wide - motion) ** 2)
            energy = energy + (value_wide - value) ** 2
        return geometry, energy

    def __call__(self, log_weights: Float[Array, " groups"]) -> Float[Array, ""]:
        geometry, energy = self.estimates(log_weights)
        return ((1 - self.share) * jnp.log(geometry) + self.share * jnp.log(energy)) / 2


@dataclass(frozen=True, eq=False)
class Posed:
    """An objective with the names of its weights."""

    objective: Objective
    names: tuple[str, ...]
    """"kind:group", in the order of the weights."""


def pose_design(fit: Fit, sensitive: Sensitivity, richer: tuple[Fit, Sensitivity] | None, share: float) -> Posed:
    """The objective around a pilot fit; `richer` a fit of a larger basis to the same rows, with its sensitivity there."""
    names = tuple(_groups(fit))
    bonds = sensitive.strains()
    if richer is None:
        return Posed(Objective(_side(fit, _fewer(bonds), sensitive.energy, names), None, share), names)
    strains = richer[1].strains()
    width = bonds.shape[1]
    joint = _fewer(np.column_stack([bonds, strains]))
    own = _side(fit, joint[:, :width], sensitive.energy, names)
    return Posed(Objective(own, _side(richer[0], joint[:, width:], richer[1].energy, names), share), names)


def _fewer(rows: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "k columns"]:
    """A triangle that gives every vector the same length."""
    return np.linalg.qr(rows, mode="r")  # pyright: ignore[reportReturnType]


def _groups(fit: Fit) -> dict[str, list[np.ndarray]]:
    """Weighted factors [A | y] of every kind and group of the fit."""
    problem, found = regularised(fit), {}
    for block, multiplier in zip(problem.blocks.items, problem.multipliers, strict=True):
        if multiplier > 0 and block.rows:
            found.setdefault(f"{block.kind}:{block.group}", []).append(multiplier * block.factor)
    return found


def _side(fit: Fit, strains: np.ndarray, energy: np.ndarray, names: tuple[str, ...]) -> Side:
    rows, groups = Rows(fit), _groups(fit)
    root = rows.leverage.root
    joined = [np.concatenate(groups[name]) for name in names]
    seen = [f[:, :-1] @ root for f in joined]
    theta, gamma = fit.coefficients, regularised(fit).gamma
    left = [f[:, -1] - f[:, :-1] @ theta for f in joined]
    believed, prior = gamma * theta, gamma[:, None] * root
    return Side(
        grams=jnp.asarray(np.stack([a.T @ a for a in seen])),
        sides=jnp.asarray(np.stack([a.T @ y for a, y in zip(seen, left, strict=True)])),
        squares=jnp.asarray(np.array([y @ y for y in left])),
        prior=jnp.asarray(prior.T @ prior),
        prior_side=jnp.asarray(-prior.T @ believed),
        prior_square=jnp.asarray(believed @ believed),
        motion=jnp.asarray(strains @ root),
        energy=jnp.asarray(energy @ root),
        motion_before=jnp.asarray(strains @ theta),
        energy_before=jnp.asarray(energy @ theta),
    )
