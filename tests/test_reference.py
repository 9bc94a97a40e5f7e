"""Reference potentials: published crystals, other people's calculators, derivatives to third order, smooth ends."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones as ASELennardJones
from ase.calculators.morse import MorsePotential
from matscipy.calculators.eam import EAM as MatscipyEAM
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si as MATSCIPY_SI
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import StillingerWeber as matscipy_forms
from scipy.interpolate import InterpolatedUnivariateSpline
from scipy.optimize import minimize_scalar

import defectgen  # noqa: F401 - float64
from defectgen._input import InputError
from defectgen.crystal import Cell, bcc, cscl, diamond, fcc, hcp, primitive_cell, sc, supercell, triangular
from defectgen.crystal.cell import Sites
from defectgen.energy.blackbox import BlackBox, Evaluation
from defectgen.energy.functional import crystal_response, evaluate, hessian
from defectgen.energy.perfect import crystal_bonds, elastic_constants
from defectgen.energy.site import SiteEnergy, Stencil
from defectgen.reference import (
    EAM,
    REFERENCES,
    CleriRosato,
    FinnisSinclair,
    LennardJones,
    Morse,
    StillingerWeber,
    check_stable,
    cleri_rosato,
    equilibrate,
    reference_from_name,
)
from defectgen.reference.finnis_sinclair import TARGETS
from defectgen.reference.radial import fade, ramp
from defectgen.units import EV_PER_A3_IN_GPA

SW_TABLE = """# two made-up species whose triplets all differ
A A A 2.0 2.0 1.8 21.0 1.2 -0.333333333333 7.0 0.60 4.0 0.0 0.0
A B B 1.8 2.1 1.7 25.0 1.1 -0.30 7.5 0.65 4.0 0.0 0.0
B A A 1.8 2.1 1.7 19.0 1.1 -0.40 7.5 0.65 4.0 0.0 0.0
B B B 2.2 2.2 1.8 23.0 1.3 -0.20 6.5 0.55
  3.0 1.0 0.0
A A B 1.5 0.0 0.0 24.0 0.0 -0.25 0.0 0.0 0.0 0.0 0.0
A B A 1.5 0.0 0.0 24.0 0.0 -0.25 0.0 0.0 0.0 0.0 0.0
B A B 1.7 0.0 0.0 18.0 0.0 -0.35 0.0 0.0 0.0 0.0 0.0
B B A 1.7 0.0 0.0 18.0 0.0 -0.35 0.0 0.0 0.0 0.0 0.0
"""


# -- tables of functions that are known in closed form: rho_ab = (1 - r/rc)^6 e^(-r..), z_ab, F_a -------------------------------

REACH = 5.0


def density_of(source, site, r):
    return (1.0 + 0.3 * source + 0.1 * site) * jnp.exp(-0.8 * r) * (1 - r / REACH) ** 6 * 40.0


def charge_of(one, other, r):
    return (3.0 + 0.5 * (one + other)) * jnp.exp(-1.1 * r) * (1 - r / REACH) ** 6 * 200.0


def embedding_of(kind, rho):
    return -(1.5 + 0.4 * kind) * jnp.sqrt(rho + 0.3) + 0.02 * rho**2


class ClosedForm(SiteEnergy):
    """The same EAM without tables; `per_pair` makes the density depend on the site as well (eam.fs)."""

    per_pair: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True, default=REACH)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu", "Ni"))

    def __call__(self, stencil):
        r = jnp.minimum(jnp.sqrt(jnp.sum(stencil.g**2, -1)), REACH)
        site = stencil.centre[:, None]
        rho = jnp.sum(density_of(stencil.neighbour, site if self.per_pair else 0, r), axis=1)
        return embedding_of(stencil.centre, rho) + 0.5 * jnp.sum(charge_of(site, stencil.neighbour, r) / r, axis=1)


def write_table(path, kind, species=("Cu", "Ni"), points=2001):
    """A setfl, eam.fs or funcfl file of the closed form."""
    r, rho = np.linspace(0, REACH, points), np.linspace(0, 40, points)

    def numbers(values):
        return "\n".join(f"{v:.16e}" for v in np.asarray(values))

    dr, drho = r[1], rho[1]
    if kind == "funcfl":  # effective charge: z = 27.2 x 0.529 Z^2
        charge = np.sqrt(np.asarray(charge_of(0, 0, r)) / (27.2 * 0.529))
        blocks = [numbers(embedding_of(0, rho)), numbers(charge), numbers(density_of(0, 0, r))]
        head = f"made up\n29 63.5 3.6 fcc\n{points} {drho:.16e} {points} {dr:.16e} {REACH}"
        path.write_text("\n".join([head, *blocks]) + "\n")
        return path
    lines = ["made", "up", "here", f"{len(species)} {' '.join(species)}", f"{points} {drho:.16e} {points} {dr:.16e} {REACH}"]
    for a in range(len(species)):
        lines += [f"{29 - a} 60.0 3.6 fcc", numbers(embedding_of(a, rho))]
        lines += [numbers(density_of(a, b, r)) for b in (range(len(species)) if kind == "fs" else [0])]
    lines += [numbers(charge_of(a, b, r)) for a in range(len(species)) for b in range(a + 1)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return {kind: write_table(folder / f"made_up.{kind}", kind) for kind in ("setfl", "fs", "funcfl")}


@pytest.fixture(scope="module")
def potentials(tables, tmp_path_factory):
    path = tmp_path_factory.mktemp("sw") / "made_up.sw"
    path.write_text(SW_TABLE)
    return {
        "StillingerWeber(Si)": StillingerWeber("Si"),
        "StillingerWeber(file)": StillingerWeber.from_file(path),
        "CleriRosato(Cu)": CleriRosato("Cu"),
        "FinnisSinclair(W)": FinnisSinclair("W"),
        "EAM(setfl)": EAM.from_file(tables["setfl"]),
        "LennardJones(Ar+Kr)": LennardJones(("Ar", "Kr")),
        "Morse(Cu)": Morse("Cu"),
    }


NAMES = (
    "StillingerWeber(Si)",
    "StillingerWeber(file)",
    "CleriRosato(Cu)",
    "FinnisSinclair(W)",
    "EAM(setfl)",
    "LennardJones(Ar+Kr)",
    "Morse(Cu)",
)


def some_stencil(potential, slots=7, seed=3, padding=3):
    """One site with neighbours between 0.5 and 0.95 of the cutoff, in random directions, then padding."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((1, slots, 3))
    g *= (rng.uniform(0.5, 0.95, (1, slots, 1)) * potential.cutoff) / np.linalg.norm(g, axis=-1, keepdims=True)
    far = np.tile([2.0 * potential.cutoff, 0.0, 0.0], (1, padding, 1))
    kinds = rng.integers(0, len(potential.species), (1, slots + padding))
    return Stencil(jnp.asarray(np.concatenate([g, far], axis=1)), jnp.zeros(1, dtype=int), jnp.asarray(kinds))


