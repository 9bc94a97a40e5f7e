"""Crystals for the studies of diversity: phases and slabs, snapshots, rows of virials and force constants, and the tables."""

from dataclasses import replace

import numpy as np
import pytest
import spglib
from small_study import carried_out

import defectgen as dg
from defectgen import study
from defectgen._input import InputError
from defectgen.crystal import PHASES, a15, beta_tin, defect_from_name, hexagonal_diamond, neighbours, phase, slab
from defectgen.dataset import Dataset
from defectgen.observe import respond
from defectgen.reference import reference_from_name
from defectgen.study.diversity.crystals import no_force_constants
from defectgen.study.diversity.crystals.steps import Drawn, Portrait
from defectgen.study.diversity.crystals.tables import outcomes
from defectgen.study.diversity.sources import find
from defectgen.study.diversity.steps import DesignTrial, OfDesign
from defectgen.study.diversity.tables import shifts
from defectgen.training import Blocks, dataset_rows
from defectgen.training.crystals import (
    NONE,
    SURFACE,
    CrystalStructure,
    Law,
    configurations,
    conformation,
    crystal_structures,
    force_constant_block,
    response_rows,
    strayed,
    virial_block,
    voigt,
)
from defectgen.training.dynamics import BOLTZMANN, thermalise

SPACE_GROUPS = {
    "fcc": 225,
    "bcc": 229,
    "hcp": 194,
    "sc": 221,
    "diamond": 227,
    "hexagonal-diamond": 194,
    "beta-tin": 141,
    "A15": 223,
}
SETTINGS = {
    "material": "Cu",
    "phases": ["fcc", "bcc"],
    "defects": ["none", "vacancy"],
    "cells": [[5, 5, 5]],
    "temperature": 300,
    "hot": 600,
    "apart": {"unseen phases": {"phases": ["sc"], "cells": [[5, 5, 5]]}},
}


@pytest.fixture(scope="module")
def copper():
    return reference_from_name("CleriRosato(Cu)")


@pytest.fixture(scope="module")
def lattice(copper):
    return dg.equilibrate(dg.fcc("Cu", 3.615), copper)


@pytest.fixture(scope="module")
def basis():
    return dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=5)


# --- phases -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHASES)
def test_phases_have_their_space_group_and_volume(name):
    """The space group is that of spglib, which knows nothing of how the lattice was made."""
    found = phase(name, "Si", 17.0)
    cell = (found.vectors, found.motif @ np.linalg.inv(found.vectors), [14] * found.sublattices)
    assert spglib.get_spacegroup(cell, symprec=1e-6).endswith(f"({SPACE_GROUPS[name]})")
    assert found.volume / found.sublattices == pytest.approx(17.0, rel=1e-12)


def test_hexagonal_diamond_has_four_neighbours_at_one_distance_and_the_energy_of_diamond():
    """Stillinger-Weber silicon sees the first shell only, which is a perfect tetrahedron in both (F. H. Stillinger 1985)."""
    truth = reference_from_name("StillingerWeber(Si)")
    energies = []
    for lattice in (dg.diamond("Si", 5.431), hexagonal_diamond("Si", 5.431 / np.sqrt(2))):
        cell = dg.supercell(lattice, 2)
        near = neighbours(cell.positions, cell.vectors, cell.periodic, 1.05 * lattice.nearest_neighbour)
        assert set(near.mask.sum(axis=1)) == {4}
        energies.append(float(respond(truth, conformationless(cell)).energy) / len(cell))
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)  # rounding of 32 sites


def conformationless(cell):
    """The cell at rest as a snapshot."""
    return dg.training_cells(cell.lattice, None, 1)[0].__class__(cell, cell.positions, cell.vectors, "at rest")


def test_chains_of_a15_are_half_a_cell_apart_and_beta_tin_has_four_atoms_a_cell():
    assert a15("W", 5.0).nearest_neighbour == pytest.approx(2.5)
    assert len(dg.supercell(beta_tin("Si", 4.9), 1)) == 4


def test_unknown_phases_and_volumes_are_refused():
    with pytest.raises(InputError, match="beta-tin"):
        phase("omega", "W", 16.0)
    with pytest.raises(InputError, match="positive"):
        phase("bcc", "W", -1.0)


# --- slabs and structures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHASES)
def test_a_slab_holds_its_crystal_and_one_gap(name):
    lattice = phase(name, "Cu", 12.0)
    found = slab(lattice, (2, 2, 2), gap=6.0)
    assert len(found) == len(dg.supercell(lattice, 2))
    height = np.linalg.norm(np.cross(found.vectors[0], found.vectors[1]))
    z = np.sort(np.linalg.solve(found.vectors.T, found.positions.T)[2] % (1 - 1e-9))
    thickness = abs(np.linalg.det(found.vectors)) / height
    gaps = np.diff(np.append(z, z[0] + 1)) * thickness
    assert gaps.max() >= 6.0 - 1e-6  # the only place without atoms ...
    assert np.sort(gaps)[-2] < 0.7 * gaps.max()  # ... all other layers are nearer


