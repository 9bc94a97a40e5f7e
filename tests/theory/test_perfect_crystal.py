"""Statements about the perfect crystal: sums of site energies, jets of one primitive cell, strains, and sublattices."""

import jax.numpy as jnp
import numpy as np
import pytest

from defectgen.crystal import primitive_cell, supercell
from defectgen.energy import (
    SiteEnergy,
    bulk_response,
    cell_energy,
    evaluate,
    force_constants,
    hessian,
    long_wave_elastic_constants,
)

from .toys import Parts, Sum, fcc, honeycomb, many_body, stress_free, triangular

STEPS = 10.0 ** np.arange(-9, -0.9)
CRYSTALS = {
    "triangular": lambda energy: stress_free(triangular, energy),
    "honeycomb": lambda energy: stress_free(honeycomb, energy),
    "fcc": lambda energy: stress_free(fcc, energy, 1.3, 1.9),
}
EVERY_CRYSTAL = pytest.mark.parametrize("name", list(CRYSTALS))


def is_a_v(errors) -> bool:
    """Truncation on one side, rounding on the other: the best step beats the worst a thousandfold, and is no end point."""
    best = int(np.argmin(errors))
    return errors[best] <= 1e-3 * max(errors) and 0 < best < len(errors) - 1


def rattled(name, size, seed=0):
    lattice = CRYSTALS[name](many_body())
    cell = supercell(lattice, size)
    noise = np.random.default_rng(seed).normal(scale=0.03, size=(len(cell), 3))
    noise[:, lattice.dimension :] = 0
    return cell, cell.positions + noise


def test_bulk_referenced_energy_is_zero_in_the_crystal_and_extensive_in_nothing():
    for size in (2, 3):
        cell, x = rattled("triangular", size)
        functional = cell_energy(cell, many_body())
        assert functional.energy_forces(cell.positions)[0] == pytest.approx(0, abs=1e-12)
        assert abs(functional.energy_forces(x)[0]) > 1e-3


def test_forces_are_minus_the_derivative_of_the_energy():
    cell, x = rattled("triangular", 3)
    functional, direction = cell_energy(cell, many_body()), np.random.default_rng(1).normal(size=x.shape)
    slope = -np.sum(functional.energy_forces(x)[1] * direction)
    direction[:, 2] = 0
    errors = [
        abs((functional.energy_forces(x + h * direction)[0] - functional.energy_forces(x - h * direction)[0]) / (2 * h) - slope)
        for h in STEPS[:-1]
    ]
    assert is_a_v(errors)


@EVERY_CRYSTAL
def test_force_constants_of_one_cell_fold_to_the_supercell_hessian(name):
    energy = many_body()
    lattice = CRYSTALS[name](energy)
    cell = supercell(lattice, 2 if name != "triangular" else 3)
    dense = hessian(energy, cell)
    fc = force_constants(lattice, energy)
    inverse = np.linalg.inv(cell.perfect_sites.matrix)
    folded = np.zeros_like(dense)
    for first, second, translation, phi in zip(fc.first, fc.second, fc.translations, fc.phi, strict=True):
        for i in np.flatnonzero(cell.perfect_sites.sublattices == first):
            offset = (cell.perfect_sites.translations - cell.perfect_sites.translations[i] - translation) @ inverse
            j = np.flatnonzero((np.abs(offset - np.round(offset)).max(1) < 1e-9) & (cell.perfect_sites.sublattices == second))
            folded[i, :, j[0], :] += phi
    assert np.abs(dense).max() > 1.0
    assert np.allclose(folded, dense, atol=1e-10)  # rounding of sums of some hundred terms of order 10


@EVERY_CRYSTAL
def test_acoustic_sum_rule_and_exchange_symmetry(name):
    energy = many_body()
    lattice = CRYSTALS[name](energy)
    fc = force_constants(lattice, energy)
    total = np.zeros((lattice.sublattices, 3, 3))
    np.add.at(total, fc.first, fc.phi)
    assert np.abs(fc.phi).max() > 1.0
    assert np.abs(total).max() < 1e-11  # rounding
    place = {(a, b, *t): k for k, (a, b, t) in enumerate(zip(fc.first, fc.second, fc.translations.tolist(), strict=True))}
    for (a, b, *t), k in place.items():
        partner = place[(b, a, *(-np.array(t)).tolist())]
        assert np.allclose(fc.phi[k], fc.phi[partner].T, atol=1e-11)


def test_force_constants_are_derivatives_of_forces():
    energy = many_body()
    cell = supercell(CRYSTALS["triangular"](energy), 5)
    column = hessian(energy, cell)[:, :, 0, 0]
    errors = []
    for h in STEPS:
        step = np.zeros_like(cell.positions)
        step[0, 0] = h
        forces = [evaluate(energy, cell, cell.positions + s * step).forces for s in (1, -1)]
        errors.append(np.abs(-(forces[0] - forces[1]) / (2 * h) - column).max())
    assert is_a_v(errors)


@EVERY_CRYSTAL
def test_virial_is_minus_the_strain_derivative(name):
    energy = many_body()
    lattice = CRYSTALS[name](energy).deformed(np.eye(3) + 0.03 * np.diag([1.0, -0.4, 0.0]))  # away from zero stress
    _, _, virial = bulk_response(lattice, energy)
    assert np.allclose(virial, virial.T, atol=1e-11) and np.abs(virial).max() > 1e-2
    mode = np.zeros((3, 3))
    mode[0, 0], mode[0, 1] = 1.0, 0.3
    errors = []
    for h in STEPS:
        plus, minus = (float(bulk_response(lattice.deformed(np.eye(3) + s * h * mode), energy)[0]) for s in (1, -1))
        errors.append(abs((plus - minus) / (2 * h) + np.sum(virial * mode)))
    assert is_a_v(errors)


