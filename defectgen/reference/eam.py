"""The embedded-atom method from tables, interpolated smoothly."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BSpline, make_interp_spline, make_lsq_spline

from .._input import InputError
from .._typing import Array, Float
from ..energy.site import Stencil
from ..energy.sums import SumEnergy
from .eam_tables import Tables, read_tables
from .radial import distances, fade

TAIL = 0.25
"""A: the width over which a table that ends with a jump is faded out."""

JUMP = 1e-7
"""A table has a jump if its last three entries exceed this fraction of its largest entry beyond 1 A."""


class EAM(SumEnergy):
    """V = F( sum_j rho(r_j) ) + 1/2 sum_j z(r_j) / r_j,   F, rho and z = r phi tabulated.

    interpolation="quintic" (default): the fifth-order interpolating spline, C4 at the grid points. With `resolution` (A)
        rho and z are instead least-squares quintic splines with knots that far apart, which smooths the rounding of
        tables printed with few digits (1e-10 eV A at steps of 5e-4 A is 1e-3 eV/A^2 in second derivatives).
    interpolation="lammps": the piecewise cubic of LAMMPS, only C1, which agrees with LAMMPS to rounding.

    The default differs from LAMMPS, in crystals rattled by 0.12 A, by 2e-13, 6e-9 and 2e-10 eV/atom and by 1e-9, 4e-5 and
    2e-4 eV/A (Mishin's Cu: step 9e-4 A; Ni-Al-H: 5.7e-3 A; Mendelev's Fe: 5.3e-4 A, ten digits): the tabulation error.

    At the cutoff a table ends as smoothly as its author made it; a table that ends with a jump (JUMP) is multiplied by
    `radial.fade` over the last 0.25 A, unless interpolation is "lammps". Beyond the largest tabulated density F
    continues along its tangent.

    Source: M. S. Daw and M. I. Baskes, Phys. Rev. B 29, 6443 (1984); formats as in LAMMPS `eam`, `eam/alloy`, `eam/fs`.
    """

    embedding: Float[Array, "species intervals powers"]
    """Polynomial coefficients of F in the fraction of a grid step, constant first."""
    radial: Float[Array, "species species intervals 2 powers"]
    """The same for rho (from the second species at the first) and z."""
    spacing: float = eqx.field(static=True)
    """Grid step of r, A."""
    density_spacing: float = eqx.field(static=True)
    fraction: float = eqx.field(static=True)
    """Largest fraction of the last step at which polynomials are evaluated (1 in LAMMPS: constant continuation)."""
    fading: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, path: str | Path, interpolation: str = "quintic", resolution: float | None = None):
        """`path` of a funcfl, setfl or eam.fs file.

        Raises InputError for a file that cannot be read, tables that end before the cutoff, or an unknown interpolation.
        """
        tables = read_tables(path)
        intervals = tables.pair.shape[-1] - 1
        if tables.cutoff > (intervals + 1.5) * tables.spacing:
            raise InputError(
                f"the tables of {path} end at {intervals * tables.spacing:.4f} A, before their cutoff "
                f"{tables.cutoff} A; shorten the cutoff"
            )
        radial = np.stack([tables.density, tables.pair], axis=2)
        if interpolation == "lammps" and resolution is None:
            radial, embedding = _as_lammps(tables, radial)
        elif interpolation == "quintic":
            radial, embedding = _quintic(radial, tables.spacing, resolution), _quintic(tables.embedding, tables.density_spacing)
        else:
            raise InputError(
                "interpolation is 'quintic' (with or without a resolution) or 'lammps' (without); "
                f"got {interpolation!r} with resolution {resolution}"
            )
        self.embedding = jnp.asarray(embedding)
        self.radial = jnp.asarray(np.moveaxis(radial, 2, 3))
        self.spacing, self.density_spacing = tables.spacing, tables.density_spacing
        self.fraction = 1.0 if interpolation == "lammps" else 2.0
        self.fading = interpolation != "lammps" and _jumps(tables)
        self.cutoff = tables.cutoff
        self.species = tables.species

    @classmethod
    def from_file(cls, path: str | Path, interpolation: str = "quintic", resolution: float | None = None) -> "EAM":
        """The potential of a funcfl (`.eam`), setfl (`.eam.alloy`) or eam.fs file."""
        return cls(path, interpolation, resolution)

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots"], ...]:
        """Density, and half the pair energy, eV."""
        r, inside = distances(stencil, self.cutoff)
        alone = len(self.species) == 1
        step, part = _locate(r / self.spacing, self.radial.shape[2], self.fraction)
        pairs = (0, 0) if alone else (stencil.centre[:, None], stencil.neighbour)
        coefficients = self.radial[(*pairs, step)]
        both = _horner(coefficients, part[..., None])  # sites slots (rho, z)
        if self.fading:
            both = both * fade(r, self.cutoff - TAIL, self.cutoff)[..., None]
        both = jnp.where(inside[..., None], both, 0.0)
        return both[..., 0], 0.5 * both[..., 1] / r

    def of_sums(self, sums, centre):
        """The embedding energy and the pair energy."""
        return self._embed(sums[0], 0 if len(self.species) == 1 else centre) + sums[1]

    def _embed(self, density: Float[Array, " sites"], centre) -> Float[Array, " sites"]:
        """F(rho), along its last tangent beyond the table."""
        intervals, powers = self.embedding.shape[1:]
        capped = jnp.minimum(density, intervals * self.density_spacing)
        step, part = _locate(capped / self.density_spacing, intervals, 1.0)
        slope = jnp.sum(self.embedding[centre, -1] * jnp.arange(powers), axis=-1) / self.density_spacing
        return _horner(self.embedding[centre, step], part) + slope * (density - capped)


def _locate(x: Float[Array, "*n"], intervals: int, fraction: float):
    """The grid interval that holds x (in grid steps) and the fraction of it before x."""
    step = jnp.clip(jax.lax.stop_gradient(x).astype(jnp.int32), 0, intervals - 1)
    return step, jnp.minimum(x - step, fraction)


def _horner(coefficients: Float[Array, "*n powers"], x: Float[Array, "*m"]) -> Float[Array, "*n"]:
    """sum_k c_k x^k."""
    value = coefficients[..., -1]
    for k in range(coefficients.shape[-1] - 2, -1, -1):
        value = value * x + coefficients[..., k]
    return value


def _quintic(table: Float[np.ndarray, "*tables points"], spacing: float, resolution: float | None = None):
    """Coefficients of the quintic spline through the table (or near it), one polynomial per grid step."""
    points = table.shape[-1]
    x = np.arange(points, dtype=float)
    flat = table.reshape(-1, points).T
    if resolution is None:
        spline = make_interp_spline(x, flat, k=5)
    else:
        stride = resolution / spacing
        if not 1.0 <= stride <= points / 12:
            raise InputError(
                f"resolution wants a length between the table's step {spacing:.3g} A and a twelfth of its range; "
                f"got {resolution} A"
            )
        inner = np.linspace(0, points - 1, round((points - 1) / stride) + 1)[1:-1]
        inner = np.unique(np.round(inner))  # knots on grid points, so that each step holds one polynomial
        knots = np.concatenate([np.zeros(6), inner, np.full(6, points - 1.0)])
        spline = make_lsq_spline(x, flat, knots, k=5)
    return _taylor(spline, x[:-1]).reshape(*table.shape[:-1], points - 1, 6)


def _taylor(spline: BSpline, x: np.ndarray) -> np.ndarray:
    """Coefficients of the polynomial to the right of each x, (tables, points, 6)."""
    factorial = (1.0, 1.0, 2.0, 6.0, 24.0, 120.0)
    return np.stack([spline(x, nu=k).T / factorial[k] for k in range(6)], axis=-1)


def _cubic(table: Float[np.ndarray, "*tables points"]):
    """The cubic of LAMMPS: slopes by the five-point formula (one-sided or three-point at the ends), values and slopes matched."""
    slope = np.empty_like(table)
    slope[..., 0] = table[..., 1] - table[..., 0]
    slope[..., 1] = (table[..., 2] - table[..., 0]) / 2
    slope[..., -2] = (table[..., -1] - table[..., -3]) / 2
    slope[..., -1] = table[..., -1] - table[..., -2]
    slope[..., 2:-2] = (table[..., :-4] - table[..., 4:] + 8 * (table[..., 3:-1] - table[..., 1:-3])) / 12
    rise = np.diff(table, axis=-1)
    left, right = slope[..., :-1], slope[..., 1:]
    return np.stack([table[..., :-1], left, 3 * rise - 2 * left - right, left + right - 2 * rise], axis=-1)


def _as_lammps(tables: Tables, radial: np.ndarray):
    """Cubic coefficients of rho, z and F; of a funcfl table LAMMPS drops the last point when it makes its common grid."""
    end = -1 if tables.single else None
    return _cubic(radial[..., :end]), _cubic(tables.embedding[..., :end])


def _jumps(tables: Tables) -> bool:
    """Whether any radial table ends at the cutoff with a jump."""
    start, stop = int(1.0 / tables.spacing), min(round(tables.cutoff / tables.spacing) + 1, tables.pair.shape[-1])
    for table in (tables.density, tables.pair):
        scale = np.abs(table[..., start:stop]).max(axis=-1)
        if np.any(np.abs(table[..., stop - 3 : stop]).max(axis=-1) > JUMP * scale):
            return True
    return False
