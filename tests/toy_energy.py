"""A site energy written out in ten lines and a black box around any site energy: stand-ins that can be worked out by hand."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from defectgen._input import InputError
from defectgen.crystal import Cell, Sites, sc
from defectgen.energy import BlackBox, Evaluation, SiteEnergy, Stencil, evaluate

CHARGES = (1.0, 1.7, 0.6)
"""Strength of a neighbour by species."""


class Toy(SiteEnergy):
    """V = c0 - sqrt(rho^2 + 1) + |m|^2 / 2, rho = sum c w(r) e^-r, m = sum c w(r) g / r, w = (1 - r^2 / rc^2)^6.

    Many-body, angular, five times continuously differentiable.
    """

    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, species=("Cu",), cutoff: float = 3.2):
        self.species, self.cutoff = tuple(species), float(cutoff)

    def __call__(self, stencil: Stencil):
        square = jnp.sum(stencil.g**2, axis=-1)
        inside = square < self.cutoff**2
        square = jnp.where(inside, square, self.cutoff**2)
        r, charge = jnp.sqrt(square), jnp.asarray(CHARGES)
        weight = jnp.where(inside, charge[stencil.neighbour] * (1.0 - square / self.cutoff**2) ** 6, 0.0)
        rho = 20.0 * jnp.sum(weight * jnp.exp(-r), axis=1)
        moment = jnp.sum((weight / r)[..., None] * stencil.g, axis=1)
        return charge[stencil.centre] - jnp.sqrt(rho**2 + 1.0) + 0.5 * jnp.sum(moment**2, axis=1)


class Elsewhere(BlackBox):
    """A site energy as another code would offer it: energies, forces and, if it has them, stresses."""

    def __init__(self, energy: SiteEnergy, step: float = 1e-3, has_stress: bool = True):
        self.energy, self.step, self.has_stress = energy, step, has_stress
        self.species, self.cutoff, self.name = energy.species, energy.cutoff, "elsewhere"

    def evaluate(self, symbols, positions, vectors, periodic, stress):
        if stress and not self.has_stress:
            raise InputError("this calculator has no stress; leave V out")
        result = evaluate(self.energy, atoms(symbols, positions, vectors, periodic))
        return result if stress else Evaluation(result.energy, result.forces, None)


def atoms(symbols, positions, vectors, periodic=(True, True, True)) -> Cell:
    """Atoms anywhere in a box, as a cell whose crystal does not matter."""
    n = len(positions)
    perfect = Sites(np.zeros((n, 3), dtype=int), np.zeros(n, dtype=int), np.eye(3, dtype=int))
    everywhere = dict(sites=np.full(n, -1), free=np.ones(n, dtype=bool), perfect_sites=perfect, centre=np.zeros(3))
    return Cell(sc(symbols[0], 3.0), np.asarray(vectors, dtype=float), periodic, positions, tuple(symbols), **everywhere)
