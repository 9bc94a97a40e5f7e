"""Controlled surrogates: what they match exactly, what they leave wrong, and the equilibrium of forces without an energy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import defectgen as dg
from defectgen._input import InputError
from defectgen.ace import ACEBasis, LinearACE
from defectgen.energy import Stencil, autodiff_gradient
from defectgen.errors import strain_norm
from defectgen.errors.property_errors import relative_stiffness
from defectgen.relax import mixed_equilibrium
from defectgen.surrogate import MomentPerturbation, far_field, sites_of, surrogate
from defectgen.surrogate.matched import surrogate_force_constants

SETS = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
COPPER = dg.reference.LennardJones("Cu", epsilon=0.4, sigma=2.3, cutoff=6.0)
CRYSTALS = {
    "triangular": dg.equilibrate(dg.triangular("Cu", 2.6), COPPER),
    "fcc": dg.equilibrate(dg.fcc("Cu", 3.6), COPPER),
    "diamond": dg.equilibrate(dg.diamond("Si", 5.43), dg.reference.StillingerWeber("Si")),
}
REFERENCES = {"triangular": COPPER, "fcc": COPPER, "diamond": dg.reference.StillingerWeber("Si")}
ALL = pytest.mark.parametrize("name", list(CRYSTALS))


def perturbation(name: str, seed: int = 0) -> MomentPerturbation:
    lattice = CRYSTALS[name]
    return MomentPerturbation(lattice.species[0], 1.7 * lattice.nearest_neighbour, seed)


def made(name: str, observations: str, **options):
    return surrogate(CRYSTALS[name], REFERENCES[name], perturbation(name), observations, **options)


def strained(name: str, deformation: np.ndarray, shift: np.ndarray | None = None):
    """Differences v of all sublattices' stencils under g = (1 + deformation) rho, sublattice 1 shifted."""
    lattice, phi = CRYSTALS[name], perturbation(name)
    sites, _ = sites_of(dg.supercell(lattice, 1 if lattice.dimension == 3 else 2), phi)
    crystal = dg.supercell(lattice, 1 if lattice.dimension == 3 else 2)
    rows = len(sites.sublattice)
    g = np.asarray(
        sites.bonds.stencil(
            jnp.asarray(np.pad(crystal.positions, ((0, rows - len(crystal)), (0, 0)))), jnp.asarray(crystal.vectors)
        ).g
    )
    v = np.where(np.asarray(sites.bonds.mask)[..., None], g @ deformation.T, 0.0)
    if shift is not None:
        b = np.asarray(sites.sublattice)
        v = v + np.where(np.asarray(sites.bonds.mask), b[np.asarray(sites.bonds.index)] - b[:, None], 0)[..., None] * shift
    keep = slice(0, len(crystal))
    return sites.sublattice[keep], jnp.asarray(v[keep])


# -- the perturbation ----------------------------------------------------------------------------------------------------------


def cloud(seed: int, sites: int = 5, slots: int = 9) -> Stencil:
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(sites, slots, 3)) * 2.0
    return Stencil(jnp.asarray(g), jnp.zeros(sites, dtype=int), jnp.zeros((sites, slots), dtype=int))


def test_perturbation_is_invariant_and_finite():
    phi, stencil = MomentPerturbation("Cu", 5.0, seed=3), cloud(0)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]  # a rotation or a reflection
    order = np.random.default_rng(2).permutation(9)
    value = phi(stencil)
    assert np.abs(value).min() > 1e-3
    for other in (stencil.g @ turn.T, -stencil.g, stencil.g[:, order]):
        assert np.allclose(phi(Stencil(other, stencil.centre, stencil.neighbour)), value, rtol=1e-11)
    lonely = Stencil(jnp.zeros((1, 9, 3)).at[:, :, 0].set(10.0), stencil.centre[:1], stencil.neighbour[:1])
    assert float(phi(lonely)[0]) == 0.0 and np.abs(autodiff_gradient(phi, lonely)[1]).max() == 0.0  # blind beyond its cutoff


def test_perturbation_has_invariants_of_every_rank():
    """With a seed per coefficient switched off the value changes: none of the invariants vanishes on a generic stencil."""
    phi, stencil = MomentPerturbation("Cu", 5.0), cloud(4)
    jacobian = jax.jacfwd(lambda c: eqx.tree_at(lambda p: p.coefficients, phi, c)(stencil))(phi.coefficients)
    assert np.linalg.matrix_rank(jacobian, tol=1e-9) == len(stencil.g)
    assert np.abs(jacobian).max(axis=0).min() > 1e-4


