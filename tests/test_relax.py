"""Relaxation: the Green's function inverts the crystal; Newton finds what others find, at a cost blind to the cell's size."""

import pickle
import warnings
from dataclasses import replace
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.optimize import FIRE
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import defectgen  # noqa: F401 - float64
from defectgen._input import InputError, InputWarning
from defectgen.bridge import ASEReference
from defectgen.crystal import (
    ball,
    bcc,
    diamond,
    divacancy,
    fcc,
    primitive_cell,
    square,
    supercell,
    triangular,
    vacancy,
    zincblende,
)
from defectgen.energy import BlackBox, Evaluation, SiteEnergy, cell_energy
from defectgen.errors import compare
from defectgen.reference import CleriRosato, LennardJones, equilibrate
from defectgen.relax import (
    Preconditioner,
    greens_function,
    lowest_eigenpair,
    relax,
    sign_in_doubt,
    smith_normal_form,
    split_hessian,
    truncated_newton,
)
from defectgen.relax.counted import Counted


class Toy(SiteEnergy):
    """Morse pairs, with (rho + 1)^(1/2) embedding for metals or a tetrahedral angle for diamond; C4 at the cutoff."""

    bond: float = 2.5
    cutoff: float = eqx.field(static=True, default=4.2)
    embedded: bool = eqx.field(static=True, default=False)
    tetrahedral: bool = eqx.field(static=True, default=False)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu",))

    def __call__(self, stencil):
        r = jnp.sqrt(jnp.sum(stencil.g**2, -1))
        t = jnp.clip((self.cutoff - r) / 1.4, 0.0, 1.0)
        window = t**5 * (126 - 420 * t + 540 * t**2 - 315 * t**3 + 70 * t**4)
        decay = jnp.exp(-1.6 * (r - self.bond))
        value = jnp.sum(0.25 * (decay**2 - 2 * decay) * window, -1)
        if self.embedded:
            value = value - 0.5 * jnp.sqrt(1.0 + jnp.sum(decay * window, -1))
        if self.tetrahedral:
            unit = stencil.g / r[..., None]
            cosine = unit @ jnp.swapaxes(unit, -1, -2)
            pair = window[:, :, None] * window[:, None, :]
            value = value + 0.8 * jnp.sum(pair * (cosine + 1 / 3) ** 2 * (1 - jnp.eye(r.shape[1])), (1, 2))
        return value


PLANE = triangular("Cu", 2.42)
METAL = Toy(embedded=True)
CRYSTALS = {
    "fcc": (fcc("Cu", 3.35), METAL, np.array([[2, 1, 0], [0, 3, 1], [-1, 0, 2]])),
    "bcc": (bcc("Cu", 2.8), Toy(bond=2.6, cutoff=4.4), np.array([[3, 1, 0], [1, 2, 0], [0, 1, 3]])),
    "diamond": (diamond("Cu", 5.6), Toy(bond=2.4, cutoff=3.6, tetrahedral=True), np.array([[1, 1, 0], [0, 2, 1], [1, 0, 1]])),
    "triangular": (PLANE, METAL, np.array([[5, 2, 0], [-1, 4, 0], [0, 0, 1]])),
}


def split_vacancy(size):
    """A vacancy with a neighbour half-way into it, on no site, so that nothing breaks the symmetry of the migration saddle."""
    cell = divacancy().apply(supercell(PLANE, size))
    return with_atom(cell, cell.centre)


def with_atom(cell, place):
    return replace(
        cell,
        positions=np.vstack([cell.positions, place]),
        symbols=(*cell.symbols, "Cu"),
        sites=np.append(cell.sites, -1),
        free=np.append(cell.free, True),
        centre=np.array(place),
    )


def dense_hessian(cell, potential, positions):
    functional = cell_energy(cell, potential)
    unit = np.eye(3 * len(cell)).reshape(-1, len(cell), 3)
    return np.array([functional.hessian_product(positions, v).ravel() for v in unit])


