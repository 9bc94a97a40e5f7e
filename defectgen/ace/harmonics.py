"""Real spherical harmonics as polynomials of a unit vector: no angles, no division, any number of derivatives."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Complex, Float, Int


def real_harmonics(unit: Float[Array, " 3 *batch"], max_l: int) -> Float[Array, " harmonics *batch"]:
    """Real spherical harmonics, orthonormal on the sphere, without Condon-Shortley phase.

    Parameters
    ----------
    unit : array, (3, ...)
        Unit vectors.
    max_l : int
        Highest angular momentum.

    Returns
    -------
    array, (harmonics, ...)
        Y_lm for l = 0..max_l, m = -l..l in row l*l + l + m.
    """
    return jnp.moveaxis(Harmonics(tuple(unit), max_l).values(), -2, 0)


class Harmonics(eqx.Module):
    """The Y_lm at unit vectors as the polynomials N_lm Q_l^|m|(z) c_m(x, y) that they are off the sphere, kept as their factors.

    c_m + i c_-m = (x + i y)^m, Q_m^m = (2m - 1)!! and (l - m) Q_l^m = (2l - 1) z Q_(l-1)^m - (l + m - 1) Q_(l-2)^m (Legendre's
    recursion, the sine powers moved into c). Q_l^m is the m-th derivative of P_l, so that dQ_l^m/dz = Q_l^(m+1); and
    d(c_m + i c_-m) = m (c_(m-1) + i c_(1-m)) (dx + i dy). The derivative of Y_lm(g/|g|) is the part normal to g, over |g|.

    Sums over all lm are taken over l first, for every m: their derivatives are then sums over m alone.
    """

    max_l: int = eqx.field(static=True)
    cosine: list[Float[Array, "*batch slots"]]
    """c_m, m = 0..max_l."""
    sine: list[Float[Array, "*batch slots"]]
    """c_-m."""
    legendre: dict[tuple[int, int], Float[Array, "*batch slots"]]
    """Q_l^m for 0 <= m <= l."""

    def __init__(self, unit: tuple[Float[Array, "*batch slots"], ...], max_l: int):
        x, y, z = unit
        one = jnp.ones_like(x)
        self.max_l, self.cosine, self.sine, self.legendre = max_l, [one], [jnp.zeros_like(x)], {}
        for _ in range(max_l):
            c, s = self.cosine[-1], self.sine[-1]
            self.cosine.append(x * c - y * s)
            self.sine.append(x * s + y * c)
        for m in range(max_l + 1):
            self.legendre[m, m] = one * float(math.prod(range(1, 2 * m, 2)))
            for l in range(m + 1, max_l + 1):  # noqa: E741  l is the field's name
                following = (2 * l - 1) * z * self.legendre[l - 1, m]
                if l > m + 1:
                    following = following - (l + m - 1) * self.legendre[l - 2, m]
                self.legendre[l, m] = following / (l - m)

    # ---- every lm
    def values(self) -> Float[Array, "*batch harmonics slots"]:
        """Y_lm."""
        return self._legendre(0) * self._circle(self.cosine, self.sine)

    def gradient(self) -> Float[Array, "*batch 3 harmonics slots"]:
        """dY_lm in x, y and z."""
        q, nothing = self._legendre(0), self.sine[0]
        powers = [(m * c, m * s) for m, (c, s) in enumerate(zip(self.cosine[:-1], self.sine[:-1], strict=True), start=1)]
        dx = self._circle([nothing, *(c for c, _ in powers)], [nothing, *(s for _, s in powers)])
        dy = self._circle([nothing, *(-s for _, s in powers)], [nothing, *(c for c, _ in powers)])
        last = self._legendre(1) * self._circle(self.cosine, self.sine)
        return jnp.stack([q * dx, q * dy, last], axis=-3)

    def along(self, d: tuple[Float[Array, "*batch slots"], ...]) -> Float[Array, "*batch harmonics slots"]:
        """sum_a dY_lm/da d_a for a direction d at every slot."""
        nothing = jnp.zeros_like(self.sine[0] * d[0])
        cosine, sine = [nothing], [nothing]
        for m, (c, s) in enumerate(zip(self.cosine[:-1], self.sine[:-1], strict=True), start=1):
            cosine.append(m * (c * d[0] - s * d[1]))
            sine.append(m * (s * d[0] + c * d[1]))
        turned = self._legendre(0) * self._circle(cosine, sine)
        return turned + self._legendre(1) * self._circle(self.cosine, self.sine) * d[2][..., None, :]

    def _legendre(self, up: int) -> Float[Array, "*batch harmonics slots"]:
        """N_lm Q_l^(|m| + up), zero where there is none."""
        rows = [*self.legendre.values(), self.sine[0]]
        place = {label: k for k, label in enumerate(self.legendre)}
        labels = _labels(self.max_l)
        at = np.array([place.get((l, abs(m) + up), len(place)) for l, m in labels])  # noqa: E741
        return _taken(jnp.stack(rows, axis=-2), at) * np.array([norm(*label) for label in labels])[:, None]

    def _circle(self, cosine: list, sine: list) -> Float[Array, "*batch harmonics slots"]:
        at = np.array([m if m >= 0 else self.max_l - m for _, m in _labels(self.max_l)])
        return _taken(jnp.stack([*cosine, *sine[1:]], axis=-2), at)

    # ---- sums over all lm
    def slope_of(self, weights: Float[Array, "*batch harmonics slots"]) -> tuple[Float[Array, "*batch slots"], ...]:
        """sum_lm w_lm dY_lm in x, y and z."""
        x, y = self._turned(*self._sums(weights, 0), 1)
        return x, y, self._turned(*self._sums(weights, 1), 0)[0]

    def curvature_of(self, weights: Float[Array, "*batch harmonics slots"]) -> tuple[Float[Array, "*batch slots"], ...]:
        """sum_lm w_lm d2Y_lm in xx, yy, zz, yz, xz, xy."""
        xx, xy = self._turned(*self._sums(weights, 0), 2)
        xz, yz = self._turned(*self._sums(weights, 1), 1)
        return xx, -xx, self._turned(*self._sums(weights, 2), 0)[0], yz, xz, xy

    def _sums(self, weights: Float[Array, "*batch harmonics slots"], up: int) -> tuple[list, list]:
        """sum_l w_lm N_lm Q_l^(|m| + up) for m = 0, 1, ..., and for -m (nothing for -0)."""

        def total(m: int):
            terms = [
                weights[..., l * l + l + m, :] * (norm(l, m) * self.legendre[l, abs(m) + up])
                for l in range(abs(m) + up, self.max_l + 1)  # noqa: E741
            ]
            return sum(terms, start=jnp.zeros_like(weights[..., 0, :]))

        even = [total(m) for m in range(self.max_l + 1)]
        return even, [jnp.zeros_like(even[0]), *(total(-m) for m in range(1, self.max_l + 1))]

    def _turned(self, even: list, odd: list, times: int) -> tuple:
        """sum_m even_m c_m + odd_m c_-m = Re sum_m (even_m - i odd_m) (x + i y)^m, differentiated `times` times in x; and all
        but once in x and once in y, which is the same with a factor of i.
        """
        first = second = jnp.zeros_like(even[0])
        for m in range(times, self.max_l + 1):
            many, c, s = math.perm(m, times), self.cosine[m - times], self.sine[m - times]
            first = first + many * (even[m] * c + odd[m] * s)
            second = second + many * (odd[m] * c - even[m] * s)
        return first, second


def _labels(max_l: int) -> list[tuple[int, int]]:
    return [(l, m) for l in range(max_l + 1) for m in range(-l, l + 1)]  # noqa: E741


def norm(l: int, m: int) -> float:  # noqa: E741
    """N_lm."""
    k = abs(m)
    return math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - k) / math.factorial(l + k)) * (2**0.5 if m else 1)


def _taken(x: Float[Array, "*batch rows slots"], index: Int[np.ndarray, " chosen"]) -> Float[Array, "*batch chosen slots"]:
    """Rows of the last axis but one."""
    return x.at[..., index, :].get(mode="promise_in_bounds")


def real_from_complex(l: int) -> Complex[np.ndarray, "m m"]:  # noqa: E741
    """Unitary U with Y_real = U Y_complex, complex harmonics with the Condon-Shortley phase, rows and columns m = -l..l."""
    u = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    u[l, l] = 1.0
    for m in range(1, l + 1):
        sign = (-1) ** m
        u[l + m, l + m] = sign / math.sqrt(2)
        u[l + m, l - m] = 1 / math.sqrt(2)
        u[l - m, l + m] = -1j * sign / math.sqrt(2)
        u[l - m, l - m] = 1j / math.sqrt(2)
    return u


def ladder(max_l: int) -> Float[np.ndarray, "3 harmonics harmonics"]:
    """The matrices of d/dx, d/dy and d/dz on solid harmonics: dS_i/dg_a = sum_j ladder[a, i, j] S_j for S = r^l Y_lm(g/r).

    With P_lm = r^l P_l^m(cos) exp(i m phi) / (l + m)! (Condon-Shortley phase) a derivative is one step:
    d/dz P_lm = P_(l-1)m and (d/dx +- i d/dy) P_lm = +-P_(l-1)(m+-1). Source: E. W. Hobson, The Theory of Spherical and
    Ellipsoidal Harmonics, Cambridge 1931.
    """
    count = (max_l + 1) ** 2
    down, rise, fall = np.zeros((3, count, count), dtype=complex)
    unitary = np.zeros((count, count), dtype=complex)
    for l in range(max_l + 1):  # noqa: E741
        block = slice(l * l, (l + 1) ** 2)
        unitary[block, block] = real_from_complex(l)
        for m in range(-l, l + 1):
            for matrix, other, sign in ((down, m, 1), (rise, m + 1, 1), (fall, m - 1, -1)):
                if l and abs(other) < l:
                    matrix[l * l + l + m, (l - 1) ** 2 + l - 1 + other] = sign * _step(l, m) / _step(l - 1, other)
    steps = np.stack([(rise + fall) / 2, (rise - fall) / 2j, down])
    return np.ascontiguousarray((unitary @ steps @ unitary.conj().T).real)


def _step(l: int, m: int) -> float:  # noqa: E741
    """Y_lm over P_lm on the sphere."""
    return math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) * math.factorial(l + m))