def test_cutting_a_crystal_costs_energy(copper, lattice):
    cut, whole = slab(lattice, (2, 2, 2)), dg.supercell(lattice, 2)
    energies = [float(respond(copper, conformationless(c)).energy) for c in (cut, whole)]
    area = 2 * np.linalg.norm(np.cross(cut.vectors[0], cut.vectors[1]))
    surface = (energies[0] - energies[1]) / area * 16.02176634  # J/m^2
    assert 0.8 < surface < 2.5  # copper (001): about 1.8 in experiment, less in second-moment models, more before it relaxes


def test_structures_are_named_by_their_parts_and_refusals_say_why(lattice):
    found, refused = crystal_structures(
        {"fcc": lattice}, [NONE, SURFACE, "vacancy", "interstitial(nowhere)"], [[5, 5, 5]], [0.0, 0.02]
    )
    assert set(found) == {f"fcc {d} 2x2x2 {x}%" for d in ("none", "surface", "vacancy") for x in ("+0", "+2")}
    assert "nowhere" in refused["fcc interstitial(nowhere) 2x2x2 +0%"]
    assert len(found["fcc vacancy 2x2x2 +2%"].cell(lattice)) == 31
    grown = [found[f"fcc none 2x2x2 {x}%"].cell(lattice).vectors for x in ("+0", "+2")]
    assert np.allclose(grown[1], 1.02 * grown[0])
    with pytest.raises(InputError, match="nowhere"):
        crystal_structures({"fcc": lattice}, ["interstitial(nowhere)"], [[5, 5, 5]])


# --- conformations ----------------------------------------------------------------------------------------------------------


def test_thermal_snapshots_obey_equipartition(copper, lattice):
    """Kinetic and, in a nearly harmonic crystal, potential energy are 3/2 kT an atom; twice the temperature is found out."""
    cell, kelvin, runs = dg.supercell(lattice, 2), 100.0, 12
    rest = float(respond(copper, conformationless(cell)).energy)
    kinetic, potential = [], []
    for k in range(runs):
        found = thermalise(copper, cell.symbols, cell.positions, cell.vectors, cell.periodic, kelvin, [5, k])
        snapshot = replace(conformationless(cell), positions=found.positions)
        kinetic.append(found.temperature)
        potential.append((float(respond(copper, snapshot).energy) - rest) / (1.5 * BOLTZMANN * len(cell)))
    scatter = np.sqrt(2 / (3 * len(cell) * runs))  # of a mean of squares of 3 N runs normal numbers: 4 %
    assert np.mean(kinetic) == pytest.approx(kelvin, rel=4 * scatter)
    assert np.mean(potential) == pytest.approx(kelvin, rel=6 * scatter)  # positions are less mixed than velocities
    assert not np.isclose(np.mean(potential), 2 * kelvin, rtol=6 * scatter)


def test_dynamics_of_compiled_potentials_are_those_of_jax(monkeypatch):
    """The same steps; what rounding grows to within them is far below the thermal motion."""
    silicon, cell = dg.reference.StillingerWeber("Si"), dg.vacancy().apply(dg.supercell(dg.diamond("Si", 5.43), 2))
    at = silicon, cell.symbols, cell.positions, cell.vectors, cell.periodic, 900.0, [3], 45
    found = thermalise(*at)
    with monkeypatch.context() as without:
        without.setattr(dg.reference.StillingerWeber, "native", lambda _: None)
        expected = thermalise(*at)
    assert np.abs(expected.positions - cell.positions).max() > 0.1
    assert np.abs(found.positions - expected.positions).max() < 1e-9
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-9)


def test_conformations_are_decided_by_their_number_and_not_by_how_many_there_are(copper, lattice):
    cell = defect_from_name("vacancy").apply(dg.supercell(lattice, 2))
    law = Law(temperature=300, strain=0.01)
    three = configurations("v", cell, law, 3, copper, seed=1)
    last = configurations("v", cell, law, 1, copper, seed=1, first=2)[0]
    other = configurations("v", cell, law, 1, copper, seed=2)[0]
    assert np.array_equal(three[2].positions, last.positions) and three[2].energy == last.energy
    assert not np.allclose(three[0].positions, other.positions)
    assert not np.allclose(three[0].vectors, three[1].vectors)


