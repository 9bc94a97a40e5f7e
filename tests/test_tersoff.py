"""Bond-order potentials against matscipy, a triple loop and their own derivatives. Against LAMMPS: test_reference_lammps."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import tersoff_brenner

import defectgen as dg
from defectgen.energy import Stencil, evaluate, hessian
from defectgen.reference import Tersoff, parse_reference, reference_from_name
from defectgen.reference.tersoff_parameters import PUBLISHED

PEERS = {
    "SiC": (tersoff_brenner.Tersoff_PRB_39_5566_Si_C, dg.zincblende("Si", "C", 4.3)),
    "BCN": (tersoff_brenner.Matsunaga_Fisher_Matsubara_Jpn_J_Appl_Phys_39_48_B_C_N, dg.zincblende("B", "N", 3.6)),
    "Si-Erhart": (tersoff_brenner.Erhart_PRB_71_035211_Si, dg.diamond("Si", 5.4)),
}
"""Sets of which matscipy has the same formula. In the sets of Albe for compounds it takes the angular function of the bond
itself; the papers, LAMMPS and this package take that of the bond to the third atom."""


@pytest.mark.filterwarnings("ignore:'where' used without 'out'")
@pytest.mark.parametrize("name", PEERS)
def test_sets_agree_with_matscipy_to_their_hessian(name):
    parameters, lattice = PEERS[name]
    cell = dg.supercell(lattice, 1)
    cell = replace(cell, positions=cell.positions + 0.05 * np.random.default_rng(0).standard_normal(cell.positions.shape))
    atoms = Atoms(cell.symbols, positions=cell.positions, cell=cell.vectors, pbc=True)
    atoms.calc = Manybody(**tersoff_brenner.TersoffBrenner(parameters))
    potential = Tersoff(name)
    ours = evaluate(potential, cell)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert np.abs(ours.forces).max() > 1.0
    assert np.abs(ours.forces - atoms.get_forces()).max() < 1e-8
    if name == "Si-Erhart":  # one set: the others have the same code
        theirs = atoms.calc.get_hessian(atoms, format="sparse").toarray()
        assert np.allclose(hessian(potential, cell).reshape(theirs.shape), theirs, atol=1e-8)


def environment(kinds: int) -> Stencil:
    rng = np.random.default_rng(1)
    g = rng.normal(size=(1, 6, 3))
    g *= (rng.uniform(1.4, 2.6, size=(1, 6)) / np.linalg.norm(g, axis=2))[..., None]
    return Stencil(jnp.asarray(g), jnp.zeros(1, dtype=int), jnp.asarray(rng.integers(kinds, size=(1, 6))))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_set_is_the_triple_loop(name):
    """The formula written out over bonds and third atoms, with the published triplets."""
    potential, table = Tersoff(name), PUBLISHED[name][1]
    stencil = environment(len(potential.species))
    g, kinds = np.asarray(stencil.g[0]), [potential.species[z] for z in np.asarray(stencil.neighbour[0])]
    centre, r, energy = potential.species[0], np.linalg.norm(np.asarray(stencil.g[0]), axis=1), 0.0

    def window(p, x):
        return 0.5 - 0.5 * np.sin(np.pi / 2 * np.clip((x - p["R"]) / p["D"], -1, 1))

    for j in range(6):
        own, zeta = table[centre, kinds[j], kinds[j]], 0.0
        for k in set(range(6)) - {j}:
            p, cosine = table[centre, kinds[j], kinds[k]], g[j] @ g[k] / (r[j] * r[k])
            angle = 1 + p["c"] ** 2 / p["d"] ** 2 - p["c"] ** 2 / (p["d"] ** 2 + (cosine - p["cos0"]) ** 2)
            zeta += window(p, r[k]) * p["gamma"] * angle * np.exp((p["lambda3"] * (r[j] - r[k])) ** p["m"])
        order = (1 + (own["beta"] * zeta) ** own["n"]) ** -own.get("power", 0.5 / own["n"])
        bond = own["A"] * np.exp(-own["lambda1"] * r[j]) - order * own["B"] * np.exp(-own["lambda2"] * r[j])
        energy += 0.5 * window(own, r[j]) * bond
    assert abs(energy) > 0.01
    assert float(potential(stencil)[0]) == pytest.approx(energy, rel=1e-12, abs=1e-12)


def test_smooth_ends_have_three_derivatives():
    """A pair of silicon atoms through the ends of the window: the second derivative of the published one jumps there."""

    def derivative(ends, order):
        def along(x):
            g = jnp.stack([jnp.array([x, 0.0, 0.0]), jnp.array([0.0, 2.35, 0.0])])[None]
            return Tersoff("Si", ends=ends)(Stencil(g, jnp.zeros(1, dtype=int), jnp.zeros((1, 2), dtype=int)))[0]

        for _ in range(order):
            along = jax.grad(along)
        return along

    for edge in (2.7, 3.0):
        published, smooth = (
            abs(float(derivative(ends, order)(edge + 1e-7) - derivative(ends, order)(edge - 1e-7)))
            for ends, order in (("published", 2), ("smooth", 3))
        )
        assert published > 1.0 and smooth < 1e-2


def test_an_atom_with_one_neighbour_has_finite_derivatives():
    g = jnp.array([[[2.3, 0.0, 0.0], [9.0, 0.0, 0.0]]])
    stencil = Stencil(g, jnp.zeros(1, dtype=int), jnp.zeros((1, 2), dtype=int))
    value, slope = Tersoff("Si").gradient(stencil)
    assert float(value[0]) < -1.0 and np.all(np.isfinite(slope)) and np.all(np.isfinite(Tersoff("Si").hessian(stencil)))


def test_names_and_files(tmp_path):
    assert reference_from_name("Tersoff(SiC-Erhart)").species == ("Si", "C")
    assert parse_reference("Tersoff(WCH, species=[W])").make().species == ("W",)
    entry = "Si Si Si 3.0 1.0 0.0 100390 16.217 -.59825 .78734\n 0.0000011 1.73222 471.18 2.85 0.15 2.4799 1830.8\n"
    path = tmp_path / "a.tersoff"
    path.write_text("# UNITS: metal\n" + entry)
    assert reference_from_name(f"Tersoff({path})").cutoff == 3.0
    for text, said in (
        (entry.replace("3.0 1.0", "2.0 1.0", 1), "m must be 1 or 3"),
        (entry.replace("16.217", "0.0"), "d must be positive"),
        (entry.replace("0.15", "3.15"), "D must not be larger"),
        (entry.replace("471.18", "-471.18"), "B must not be negative"),
        (entry + entry, "two entries for Si Si Si"),
        (entry.replace("Si Si Si", "Si Si C"), "no Tersoff entry"),
        ("Si Si Si 1.0", "no .tersoff file"),
    ):
        path.write_text(text)
        with pytest.raises(dg.InputError, match=said):
            Tersoff(path)
    for call, said in (
        (lambda: Tersoff("GaAs"), "Tersoff takes Si, C, SiC"),
        (lambda: Tersoff("SiC", species=["Ge"]), "no species 'Ge'"),
        (lambda: Tersoff("Si", ends="sharp"), "published or smooth"),
        (lambda: Tersoff.from_file(tmp_path / "a.tersoff.mod"), "does not exist"),
    ):
        with pytest.raises(dg.InputError, match=said):
            call()
