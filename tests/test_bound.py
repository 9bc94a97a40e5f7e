"""The bound, term by term: an injected error is in its own terms only, parts sum to the whole, sums bound the true error."""

import math
from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_energy import Elsewhere

import defectgen as dg
from defectgen._input import InputError
from defectgen.crystal import homogeneous_modes
from defectgen.energy import SiteEnergy, Stencil, cell_energy
from defectgen.errors import force_constant_error, lowest_phonon, stability_constant, strain_norm
from defectgen.errors.bound import reference_side
from defectgen.errors.bound_terms import grouped
from defectgen.errors.homogeneous import affine_of, dispersion, strain_response
from defectgen.errors.perfect_crystal import perfect_crystal
from defectgen.errors.residual_split import FAR, site_displacement, split_residual, stiffness
from defectgen.relax import Preconditioner, greens_function
from defectgen.surrogate import MomentPerturbation

FAR_TERMS = {"C2", "G2", "C3", "G3", "C4"}


KINDS = ("elastic", "third", "dispersion", "anharmonic dispersion", "core")


class Injected(SiteEnergy):
    """V + weights . (n^2, n^3, |m|^2, |m|^4, max(|n| - 0.3, 0)^4): one model for all errors, so that it is compiled once.

    With w = (1 - g^2 / cutoff^2)^5 the count n = sum w is measured from the perfect crystal's; the moment m = sum w g is 0 under
    every homogeneous strain of a Bravais lattice. n^3 has no force constants, |m|^2 no virials, |m|^4 neither.
    """

    truth: SiteEnergy
    weights: jax.Array
    perfect: jax.Array
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, stencil: Stencil):
        count, moment = self.invariants(stencil)
        n, m = count - self.perfect, jnp.sum(moment**2, axis=1)
        phi = jnp.stack([n**2, n**3, m, m**2, jnp.maximum(jnp.abs(n) - 0.3, 0.0) ** 4])
        return self.truth(stencil) + self.weights @ phi

    def invariants(self, stencil):
        square = jnp.sum(stencil.g**2, axis=-1) / self.cutoff**2
        weight = jnp.where(square < 1, 1 - square, 0.0) ** 5
        return 3 * jnp.sum(weight, axis=1), jnp.sum(weight[..., None] * stencil.g, axis=1)


def injected(lattice, truth, kind, strength):
    """The model with one error."""
    weights = jnp.asarray([strength * (kind == name) for name in KINDS])
    crystal = perfect_crystal(dg.supercell(lattice, 1), truth)
    stencil = Stencil(jnp.asarray(crystal.separations), jnp.zeros(1, dtype=int), jnp.zeros(crystal.second.shape, dtype=int))
    bare = Injected(truth, weights, jnp.zeros(()), truth.cutoff, truth.species)
    return eqx.tree_at(lambda model: model.perfect, bare, bare.invariants(stencil)[0][0])


class Plus(SiteEnergy):
    """A site energy and a multiple of another."""

    one: SiteEnergy
    other: SiteEnergy
    strength: float
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, stencil: Stencil):
        return self.one(stencil) + self.strength * self.other(stencil)


def silicon():
    """Stillinger-Weber silicon and a generic smooth error."""
    truth = dg.reference.StillingerWeber("Si")
    return truth, Plus(truth, MomentPerturbation("Si", 5.0, 0), 0.003, 5.0, truth.species)


@cache
def scene(dimension=2):
    """A divacancy in a crystal of smooth many-body atoms, at rest."""
    if dimension == 2:
        truth = dg.reference.Morse("Cu", cutoff=5.5)
        lattice = dg.equilibrate(dg.triangular("Cu", 2.8), truth)
        cell = dg.divacancy().apply(dg.supercell(lattice, 18))
    else:
        truth = dg.reference.StillingerWeber("Si")
        lattice = dg.equilibrate(dg.diamond("Si", 5.431), truth)
        cell = dg.interstitial("tetrahedral").apply(dg.supercell(lattice, 3))
    return lattice, truth, dg.relax(cell, truth)


