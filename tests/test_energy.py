"""Sums of site energies: against brute force, differences and each other, whatever the chunk, the padding, the cell."""

from dataclasses import replace
from itertools import product
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from toy_energy import CHARGES, Elsewhere, Toy, atoms

import defectgen as dg
from defectgen.energy import (
    bonds,
    bulk_energy,
    bulk_site_energies,
    cell_energy,
    channel_rows,
    crystal_response,
    energy_forces_virial,
    evaluate,
    force_constants,
    hessian,
    hessian_product,
    long_wave_elastic_constants,
    pad,
)
from defectgen.energy.bonds import padded_rows

TOY = Toy()
ALLOY = Toy(("Ni", "Al"))
CRYSTALS = {
    "fcc": (dg.fcc("Cu", 3.6), TOY),
    "hcp": (dg.hcp("Cu", 2.6), TOY),
    "diamond": (dg.diamond("Cu", 4.9), TOY),
    "rocksalt": (dg.rocksalt("Ni", "Al", 4.8), ALLOY),
    "l12": (dg.l12("Ni", "Al", 3.6), ALLOY),
    "triangular": (dg.triangular("Cu", 2.6), TOY),
}
"""Primitive cells are narrower than the cutoff of 3.2 A: every atom sees images of itself or sees a neighbour twice."""

SWEEP = 10.0 ** np.arange(-1, -9, -1)


@pytest.fixture(params=CRYSTALS, ids=list(CRYSTALS))
def crystal(request):
    return CRYSTALS[request.param]


def rattled(cell, amplitude=0.05, seed=0):
    """Displaced atoms; in the plane if the crystal is one."""
    inside = np.array([1.0, 1.0, 1.0 if cell.lattice.dimension == 3 else 0.0])
    return cell.positions + amplitude * np.random.default_rng(seed).normal(size=cell.positions.shape) * inside


def laid_out(cell, energy, x=None, bucket=None):
    """What the sums over cells take: padded positions, box, bonds."""
    x = cell.positions if x is None else x
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, energy, bucket=bucket)
    return jnp.asarray(pad(x, near.index.shape[0])), jnp.asarray(cell.vectors), near


def is_v(errors):
    """Truncation falls, rounding rises, and between them the derivative is there."""
    return min(errors) < 1e-3 * max(errors) and 0 < int(np.argmin(errors)) < len(errors) - 1


# -- one sum by brute force ----------------------------------------------------------------------------------------------------


def brute_force(x, vectors, periodic, species, cutoff):
    """The toy energy by explicit loops over atoms and images."""
    total = 0.0
    reach = [range(-3, 4) if p else (0,) for p in periodic]
    images = np.array(list(product(*reach))) @ vectors
    for i in range(len(x)):
        rho, moment = 0.0, np.zeros(3)
        for j in range(len(x)):
            for g in x[j] - x[i] + images:
                r = np.linalg.norm(g)
                if 1e-9 < r < cutoff:
                    w = CHARGES[species[j]] * (1 - (r / cutoff) ** 2) ** 6
                    rho, moment = rho + 20 * w * np.exp(-r), moment + w * g / r
        total += CHARGES[species[i]] - np.sqrt(rho**2 + 1) + 0.5 * moment @ moment
    return total


def test_energy_is_the_sum_over_all_images(crystal):
    lattice, energy = crystal
    cell = dg.primitive_cell(lattice)
    for x in (cell.positions, rattled(cell)):
        kinds = [energy.species.index(s) for s in cell.symbols]
        expected = brute_force(x, cell.vectors, cell.periodic, kinds, energy.cutoff)
        assert evaluate(energy, cell, x).energy == pytest.approx(expected, rel=1e-13)  # rounding


# -- D and its transpose -------------------------------------------------------------------------------------------------------