def objective(cell, potential):
    """Energy and gradient as scipy needs them."""
    functional = cell_energy(cell, potential)

    def value(flat):
        energy, forces = functional.energy_forces(flat.reshape(-1, 3))
        return energy, -forces.ravel()

    return value


def dense_inverse(precondition):
    atoms = len(precondition.cell)
    return np.array([precondition(v).ravel() for v in np.eye(3 * atoms).reshape(-1, atoms, 3)])


# ------------------------------------------------------------------------------------------------ Smith normal form
entries = st.integers(-6, 6)


@given(st.lists(entries, min_size=9, max_size=9))
def test_smith_form_is_diagonal_divisible_and_unimodular(numbers):
    matrix = np.array(numbers).reshape(3, 3)
    volume = round(np.linalg.det(matrix))
    if volume == 0:
        with pytest.raises(InputError, match="volume"):
            smith_normal_form(matrix)
        return
    u, d, v = smith_normal_form(matrix)
    assert np.array_equal(u @ matrix @ v, np.diag(d))
    assert abs(round(np.linalg.det(u))) == 1 and abs(round(np.linalg.det(v))) == 1
    assert np.all(d > 0) and np.prod(d) == abs(volume)
    assert d[1] % d[0] == 0 and d[2] % d[1] == 0


@pytest.mark.parametrize("name", CRYSTALS)
def test_every_primitive_cell_has_its_own_place_on_the_grid(name):
    lattice, _, matrix = CRYSTALS[name]
    cell = supercell(lattice, matrix)
    _, d, v = smith_normal_form(cell.perfect_sites.matrix)
    grid = (cell.perfect_sites.translations @ v) % d
    assert len(np.unique(grid, axis=0)) == len(cell) // lattice.sublattices


# ------------------------------------------------------------------------------------------------ Green's function
@pytest.mark.parametrize("name", CRYSTALS)
def test_green_function_inverts_the_perfect_crystal(name):
    lattice, potential, matrix = CRYSTALS[name]
    cell = supercell(lattice, matrix)
    green = greens_function(cell, potential)
    assert green.stable, green.message
    precondition = Preconditioner(cell, green)
    v = precondition.project(np.random.default_rng(1).standard_normal((len(cell), 3)))
    image = cell_energy(cell, potential).hessian_product(cell.positions, v)
    assert np.abs(image).max() > 0.1
    # rounding times the condition number, at most 1e3 on these cells
    assert np.abs(precondition(image) - v).max() < 1e-11
    half = cell_energy(cell, potential).hessian_product(cell.positions * [1, 1, 1 if lattice.dimension == 3 else 0] * 1.001, v)
    assert np.abs(precondition(half) - v).max() > 1e-4  # and of no other crystal


@pytest.mark.parametrize("defective", ["vacancy", "interstitial", "clamped atom"])
def test_preconditioner_is_symmetric_positive_definite_on_what_can_move(defective):
    cell = vacancy().apply(supercell(PLANE, 4))
    if defective == "interstitial":
        cell = with_interstitial(supercell(PLANE, 4))
    if defective == "clamped atom":
        cell = replace(cell, free=np.arange(len(cell)) > 0)
    precondition = Preconditioner(cell, greens_function(cell, METAL))
    inverse = dense_inverse(precondition)
    assert np.allclose(inverse, inverse.T, atol=1e-13)
    values = np.linalg.eigvalsh(inverse)
    fixed = len(cell) + 2 * int((~cell.free).sum()) + (2 if precondition.rigid else 0)  # normals, clamped, translations
    assert np.all(np.abs(values[:fixed]) < 1e-13) and values[fixed] > 1e-3


def with_interstitial(cell):
    """An atom in the middle of a triangle of the plane."""
    return with_atom(cell, cell.positions[5] + PLANE.vectors[:2].sum(0) / 3)