@eqx.filter_jit
def jets(potential, stencil, direction, times):
    """V and its first three derivatives along one direction of the stencil, (4, times)."""

    def value(t):
        return potential(Stencil(stencil.g + t * direction, stencil.centre, stencil.neighbour))[0]

    def slope_of(f):
        return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1]

    orders = [value]
    for _ in range(3):
        orders.append(slope_of(orders[-1]))
    return jnp.stack([jax.vmap(f)(times) for f in orders])


def jets_at(potential, stencil, direction, times):
    """The same on the host, always 64 times at once: one compilation for each potential and number of slots."""
    times = np.atleast_1d(np.asarray(times, dtype=float))
    padded = jnp.asarray(np.concatenate([times, np.zeros(64 - len(times))]))
    return np.asarray(jets(potential, stencil, jnp.asarray(direction), padded))[:, : len(times)]


def rattled(lattice, size, amplitude, seed):
    """A periodic supercell with displaced atoms."""
    cell = supercell(lattice, size)
    shift = np.random.default_rng(seed).standard_normal(cell.positions.shape)
    return replace(cell, positions=cell.positions + amplitude * shift)


def cluster(symbols, positions):
    """Free atoms as a cell without periodicity."""
    lattice = sc("Cu", 3.0)
    n = len(positions)
    none = Sites(np.zeros((n, 3), dtype=int), np.zeros(n, dtype=int), None)
    free = np.ones(n, dtype=bool)
    return Cell(lattice, 50 * np.eye(3), (False,) * 3, positions, symbols, -np.ones(n, dtype=int), free, none, np.zeros(3))


# -- what every site energy must do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_three_derivatives_agree_with_differences(potentials, name):
    potential = potentials[name]
    stencil = some_stencil(potential)
    direction = np.random.default_rng(0).standard_normal(stencil.g.shape)
    steps = np.geomspace(3e-2, 1e-6, 12)
    exact = jets_at(potential, stencil, direction, 0.0)[:, 0]
    ahead, behind = jets_at(potential, stencil, direction, steps), jets_at(potential, stencil, direction, -steps)
    for order in range(3):
        assert abs(exact[order + 1]) > 1e-5  # there is something to compare
        error = np.abs((ahead[order] - behind[order]) / (2 * steps) - exact[order + 1])
        assert error.min() <= 1e-3 * error.max(), f"{name}: derivative {order + 1} is not the derivative of {order}"
        assert error.min() <= 1e-6 * abs(exact[order + 1])  # rounding 1e-16 over the best step, near 1e-5, generously


