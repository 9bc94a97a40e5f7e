"""Planning of a data set: what labels cost, fronts, the structures of a plan, and the way back with labels."""

import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st

import defectgen as dg
from defectgen._input import InputError
from defectgen.bridge import LabelledReference, inequivalent
from defectgen.campaign import Given, Store
from defectgen.crystal import Snapshot
from defectgen.crystal.symmetry import space_group
from defectgen.energy import blackbox_force_constants, displacements
from defectgen.study.calculations import Calculation
from defectgen.study.planning import plans, prepared, searched, write_structures
from defectgen.study.planning.search import WEIGHTS
from defectgen.study.planning.structures import spread_order
from defectgen.training import cheapest, lasting, pareto_front

GRID = {
    "sizes": (2,),
    "configurations": (1, 2),
    "observations": ("E+F", "E+F+FC+V"),
    "degrees": (4, 6),
    "order": 2,
    "cutoff": 4.6,
    "simulation_size": 4,
}
OPTIONS = ["--sizes", "2", "--configurations", "1,2", "--observations", "E+F,E+F+FC+V", "--degrees", "4,6", "--order", "2"]
OPTIONS += ["--cutoff", "4.6", "--simulation-size", "4", "--material", "W", "--defect", "vacancy"]


@cache
def folder() -> Path:
    """Where the records of the toy search are kept."""
    return Path(tempfile.mkdtemp(prefix="plan-"))


@cache
def proposal(target: float = 1e-4):
    """A grid of eight plans for a small tungsten vacancy; what is searched does not depend on the target."""
    return dg.plan_training("W", "vacancy", target_energy=target, out=folder(), **GRID)


def labelled(frames, calculator, path: Path, shuffle: int = 0) -> Path:
    """What a user does with the structures of a plan: read them with ASE, compute what is asked, write them with ASE."""
    rng = np.random.default_rng(shuffle)
    done = []
    for atoms in frames:
        compute = atoms.info["compute"].split()
        atoms = atoms[rng.permutation(len(atoms))] if shuffle else atoms
        atoms.calc = calculator
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        stress = atoms.get_stress() if "stress" in compute else None
        atoms.calc = None
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
        if stress is not None:
            atoms.info["REF_stress"] = stress
        done.append(atoms)
    ase.io.write(path, [done[k] for k in rng.permutation(len(done))] if shuffle else done, format="extxyz")
    return path


# ---------------------------------------------------------------------------------------------- cost and front


@pytest.mark.parametrize("exponent", [1.0, 2.5, 3.0])
def test_cost_is_a_power_of_the_number_of_atoms(exponent):
    cost = dg.Cost(exponent=exponent, prefactor=2e-5, stress=0.25, column=0.5)
    assert cost.hours(200) / cost.hours(100) == pytest.approx(2**exponent)
    assert cost.hours(1) == 2e-5
    assert cost.hours(50, stress=True) == pytest.approx(1.25 * cost.hours(50))
    assert cost.hours(50, column=True) == pytest.approx(0.5 * cost.hours(50))
    assert dg.Cost(smallest=16).hours(2) == dg.Cost().hours(16)


@pytest.mark.parametrize("wrong", [{"prefactor": 0.0}, {"exponent": -1.0}, {"stress": np.nan}, {"column": np.inf}], ids=str)
def test_a_cost_that_is_none_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"the {name} of a cost"):
        dg.Cost(**wrong)


several = st.lists(st.tuples(st.floats(0.1, 10), st.one_of(st.floats(1e-3, 1), st.just(np.nan))), min_size=1, max_size=30)


@given(several)
def test_the_front_falls_and_nothing_lies_beyond_it(points):
    cost, error = np.array(points).T
    front = pareto_front(cost, error)
    assert np.all(np.diff(cost[front]) > 0) and np.all(np.diff(error[front]) < 0)
    for c, e in points:
        assert np.isnan(e) or np.any((cost[front] <= c) & (error[front] <= e))


@given(several, st.floats(1e-3, 1))
def test_the_cheapest_is_the_cheapest(points, target):
    cost, error = np.array(points).T
    k = cheapest(cost, error, target)
    good = [c for c, e in points if e <= target]
    assert (k is None) == (not good)
    assert k is None or (error[k] <= target and cost[k] == min(good))


