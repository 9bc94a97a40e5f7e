"""Radial functions: orthonormal polynomials of an Agnesi-type distance transform, times an envelope that ends smoothly."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._input import InputError
from .._typing import Array, Float, Int


class Radial(eqx.Module):
    """R_n(r) = y^p P_n(2y - 1), n = 1..count, with y falling from 1 at r = 0 to 0 at the cutoff.

    x(r) = 1 / (1 + a s^q / (1 + s^(q-p'))), s = r/r0, is the generalised Agnesi transform with (p', q) = (2, 4) and a such
    that |dx/dr| is largest at r0; y = (x - x(rc)) / (1 - x(rc)). P_n are the Jacobi polynomials P^(0,2p), orthonormal for
    the weight y^(2p): with the envelope, the R_n are orthonormal in y. At the cutoff R_n has p - 1 continuous derivatives.
    """

    cutoff: float = eqx.field(static=True)
    count: int = eqx.field(static=True)
    envelope: int = eqx.field(static=True)
    inner: int = eqx.field(static=True)
    outer: int = eqx.field(static=True)
    r0: Float[Array, "species species"]
    """Distance of best resolution for each pair of species, A."""

    def __init__(
        self,
        cutoff: float,
        count: int,
        r0: Float[np.ndarray, "species species"] | list[list[float]],
        envelope: int = 4,
        transform: tuple[int, int] = (2, 4),
    ):
        inner, outer = transform
        if not 1 <= inner < outer:
            raise InputError(f"the Agnesi transform needs integers 1 <= p < q; got {transform}")
        if envelope < 2:
            raise InputError(
                f"an envelope of power {envelope} has no continuous forces; use at least 2 (4 keeps third derivatives continuous)"
            )
        self.cutoff, self.count, self.envelope, self.inner, self.outer = float(cutoff), count, envelope, inner, outer
        self.r0 = jax.device_put(np.array(r0, dtype=float))

    def __call__(
        self, r: Float[Array, "*batch"], centre: Int[Array, "*batch"], neighbour: Int[Array, "*batch"]
    ) -> Float[Array, " count *batch"]:
        """All radial functions at some distances; exactly zero at and beyond the cutoff.

        Parameters
        ----------
        r : array, (...)
            Distances, A.
        centre, neighbour : integer array, (...)
            Species of the two atoms.

        Returns
        -------
        array, (count, ...)
            R_n, n = 1..count.

        Notes
        -----
        The recursion is a loop of the program: quick to compile, with its derivatives too.
        """
        t, first = self._start(r, centre, neighbour)
        rows = self.recursion()

        def step(pair, row):
            pair = _step(t, pair, row)
            return pair, pair[1]

        others = jax.lax.scan(step, (jnp.zeros_like(first), first), rows)[1]
        return jnp.concatenate([first[None], others])

    def each(
        self, r: Float[Array, "*batch"], centre: Int[Array, "*batch"], neighbour: Int[Array, "*batch"]
    ) -> list[Float[Array, "*batch"]]:
        """The same as a list, n = 1..count, without a loop: quick to run."""
        t, first = self._start(r, centre, neighbour)
        rows = self.recursion().tolist()
        pairs = accumulate(rows, lambda pair, row: _step(t, pair, row), initial=(jnp.zeros_like(first), first))
        return [value for _, value in pairs]

    def recursion(self) -> Float[np.ndarray, "steps 3"]:
        """a, b, c of R_(n+1) = (a t + b) R_n - c R_(n-1), t = 2y - 1."""
        return np.array(_jacobi_recursion(self.count, 2 * self.envelope)).reshape(-1, 3)

    def _start(
        self, r: Float[Array, "*batch"], centre: Int[Array, "*batch"], neighbour: Int[Array, "*batch"]
    ) -> tuple[Array, Array]:
        """The argument t = 2y - 1 of the polynomials, and R_1."""
        inside = r < self.cutoff
        if self.r0.size == 1:
            r0, end = self.r0[0, 0], self._agnesi(self.cutoff / self.r0[0, 0])
        else:
            r0, end = self.r0[centre, neighbour], self._agnesi(self.cutoff / self.r0)[centre, neighbour]
        y = (self._agnesi(jnp.where(inside, r, 0.5 * self.cutoff) / r0) - end) / (1.0 - end)
        y = jnp.where(inside, y, 0.0)
        return 2.0 * y - 1.0, y**self.envelope * np.sqrt(2.0 * (2 * self.envelope + 1) / 2.0)

    def _agnesi(self, s: Any) -> Any:
        """The distance transform x of r over r0, a number or an array."""
        steep = self.outer - (self.outer - self.inner) / 2
        bend = -self.outer - (self.outer - self.inner) * (self.outer - self.inner - 2) / 4
        a = 2 * (steep**2 + bend) / (steep**2 - bend)  # x'' = 0 at s = 1
        return 1.0 / (1.0 + a * s**self.outer / (1.0 + s ** (self.outer - self.inner)))


def _step(t: Array, pair: tuple[Array, Array], row: Sequence[float] | Array) -> tuple[Array, Array]:
    """(R_n-1, R_n) to (R_n, R_n+1)."""
    a, b, c = row
    return pair[1], (a * t + b) * pair[1] - c * pair[0]


def _jacobi_recursion(count: int, beta: int) -> list[tuple[float, float, float]]:
    """Coefficients (a, b, c) of p_{k+1} = (a t + b) p_k - c p_{k-1}, orthonormal with weight (1 + t)^beta on [-1, 1].

    From the monic three-term recursion of the Jacobi polynomials P^(0, beta) (Gautschi, Orthogonal Polynomials, table 1.1).
    """

    def monic(k: int) -> tuple[float, float]:
        s = 2 * k + beta
        return beta**2 / (s * (s + 2)), (2 * k * (k + beta)) ** 2 / (s * s * (s * s - 1))

    rows = []
    for k in range(count - 1):
        alpha, square = monic(k)
        root = np.sqrt(monic(k + 1)[1])
        rows.append((1.0 / root, -alpha / root, np.sqrt(square) / root))
    return rows
