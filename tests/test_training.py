"""Training: which cells are made, and that their labels and rows, compressed or not, are those of direct evaluation."""

from dataclasses import replace
from itertools import combinations_with_replacement

import jax
import numpy as np
import pytest
from ase.calculators.emt import EMT
from jaxtyping import config
from toy_energy import Elsewhere

import defectgen as dg
from defectgen.crystal import Snapshot
from defectgen.energy import evaluate
from defectgen.energy.crystal_state import AT_REST
from defectgen.observe import EquilibriumStress
from defectgen.training import (
    Blocks,
    Rattle,
    Strains,
    bulk_cell,
    defect_cells,
    label,
    residual_sum,
    strained_cells,
    training_cells,
)

LATTICES = {
    "fcc": dg.fcc("Cu", 3.6),
    "hcp": dg.hcp("Mg", 3.2),
    "diamond": dg.diamond("Si", 5.43),
    "l12": dg.l12("Ni", "Al", 3.57),
    "triangular": dg.triangular("Cu", 2.6),
}
each_lattice = pytest.mark.parametrize("lattice", LATTICES.values(), ids=list(LATTICES))


@pytest.fixture
def as_users_call_it():
    """Without the type checker of the tests, which would speak before the package does."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


# cells ------------------------------------------------------------------------------------------------------------------


@each_lattice
def test_a_seed_gives_the_same_cells_and_another_one_others(lattice):
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator must be left alone
    one, two, other = (training_cells(lattice, dg.vacancy(), 2, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.positions, b.positions) and np.array_equal(a.vectors, b.vectors)
    moved = [not np.array_equal(a.positions, b.positions) for a, b in zip(one, other, strict=True)]
    groups = [s.group for s in one]
    assert moved[1:7] == [True] * 6 and not moved[0]  # rattled ones, and the one at rest
    assert any(moved[i] for i, g in enumerate(groups) if g == "strain") == (lattice.sublattices > 1)
    assert set(groups) == {"defect", "bulk", "strain"} and groups.count("bulk") == 1
    assert [s.source for s in one[:3]] == ["at rest", "rattled 0.0050 A", "rattled 0.0100 A"]
    assert all(s.labels is None for s in one)


@pytest.mark.parametrize(("size", "atoms"), [(2, 30), ((2, 2, 3), 46), (3, 106)], ids=["2", "2x2x3", "3"])
def test_defect_cells_have_the_asked_size(size, atoms):
    cells = defect_cells(LATTICES["fcc"], dg.divacancy(), size, rattle=Rattle(2))
    assert [len(s.cell) for s in cells] == [atoms] * 3
    for s in cells:
        assert np.allclose(np.linalg.norm(s.vectors, axis=1), 3.6 * np.broadcast_to(size, 3))


@each_lattice
def test_rattles_are_normal_with_the_asked_amplitude_around_the_given_rest(lattice):
    rest = np.random.default_rng(1).normal(size=(len(dg.supercell(lattice, 2)), 3))
    rest[:, 2] *= lattice.dimension == 3
    cells = defect_cells(lattice, None, 2, seed=5, displacement=rest, rattle=Rattle(60, 0.06))
    perfect = dg.supercell(lattice, 2).positions + rest
    assert np.array_equal(cells[0].positions, perfect)
    d = lattice.dimension
    z = np.concatenate([(s.positions - perfect)[:, :d] / (0.06 * k / 60) for k, s in enumerate(cells[1:], 1)]).ravel()
    assert all(np.array_equal(s.positions[:, d:], perfect[:, d:]) for s in cells)
    # four standard errors of the first moments of n normal numbers: the third says that no direction is favoured
    n = len(z)
    assert abs(z.mean()) < 4 / np.sqrt(n) and abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / n) < 0.5


def test_a_rattle_with_a_radius_leaves_the_far_atoms_at_rest():
    cells = defect_cells(LATTICES["fcc"], dg.vacancy(), 3, rattle=Rattle(2, 0.05, radius=1.5))
    near = cells[0].cell.distance_to_defect() <= 1.5 * cells[0].cell.lattice.nearest_neighbour
    assert near.sum() == 12 + 6  # two shells of the vacancy
    for copy in cells[1:]:
        moved = np.linalg.norm(copy.positions - cells[0].positions, axis=1)
        assert np.all(moved[near] > 0) and not moved[~near].any()


def strains_of(cells):
    """Strain components (xx yy zz yz xz xy) of snapshots, from their boxes alone, and sublattice shifts."""
    found, shifts = [], []
    for s in cells:
        deformation = np.linalg.solve(s.cell.vectors, s.vectors).T
        np.testing.assert_allclose(deformation, deformation.T, atol=1e-15)  # no rotation: rounding of numbers near one
        e = deformation - np.eye(3)
        found.append([e[0, 0], e[1, 1], e[2, 2], e[1, 2], e[0, 2], e[0, 1]])
        shifts.append(s.positions - s.cell.positions @ deformation.T)
    return np.array(found), np.array(shifts)


def products(strain):
    """All products of two strain components: what third-order constants multiply."""
    return np.stack([strain[:, i] * strain[:, j] for i, j in combinations_with_replacement(range(6), 2)], axis=1)


@each_lattice
def test_strains_span_all_directions_with_both_signs_and_all_second_order_products(lattice):
    directions = 6 if lattice.dimension == 3 else 3
    strain, _ = strains_of(strained_cells(lattice, Strains((0.01, 0.03))))
    rank = np.linalg.matrix_rank
    assert rank(strain, tol=1e-6) == directions
    assert rank(products(strain), tol=1e-8) == directions * (directions + 1) // 2
    single = np.count_nonzero(np.abs(strain) > 1e-12, axis=1) == 1
    alone = np.round(strain[single], 12)
    assert len(alone) == 4 * directions and {tuple(e) for e in alone} == {tuple(-e + 0.0) for e in alone}
    assert np.abs(strain).max() == pytest.approx(0.03, rel=1e-12)
    without = strains_of(strained_cells(lattice, Strains((0.01, 0.03), pairs=False)))[0]
    assert rank(products(without), tol=1e-8) == directions  # the guard: single modes do not reach mixed constants


@each_lattice
def test_sublattices_of_strained_cells_are_displaced_in_every_direction(lattice):
    _, shift = strains_of(strained_cells(lattice, Strains(shift=0.02), seed=2))
    if lattice.sublattices == 1:
        assert np.abs(shift).max() < 1e-14
        return
    internal = shift[:, 1:] - shift[:, :1]
    assert np.linalg.matrix_rank(internal.reshape(len(shift), -1), tol=1e-4) == 3 * (lattice.sublattices - 1)
    assert np.abs(shift.mean(axis=1)).max() < 1e-14  # no rigid translation: rounding
    scatter = np.sqrt((shift**2).mean() * lattice.sublattices / (lattice.sublattices - 1))  # the mean took one degree away
    assert scatter == pytest.approx(0.02, rel=0.15)  # hundreds of normal numbers know their scatter to a few per cent


def test_the_bulk_cell_is_one_primitive_cell_at_rest():
    s = bulk_cell(LATTICES["diamond"])
    assert len(s.cell) == 2 and np.array_equal(s.positions, LATTICES["diamond"].motif)
    assert np.array_equal(s.vectors, LATTICES["diamond"].vectors) and s.source == "perfect crystal"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": -1}, "not negative"),
        ({"seed": 1.5}, "whole number"),
        ({"defect": "vacancy"}, r"dg\.vacancy\(\)"),
        ({"rattle": {"amplitude": 2.0}}, "melt the crystal"),
        ({"rattle": {"amplitude": -0.1}}, "not negative"),
        ({"rattle": {"radius": 0.0}}, "positive, in nearest-neighbour spacings"),
        ({"rattle": {"size": 1}}, "rattle takes configurations, amplitude, strain, radius; got size"),
        ({"strains": {"amplitudes": []}}, "at least one"),
        ({"strains": {"amplitudes": [0.5]}}, "between 0 and 0.3"),
        ({"displacement": np.zeros((3, 3))}, r"must be \(31, 3\).*got \(3, 3\)"),
        ({"size": 0}, "at least 1"),
        ({"size": 2.5}, "integer"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_settings_that_make_no_sense_are_refused(as_users_call_it, change, said):
    arguments = {"lattice": LATTICES["fcc"], "defect": dg.vacancy(), "size": 2, **change}
    with pytest.raises(dg.InputError, match=said):
        training_cells(**arguments)


# labels and rows --------------------------------------------------------------------------------------------------------


ZERO = 1e-26
"""The square of 1e-13 eV/A: forces that symmetry forbids, such as those of a perfect crystal."""


def gram(block, plain=False):
    """[A | y]^T [A | y]: what a factor, whatever its signs and the order of its rows, must keep."""
    factor = block.plain if plain else block.factor
    return factor.T @ factor


def close(one, two):
    """Equal but for the rounding of long sums; or all zero by symmetry."""
    np.testing.assert_allclose(one, two, atol=1e-11 * np.abs(two).max() + ZERO)


@pytest.fixture(scope="module", params=["hcp", "triangular"])
def case(request):
    """A small basis and a reference inside it whose perfect crystal is free of stress, so that the truth is known exactly."""
    lattice = LATTICES[request.param]
    basis = dg.ACEBasis(lattice.species[:1], cutoff=1.3 * lattice.nearest_neighbour, order=2, degree=4)
    stress = EquilibriumStress(bulk_cell(lattice))(basis)
    theta = np.random.default_rng(0).normal(size=basis.size)
    theta -= np.linalg.pinv(stress) @ stress @ theta
    rattle, strains = Rattle(2, 0.05), Strains((0.02,), pairs=False)
    cells = training_cells(lattice, dg.vacancy(), 3 if lattice.dimension == 2 else 2, 1, rattle=rattle, strains=strains)
    return lattice, basis, theta, cells


def test_blocks_are_the_direct_stack_of_evaluations(case):
    """Rows by evaluating one scalar model per basis function, labels by ASE's forces; kinds written out by hand."""
    lattice, basis, theta, cells = case
    d = lattice.dimension
    voigt = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)] if d == 3 else [(0, 0), (1, 1), (0, 1)]
    models = [dg.LinearACE(basis, unit) for unit in np.eye(basis.size)]
    stacked: dict = {}
    for s in cells:
        answers = [dg.evaluate(model, s.cell, s.positions, s.vectors) for model in models]
        atoms = dg.to_ase(s.cell, s.positions, s.vectors, calculator=dg.Calculator(dg.LinearACE(basis, theta)))
        virial = (
            -atoms.get_stress(voigt=False) * atoms.get_volume()
            if d == 3
            else sum(t * a.virial for t, a in zip(theta, answers, strict=True))
        )
        columns = [(a.energy, a.forces, a.virial) for a in answers] + [(atoms.get_potential_energy(), atoms.get_forces(), virial)]
        n, single = len(s.cell), len(s.cell) == 1
        kinds = {"defect": "E F", "bulk": "E V0" if single else "E F V0", "strain": "V" if single else "V VF"}[s.group].split()
        for kind in kinds:
            rows = [
                [e / n] if kind == "E" else f[:, :d].ravel() if kind in ("F", "VF") else [w[a, b] / n for a, b in voigt]
                for e, f, w in columns
            ]
            stacked.setdefault((kind, s.group, n), []).append(np.array(rows).T)
    blocks = label(cells, dg.LinearACE(basis, theta), basis, ["E", "F", "V"])
    assert {b.key for b in blocks.items} == set(stacked)
    for block in blocks.items:
        direct = np.concatenate(stacked[block.key])
        assert block.rows == len(direct) and block.plain is None
        if block.kind == "V0":  # its labels are zero by construction
            assert np.abs(direct[:, -1]).max() < 1e-12
        close(gram(block), direct.T @ direct)
        assert block.scale == (np.sqrt(block.atoms) if block.kind in ("E", "V", "V0") else 1.0)