@given(several)
def test_errors_that_last_fall_with_the_amount_of_data(points):
    amount, error = np.array(points).T
    kept = lasting(amount, error)
    assert all(kept[k] >= kept[n] for k in range(len(kept)) for n in range(len(kept)) if amount[k] <= amount[n])
    assert np.all(kept[np.isfinite(kept)] >= error[np.isfinite(kept)])
    assert np.isinf(kept[amount <= amount[np.isnan(error)].max(initial=-1)]).all()


def test_an_error_that_passes_through_zero_is_not_planned_on():
    assert lasting(np.array([1, 2, 3]), np.array([1e-6, 0.2, 0.1])).tolist() == [0.2, 0.2, 0.1]


@pytest.mark.parametrize("count", [0, 1, 2, 6, 9])
def test_every_beginning_of_the_copies_is_spread_out(count):
    order = spread_order(count)
    assert sorted(order) == list(range(1, count + 1)) and order[:1] == [count][:count]
    for n in range(1, count):
        gap = np.diff(sorted([0, *order[:n]])).max()
        assert gap <= 2 * np.ceil(count / n)  # halving the largest gap each time is within twice the even spacing


# ---------------------------------------------------------------------------------------------- labels looked up


CRYSTALS = {
    "fcc": (dg.fcc("Cu", 3.6), 1),
    "bcc": (dg.bcc("W", 3.165), 1),
    "diamond": (dg.diamond("Si", 5.43), 1),
    "rocksalt": (dg.rocksalt("Na", "Cl", 5.6), 2),
    "hcp": (dg.hcp("Cu", 2.55, 4.16), 4),
}


def moved(lattice, step=0.015, reach=6.0):
    return [Snapshot(d.cell, d.positions, d.cell.vectors, "displaced") for d in displacements(lattice, step, reach)]


@pytest.mark.parametrize("name", CRYSTALS)
def test_displacements_that_symmetry_makes_of_each_other_are_computed_once(name):
    """Cubic sites with m-3m or -43m have one (its sign and its axes are equivalent); of hcp +x, -x, y and z differ."""
    lattice, count = CRYSTALS[name]
    assert len(moved(lattice)) == 6 * lattice.sublattices
    assert len(inequivalent(moved(lattice), lattice)) == count


@pytest.mark.parametrize("lattice", [dg.fcc("Cu", 3.6), dg.hcp("Cu", 2.55, 4.16)], ids=["fcc", "hcp"])
def test_a_frame_is_found_through_every_operation_of_the_crystal_and_no_other(lattice):
    """All atoms are displaced, by up to 0.1 A; one atom that is 0.01 A away from its image is enough to refuse it."""
    cell, rng = dg.supercell(lattice, 2), np.random.default_rng(0)
    x = cell.positions + 0.05 * rng.uniform(-1, 1, size=cell.positions.shape)
    known = LabelledReference((Snapshot(cell, x, cell.vectors),), lattice)
    turns, shifts = space_group(lattice)
    maps_box = [np.abs(m - np.rint(m)).max() < 1e-6 for m in cell.vectors @ turns @ np.linalg.inv(cell.vectors)]
    assert sum(maps_box) >= 12
    for k in np.flatnonzero(maps_box):
        y = rng.permutation(x @ turns[k] + shifts[k] + rng.integers(0, 2, 3) @ lattice.vectors)
        assert known.knows(Snapshot(cell, y, cell.vectors), shifted=False)
        y[k % len(y), 1] += 0.01
        assert not known.knows(Snapshot(cell, y, cell.vectors), shifted=False)


@pytest.mark.parametrize("lattice", [dg.fcc("Cu", 3.6), dg.hcp("Cu", 2.55, 4.16)], ids=["fcc", "hcp"])
def test_labelled_displacements_give_the_force_constants_of_their_code(lattice):
    truth = dg.ASEReference(EMT(), step=0.015)
    frames = []
    for snapshot in inequivalent(moved(lattice), lattice):
        found = truth.evaluate(snapshot.cell.symbols, snapshot.positions, snapshot.vectors, snapshot.cell.periodic, False)
        frames.append(replace(snapshot, labels={"energy": found.energy, "forces": found.forces}))
    wanted = blackbox_force_constants(lattice, truth, reach=6.0)
    looked_up = blackbox_force_constants(lattice, LabelledReference(tuple(frames), lattice, step=0.015, reach=6.0))
    np.testing.assert_allclose(looked_up.phi, wanted.phi, atol=1e-9)  # rounding of forces, 1e-12, over the step
    assert np.abs(wanted.phi).max() > 1


