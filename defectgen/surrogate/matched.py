"""Surrogates: what is left of a perturbation when force constants, virials or both are kept exact.

With R_n(v) = phi(rho + v) - T_n phi(v) the Taylor remainder at the perfect stencil rho and P the projection of the differences
v = Du on those of homogeneous deformations,

    E+F        R_1                    E+F+V       R_1 - R_1 . P
    E+F+FC     R_2                    E+F+FC+V    R_2 - R_2 . P
    E+F+C      R_1 - (R_1 - R_2) . P  (Bravais lattices)

theory: bounds/surrogates.
"""

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._input import InputError
from .._typing import Array, Float, Int
from ..crystal.cell import primitive_cell
from ..crystal.lattice import Lattice
from ..energy.perfect import ForceConstants, assembled
from ..energy.site import SiteEnergy, Stencil
from ..energy.total import site_hessians
from ..errors.property_errors import relative_stiffness
from ..training.observations import ELASTIC, parse_observations
from .perfect import affine_projection, perfect_stencils, sorted_bonds

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
NODES, WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
"""Gauss's rule on [0, 1]: exact to the sixth order in v, and v is a strain of a few per cent at most."""


@final
class Surrogate(eqx.Module):
    """`strength` times a perturbation that has lost what the observations would see, as a function of the differences Du."""

    perturbation: SiteEnergy
    strength: Float[Array, ""]
    perfect: Stencil
    """One row per sublattice, slots sorted."""
    slope: Float[Array, "sublattices slots 3"]
    """phi'(rho)."""
    curvature: Float[Array, "sublattices flat flat"] | None
    """phi''(rho) if force constants are kept exact, P phi''(rho) P if elastic constants are."""
    projection: Float[Array, "sublattices slots slots"] | None
    """P if virials are kept exact."""
    stiff: bool = eqx.field(static=True)
    """Whether it has force constants of its own, so that theirs are not kept exact."""

    def gradient(self, sublattice: Int[Array, " sites"], v: Float[Array, "sites slots 3"]) -> Float[Array, "sites slots 3"]:
        """Derivative of the site energies in v, eV/A."""
        p = self._remainder(sublattice, v)
        if self.projection is not None:
            p = p - self._affine(sublattice, self._remainder(sublattice, self._affine(sublattice, v)))  # P is symmetric
        return self.strength * p

    def energy(self, sublattice: Int[Array, " sites"], v: Float[Array, "sites slots 3"]) -> Float[Array, " sites"]:
        """Site energies, eV, as the integral of v . gradient(t v) over t: small energies keep their digits."""
        along = jax.lax.map(lambda t: jnp.sum(v * self.gradient(sublattice, t * v), axis=(1, 2)), jnp.asarray(NODES))
        return jnp.asarray(WEIGHTS) @ along

    def _remainder(self, sublattice, v):
        """Gradient of R_n: phi'(rho + v) - phi'(rho), minus `curvature` v."""
        perfect = jax.tree.map(lambda a: a[sublattice], self.perfect)
        p = self.perturbation.gradient(Stencil(perfect.g + v, perfect.centre, perfect.neighbour))[1] - self.slope[sublattice]
        if self.curvature is None:
            return p
        return p - _by_sublattice(self.curvature, sublattice, v.reshape(len(v), -1)).reshape(v.shape)

    def _affine(self, sublattice, v):
        """P v."""
        assert self.projection is not None
        flat = jnp.swapaxes(v, 1, 2).reshape(-1, v.shape[1])
        return jnp.swapaxes(_by_sublattice(self.projection, jnp.repeat(sublattice, 3), flat).reshape(len(v), 3, -1), 1, 2)


def surrogate_force_constants(lattice: Lattice, made: Surrogate) -> ForceConstants:
    """Force constants of a surrogate alone, eV/A^2: those of the perturbation, without their part on homogeneous deformations
    if virials or elastic constants are exact; none if force constants are."""
    near, _ = sorted_bonds(primitive_cell(lattice), made.perturbation)

    def hessian(site: int) -> np.ndarray:
        perfect = jax.tree.map(lambda a: a[site : site + 1], made.perfect)
        if not made.stiff:
            return np.zeros((*perfect.g.shape[1:], *perfect.g.shape[1:]))
        found = np.asarray(site_hessians(made.perturbation, perfect))[0]
        if made.curvature is not None:
            found = found - np.asarray(made.curvature[site]).reshape(found.shape)
        if made.projection is not None:
            p = np.asarray(made.projection[site])
            found = found - np.einsum("kp,paqb,ql->kalb", p, found, p)
        return float(made.strength) * found

    return assembled(lattice, near, hessian)


def _by_sublattice(matrices: Float[Array, "sublattices m m"], sublattice: Int[Array, " sites"], v: Float[Array, "sites m"]):
    """Each site's vector times the symmetric matrix of its sublattice."""
    result = v @ matrices[0]
    for b in range(1, len(matrices)):
        result = jnp.where((sublattice == b)[:, None], v @ matrices[b], result)
    return result


def surrogate(
    lattice: Lattice,
    reference: SiteEnergy,
    perturbation: SiteEnergy,
    observations: str,
    strength: float = 0.2,
    shifts: bool = True,
) -> Surrogate:
    """The surrogate of an observation set such as "E+F+FC", scaled so that the unmatched perturbation changes the energy of no
    wave of the perfect crystal by more than the fraction `strength`: below 1 the crystal stays stable.

    `shifts=False` leaves relative shifts of the sublattices out of P, as virials without the forces on sublattices would.
    Raises InputError for a strength outside (0, 1), an observation set that is none, and E+F+C in a multilattice.
    """
    if not 0.0 < strength < 1.0:
        raise InputError(f"the strength of a perturbation is a fraction of the crystal's stiffness; got {strength}: take 0.2")
    kinds = parse_observations(observations)
    check_elastic(lattice, observations)
    perfect = perfect_stencils(lattice, perturbation)
    count = perfect.g.shape[1] * 3
    projection = affine_projection(lattice, perturbation, shifts) if {"V", ELASTIC} & set(kinds) else None
    curvature = None
    if "FC" in kinds or (ELASTIC in kinds and "V" not in kinds):
        curvature = jnp.asarray(site_hessians(perturbation, perfect))
        if "FC" not in kinds:
            curvature = jnp.einsum("skp,spaqb,sql->skalb", projection, curvature, projection)
        curvature = curvature.reshape(-1, count, count)
    return Surrogate(
        perturbation=perturbation,
        strength=jnp.asarray(strength / relative_stiffness(lattice, reference, perturbation)),
        perfect=perfect,
        slope=perturbation.gradient(perfect)[1],
        curvature=curvature,
        projection=jnp.asarray(projection) if "V" in kinds else None,
        stiff="FC" not in kinds,
    )


def check_elastic(lattice: Lattice, observations: str) -> None:
    """Raises InputError for E+F+C in a multilattice, whose elastic constants leave the inner strain open."""
    kinds = set(parse_observations(observations))
    if ELASTIC in kinds and not kinds & {"FC", "V"} and lattice.sublattices > 1:
        raise InputError(
            f"a surrogate keeps elastic constants alone exact ({observations}) in Bravais lattices only; {lattice.name} "
            f"has {lattice.sublattices} sublattices: take E+F+V or E+F+FC"
        )