@pytest.mark.parametrize("name", NAMES)
def test_blind_beyond_the_cutoff_and_finite_everywhere(potentials, name):
    potential = potentials[name]
    c = potential.cutoff
    padded = some_stencil(potential)
    toss = np.random.default_rng(1).standard_normal(padded.g.shape)
    elsewhere = Stencil(padded.g.at[:, 7:].set([0.0, 1.1 * c, 1.3 * c]), padded.centre, padded.neighbour)
    assert np.array_equal(jets_at(potential, padded, toss, 0.0), jets_at(potential, elsewhere, toss, 0.0))
    live = np.arange(10)[None, :, None] < 7
    assert np.all(jets_at(potential, padded, np.where(live, 0.0, toss), 0.0)[1:] == 0.0)
    assert np.all(jets_at(potential, padded, np.where(live, toss, 0.0), 0.0)[1:] != 0.0)
    straight = [[0.6 * c, 0, 0], [-0.6 * c, 0, 0], [0.7 * c, 0, 0], [0, 0, 0.8 * c], [c, 0, 0]] + 5 * [[2 * c, 0, 0]]
    cases = {
        "padded": padded.g,
        "collinear, and at the cutoff": jnp.asarray([straight]),
        "isolated": jnp.asarray([10 * [[2 * c, 0, 0]]]),
    }
    for case, g in cases.items():
        stencil = Stencil(g, jnp.zeros(1, dtype=int), jnp.zeros(g.shape[:2], dtype=int))
        values = jets_at(potential, stencil, toss, 0.0)
        assert np.all(np.isfinite(values)), f"{name}, {case}"
        if case == "isolated":
            assert np.all(values[1:] == 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_hessians_by_sums_are_those_of_automatic_differentiation(potentials, name):
    """Sites of every species, collinear neighbours, one at the cutoff, and an isolated atom, side by side."""
    potential = potentials[name]
    c, kinds = potential.cutoff, len(potential.species)
    straight = [[0.6 * c, 0, 0], [-0.6 * c, 0, 0], [0.7 * c, 0, 0], [0, 0, 0.8 * c], [c, 0, 0]] + 5 * [[2 * c, 0, 0]]
    one, other = some_stencil(potential), some_stencil(potential, seed=4)
    g = jnp.concatenate([one.g, other.g, jnp.asarray([straight, 10 * [[2 * c, 0, 0]]])])
    neighbour = jnp.concatenate([one.neighbour, other.neighbour, one.neighbour, other.neighbour])
    stencil = Stencil(g, jnp.arange(4) % kinds, neighbour)
    ours = np.asarray(eqx.filter_jit(potential.hessian)(stencil)).reshape(4, 30, 30)
    np.testing.assert_allclose(ours, np.swapaxes(ours, 1, 2), atol=1e-13 * np.abs(ours).max())
    assert np.all(ours[3] == 0.0)
    for site in range(4):
        alone = Stencil(*(a[site : site + 1] for a in (stencil.g, stencil.centre, stencil.neighbour)))
        for toss in np.random.default_rng(2).standard_normal((3, 30)):
            second = jets_at(potential, alone, toss.reshape(1, 10, 3), 0.0)[2, 0]
            # rounding of sums whose terms cancel in part
            assert toss @ ours[site] @ toss == pytest.approx(second, abs=1e-11 * np.abs(ours[site]).max(), rel=1e-11)
            assert site > 1 or abs(second) > 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_no_jump_at_the_cutoff(potentials, name):
    """Third derivatives in the position of one neighbour vanish as it reaches the cutoff from inside.

    With the others at rest V leaves zero like (cutoff - r)^6 or more softly still, so the third derivative goes like the
    cube of the gap: at a thousandth of the window less than a millionth of its maximum is left.
    """
    potential = potentials[name]
    stencil = some_stencil(potential)
    unit = np.zeros(stencil.g.shape)
    unit[0, 0] = stencil.g[0, 0] / jnp.linalg.norm(stencil.g[0, 0])
    rest = Stencil(stencil.g.at[0, 0].set(0.0), stencil.centre, stencil.neighbour)
    reach = potential.cutoff
    if name == "StillingerWeber(file)":  # its pairs end at different radii
        reach = float(potential.reach[0, int(stencil.neighbour[0, 0])])
    inside = np.abs(jets_at(potential, rest, unit, np.linspace(0.7, 0.995, 60) * reach)[3])
    edge = np.abs(jets_at(potential, rest, unit, np.array([1 - 3e-4, 1 + 1e-12, 1 + 1e-6]) * reach)[3])
    assert inside.max() > 1e-4
    assert edge[0] < 1e-4 * inside.max()
    assert np.all(edge[1:] <= 1e-12 * inside.max())  # what other neighbours leave, by rounding


@pytest.mark.parametrize("name", NAMES)
def test_rotations_reflections_and_order_do_not_matter(potentials, name):
    potential = potentials[name]
    stencil = some_stencil(potential)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    order = np.random.default_rng(2).permutation(10)
    turned = Stencil((stencil.g @ turn.T)[:, order], stencil.centre, stencil.neighbour[:, order])
    assert float(potential(turned)[0]) == pytest.approx(float(potential(stencil)[0]), rel=1e-12)  # rounding


def test_the_ends_are_smooth_to_fifth_order():
    """Near its ends the window leaves 1 and 0 like the sixth power, the ramp leaves its lines like the seventh."""
    d = jnp.asarray([0.004, 0.002])  # the next power of the polynomial changes an exponent by about 4 d

    def exponent(rest):
        return float(jnp.log2(rest[0] / rest[1]))

    assert exponent(fade(2.0 - d, 1.0, 2.0)) == pytest.approx(6, abs=0.05)
    assert exponent(1.0 - fade(1.0 + 10 * d, 1.0, 2.0)) == pytest.approx(6, abs=0.5)  # d large enough for 1 - 1e-8
    assert exponent(ramp(d - 0.5, 0.5)) == pytest.approx(7, abs=0.05)
    assert exponent(ramp(0.5 - 10 * d, 0.5) - (0.5 - 10 * d)) == pytest.approx(7, abs=0.5)
    middle = jnp.linspace(1, 2, 11)
    assert np.allclose(fade(middle, 1.0, 2.0) + fade(3.0 - middle, 1.0, 2.0), 1.0, atol=1e-12)  # odd about its middle
    assert float(ramp(jnp.asarray(0.7), 0.5)) == 0.7 and float(ramp(jnp.asarray(-0.7), 0.5)) == 0.0


# -- published crystals --------------------------------------------------------------------------------------------------------


def energy_per_atom(lattice, potential):
    """Of the perfect crystal, without compiling anything."""
    x, near = crystal_bonds(lattice, potential)
    return float(potential(near.stencil(jnp.asarray(x), jnp.asarray(lattice.vectors)))[: lattice.sublattices].mean())


COHESIVE = {"Cu": 3.54, "Ag": 2.96, "Au": 3.78, "Ni": 4.44, "Al": 3.34, "Pd": 3.94, "Pt": 5.85}


@pytest.mark.parametrize("metal", COHESIVE)
def test_second_moment_metals_have_their_cohesive_energy(metal):
    """Against the measured energies, and against the published sum over five shells written out (the window changes nothing)."""
    A, xi, p, q, a = cleri_rosato.PARAMETERS[metal]
    energy = energy_per_atom(fcc(metal, a), CleriRosato(metal))
    shells = np.repeat(np.sqrt([1.0, 2.0, 3.0, 4.0, 5.0]), [12, 6, 24, 12, 24]) - 1.0
    published = A * np.exp(-p * shells).sum() - xi * np.sqrt(np.exp(-2 * q * shells).sum())
    assert energy == pytest.approx(published, abs=1e-10)  # safe_sqrt is off by 1e-10 / (2 x 3)
    assert -energy == pytest.approx(COHESIVE[metal], abs=0.012)  # the fit's own error (Ni 4.43)


def test_copper_has_its_elastic_constants():
    """Cleri and Rosato's table for Cu: C11, C12, C44 = 176, 125, 82 GPa, printed to that many digits."""
    copper = CleriRosato("Cu")
    lattice = equilibrate(fcc("Cu", 3.64), copper)
    c = elastic_constants(lattice, copper) * EV_PER_A3_IN_GPA
    assert np.allclose([c[0, 0], c[0, 1], c[3, 3]], [176, 125, 82], atol=1.0)
    assert np.linalg.norm(lattice.conventional[0] @ lattice.vectors) == pytest.approx(3.615, abs=1e-3)  # printed digits


def test_silicon_has_its_elastic_constants():
    """Stillinger-Weber silicon, as known since Cowley (1988): 151.4, 76.4, 56.4 GPa; its energy is -2 epsilon by design."""
    silicon = StillingerWeber("Si")
    lattice = equilibrate(diamond("Si", 5.0), silicon)
    c = elastic_constants(lattice, silicon) * EV_PER_A3_IN_GPA
    assert np.allclose([c[0, 0], c[0, 1], c[3, 3]], [151.4, 76.4, 56.4], atol=0.1)  # printed digits
    assert np.linalg.norm(lattice.conventional[0] @ lattice.vectors) == pytest.approx(5.4310, abs=2e-4)
    assert energy_per_atom(lattice, silicon) == pytest.approx(-2 * 2.1683, abs=1e-6)  # A and B have ten digits
    assert check_stable(lattice, silicon) > 0.1


@pytest.mark.parametrize("metal", TARGETS)
def test_rounded_finnis_sinclair_meets_its_conditions(metal):
    a, cohesive, *stiffness = TARGETS[metal]
    potential, lattice = FinnisSinclair(metal), bcc(metal, a)
    energy, _, virial = crystal_response(lattice, potential)
    c = elastic_constants(lattice, potential) * EV_PER_A3_IN_GPA
    assert -energy == pytest.approx(cohesive, abs=1e-6)  # parameters are given to nine digits
    assert np.abs(virial).max() < 1e-5
    assert np.allclose([c[0, 0], c[0, 1], c[3, 3]], stiffness, atol=1e-3)
    assert check_stable(lattice, potential) > 0.1


def test_tungsten_beyond_its_fit():
    """Predictions of W: near the published form's unrelaxed vacancy (3.63 eV), bcc below fcc, third derivatives bounded."""
    tungsten = FinnisSinclair("W")
    perfect = supercell(bcc("W", 3.1652), 3)
    holed = replace(
        perfect, positions=perfect.positions[1:], symbols=perfect.symbols[1:], sites=perfect.sites[1:], free=perfect.free[1:]
    )
    bulk_atom = evaluate(tungsten, perfect).energy / len(perfect)
    assert evaluate(tungsten, holed).energy - bulk_atom * len(holed) == pytest.approx(3.61, abs=0.01)
    compact = equilibrate(fcc("W", 3.98), tungsten)
    assert energy_per_atom(compact, tungsten) - bulk_atom == pytest.approx(0.176, abs=0.005)


# -- other people's calculators ------------------------------------------------------------------------------------------------


def matscipy_cell(cell):
    return Atoms(cell.symbols, positions=cell.positions, cell=cell.vectors, pbc=True)


def test_silicon_agrees_with_matscipy_to_its_hessian():
    silicon = StillingerWeber("Si")
    cell = rattled(diamond("Si", 5.3), 1, 0.15, seed=5)  # 8 atoms, narrower than twice the cutoff: images count
    atoms = matscipy_cell(cell)
    atoms.calc = Manybody(**matscipy_forms({**MATSCIPY_SI, "costheta0": 1 / 3}))  # it stores 0.333333333333
    ours = evaluate(silicon, cell)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert np.abs(ours.forces).max() > 1.0
    assert np.allclose(ours.forces, atoms.get_forces(), atol=1e-9)
    assert np.allclose(ours.virial, -atoms.get_stress(voigt=False) * atoms.get_volume(), atol=1e-8)
    theirs = atoms.calc.get_hessian(atoms, format="sparse").toarray()
    assert np.allclose(hessian(silicon, cell).reshape(theirs.shape), theirs, atol=1e-8)  # rounding of entries up to 30


def test_tabulated_alloy_agrees_with_matscipy_to_its_hessian(tables):
    """matscipy reads the file itself; its splines are made quintic, like ours, from SciPy's other (FITPACK) implementation."""
    cell = rattled(cscl("Cu", "Ni", 2.9), 2, 0.1, seed=1)
    atoms = matscipy_cell(cell)
    calculator = MatscipyEAM(str(tables["setfl"]), kind="eam/alloy")

    def quintic(old):
        return [quintic(o) for o in old] if isinstance(old, list) else InterpolatedUnivariateSpline(*old._data[:2], k=5)

    atoms.calc = MatscipyEAM(
        atomic_numbers=calculator._db_atomic_numbers,
        F=quintic(calculator.F),
        f=quintic(calculator.f),
        rep=quintic(calculator.rep),
        cutoff=calculator._db_cutoff,
    )
    potential = EAM.from_file(tables["setfl"])
    ours = evaluate(potential, cell)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
    assert np.abs(ours.forces).max() > 0.1
    assert np.allclose(ours.forces, atoms.get_forces(), atol=1e-9)
    theirs = atoms.calc.get_hessian(atoms, format="sparse").toarray()
    assert np.allclose(hessian(potential, cell).reshape(theirs.shape), theirs, atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "interpolation", "precision"),
    [
        # grid step h = 2.5e-3 A, K = k-th derivative of the functions: the quintic is off by h^(6-k) V^(6) / 1000 and
        # rounding 1e-15 / h^k, the cubic of LAMMPS by h^(4-k) V^(4) / 100
        ("setfl", "quintic", (1e-11, 1e-9, 1e-7, 1e-4)),
        ("fs", "quintic", (1e-11, 1e-9, 1e-7, 1e-4)),
        ("funcfl", "quintic", (1e-11, 1e-9, 1e-7, 1e-4)),
        ("setfl", "lammps", (1e-7, 1e-5, 1e-2, 10.0)),
    ],
    ids=["setfl", "eam.fs", "funcfl", "setfl as LAMMPS"],
)
def test_tables_reproduce_the_function_they_were_made_from(tables, kind, interpolation, precision):
    potential = EAM.from_file(tables[kind], interpolation=interpolation)
    exact = ClosedForm(per_pair=kind == "fs", species=potential.species)
    stencil = some_stencil(potential, seed=8)
    direction = np.random.default_rng(4).standard_normal(stencil.g.shape)
    ours, truth = (jets_at(p, stencil, direction, 0.0)[:, 0] for p in (potential, exact))
    assert np.all(np.abs(truth) > 1e-2)
    assert np.all(np.abs(ours - truth) < precision)


