"""Potentials of `.yace` files as site energies: densities that are polynomials of one-particle sums, and embedding functions.

E = F(rho_1, ..., rho_P) f(c) + c + E0: each density rho_p is a linear atomic cluster expansion in complex harmonics, turned into
one polynomial of the real ones when the file is read; c is the core repulsion, and f the switch that it throws. With ZBL, c is
multiplied by 1 - f and f is a function of the distance of the nearest neighbour.
"""

from collections import defaultdict
from itertools import product
from math import pi
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Array, Float
from ..crystal.elements import element
from ..energy.site import SiteEnergy, Stencil
from .harmonics import real_from_complex
from .one_particle import Motion, OneParticle
from .slopes import products
from .sparse import Table
from .yace_file import Bond, YaceFile, read_yace_file
from .yace_radial import TabulatedRadial, falling

COULOMB = 14.399645351950543
"""e^2 / (4 pi eps0), eV A, with the digits that ML-PACE has."""
ZBL = ((0.18175, -3.19980), (0.50986, -0.94229), (0.28022, -0.40290), (0.02817, -0.20162))
"""Screening function of Ziegler, Biersack and Littmark (1985): coefficients and exponents."""


class PACEModel(SiteEnergy):
    """A potential of ML-PACE read from a `.yace` file, as written by pacemaker, ACEpotentials.jl and `dg.export`.

    Energies and forces are those of LAMMPS' `pair_style pace` to the error of the splines by which it tabulates the radial
    functions; second and third derivatives are exact here.
    """

    chunk: ClassVar[int] = 16
    """As LinearACE."""

    one_particle: OneParticle
    monomials: Table = eqx.field(static=True)
    weights: Float[Array, "species densities monomials"]
    one_body: Float[Array, " species"]
    """eV."""
    embedding: tuple[tuple[str, tuple[float, ...], tuple[float, ...], tuple[float, float]], ...] = eqx.field(static=True)
    """Of each species: kind, weights, powers, switch of the core repulsion."""
    core: Float[Array, "pairs 6"] | None
    """Prefactor, exponent, cutoff, width of the outer cutoff, and end and width of the inner cutoff of each pair."""
    inner_kind: str = eqx.field(static=True)
    order: int = eqx.field(static=True)
    """Highest number of factors in a product."""
    functions: int = eqx.field(static=True)
    """In the file, of all species."""
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, file: YaceFile):
        self.species, kinds = file.species, len(file.species)
        columns, labels, pairs, monomials, weights = _polynomial(file)
        reach = [bond.reach for bond in file.bonds]
        tables = [_table(bond, columns) for bond in file.bonds]
        inner = [(0.0, 0.0) if file.inner_kind == "zbl" else bond.inner for bond in file.bonds]
        fade, sharp = [bond.fade for bond in file.bonds], file.inner_kind == "density"
        radial = TabulatedRadial(tables, reach, inner, fade, kinds, sharp)
        self.one_particle = OneParticle(radial, labels, pairs, kinds)
        self.monomials = Table(monomials)
        self.embedding = tuple((e.kind, e.weights, e.powers, e.core) for e in file.embeddings)
        self.inner_kind, self.cutoff = file.inner_kind, float(max(reach))
        self.order = max((len(t.factors) for t in file.terms), default=1)
        self.functions = len(file.terms)
        core = np.array([(*bond.core, bond.reach, bond.core_fade, *bond.inner) for bond in file.bonds])
        self.weights, self.one_body = jax.device_put((weights, file.one_body))
        self.core = jax.device_put(core) if np.any(core[:, 0]) or file.inner_kind == "zbl" else None

    def __repr__(self) -> str:
        return shown(
            self, " ".join(self.species), f"cutoff {self.cutoff:.6g} A", f"order {self.order}", f"{self.functions:,} functions"
        )

    @property
    def linear(self) -> bool:
        """Whether the energy is linear in the coefficients of the file."""
        return self.core is None and all(power == 1.0 for _, _, powers, _ in self.embedding for power in powers)

    @property
    def correlation_order(self) -> int | None:
        """The highest order of the file; none with embedding functions or a switch, which see all neighbours at once."""
        return self.order if self.linear else None

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        one_particle = self.one_particle
        return self._switched(self._of_sums(one_particle.sums(one_particle.factors(stencil)), stencil), stencil)

    def gradient(self, stencil: Stencil):
        """dV/dA, and from it the forces."""
        one_particle = self.one_particle
        factors = one_particle.factors(stencil)
        a = one_particle.sums(factors)
        values, pullback = jax.vjp(lambda a: self._of_sums(a, stencil), a)
        if self.core is None:
            slopes = pullback(jnp.ones_like(values))[0]
            return values + self.one_body[stencil.centre], one_particle.pull(factors, slopes)

        def rest(values, g):
            return self._switched(values, Stencil(g, stencil.centre, stencil.neighbour))

        energies, switch = jax.vjp(rest, values, stencil.g)
        weight, along = switch(jnp.ones_like(energies))
        return energies, along + one_particle.pull(factors, pullback(weight)[0])

    def hessian_operator(self, stencil: Stencil):
        """V'' dg in two parts, as LinearACE; with core repulsion by differentiating the gradient."""
        if self.core is not None:
            return super().hessian_operator(stencil)
        one_particle = self.one_particle
        factors = one_particle.factors(stencil)
        curvature = one_particle.curvature(factors, stencil)
        slopes, change = jax.linearize(jax.grad(lambda a: jnp.sum(self._of_sums(a, stencil))), one_particle.sums(factors))

        def along(dg):
            motion = Motion(factors, dg)
            turned = change(one_particle.push(factors, motion))
            return one_particle.pull_along(factors, curvature, motion, slopes) + one_particle.pull(factors, turned)

        return along

    def hessian(self, stencil: Stencil):
        """Column by column, so that memory stays small."""
        sites, slots, _ = stencil.g.shape
        directions = jnp.eye(slots * 3, dtype=stencil.g.dtype).reshape(slots * 3, 1, slots, 3)
        directions = jnp.broadcast_to(directions, (slots * 3, sites, slots, 3))
        columns = jnp.moveaxis(self.hessian_products(stencil, directions), 0, 1)
        return columns.reshape(sites, slots, 3, slots, 3)

    def _of_sums(self, a: Float[Array, "one sites"], stencil: Stencil) -> Float[Array, " sites"]:
        """F of the densities, eV."""
        densities = jnp.einsum("zpm,ms->zps", self.weights, products(a, self.monomials))
        total = jnp.zeros(a.shape[1])
        for z, (kind, weights, powers, _) in enumerate(self.embedding):
            energy = sum(w * embed(kind, densities[z, p], m) for p, (w, m) in enumerate(zip(weights, powers, strict=True)))
            total = jnp.where(stencil.centre == z, energy, total)
        return total

    def _switched(self, values: Float[Array, " sites"], stencil: Stencil) -> Float[Array, " sites"]:
        """With one-body energies and core repulsion."""
        own = self.one_body[stencil.centre]
        if self.core is None:
            return values + own
        r = jnp.sqrt(jnp.sum(stencil.g**2, axis=-1))
        pair = stencil.centre[:, None] * len(self.species) + stencil.neighbour
        size, exponent, reach, fade, end, width = (self.core[pair, k] for k in range(6))
        inside = r < reach
        d = jnp.where(inside, r, 0.5 * reach)
        if self.inner_kind == "zbl":
            numbers = jnp.array([float(element(symbol).number) for symbol in self.species])
            numbers = numbers[stencil.centre][:, None], numbers[stencil.neighbour]
            core = jnp.sum(jnp.where(inside, size * zbl(d, *numbers, reach, fade), 0.0), axis=1)
            gap = jnp.where(inside, d - (end - width), jnp.inf)
            nearest = jnp.argmin(gap, axis=1)[:, None]
            gap, width = (jnp.take_along_axis(x, nearest, axis=1)[:, 0] for x in (gap, width))
            alone = ~jnp.isfinite(gap)
            kept = jnp.where(alone, 1.0, falling(width - jnp.where(alone, width, gap), width, width))
            return values * kept + core * (1.0 - kept) + own
        weak = exponent * d * d < 50.0
        core = size * jnp.exp(-jnp.where(weak, exponent, 0.0) * d * d) / d * 0.5 * (1 + jnp.cos(pi * d / reach))
        if self.inner_kind == "distance":
            core = core * falling(r, end, width)
        core = jnp.sum(jnp.where(inside & weak, core, 0.0), axis=1)
        switch = jnp.array([switch for *_, switch in self.embedding])[stencil.centre]
        return values * falling(core, switch[:, 0], switch[:, 1]) + core + own


