"""Sums over neighbours as numbered variables, and their products as a graph in which every one is another times one factor."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from .._typing import Int
from .harmonics import norm
from .one_particle import SCALE
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
        """The node of a product, made with all that it wants if there is none."""
        if product not in self._number:
            there = (part for part in _parts(product) if part in self._number and len(part) > 1)
            part = next(there, None) or self.head(product)
            parent = self.number(part)
            self._number[product] = len(self.parent)
            self.parent.append(parent)
            self.factor.append(left(product, part))
        return self._number[product]

    def head(self, product: Product) -> Product:
        """Of the products with one factor left out the one asked for most often."""
        return max(_parts(product), key=lambda part: (self.often[part], part))


def left(product: Product, part: Product) -> int:
    """The factor that a part of a product lacks: it is the first in which they differ, or the last."""
    return next((a for a, b in zip(product, part, strict=False) if a != b), product[-1])


def _parts(product: Product) -> list[Product]:
    """The product with one factor left out, in all ways."""
    return list({product[:t] + product[t + 1 :]: None for t in range(len(product))})


def blocks(count: Int[np.ndarray, "*shape"] | int):
    """Rounded up to whole blocks."""
    return -(-count // BLOCK) * BLOCK