@pytest.mark.parametrize("name", ["triangular", "fcc"])
def test_force_constants_determine_the_elastic_constants(name):
    """S_ab,cd = -(1/2 Omega) sum_rho Phi_ab rho_c rho_d and C_abcd = S_ac,bd + S_bc,ad - S_ab,cd at zero stress."""
    energy = many_body()
    lattice = CRYSTALS[name](energy)
    fc = force_constants(lattice, energy)
    s = -np.einsum("pab,pc,pd->abcd", fc.phi, fc.separations, fc.separations) / (2 * lattice.volume)
    c = np.einsum("acbd->abcd", s) + np.einsum("bcad->abcd", s) - s
    voigt = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    matrix = np.array([[c[(*i, *j)] for j in voigt] for i in voigt])
    keep = range(6) if lattice.dimension == 3 else (0, 1, 5)
    direct = long_wave_elastic_constants(lattice, energy)
    assert direct[0, 0] > 1.0
    assert np.allclose(matrix[np.ix_(keep, keep)], direct[np.ix_(keep, keep)], atol=1e-8)  # residual stress of the bisection


def test_every_observation_is_linear_in_the_site_energy():
    theta = np.array([1.1, 0.7, -0.4, 0.3])
    basis, scalar = Parts(), Sum(Parts(), jnp.asarray(theta))
    lattice = honeycomb(1.05).deformed(np.array([[1.02, 0.01, 0], [0, 0.97, 0], [0, 0, 1.0]]))
    for rows, labels in zip(bulk_response(lattice, basis), bulk_response(lattice, scalar), strict=True):
        assert np.allclose(rows @ theta, labels, atol=1e-12) and np.any(np.abs(labels) > 1e-3)
    rows, labels = force_constants(lattice, basis), force_constants(lattice, scalar)
    assert np.allclose(rows.phi @ theta, labels.phi, atol=1e-11)


class MoreShear(SiteEnergy):
    """`base` plus stiffness |sum of the three nearest bond vectors|^2: nothing under any affine strain of a honeycomb."""

    base: SiteEnergy
    stiffness: float
    cutoff: float = 1.6
    species: tuple[str, ...] = ("X",)

    def __call__(self, stencil):
        r2 = jnp.sum(stencil.g**2, axis=-1, keepdims=True)
        near = jnp.where(r2 < 1.3**2, stencil.g, 0.0)
        return self.base(stencil) + self.stiffness * jnp.sum(jnp.sum(near, axis=1) ** 2, axis=-1)


def test_affine_virials_do_not_determine_the_elastic_constants_of_a_multilattice():
    base, energy = many_body(), MoreShear(many_body(), 5.0)
    lattice = CRYSTALS["honeycomb"](base)
    for strain in ([[0.02, 0.01], [0.0, -0.03]], [[0.0, 0.05], [0.02, 0.0]]):
        f = np.eye(3)
        f[:2, :2] += strain
        affine = lattice.deformed(f)
        assert np.allclose(bulk_response(affine, energy)[2], bulk_response(affine, base)[2], atol=1e-11)
    assert np.abs(long_wave_elastic_constants(lattice, energy) - long_wave_elastic_constants(lattice, base)).max() > 0.1
    shifted = affine.with_motif(affine.motif + np.array([[0, 0, 0], [0.02, -0.01, 0]]))  # internal shifts do see it
    assert np.abs(bulk_response(shifted, energy)[1] - bulk_response(shifted, base)[1]).max() > 0.1


@pytest.mark.parametrize("name", ["triangular", "fcc"])
def test_range_weighted_error_of_the_force_constants_bounds_their_dual_norm(name):
    energy, other = many_body(), many_body(1.05, 1.9, 1.2, 0.25)
    lattice = CRYSTALS[name](energy)
    a, b = force_constants(lattice, energy), force_constants(lattice, other)
    delta = b.phi - a.phi
    r = np.linalg.norm(a.separations, axis=1)
    bound = 0.5 * np.sum(r**2 * np.linalg.norm(delta, axis=(1, 2), ord=2))
    reciprocal = 2 * np.pi * np.linalg.inv(lattice.vectors).T
    reach = np.arange(-8, 9) / 16
    k = np.stack(np.meshgrid(reach, reach, reach if name == "fcc" else [0.0], indexing="ij"), -1).reshape(-1, 3) @ reciprocal
    k = k[np.linalg.norm(k, axis=1) > 1e-9]
    symbol = np.einsum("kp,pab->kab", np.exp(1j * k @ a.separations.T), delta)
    worst = (np.linalg.norm(symbol, axis=(1, 2), ord=2) / np.sum(k**2, axis=1)).max()
    assert bound / 30 < worst <= bound  # the lower limit guards against a bound that says nothing


def test_primitive_cell_stands_for_any_supercell():
    energy = many_body()
    lattice = CRYSTALS["honeycomb"](energy).deformed(np.diag([1.02, 0.99, 1.0]))
    one, many = evaluate(energy, primitive_cell(lattice)), evaluate(energy, supercell(lattice, 3))
    assert many.energy == pytest.approx(9 * one.energy, rel=1e-13)
    assert np.allclose(many.virial, 9 * one.virial, atol=1e-11)
