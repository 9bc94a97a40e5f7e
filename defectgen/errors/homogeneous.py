"""The homogeneous part of a stencil, and what two potentials differ by when the whole crystal is strained alike."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float
from ..energy.site import SiteEnergy
from ..reference.modes import all_modes
from .host import Host, Slopes

STEP = 1e-3
"""Strain: a third difference of stresses of 1 eV keeps five digits, and what is two orders higher is a few per cent at most."""


@dataclass(frozen=True, eq=False)
class Affine:
    """Least-squares projection of differences Du on those of homogeneous deformations, relative shifts of sublattices included.

    A slot's difference is rho . G + s: the columns of `frame` are the components of rho and an indicator of each other sublattice
    (what virials see that come with the forces on the sublattices). theory: bounds/multilattice, bounds/surrogates.
    """

    host: Host
    frame: Float[np.ndarray, "sublattices slots columns"]
    inverse: Float[np.ndarray, "sublattices columns slots"]

    @property
    def projection(self) -> Float[np.ndarray, "sublattices slots slots"]:
        """P = B B^+, symmetric."""
        return self.frame @ self.inverse

    def __call__(self, v: Slopes) -> Slopes:
        """P v at every site."""
        return per_site(self.projection, self.host, v)

    def coordinates(self, v: Slopes) -> Float[np.ndarray, "sites columns 3"]:
        """The displacement gradient G[a, i] = d u_i / d x_a, then the relative shifts (A)."""
        return per_site(self.inverse, self.host, v)

    def size(self, v: Slopes) -> Float[np.ndarray, " sites"]:
        """Norm of the strain (G + G^T) / 2 and the shifts (in nearest-neighbour spacings, their mean removed) of each site."""
        found = self.coordinates(v)
        strain = (found[:, :3] + found[:, :3].swapaxes(1, 2)) / 2
        shifts = np.concatenate([np.zeros((len(found), 1, 3)), found[:, 3:]], axis=1) / self.host.cell.lattice.nearest_neighbour
        shifts = shifts - shifts.mean(axis=1, keepdims=True)
        return np.sqrt(np.sum(strain**2, axis=(1, 2)) + np.sum(shifts**2, axis=(1, 2)))

    def derivative(self, field: Float[np.ndarray, " sites *components"]) -> Float[np.ndarray, " sites 3 *components"]:
        """The gradient (1/A times the unit of the field) of any field on the sites, by the same least squares."""
        flat = field.reshape(len(field), -1)
        difference = flat[self.host.near] - flat[:, None, :]
        return per_site(self.inverse[:, :3], self.host, difference).reshape(len(field), 3, *field.shape[1:])


def affine_of(host: Host) -> Affine:
    """The projection for the stencils of a host crystal."""
    count = host.cell.lattice.sublattices
    frames = []
    for b in range(count):
        live = host.mask[b][:, None]
        others = [(host.second[b] == other)[:, None] for other in range(count) if other != b]
        frames.append(np.concatenate([np.where(live, host.separations[b], 0.0), *(live & o for o in others)], axis=1))
    frame = np.array(frames, dtype=float)
    return Affine(host, frame, np.linalg.pinv(frame, rcond=1e-10))


def per_site(matrices: Float[np.ndarray, "sublattices m k"], host: Host, v: Float[np.ndarray, "sites k c"]):
    """Each site's rows times the matrix of its sublattice."""
    result = np.empty((len(v), matrices.shape[1], v.shape[2]))
    for b, matrix in enumerate(matrices):
        here = host.sublattice == b
        result[here] = matrix @ v[here]
    return result


@dataclass(frozen=True, eq=False)
class StrainResponse:
    """Largest Taylor coefficients of t -> d/dt dW(1 + t e) over unit directions e, model minus truth, eV per primitive cell."""

    stress: float
    """epsC1: at t = 0, zero where both rest at the same lattice."""
    second: float
    """epsC2."""
    third: float
    """epsC3."""
    fourth: float
    """epsC4."""


def strain_response(host: Host, truth: SiteEnergy, model: SiteEnergy, step: float = STEP) -> StrainResponse:
    """Finite-strain response of the homogeneously strained crystal, model minus truth, by differences of exact stresses.

    Directions are all modes of strain and relative shifts of sublattices (in nearest-neighbour spacings) and the sums and
    differences of any two, each of norm 1: a sample of the sphere, so the coefficients are lower estimates of the suprema.
    phi(t) = a0 + a1 t + a2 t^2 + a3 t^3 + a4 t^4 is solved for from t = 0, +-h, +-2h. theory: bounds/term-by-term.
    """
    lattice = host.cell.lattice
    modes = all_modes(lattice)
    pairs = [(a + s * b) / np.sqrt(2) for i, a in enumerate(modes) for b in modes[:i] for s in (1.0, -1.0)]
    directions = np.array([*modes, *pairs])
    strain, shifts = directions[:, :9].reshape(-1, 3, 3), directions[:, 9:].reshape(len(directions), -1, 3)
    shifts = shifts * lattice.nearest_neighbour
    live = np.where(host.mask[..., None], host.separations, 0.0)
    motion = np.einsum("bka,dai->dbki", live, strain) + shifts[:, host.second] - shifts[:, :, None, :]
    times = step * np.array([0.0, 1.0, -1.0, 2.0, -2.0])
    count, slots = host.mask.shape
    v = (times[:, None, None, None, None] * motion).reshape(-1, slots, 3)
    sublattice = np.tile(np.arange(count), len(times) * len(directions))
    slopes = host.gradient(model, v, sublattice)[1] - host.gradient(truth, v, sublattice)[1]
    phi = np.einsum("tdbki,dbki->td", slopes.reshape(len(times), len(directions), count, slots, 3), motion)
    odd = (phi[1] - phi[2]) / 2, (phi[3] - phi[4]) / 2
    even = (phi[1] + phi[2]) / 2 - phi[0], (phi[3] + phi[4]) / 2 - phi[0]
    coefficients = (
        phi[0],
        (8 * odd[0] - odd[1]) / (6 * step),
        (16 * even[0] - even[1]) / (12 * step**2),
        (odd[1] - 2 * odd[0]) / (6 * step**3),
    )
    return StrainResponse(*(float(np.abs(a).max()) for a in coefficients))
