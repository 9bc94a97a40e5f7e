"""Real spherical harmonics as polynomials of a unit vector: no angles, no division, any number of derivatives."""

import math

import jax.numpy as jnp
import numpy as np

from .._typing import Array, Complex, Float


def real_harmonics(unit: Float[Array, "3 *batch"], degree: int) -> Float[Array, "harmonics *batch"]:
    """Y_lm(unit) for l = 0..degree, m = -l..l in row l*l + l + m, orthonormal on the sphere, no Condon-Shortley phase.

    Y_lm = N_lm Q_l^|m|(z) c_m, with c_m + i s_m = (x + i y)^m (s for m < 0), Q_m^m = (2m - 1)!! and
    (l - m) Q_l^m = (2l - 1) z Q_{l-1}^m - (l + m - 1) Q_{l-2}^m  (Legendre recursion, the sine powers moved into c, s).
    """
    x, y, z = unit[0], unit[1], unit[2]
    one = jnp.ones_like(x)
    cosine, sine = [one], [jnp.zeros_like(x)]
    for _ in range(degree):
        c, s = cosine[-1], sine[-1]
        cosine.append(x * c - y * s)
        sine.append(x * s + y * c)
    rows: list = [None] * (degree + 1) ** 2
    for m in range(degree + 1):
        q_before, q = None, one * float(math.prod(range(1, 2 * m, 2)))
        for l in range(m, degree + 1):  # noqa: E741  l is the field's name
            if l > m:
                following = (2 * l - 1) * z * q
                if q_before is not None:
                    following = following - (l + m - 1) * q_before
                q_before, q = q, following / (l - m)
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m))
            if m == 0:
                rows[l * l + l] = norm * q
            else:
                rows[l * l + l + m] = math.sqrt(2) * norm * q * cosine[m]
                rows[l * l + l - m] = math.sqrt(2) * norm * q * sine[m]
    return jnp.stack(rows)


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