def test_a_frame_is_found_whatever_the_order_of_its_atoms_and_nothing_else_is():
    cell = dg.vacancy().apply(dg.supercell(dg.rocksalt("Na", "Cl", 5.6), 1))
    rng = np.random.default_rng(0)
    x = cell.positions + 0.05 * rng.normal(size=cell.positions.shape)
    order = np.concatenate([np.flatnonzero(np.array(cell.symbols) == s) for s in ("Cl", "Na")])
    forces = rng.normal(size=x.shape)
    other = replace(cell, symbols=tuple(cell.symbols[k] for k in order), positions=cell.positions[order])
    frame = Snapshot(
        other, x[order] - cell.vectors[0], cell.vectors, labels={"energy": 1.0, "forces": forces[order]}, source="f:0"
    )
    truth = LabelledReference((frame,))
    found = truth.evaluate(cell.symbols, x, cell.vectors, cell.periodic, False)
    np.testing.assert_array_equal(found.forces, forces)
    with pytest.raises(InputError, match="f:0 has no stress or virial"):
        truth.evaluate(cell.symbols, x, cell.vectors, cell.periodic, True)
    with pytest.raises(InputError, match=r"no labelled frame is this configuration of 7 atoms \(3 Na 4 Cl\)"):
        truth.evaluate(cell.symbols, x + 0.01 * rng.normal(size=x.shape), cell.vectors, cell.periodic, False)
    for shift in (np.array([1.3, 0.4, -2.2]), cell.vectors[0] / 2):  # another origin: labels do not depend on it
        found = truth.evaluate(cell.symbols, x + shift, cell.vectors, cell.periodic, False)
        np.testing.assert_array_equal(found.forces, forces)
    assert not truth.knows(Snapshot(cell, x + cell.vectors[0] / 2, cell.vectors), shifted=False)
    swapped = tuple(reversed(cell.symbols))
    assert not truth.knows(Snapshot(replace(cell, symbols=swapped), x, cell.vectors))


@pytest.mark.parametrize("crystal", [None, dg.fcc("Cu", 3.6)], ids=["frames", "images"])
@pytest.mark.parametrize("shift", [0.0, 0.7], ids=["same origin", "another origin"])
def test_of_frames_that_are_nearly_one_the_nearest_is_used(crystal, shift):
    """The last steps of a relaxation differ by less than the rounding that files are granted."""
    cell = dg.supercell(dg.fcc("Cu", 3.6), 2)
    step = 2e-4 * np.eye(3)[0]  # nearly along a diagonal: turns that exchange axes match too, less well
    frames = []
    for k in range(4):
        x = cell.positions.copy()
        x[3] += 0.1 + k * step
        frames.append(Snapshot(cell, x, cell.vectors, labels={"energy": float(k), "forces": 0 * x}))
    truth = LabelledReference(tuple(frames), crystal)
    for k in (2, 0, 3, 1):
        found = truth.evaluate(cell.symbols, frames[k].positions + shift, cell.vectors, cell.periodic, False)
        assert found.energy == k


def test_structures_say_what_to_compute_and_come_back_to_the_last_bit(tmp_path):
    cell = dg.vacancy().apply(dg.supercell(dg.bcc("W", 3.165), 2))
    wanted = [Calculation(Snapshot(cell, cell.positions + 1e-3 / 3, cell.vectors, "defect", source="rattled")), None]
    bulk = dg.training_cells(dg.bcc("W", 3.165), dg.vacancy(), 2)[-1]
    wanted[1] = Calculation(bulk, stress=True)
    write_structures(tmp_path / "s.extxyz", wanted, dg.bcc("W", 3.165), "vacancy")
    first, second = ase.io.read(tmp_path / "s.extxyz", ":")
    assert first.info["compute"] == "energy forces" and second.info["compute"] == "energy forces stress"
    assert first.info["crystal"].endswith("a=3.165000") and first.info["defect"] == "vacancy"
    snapshots = dg.read_extxyz(tmp_path / "s.extxyz")
    assert [s.group for s in snapshots] == ["defect", "strain"]
    np.testing.assert_array_equal(snapshots[0].positions, wanted[0].snapshot.positions)
    assert all(LabelledReference(tuple(snapshots)).knows(one.snapshot) for one in wanted)


