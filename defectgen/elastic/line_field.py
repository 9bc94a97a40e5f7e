"""The displacement of a straight dislocation in an anisotropic elastic body: a logarithm and a function of the angle."""

from dataclasses import dataclass

import numpy as np

from .._typing import Complex, Float

ANGLES = 512
"""Points of the trapezoidal rule on a full turn: of a smooth periodic function it is exact to rounding."""

NEGLIGIBLE = 1e-13
"""Harmonics smaller than this, relative to the largest, are rounding."""


@dataclass(frozen=True, eq=False)
class LineField:
    """u(r, theta) = a log r + b theta / (2 pi) + periodic(theta), in the frame of the dislocation.

    The line is the third axis; r and theta are polar coordinates across it. Every strain falls exactly like 1/r.
    D. M. Barnett and J. Lothe, Phys. Norv. 7, 13 (1973); J. P. Hirth and J. Lothe, Theory of Dislocations (1982), chapter 13.
    """

    burgers: Float[np.ndarray, " axes"]
    """A."""
    logarithmic: Float[np.ndarray, " axes"]
    """a, A."""
    harmonics: Complex[np.ndarray, "orders axes"]
    """Coefficients of exp(i m theta), m = 1, 2, ..., A; the real part counts twice."""
    traction: Float[np.ndarray, " axes"]
    """r times the traction on every half plane that ends in the line, eV/A^2 (eV/A in two dimensions)."""

    @property
    def energy_factor(self) -> float:
        """K: the energy between the radii r and R, per length of the line, is K log(R/r); eV/A (eV in two dimensions)."""
        return float(self.burgers @ self.traction) / 2

    def __call__(self, radius: Float[np.ndarray, " n"], angle: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n axes"]:
        """Displacement, A; radii in any unit, which shifts the body as a whole. Angles are not reduced: a turn adds b."""
        orders = np.arange(1, len(self.harmonics) + 1)
        periodic = 2 * np.real(np.exp(1j * np.outer(angle, orders)) @ self.harmonics)
        return np.outer(np.log(radius), self.logarithmic) + np.outer(angle / (2 * np.pi), self.burgers) + periodic


def line_field(stiffness: Float[np.ndarray, "axes 2 axes 2"], burgers: Float[np.ndarray, " axes"]) -> LineField:
    """The field of a Burgers vector (A) in a body of stiffness C[i, j, k, l] (eV/A^3), j and l across the line.

    With n(theta) = (cos, sin), m = n' and (mn)_ik = C_ijkl m_j n_l, strains a n/r + U'(theta) m/r are in equilibrium if the
    traction r sigma m = (mn) a + (mm) U' does not depend on theta. So U' = (mm)^-1 [g - (mn) a], and a, g follow from the
    closure failure b of the displacement over a turn, and from no net force on the line.
    Needs no eigenvectors, so that isotropic bodies are no exception.
    """
    theta = 2 * np.pi * np.arange(ANGLES) / ANGLES
    n, m = np.stack([np.cos(theta), np.sin(theta)]), np.stack([-np.sin(theta), np.cos(theta)])

    def contract(first, second):
        return np.einsum("ijkl,jt,lt->tik", stiffness, first, second)

    compliance = np.linalg.inv(contract(m, m))
    mixed = contract(m, n)
    turn = 2 * np.pi
    alone = turn * compliance.mean(0)
    crossed = turn * (compliance @ mixed).mean(0)
    pull = turn * (contract(n, n) - np.swapaxes(mixed, 1, 2) @ compliance @ mixed).mean(0)
    axes = len(burgers)
    system = np.block([[-crossed, alone], [pull, crossed.T]])
    logarithmic, traction = np.split(np.linalg.solve(system, np.concatenate([burgers, np.zeros(axes)])), [axes])
    slope = (compliance @ (traction - mixed @ logarithmic)[..., None])[..., 0]
    wave = np.fft.fft(slope, axis=0)[1 : ANGLES // 2] / ANGLES / (1j * np.arange(1, ANGLES // 2))[:, None]
    size = np.abs(wave).max(axis=1)
    kept = int(np.flatnonzero(size > NEGLIGIBLE * np.abs(burgers).max()).max(initial=-1)) + 1
    return LineField(np.asarray(burgers, dtype=float), logarithmic, wave[:kept], traction)