def test_difference_and_transpose_are_adjoint(crystal):
    lattice, energy = crystal
    cell = dg.supercell(lattice, 2)
    near = laid_out(cell, energy, rattled(cell))[2]
    rng = np.random.default_rng(1)
    v = jnp.asarray(rng.normal(size=(near.index.shape[0], 3)))
    p = jnp.asarray(rng.normal(size=(*near.index.shape, 3)))
    one, other = float(jnp.sum(near.difference(v) * p)), float(jnp.sum(v * near.transpose(p)))
    assert abs(one) > 1e-2
    assert one == pytest.approx(other, rel=1e-11, abs=1e-11)  # a few thousand terms of size one
    shuffled = eqx.tree_at(lambda b: b.reverse, near, near.reverse[:, ::-1])
    assert abs(float(jnp.sum(v * shuffled.transpose(p))) - one) > 1e-2  # wrong reverse bonds would be seen


def test_difference_knows_constants_and_padding():
    cell = dg.supercell(dg.fcc("Cu", 3.6), (3, 3, 1))
    near = laid_out(cell, TOY)[2]
    assert np.all(near.difference(jnp.ones((near.index.shape[0], 3))) == 0.0)
    mask = np.asarray(near.mask)
    assert not mask.all()
    assert np.all(np.asarray(near.difference(jnp.arange(3.0 * len(mask)).reshape(-1, 3)))[~mask] == 0.0)
    flat = np.asarray(near.reverse).ravel()
    assert np.array_equal(flat[flat], np.arange(len(flat)))  # the reverse of the reverse, on padding too


# -- derivatives ---------------------------------------------------------------------------------------------------------------


def functionals():
    fcc, alloy, flat = CRYSTALS["fcc"][0], CRYSTALS["l12"][0], CRYSTALS["triangular"][0]
    return {
        "periodic": (dg.supercell(fcc, 2), TOY),
        "vacancy in a plane": (dg.vacancy().apply(dg.supercell(flat, 6)), TOY),
        "antisite in an alloy": (dg.antisite("Al").apply(dg.supercell(alloy, 2)), ALLOY),
        "vacancy in a ball": (dg.vacancy().apply(dg.ball(fcc, 4.0, clamp=6.6)), TOY),
        "black box": (dg.supercell(fcc, 2), Elsewhere(TOY)),
    }


@pytest.mark.parametrize("name", list(functionals()))
def test_forces_are_minus_the_gradient(name):
    cell, potential = functionals()[name]
    functional, x = cell_energy(cell, potential), rattled(cell)
    forces = functional.energy_forces(x)[1]
    assert np.all(forces[~cell.free] == 0.0)
    assert cell.free.all() == ("ball" not in name)
    direction = rattled(cell, 1.0, seed=7) - cell.positions
    direction *= cell.free[:, None] / np.abs(direction).max()
    exact = -float(np.sum(forces * direction))
    errors = [
        abs((functional.energy_forces(x + h * direction)[0] - functional.energy_forces(x - h * direction)[0]) / (2 * h) - exact)
        for h in SWEEP
    ]
    assert abs(exact) > 1e-4
    assert is_v(errors), errors


@pytest.mark.parametrize("name", [n for n in functionals() if n != "black box"])
def test_hessian_products_are_the_derivative_of_forces(name):
    cell, potential = functionals()[name]
    functional, x = cell_energy(cell, potential), rattled(cell)
    v = rattled(cell, 1.0, seed=8) - cell.positions
    exact = functional.hessian_product(x, v)
    v = v * cell.free[:, None]
    errors = [
        np.abs((functional.energy_forces(x - h * v)[1] - functional.energy_forces(x + h * v)[1]) / (2 * h) - exact).max()
        for h in SWEEP
    ]
    assert is_v(errors), errors


def test_black_box_products_are_those_of_the_site_energy():
    cell = dg.supercell(CRYSTALS["fcc"][0], 2)
    x, v = rattled(cell), rattled(cell, 1.0, seed=8) - cell.positions
    exact = cell_energy(cell, TOY).hessian_product(x, v)
    coarse, fine = (np.abs(cell_energy(cell, Elsewhere(TOY, h)).hessian_product(x, v) - exact).max() for h in (1e-2, 1e-3))
    assert coarse / fine == pytest.approx(100, rel=0.1)  # central differences: second order in the step
    assert fine < 1e-3 * np.abs(exact).max()
    assert np.all(cell_energy(cell, Elsewhere(TOY)).hessian_product(x, 0 * v) == 0.0)


