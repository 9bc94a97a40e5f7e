"""The ACE basis: invariance, completeness, exact jets, the trap geometries, saving and loading, recovery of what it contains."""

from dataclasses import replace
from itertools import combinations_with_replacement

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

import defectgen as dg
from defectgen.ace import Harmonics, Radial, couplings, real_harmonics
from defectgen.ace.harmonics import ladder, real_from_complex
from defectgen.ace.sparse import Layout, SparseSum
from defectgen.ace.specification import tables
from defectgen.energy import (
    SiteEnergy,
    Stencil,
    autodiff_gradient,
    autodiff_hessian,
    bonds,
    cell_energy,
    channel_hessian_product,
    channel_rows,
    crystal_bonds,
    evaluate,
    force_constants,
    hessian_product,
    pad,
)
from defectgen.energy.perfect import assembled
from defectgen.observe import respond

CUTOFF = 5.0
CASES = {
    "one species, order 1": (["Cu"], 1, 8),
    "one species, order 2": (["Cu"], 2, 8),
    "one species, order 3": (["Cu"], 3, 8),
    "one species, order 4": (["Si"], 4, 8),
    "two species, order 3": (["Ni", "Al"], 3, 6),
    "three species, order 4": (["Ga", "As", "In"], 4, 4),
}


# compiled once per basis instead of operation by operation
values_of = eqx.filter_jit(lambda energy, stencil: energy(stencil))
gradient_of = eqx.filter_jit(lambda energy, stencil: energy.gradient(stencil))
hessian_of = eqx.filter_jit(lambda energy, stencil: energy.hessian(stencil))
slow_gradient = eqx.filter_jit(autodiff_gradient)
slow_hessian = eqx.filter_jit(autodiff_hessian)
product_of = eqx.filter_jit(lambda model, stencil, along: model.hessian_operator(stencil)(along))


def random_stencil(species: int, seed: int = 0, sites: int = 3, slots: int = 9) -> Stencil:
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(sites, slots, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    g = directions * rng.uniform(1.8, 1.1 * CUTOFF, size=(sites, slots, 1))  # some neighbours lie beyond the cutoff
    return Stencil(
        jnp.asarray(g), jnp.asarray(rng.integers(0, species, sites)), jnp.asarray(rng.integers(0, species, (sites, slots)))
    )


@pytest.fixture(params=CASES, ids=list(CASES))
def basis(request):
    species, order, degree = CASES[request.param]
    return dg.ACEBasis(species, cutoff=CUTOFF, order=order, degree=degree)


def test_harmonics_are_those_of_scipy():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 20))
    u /= np.linalg.norm(u, axis=0)
    ours = np.asarray(real_harmonics(jnp.asarray(u), 8))
    theta, phi = np.arccos(u[2]), np.arctan2(u[1], u[0])
    for degree in range(9):
        theirs = real_from_complex(degree) @ np.array([sph_harm_y(degree, m, theta, phi) for m in range(-degree, degree + 1)])
        np.testing.assert_allclose(ours[degree**2 : (degree + 1) ** 2], theirs, atol=1e-13)  # rounding of a recursion of length 8