@cache
def measured(kind, size, radius=6.0):
    lattice, truth, exact = scene()
    return dg.bound(exact, truth, injected(lattice, truth, kind, size), radius, stability=0.5)


def sizes(bound, what="geometry"):
    return {term.name: getattr(term, what) for term in bound.terms}


# laws ------------------------------------------------------------------------------------------------------------------


def test_the_exact_model_has_no_term():
    _, truth, exact = scene()
    found = dg.bound(exact, truth, truth, 6.0, stability=1.0)
    # 1e-12: rounding, where the two kernels sum in another order
    assert found.geometry < 1e-12 and found.energy < 1e-12 and found.estimate < 1e-12
    assert all(term.value < 1e-12 for term in found.terms if not np.isnan(term.value))


LEFT = {
    "elastic": {"C2", "G2", "C3", "G3", "C4"},
    "third": {"C3", "G3", "C4"},
    "dispersion": {"G2", "G3"},
    "anharmonic dispersion": {"G3"},
    "core": set(),
}


@pytest.mark.parametrize("kind", LEFT)
def test_one_injected_error_is_in_its_own_terms_only(kind):
    """FC-matched errors leave C2 = G2 = 0, V-matched ones C2 = C3 = C4 = 0, an error of the core nothing far away."""
    found = measured(kind, 0.05)
    scale = measured("elastic", 0.05)["C2"].geometry
    far = {name: value for name, value in sizes(found).items() if name in FAR_TERMS}
    for name, value in far.items():
        if name in LEFT[kind]:
            assert value > 1e-9 * scale, name  # it is there
        else:
            assert value < 1e-10 * scale, name  # rounding: forces of 1 eV/A cancel to 1e-15, sums over a thousand sites
    assert found["F"].geometry > 0


def test_a_wrong_term_is_detected():
    """The same crystal, the same sizes: what is exactly zero for the matched error is not for the others."""
    assert measured("elastic", 0.05)["C2"].value > 1e-2
    # 1e-6: what a difference quotient of step h leaves of terms four orders higher, a5 h^4 with a5 of thousands of eV
    assert measured("third", 0.05)["C2"].value < 1e-6 < 1e-2 < measured("third", 0.05)["C3"].value
    assert measured("dispersion", 0.05)["C3"].value < 1e-6 < 1e-2 < measured("dispersion", 0.05)["G2"].value


def test_terms_are_linear_in_the_error():
    one, two = (sizes(measured("elastic", size)) for size in (0.05, 0.1))
    assert {name: two[name] / one[name] for name in ("F", *FAR_TERMS)} == pytest.approx(
        dict.fromkeys(("F", *FAR_TERMS), 2.0), rel=1e-6
    )  # relative rounding of C4, the smallest


@pytest.mark.parametrize("dimension", [2, 3], ids=["divacancy in a triangle lattice", "interstitial in diamond"])
def test_parts_sum_to_the_whole(dimension):
    """Vectors sum to the force error and numbers to the energy error, as the energy functionals give them."""
    lattice, truth, exact = scene(dimension)
    model = silicon()[1] if dimension == 3 else injected(lattice, truth, "elastic", 0.2)
    crystal = perfect_crystal(exact.cell, max(truth, model, key=lambda v: v.cutoff))
    change = crystal.hessians(model) - crystal.hessians(truth)
    parts = split_residual(affine_of(crystal), exact, truth, model, change, 3.0)
    energy, force = cell_energy(exact.cell, model).energy_forces(exact.positions)
    energy0, force0 = cell_energy(exact.cell, truth).energy_forces(exact.positions)
    assert np.abs(parts.whole - (force - force0)).max() < 1e-12  # rounding of forces of 1 eV/A
    assert sum(parts.energy.values()) == pytest.approx(energy - energy0, abs=1e-9)  # rounding of a sum over the sites
    assert all(np.abs(parts.force[name]).max() > 1e-9 for name in ("F", "C2", "G2", "C3"))