def test_a_reference_in_the_span_leaves_no_residual_in_any_block(case):
    _, basis, theta, cells = case
    blocks = label(cells, dg.LinearACE(basis, theta), basis, core_atoms=2)
    assert {b.kind for b in blocks.items} >= {"E", "F", "FC", "V", "V0"}
    assert {b.group for b in blocks.items} == {"defect", "bulk", "strain", "defect-core"}
    for b in blocks.items:
        size = float(np.sum((np.abs(b.factor[:, :-1]) @ np.abs(theta)) ** 2))
        assert residual_sum(b.factor, theta) < 1e-24 * size + ZERO, b.key  # squared rounding
        assert size < ZERO or b.kind == "V0" or residual_sum(b.factor, 1.01 * theta) > 1e-12 * size, b.key  # the guard


def test_cells_may_come_in_any_batches(case):
    """Streaming: the blocks of all cells are the sum of the blocks of single cells, so none need be held together."""
    _, basis, theta, cells = case
    truth, seen = dg.LinearACE(basis, theta), []
    whole = label(cells, truth, basis, "E+F", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, len(cells)) for k in range(len(cells))]
    parts = [label([s], truth, basis, "E+F") for s in cells if s.group == "defect"] + [label([cells[3]], truth, basis, "E")]
    joined = sum(parts[1:], start=parts[0])
    for a, b in zip(sorted(whole.items, key=lambda b: b.key), sorted(joined.items, key=lambda b: b.key), strict=False):
        if a.key == b.key:
            assert a.rows == b.rows
            close(gram(a), gram(b))
    assert {b.key for b in joined.items} <= {b.key for b in whole.items} and len(joined.items) >= 3