def test_harmonics_are_those_of_sphericart():
    sphericart = pytest.importorskip("sphericart")
    u = np.random.default_rng(1).normal(size=(10, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    theirs = sphericart.SphericalHarmonics(6).compute(u)
    np.testing.assert_allclose(np.asarray(real_harmonics(jnp.asarray(u.T), 6)).T, theirs, atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_derivatives_of_harmonics_and_of_sums_of_them(degree):
    """Off the sphere too: they are polynomials. The oracle is automatic differentiation of the values."""
    rng = np.random.default_rng(2)
    weights = jnp.asarray(rng.normal(size=((degree + 1) ** 2, 7)))
    at, d = tuple(jnp.asarray(rng.normal(size=(3, 7)))), tuple(jnp.asarray(rng.normal(size=(3, 7))))

    def values(*xyz):
        return Harmonics(xyz, degree).values()

    def slopes(*xyz):
        return jnp.stack(
            [jax.jvp(lambda x, a=a: values(*xyz[:a], x, *xyz[a + 1 :]), (xyz[a],), (jnp.ones(7),))[1] for a in range(3)]
        )

    def curved(xyz, a, b):
        along = tuple(jnp.full(7, float(k == b)) for k in range(3))
        return jnp.sum(weights * jax.jvp(slopes, xyz, along)[1][a], axis=0)

    harmonics = Harmonics(at, degree)
    scale = 1e-13 * max(1.0, np.abs(slopes(*at)).max())  # rounding of recursions of length 5
    np.testing.assert_allclose(harmonics.gradient(), slopes(*at), atol=scale)
    np.testing.assert_allclose(harmonics.along(d), jax.jvp(values, at, d)[1], atol=10 * scale)
    np.testing.assert_allclose(jnp.stack(harmonics.slope_of(weights)), jnp.sum(weights * slopes(*at), axis=1), atol=100 * scale)
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    np.testing.assert_allclose(
        jnp.stack(harmonics.curvature_of(weights)), [curved(at, *pair) for pair in pairs], atol=1000 * scale
    )


def test_derivatives_of_solid_harmonics_are_a_ladder():
    """dS/dg from the matrices, against automatic differentiation of r^l Y_lm(g/r) at points of any length."""
    degree, g = 6, jnp.asarray(np.random.default_rng(2).normal(size=(3, 10)))
    l = np.repeat(np.arange(degree + 1), 2 * np.arange(degree + 1) + 1)[:, None]  # noqa: E741

    def solid(g):
        r = jnp.sqrt(jnp.sum(g**2, axis=0))
        return r**l * real_harmonics(g / r, degree)

    directions = jnp.broadcast_to(jnp.eye(3)[:, :, None], (3, *g.shape))
    slow = jax.jit(jax.vmap(lambda v: jax.jvp(solid, (g,), (v,))[1]))(directions)
    size = np.abs(slow).max()
    np.testing.assert_allclose(ladder(degree) @ np.asarray(solid(g)), slow, atol=1e-13 * size)  # rounding of a short recursion


@pytest.mark.parametrize("envelope", [2, 4])
def test_radial_functions_are_orthonormal_and_end_smoothly(envelope):
    radial = Radial(CUTOFF, 8, [[2.5]], envelope=envelope)

    @jax.jit
    def at(r):
        zero = jnp.zeros(r.shape, dtype=int)
        return radial(r, zero, zero)

    r = jnp.linspace(1e-3, CUTOFF, 4001)
    y = np.asarray((radial._agnesi(r / 2.5) - radial._agnesi(CUTOFF / 2.5)) / (1 - radial._agnesi(CUTOFF / 2.5)))
    values = np.asarray(at(r))
    gram = -np.trapezoid(values[:, None] * values[None], y, axis=-1)
    np.testing.assert_allclose(gram, np.eye(8), atol=2e-4)  # trapezoidal rule on 4000 intervals

    h = 1e-3 * 2.0 ** -np.arange(3)  # near the cutoff R_n ~ (rc - r)^envelope: envelope - 1 continuous derivatives, no more
    near = np.abs(np.asarray(at(jnp.asarray(CUTOFF - h))))
    np.testing.assert_allclose(np.log2(near[:, :-1] / near[:, 1:]), envelope, atol=0.02)  # next term is of relative size n^2 h
    assert np.all(np.asarray(at(jnp.asarray([CUTOFF, CUTOFF + 1.0]))) == 0.0)


@pytest.mark.parametrize("improper", [False, True], ids=["rotation", "rotoreflection"])
def test_basis_is_invariant(basis, improper):
    stencil = random_stencil(len(basis.species))
    turn = Rotation.random(random_state=3).as_matrix() * (-1 if improper else 1)
    shuffle = np.random.default_rng(5).permutation(stencil.g.shape[1])
    moved = Stencil(stencil.g[:, shuffle] @ turn.T, stencil.centre, stencil.neighbour[:, shuffle])
    values, turned = np.asarray(values_of(basis, stencil)), np.asarray(values_of(basis, moved))
    assert np.abs(values).max() > 1e-2
    np.testing.assert_allclose(turned, values, rtol=0, atol=1e-12 * np.abs(values).max())


def test_jets_are_those_of_automatic_differentiation(basis):
    stencil = random_stencil(len(basis.species), slots=5)
    values, gradient = gradient_of(basis, stencil)
    plain, slow = slow_gradient(basis, stencil)
    size = np.abs(slow).max()
    assert size > 1e-2
    np.testing.assert_allclose(values, plain, atol=1e-12 * np.abs(plain).max())
    np.testing.assert_allclose(gradient, slow, atol=1e-12 * size)  # rounding of sums of a few hundred terms
    hessian, slow = hessian_of(basis, stencil), slow_hessian(basis, stencil)
    np.testing.assert_allclose(hessian, slow, atol=1e-12 * np.abs(slow).max())


def test_gradient_against_finite_differences(basis):
    stencil = random_stencil(len(basis.species), seed=2, sites=1, slots=4)
    exact = np.asarray(gradient_of(basis, stencil)[1])[0, 1, 0]
    errors = []
    for h in 10.0 ** np.arange(-1, -9, -1):
        up, down = (Stencil(stencil.g.at[0, 1, 0].add(s), stencil.centre, stencil.neighbour) for s in (h, -h))
        errors.append(np.abs((np.asarray(values_of(basis, up)) - np.asarray(values_of(basis, down)))[0] / (2 * h) - exact).max())
    assert min(errors) < 1e-3 * max(errors)
    assert np.argmin(errors) not in (0, len(errors) - 1)


def invariant_count(ls, labels) -> int:
    """Number of independent invariants by group averaging: the trace of the projector onto symmetric O(3)-invariant tensors.

    Characters of O(3) are integrated over the rotation angle; exchange of equal factors enters through cycle characters.
    """
    if sum(ls) % 2:
        return 0
    from itertools import permutations

    angle = (np.arange(4000) + 0.5) * np.pi / 4000
    weight = (1 - np.cos(angle)) / np.pi * (np.pi / 4000)

    def character(degree, theta):
        return np.sin((2 * degree + 1) * theta / 2) / np.sin(theta / 2)

    total, count = 0.0, 0
    for p in permutations(range(len(ls))):
        if any((ls[p[t]], labels[p[t]]) != (ls[t], labels[t]) for t in range(len(ls))):
            continue
        count += 1
        product, seen = np.ones_like(angle), set()
        for start in range(len(ls)):
            length, at = 0, start
            while at not in seen:
                seen.add(at)
                at, length = p[at], length + 1
            if length:
                theta = length * angle
                product = product * np.where(np.abs(np.sin(theta / 2)) < 1e-9, 2 * ls[start] + 1, character(ls[start], theta))
        total += float(np.sum(weight * product))
    return round(total / count)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_couplings_none_missing_none_redundant(order):
    checked = 0
    for ls in combinations_with_replacement(range(4), order):
        for labels in ((0,) * order, tuple(range(order)), (0, 0, *range(1, order - 1))):
            pairs = tuple(sorted(zip(labels, ls, strict=True)))
            labels_sorted, ls_sorted = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
            found = couplings(ls_sorted, labels_sorted)
            assert len(found) == invariant_count(ls_sorted, labels_sorted), (ls_sorted, labels_sorted)
            if found:
                keys = sorted({key for f in found for key in f})
                matrix = np.array([[f.get(key, 0.0) for key in keys] for f in found])
                assert np.linalg.matrix_rank(matrix, tol=1e-8) == len(found)
                checked += 1
    assert checked > 5


def test_basis_functions_are_linearly_independent():
    basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=4, degree=8)
    values = np.concatenate([np.asarray(values_of(basis, random_stencil(1, seed, sites=40, slots=10))) for seed in range(4)])
    singular = np.linalg.svd(values / np.linalg.norm(values, axis=0), compute_uv=False)
    assert len(values) > basis.size
    assert singular[-1] > 1e-9 * singular[0]


def test_specification_is_the_total_degree_set():
    table = tables(1, 3, 9.0, 1.5, 9)
    singles = [(0, n, degree) for n in range(1, 10) for degree in range(7)]
    expected = {
        c
        for nu in (2, 3)
        for c in combinations_with_replacement(sorted(singles), nu)
        if sum(n + 1.5 * degree for _, n, degree in c) <= 9 + 1e-9
        and couplings(tuple(f[2] for f in c), tuple(sorted({g[:2] for g in c}).index(f[:2]) for f in c))
    }
    assert {f.factors for f in table.functions if f.order > 1} == expected
    assert len(table.functions) == len(set(table.functions))


def test_smaller_degree_is_a_column_selection():
    large, small = (dg.ACEBasis(["Ni", "Al"], cutoff=CUTOFF, order=3, degree=d) for d in (7, 5))
    stencil = random_stencil(2)
    np.testing.assert_allclose(
        np.asarray(values_of(large, stencil))[:, large.columns_of(small)], values_of(small, stencil), rtol=1e-13, atol=1e-15
    )
    with pytest.raises(dg.InputError, match="not in the larger"):
        small.columns_of(large)


TRAPS = {
    "collinear": [[2.4, 0, 0], [-2.4, 0, 0], [3.5, 0, 0]],
    "same direction": [[0, 0, 2.2], [0, 0, 4.1], [0, 0, 3.0]],
    "along z and its opposite": [[0, 0, 2.5], [0, 0, -2.5], [1.0, 1.0, 2.0]],
    "all beyond the cutoff": [[9.0, 0, 0], [0, 8.0, 0], [0, 0, CUTOFF]],
    "square": [[2, 2, 0], [-2, 2, 0], [-2, -2, 0]],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_degenerate_geometries_have_finite_exact_jets(trap):
    basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=4, degree=6)
    stencil = Stencil(jnp.asarray([TRAPS[trap]], dtype=float), jnp.zeros(1, int), jnp.zeros((1, 3), int))
    values, gradient = gradient_of(basis, stencil)
    hessian = hessian_of(basis, stencil)
    for a in (values, gradient, hessian):
        assert np.all(np.isfinite(a))
    np.testing.assert_allclose(hessian, slow_hessian(basis, stencil), atol=1e-11 * max(1.0, np.abs(hessian).max()))
    h = 1e-5
    up, down = (
        np.asarray(values_of(basis, Stencil(stencil.g.at[0, 0, 1].add(s), stencil.centre, stencil.neighbour))) for s in (h, -h)
    )
    # central difference: truncation h^2 |V'''| / 6 and rounding 1e-16 |V| / h, both below 1e-7 of the largest gradient
    np.testing.assert_allclose((up - down)[0] / (2 * h), gradient[0, 0, 1], atol=1e-6 * max(1.0, np.abs(gradient).max()))


@pytest.mark.parametrize("lattice", [dg.fcc("Cu", 3.6), dg.diamond("Si", 5.43), dg.hcp("Mg", 3.2)], ids=["fcc", "diamond", "hcp"])
def test_energy_per_atom_does_not_depend_on_the_cell(lattice):
    basis = dg.ACEBasis(sorted(set(lattice.species)), cutoff=CUTOFF, order=4, degree=6)
    model = dg.LinearACE(basis, np.random.default_rng(0).normal(size=basis.size))
    energies = [
        evaluate(model, cell).energy / len(cell)
        for cell in (dg.primitive_cell(lattice), dg.supercell(lattice, 2), dg.supercell(lattice, (1, 2, 3)))
    ]
    np.testing.assert_allclose(energies, energies[0], rtol=1e-12)  # the primitive cell is narrower than the cutoff: many images


def test_folded_model_is_the_basis_times_coefficients(basis):
    stencil = random_stencil(len(basis.species))
    theta = np.random.default_rng(1).normal(size=basis.size)
    model = dg.LinearACE(basis, theta)
    values = np.asarray(values_of(basis, stencil))
    np.testing.assert_allclose(values_of(model, stencil), values @ theta, atol=1e-12 * np.abs(values * theta).sum(1).max())
    stencil = random_stencil(len(basis.species), slots=5)
    every = np.asarray(hessian_of(basis, stencil))
    size = np.abs(every * theta).sum(-1).max()
    assert size > 1e-1
    np.testing.assert_allclose(hessian_of(model, stencil), every @ theta, atol=1e-12 * size)


def test_forces_of_the_folded_model_are_those_of_automatic_differentiation(basis):
    """The value and the gradient come from dV/dA; the oracle differentiates the polynomial itself."""
    stencil = random_stencil(len(basis.species), seed=4)
    model = dg.LinearACE(basis, np.random.default_rng(1).normal(size=basis.size))
    (values, forces), (plain, slow) = gradient_of(model, stencil), slow_gradient(model, stencil)
    assert np.abs(slow).max() > 1e-1
    np.testing.assert_allclose(values, plain, atol=1e-12 * np.abs(plain).max())
    np.testing.assert_allclose(forces, slow, atol=1e-12 * np.abs(slow).max())  # rounding of sums of a few thousand terms


def slow_product(model, stencil, dg):
    """Forward over reverse differentiation of the polynomial itself."""
    return jax.jit(
        lambda g: jax.jvp(lambda g: autodiff_gradient(model, Stencil(g, stencil.centre, stencil.neighbour))[1], (g,), (dg,))[1]
    )(stencil.g)


def test_hessian_products_of_the_folded_model_are_those_of_automatic_differentiation(basis):
    stencil = random_stencil(len(basis.species), seed=5)
    model = dg.LinearACE(basis, np.random.default_rng(1).normal(size=basis.size))
    along = jnp.asarray(np.random.default_rng(6).normal(size=stencil.g.shape))
    slow = slow_product(model, stencil, along)
    assert np.abs(slow).max() > 1e-1
    np.testing.assert_allclose(product_of(model, stencil, along), slow, atol=1e-12 * np.abs(slow).max())


@pytest.mark.parametrize("trap", TRAPS)
def test_hessian_products_in_degenerate_geometries(trap):
    basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=4, degree=6)
    model = dg.LinearACE(basis, np.random.default_rng(2).normal(size=basis.size))
    stencil = Stencil(jnp.asarray([TRAPS[trap]], dtype=float), jnp.zeros(1, int), jnp.zeros((1, 3), int))
    along = jnp.asarray(np.random.default_rng(7).normal(size=stencil.g.shape))
    slow, fast = slow_product(model, stencil, along), product_of(model, stencil, along)
    np.testing.assert_allclose(fast, slow, atol=1e-11 * max(1.0, np.abs(slow).max()))


@pytest.mark.parametrize(("targets", "entries"), [(30, 12), (3, 2000), (40, 300)], ids=["few", "long", "many"])
def test_sparse_sums_are_matrix_products(targets, entries):
    """Targets without entries, entries that repeat, and targets so long that they are summed in two or three steps."""
    rng = np.random.default_rng(entries)
    target, source, weight = rng.integers(0, targets, entries), rng.integers(0, 9, entries), rng.normal(size=entries)
    matrix, x = np.zeros((targets, 9)), rng.normal(size=(9, 4))
    np.add.at(matrix, (target, source), weight)
    layout = Layout(target, targets)
    product = eqx.filter_jit(SparseSum(layout, layout.spread_indices(source), weight))(jnp.asarray(x))
    np.testing.assert_allclose(product, matrix @ x, atol=1e-13 * max(entries, 1))


class Unpacked(SiteEnergy):
    """A basis that shows only its jets, so that rows are accumulated in the general way."""

    basis: dg.ACEBasis
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, basis):
        self.basis, self.cutoff, self.species = basis, basis.cutoff, basis.species

    def __call__(self, stencil):
        return self.basis(stencil)

    def gradient(self, stencil):
        return self.basis.gradient(stencil)