# ---------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "a plan needs a target"),
        ({"target_energy": -1.0}, "target_energy: Input should be greater than 0"),
        ({"target_energy": 0.1, "configurations": ()}, "configurations of a grid"),
        ({"target_energy": 0.1, "sizes": (0,)}, "sizes of a grid of plans are numbers of at least 1"),
        ({"target_energy": 0.1, "observations": ("E+X",)}, "'X' is none of them"),
        ({"target_energy": 0.1, "sizes": (2,), "simulation_size": 2}, "larger than those trained on"),
        ({"target_energy": 0.1, "cutoff": 1.0}, "reaches no neighbour"),
        ({"target_energy": 0.1, "degrees": (2.0,)}, "degree"),
        ({"target_energy": 0.1, "by": "guess"}, "by: "),
        ({"target_energy": 0.1, "reference": "Nobody(W)"}, "a reference is one of"),
    ],
    ids=str,
)
def test_what_cannot_be_searched_is_one_sentence(given, sentence, unchecked):
    with pytest.raises(InputError, match=re.escape(sentence)):
        prepared("W", "vacancy", **given)


def test_what_is_not_given_is_filled_in():
    search = prepared("Si", "vacancy", target_geometry=0.1)
    assert search.sizes == (2, 3) and search.cutoff == pytest.approx(2 * 5.431 * np.sqrt(3) / 4, abs=0.01)
    assert search.simulation_size == 5 and search.targets == {"geometry": 0.1}


def test_plans_cost_what_their_structures_cost_and_more_labels_cost_more():
    found = proposal()
    assert len(found.plans) == 8
    for plan in found.plans:
        wanted = found.structures(plan)
        assert plan.structures == len(wanted) and plan.atoms == 15
        assert plan.hours == pytest.approx(sum(dg.Cost().hours(len(c.snapshot.cell)) * (1 + 0.1 * c.stress) for c in wanted))
        for other in found.plans:
            if plan.configurations <= other.configurations and set(plan.observations.split("+")) <= set(
                other.observations.split("+")
            ):
                assert plan.hours <= other.hours
                assert {id(c) for c in wanted} <= {id(c) for c in found.structures(other)}  # what is labelled stays of use
    columns = [c for c in found.structures(found.plans[-1]) if c.column]
    assert len(columns) == 1 and len(columns[0].snapshot.cell) == 54 and columns[0].compute == "forces"


@pytest.mark.parametrize("number", [1, 5, 7])
def test_errors_of_a_plan_are_those_of_a_fit_to_its_structures(number):
    """A second route: label all cells of the plan at once, fit, relax, compare."""
    found = proposal()
    plan, search = found.plans[number], found.search
    truth = dg.reference.FinnisSinclair("W")
    basis = dg.ACEBasis(["W"], cutoff=4.6, order=2, degree=plan.degree, pair_degree=int(plan.degree))
    cells = [c.snapshot for c in found.structures(plan) if not c.column]
    blocks = dg.label(cells, truth, basis, plan.observations)
    assert blocks.rows() == plan.rows and basis.size == plan.functions
    model = dg.fit(blocks, weights=WEIGHTS).model
    cell = dg.vacancy().apply(dg.supercell(found.lattice, search.simulation_size))
    exact = dg.relax(cell, truth)
    error = dg.compare(exact, dg.relax(cell, model, start=exact.positions))
    if plan.refused:
        assert not error.same_basin or np.isnan(plan.energy_found) or np.isinf(plan.energy_error)
    else:
        assert error.energy == pytest.approx(plan.energy_found, rel=1e-5, abs=1e-7)  # two relaxations to 1e-6 and 1e-9 eV/A
        assert error.geometry == pytest.approx(plan.geometry_found, rel=1e-4)