def test_distance_weights_are_beside_the_plain_rows(case):
    lattice, basis, theta, cells = case
    truth = dg.LinearACE(basis, theta)
    plain, weighted = (
        label(cells, truth, basis, ["F", "FC"], force_distance_power=p, force_constant_range_power=p) for p in (0, 2)
    )
    for a, b in zip(plain.items, weighted.items, strict=True):
        if b.plain is None:
            assert b.group != "defect" and b.kind != "FC"
            continue
        close(gram(b, plain=True), gram(a))
        assert np.linalg.norm(b.factor) > 1.01 * np.linalg.norm(b.plain)
    stacked = []
    for s in (s for s in cells if s.group == "defect"):
        atoms = dg.to_ase(s.cell)  # distances on unrelaxed positions by ASE's minimum image
        atoms.append("X")
        atoms.positions[-1] = s.cell.centre
        far = 1 + atoms.get_distances(-1, range(len(s.cell)), mic=True) / lattice.nearest_neighbour
        columns = [
            dg.evaluate(dg.LinearACE(basis, u), s.cell, s.positions, s.vectors).forces for u in (*np.eye(basis.size), theta)
        ]
        stacked.append(np.stack([(f[:, : lattice.dimension] * far[:, None] ** 2).ravel() for f in columns], axis=1))
    direct = np.concatenate(stacked)
    (block,) = (b for b in weighted.items if b.kind == "F" and b.group == "defect")
    close(gram(block), direct.T @ direct)