# -- what is matched -----------------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("observations", SETS)
def test_virials_are_matched_at_finite_strains_or_not(name, observations):
    rng = np.random.default_rng(5)
    deformation = np.zeros((3, 3))
    d = CRYSTALS[name].dimension
    deformation[:d, :d] = 0.05 * rng.normal(size=(d, d))
    shift = 0.1 * rng.normal(size=3) if name == "diamond" else None
    error = made(name, observations).energy(*strained(name, deformation, shift))
    if "V" in observations:
        assert np.abs(error).max() < 1e-14  # eV; rounding of site energies of order 0.1
    else:
        assert np.abs(error).min() > 1e-8


def test_without_shifts_virials_miss_the_sublattices():
    """Affine strains agree, strains with a relative shift do not: what theory/bounds/multilattice warns of."""
    deformation, shift = 0.03 * np.diag([1.0, -0.5, 0.2]), np.array([0.05, 0.0, 0.02])
    blind = made("diamond", "E+F+V", shifts=False)
    assert np.abs(blind.energy(*strained("diamond", deformation))).max() < 1e-14
    assert np.abs(blind.energy(*strained("diamond", deformation, shift))).max() > 1e-6


@pytest.mark.parametrize("name", ["triangular", "fcc"])
def test_elastic_constants_are_matched_alone(name):
    """Energies of homogeneous strains start at third order, those of waves at second."""
    rng = np.random.default_rng(5)
    d = CRYSTALS[name].dimension
    deformation = np.zeros((3, 3))
    deformation[:d, :d] = 1e-3 * rng.normal(size=(d, d))
    held = made(name, "E+F+C")

    def growth(at):
        sublattice, v = at
        return float(jnp.abs(held.energy(sublattice, 2 * v)).max() / jnp.abs(held.energy(sublattice, v)).max())

    sites, v = strained(name, deformation)
    wave = v * (1 + jnp.cos(1.0 + 2.0 * jnp.arange(v.shape[1])))[None, :, None]  # no homogeneous stencil
    assert growth((sites, v)) == pytest.approx(8.0, rel=0.02)  # the fourth order is 1e-3 smaller
    assert growth((sites, wave)) == pytest.approx(4.0, rel=0.02)
    phi = surrogate_force_constants(CRYSTALS[name], held)
    assert np.abs(phi.phi).max() > 1e-6
    bracket = np.einsum("pab,pc,pd->abcd", phi.phi, phi.separations, phi.separations)
    born = np.einsum("acbd->abcd", bracket) + np.einsum("bcad->abcd", bracket) - bracket
    assert np.abs(born).max() < 1e-12 * np.einsum("pab,p->", np.abs(phi.phi), np.sum(phi.separations**2, axis=1))


def test_elastic_constants_alone_are_refused_in_a_multilattice():
    with pytest.raises(InputError, match="Bravais lattices"):
        made("diamond", "E+F+C")


SIZES = {"triangular": 16, "fcc": 5, "diamond": 4}
RADIUS = 3.4  # spacings: just outside the core, in all three


def around_a_vacancy(name: str, observations: str):
    lattice = CRYSTALS[name]
    cell = dg.vacancy().apply(dg.supercell(lattice, SIZES[name]))
    return far_field(cell, made(name, observations), RADIUS)


def planar(name: str, shape: tuple[int, int], seed: int) -> np.ndarray:
    field = np.random.default_rng(seed).normal(size=shape)
    return field * [1.0, 1.0, 0.0] if CRYSTALS[name].dimension == 2 else field


SOME = pytest.mark.parametrize(
    ("name", "observations"), list(zip(("triangular", "fcc", "diamond", "diamond"), SETS, strict=True))
)


@SOME
def test_forces_start_at_the_order_that_is_not_matched(name, observations):
    far = around_a_vacancy(name, observations)
    u = 1e-3 * planar(name, far.cell.positions.shape, 6)
    small, large = (np.linalg.norm(far.forces(t * u)) for t in (1.0, 2.0))
    assert small > 1e-9
    assert large / small == pytest.approx(4.0 if "FC" in observations else 2.0, rel=0.02)  # the next order is 1e-3 smaller


@pytest.mark.parametrize(("name", "observations"), [("triangular", "E+F"), ("fcc", "E+F+V"), ("diamond", "E+F+V")])
def test_product_is_the_derivative_at_the_perfect_crystal(name, observations):
    far = around_a_vacancy(name, observations)
    v = 0.02 * planar(name, far.cell.positions.shape, 8)
    exact = far.product(0 * v, v)
    misses = [
        np.linalg.norm((far.forces(-h * v) - far.forces(h * v)) / (2 * h) - exact) / np.linalg.norm(exact)
        for h in (1e1, 1e0, 1e-1, 1e-2, 1e-4, 1e-6)
    ]
    assert min(misses) <= 1e-3 * max(misses)


@pytest.mark.parametrize("observations", ["E+F+FC", "E+F+FC+V"])
def test_exact_force_constants_leave_no_derivative_at_the_perfect_crystal(observations):
    far = around_a_vacancy("diamond", observations)
    assert not far.product(*[planar("diamond", far.cell.positions.shape, 8)] * 2).any()


