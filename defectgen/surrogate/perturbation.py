"""A generic smooth site energy: what a fit may leave wrong when nothing tells it otherwise."""

from itertools import combinations_with_replacement
from math import factorial
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._input import InputError
from .._typing import Array, Float
from ..energy.site import SiteEnergy, Stencil


def _multiplicities(rank: int) -> np.ndarray:
    """How often each distinct component of a symmetric tensor occurs."""
    counts = [np.bincount(c, minlength=3) for c in combinations_with_replacement(range(3), rank)]
    return np.array([factorial(rank) // np.prod([factorial(int(n)) for n in count]) for count in counts], dtype=float)


PAIRS: list[tuple[int, ...]] = list(combinations_with_replacement(range(3), 2))
TRIPLES: list[tuple[int, ...]] = list(combinations_with_replacement(range(3), 3))
TIMES_2, TIMES_3 = _multiplicities(2), _multiplicities(3)
FULL_2 = np.array([[PAIRS.index(tuple(sorted((a, b)))) for b in range(3)] for a in range(3)])
FULL_3 = np.array([[TRIPLES.index(tuple(sorted((a, *pair)))) for pair in PAIRS] for a in range(3)])
"""Place of the component (a, b), or (a, pair), among the distinct ones."""


@final
class MomentPerturbation(SiteEnergy):
    """phi(g) = a polynomial in the invariants of the moments n, p, Q, O of the stencil, with random coefficients.

    With y = g / cutoff and radial polynomials f that end like (1 - y^2)^4 the moments are n = sum f, p = sum f y,
    Q = sum f y(x)y and O = sum f y(x)y(x)y; phi combines n, n^2, n^3, |p|^2, |Q|^2, |O|^2, n |Q|^2, p.Qp, tr Q^3 and p.O:Q.
    It is invariant under rotations, reflections and permutations, as every fitted potential is, and has no other symmetry.
    Moments: A. V. Shapeev, Multiscale Model. Simul. 14, 1153 (2016).
    """

    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)
    radial: Float[Array, "moments powers"]
    """Coefficients of 1, y^2, y^4 in the radial polynomial of each moment."""
    charge: Float[Array, "species species"]
    """Weight of a neighbour's species for the species of the site."""
    coefficients: Float[Array, " invariants"]

    def __init__(self, species: tuple[str, ...] | str, cutoff: float, seed: int = 0):
        """Perturbations with different seeds share nothing. Raises InputError for a cutoff that is not positive."""
        self.species = (species,) if isinstance(species, str) else tuple(dict.fromkeys(species))
        if not cutoff > 0:
            raise InputError(f"the cutoff of a perturbation is a length in A; got {cutoff!r}")
        self.cutoff = float(cutoff)
        rng = np.random.default_rng(seed)
        self.radial = jnp.asarray(rng.uniform(-1.0, 1.0, (4, 3)) * [1.0, 3.0, 9.0])
        self.charge = jnp.asarray(rng.uniform(0.6, 1.4, (len(self.species), len(self.species))))
        # Signs at random, sizes not: no seed may switch an invariant off. High moments are small numbers of small y.
        size = np.array([1.0, 1.0, 1.0, 3.0, 10.0, 30.0, 10.0, 10.0, 30.0, 30.0])
        self.coefficients = jnp.asarray(size * rng.choice([-1.0, 1.0], 10) * rng.uniform(0.5, 1.0, 10))

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        y = stencil.g / self.cutoff
        axes = x, z, w = y[..., 0], y[..., 1], y[..., 2]
        square = x * x + z * z + w * w
        inside = square < 1.0
        end = jnp.where(inside, 1.0 - square, 0.0) ** 4
        if len(self.species) > 1:
            end = end * self.charge[stencil.centre[:, None], stencil.neighbour]
        f = [end * (c[0] + square * (c[1] + square * c[2])) for c in self.radial]
        second = {pair: axes[pair[0]] * axes[pair[1]] for pair in PAIRS}
        n = f[0].sum(-1)
        p = jnp.stack([(f[1] * axis).sum(-1) for axis in axes])
        q = jnp.stack([(f[2] * product).sum(-1) for product in second.values()])
        o = jnp.stack([(f[3] * axes[t[0]] * second[t[1:]]).sum(-1) for t in TRIPLES])
        q_full, q_square = q[FULL_2], jnp.asarray(TIMES_2) @ q**2
        invariants = [
            n,
            n**2,
            n**3,
            jnp.sum(p**2, 0),
            q_square,
            jnp.asarray(TIMES_3) @ o**2,
            n * q_square,
            jnp.einsum("as,abs,bs->s", p, q_full, p),
            jnp.einsum("abs,bcs,cas->s", q_full, q_full, q_full),
            jnp.einsum("as,aps,ps->s", p, o[FULL_3], jnp.asarray(TIMES_2)[:, None] * q),
        ]
        return self.coefficients @ jnp.stack(invariants)