def test_a_strained_box_carries_its_atoms_along(copper, lattice):
    cell = dg.supercell(lattice, 2)
    found = conformation(cell, Law(strain=0.03), copper, [0, 0])
    assert strayed(found) < 1e-12
    assert np.abs(found.vectors - cell.vectors).max() > 0.01
    rattled = conformation(cell, Law(rattle=0.1, strain=0.03), copper, [0, 0])
    assert 0.05 < strayed(rattled) * lattice.nearest_neighbour < 0.6  # 0.1 A a component, the largest of 32 atoms


def test_labels_are_those_of_the_reference_and_the_virial_is_its_strain_derivative(copper, lattice):
    c = configurations("c", dg.supercell(lattice, 2), Law(rattle=0.1, strain=0.02), 1, copper, seed=0)[0]
    cell = replace(dg.supercell(lattice, 2), vectors=c.vectors)
    answer = respond(copper, replace(conformationless(cell), positions=c.positions))
    assert c.energy == pytest.approx(float(answer.energy), abs=1e-9)  # another padding, another order of sums
    assert np.allclose(c.forces, answer.forces, atol=1e-10)
    h = 1e-5  # central differences: truncation 1e-10 relative, rounding of 100 eV over h: 1e-9
    stretched = []
    for sign in (1, -1):
        f = np.eye(3) + sign * h * np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]]) / 2
        moved = replace(conformationless(cell), positions=c.positions @ f.T, vectors=c.vectors @ f.T)
        stretched.append(float(respond(copper, moved).energy))
    assert voigt(c.virial)[3] == pytest.approx(-(stretched[0] - stretched[1]) / (2 * h), abs=1e-5)
    assert abs(voigt(c.virial)[3]) > 0.1


@pytest.mark.parametrize("wrong", [{}, {"temperature": 300, "rattle": 0.1}, {"strain": 0.5}, {"rattle": -0.1}], ids=str)
def test_laws_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match="law"):
        Law(**wrong)


# --- rows -------------------------------------------------------------------------------------------------------------------


def test_virials_and_force_constants_of_a_model_are_its_rows_times_its_coefficients(basis, lattice):
    """O(basis) theta = O(basis theta): a reference in the span leaves no residual, another one does."""
    model = dg.LinearACE(basis, np.random.default_rng(0).normal(size=basis.size))
    theta = np.asarray(model.coefficients)
    cells = [dg.supercell(lattice, 2), defect_from_name("vacancy").apply(dg.supercell(lattice, 2))]
    found = [configurations(f"c{k}", cell, Law(rattle=0.1), 1, model, seed=0)[0] for k, cell in enumerate(cells)]
    rows = np.array([voigt(response_rows(c, basis).virial) for c in found])
    block = virial_block(rows, np.array([c.virial for c in found]), np.array([len(c) for c in found]), "law")
    constants = force_constant_block(lattice, model, basis, "fcc")
    for own in (block, constants):
        size = float(np.sum((own.factor if own.plain is None else own.plain)[:, -1] ** 2))
        assert own.squared_error(theta) < 1e-18 * size  # rounding squared
        assert own.squared_error(1.01 * theta) > 1e-5 * size


def test_without_a_stable_phase_force_constants_change_nothing(basis, lattice, copper):
    found = configurations("c", dg.supercell(lattice, 2), Law(rattle=0.1), 3, copper, seed=0)
    blocks = dataset_rows(Dataset(tuple(found), "Cu"), basis).blocks([0, 1, 2])
    without = dg.fit(blocks, "E+F", prior=1e-3).coefficients
    nothing = dg.fit(blocks + Blocks(basis, (no_force_constants(basis),), "Cu"), "E+F+FC", prior=1e-3).coefficients
    assert np.allclose(nothing, without, rtol=1e-8, atol=1e-10)  # condition times rounding


# --- the source and the tables ----------------------------------------------------------------------------------------------


def test_the_source_plans_every_phase_and_keeps_the_tests_apart():
    found = find("crystals", SETTINGS)
    assert found.counts() == (8, 34)
    assert [type(step) for step in found.pool().after] == [Drawn] * 3
    assert set(found.names()).isdisjoint(found.names(found.apart["unseen phases"]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"material": "NaCl"}, "known element"),
        ({"apart": {"twice": {"phases": ["fcc"], "cells": [[5, 5, 5]], "dilations": [0.02]}}}, "twice"),
        ({"phases": ["omega"]}, "omega"),
        ({"relaxed": ["hole"]}, "hole"),
        ({"temprature": 3}, "temprature"),
    ],
    ids=["material", "trained and tested", "phase", "defect", "misspelt"],
)
def test_settings_that_make_no_sense_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        find("crystals", {**SETTINGS, **change})