def test_interstitial_is_a_spring_on_its_neighbours_inverted_exactly():
    """P + kappa |u_i - W u|^2 / 2 assembled densely, W the mean over the triangle around the interstitial."""
    cell = with_interstitial(supercell(PLANE, 4))
    green = greens_function(cell, METAL)
    perfect = dense_hessian(cell.perfect, METAL, cell.perfect.positions).reshape(16, 3, 16, 3)
    stretch = np.zeros(17)
    stretch[16] = 1.0
    distance = np.linalg.norm(cell.minimum_image(cell.positions[:16] - cell.positions[16]), axis=1)
    stretch[np.argsort(distance)[:3]] = -1 / 3
    operator = np.zeros((17, 3, 17, 3))
    operator[:16, :, :16] = perfect
    operator += green.stiffness * np.einsum("i,j,ab->iajb", stretch, stretch, np.diag([1.0, 1.0, 0.0]))
    expected = np.linalg.pinv(operator.reshape(51, 51), rcond=1e-10)
    assert np.allclose(dense_inverse(Preconditioner(cell, green)), expected, atol=1e-12)


def hollow(cell):
    """An atom in the middle of a triangle."""
    return with_atom(cell, cell.centre + cell.lattice.vectors[:2].sum(axis=0) / 3)


STRAINED_CELLS = {
    "divacancy": lambda lattice: divacancy().apply(supercell(lattice, 44)),
    "interstitial": lambda lattice: hollow(supercell(lattice, 72)),
}


@pytest.mark.parametrize("defect", STRAINED_CELLS)
def test_split_hessian_is_the_hessian_to_a_few_parts_in_a_thousand(defect):
    """Exact where the crystal is strained, the perfect crystal's elsewhere: on the smooth fields that Newton steps are."""
    potential = CleriRosato("Cu")
    cell = STRAINED_CELLS[defect](equilibrate(triangular("Cu", 2.5), potential))
    x = relax(cell, potential, eigenvalue=False).positions
    precondition = Preconditioner(cell, greens_function(cell, potential))
    split = split_hessian(potential, precondition, x)
    assert split is not None
    rng = np.random.default_rng(5)
    v, w = (precondition(precondition.project(rng.normal(size=x.shape))) for _ in range(2))
    exact = precondition.project(cell_energy(cell, potential).hessian_product(x, v))
    perfect = precondition.stiffen(v)
    miss = np.linalg.norm(split(v) - exact) / np.linalg.norm(exact)
    assert miss < 5e-3 < 3 * np.linalg.norm(perfect - exact) / np.linalg.norm(exact)  # the strained part matters
    assert np.vdot(w, split(v)) == pytest.approx(np.vdot(v, split(w)), rel=1e-9)  # symmetric to rounding


def test_split_hessian_is_not_made_where_it_saves_nothing():
    potential = CleriRosato("Cu")
    lattice = equilibrate(triangular("Cu", 2.5), potential)
    small = divacancy().apply(supercell(lattice, 8))
    disc = divacancy().apply(ball(lattice, 40.0))
    for cell in (small, disc):
        precondition = Preconditioner(cell, greens_function(cell, potential))
        assert split_hessian(potential, precondition, cell.positions) is None


def test_relaxation_ends_in_one_place_whichever_hessian_steers_it():
    """Another object's Green's function may be of another potential, so nothing is split with it: the exact Hessian's route."""
    potential, twin = CleriRosato("Cu"), CleriRosato("Cu")
    cell = divacancy().apply(supercell(equilibrate(triangular("Cu", 2.5), potential), 40))
    own, other = greens_function(cell, potential), greens_function(cell, twin)
    assert split_hessian(potential, Preconditioner(cell, own), cell.positions) is not None
    assert split_hessian(potential, Preconditioner(cell, other), cell.positions) is None
    split, whole = relax(cell, potential, preconditioner=own), relax(cell, potential, preconditioner=other)
    assert split.converged and whole.converged and split.newton_steps <= whole.newton_steps + 1
    # both rest to 1e-10 eV/A; the softest wave of the cell, 0.04 eV/A^2, turns that into a distance of some 1e-9 A
    assert np.abs(split.positions - whole.positions).max() < 1e-8
    assert split.energy == pytest.approx(whole.energy, abs=1e-11)
    assert split.stability_constant == pytest.approx(whole.stability_constant, rel=3e-3)  # the accuracy of the split
    assert split.lowest_eigenvalue == pytest.approx(whole.lowest_eigenvalue, rel=3e-3)