def test_the_front_of_a_search_falls_and_holds_the_choice():
    found = proposal(10.0)
    assert found.best is not None and found.best in found.front("energy")
    front = found.front("energy")
    assert np.all(np.diff([p.hours for p in front]) > 0) and np.all(np.diff([p.energy_error for p in front]) < 0)
    assert proposal().best is None and proposal().sentence.startswith("none of 8 plans reaches an energy error of 0.0001 eV")


def test_fewer_rows_than_parameters_are_refused_before_anything_is_fitted():
    found = proposal()
    _, step = plans(found.search)[0]
    store = Store(folder())
    given = Given({needed.key: store.load(needed) for needed in step.after})
    wider = step.trial.basis.model_copy(update={"order": 3, "degree": 12, "pair_degree": 12})
    rows = replace(step.trial.rows, basis=wider)
    refused = replace(step, trial=replace(step.trial, basis=wider, rows=rows)).run(given).refused
    assert re.match(r"99 rows cannot determine \d+ functions; take more configurations", refused)


def test_certified_plans_want_no_reference_in_the_simulation_cell():
    search = prepared(
        "W", "vacancy", target_energy=1.0, by="certified", **{**GRID, "observations": ("E+F+FC+V",), "degrees": (6,)}
    )
    chosen = plans(search)
    assert not any("size 4" in needed.label for _, task in chosen for needed in task.after)
    with tempfile.TemporaryDirectory() as out:
        certified = searched(search, Store(out), None, 1, None)
    for plan in certified.plans:
        (measured,) = [
            p
            for p in proposal().plans
            if (p.configurations, p.observations, p.degree) == (plan.configurations, plan.observations, 6)
        ]
        # in a misfit this large, first order and the spread over directions: within a factor of ten, the right size
        assert plan.refused or 0.1 < plan.energy_found / measured.energy_found < 10


# ---------------------------------------------------------------------------------------------- labels handed back


@cache
def files() -> dict[str, Path]:
    """All structures of the largest plan, and those of the smallest, labelled through ASE by a calculator of the package."""
    found, out = proposal(), {}
    calculator = dg.Calculator(dg.reference.FinnisSinclair("W"))
    for name, plan in (("small", found.plans[0]), ("large", found.plans[-1])):
        write_structures(folder() / f"{name}.extxyz", found.structures(plan), found.lattice, "vacancy")
        frames = ase.io.read(folder() / f"{name}.extxyz", ":")
        out[name] = labelled(frames, calculator, folder() / f"{name}-labelled.extxyz", shuffle=1)
    return out


def test_labels_handed_back_are_fitted_and_certified():
    verdict = dg.judge_labels(proposal(10.0), [files()["large"]])
    assert verdict.reached and verdict.next is None and verdict.sentence.startswith("reached by")
    for attempt in verdict.attempts:
        assert attempt.plan.configurations == 2 and attempt.plan.observations == "E+F+FC+V"
        (planned,) = [p for p in proposal().plans if p == replace(attempt.plan, energy_error=p.energy_error)]
        if not planned.refused:  # the same labels: the error is known, and a certificate is of its size
            assert 0.1 < attempt.certificate.energy.estimate / planned.energy_found < 10


def test_labels_that_do_not_do_ask_for_the_cheapest_next_step():
    """Of the geometry: force constants and virials halve its error, another rattled copy gains less and costs less."""

    def judged(target: float):
        found = dg.plan_training("W", "vacancy", target_geometry=target, out=folder(), **GRID)
        return dg.judge_labels(found, [files()["small"]])

    poor = judged(1e-4)
    assert not poor.reached and poor.next is None and "no plan of the grid is expected" in poor.sentence
    plan, estimate = poor.best.plan, poor.best.certificate.geometry.estimate
    assert plan.configurations == 1 and plan.observations == "E+F" and np.isfinite(plan.geometry_error)
    for other in poor.proposal.plans[3], poor.proposal.plans[5]:
        assert other.geometry_error < 0.7 * plan.geometry_error
        target = 1.01 * other.geometry_error * estimate / plan.geometry_error  # what it is expected to come to, and 1 %
        verdict = judged(target)
        assert not verdict.reached and verdict.next is not None and verdict.sentence.startswith("not reached: geometry error")
        assert verdict.next.geometry_error <= 1.01 * other.geometry_error and verdict.next.hours <= other.hours
        wanted, have = verdict.proposal.structures(verdict.next), verdict.proposal.structures(plan)
        assert {id(c) for c in verdict.add} == {id(c) for c in wanted} - {id(c) for c in have}