def test_another_codes_labels_are_those_of_the_same_potential_up_to_differences(case):
    """E, F, V to rounding; force constants to h^2 and rounding / h, which a sweep of the step shows as a V."""
    _, basis, theta, cells = case
    cells = [s for s in cells if s.group != "defect"] + [s for s in cells if s.group == "defect"][1:2]
    errors = []
    for step in (0.3, 0.03, 3e-4, 1e-6, 1e-8):
        blocks = label(cells, Elsewhere(dg.LinearACE(basis, theta), step), basis, ["E", "F", "FC", "V"])
        for b in blocks.items:
            size = float(np.sum((np.abs(b.factor[:, :-1]) @ np.abs(theta)) ** 2))
            if b.kind == "FC":
                errors.append(np.sqrt(residual_sum(b.factor, theta) / size))
            else:
                assert residual_sum(b.factor, theta) < 1e-24 * size + ZERO, b.key  # squared rounding
    assert blocks.truth == "elsewhere"
    best = int(np.argmin(errors))
    assert 0 < best < len(errors) - 1 and errors[best] < 1e-3 * max(errors)


def test_an_ase_calculator_labels_by_its_own_numbers():
    lattice = dg.equilibrate(dg.fcc("Cu", 3.6), dg.ASEReference(EMT()))
    basis = dg.ACEBasis(["Cu"], cutoff=3.4, order=2, degree=4)
    cells = training_cells(lattice, dg.vacancy(), 2, rattle=Rattle(1, 0.05), strains=Strains((0.02,), pairs=False))
    blocks = label(cells, dg.ASEReference(EMT()), basis, ["V", "F", "E"])
    squares: dict = {}
    for s in cells:
        atoms = dg.to_ase(s.cell, s.positions, s.vectors, calculator=EMT())
        if s.group == "defect":
            squares["F"] = squares.get("F", 0.0) + np.sum(atoms.get_forces() ** 2)
        kind = {"defect": "E", "bulk": "V0", "strain": "V"}[s.group]
        energy = atoms.get_potential_energy() / len(atoms)
        virial = atoms.get_stress() * atoms.get_volume() / len(atoms)
        squares[kind] = squares.get(kind, 0.0) + (energy**2 if kind == "E" else np.sum(virial**2))
    for b in blocks.items:
        if (b.kind, b.group) != ("E", "bulk"):  # EMT's zero of energy is this crystal
            # V0 is the residual of the equilibration, whose square is that of rounding
            assert np.sum(b.factor[:, -1] ** 2) == pytest.approx(squares[b.kind], rel=1e-9, abs=1e-16), b.key
    assert squares["F"] > 1e-2 and blocks.truth == "EMT"