def test_an_unstable_crystal_is_reported_not_fatal():
    """A square lattice of central forces to first neighbours has no resistance to shear; compressed, it is unstable."""
    cell = vacancy().apply(supercell(square("Cu", 2.3), 5))
    found = relax(cell, Toy(cutoff=3.6), max_newton=3)
    assert not found.bulk_stable and "unstable" in found.message and "k = (" in found.message
    assert np.all(np.isfinite(found.positions))


# ------------------------------------------------------------------------------------------------ the perfect crystal
def test_the_perfect_crystal_is_at_rest_and_softest_in_its_softest_wave():
    cell = supercell(PLANE, 6)
    green = greens_function(cell, METAL)
    found = relax(cell, METAL, preconditioner=green)
    assert found.converged and found.newton_steps == 0 and abs(found.energy) < 1e-12
    assert found.stability_constant == pytest.approx(1.0, abs=1e-10)  # H = P
    assert found.lowest_eigenvalue == pytest.approx(green.softest.values[0], rel=1e-3)
    single = relax(primitive_cell(PLANE), METAL)  # nothing can move
    assert single.converged and single.lowest_eigenvalue is None and single.is_minimum is None


# ------------------------------------------------------------------------------------------------ minima
def test_same_minimum_as_scipy():
    cell = vacancy().apply(supercell(fcc("Cu", 3.35), 2))
    found = relax(cell, METAL, eigenvalue=False)
    other = minimize(
        objective(cell, METAL),
        cell.positions.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 0, "gtol": 1e-9, "maxiter": 500},
    )
    assert found.converged and found.residual <= 1e-10
    assert np.abs(found.displacement).max() > 0.01
    # L-BFGS stops at gtol or at the rounding of E: 1e-9 eV/A over a stiffness of about 1 eV/A^2, squared for the energy
    assert np.abs(found.positions - other.x.reshape(-1, 3)).max() < 1e-6
    assert found.energy == pytest.approx(other.fun, abs=1e-11)


def test_any_start_in_the_basin_gives_the_same_equilibrium():
    cell = divacancy().apply(supercell(PLANE, 8))
    found = relax(cell, METAL)
    noise = np.random.default_rng(3).uniform(-0.08, 0.08, cell.positions.shape)
    other = relax(cell, METAL, start=cell.positions + noise)
    drift = (other.positions - found.positions)[:, :2].mean(0)
    assert found.is_minimum and other.is_minimum
    assert other.energy == pytest.approx(found.energy, abs=1e-11)
    assert np.abs((other.positions - found.positions)[:, :2] - drift).max() < 1e-9
    assert np.all(other.positions[:, 2] == 0.0)  # the plane's normal is no degree of freedom, not even in the start
    again = relax(cell, METAL, start=found)
    assert again.newton_steps == 0 and again.energy == found.energy


def test_convergence_is_quadratic():
    found = relax(vacancy().apply(supercell(fcc("Cu", 3.35), 2)), METAL, eigenvalue=False)
    r = np.array([x for x in found.residuals if x > 1e-12])
    order = np.log(r[2:] / r[1:-1]) / np.log(r[1:-1] / r[:-2])
    assert len(order) >= 1 and order.max() > 1.7  # 1 would be linear; Eisenstat and Walker's forcing gives 2