def test_dense_hessian_is_that_of_automatic_differentiation(crystal):
    lattice, energy = crystal
    cell = dg.primitive_cell(lattice) if lattice.sublattices > 1 else dg.supercell(lattice, (2, 1, 1))
    x = rattled(cell)
    padded, box, near = laid_out(cell, energy, x)
    n = len(cell)

    def total(y):  # all sites at once: no loop over chunks, which has no reverse derivative
        return jnp.sum(energy(near.stencil(jnp.concatenate([y, padded[n:]]), box))[:n])

    whole = jax.jit(jax.hessian(total))(padded[:n])
    dense = hessian(energy, cell, x)
    scale = np.abs(dense).max()
    assert scale > 1e-3
    np.testing.assert_allclose(dense, np.asarray(whole), atol=1e-13 * scale * n)  # rounding
    np.testing.assert_allclose(dense, np.transpose(dense, (2, 3, 0, 1)), atol=1e-13 * scale * n)
    v = rattled(cell, 1.0, seed=3) - cell.positions
    product = np.asarray(hessian_product(energy, padded, box, near, jnp.asarray(pad(v, len(padded)))))[:n]
    np.testing.assert_allclose(product, np.einsum("iajb,jb->ia", dense, v), atol=1e-12 * scale * n)


# -- how the sum is cut up does not matter -------------------------------------------------------------------------------------


class Channels(dg.energy.site.SiteEnergy):  # pyright: ignore
    """Two channels that are not multiples of each other: a toy and its square."""

    toy: Toy
    cutoff: float = eqx.field(static=True, default=3.2)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu",))

    def __call__(self, stencil):
        value = self.toy(stencil)
        return jnp.stack([value, value**2], axis=-1)


@pytest.fixture(scope="module")
def large():
    cell = dg.vacancy().apply(dg.supercell(CRYSTALS["fcc"][0], 2))
    return laid_out(cell, TOY, rattled(cell))


