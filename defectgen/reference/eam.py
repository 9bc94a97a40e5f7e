"""The embedded-atom method from tables, interpolated smoothly."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import kernel
from .._input import InputError, InputWarning
from .._typing import Array, Float, Int
from ..energy.forms import SumEnergy
from ..energy.native import HasNative, Native
from ..energy.site import Stencil
from .eam_difference import Polynomials, largest_difference
from .eam_tables import Tables, read_tables
from .radial import distances, fade

TAIL = 0.25
"""A: the width over which a table that ends with a jump is faded out."""

JUMP = 1e-7
"""A table has a jump if its last three entries exceed this fraction of its largest entry beyond 1 A."""


NOTICEABLE = 1e-3
"""eV/A: a larger difference from the interpolation of LAMMPS is reported when a file is read."""


SMOOTH = 0.02
"""A: distance of knots that is recommended for tables that scatter; finer ones follow the scatter."""

TINY = 1e-9
"""Floor of the weights of a least-squares spline, for tables of zeros."""

ROUGH = 0.01
"""eV/A^2: from this scatter of second derivatives on a smooth spline follows the scatter of the table."""


class EAM(SumEnergy, HasNative):
    """V = F( sum_j rho(r_j) ) + 1/2 sum_j z(r_j) / r_j,   F, rho and z = r phi tabulated.

    interpolation="quintic": the fifth-order interpolating spline, C4 at the grid points. With `resolution` (A) rho and z
        are instead least-squares quintic splines with knots that far apart, which smooths the rounding of tables printed
        with few digits (1e-10 eV A at steps of 5e-4 A is 1e-3 eV/A^2 in second derivatives).
    interpolation="lammps": the piecewise cubic of LAMMPS, only C1. Energies, forces and virials are those of LAMMPS to
        rounding while all distances and densities lie inside the tables. They are not in the last interval of funcfl
        tables that end at the cutoff (Ni_smf7, Cu_smf7): there, and beyond the largest tabulated density of a funcfl file,
        LAMMPS takes forces that are not the derivative of its energy, and here forces are that derivative.
    None (default): "quintic", except for tables whose own scatter makes second derivatives uncertain by more than ROUGH
        (as in Al_mm, CuZr_mm, VFe_mm and CuTa of LAMMPS): a spline through scattered values is smooth in name only, and
        "lammps" is then the potential that others run. A warning says so, because elastic and force constants scatter with
        either one: C11 of Al_mm changes by up to 8 % when the lattice constant changes by 0.1 %. With `resolution` = 0.02 A it
        does not, and forces change by less than NOTICEABLE. Where "quintic" changes forces by more than NOTICEABLE a warning
        says where (see `largest_difference`).

    The attribute `interpolation` says which one it is.

    "quintic" differs from LAMMPS, in crystals rattled by 0.1 A, by 1e-9 eV/A in Mishin's Cu (step 9e-4 A), 4e-5 in Ni-Al
    (5.7e-3 A), 1e-6 in Mendelev's Fe (5.3e-4 A, ten digits), 0.01 in funcfl tables of 500 values, which end with a jump,
    0.02 in AlCu, whose densities are tabulated in steps of a fifth of what the crystal has, and 0.06 in CoAl: that is what
    the table leaves open.

    At the cutoff a table ends as smoothly as its author made it; a table that ends with a jump (JUMP) is multiplied by
    `radial.fade` over the last 0.25 A, unless interpolation is "lammps". Beyond the largest tabulated density F
    continues along its tangent.

    Source: M. S. Daw and M. I. Baskes, Phys. Rev. B 29, 6443 (1984); formats as in LAMMPS `eam`, `eam/alloy`, `eam/fs`.
    """

    by_distance: ClassVar[bool] = True
    on_host: ClassVar[bool] = True
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
    interpolation: str = eqx.field(static=True)
    """Which of the two it is: "quintic" or "lammps"."""
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, path: str | Path, interpolation: str | None = None, resolution: float | None = None):
        """The potential of a funcfl, setfl or eam.fs file.

        Parameters
        ----------
        path
            The file.
        interpolation
            "quintic" or "lammps", see above. None is "quintic" with a check of what that changes.
        resolution
            Distance of the knots of a least-squares spline for rho and z, A; only with "quintic".

        Raises
        ------
        InputError
            For a file that cannot be read, tables that end before the cutoff, or an unknown interpolation.

        Warns
        -----
        InputWarning
            If neither `interpolation` nor `resolution` is given and the choice matters: by `largest_difference` the forces
            of the smooth spline and of LAMMPS differ by more than NOTICEABLE, or the tables scatter. With a `resolution`
            that does not follow the tables.
        """
        tables = read_tables(path)
        intervals = tables.pair.shape[-1] - 1
        if tables.cutoff > (intervals + 1.5) * tables.spacing:
            raise InputError(
                f"the tables of {path} end at {intervals * tables.spacing:.4f} A, before their cutoff "
                f"{tables.cutoff} A; shorten the cutoff"
            )
        if interpolation not in (None, "quintic", "lammps"):
            raise InputError(f"interpolation is 'quintic' or 'lammps'; got {interpolation!r}")
        if resolution is not None:
            if interpolation == "lammps":
                raise InputError(f"a resolution belongs to interpolation 'quintic', not to 'lammps'; got {resolution} A")
            resolution = _resolution(resolution, tables)
        radial = np.stack([tables.density, tables.pair], axis=2)
        if not (np.isfinite(radial).all() and np.isfinite(tables.embedding).all()):
            raise InputError(f"the values of {str(path)!r} are too large for double precision; get the file again")
        jumps = _jumps(tables)
        found = cubic = _as_lammps(tables, radial)
        if interpolation != "lammps":
            smooth = _quintic(radial, tables.spacing, resolution)
            found = Polynomials(_quintic(tables.embedding, tables.density_spacing), smooth)
        if interpolation is None or resolution is not None:
            noise = _compare(path, tables, found, cubic, jumps, resolution)
            if noise > ROUGH and not jumps and resolution is None:
                interpolation, found = "lammps", cubic
                warnings.warn(
                    f"{path}: the values of its tables scatter, which makes second derivatives (elastic and force constants) "
                    f"uncertain by about {noise:.1g} eV/A^2 a bond; it is read with the interpolation of LAMMPS; choose "
                    f"resolution={max(SMOOTH, 10 * tables.spacing):.2g} (A) for a smooth spline near the values, or "
                    'interpolation="lammps" to keep this one and not be warned',
                    InputWarning,
                    stacklevel=2,
                )
        self.interpolation = interpolation or "quintic"
        self.embedding = jnp.asarray(found.embedding)
        self.radial = jnp.asarray(np.moveaxis(found.radial, 2, 3))
        self.spacing, self.density_spacing = tables.spacing, tables.density_spacing
        self.fraction = 1.0 if self.interpolation == "lammps" else 2.0
        self.fading = jumps and self.interpolation != "lammps"
        self.cutoff = tables.cutoff
        self.species = tables.species

    @classmethod
    def from_file(cls, path: str | Path, interpolation: str | None = None, resolution: float | None = None) -> "EAM":
        """The potential of a funcfl (`.eam`), setfl (`.eam.alloy`) or eam.fs file."""
        return cls(path, interpolation, resolution)

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots"], ...]:
        """Density, and half the pair energy, eV."""
        r, inside = distances(stencil, self.cutoff)
        alone = len(self.species) == 1
        step, part = _locate(r / self.spacing, self.radial.shape[2])
        part = jnp.where(part > self.fraction, self.fraction, part)
        pairs = (0, 0) if alone else (stencil.centre[:, None], stencil.neighbour)
        coefficients = self.radial[(*pairs, step)]
        both = _horner(coefficients, part[..., None])  # sites slots (rho, z)
        if self.fading:
            both = both * fade(r, self.cutoff - TAIL, self.cutoff)[..., None]
        both = jnp.where(inside[..., None], both, 0.0)
        return both[..., 0], 0.5 * both[..., 1] / r

    def of_sums(self, sums: tuple[Float[Array, " sites"], ...], centre: Int[Array, " sites"]) -> Float[Array, " sites"]:
        """The embedding energy and the pair energy."""
        return self._embed(sums[0], 0 if len(self.species) == 1 else centre) + sums[1]

    def native(self) -> "CompiledEAM":
        """Its compiled code."""
        return CompiledEAM(self)

    def _embed(self, density: Float[Array, " sites"], centre: Int[Array, " sites"] | int) -> Float[Array, " sites"]:
        """F(rho), along its last tangent beyond the table.

        One of the two branches is selected. Their sum, with the other one's part taken away again, would be the same in
        exact arithmetic only: last slopes of 4e11 are found in published files.
        """
        intervals, powers = self.embedding.shape[1:]
        end = intervals * self.density_spacing
        beyond = density >= end
        inner = jnp.where(beyond, 0.5 * end, density)  # a safe place for the branch that is not taken
        step, part = _locate(inner / self.density_spacing, intervals)
        last = self.embedding[centre, -1]
        slope = jnp.sum(last * jnp.arange(powers), axis=-1) / self.density_spacing
        tangent = jnp.sum(last, axis=-1) + slope * (density - end)
        return jnp.where(beyond, tangent, _horner(self.embedding[centre, step], part))


class CompiledEAM(Native):
    """The embedded-atom method in the compiled kernel."""

    def __init__(self, of: EAM):
        kinds, _, intervals, _, powers = of.radial.shape
        self._sizes = [kinds, intervals, powers, *of.embedding.shape[1:]]
        self._numbers = [of.spacing, of.density_spacing, of.fraction, of.cutoff, TAIL if of.fading else 0.0]
        self._tables = [np.ascontiguousarray(of.radial), np.ascontiguousarray(of.embedding)]

    def sums(self, cell: kernel.HostCell):
        return kernel.eam(cell, self._sizes, self._numbers, self._tables)

    def factors(self, cell: kernel.HostCell, first: int):
        return kernel.eam_factors(cell, self._sizes, self._numbers, self._tables, first)


def _locate(x: Float[Array, "*n"], intervals: int):
    """The grid interval that holds x (in grid steps), the first or the last one outside the grid, and x from its start on."""
    step = jnp.clip(jax.lax.stop_gradient(x).astype(jnp.int32), 0, intervals - 1)
    return step, x - step


def _horner(coefficients: Float[Array, "*n powers"], x: Float[Array, "*m"]) -> Float[Array, "*n"]:
    """sum_k c_k x^k."""
    value = coefficients[..., -1]
    for k in range(coefficients.shape[-1] - 2, -1, -1):
        value = value * x + coefficients[..., k]
    return value


def _quintic(table: Float[np.ndarray, "*tables points"], spacing: float, resolution: float | None = None):
    """Coefficients of the quintic spline through the table (or near it), one polynomial per grid step."""
    from scipy.interpolate import make_interp_spline, make_lsq_spline

    points = table.shape[-1]
    x = np.arange(points, dtype=float)
    flat = table.reshape(-1, points)
    if resolution is None:
        splines = [make_interp_spline(x, flat.T, k=5)]
    else:
        stride = resolution / spacing
        inner = np.linspace(0, points - 1, round((points - 1) / stride) + 1)[1:-1]
        inner = np.unique(np.round(inner))  # knots on grid points, so that each step holds one polynomial
        knots = np.concatenate([np.zeros(6), inner, np.full(6, points - 1.0)])
        # relative residuals where values are large: cores of 1e15 eV A would otherwise dominate the fit
        splines = [
            make_lsq_spline(x, row[:, None], knots, k=5, w=1 / (np.median(np.abs(row)) + np.abs(row) + TINY)) for row in flat
        ]
    coefficients = np.concatenate([_taylor(spline, x[:-1]) for spline in splines])
    return coefficients.reshape(*table.shape[:-1], points - 1, 6)


def _taylor(spline: Callable[..., np.ndarray], x: np.ndarray) -> np.ndarray:
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


def _as_lammps(tables: Tables, radial: np.ndarray) -> Polynomials:
    """Cubic coefficients of F, rho and z; of a funcfl table LAMMPS drops the last point when it makes its common grid."""
    end = -1 if tables.single else None
    return Polynomials(_cubic(tables.embedding[..., :end]), _cubic(radial[..., :end]))


def _resolution(given: float, tables: Tables) -> float:
    """The resolution, A. Raises InputError unless it is a length that the table resolves."""
    longest = tables.pair.shape[-1] / 12 * tables.spacing
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not tables.spacing <= given <= longest:
        raise InputError(
            f"resolution must lie between the table's step {tables.spacing:.3g} A and a twelfth of its range, {longest:.3g} A; "
            f"got {given}"
        )
    return float(given)


def _compare(
    path: str | Path, tables: Tables, smooth: Polynomials, cubic: Polynomials, fading: bool, resolution: float | None
) -> float:
    """Warns if the smooth interpolation is noticeably another potential than that of LAMMPS. The scatter of the tables, eV/A^2,
    where it did not warn."""

    def window(r):
        y = np.clip((tables.cutoff - r) / TAIL, 0.0, 1.0)
        return np.asarray(fade(jnp.asarray(r), tables.cutoff - TAIL, tables.cutoff)), -2772.0 / TAIL * y**5 * (1.0 - y) ** 5

    found = largest_difference(tables, smooth, cubic, window if fading else None)
    if found.force <= NOTICEABLE:
        return found.noise
    if fading and found.distance is not None and found.distance > tables.cutoff - TAIL:
        reason = f"the table ends with a jump, which is faded out over {TAIL} A"
    elif resolution is not None:
        reason = f"a spline with knots {resolution:g} A apart cannot follow the table there"
    else:
        reason = "the table is coarse or rough there"
    advice = (
        "a smaller resolution" if resolution is not None else 'interpolation="quintic" to keep the smooth one and not be warned'
    )
    warnings.warn(
        f"{path}: the smooth interpolation and that of LAMMPS differ by up to {found.force:.1g} eV/A "
        f"({found.where}), "
        f'because {reason}; choose interpolation="lammps" for the forces of LAMMPS, or {advice}',
        InputWarning,
        stacklevel=3,
    )
    return 0.0


def _jumps(tables: Tables) -> bool:
    """Whether any radial table ends at the cutoff with a jump."""
    stop = min(round(tables.cutoff / tables.spacing) + 1, tables.pair.shape[-1])
    start = min(int(1.0 / tables.spacing), stop - 3)
    for table in (tables.density, tables.pair):
        scale = np.abs(table[..., start:stop]).max(axis=-1)
        if np.any(np.abs(table[..., stop - 3 : stop]).max(axis=-1) > JUMP * scale):
            return True
    return False
