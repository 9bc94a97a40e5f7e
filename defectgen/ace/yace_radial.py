"""Radial functions of ML-PACE potentials: the families of its files, tabulated once, evaluated as smooth piecewise polynomials.

Every function is tabulated with its first and second derivative and interpolated by polynomials of degree 5: two continuous
derivatives, and with nodes STEP apart an error near rounding. The C++ evaluator tabulates the same functions, with cubic
polynomials on a grid of its own (`deltaSplineBins`), so it differs by the error of those.

Functions: Y. Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021), and the documentation of pacemaker.
"""

from math import pi, sqrt

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int

STEP = 0.004
"""A, between nodes: a polynomial of degree 30 over 6 A is then exact to 1e-14 of its largest value."""

FAMILIES = ("ChebExpCos", "ChebPow", "ChebLinear", "SBessel", "TEST_SBessel")
"""Names that a file may give (`radbasename`) for functions with a formula."""


class TabulatedRadial(eqx.Module):
    """Columns R_c(r) of each pair of species (central atom, neighbour), zero from the cutoff of the pair on.

    Outside the tables, R is multiplied by what is not smooth in it: the inner cutoff, and the outer one of ChebExpCos.
    """

    table: Float[Array, "pairs nodes entries"]
    """Value, first and second derivative (per spacing) of all columns, one after the other."""
    spacing: Float[Array, " pairs"]
    """A."""
    reach: Float[Array, " pairs"]
    """Cutoff of each pair, A."""
    inner: Float[Array, "pairs 2"]
    """End and width of the inner cutoff, A; a width of 0 for none. A sharp one is a step at end - width."""
    fade: Float[Array, " pairs"]
    """Width of the outer cutoff, A; 0 for none."""
    kinds: int = eqx.field(static=True)
    count: int = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    has_inner: bool = eqx.field(static=True)
    sharp: bool = eqx.field(static=True)
    has_fade: bool = eqx.field(static=True)

    def __init__(self, tables: list[Float[np.ndarray, "3 nodes columns"]], reach, inner, fade, kinds: int, sharp: bool):
        self.kinds, self.count, self.cutoff = kinds, tables[0].shape[2], float(max(reach))
        most = max(t.shape[1] for t in tables)
        spacing = np.array([end / (t.shape[1] - 1) for end, t in zip(reach, tables, strict=True)])
        filled = np.zeros((len(tables), most, 3, self.count))
        for k, t in enumerate(tables):
            filled[k, : t.shape[1]] = np.moveaxis(t * spacing[k] ** np.arange(3)[:, None, None], 0, 1)
        inner, fade = np.array(inner, dtype=float), np.array(fade, dtype=float)
        self.has_inner, self.has_fade, self.sharp = bool(np.any(inner > 0)), bool(np.any(fade > 0)), sharp
        self.table, self.spacing, self.reach, self.inner, self.fade = jax.device_put(
            (filled.reshape(len(tables), most, -1), spacing, np.array(reach, dtype=float), inner, fade)
        )

    def __call__(
        self, r: Float[Array, "*batch"], centre: Int[Array, "*batch"], neighbour: Int[Array, "*batch"]
    ) -> Float[Array, " count *batch"]:
        """The same as `each`."""
        return self.each(r, centre, neighbour)

    def each(
        self, r: Float[Array, "*batch"], centre: Int[Array, "*batch"], neighbour: Int[Array, "*batch"]
    ) -> Float[Array, " count *batch"]:
        """All columns at distances r (A)."""
        pair = centre * self.kinds + neighbour
        spacing, reach = self.spacing[pair], self.reach[pair]
        inside = r < reach
        x = jnp.where(inside, r, 0.5 * reach) / spacing
        node = jax.lax.stop_gradient(jnp.floor(x)).astype(int)
        t = x - node
        left = self.table[pair, node].reshape(*r.shape, 3, self.count)
        right = self.table[pair, node + 1].reshape(*r.shape, 3, self.count)
        t3 = t * t * t
        weights = (
            (1 - t3 * (10 - t * (15 - 6 * t)), t - t3 * (6 - t * (8 - 3 * t)), 0.5 * t * t - t3 * (1.5 - t * (1.5 - 0.5 * t))),
            (t3 * (10 - t * (15 - 6 * t)), -t3 * (4 - t * (7 - 3 * t)), t3 * (0.5 - t * (1 - 0.5 * t))),
        )
        terms = [
            w[..., None] * side[..., k, :] for ws, side in zip(weights, (left, right), strict=True) for k, w in enumerate(ws)
        ]
        values = sum(terms[1:], start=terms[0])
        factor = jnp.where(inside, 1.0, 0.0)
        if self.has_inner:
            end, width = self.inner[pair, 0], self.inner[pair, 1]
            factor = factor * (jnp.where(r > end - width, 1.0, 0.0) if self.sharp else 1 - falling(r, end, width))
        if self.has_fade:
            factor = factor * cosine_end(r, reach, self.fade[pair])
        return jnp.moveaxis(factor[..., None] * values, -1, 0)