def read_yace(path: str | Path) -> PACEModel:
    """The potential of a `.yace` file.

    Parameters
    ----------
    path : str or Path
        The file, written by pacemaker, ACEpotentials.jl or `dg.export`.

    Returns
    -------
    PACEModel
        A site energy. Radial functions `ChebPow`, `ChebLinear`, `ChebExpCos`, `SBessel` and the tables of ACEpotentials.jl are
        known, embeddings `FinnisSinclair` and `FinnisSinclairShiftedScaled` with any number of densities, and core repulsion of
        the kinds `density`, `distance` and `zbl`.

    Raises
    ------
    InputError
        If the file cannot be read, or has a feature that is not supported; the message names it.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"a potential is read from the path of its file; got {type(path).__name__}")
    return PACEModel(read_yace_file(Path(path)))


def embed(kind: str, rho: Float[Array, " sites"], power: float) -> Float[Array, " sites"]:
    """One density embedded: sign(rho) |rho|^power, made linear near zero in the way of the two kinds of ML-PACE."""
    if power == 1.0:
        return rho
    a, sign = jnp.abs(rho), jnp.where(rho < 0, -1.0, 1.0)
    if kind == "FinnisSinclair":
        steep = 1e6
        slope = (1 / steep) ** (power - 1)
        far = a > 1e-10
        b = jnp.where(far, a, 1.0)
        cube = (steep * b) ** 3
        near = jnp.where(cube > 30.0, 0.0, jnp.exp(-jnp.minimum(cube, 30.0)))
        return jnp.where(far, sign * ((1 - near) * b**power + slope * near * b), slope * rho)
    if abs(power - 1.0) < 1e-10:
        return rho
    e, nu = jnp.exp(-a), 1 / power
    shift, offset = nu ** (nu / (1 - nu)) * e, nu ** (1 / (1 - nu)) * e
    return sign * ((shift + a) ** power - offset)


def zbl(r: Array, first: Array, second: Array, reach: Array, fade: Array) -> Array:
    """Half of the repulsion of two bare nuclei, screened, shifted and cut off as ML-PACE does it, eV."""
    length = 0.46850 / (first**0.23 + second**0.23)

    def screened(r):
        return sum(c * jnp.exp(e * r / length) for c, e in ZBL) / r

    def slope(r):
        return sum(c * jnp.exp(e * r / length) * (e / length - 1 / r) for c, e in ZBL) / r

    def bend(r):
        return sum(c * jnp.exp(e * r / length) * ((e / length - 1 / r) ** 2 + 1 / r**2) for c, e in ZBL) / r

    width, start = fade, reach - fade
    end, d_end, dd_end = screened(reach), slope(reach), bend(reach)
    cubic, quartic = (-3 * d_end + width * dd_end) / width**2, (2 * d_end - width * dd_end) / width**3
    shift = -end + width * d_end / 2 - width**2 * dd_end / 12
    t = jnp.maximum(r - start, 0.0)
    energy = screened(r) + cubic / 3 * t**3 + quartic / 4 * t**4 + shift
    return COULOMB / 2 * first * second * energy * falling(r, reach, width)


Column = tuple[int, int]
"""(n, l) of R_nl; l = -1 for g_n."""


def _polynomial(file: YaceFile):
    """The columns of radial functions, one-particle functions (species, column, l, m), which of these are of products of one
    factor, products of them, and the weight that every product has in every density."""
    columns: dict[Column, int] = {}
    rows: dict[tuple[int, int, int, int], int] = {}
    powers: dict[tuple[int, ...], int] = {}
    entries: dict[tuple[int, int, int], float] = defaultdict(float)
    turn = {}
    for l in range(max((l for t in file.terms for _, _, l in t.factors), default=0) + 1):  # noqa: E741
        matrix = real_from_complex(l).conj()  # complex harmonics of real ones: column m of its transpose
        turn[l] = [[(k - l, matrix[k, m]) for k in range(2 * l + 1) if matrix[k, m] != 0] for m in range(2 * l + 1)]
    for term in file.terms:
        one = len(term.factors) == 1
        place = [columns.setdefault((n, -1 if one else l), len(columns)) + 1 for _, n, l in term.factors]  # noqa: E741
        for ms, values in zip(term.ms, term.coefficients, strict=True):
            options = []
            for (mu, _, l), c, m in zip(term.factors, place, ms, strict=True):  # noqa: E741
                options.append([((mu, c, l, k), v) for k, v in turn[l][l + m]])
            for chosen in product(*options):
                value = np.prod([v for _, v in chosen]).real
                if abs(value) < 1e-14:
                    continue
                key = tuple(sorted(rows.setdefault(label, len(rows)) for label, _ in chosen))
                k = powers.setdefault(key, len(powers))
                for p, x in enumerate(values):
                    entries[term.centre, p, k] += value * x
    if not rows:  # one-body energies and core repulsion alone
        columns[1, -1], rows[0, 1, 0, 0] = 0, 0
        powers[0,] = 0
    width = max(map(len, powers))
    monomials = np.full((len(powers), width), len(rows), dtype=np.int64)
    for key, k in powers.items():
        monomials[k, : len(key)] = key
    densities = max(len(e.weights) for e in file.embeddings)
    weights = np.zeros((len(file.species), densities, len(powers)))
    for index, value in entries.items():
        weights[index] = value
    labels = np.array(list(rows), dtype=np.int64)
    return list(columns), labels, np.zeros(0, dtype=np.int64), monomials, weights


def _table(bond: Bond, columns: list[Column]) -> Float[np.ndarray, "3 nodes columns"]:
    """The radial functions of one pair that the potential has."""
    result = np.zeros((*bond.base.shape[:2], len(columns)))
    for c, (n, l) in enumerate(columns):  # noqa: E741
        if l < 0 or bond.coefficients is None:
            if n <= bond.base.shape[2]:
                result[:, :, c] = bond.base[:, :, n - 1]
        elif n <= bond.coefficients.shape[0] and l < bond.coefficients.shape[1]:
            result[:, :, c] = bond.base @ bond.coefficients[n - 1, l]
    return result