def rows_of(best: dict[str, float], noise: float, seeds: int = 6) -> list[dict]:
    """Errors with a minimum at log2 S = best[observations]."""
    rng = np.random.default_rng(3)
    about = {"source": "X", "budget": 16, "model": "m", "test": "t", "experiment": "fixed budget", "selection": "random"}
    found = []
    for seed in range(seeds):
        shared = rng.normal()
        for observations, centre in best.items():
            for s in (1, 2, 4, 8, 16):
                error = np.exp(0.3 * (np.log2(s) - centre) ** 2 + shared + noise * rng.normal())
                found.append({**about, "seed": seed, "observations": observations, "structures": s, "forces_rmse": error})
    return found


def test_a_shift_of_the_optimum_is_found_and_one_that_is_none_is_not():
    (moved,) = shifts(rows_of({"E+F": 3.0, "E+F+FC": 1.5}, noise=0.05), "E+F")
    assert moved["moves"] and moved["shift"] == pytest.approx(-1.5, abs=0.2)
    assert moved["shift_low"] < moved["shift"] < moved["shift_high"] < 0
    (same,) = shifts(rows_of({"E+F": 2.0, "E+F+FC": 2.0}, noise=0.05), "E+F")
    assert not same["moves"] and same["gain_low"] < 1 < same["gain_high"]


def test_relaxations_that_failed_are_counted_once_however_many_experiments_a_split_is_in():
    about = {"source": "X", "observations": "E+F", "budget": 16, "structures": 4, "conformations": 4, "test": "relaxed vacancy"}
    rows = [
        {**about, "seed": seed, "experiment": experiment, "outcome": "atom 3 ends 1.20 A away" if seed == 2 else ""}
        for seed in range(5)
        for experiment in ("fixed budget", "fixed set")
    ]
    (line,) = outcomes(rows)
    assert (line["seeds"], line["failed"], line["reasons"]) == (5, 1, "atom 3 ends 1.20 A away")


def test_a_structure_says_its_name():
    assert CrystalStructure("fcc", "vacancy", (2, 2, 3), 0.02).name == "fcc vacancy 2x2x3 +2%"


TOY = """
name = "toy"
observations = ["E+F", "E+F+FC+V"]

[fit]
prior = "smoothness(1e-3)"

[[diversity_sets]]
source = "crystals"
budgets = [4]
seeds = 2
reserve = 2
structural = 0.0
scaffold = 0.0
size = 0.0
baseline = false
basis = { cutoff = 4.5, order = 2, degree = 6, w_l = 1.5, pair_degree = 6 }
fixed_set = { structures = [2], conformations = [1, 2, 4] }

[diversity_sets.settings]
material = "Cu"
phases = ["fcc", "bcc"]
defects = ["none", "vacancy"]
cells = [[5, 5, 5]]
temperature = 600
hot = 1200
conformations = 6
relaxed = ["vacancy"]
simulation_size = 3
apart = { "unseen phases" = { phases = ["sc"], cells = [[4.5, 4.5, 4.5]] } }
"""


@pytest.mark.slow
def test_a_study_of_crystals_from_its_file_to_its_tables(tmp_path):
    found, outcome = carried_out(TOY, tmp_path)
    rows, others = found.others["diversity"], found.others
    assert {row["source"] for row in rows} == {"Cu"} and {row["observations"] for row in rows} == {"E+F", "E+F+FC+V"}
    assert {"in-distribution", "unseen phases", "relaxed vacancy"} <= {row["test"] for row in rows}
    assert {line["phase"]: line["stable"] for line in others["diversity_phases"]} == {"fcc": True, "bcc": False, "sc": False}
    cost = {(line["observations"], line["structures"]): line for line in others["diversity_cost"]}
    assert cost["E+F", 4]["calculations"] == 4 and cost["E+F", 4]["virials"] == 0
    dearest = cost["E+F+FC+V", 4]  # six displacements for the one atom of fcc, none for bcc, which is not stable
    assert dearest["calculations"] == 4 + 6 * dearest["phases_with_force_constants"] and dearest["virials"] == 24
    assert all(line["seeds"] == 2 for line in others["diversity_outcomes"])
    assert len(others["diversity_portrait"]) == 8
    trained = [t for t, _ in outcome if isinstance(t, DesignTrial)]
    assert len(trained) == 2 * 2 * 5  # observations, seeds, designs: (1, 4) (2, 2) (4, 1) (2, 1) (2, 4)


def test_a_portrait_is_drawn_of_a_fit_that_the_study_makes():
    tasks = study.plan(study.load("diversity-crystals"))
    portraits = [task for task in tasks if isinstance(task, Portrait)]
    fits = [task for task in tasks if isinstance(task, DesignTrial)]
    assert [task.label for task in portraits] == ["Cu portrait", "Si portrait", "W portrait"]
    for task in portraits:
        assert any(design(task) == design(fit) for fit in fits)


def design(step: OfDesign) -> tuple:
    """All that a fit depends on."""
    return *(step.spec[name] for name in step.spec if name != "baseline"), *(needed.key for needed in step.after)