# labels that came from elsewhere -----------------------------------------------------------------------------------------


def labelled(cells, truth):
    """The same configurations, carrying what `truth` says of them."""
    found = []
    for s in cells:
        e = dg.evaluate(truth, s.cell, s.positions, s.vectors)
        found.append(replace(s, labels={"energy": e.energy, "forces": e.forces, "virial": e.virial}))
    return found


def test_labels_read_from_a_file_give_the_blocks_of_the_reference(case, tmp_path):
    _, basis, theta, cells = case
    truth = dg.LinearACE(basis, theta)
    frames = [without(s, "virial") if s.group == "defect" else s for s in labelled(cells, truth)]  # V of all that have one
    dg.write_extxyz(tmp_path / "cells.xyz", frames)
    read = dg.read_extxyz(tmp_path / "cells.xyz")
    direct, came = label(cells, truth, basis, "E+F+V"), label(read, None, basis, "V+F+E")
    assert [b.key for b in direct.items] == [b.key for b in came.items]
    for a, b in zip(direct.items, came.items, strict=True):
        assert a.rows == b.rows
        close(gram(b), gram(a))
    ours = label(read, truth, basis, "E+F+V")  # and may be labelled again
    assert [b.key for b in ours.items] == [b.key for b in came.items]


def without(snapshot: Snapshot, *keys: str) -> Snapshot:
    return replace(snapshot, labels={k: v for k, v in (snapshot.labels or {}).items() if k not in keys} or None)