def test_resolution_smooths_rounded_tables(tables, tmp_path):
    """A table printed with nine decimals: its spline's third derivatives are noise, a coarser least-squares spline's are not."""
    rough = tmp_path / "rough.setfl"
    lines = tables["setfl"].read_text().splitlines()
    rough.write_text("\n".join(lines[:5] + [f"{float(w):.9f}" if len(w.split()) == 1 else w for w in lines[5:]]))
    exact = ClosedForm(per_pair=False)
    stencil = some_stencil(exact, seed=8)
    direction = np.random.default_rng(4).standard_normal(stencil.g.shape)

    def error(potential):
        third = [jets_at(p, stencil, direction, 0.0)[3, 0] for p in (potential, exact)]
        return abs(third[0] - third[1])

    assert error(EAM.from_file(rough)) > 0.03  # 1e-9 / (2.5e-3)^3 a bond
    assert error(EAM.from_file(rough, resolution=0.05)) < 3e-4


def test_a_table_that_ends_with_a_jump_is_faded(tables, tmp_path):
    """The cutoff written into the file is moved inwards, where the functions are not zero."""
    cut = tmp_path / "cut.setfl"
    cut.write_text(tables["setfl"].read_text().replace(f" {REACH}\n", " 4.0\n", 1))
    pair = jnp.zeros(1, dtype=int), jnp.zeros((1, 1), dtype=int)

    def step(potential):
        near, far = (float(potential(Stencil(jnp.asarray([[[r, 0, 0]]]), *pair))[0]) for r in (4.0 - 1e-9, 4.0))
        return abs(near - far)

    assert step(EAM.from_file(cut, interpolation="lammps")) > 1e-6
    assert step(EAM.from_file(cut)) < 1e-15
    inner = Stencil(jnp.asarray([[[3.7, 0, 0]]]), *pair)
    assert float(EAM.from_file(cut)(inner)[0]) == float(EAM.from_file(tables["setfl"])(inner)[0])  # untouched before the tail