@pytest.mark.parametrize("chunk", [1, 7, 31, 1000])
def test_chunks_do_not_matter(large, chunk):
    x, box, near = large
    chunked = type(f"ToyBy{chunk}", (Toy,), {"chunk": chunk})()
    for one, other in zip(energy_forces_virial(TOY, x, box, near), energy_forces_virial(chunked, x, box, near), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12 * np.abs(one).max())  # sums in another order
    v = jnp.asarray(np.random.default_rng(0).normal(size=x.shape))
    one, other = hessian_product(TOY, x, box, near, v), hessian_product(chunked, x, box, near, v)
    np.testing.assert_allclose(one, other, atol=1e-12 * np.abs(one).max())
    many = jnp.stack([v, -v, v**2])
    np.testing.assert_allclose(hessian_product(chunked, x, box, near, many)[1], -one, atol=1e-12 * np.abs(one).max())
    energy, forces, virial = channel_rows(Channels(TOY), x, box, near, chunk)
    values, expected, stress = energy_forces_virial(TOY, x, box, near)
    np.testing.assert_allclose(energy, [np.sum(values), np.sum(np.asarray(values) ** 2)], rtol=1e-12)
    np.testing.assert_allclose(forces[..., 0], expected, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(virial[..., 0], stress, atol=1e-12 * np.abs(stress).max())


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_padding_does_not_matter(large, extra):
    cell = dg.vacancy().apply(dg.supercell(CRYSTALS["fcc"][0], 2))
    padded = laid_out(cell, TOY, rattled(cell), bucket=len(cell) + extra)
    assert padded[0].shape[0] == len(cell) + extra
    values, forces, virial = energy_forces_virial(TOY, *padded)
    expected = energy_forces_virial(TOY, *large)
    np.testing.assert_allclose(np.asarray(values)[: len(cell)], np.asarray(expected[0])[: len(cell)], rtol=1e-13)
    np.testing.assert_allclose(np.asarray(forces)[: len(cell)], np.asarray(expected[1])[: len(cell)], atol=1e-13)
    np.testing.assert_allclose(virial, expected[2], atol=1e-12)
    assert np.all(np.asarray(values)[len(cell) :] == 0.0)
    assert np.all(np.asarray(forces)[len(cell) :] == 0.0)


def test_padding_is_in_few_sizes():
    rows = np.array([padded_rows(n) for n in range(1, 100_000)])
    atoms_ = np.arange(1, 100_000)
    assert np.all(rows >= atoms_)
    assert np.all(np.diff(rows) >= 0)
    large = atoms_ > 2048
    assert np.all(rows[large] <= 1.125 * atoms_[large])  # where memory matters
    assert len(np.unique(rows[~large])) == 2
    assert len(np.unique(rows)) < 50  # eight for each of five doublings beyond, and the ends


def test_small_cells_are_padded_by_a_quarter_where_their_rows_are_large():
    wide = 24 * 7460  # bytes of the three force rows of an atom
    atoms_ = np.arange(1, 2049)
    rows = np.array([padded_rows(n, wide) for n in range(1, 2049)])
    assert np.all(rows >= atoms_) and np.all(rows <= np.maximum(1.25 * atoms_, atoms_ + 1)) and len(np.unique(rows)) < 50
    assert padded_rows(64, wide) == 64 and padded_rows(64, 24 * 510) == padded_rows(64) == 256


class Counted(Toy):
    """The toy energy, saying how many sites it was asked for whenever it is evaluated."""

    chunk: ClassVar[int] = 32

    def gradient(self, stencil):
        jax.debug.callback(lambda: SEEN.append(len(stencil.g)))
        return super().gradient(stencil)


SEEN: list[int] = []
EVALUATED = Counted()


def test_padding_is_not_evaluated():
    """32 atoms stand in 256 rows, and the one chunk that they fill is evaluated."""
    cell = dg.supercell(CRYSTALS["fcc"][0], 2)
    x, box, near = laid_out(cell, EVALUATED, rattled(cell))
    assert len(x) == 256
    SEEN.clear()
    energy_forces_virial(EVALUATED, x, box, near)
    jax.effects_barrier()
    assert SEEN == [32]


class Traced(Toy):
    """The toy energy, saying whenever it is compiled again."""

    def __call__(self, stencil):
        SHAPES.append(stencil.g.shape)
        return super().__call__(stencil)


SHAPES: list[tuple] = []


def test_many_cell_sizes_need_few_compilations():
    energy, cell = Traced(("Cu",), 3.2), dg.supercell(CRYSTALS["triangular"][0], 8)
    SHAPES.clear()
    sizes = range(44, 65)
    for n in sizes:
        keep = np.arange(n)
        evaluate(
            energy,
            replace(cell, positions=cell.positions[keep], symbols=cell.symbols[:n], sites=cell.sites[keep], free=cell.free[keep]),
        )
    first = len(SHAPES)
    assert len(set(SHAPES)) == len({padded_rows(n) for n in sizes}) == 1  # 21 sizes
    assert len(SHAPES) <= 2  # the gradient may trace the energy twice
    evaluate(energy, cell, rattled(cell))
    assert len(SHAPES) == first  # a known shape is not compiled again


# -- reference to the bulk -----------------------------------------------------------------------------------------------------


def test_perfect_crystals_have_no_energy(crystal):
    lattice, energy = crystal
    for cell in (dg.primitive_cell(lattice), dg.supercell(lattice, 3), dg.supercell(lattice, (1, 4, 2))):
        assert abs(cell_energy(cell, energy).energy_forces(cell.positions)[0]) < 1e-10  # rounding of up to 216 terms
    moved = cell_energy(cell, energy).energy_forces(rattled(cell))[0]
    assert abs(moved) > 1e-6  # and it is no constant


@pytest.mark.parametrize("radius", [3.0, 5.5])
def test_perfect_balls_have_no_energy(crystal, radius):
    lattice, energy = crystal
    cell = dg.ball(lattice, radius, clamp=6.6)
    value, forces = cell_energy(cell, energy).energy_forces(cell.positions)
    assert abs(value) < 1e-10
    assert np.abs(forces[~cell.free]).max() == 0.0


def test_a_local_change_costs_the_same_in_a_ball_and_in_a_periodic_cell(crystal):
    lattice, energy = crystal
    ball, box = dg.ball(lattice, 4.5, clamp=6.6), dg.supercell(lattice, 6 if len(dg.supercell(lattice, 1)) < 4 else 4)
    shift = np.random.default_rng(4).normal(size=(4, 3)) * [0.1, 0.1, 0.1 if lattice.dimension == 3 else 0.0]
    energies, forces = [], []
    for cell in (ball, box):
        there = cell.positions - (cell.centre if cell is ball else cell.positions[0])
        if cell is box:
            assert (
                cell.perfect_sites.sublattices[0]
                == ball.perfect_sites.sublattices[np.argmin(np.linalg.norm(ball.positions - ball.centre, axis=1))]
            )
            there = cell.minimum_image(there)
        nearest = np.lexsort((*np.round(there.T, 6), np.round(np.linalg.norm(there, axis=1), 6)))[:4]
        x = cell.positions.copy()
        x[nearest] += shift
        value, force = cell_energy(cell, energy).energy_forces(x)
        energies.append(value)
        forces.append(force[nearest])
    assert abs(energies[0]) > 1e-4
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)  # rounding of a few hundred terms
    np.testing.assert_allclose(forces[0], forces[1], atol=1e-12)