@pytest.mark.parametrize(
    ("spoil", "kinds", "said"),
    [
        (lambda c: [without(s, "forces") for s in c], "E+F", "has no label forces"),
        (lambda c: [without(c[0], "forces"), *c[1:]], "F", "has no label forces"),
        (lambda c: [without(c[0], "energy"), *c[1:]], "E+F", "has no label energy"),
        (lambda c: [c[0], without(c[1], "energy", "forces", "virial"), *c[2:]], "E", "has no label energy"),
        (lambda c: [without(s, "virial") for s in c], "E+F+V", "'bulk' carry no virial"),
        (lambda c: [*c[:-1], without(c[-1], "virial")], "V", "some configurations of group 'strain'"),
        (lambda c: c, "E+F+FC", "rows for FC: FC needs a reference"),
        (lambda c: c[:2], "FC", "rows for FC"),
        (lambda c: [without(s, "energy", "forces", "virial") for s in c], "E", "must carry labels"),
        (lambda c: [], "E", "the list of training cells is empty"),
        (lambda c: c[0].cell, "E", "training cells are snapshots"),
        (lambda c: [c[0].cell], "E", "training cells are snapshots"),
        (lambda c: c, "E+X", "'X' is none of them"),
    ],
    ids=[
        "energies without forces",
        "one without forces",
        "one without an energy",
        "one without any",
        "no virials",
        "a strained one without a virial",
        "force constants as labels",
        "no bulk cell",
        "no labels",
        "no cells",
        "a cell",
        "a list of cells",
        "an unknown kind",
    ],
)
def test_what_is_asked_and_missing_is_refused(as_users_call_it, case, spoil, kinds, said):
    _, basis, theta, cells = case
    with pytest.raises(dg.InputError, match=said):
        label(spoil(labelled(cells, dg.LinearACE(basis, theta))), None, basis, kinds)


def test_groups_without_virials_are_no_obstacle_where_others_have_them(case):
    _, basis, theta, cells = case
    cells = [without(s, "virial") if s.group == "defect" else s for s in labelled(cells, dg.LinearACE(basis, theta))]
    blocks = label(cells, None, basis, "E+F+V")
    assert {b.group for b in blocks.items if b.kind == "V"} == {"strain"} and blocks.rows("F") > 0


def test_numbers_that_are_not_finite_are_refused(case):
    _, basis, theta, cells = case
    with pytest.raises(dg.InputError, match=r"label energy .* finite"):
        replace(cells[0], labels={"energy": np.nan})

    class Broken(Elsewhere):
        def evaluate(self, *arguments):
            result = super().evaluate(*arguments)
            return replace(result, forces=np.where(np.arange(3) == 1, np.nan, result.forces))

    with pytest.raises(dg.InputError, match="F of group 'defect' must be finite numbers; the label of row 1 is nan"):
        label(cells[:1], Broken(dg.LinearACE(basis, theta)), basis, "F")


def test_a_basis_is_wanted_and_a_whole_core(as_users_call_it, case):
    _, basis, theta, cells = case
    model = dg.LinearACE(basis, theta)
    for wrong in (model, "ace", None):
        with pytest.raises(dg.InputError, match=r"functions of a basis, such as dg.ACEBasis or model.basis; got"):
            label(cells, model, wrong, "E")
    with pytest.raises(dg.InputError, match=r"core_atoms .* got -1"):
        label(cells, model, basis, "FC", core_atoms=-1)


# a crystal at rest --------------------------------------------------------------------------------------------------------


