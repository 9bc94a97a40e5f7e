"""Real spherical harmonics as polynomials of a unit vector: no angles, no division, any number of derivatives."""

import math

import jax.numpy as jnp
import numpy as np

from .._typing import Array, Complex, Float, Int


def real_harmonics(unit: Float[Array, "3 *batch"], degree: int) -> Float[Array, "harmonics *batch"]:
    """Y_lm(unit) for l = 0..degree, m = -l..l in row l*l + l + m, orthonormal on the sphere, no Condon-Shortley phase.

    Y_lm = N_lm Q_l^|m|(z) c_m, with c_m + i s_m = (x + i y)^m (s for m < 0), Q_m^m = (2m - 1)!! and
    (l - m) Q_l^m = (2l - 1) z Q_{l-1}^m - (l + m - 1) Q_{l-2}^m  (Legendre recursion, the sine powers moved into c, s).
    """
    return jnp.moveaxis(harmonics_and_gradient(unit, degree)[0], -2, 0)


def harmonics_and_gradient(
    unit: Float[Array, "3 *batch slots"], degree: int
) -> tuple[Float[Array, "*batch harmonics slots"], Float[Array, "*batch 3 harmonics slots"]]:
    """Y_lm, and its derivatives in x, y, z as the polynomial N_lm Q_l^|m|(z) c_m(x, y) that it is off the sphere.

    Q_l^m is the m-th derivative of the Legendre polynomial P_l, so dQ_l^m/dz = Q_l^(m+1); and d(c_m + i s_m) is
    m (c_(m-1) + i s_(m-1)) (dx + i dy). The derivative of Y_lm(g/|g|) is the part of this that is normal to g, over |g|.
    """
    x, y, z = unit[0], unit[1], unit[2]
    one, nothing = jnp.ones_like(x), jnp.zeros_like(x)
    cosine, sine = [one], [nothing]
    for _ in range(degree):
        c, s = cosine[-1], sine[-1]
        cosine.append(x * c - y * s)
        sine.append(x * s + y * c)
    legendre: dict[tuple[int, int], Array] = {}
    for m in range(degree + 1):
        legendre[m, m] = one * float(math.prod(range(1, 2 * m, 2)))
        for l in range(m + 1, degree + 1):  # noqa: E741  l is the field's name
            following = (2 * l - 1) * z * legendre[l - 1, m]
            if l > m + 1:
                following = following - (l + m - 1) * legendre[l - 2, m]
            legendre[l, m] = following / (l - m)
    place = {label: k for k, label in enumerate(legendre)}
    q = jnp.stack([*legendre.values(), nothing], axis=-2)
    circle = jnp.stack([*cosine, *sine[1:], nothing], axis=-2)

    def row(m: int, odd: bool) -> int:
        """Row of cos or sin of m times the azimuth; sin 0 = 0."""
        return (degree + m if m else 2 * degree + 1) if odd else m

    rows = []  # of Y_lm: norm, m, then rows of Q_l^m, Q_l^(m+1), c_m, the partners of c_(m-1) in d/dx and d/dy
    for l in range(degree + 1):  # noqa: E741
        for m in range(-l, l + 1):
            k, odd = abs(m), m < 0
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - k) / math.factorial(l + k)) * (2**0.5 if m else 1)
            down = max(k - 1, 0)
            turned = norm * k * (1 if odd else -1)
            rows.append(
                (
                    place[l, k],
                    place.get((l, k + 1), len(place)),
                    row(k, odd),
                    row(down, odd),
                    row(down, not odd),
                    norm,
                    norm * k,
                    turned,
                )
            )
    at, above, own, along, across = (np.array(column) for column in list(zip(*rows, strict=True))[:5])
    norm, first, turned = (np.array(column)[:, None] for column in list(zip(*rows, strict=True))[5:])
    q_here = taken(q, at)
    values = q_here * taken(circle, own) * norm
    gradient = (
        first * q_here * taken(circle, along),
        turned * q_here * taken(circle, across),
        norm * taken(q, above) * taken(circle, own),
    )
    return values, jnp.stack(gradient, axis=-3)


def taken(x: Float[Array, "*batch rows slots"], index: Int[np.ndarray, " chosen"]) -> Float[Array, "*batch chosen slots"]:
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
