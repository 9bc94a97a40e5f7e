"""The bounds and the table of rates, measured on lattices whose linear problem the Fourier transform solves exactly."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .scalar_lattice import (
    CUBIC,
    CUBIC_OFFSETS,
    TRIANGULAR,
    TRIANGULAR_OFFSETS,
    ScalarLattice,
    slope,
    surrogate_error,
    without_taylor,
)

LATTICES = {
    2: (ScalarLattice(TRIANGULAR, TRIANGULAR_OFFSETS, 192), np.array([8, 10, 12, 15, 19.0])),
    3: (ScalarLattice(CUBIC, CUBIC_OFFSETS, 48), np.array([5, 6, 7, 8, 10.0])),
}
# (geometry, energy) exponents, worked out in theory/bounds/rates.md
TABLE = {
    ("E+F", 2): (-1.0, -2.0),
    ("E+F+C", 2): (-3.0, -4.0),
    ("E+F+V", 2): (-3.0, -4.0),
    ("E+F+FC", 2): (-3.0, -4.0),
    ("E+F+FC+V", 2): (-5.0, -6.0),
    ("E+F", 3): (-1.5, -3.0),
    ("E+F+C", 3): (-3.5, -5.0),
    ("E+F+V", 3): (-3.5, -5.0),
    ("E+F+FC", 3): (-4.5, -6.0),
    ("E+F+FC+V", 3): (-6.5, -8.0),
}
CASES = pytest.mark.parametrize(("matched", "dimension"), list(TABLE), ids=[f"{m}-{d}d" for m, d in TABLE])


@cache
def far_errors(dimension, matched, symmetric=False):
    """Dual norm of the force error beyond L and absolute sum of the energy error beyond L, for every L."""
    lattice, sizes = LATTICES[dimension]
    u, distance = lattice.dipole(), lattice.distance
    error = surrogate_error(lattice, lattice.perturbation(0, symmetric), matched)
    force, energy = lattice.force(error, u), np.abs(lattice.site_energies(error, u))
    geometry = [lattice.dual_norm(np.where(distance > size, force, 0.0)) for size in sizes]
    return geometry, [energy[distance > size].sum() for size in sizes]


@CASES
def test_consistency_error_decays_as_the_table_says(matched, dimension):
    _, sizes = LATTICES[dimension]
    geometry, energy = far_errors(dimension, matched)
    expected = TABLE[matched, dimension]
    # 0.4: in d = 2 the shells of the lattice scatter by 0.1; in d = 3 sizes 5-10 are pre-asymptotic by 0.1-0.4.
    # Different rates of one column are at least 1 apart, so the test can tell them from each other.
    assert slope(sizes, geometry) == pytest.approx(expected[0], abs=0.5 if dimension == 3 else 0.2)
    assert slope(sizes, energy) == pytest.approx(expected[1], abs=0.4)
    assert min(geometry) > 1e-9 and min(energy) > 1e-12  # the error is not rounding


def exponents(matched: str, dimension: int) -> tuple[float, float]:
    """The slowest surviving term of the two bounds: the derivation of the table, in code."""
    alive = {"C2", "C3", "C4", "G2", "G3"}
    if "C" in matched.split("+"):
        alive -= {"C2"}
    if "FC" in matched.split("+"):
        alive -= {"C2", "G2"}
    if "V" in matched.split("+"):
        alive -= {"C2", "C3", "C4"}
    d = dimension
    geometry = {"C2": d / 2, "G2": d / 2 + 2, "C3": 3 * d / 2, "G3": 3 * d / 2 + 2, "C4": 5 * d / 2}
    energy = {"C2": d, "G2": d + 2, "C3": 2 * d, "G3": 2 * d + 2, "C4": 3 * d}
    slowest = -min(geometry[term] for term in alive)
    return slowest, max(-min(energy[term] for term in alive), 2 * slowest)


@CASES
def test_table_follows_from_the_exponents_of_the_bounds(matched, dimension):
    assert exponents(matched, dimension) == TABLE[matched, dimension]


@CASES
def test_package_predicts_the_table(matched, dimension):
    from defectgen.errors.predicted_rates import predicted_rate

    geometry, energy = TABLE[matched, dimension]
    assert predicted_rate(matched, dimension=dimension, quantity="geometry") == geometry
    assert predicted_rate(matched, dimension=dimension, quantity="energy") == energy


def test_isotropic_tensor_hides_the_first_rate_from_geometry_but_not_from_energy():
    _, sizes = LATTICES[2]
    generic, _ = far_errors(2, "E+F")
    geometry, energy = far_errors(2, "E+F", symmetric=True)
    assert slope(sizes, generic) == pytest.approx(-1.0, abs=0.2)
    assert slope(sizes, geometry) < -2.5  # the -d/2 = -1 term is gone
    assert slope(sizes, energy) == pytest.approx(-2.0, abs=0.2)  # -d, as in the table


def test_projection_vanishes_on_homogeneous_deformations():
    lattice, _ = LATTICES[2]
    p, rho = lattice.projection(), TRIANGULAR_OFFSETS @ TRIANGULAR
    phi = lattice.perturbation(1)
    rng = np.random.default_rng(0)
    for strain in rng.normal(size=(5, 2)):
        g = jnp.asarray(rho @ strain)
        assert float(phi(g) - phi(jnp.asarray(p) @ g)) == pytest.approx(0.0, abs=1e-13)  # rounding of values of order 1
    bent = jnp.asarray(rng.normal(size=6))
    assert abs(float(phi(bent) - phi(jnp.asarray(p) @ bent))) > 1e-3  # but psi is not zero
    assert np.allclose(p @ p, p, atol=1e-14)


def test_matched_virials_leave_fourth_order_dispersion_only():
    lattice, _ = LATTICES[2]
    rho = TRIANGULAR_OFFSETS @ TRIANGULAR
    p = jnp.asarray(lattice.projection())
    phi = lattice.perturbation(1)
    wave = np.array([0.4, 0.9])
    lengths = np.array([0.4, 0.2, 0.1, 0.05])

    def symbol(energy, k):
        """D^* phi''(0) D on exp(i k l)."""
        d = np.exp(1j * rho @ k) - 1
        return abs(np.conj(d) @ np.asarray(jax.hessian(energy)(jnp.zeros(6))) @ d)

    generic = [symbol(phi, s * wave) for s in lengths]
    matched = [symbol(lambda g: phi(g) - phi(p @ g), s * wave) for s in lengths]
    assert slope(lengths, generic) == pytest.approx(2, abs=0.05)
    assert slope(lengths, matched) == pytest.approx(4, abs=0.05)


def test_residual_over_stability_bounds_the_true_geometry_error():
    """The inverse function theorem on a nonlinear scalar crystal, solved exactly with the surrogate beyond L = 2."""
    lattice = ScalarLattice(TRIANGULAR, TRIANGULAR_OFFSETS, 10)
    start = lattice.dipole(2.0)
    load = np.asarray(lattice.transpose(lattice.difference(start))) / 2  # H start, the external force of the defect
    soft, error = lattice.perturbation(3), surrogate_error(lattice, lattice.perturbation(0), "E+F")
    near = lattice.distance <= 2

    def force(u, model):
        """Forces of the reference (model = 0) or of the mixed model (model = 1); the net force of the mixing is removed."""
        u = u.reshape(near.shape)

        def of(phi):
            gradient = jax.vmap(jax.grad(phi))(lattice.difference(u).reshape(-1, 6))
            return -lattice.transpose(gradient.reshape(*u.shape, -1))

        base = of(lambda g: jnp.sum(g**2) / 4 + 0.02 * without_taylor(soft, 2, 6)(g))
        extra = jnp.where(near, 0.0, of(lambda g: 0.02 * error(g)))
        return (base + load + model * (extra - extra.mean())).reshape(-1)

    force, jacobian = jax.jit(force), jax.jit(jax.jacfwd(force))

    def equilibrium(u, model):
        for _ in range(6):
            u = u - np.linalg.pinv(np.asarray(jacobian(u, model)), rcond=1e-10) @ np.asarray(force(u, model))
        assert np.abs(force(u, model)).max() < 1e-11
        return u, -np.asarray(jacobian(u, model))

    exact, _ = equilibrium(start.reshape(-1), 0.0)
    approximate, hessian = equilibrium(exact, 1.0)
    residual = lattice.dual_norm(np.asarray(force(exact, 1.0)).reshape(near.shape))
    difference = lattice.norm((approximate - exact).reshape(near.shape))
    basis = np.eye(exact.size).reshape(-1, *near.shape)
    harmonic = np.stack([np.asarray(lattice.transpose(lattice.difference(e))).ravel() / 2 for e in basis])
    scale = np.linalg.pinv(np.real(_root(harmonic)), rcond=1e-7)
    stability = np.linalg.eigvalsh(scale @ (hessian + hessian.T) / 2 @ scale)
    stability = stability[stability > 1e-6].min()  # the constant shift is the one zero mode
    assert difference > 1e-4
    assert difference <= 2 * residual / stability
    assert difference >= residual / 4  # the bound is not vacuous: the model's Hessian is at most 4 times the harmonic one


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T


def test_an_inexact_fit_gives_a_plateau_proportional_to_its_error():
    lattice, sizes = LATTICES[2]
    u, distance = lattice.dipole(), lattice.distance
    far = lattice.force(surrogate_error(lattice, lattice.perturbation(0), "E+F+FC"), u)
    noise = np.random.default_rng(0).normal(size=far.shape) / (1 + distance) ** 2.5

    def total(level, size):
        inner = np.where(distance <= size, noise, 0.0)
        inner = inner / np.linalg.norm((1 + distance) * inner) * level  # the weighted force error is `level`
        force = inner + np.where(distance > size, far, 0.0)
        return lattice.dual_norm(force - force.mean())

    levels = np.array([1e-1, 1e-2])
    plateaux = [total(level, sizes[-1]) for level in levels]
    tail = total(1e-12, sizes[-1])
    assert plateaux[1] > 2 * tail  # a plateau, not the tail
    assert slope(levels, plateaux) == pytest.approx(1.0, abs=0.05)
    assert total(1e-1, sizes[0]) == pytest.approx(total(1e-1, sizes[-1]), rel=0.5)  # larger training cells do not help
    assert total(1e-12, sizes[0]) > 5 * tail  # whereas an exact fit does profit from them