def test_the_skin_is_renewed_when_atoms_have_moved():
    cell = dg.supercell(CRYSTALS["fcc"][0], 2)
    kept = cell_energy(cell, TOY)
    for seed, amplitude in enumerate((0.0, 0.05, 0.3, 0.0)):
        x = rattled(cell, amplitude, seed)
        energy, forces = kept.energy_forces(x)
        fresh, fresh_forces = cell_energy(cell, TOY).energy_forces(x)
        assert energy == pytest.approx(fresh, abs=1e-11)
        np.testing.assert_allclose(forces, fresh_forces, atol=1e-12)


def test_bulk_energies_by_three_routes(crystal):
    lattice, energy = crystal
    sites = bulk_site_energies(lattice, energy)
    assert sites.shape == (lattice.sublattices,)
    total = bulk_energy(lattice, energy)
    assert isinstance(total, np.ndarray)
    assert float(total) == pytest.approx(evaluate(energy, dg.primitive_cell(lattice)).energy, rel=1e-14)
    assert float(crystal_response(lattice, energy)[0]) == pytest.approx(float(total), rel=1e-14)
    assert crystal_response(lattice, Elsewhere(energy))[0] == pytest.approx(float(total), rel=1e-14)


def test_channels_of_the_bulk():
    lattice = CRYSTALS["hcp"][0]
    both = bulk_site_energies(lattice, Channels(TOY))
    alone = bulk_site_energies(lattice, TOY)
    np.testing.assert_allclose(both, np.stack([alone, alone**2], axis=1), rtol=1e-13)
    assert bulk_energy(lattice, Channels(TOY)).shape == (2,)


# -- derivatives of the perfect crystal ----------------------------------------------------------------------------------------


def test_force_constants_sum_to_nothing_and_are_symmetric(crystal):
    lattice, energy = crystal
    phi = force_constants(lattice, energy)
    size = np.abs(phi.phi).max()
    for b in range(lattice.sublattices):
        np.testing.assert_allclose(phi.phi[phi.first == b].sum(axis=0), 0.0, atol=1e-12 * size)  # rounding
    place = {(*k,): p for *k, p in zip(phi.first, phi.second, *phi.translations.T, phi.phi, strict=True)}
    for (a, b, *t), block in place.items():
        np.testing.assert_allclose(block, place[(b, a, *(-x for x in t))].T, atol=1e-12 * size)
    assert np.linalg.norm(phi.separations, axis=1).max() > energy.cutoff  # pairs that see each other through a third atom


def relaxed_energy(lattice, energy, strain):
    """Energy of the strained primitive cell with its sublattices at rest, eV."""
    cell = dg.primitive_cell(lattice.deformed(np.eye(3) + strain))
    start = cell.positions

    def value_and_slope(shift):
        result = evaluate(energy, cell, start + shift.reshape(-1, 3))
        return result.energy, -result.forces.ravel()

    if len(cell) == 1:
        return value_and_slope(np.zeros(3))[0]
    return minimize(value_and_slope, np.zeros(start.size), jac=True, method="BFGS", options={"gtol": 1e-9}).fun