@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_packed_rows_are_those_of_the_jets(chunk):
    """Two species, padded atoms, and chunks that do not divide them; with the sites named the rows are made in JAX."""
    basis = dg.ACEBasis(["Ni", "Al"], cutoff=4.0, order=3, degree=5)
    cell = dg.vacancy().apply(dg.supercell(dg.l12("Al", "Ni", 3.6), (1, 1, 5)))
    x = cell.positions + 0.1 * np.random.default_rng(0).normal(size=cell.positions.shape)
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, basis)
    rows = len(near.index)
    assert rows > len(cell)  # some rows are padding
    at = jnp.asarray(pad(x, rows)), jnp.asarray(cell.vectors), near
    named = np.arange(len(cell))
    for packed, general in zip(channel_rows(basis, *at, chunk, named), channel_rows(Unpacked(basis), *at, 5), strict=True):
        assert np.abs(general).max() > 1.0
        np.testing.assert_allclose(packed, general, atol=1e-12 * np.abs(general).max())


def test_hessian_products_of_all_functions_are_those_of_models():
    """One atom moves, and most sites of a long cell do not see it; then every atom does, or none."""
    basis = dg.ACEBasis(["Ni", "Al"], cutoff=4.0, order=2, degree=4)
    rng = np.random.default_rng(0)
    model = dg.LinearACE(basis, rng.normal(size=basis.size))
    cell = dg.vacancy().apply(dg.supercell(dg.l12("Al", "Ni", 3.6), (1, 2, 7)))
    x = cell.positions + 0.1 * rng.normal(size=cell.positions.shape)
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, basis)
    at = jnp.asarray(pad(x, len(near.index))), jnp.asarray(cell.vectors), near
    one, every = np.zeros_like(at[0]), rng.normal(size=at[0].shape)
    one[3, 1] = 1.0
    sees = np.any(np.asarray(near.difference(jnp.asarray(one))) != 0, axis=(1, 2)).sum()
    assert sees + 32 < len(cell)
    for v in (one, every):
        exact = hessian_product(model, *at, jnp.asarray(v))
        found = np.asarray(channel_hessian_product(basis, *at, jnp.asarray(v))) @ np.asarray(model.coefficients)
        assert np.abs(exact).max() > 1.0
        np.testing.assert_allclose(found, exact, atol=1e-12 * np.abs(exact).max() * len(x))
    assert np.all(np.asarray(channel_hessian_product(basis, *at, jnp.ones_like(at[0]))) == 0.0)