@pytest.mark.parametrize("name", ["triangular", "diamond"])
def test_forces_are_mixed_at_the_radius(name):
    """Atoms within feel nothing; those beyond what the whole crystal's surrogate does, the gradient of its energies."""
    far = around_a_vacancy(name, "E+F")
    cell = far.cell
    u = 0.02 * planar(name, cell.positions.shape, 9)
    near = cell.distance_to_defect() <= RADIUS * cell.lattice.nearest_neighbour
    assert near.sum() >= 4 and not far.forces(u)[near].any() and far.forces(u)[~near].any(axis=1).all()
    assert not far.energies(u)[~far.beyond].any()
    atom = int(np.argmax(cell.distance_to_defect()))  # its stencil and those of its neighbours lie beyond the radius
    h, e = 1e-4, np.eye(3)[0]
    step = np.zeros_like(u)
    step[atom] = h * e
    slope = (far.energies(u + step).sum() - far.energies(u - step).sum()) / (2 * h)
    assert far.forces(u)[atom] @ e == pytest.approx(-slope, rel=1e-5)  # h^2 = 1e-8 of values of order 1 to 10


def test_strength_is_the_relative_change_of_the_stiffest_wave():
    lattice, truth, phi = CRYSTALS["fcc"], COPPER, perturbation("fcc")
    assert relative_stiffness(lattice, truth, truth) == pytest.approx(1.0, abs=1e-10)
    scale = float(made("fcc", "E+F", strength=0.3).strength)
    assert scale * relative_stiffness(lattice, truth, phi) == pytest.approx(0.3, rel=1e-12)


def test_a_fitted_model_may_be_the_perturbation():
    """Any site energy will do; E+F+FC of it has the force constants of nothing."""
    lattice = CRYSTALS["fcc"]
    basis = ACEBasis(["Cu"], cutoff=4.3, order=2, degree=4)
    phi = LinearACE(basis, np.random.default_rng(0).normal(size=basis.size))
    cell = dg.vacancy().apply(dg.supercell(lattice, 5))
    far = far_field(cell, surrogate(lattice, COPPER, phi, "E+F+FC"), RADIUS)
    u = 1e-4 * planar("fcc", cell.positions.shape, 6)
    assert np.linalg.norm(far.forces(2 * u)) / np.linalg.norm(far.forces(u)) == pytest.approx(4.0, rel=1e-2)


# -- equilibrium ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("observations", SETS)
def test_mixed_equilibrium_has_no_force_left(observations):
    """By the definition: forces of the reference plus those of the far field vanish, up to their mean."""
    lattice = CRYSTALS["triangular"]
    cell = dg.divacancy().apply(dg.supercell(lattice, 16))
    exact = dg.relax(cell, COPPER, tolerance=1e-12)
    far = far_field(cell, made("triangular", observations), 5.0)
    found = mixed_equilibrium(exact, COPPER, far, accuracy=1e-5)  # rounding of the reference's forces allows 1e-6 for FC+V
    assert found.converged and found.reduction <= 1e-5
    w = found.difference
    there = dg.evaluate(COPPER, cell, exact.positions + w).forces + far.forces(exact.displacement + w)
    before = np.abs(far.forces(exact.displacement)).max()
    assert (
        np.abs((there - there.mean(axis=0))[:, :2]).max() < 1e-3 * before + 3e-12
    )  # maximum of the forces against their dual norm
    assert strain_norm(cell, w) > 1e-9
    assert found.work == pytest.approx(_energy(cell, exact.positions + w) - _energy(cell, exact.positions), abs=1e-11)


def _energy(cell, positions):
    return dg.evaluate(COPPER, cell, positions).energy


def test_a_model_without_error_makes_no_difference():
    cell = dg.vacancy().apply(dg.supercell(CRYSTALS["triangular"], 14))
    exact = dg.relax(cell, COPPER)

    class Nothing:
        def forces(self, u):
            return np.zeros_like(u)

        product = staticmethod(lambda u, v: np.zeros_like(v))

    found = mixed_equilibrium(exact, COPPER, Nothing())
    assert found.converged and not found.difference.any() and found.work == 0.0


# -- bad input -----------------------------------------------------------------------------------------------------------------


def test_bad_input_is_one_sentence():
    cell = dg.vacancy().apply(dg.supercell(CRYSTALS["fcc"], 5))
    made_up = made("fcc", "E+F")
    for radius, words in ((1.0, "inside the defect's core"), (40.0, "reaches out of the cell")):
        with pytest.raises(InputError, match=words):
            far_field(cell, made_up, radius)
    with pytest.raises(InputError, match="fraction of the crystal's stiffness"):
        made("fcc", "E+F", strength=1.5)
    with pytest.raises(InputError, match="length in A"):
        MomentPerturbation("Cu", 0.0)