@pytest.mark.parametrize("form", ["Lennard-Jones", "Morse"])
def test_pair_potentials_agree_with_ase_before_the_window(form):
    """A cluster smaller than the onset; ASE's cutoff (and so its shift, 1e-13 eV) is put far away."""
    rng = np.random.default_rng(6)
    positions = bulk("Ar", cubic=True, a=5.3).repeat((2, 1, 1)).positions + 0.2 * rng.standard_normal((8, 3))
    if form == "Lennard-Jones":
        ours, theirs = LennardJones("Ar", cutoff=40.0), ASELennardJones(epsilon=0.0103235, sigma=3.405, rc=2000.0)
    else:
        ours = Morse("X", epsilon=0.3, alpha=1.2, r0=3.0, cutoff=40.0)
        theirs = MorsePotential(epsilon=0.3, rho0=1.2 * 3.0, r0=3.0, rcut1=500.0, rcut2=600.0)
    atoms = Atoms("Ar8", positions=positions, calculator=theirs)
    result = evaluate(ours, cluster(ours.species * 8, positions))
    assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert np.abs(result.forces).max() > 1e-3
    assert np.allclose(result.forces, atoms.get_forces(), atol=1e-10)


def test_stillinger_weber_moments_equal_the_triple_loop(potentials):
    """The made-up two-species table, summed over triples in plain Python."""
    potential = potentials["StillingerWeber(file)"]
    rows = [line.split() for line in SW_TABLE.replace("\n  ", " ").splitlines()[1:]]
    table = {tuple(row[:3]): [float(w) for w in row[3:]] for row in rows}
    assert potential.species == ("A", "B") and potential.p == ((4.0, 4.0), (4.0, 3.0))
    for centre in (0, 1):
        stencil = some_stencil(potential, slots=6, seed=11, padding=0)
        stencil = Stencil(stencil.g * 0.8, jnp.full(1, centre), stencil.neighbour)
        g = np.asarray(stencil.g[0])
        names = [potential.species[int(k)] for k in stencil.neighbour[0]]
        me, total, f = potential.species[centre], 0.0, []
        for vector, other in zip(g, names, strict=True):
            eps, sigma, a, _, gamma, _, A, B, p, q, _ = table[me, other, other]
            r = np.linalg.norm(vector)
            inside = r < a * sigma
            total += (
                0.5 * A * eps * (B * (sigma / r) ** p - (sigma / r) ** q) * np.exp(sigma / (r - a * sigma)) if inside else 0.0
            )
            f.append(np.exp(gamma * sigma / (r - a * sigma)) if inside else 0.0)
        pairwise = total
        for j in range(6):
            for k in range(j + 1, 6):
                eps, _, _, stiffness, _, cos0, *_ = table[me, names[j], names[k]]
                cosine = g[j] @ g[k] / np.linalg.norm(g[j]) / np.linalg.norm(g[k])
                total += stiffness * eps * (cosine - cos0) ** 2 * f[j] * f[k]
        assert abs(total - pairwise) > 1e-2
        assert float(potential(stencil)[0]) == pytest.approx(total, abs=1e-11)