def test_missing_structures_are_counted():
    frames = ase.io.read(files()["small"], ":")
    ase.io.write(folder() / "one.extxyz", frames[:1], format="extxyz")
    with pytest.raises(InputError, match=r"of the \d+ structures of the plan have no labelled frame"):
        dg.judge_labels(proposal(), [folder() / "one.extxyz"])


def test_a_crystal_under_stress_is_refused_and_the_right_lattice_constant_is_not():
    found = dg.plan_training("W", "vacancy", target_energy=10.0, out=folder(), lattice_constant=3.2, **GRID)
    assert np.linalg.norm(found.lattice.conventional[0] @ found.lattice.vectors) == pytest.approx(3.2)
    write_structures(folder() / "wide.extxyz", found.structures(found.plans[0]), found.lattice, "vacancy")
    frames = ase.io.read(folder() / "wide.extxyz", ":")
    path = labelled(frames, dg.Calculator(dg.reference.FinnisSinclair("W")), folder() / "wide-labelled.extxyz")
    with pytest.raises(InputError, match=r"under stress: .* --lattice-constant"):
        dg.judge_labels(found, [path])
    with pytest.raises(InputError, match=r"far from the 3\.16"):
        dg.plan_training("W", "vacancy", target_energy=1.0, out=folder(), lattice_constant=31.65, **GRID)


# ---------------------------------------------------------------------------------------------- the command


@pytest.fixture
def call(capsys):
    """``call(...) -> (status, stdout, stderr)`` of ``defectgen plan`` on the toy grid."""
    from defectgen.cli import main

    def _call(*arguments: object) -> tuple[int, str, str]:
        proposal()  # its records are there
        with pytest.raises(SystemExit) as stop:
            main(["plan", *OPTIONS, "--out", str(folder()), *(str(a) for a in arguments)])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return _call


def test_the_command_writes_the_plan(call):
    status, out, err = call("--target-energy", 10)
    assert (status, err) == (0, "") and "tasks were finished before" in out and "the cheapest of 8 plans" in out
    frames = ase.io.read(folder() / "structures.extxyz", ":")
    assert len(frames) == proposal(10.0).best.structures and {a.info["config_type"] for a in frames} >= {"defect", "bulk"}
    assert (folder() / "figures" / "plan-w-vacancy.png").stat().st_size > 10_000
    table = (folder() / "plans.csv").read_text().splitlines()
    assert len(table) == 9 and table[0].startswith(
        "size,configurations,observations,degree,functions,rows,structures,atoms,hours"
    )


def test_a_target_out_of_reach_is_one_sentence(call):
    status, _, err = call("--target-energy", 1e-6, "--target-geometry", 0.001)
    assert status == 2 and err.count("\n") == 1
    assert "none of 8 plans reaches" in err and "and a geometry error of 0.001 A; the best, size 2 (15 atoms)" in err


def test_the_command_judges_labels(call):
    status, out, err = call("--target-energy", 10, "--labelled", files()["large"])
    assert (status, err) == (0, "") and "reached by" in out.splitlines()[-1]
    assert dg.load_model(folder() / "model.json").basis.cutoff == 4.6
    status, out, _ = call("--target-energy", 1e-4, "--labelled", files()["small"])
    assert status == 1 and out.splitlines()[-1].startswith("not reached: energy error estimated at")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--target-energy", 1, "--sizes", "two"], "--sizes takes numbers with commas between them"),
        ([], "a plan needs a target"),
        (["--target-energy", 1, "--cost-prefactor", 0], "the prefactor of a cost"),
        (["--target-energy", 1, "--labelled", "nowhere.xyz"], "there is no file nowhere.xyz"),
    ],
    ids=["numbers", "no target", "cost", "no file"],
)
def test_bad_options_are_one_sentence(call, arguments, sentence):
    status, _, err = call(*arguments)
    assert status == 2 and err.startswith("error: ") and err.count("\n") == 1 and sentence in err