@pytest.mark.parametrize("dimension", [2, 3], ids=["triangle lattice", "diamond"])
def test_force_constants_by_fourier_transforms_are_those_of_the_stencils(dimension):
    """D^T V'' D w site by site, on any field."""
    _, truth, exact = scene(dimension)
    crystal = perfect_crystal(exact.cell, truth)
    hessian = crystal.hessians(truth)
    w = np.random.default_rng(0).normal(size=(len(crystal.sublattice), 3)) * [1, 1, dimension - 2]
    slopes = np.einsum("skilj,slj->ski", hessian[crystal.sublattice], crystal.difference(w))
    expected = crystal.transpose(slopes) * [1, 1, dimension - 2]
    assert np.abs(expected).max() > 1
    assert np.abs(stiffness(crystal, hessian)(w) - expected).max() < 1e-12 * np.abs(expected).max() * len(w)


def test_the_part_of_the_reference_serves_every_model():
    lattice, truth, exact = scene()
    models = [injected(lattice, truth, kind, 0.05) for kind in ("elastic", "third")]
    known = reference_side(exact, truth, max(truth, *models, key=lambda v: v.cutoff))
    for model in models:
        alone, shared = (dg.bound(exact, truth, model, 6.0, stability=0.5, known=given) for given in (None, known))
        assert alone["C3"].geometry > 0
        for what in ("value", "tail", "geometry", "response", "energy"):
            assert sizes(shared, what) == pytest.approx(sizes(alone, what), rel=1e-12, nan_ok=True)


class Null(SiteEnergy):
    """Site energies that sum to nothing in every configuration: what atom l has, its neighbours j and k lack.

    N_l = sum over pairs of neighbours of w(r_lj) w(r_lk) w(r_jk) (2 r_jk^2 - r_lj^2 - r_lk^2), shared out by triangles.
    """

    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, stencil: Stencil):
        g = stencil.g
        between = g[:, :, None] - g[:, None, :]
        square = jnp.sum(g**2, axis=-1)
        third = jnp.sum(between**2, axis=-1)
        own = jnp.where(square < self.cutoff**2, 1 - square / self.cutoff**2, 0.0) ** 5
        across = jnp.where(third < self.cutoff**2, 1 - third / self.cutoff**2, 0.0) ** 5
        across = across * (1 - jnp.eye(g.shape[1]))
        spread = 2 * third - square[:, :, None] - square[:, None, :]
        return jnp.sum(own[:, :, None] * own[:, None, :] * across * spread, axis=(1, 2))


@pytest.mark.parametrize("dimension", [2, 3], ids=["divacancy in a triangle lattice", "interstitial in diamond"])
def test_nothing_that_is_reported_depends_on_how_the_energy_is_shared_among_sites(dimension):
    """A null partition is added to the model: forces, energies of cells and every term stay what they are."""
    lattice, truth, exact = scene(dimension)
    model = silicon()[1] if dimension == 3 else injected(lattice, truth, "elastic", 0.2)
    null = Null(0.85 * model.cutoff, truth.species)  # so that no neighbour enters it at the strains of the core
    shared = Plus(model, null, 0.3 if dimension == 2 else 10.0, model.cutoff, truth.species)
    here, there = (cell_energy(exact.cell, m).energy_forces(exact.positions) for m in (model, shared))
    assert there[0] == pytest.approx(here[0], abs=1e-9) and np.abs(there[1] - here[1]).max() < 1e-10
    crystal = perfect_crystal(exact.cell, model)
    sites = [crystal.gradient(m, crystal.difference(site_displacement(exact.cell, exact.positions)))[0] for m in (model, shared)]
    far = np.linalg.norm(exact.cell.minimum_image(exact.cell.site_positions - exact.cell.centre), axis=1)
    change = (sites[1] - sites[0])[far > 3.0 * lattice.nearest_neighbour]
    assert np.abs(change).max() > 1e-5 and abs(change.sum()) > 1e-5  # eV: sites do change, and so do sums over those far away
    one, other = (dg.bound(exact, truth, m, 3.0, stability=0.5) for m in (model, shared))
    for what in ("response", "geometry", "energy"):
        for name, value in sizes(one, what).items():
            assert sizes(other, what)[name] == pytest.approx(value, rel=1e-6, abs=1e-11, nan_ok=True), (what, name)
    assert other.energy_floor == one.energy_floor and other.energy_estimate == pytest.approx(one.energy_estimate, rel=1e-6)
    assert {n for n, v in sizes(one, "energy").items() if np.isnan(v)} == {"G3"}
    assert one["E"].energy > 0 and one["G2"].energy > 0