@pytest.mark.parametrize("defect", [vacancy(), divacancy()], ids=["vacancy", "divacancy"])
def test_cost_does_not_grow_with_the_cell(defect):
    found = [relax(defect.apply(supercell(PLANE, n)), METAL, eigenvalue=False) for n in (6, 12, 24)]
    assert all(f.converged for f in found)
    assert max(f.energy_evaluations for f in found) <= 8
    assert found[2].hessian_products <= found[0].hessian_products + 6


def test_without_the_green_function_the_cost_does_grow():
    """The same linear solver with the identity as preconditioner: what the test above would catch."""
    products = {}
    for size in (6, 24):
        cell = vacancy().apply(supercell(PLANE, size))
        functional, precondition = cell_energy(cell, METAL), Preconditioner(cell, greens_function(cell, METAL))
        force = precondition.project(functional.energy_forces(cell.positions)[1])
        for name, apply in (("green", precondition), ("identity", precondition.project)):
            counted = Counted(functional, METAL, precondition)
            truncated_newton(partial(counted.product, cell.positions), apply, force, 1e-8, np.inf, 0.3)
            products[name, size] = counted.products
    assert products["green", 24] <= products["green", 6] + 3
    assert products["identity", 24] > 2 * products["identity", 6] > 2 * products["green", 6]


def test_clamped_balls_approach_a_large_periodic_cell():
    """A clamped ball of radius L errs by O(L^-d) in energy (Ehrlacher, Ortner, Shapeev 2016): in the plane a quarter for 2 L."""
    periodic = relax(divacancy().apply(supercell(PLANE, 48)), METAL, eigenvalue=False)
    error = []
    for size in (6, 12):
        cell = divacancy().apply(ball(PLANE, size * PLANE.nearest_neighbour, clamp=9.0))
        clamped = relax(cell, METAL, eigenvalue=False)
        assert clamped.converged and clamped.hessian_products < 60
        assert np.all(clamped.displacement[~cell.free] == 0.0)
        error.append(clamped.energy - periodic.energy)
    # the window leaves room for the periodic cell's own error and the jagged rim of the smaller ball
    assert error[0] > 1e-4 and 0.15 < error[1] / error[0] < 0.35


# ------------------------------------------------------------------------------------------------ stability
@pytest.mark.parametrize("kind", ["minimum", "saddle"])
def test_eigenvalues_agree_with_dense_linear_algebra(kind):
    cell = split_vacancy(7) if kind == "saddle" else vacancy().apply(supercell(PLANE, 7))
    found = relax(cell, METAL)
    assert found.converged and found.is_minimum == (kind == "minimum") and found.is_saddle == (kind == "saddle")
    hessian = dense_hessian(cell, METAL, found.positions)
    values = np.linalg.eigvalsh(hessian)
    zero = np.abs(values) < 1e-9  # two translations and the normals
    assert zero.sum() == len(cell) + 2
    assert found.lowest_eigenvalue == pytest.approx(values[~zero].min(), rel=1e-3)
    root_values, root_vectors = np.linalg.eigh(dense_inverse(Preconditioner(cell, greens_function(cell, METAL))))
    root = root_vectors * np.sqrt(np.maximum(root_values, 0.0))
    scaled = np.linalg.eigvalsh(root.T @ hessian @ root)
    scaled = scaled[np.abs(scaled) > 1e-9]
    assert found.stability_constant == pytest.approx(scaled.min(), rel=1e-3)
    assert ("saddle point" in found.message) == (kind == "saddle")