def test_pairs_that_do_not_interact_are_harmless(tmp_path):
    """A table whose A-B entries are zero: B is invisible to A, and no derivative is lost over it."""
    rows = [line for line in SW_TABLE.replace("\n  ", " ").splitlines() if not line.startswith("#")]
    mixed = [f"{row[:5]} 0 0 0 0 0 0 0 0 0 0 0" if row[:5] in ("A B B", "B A A") else row for row in rows]
    (tmp_path / "apart.sw").write_text("\n".join(mixed))
    apart = StillingerWeber(tmp_path / "apart.sw")
    kinds = jnp.asarray([[0, 1, 1, 0, 1, 0, 1, 0, 0, 0]])
    stencil = Stencil(some_stencil(apart).g, jnp.zeros(1, dtype=int), kinds)
    toss = np.random.default_rng(1).standard_normal(stencil.g.shape)
    seen = jets_at(apart, stencil, toss, 0.0)
    assert np.all(np.isfinite(seen)) and np.all(seen != 0.0)
    assert np.all(jets_at(apart, stencil, np.where(kinds[..., None] == 1, toss, 0.0), 0.0)[1:] == 0.0)


# -- equilibrium ---------------------------------------------------------------------------------------------------------------


def test_equilibrium_has_no_stress_and_keeps_orientation():
    """hcp argon: two free parameters from a poor start; the lattice is stretched along its axes only, not turned."""
    argon = LennardJones("Ar", cutoff=8.0)
    start = hcp("Ar", 4.1, 6.0)
    rest = equilibrate(start, argon)
    _, forces, virial = crystal_response(rest, argon)
    assert np.abs(virial).max() < 2e-10 and np.abs(forces).max() < 1e-10
    stretch = np.linalg.solve(start.vectors, rest.vectors)
    assert np.allclose(stretch, np.diag([stretch[0, 0], stretch[0, 0], stretch[2, 2]]), atol=1e-9)
    assert abs(stretch[0, 0] - stretch[2, 2]) > 1e-3  # both parameters moved
    assert np.array_equal(rest.conventional, start.conventional)
    assert check_stable(rest, argon) > 0