def test_within_a_radius_that_holds_everything_there_is_no_far_field():
    lattice, truth, exact = scene()
    found = dg.bound(exact, truth, injected(lattice, truth, "elastic", 0.05), 1e3, stability=0.5)
    assert all(value == 0.0 for name, value in sizes(found).items() if name not in ("F",))
    assert found["F"].response == pytest.approx(found.estimate, rel=1e-12)


@pytest.mark.parametrize("kind", ["elastic", "dispersion", "third", "core"])
def test_the_sum_bounds_the_true_error_and_the_estimate_is_sharp(kind):
    """An error small enough for the linear regime: relax with the model and compare."""
    lattice, truth, exact = scene()
    model = injected(lattice, truth, kind, 0.002)
    found = dg.bound(exact, truth, model, 6.0)
    error = dg.compare(exact, dg.relax(exact.cell, model, start=exact, eigenvalue=False))
    assert 1e-6 < error.geometry < found.geometry
    assert error.energy < found.energy
    # The perfect crystal answers for the defective one: the two stiffnesses differ by the stability constant at most.
    assert found.stability * error.geometry < found.estimate < 2 * error.geometry
    # The price of a guarantee: the softest direction of the defect and the softest wave of the crystal together, 1 / (c sqrt(s)).
    assert found.geometry < 200 * error.geometry


# coefficients by second routes -----------------------------------------------------------------------------------------


def test_strain_coefficients_are_taylor_coefficients_whatever_the_step():
    """Exact derivatives by JAX along the same directions; the step shows a V, from truncation to rounding."""
    lattice, truth, exact = scene()
    model = injected(lattice, truth, "elastic", 0.5)
    crystal = perfect_crystal(exact.cell, truth)
    modes = homogeneous_modes(lattice)
    pairs = [(a + s * b) / np.sqrt(2) for i, a in enumerate(modes) for b in modes[:i] for s in (1.0, -1.0)]
    g = jnp.asarray(np.where(crystal.mask[..., None], crystal.separations, 0.0))
    far = jnp.asarray(np.where(crystal.mask[..., None], 0.0, crystal.separations))
    kinds = (jnp.zeros(1, dtype=int), jnp.zeros(crystal.second.shape, dtype=int))

    def change(t, e):
        stencil = Stencil(g + t * g @ e.T + far, *kinds)
        return (model(stencil) - truth(stencil))[0]

    @jax.jit
    @jax.vmap
    def coefficients(e):
        found, derivative = [], change
        for order in range(1, 5):
            derivative = jax.jacfwd(derivative)
            found.append(derivative(0.0, e) / math.factorial(order - 1))
        return jnp.abs(jnp.array(found))

    directions = jnp.asarray([e[:9].reshape(3, 3) for e in (*modes, *pairs)])
    wanted = np.asarray(coefficients(directions)).max(axis=0)
    assert wanted[1:].min() > 1e-2
    default = strain_response(crystal, truth, model)
    assert [default.second, default.third, default.fourth] == pytest.approx(wanted[1:], rel=1e-2)
    assert default.stress < 1e-12
    miss = [abs(strain_response(crystal, truth, model, h).fourth / wanted[3] - 1) for h in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2)]
    assert min(miss) < 1e-3 * max(miss) and np.argmin(miss) not in (0, len(miss) - 1)