def falling(r: Float[Array, "*batch"], end: Float[Array, "*batch"], width: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """ML-PACE's inner cutoff: 1 up to end - width, 0 from end on, a polynomial of degree 5 between; 0 for a width of 0."""
    between = (r > end - width) & (r < end) & (width > 0)
    x = jnp.where(between, 1 - 2 * (1 + (r - end) / jnp.where(width > 0, width, 1.0)), 0.0)
    polynomial = 0.5 + 3.75 * (x / 4 - x**3 / 6 + x**5 / 20)
    return jnp.where(between, polynomial, jnp.where((r < end) & (width > 0), 1.0, 0.0))


def cosine_end(r: Float[Array, "*batch"], reach: Float[Array, "*batch"], width: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The outer cutoff of ChebExpCos: 1 up to reach - width, then half a period of a cosine; 1 for a width of 0."""
    near = (r > reach - width) & (r < reach)
    x = jnp.where(near, (r - reach + width) / jnp.where(width > 0, width, 1.0), 0.0)
    return jnp.where(near, 0.5 * (1 + jnp.cos(pi * x)), 1.0)


# ---- jets: value, first and second derivative along the first axis
def radial_base(
    family: str, r: Float[np.ndarray, " nodes"], cutoff: float, count: int, steepness: float
) -> Float[np.ndarray, "3 nodes count"]:
    """g_1 to g_count of a family at distances r, with derivatives in r (1/A, 1/A^2), without cutoffs that are not smooth."""
    one, nothing = np.ones_like(r), np.zeros_like(r)
    if family == "ChebPow":
        y = _power(np.stack([1 - r / cutoff, -one / cutoff, nothing]), steepness)
        t = _chebyshev(np.stack([1 - 2 * y[0], -2 * y[1], -2 * y[2]]), count)
        return (np.array([1.0, 0.0, 0.0])[:, None, None] - t[:, :, 1:]) / 2
    if family == "ChebLinear":
        t = _chebyshev(np.stack([1 - r / cutoff, -one / cutoff, nothing]), count)
        return (np.array([1.0, 0.0, 0.0])[:, None, None] - t[:, :, 1:]) / 2
    if family == "ChebExpCos":
        rate, last = steepness / cutoff, np.exp(-steepness)
        e = np.exp(-rate * r)
        x = np.stack([1 - 2 * (e - last) / (1 - last), 2 * rate * e / (1 - last), -2 * rate**2 * e / (1 - last)])
        t = _chebyshev(x, count)[:, :, :count]
        g = (np.array([1.0, 0.0, 0.0])[:, None, None] - t) / 2
        g[:, :, 0] = t[:, :, 0]
        k = pi / cutoff
        window = np.stack([1 + np.cos(k * r), -k * np.sin(k * r), -(k**2) * np.cos(k * r)]) / 2
        return _product(g, window[:, :, None])
    return _bessel(r, cutoff, count)


def _chebyshev(x: Float[np.ndarray, "3 nodes"], count: int) -> Float[np.ndarray, "3 nodes count1"]:
    """T_0 to T_count of a jet."""
    one = np.zeros_like(x)
    one[0] = 1.0
    rows = [one, x]
    for _ in range(count - 1):
        rows.append(2 * _product(x, rows[-1]) - rows[-2])
    return np.stack(rows[: count + 1], axis=2)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The jet of a product."""
    return np.stack([a[0] * b[0], a[1] * b[0] + a[0] * b[1], a[2] * b[0] + 2 * a[1] * b[1] + a[0] * b[2]])


def _power(y: Float[np.ndarray, "3 nodes"], power: float) -> Float[np.ndarray, "3 nodes"]:
    """The jet of y^power, y >= 0 and linear in r."""
    base, slope = np.maximum(y[0], 0.0), y[1]
    with np.errstate(divide="ignore"):
        first = power * base ** (power - 1) * slope
        second = power * (power - 1) * base ** (power - 2) * slope**2 if power not in (0.0, 1.0) else np.zeros_like(base)
    return np.stack([base**power, first, np.where(np.isfinite(second), second, 0.0)])


def _bessel(r: Float[np.ndarray, " nodes"], cutoff: float, count: int) -> Float[np.ndarray, "3 nodes count"]:
    """ML-PACE's simplified spherical Bessel functions: combinations of sinc(k pi r / cutoff), made orthonormal one by one."""
    found, before = [], 1.0
    for n in range(count):
        size = (-1) ** n * sqrt(2) * pi / cutoff**1.5 * (n + 1) * (n + 2) / sqrt((n + 1) ** 2 + (n + 2) ** 2)
        f = size * (_sinc(r, (n + 1) * pi / cutoff) + _sinc(r, (n + 2) * pi / cutoff))
        if n > 0:
            e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
            d = 1 - e / before
            f = (f + sqrt(e / before) * found[-1]) / sqrt(d)
            before = d
        found.append(f)
    return np.stack(found, axis=2)


def _sinc(r: Float[np.ndarray, " nodes"], k: float) -> Float[np.ndarray, "3 nodes"]:
    """The jet of sin(k r) / (k r), by its series where k r is small."""
    x = k * r
    small = np.abs(x) < 0.1
    y = np.where(small, 1.0, x)
    s, c = np.sin(y) / y, np.cos(y)
    first = (c - s) / y
    second = -s - 2 * first / y
    x2 = x * x
    series = (
        1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42 * (1 - x2 / 72))),
        -x / 3 * (1 - x2 / 10 * (1 - x2 / 28 * (1 - x2 / 54))),
        -1 / 3 + x2 / 10 * (1 - x2 * 5 / 84 * (1 - x2 * 7 / 270)),
    )
    exact = (s, first, second)
    return np.stack([np.where(small, a, b) * k**n for n, (a, b) in enumerate(zip(series, exact, strict=True))])