def test_equilibrium_of_a_plane():
    morse = Morse("Cu", cutoff=6.0)
    rest = equilibrate(triangular("Cu", 2.5), morse)
    _, _, virial = crystal_response(rest, morse)
    assert np.abs(virial[:2, :2]).max() < 1e-10
    assert np.array_equal(rest.vectors[2], [0.0, 0.0, 1.0])
    shells = np.repeat([1.0, np.sqrt(3), 2.0], 6)  # the shells within 6 A, and their energy by another minimiser

    def energy(a):
        r = jnp.asarray(shells * a)
        e = np.exp(-1.3588 * (shells * a - 2.866))
        return float(np.sum(0.3429 * e * (e - 2) * np.asarray(fade(r, 4.2, 6.0))) / 2)

    best = minimize_scalar(energy, bounds=(2.5, 2.95), method="bounded", options={"xatol": 1e-9}).x
    assert rest.nearest_neighbour == pytest.approx(best, abs=1e-6)  # a minimum is known to the square root of rounding


def test_internal_coordinates_are_relaxed():
    """A zincblende-like crystal whose second atom was pushed off its site, so that only the full Newton can bring it home."""
    silicon = StillingerWeber("Si")
    start = diamond("Si", 5.5)
    motif = start.motif.copy()
    motif[1] += [0.05, -0.02, 0.03]
    rest = equilibrate(start.with_motif(motif), silicon)
    _, forces, virial = crystal_response(rest, silicon)
    assert max(np.abs(forces).max(), np.abs(virial).max()) < 1e-9
    offset = (rest.motif[1] - rest.motif[0]) @ np.linalg.inv(rest.vectors)
    assert np.allclose(offset, 0.25, atol=1e-9)