def test_the_eigenvalue_is_computed_when_it_is_read_and_agrees_with_the_stability_constant():
    cell = vacancy().apply(supercell(PLANE, 7))
    found = relax(cell, METAL)
    assert found.is_minimum and found.eigenvalue_products <= 20 and "lowest_eigenvalue" not in vars(found)
    assert compare(found, found).same_basin and "lowest_eigenvalue" not in vars(found)  # the sign is known without it
    sent = pickle.loads(pickle.dumps(found))
    values = np.linalg.eigvalsh(dense_hessian(cell, METAL, found.positions))
    assert sent.lowest_eigenvalue == found.lowest_eigenvalue == pytest.approx(values[values > 1e-9].min(), rel=1e-3)
    contrary = partial(found.eigenvalue.func, -found.stability_constant, *found.eigenvalue.args[1:])
    with pytest.warns(InputWarning, match="stability undecided"):
        assert replace(found, eigenvalue=contrary).lowest_eigenvalue is None


def test_a_push_off_the_saddle_leads_downhill_to_the_vacancy():
    cell = split_vacancy(7)
    saddle = relax(cell, METAL, eigenvalue=False)
    pushed = saddle.positions.copy()
    pushed[-1] += 0.2 * PLANE.vectors[0] / PLANE.nearest_neighbour
    low = relax(cell, METAL, start=pushed)
    assert low.is_minimum and low.energy < saddle.energy - 0.05
    vacant = relax(vacancy().apply(supercell(PLANE, 7)), METAL, eigenvalue=False)
    assert low.energy == pytest.approx(vacant.energy, abs=1e-10)


@pytest.mark.parametrize("radius", [5.0, 6.0])
def test_a_small_ball_with_a_thick_clamp_relaxes(radius):
    """More clamped sites than free ones: the preconditioner stays symmetric and positive, and Newton's method converges."""
    lattice = equilibrate(fcc("Cu", 3.615), LennardJones("Cu", epsilon=0.4, sigma=2.3, cutoff=6.0))
    truth = LennardJones("Cu", epsilon=0.4, sigma=2.3, cutoff=6.0)
    cell = vacancy().apply(ball(lattice, radius))
    assert cell.free.sum() < (~cell.free).sum()
    precondition = Preconditioner(cell, greens_function(cell, truth))
    one, two = (precondition.project(np.random.default_rng(seed).normal(size=cell.positions.shape)) for seed in (0, 1))
    assert np.vdot(one, precondition(two)) == pytest.approx(np.vdot(two, precondition(one)), rel=1e-10)
    assert np.vdot(one, precondition(one)) > 0
    result = relax(cell, truth)
    assert result.converged and result.newton_steps <= 6


def test_ball_eigenvalue_is_that_of_its_free_block():
    cell = vacancy().apply(ball(PLANE, 7.0, clamp=9.0))
    found = relax(cell, METAL)
    functional = cell_energy(cell, METAL)
    free = [(i, a) for i in np.flatnonzero(cell.free) for a in (0, 1)]
    block = []
    for i, a in free:
        v = np.zeros_like(cell.positions)
        v[i, a] = 1.0
        image = functional.hessian_product(found.positions, v)
        block.append([image[j, b] for j, b in free])
    assert found.lowest_eigenvalue == pytest.approx(np.linalg.eigvalsh(np.array(block)).min(), rel=1e-3)
    assert found.stability_constant is not None and 0 < found.stability_constant


# ------------------------------------------------------------------------------------------------ other codes
class Emt(BlackBox):
    """ASE's effective-medium theory, with forces that are worth `noise` eV/A."""

    def __init__(self, noise=0.0):
        self.step, self.noise, self.random = 0.005, noise, np.random.default_rng(5)

    def evaluate(self, symbols, positions, vectors, periodic, stress):
        atoms = Atoms(symbols, positions, cell=vectors, pbc=periodic)
        atoms.calc = EMT()
        forces = atoms.get_forces()
        return Evaluation(
            float(atoms.get_potential_energy()), forces + self.noise * self.random.standard_normal(forces.shape), None
        )


@pytest.fixture(scope="module")
def copper():
    cell = vacancy().apply(supercell(fcc("Cu", 3.59), 2))
    return cell, greens_function(cell, Emt())