@pytest.mark.parametrize("lattice", [dg.l12("Al", "Ni", 3.6), dg.diamond("Si", 5.43)], ids=["two species", "two sublattices"])
def test_force_constants_of_all_functions_are_those_of_the_written_out_hessian(lattice):
    """Function by function over pairs, beside the jets of all functions in one array; the sums of a row vanish."""
    basis = dg.ACEBasis(sorted(set(lattice.species)), cutoff=4.2, order=3, degree=4)
    x, near = crystal_bonds(lattice, basis)
    stencil = near.stencil(jnp.asarray(x), jnp.asarray(lattice.vectors))
    every = np.asarray(hessian_of(basis, stencil))
    found, slow = force_constants(lattice, basis), assembled(lattice, near, lambda site: every[site])
    size = np.abs(slow.phi).max()
    assert size > 1e-1 and np.all(np.abs(slow.phi).max(axis=(0, 1, 2))[len(basis.species) :] > 0)
    np.testing.assert_allclose(found.phi, slow.phi, atol=1e-13 * size * len(every[0]))  # rounding of sums over neighbours
    for b in range(lattice.sublattices):
        row = found.phi[found.first == b].sum(axis=0)
        np.testing.assert_allclose(row, 0.0, atol=1e-13 * size * len(every[0]))