ELASTIC = {
    "fcc": (lambda: (dg.fcc("Ar", 5.3), dg.reference.LennardJones("Ar", cutoff=6.0)), 0.0),
    "diamond": (lambda: (dg.diamond("Si", 5.43), dg.reference.StillingerWeber("Si")), 0.05),
    "triangular": (lambda: (dg.triangular("Cu", 2.7), dg.reference.Morse("Cu", cutoff=5.0)), 0.0),
}


@pytest.mark.parametrize("name", ELASTIC)
def test_elastic_constants_are_second_derivatives_of_the_relaxed_energy(name):
    make, least = ELASTIC[name]
    lattice, energy = make()
    lattice = dg.equilibrate(lattice, energy)
    c = long_wave_elastic_constants(lattice, energy)
    rng = np.random.default_rng(2)
    inside = [1.0, 1.0, 1.0 if lattice.dimension == 3 else 0.0]
    e = rng.normal(size=(3, 3)) * np.outer(inside, inside)
    e = (e + e.T) / 2
    voigt = np.array([e[0, 0], e[1, 1], e[2, 2], 2 * e[1, 2], 2 * e[0, 2], 2 * e[0, 1]])
    exact = voigt @ c @ voigt
    rest = relaxed_energy(lattice, energy, 0 * e)
    steps = 10.0 ** -np.array([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0])

    def curvature(f):
        return np.array([(f(h * e) + f(-h * e) - 2 * rest) / h**2 / lattice.volume for h in steps])

    errors = np.abs(curvature(lambda s: relaxed_energy(lattice, energy, s)) - exact)
    assert is_v(errors.tolist()), errors
    assert errors.min() < 1e-3 * exact
    frozen = np.abs(
        curvature(lambda s: evaluate(energy, dg.primitive_cell(lattice.deformed(np.eye(3) + s))).energy) - exact
    ).min()
    assert frozen >= least * exact  # without internal relaxation a multilattice is stiffer
    np.testing.assert_allclose(c, c.T, atol=1e-12)
    if name == "triangular":  # isotropic: C11 - C12 = 2 C66
        assert c[0, 0] - c[0, 1] == pytest.approx(2 * c[5, 5], rel=1e-6)
        assert np.all(np.abs(c[[2, 3, 4]]) < 1e-9)


# -- refused in words ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_done_is_said():
    lattice = CRYSTALS["fcc"][0]
    with pytest.raises(dg.InputError, match="is for Ni, Al; the cell contains Cu"):
        evaluate(ALLOY, dg.supercell(lattice, 1))
    with pytest.raises(dg.InputError, match=r"needs a shell of twice the cutoff.*clamp="):
        cell_energy(dg.ball(lattice, 4.0, clamp=2.0), TOY)
    with pytest.raises(dg.InputError, match="cannot relax a clamped ball"):
        cell_energy(dg.ball(lattice, 4.0), Elsewhere(TOY))
    with pytest.raises(dg.InputError, match=r"0\.05 A apart"):
        evaluate(TOY, atoms(["Cu", "Cu"], np.array([[0, 0, 0], [0.05, 0, 0.0]]), 9 * np.eye(3)))
    with pytest.raises(dg.InputError, match="finite numbers; atom 1"):
        evaluate(TOY, atoms(["Cu", "Cu"], np.array([[0, 0, 0], [np.nan, 0, 0.0]]), 9 * np.eye(3)))
    basis = dg.ACEBasis(["Cu"], cutoff=3.0, order=1, degree=2)
    for ask in (cell_energy, lambda cell, energy: evaluate(energy, cell), lambda _, energy: crystal_response(lattice, energy)):
        with pytest.raises(dg.InputError, match=r"give dg\.LinearACE"):
            ask(dg.supercell(lattice, 1), basis)


def test_a_thin_clamp_is_mended_by_what_the_sentence_says():
    lattice = CRYSTALS["fcc"][0]
    with pytest.raises(dg.InputError) as caught:
        cell_energy(dg.ball(lattice, 4.0, clamp=2.0), TOY)
    clamp = float(str(caught.value).split("clamp=")[1].rstrip(")"))
    cell_energy(dg.ball(lattice, 4.0, clamp=clamp), TOY)
