"""What the compiled kernel works through: a basis, or a linear ACE potential, as tables of variables, products and terms."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import kernel
from .._typing import Anywhere, Array, Float, Int
from ..energy.native import Native
from ..energy.site import SiteEnergy, Stencil
from .harmonics import norm
from .one_particle import SCALE
from .radial import Radial
from .slopes import factors_left_out
from .sparse import Table
from .specification import Tables

BLOCK = 4
"""The kernel takes radial functions four at a time."""

Product = tuple[int, ...]
"""Variables in ascending order."""


class Variables:
    """The sums over neighbours of R_n Q_l^|m| c_m, n counted through for each (species, lm). What harmonics are normalised with
    is left to the weights."""

    def __init__(self, table: Tables):
        species, n, l, m = table.one_particle.T  # noqa: E741
        self.max_l, self.species = int(l.max(initial=0)), int(species.max(initial=0)) + 1
        width = np.zeros((self.species, self.max_l + 1), dtype=int)
        np.maximum.at(width, (species, l), n)
        self.width = blocks(width)
        each = np.repeat(self.width, 2 * np.arange(self.max_l + 1) + 1, axis=1)
        self.place = np.cumsum(each).reshape(each.shape) - each
        self.count = int(each.sum())
        self.of = self.place[species, l * l + l + m] + n - 1
        self.owner = np.repeat(np.arange(self.species), each.sum(axis=1))
        """Species of every variable."""
        self.used, first = np.unique(self.of, return_index=True)
        self.labels = np.stack([l * l + l + m, n - 1], axis=1)[first]
        """lm and n (from 0) of the variables in use."""
        scale = np.append([SCALE * norm(*label) for label in table.one_particle[:, 2:].tolist()], 1.0)
        self.scale = np.prod(scale[table.monomials], axis=1)
        """Of each monomial: itself over the product of its variables."""

    def products(self, rows: Int[np.ndarray, "rows order"]) -> list[Product]:
        """Rows of one-particle functions, padded with their number, as variables."""
        return [tuple(sorted(self.of[row[row < len(self.of)]].tolist())) for row in rows]


class Nodes:
    """Products of variables: node 0 is 1, every other one a parent, which comes before it, times a factor."""

    def __init__(self, asked: Iterable[Product] = ()):
        self.often = Counter(part for product in asked for part in _parts(product))
        self.parent, self.factor = [0], [0]
        self._number: dict[Product, int] = {(): 0}

    def number(self, product: Product) -> int:
        """The node of a product; it and the nodes that it depends on are made if they do not exist."""
        if product not in self._number:
            there = (part for part in _parts(product) if part in self._number and len(part) > 1)
            part = next(there, None) or self.head(product)
            parent = self.number(part)
            self._number[product] = len(self.parent)
            self.parent.append(parent)
            self.factor.append(left(product, part))
        return self._number[product]

    def head(self, product: Product) -> Product:
        """Of the products with one factor left out the one requested most often."""
        return max(_parts(product), key=lambda part: (self.often[part], part))


def left(product: Product, part: Product) -> int:
    """The factor missing from a part of a product: it is the first in which they differ, or the last."""
    return next((a for a, b in zip(product, part, strict=False) if a != b), product[-1])


def _parts(product: Product) -> list[Product]:
    """The product with one factor left out, in all ways."""
    return list({product[:t] + product[t + 1 :]: None for t in range(len(product))})


def blocks(count: Int[np.ndarray, "*shape"] | int) -> Int[np.ndarray, "*shape"] | int:
    """Rounded up to whole blocks."""
    return -(-count // BLOCK) * BLOCK


class Program(SiteEnergy):
    """A potential: its polynomial as terms, each a node times one more variable. It has values, slopes and Hessian products."""

    chunk: ClassVar[int] = 64
    """Sites handed over at once; the kernel divides its work itself."""

    tables: tuple[Table, ...] = eqx.field(static=True)
    """Sizes; place and width of variables; parent and factor of nodes; first term of each node; variable of each term."""
    numbers: tuple[Array, ...]
    """Cutoff and r0; recursion of radial functions; weights (species, terms); one-body energies (species)."""
    max_l: int = eqx.field(static=True)
    """Highest angular momentum."""
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        table: Tables,
        radial: Radial,
        weights: Float[np.ndarray, "species monomials"],
        one_body: Float[np.ndarray, " species"],
        species: tuple[str, ...],
    ):
        self.cutoff, self.species = radial.cutoff, species
        variables, order, tables = _terms(table)
        self.tables, self.max_l = (_sizes(variables, radial), *tables), variables.max_l
        scaled = (weights * variables.scale)[:, order]
        self.numbers = jax.device_put((_distances(radial), radial.recursion(), scaled, one_body.copy()))

    @property
    def serves(self) -> bool:
        """Whether the kernel is there and takes this potential."""
        return kernel.missing() is None and self.max_l <= kernel.HIGHEST_L

    @property
    def arrays(self) -> tuple:
        """In the order in which the kernel reads them."""
        return _arranged(self.tables, self.numbers)

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        return self.gradient(stencil)[0]

    def gradient(self, stencil: Stencil) -> tuple[Float[Array, " sites"], Float[Array, "sites slots 3"]]:
        return kernel.gradient(stencil.g, stencil.centre, stencil.neighbour, self.arrays)

    def hessian_products(
        self, stencil: Stencil, dg: Float[Array, "vectors sites slots 3"]
    ) -> Float[Array, "vectors sites slots 3"]:
        return kernel.hessian_products(stencil.g, stencil.centre, stencil.neighbour, dg, self.arrays)


class CompiledACE(Native):
    """A potential in the compiled kernel, called on the arrays of a cell."""

    def __init__(self, of: Program):
        self._of = of
        self._table = [np.asarray(array) for array in of.arrays]
        self._nodes = len(of.tables[3].array)

    def sums(self, cell: kernel.HostCell):
        return kernel.ace(cell, self._table, self._nodes)

    def products(self, cell: kernel.HostCell, v: Float[np.ndarray, "vectors rows 3"]) -> Float[np.ndarray, "vectors rows 3"]:
        return kernel.ace_products(cell, self._table, self._nodes, v)

    def site_hessians(self, stencil: Stencil) -> Float[np.ndarray, "sites slots 3 slots 3"]:
        sites, slots = stencil.neighbour.shape
        directions = np.broadcast_to(np.eye(3 * slots).reshape(3 * slots, 1, slots, 3), (3 * slots, sites, slots, 3))
        columns = np.asarray(_products(self._of, stencil, directions))
        return np.moveaxis(columns, 0, 1).reshape(sites, slots, 3, slots, 3)


@eqx.filter_jit
def _products(of: Program, stencil: Stencil, dg: Float[Anywhere, "vectors sites slots 3"]):
    return of.hessian_products(stencil, jnp.asarray(dg))


class RowProgram(eqx.Module):
    """A basis: the entries of dB/dA that are not zero, each a sum of nodes."""

    tables: tuple[Table, ...] = eqx.field(static=True)
    """Sizes; place and width of variables; parent and factor of nodes; entries of each function, by species of the variable;
    variable of each entry, its first term, its place among the variables in use; these, and the first of each species; node of
    each term; channel of every function of every species."""
    numbers: tuple[Array, ...]
    """Cutoff and r0; recursion of radial functions; coefficient of each term; one over the order of each function."""
    max_l: int = eqx.field(static=True)
    """Highest angular momentum."""
    size: int = eqx.field(static=True)
    """Number of channels."""

    def __init__(self, table: Tables, radial: Radial, channel: Int[np.ndarray, "species functions"]):
        variables, coefficient, tables = _entries(table)
        self.tables, self.max_l = (_sizes(variables, radial), *tables, Table(channel)), variables.max_l
        part = 1.0 / np.array([f.order for f in table.functions])
        self.numbers = jax.device_put((_distances(radial), radial.recursion(), coefficient, part))
        self.size = int(channel.max()) + 1

    @property
    def serves(self) -> bool:
        """Whether the kernel is there and takes this basis."""
        return kernel.missing() is None and self.max_l <= kernel.HIGHEST_L

    def rows(
        self, stencil: Stencil, index: Int[Anywhere, "rows slots"], live: Int[Anywhere, ""]
    ) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]]:
        """Energy, forces and virial of every channel, of the first `live` sites."""
        arrays = _arranged(self.tables, self.numbers)
        return kernel.rows(stencil.g, stencil.centre, stencil.neighbour, index, live, arrays, self.size)


def _arranged(tables: tuple[Table, ...], numbers: tuple[Array, ...]) -> tuple:
    """Sizes, distances, recursion, other tables, other numbers."""
    first, *others = (table.array for table in tables)
    return (first, *numbers[:2], *others, *numbers[2:])


@lru_cache(maxsize=16)
def _terms(table: Tables) -> tuple[Variables, Int[np.ndarray, " terms"], tuple[Table, ...]]:
    """The variables, the monomial of each term, and the tables of a potential."""
    variables = Variables(table)
    monomials = variables.products(table.monomials)
    nodes = Nodes(monomials)
    heads = [nodes.head(monomial) for monomial in monomials]
    terms = np.array([(nodes.number(head), left(m, head)) for m, head in zip(monomials, heads, strict=True)])
    order = np.lexsort((terms[:, 1], terms[:, 0]))
    head, variable = terms[order].T
    start = np.searchsorted(head, np.arange(len(nodes.parent) + 1))
    found = variables.place, variables.width, nodes.parent, nodes.factor, start, variable
    return variables, order, tuple(Table(np.array(a)) for a in found)


@lru_cache(maxsize=16)
def _entries(table: Tables) -> tuple[Variables, Float[np.ndarray, " terms"], tuple[Table, ...]]:
    """The variables, the coefficient of each term, and the tables of a basis but for its channels."""
    variables = Variables(table)
    monomial, factor, others = factors_left_out(table)
    distinct, place = np.unique(others, axis=0, return_inverse=True)
    products = variables.products(distinct)
    nodes = Nodes(products)
    node = np.array([nodes.number(product) for product in products])[place.ravel()]
    variable = variables.of[factor]

    of_monomial = np.argsort(monomial, kind="stable")
    first = np.searchsorted(monomial[of_monomial], np.arange(len(table.monomials) + 1)).tolist()
    many = np.diff(first)[table.monomial]
    entry = np.repeat(np.arange(len(table.function)), many)
    term = of_monomial[np.concatenate([np.arange(first[m], first[m + 1]) for m in table.monomial])]

    function, variable, source = table.function[entry], variable[term], node[term]
    coefficient = (table.coefficient * variables.scale[table.monomial])[entry]
    order = np.lexsort((variable, function))  # variables of one species are adjacent
    function, variable, source, coefficient = (a[order] for a in (function, variable, source, coefficient))
    new = np.append(True, (np.diff(function) != 0) | (np.diff(variable) != 0))
    begins = np.flatnonzero(new)
    species = variables.owner[variable[begins]]
    row = function[begins] * variables.species + species
    bounds = np.arange(len(table.functions))[:, None] * variables.species + np.arange(variables.species + 1)
    owned = np.searchsorted(variables.owner[variables.used], np.arange(variables.species + 1))
    found = (
        *(variables.place, variables.width, nodes.parent, nodes.factor, np.searchsorted(row, bounds)),
        *(variable[begins], np.append(begins, len(new)), np.searchsorted(variables.used, variable[begins])),
        *(variables.labels, owned, source),
    )
    return variables, coefficient, tuple(Table(np.array(a)) for a in found)


def _distances(radial: Radial) -> Float[np.ndarray, " numbers"]:
    return np.append(radial.cutoff, np.asarray(radial.r0))


def _sizes(variables: Variables, radial: Radial) -> Table:
    """The first table of every program."""
    shape = radial.count, int(blocks(radial.count)), radial.envelope, radial.inner, radial.outer
    return Table(np.array([*shape, variables.max_l, variables.species, variables.count]))