def test_same_minimum_as_ase_for_a_black_box(copper):
    cell, green = copper
    found = relax(cell, Emt(), tolerance=1e-8, preconditioner=green, eigenvalue=False)
    atoms = Atoms(cell.symbols, cell.positions, cell=cell.vectors, pbc=True)
    atoms.calc = EMT()
    FIRE(atoms, logfile=None).run(fmax=1e-4, steps=400)
    assert found.converged and found.newton_steps <= 8
    assert np.abs(found.displacement).max() > 0.01
    # FIRE's fmax over the stiffness of the softest relaxation, 1 eV/A^2; squared for the energy
    assert np.abs(found.positions - atoms.positions).max() < 5e-4
    bulk = Atoms("Cu", cell=cell.lattice.vectors, pbc=True)
    bulk.calc = EMT()
    assert found.energy == pytest.approx(atoms.get_potential_energy() - len(cell) * bulk.get_potential_energy(), abs=1e-6)


def test_noise_in_the_forces_ends_in_words(copper):
    cell, green = copper
    found = relax(cell, Emt(noise=1e-7), preconditioner=green, eigenvalue=False)
    assert not found.converged and found.residual < 2e-6 and found.newton_steps < 20
    assert "noise floor" in found.message


class Walled(Emt):
    """Breaks down as soon as an atom has moved 0.005 A."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def evaluate(self, symbols, positions, vectors, periodic, stress):
        result = super().evaluate(symbols, positions, vectors, periodic, stress)
        broken = positions.shape == self.cell.positions.shape and np.abs(positions - self.cell.positions).max() > 0.005
        return replace(result, energy=np.nan) if broken else result


def test_a_potential_that_breaks_down_is_no_traceback(copper):
    cell, green = copper
    found = relax(cell, Walled(cell), preconditioner=green, eigenvalue=False, max_newton=4)
    assert not found.converged and found.message.startswith(("stalled", "not there yet"))
    assert np.isfinite(found.energy) and np.abs(found.displacement).max() <= 0.005


# ------------------------------------------------------------------------------------------------ doors
def test_a_tolerance_below_rounding_is_told_apart_from_success():
    found = relax(vacancy().apply(supercell(PLANE, 6)), METAL, tolerance=1e-20, eigenvalue=False)
    assert not found.converged and found.residual < 1e-12 and "float64 floor" in found.message


def test_too_few_steps_are_told():
    seen = []
    found = relax(
        vacancy().apply(supercell(PLANE, 6)), METAL, max_newton=1, eigenvalue=False, progress=lambda *state: seen.append(state)
    )
    assert not found.converged and "after 1 Newton steps" in found.message
    assert seen == [(1, found.energy, found.residual)]


def test_bad_input_is_refused_in_words():
    cell = vacancy().apply(supercell(PLANE, 6))
    with pytest.raises(InputError, match="positions of shape"):
        relax(cell, METAL, start=cell.positions[1:])
    crowded = cell.positions.copy()
    crowded[1] = crowded[0] + [0.01, 0, 0]
    with pytest.raises(InputError, match="apart"):
        relax(cell, METAL, start=crowded)
    with pytest.raises(InputError, match="tolerance"):
        relax(cell, METAL, tolerance=0.0)
    with pytest.raises(InputError, match="supercell"):
        relax(cell, METAL, preconditioner=greens_function(supercell(PLANE, 5), METAL))


# ------------------------------------------------------------------------------------------------ potentials with kinks
@pytest.fixture(scope="module")
def carbide():
    """A carbon vacancy in SiC with matscipy's Tersoff potential, not smooth at its cutoff, and the calculator."""
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
    from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import Tersoff_PRB_39_5566_Si_C

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        calculator = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
        lattice = equilibrate(zincblende("Si", "C", 4.32), ASEReference(calculator, step=1e-4))
        yield vacancy("C").apply(supercell(lattice, 2)), calculator


