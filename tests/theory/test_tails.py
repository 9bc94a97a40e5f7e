"""Decay of a point defect's far field, lattice sums over tails, and what a finite simulation cell costs."""

import numpy as np
import pytest

from defectgen.energy import force_constants

from .scalar_lattice import TRIANGULAR, TRIANGULAR_OFFSETS, ScalarLattice, slope
from .toys import fcc, many_body, stress_free, triangular


def sites(lattice, reach: int):
    third = np.arange(-reach, reach + 1) if lattice.dimension == 3 else np.array([0])
    t = np.stack(np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1), third, indexing="ij"), -1)
    return np.linalg.norm(t.reshape(-1, 3) @ lattice.vectors, axis=1) / lattice.nearest_neighbour


@pytest.mark.parametrize(("build", "reach", "radius"), [(triangular, 600, 500), (fcc, 60, 48)], ids=["triangular", "fcc"])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_norms_of_tails(build, reach, radius, power):
    lattice = build()
    d = lattice.dimension
    r = sites(lattice, reach)
    sizes = np.array([5, 6, 7, 8, 10.0])
    # what is left out beyond `radius` is its integral, of relative size (L / radius)^(d (2 power - 1)): under 2e-2
    norms = [np.sqrt(np.sum(r[(r > size) & (r < radius)] ** (-2.0 * d * power))) for size in sizes]
    # 8%: shells of the lattice make the sum jump by their relative width 1/L, the more the steeper it is
    assert slope(sizes, norms) == pytest.approx(d / 2 - d * power, rel=0.08)


def vector_dipole(n: int):
    """Displacement of a force dipole in the triangular many-body crystal, by the Fourier transform; sites and distances."""
    energy = many_body()
    lattice = stress_free(triangular, energy)
    fc = force_constants(lattice, energy)
    axis = np.fft.fftfreq(n, 1 / n)
    k = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2) / n
    phase = np.exp(2j * np.pi * k @ fc.translations[:, :2].T)
    dynamical = np.einsum("kp,pab->kab", phase, fc.phi[:, :2, :2])
    assert np.linalg.eigvalsh(dynamical[1:]).min() > 0  # the crystal is stable
    force = np.zeros((n, n, 2))
    for offset, arm in (((1, 0), [1.0, 0.2]), ((0, 1), [0.3, -0.5])):
        force[offset] += arm
        force[tuple(-np.array(offset))] -= arm
    transform = np.fft.fft2(force, axes=(0, 1)).reshape(-1, 2, 1)
    transform[0] = 0
    dynamical[0] = np.eye(2)
    u = np.fft.ifft2(np.linalg.solve(dynamical, transform).reshape(n, n, 2), axes=(0, 1)).real
    return u, ScalarLattice(TRIANGULAR, TRIANGULAR_OFFSETS, n).distance


def test_far_field_of_a_dipole_decays():
    u, distance = vector_dipole(160)
    first = np.stack([np.roll(u, tuple(-o), (0, 1)) - u for o in TRIANGULAR_OFFSETS], -1)
    second = np.roll(first, (-1, 0), (0, 1)) - first
    ring = (distance > 6) & (distance < 20)

    def exponent(field):
        return slope(distance[ring], np.sqrt((field**2).sum(axis=(2, 3)))[ring])

    # 0.15: the next multipole is 1/6 of the first at r = 6, and periodic images are (20 / 160)^2 of it at r = 20
    assert exponent(first) == pytest.approx(-2, abs=0.15)  # |Du| ~ r^-d
    assert exponent(second) == pytest.approx(-3, abs=0.15)  # |D2u| ~ r^(-d-1)


def test_periodic_cell_costs_a_power_of_its_radius():
    sizes = np.array([16, 20, 26, 36])
    large = ScalarLattice(TRIANGULAR, TRIANGULAR_OFFSETS, 360)
    reference = large.dipole()
    strain = np.asarray(large.difference(reference))
    geometry, energy = [], []
    for n in sizes:
        small = ScalarLattice(TRIANGULAR, TRIANGULAR_OFFSETS, int(n))
        u = small.dipole()
        place = tuple(np.moveaxis(small.indices % 360, -1, 0))
        inside = np.zeros((360, 360), dtype=bool)
        inside[place] = True
        error = ((np.asarray(small.difference(u)) - strain[place]) ** 2).sum() + (strain[~inside] ** 2).sum()
        geometry.append(np.sqrt(error))
        energy.append(abs(small.norm(u) ** 2 - large.norm(reference) ** 2) / 2)
    assert slope(sizes, geometry) == pytest.approx(-1.0, abs=0.15)  # R^(-d/2)
    assert slope(sizes, energy) < -1.8  # R^-d or faster: the sum over images may cancel by symmetry