def test_model_survives_a_file(basis, tmp_path):
    theta = np.random.default_rng(1).normal(size=basis.size)
    model = dg.LinearACE(basis, theta, provenance={"truth": "test", "rows": 7})
    again = dg.load_model(model.save(tmp_path / "model.json"))
    stencil = random_stencil(len(basis.species))
    assert np.array_equal(values_of(model, stencil), values_of(again, stencil))
    assert dict(again.provenance) == dict(model.provenance) == {"truth": "test", "rows": 7}


def test_models_of_one_basis_share_one_compilation():
    basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=2, degree=4)
    compiled = []

    @eqx.filter_jit
    def energy(model, stencil):
        compiled.append(1)  # runs only while tracing
        return model(stencil)

    results = [energy(dg.LinearACE(basis, np.full(basis.size, k), provenance={"fit": k}), random_stencil(1)) for k in (1.0, 2.0)]
    assert len(compiled) == 1
    assert not np.allclose(results[0], results[1])


def test_bad_models_and_bases_are_refused_in_words(tmp_path):
    with pytest.raises(dg.InputError, match="order must be 1, 2, 3 or 4; got 5"):
        dg.ACEBasis(["Cu"], cutoff=5.0, order=5)
    with pytest.raises(dg.InputError, match="chemical symbol"):
        dg.ACEBasis(["Xx"], cutoff=5.0)
    with pytest.raises(dg.InputError, match="symmetric 2 x 2 matrix"):
        dg.ACEBasis(["Ni", "Al"], cutoff=5.0, r0=[[2.0, 2.5], [2.6, 3.0]])
    with pytest.raises(dg.InputError, match="r0 is a positive length"):
        dg.ACEBasis(["Cu"], cutoff=5.0, r0="short")
    with pytest.raises(dg.InputError, match="degree 2 has no function of order 3"):
        dg.ACEBasis(["Cu"], cutoff=5.0, order=3, degree=2)
    basis = dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=5)
    with pytest.raises(dg.InputError, match=f"{basis.size} functions; got coefficients of shape"):
        dg.LinearACE(basis, np.zeros(3))
    with pytest.raises(dg.InputError, match="must be finite"):
        dg.LinearACE(basis, np.full(basis.size, np.nan))
    with pytest.raises(dg.InputError, match="cannot be read"):
        dg.load_model(tmp_path / "nothing.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(dg.InputError, match="not a model of this package"):
        dg.load_model(tmp_path / "other.json")


@pytest.mark.parametrize("species", [["Ni", "Al"], ["Ga", "As", "In"]], ids=["two species", "three species"])
def test_no_function_of_a_compound_is_there_twice(species):
    """Structures of all species together determine every coefficient: a pair function is one, whichever end it is seen from."""
    basis = dg.ACEBasis(species, cutoff=4.0, order=2, degree=4)
    rng = np.random.default_rng(0)
    cell = dg.supercell(dg.sc(species[0], 2.5), 2)
    rows = []
    for _ in range(8):
        x = cell.positions + 0.2 * rng.normal(size=cell.positions.shape)
        mixed = replace(cell, symbols=tuple(rng.choice(species, size=len(cell))), positions=x)  # the composition varies too
        answer = respond(basis, dg.Snapshot(mixed, x, mixed.vectors))
        rows += [answer.energy[None], answer.forces.reshape(-1, basis.size)]
    assert np.linalg.matrix_rank(np.concatenate(rows)) == basis.size == len(basis.smoothness())
    twins = len(basis.channel) - basis.size
    assert twins == basis.pair_degree * len(species) * (len(species) - 1) // 2

    smaller = dg.ACEBasis(species, cutoff=4.0, order=2, degree=3)
    part = respond(smaller, dg.Snapshot(mixed, x, mixed.vectors))
    np.testing.assert_allclose(part.forces, answer.forces[..., basis.columns_of(smaller)], atol=1e-11)  # sums in another order


def test_a_whole_number_is_an_order(unchecked):
    basis = dg.ACEBasis(["Cu"], cutoff=5.0, order=2.0, degree=4)  # pyright: ignore[reportArgumentType]
    assert (basis.order, basis.size) == (2, dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=4).size)


def test_reference_in_the_span_is_recovered():
    """A reference that the basis contains comes back to rounding times condition, whatever is observed."""
    basis = dg.ACEBasis(["Cu"], cutoff=4.5, order=2, degree=6)
    theta = np.random.default_rng(3).normal(size=basis.size) / (1 + basis.smoothness(2))
    truth = dg.LinearACE(basis, theta)
    lattice = dg.fcc("Cu", 3.6)
    cells = dg.training_cells(lattice, dg.vacancy(), 2, seed=1, rattle={"configurations": 3, "amplitude": 0.1})
    blocks = dg.label(cells, truth, basis, ["E", "F", "FC", "V"])
    fitted = dg.fit(blocks, "E+F+FC+V")
    assert fitted.rank == basis.size
    np.testing.assert_allclose(fitted.coefficients, theta, atol=1e-13 * fitted.condition * np.abs(theta).max())
    cell = dg.vacancy().apply(dg.supercell(lattice, 3))
    x = cell.positions + 0.05 * np.random.default_rng(0).normal(size=cell.positions.shape)
    ours, theirs = cell_energy(cell, fitted.model).energy_forces(x), cell_energy(cell, truth).energy_forces(x)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-8)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-8)  # prediction errors do not see the condition's null directions