def test_long_waves_agree_with_the_sum_over_pairs():
    """The symbol of site Hessians against the Fourier sum of force constants, of a multilattice."""
    lattice, truth, exact = scene(3)
    model = silicon()[1]
    crystal = perfect_crystal(exact.cell, model)
    stiff = crystal.hessians(truth)
    found = dispersion(affine_of(crystal), stiff, crystal.hessians(model) - stiff)
    wanted = force_constant_error(lattice, truth, model, grid=6).long_wave
    assert found.long_wave == pytest.approx(wanted, rel=1e-8)  # rounding of |dPhi(k)| at the longest waves
    assert wanted > 1e-2


def test_softness_is_below_every_quotient_and_strain_above():
    """<P v, v> >= s ||Dv||^2 and ||grad v|| <= kappa ||Dv||, over random waves of the perfect cell; the worst comes near."""
    _, truth, exact = scene()
    perfect = exact.cell.perfect
    crystal = perfect_crystal(perfect, truth)
    affine, stiff = affine_of(crystal), crystal.hessians(truth)
    found = dispersion(affine, stiff, stiff)
    precondition = Preconditioner(perfect, greens_function(perfect, truth))
    stiffness, strain = [], []
    rng = np.random.default_rng(0)
    for wave in np.linalg.inv(perfect.vectors).T[:2] * 2 * np.pi * np.arange(1, 13)[:, None, None].reshape(-1, 1, 1):
        for k in np.atleast_2d(wave):
            v = np.cos(perfect.positions @ k)[:, None] * rng.normal(size=3) * [1, 1, 0]
            size = strain_norm(perfect, v) ** 2
            stiffness.append(np.vdot(precondition.stiffen(v), v) / size)
            strain.append(np.sum(affine.derivative(v) ** 2) / size)
    assert 0 < found.softness <= min(stiffness) < 3 * found.softness
    assert max(strain) <= found.strain**2 * (1 + 1e-9) and max(strain) > 0.3 * found.strain**2


def test_the_difference_operator_and_its_transpose_are_adjoint():
    _, truth, exact = scene(3)
    crystal = perfect_crystal(exact.cell, truth)
    rng = np.random.default_rng(0)
    u = rng.normal(size=(len(crystal.near), 3))
    p = np.where(crystal.mask[crystal.sublattice][..., None], rng.normal(size=(*crystal.near.shape, 3)), 0.0)
    assert np.vdot(crystal.difference(u), p) == pytest.approx(np.vdot(u, crystal.transpose(p)), rel=1e-10)


def test_homogeneous_differences_are_their_own_projection():
    """Strain and relative shift of the sublattices of diamond; a bent field is not."""
    _, _, exact = scene(3)
    crystal = perfect_crystal(exact.cell, silicon()[1])
    affine = affine_of(crystal)
    strain, shift = np.random.default_rng(0).normal(size=(3, 3)), np.array([0.1, -0.2, 0.3])
    live = np.where(crystal.mask[..., None], crystal.separations, 0.0)[crystal.sublattice]
    v = (
        live @ strain.T
        + ((crystal.second == 1).astype(float)[crystal.sublattice] - crystal.sublattice[:, None])[..., None] * shift
    )
    v = np.where(crystal.mask[crystal.sublattice][..., None], v, 0.0)
    assert np.abs(affine(v) - v).max() < 1e-12
    assert np.abs(affine(v**2) - v**2).max() > 1e-2
    assert affine.coordinates(v)[0, :3] == pytest.approx(strain.T, abs=1e-12)


# stability -------------------------------------------------------------------------------------------------------------


def test_stability_of_the_reference_is_what_relaxation_finds():
    _, truth, exact = scene()
    green = greens_function(exact.cell, truth)
    found = stability_constant(exact.cell, truth, exact.positions, green)
    assert found == pytest.approx(exact.stability_constant, rel=0.03)  # the accuracy asked for
    assert lowest_phonon(greens_function(exact.cell, truth)) > 0