@pytest.mark.filterwarnings("ignore:'where' used without")
def test_a_minimum_with_a_kinked_hessian_is_not_called_a_saddle_point(carbide):
    """Differences over 1e-3 A step across the cutoff. Right: the lowest eigenvalue of matscipy's analytic Hessian, a minimum."""
    cell, calculator = carbide
    rough = relax(cell, ASEReference(calculator, step=1e-3), tolerance=1e-6)
    assert rough.converged and "saddle" not in rough.message
    assert "stability undecided" in rough.message and "not smooth over the step" in rough.message
    assert rough.is_minimum is None and rough.is_saddle is None and rough.lowest_eigenvalue is None
    fine = relax(cell, ASEReference(calculator, step=1e-4), tolerance=1e-6)
    atoms = Atoms(cell.symbols, fine.positions, cell=cell.vectors, pbc=True)
    exact = np.linalg.eigvalsh(calculator.get_hessian(atoms, "sparse").toarray())
    assert (np.abs(exact) < 1e-6).sum() == 3 and exact[np.abs(exact) > 1e-6].min() > 0
    assert fine.is_minimum and fine.lowest_eigenvalue == pytest.approx(exact[np.abs(exact) > 1e-6].min(), rel=1e-3)
    assert fine.stability_constant is not None and fine.stability_constant > 0


def test_an_operator_that_is_not_symmetric_has_no_signature():
    """Krylov's matrix of a symmetric operator is symmetric; a large antisymmetric part is found and named."""
    cell = vacancy().apply(supercell(PLANE, 5))
    precondition = Preconditioner(cell, greens_function(cell, METAL))
    functional = cell_energy(cell, METAL)

    def hessian(v):
        return precondition.project(functional.hessian_product(cell.positions, v))

    true = lowest_eigenpair(hessian, precondition)
    assert true.asymmetry < 1e-9 and not sign_in_doubt(true)
    turn = np.random.default_rng(0).standard_normal((len(cell) * 3,) * 2)
    turn = 5.0 * (turn - turn.T) / np.linalg.norm(turn - turn.T, 2)

    def turned(v):
        return hessian(v) + precondition.project((turn @ v.ravel()).reshape(v.shape))

    assert "the Hessian is not symmetric" in sign_in_doubt(lowest_eigenpair(turned, precondition))
    assert "when the step of the differences is doubled" in sign_in_doubt(true, None, lambda v: -3.0 * hessian(v))
    assert "differ in sign" in sign_in_doubt(true, -1.0)
    assert "gave no number" in sign_in_doubt(true._replace(value=np.nan))


# ------------------------------------------------------------------------------------------------ rounding
class Coarse(Emt):
    """EMT with energies and forces from positions of nine digits: smooth to that level, and the same when asked again."""

    def __init__(self, digits):
        super().__init__()
        self.digits = digits

    def evaluate(self, symbols, positions, vectors, periodic, stress):
        result = super().evaluate(symbols, positions, vectors, periodic, stress)
        salt = np.sin(1e16 * positions) * self.digits  # what large terms that cancel leave behind
        return replace(result, forces=result.forces + salt)


def test_a_tolerance_missed_by_less_than_a_decade_because_of_rounding_is_met(copper):
    cell, green = copper
    found = relax(cell, Coarse(2e-9), tolerance=1e-9, preconditioner=green, eigenvalue=False)
    assert found.residual > 1e-9 and found.converged and found.settled
    assert f"converged to the rounding of the forces, {found.residual:.1e} eV/A" in found.message
    strict = relax(cell, Coarse(2e-9), tolerance=1e-12, preconditioner=green, eigenvalue=False)
    assert not strict.converged and strict.settled and "float64 floor" in strict.message
    default = relax(cell, Coarse(2e-9), preconditioner=green, eigenvalue=False)
    assert default.converged and default.rounding is not None and default.residual <= default.rounding < 1e-7
    noisy = relax(cell, Coarse(1e-5), preconditioner=green, eigenvalue=False)  # that is no rounding
    assert not noisy.converged and not noisy.settled