class Answers(BlackBox):
    """A site energy behind the black-box door, with or without a stress."""

    step = 1e-3

    def __init__(self, potential, has_stress):
        self.potential, self.has_stress = potential, has_stress

    def evaluate(self, symbols, positions, vectors, periodic, stress):
        if stress and not self.has_stress:
            raise InputError("this calculator has no stress")
        result = evaluate(self.potential, self.shape, positions, vectors)
        return Evaluation(result.energy, result.forces, result.virial if stress else None)


@pytest.mark.parametrize("has_stress", [True, False], ids=["with stress", "energies only"])
def test_black_boxes_find_the_same_crystal(has_stress):
    morse = Morse("Cu", cutoff=5.0)
    start = fcc("Cu", 3.9)
    box = Answers(morse, has_stress)
    box.shape = primitive_cell(start)
    assert np.allclose(equilibrate(start, box).vectors, equilibrate(start, morse).vectors, atol=1e-7)  # differences: h^4


@pytest.mark.parametrize(
    ("crystal", "potential", "words"),
    [
        (fcc("Al", 4.05), partial(CleriRosato, "Cu"), "knows Cu; the cell contains Al"),
        (fcc("Ar", 25.0), LennardJones, "do not see each other"),
        (fcc("Ar", 3.0), partial(LennardJones, cutoff=4.0), "flies apart"),
    ],
    ids=["species", "too far", "too near"],
)
def test_no_equilibrium_is_said_in_words(crystal, potential, words):
    with pytest.raises(InputError, match=words):
        equilibrate(crystal, potential())


def test_an_unstable_crystal_is_refused():
    """Simple cubic argon is a stationary point, and no minimum."""
    argon = LennardJones("Ar", cutoff=6.0)
    cubic = equilibrate(sc("Ar", 3.6), argon)
    with pytest.raises(InputError, match="not stable"):
        check_stable(cubic, argon)


# -- names and bad input -------------------------------------------------------------------------------------------------------


def test_references_by_name(tables):
    assert isinstance(reference_from_name("CleriRosato(Pt)"), CleriRosato)
    assert reference_from_name(" FinnisSinclair ").species == ("W",)
    assert reference_from_name(f"EAM({tables['fs']})").species == ("Cu", "Ni")
    assert reference_from_name(f'StillingerWeber("{"Si"}")').cutoff == pytest.approx(1.8 * 2.0951)
    for name, (make, description, species) in REFERENCES.items():
        assert description and make.__name__ == name
        for symbol in species:
            assert reference_from_name(f"{name}({symbol})").species == (symbol,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tersoff(Si)", "CleriRosato, StillingerWeber"),
        ("CleriRosato(Fe)", "Cu, Ag"),
        ("StillingerWeber(nowhere.sw)", "is neither"),
        ("FinnisSinclair(Cu)", "W, Mo"),
        ("EAM", "EAM\\(path\\)"),
        ("EAM(nowhere.eam)", "does not exist"),
        ("LennardJones(Cu)", "give epsilon, sigma"),
    ],
)
def test_unknown_names_list_the_known_ones(text, words):
    with pytest.raises(InputError, match=words):
        reference_from_name(text)


def test_bad_numbers_and_files_are_refused(tmp_path, tables):
    short = tmp_path / "short.setfl"
    short.write_text("\n".join(tables["setfl"].read_text().splitlines()[:3000]))
    (tmp_path / "bad.sw").write_text("Si Si Si 1.0 2.0\n")
    for call, words in (
        (lambda: EAM.from_file(short), "no complete"),
        (lambda: EAM.from_file(tables["setfl"], interpolation="linear"), "quintic"),
        (lambda: EAM.from_file(tables["setfl"], resolution=1e-5), "resolution"),
        (lambda: StillingerWeber.from_file(tmp_path / "bad.sw"), "no .sw file"),
        (lambda: StillingerWeber.from_file(tmp_path / "none.sw"), "does not exist"),
        (lambda: LennardJones("Ar", sigma=-1.0), "positive sigma"),
        (lambda: LennardJones(["Ar", "Kr"], epsilon=[1, 2, 3]), "epsilon as one number, or one for each of Ar, Kr"),
        (lambda: LennardJones("Ar", epsilon=np.inf), "positive epsilon"),
        (lambda: Morse("Cu", cutoff=5.0, onset=6.0), "onset"),
        (lambda: CleriRosato("Cu", cutoff=2.0), "at least"),
    ):
        with pytest.raises(InputError, match=words):
            call()