def test_a_model_that_loses_stability_is_found_and_has_no_finite_bound():
    """-n^2 softens compression: first the defect, then the crystal gives way."""
    lattice, truth, exact = scene()
    green = greens_function(exact.cell, truth)
    constants = [
        stability_constant(exact.cell, injected(lattice, truth, "elastic", size), exact.positions, green)
        for size in (0.0, -0.5, -20.0)
    ]
    assert constants[0] > constants[1] and constants[2] < 0
    broken = injected(lattice, truth, "elastic", -20.0)
    assert lowest_phonon(greens_function(exact.cell, broken)) < 0
    assert np.isinf(dg.bound(exact, truth, broken, 6.0, stability=constants[2]).geometry)


# the door --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, t: dg.bound(e, t, Elsewhere(t), 4.0), "jets"),
        (lambda e, t: dg.bound(e, t, t, 0.0), "positive"),
        (lambda e, t: dg.bound(replace(e, converged=False), t, t, 4.0), "not there"),
    ],
    ids=["black box", "no radius", "not at rest"],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(change, said):
    _, truth, exact = scene()
    with pytest.raises(InputError, match=said):
        change(exact, truth)


def test_the_table_names_every_term_and_the_floor_is_the_largest():
    found = measured("dispersion", 0.05)
    text = found.table()
    joint = [group for group in (*found.groups, *found.energy_groups) if len(group.names) > 1]
    assert all(term.symbol in text for term in found.terms)
    assert len(text.splitlines()) == len(found.terms) + 2 + len(joint)
    assert found.floor == max(sizes(found, "response").items(), key=lambda item: item[1])[0]  # no two terms cancel here
    assert set(FAR) == FAR_TERMS
    with pytest.raises(InputError, match="C2"):
        found["C5"]


# what cancels ------------------------------------------------------------------------------------------------------------


def products(**effects):
    """Names and scalar products of effects that are given as vectors."""
    stacked = np.array(list(effects.values()), dtype=float)
    return list(effects), stacked @ stacked.T


def test_terms_that_cancel_are_named_and_judged_together():
    """C2 and G2 of 12.5 and 12.7 that leave 0.4: the floor is F, though it is a tenth of either."""
    groups = grouped(*products(F=[0, 1.3, 0], C2=[12.5, 0, 0], G2=[-12.7, 0, 0.3]))
    assert [g.name for g in groups] == ["F", "C2+G2"]
    assert groups[1].together == pytest.approx(np.hypot(0.2, 0.3)) and groups[1].apart == pytest.approx(25.2, rel=1e-3)
    assert [g.name for g in grouped(*products(F=[0, 1.3, 0], C2=[12.5, 0, 0], G2=[0, 12.7, 0]))] == ["G2", "C2", "F"]


def test_independent_and_parallel_terms_stay_apart():
    assert all(len(g.names) == 1 for g in grouped(*products(a=[1, 0], b=[0, 1], c=[1, 1], d=[-0.4, 0])))
    names = [g.name for g in grouped(*products(a=[1.0, 0], b=[-0.7, 0], c=[-0.28, 0]))]
    assert names == ["a+b+c"]  # three that cancel as a whole
    assert next(g.name for g in grouped(*products(a=[1, 0], b=[1e-9, 0], c=[-1e-9, 0]))) == "a"  # rounding is in no group


def test_the_effects_of_a_group_add_up_as_vectors():
    """An elastic error and a dispersion that undoes most of it: measured in a crystal, not made up."""
    lattice, truth, exact = scene()
    model = injected(lattice, truth, "elastic", 0.05)
    plain = dg.bound(exact, truth, model, 6.0, stability=0.5)
    for groups in (plain.groups, plain.energy_groups):
        assert {name for g in groups for name in g.names} <= {term.name for term in plain.terms}
        assert all(g.together <= g.apart * (1 + 1e-12) for g in groups)
    largest = max(plain.groups, key=lambda g: g.together)
    assert plain.floor == largest.name and plain.estimate <= sum(g.together for g in plain.groups) * (1 + 1e-9)