def test_a_crystal_off_equilibrium_is_refused_and_a_strained_cell_is_not():
    truth = dg.reference.CleriRosato("Cu")
    basis = dg.ACEBasis(["Cu"], cutoff=3.4, order=2, degree=4)
    stretched = dg.fcc("Cu", 3.615 * 1.003)
    small = {"rattle": Rattle(0), "strains": Strains((0.05,), pairs=False)}
    with pytest.raises(dg.InputError, match=r"Cu .* not at equilibrium .* call dg\.equilibrate\(lattice, truth\) first"):
        label(training_cells(stretched, None, 1, **small), truth, basis, "E+F+V")
    settled = training_cells(dg.equilibrate(stretched, truth), None, 1, **small)  # strained by 5 % for V
    assert label(settled, truth, basis, "E+F+V").rows("V") == 12 * 6
    # without the perfect crystal nothing claims to be at rest; black boxes are trusted as far as their stress is accurate
    assert label(defect_cells(stretched, dg.vacancy(), 2, rattle=Rattle(0)), truth, basis, "E+F").rows("F") == 31 * 3

    class Noisy(Elsewhere):
        def evaluate(self, *arguments):
            result = super().evaluate(*arguments)
            return replace(result, virial=None if result.virial is None else result.virial + 0.9 * AT_REST)

    assert label(settled, Noisy(truth), basis, "E+F+V").rows("V0") == 6
    assert isinstance(label(settled, Elsewhere(truth, has_stress=False), basis, "E+F"), Blocks)


def test_internal_forces_count_too():
    truth = dg.reference.StillingerWeber("Si")
    lattice = dg.equilibrate(dg.diamond("Si", 5.431), truth)
    shifted = lattice.with_motif(lattice.motif + np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.01]]))
    basis = dg.ACEBasis(["Si"], cutoff=3.0, order=2, degree=4)
    with pytest.raises(dg.InputError, match="internal forces"):
        label([bulk_cell(shifted)], Elsewhere(truth, has_stress=False), basis, "E")  # nothing but the forces can tell
    assert label([bulk_cell(lattice)], truth, basis, "E").rows("E") == 1


@pytest.fixture
def compilations():
    """How often XLA has compiled since the test began, by JAX's own account."""
    heard, living = [], [True]  # JAX has no public way to stop listening

    def hear(event: str, _duration: float, **_: object) -> None:
        if living and event == "/jax/core/compile/backend_compile_duration":
            heard.append(event)

    jax.monitoring.register_event_duration_secs_listener(hear)
    yield lambda: len(heard)
    living.clear()


def test_more_cells_compile_nothing_new(compilations):
    truth, basis = dg.reference.CleriRosato("Cu"), dg.ACEBasis(["Cu"], cutoff=3.9, order=2, degree=5)
    lattice = dg.fcc("Cu", 3.615)

    def labelled(copies):
        label(training_cells(lattice, dg.vacancy(), 2, rattle=Rattle(copies, 0.02)), truth, basis, ["E", "F", "FC", "V"])
        return compilations()

    once = labelled(1)
    assert once > 0
    assert labelled(2) == once == labelled(5)


def test_training_cells_of_several_sizes_share_what_is_compiled(compilations):
    truth, basis = dg.reference.CleriRosato("Cu"), dg.ACEBasis(["Cu"], cutoff=3.9, order=2, degree=6)
    lattice = dg.fcc("Cu", 3.615)

    def labelled(size):
        label(training_cells(lattice, dg.vacancy(), size), truth, basis, ["E", "F", "FC", "V"])
        return compilations()

    once = labelled(2)
    assert 0 < once < 12  # labels, rows, Hessians and sites of either, and no operation on its own
    assert labelled(3) == once  # 107 atoms beside 31


def test_cells_of_nearly_one_size_share_what_is_compiled(compilations):
    truth, host = dg.reference.LennardJones("Ar", 0.0104, 3.4, cutoff=6.1), dg.supercell(dg.fcc("Ar", 5.26), 3)
    evaluate(truth, host)
    once = compilations()
    assert once > 0
    evaluate(truth, dg.vacancy().apply(host))
    evaluate(truth, dg.divacancy().apply(host))
    assert compilations() == once
