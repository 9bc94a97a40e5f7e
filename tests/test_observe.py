"""Observations: one linear map for labels and rows, on every crystal type, and independent routes to the same numbers."""

import numpy as np
import pytest

import defectgen as dg
from defectgen.energy import evaluate
from defectgen.observe import (
    CoreForceConstants,
    Energy,
    EquilibriumStress,
    ForceConstants,
    Forces,
    InternalForces,
    Virial,
    nearest_to_defect,
)
from defectgen.training import Rattle, Strains, bulk_cell, defect_cells, strained_cells

CRYSTALS = {
    "fcc": dg.fcc("Cu", 3.6),
    "bcc": dg.bcc("W", 3.16),
    "hcp": dg.hcp("Mg", 3.2),
    "sc": dg.sc("Po", 3.3),
    "diamond": dg.diamond("Si", 5.43),
    "zincblende": dg.zincblende("Ga", "As", 5.65),
    "rocksalt": dg.rocksalt("Na", "Cl", 5.64),
    "cscl": dg.cscl("Ni", "Al", 2.88),
    "l12": dg.l12("Ni", "Al", 3.57),
    "triangular": dg.triangular("Cu", 2.6),
    "square": dg.square("Cu", 2.6),
}


@pytest.fixture(scope="module", params=CRYSTALS, ids=list(CRYSTALS))
def case(request):
    lattice = CRYSTALS[request.param]
    basis = dg.ACEBasis(sorted(set(lattice.species)), cutoff=1.55 * lattice.nearest_neighbour, order=2, degree=4)
    theta = np.random.default_rng(0).normal(size=basis.size)
    return lattice, basis, theta, dg.LinearACE(basis, theta)


def observations(lattice, reach):
    rattled = defect_cells(lattice, dg.vacancy(), 3 if lattice.dimension == 2 else 2, rattle=Rattle(1, 0.05))[-1]
    strained = strained_cells(lattice, Strains((0.05,), False, 0.05))[3]
    found = [Energy(rattled), Forces(rattled), Forces(rattled, 1.0), Virial(strained), EquilibriumStress(bulk_cell(lattice))]
    if lattice.sublattices > 1:
        found.append(InternalForces(strained))
    return [*found, ForceConstants(lattice, reach), CoreForceConstants(rattled, nearest_to_defect(rattled, 1))]


def test_rows_times_coefficients_are_labels(case):
    lattice, basis, theta, model = case
    for observation in observations(lattice, 2 * basis.cutoff):
        rows, labels = observation(basis), observation(model)
        assert rows.shape == (len(labels), basis.size), observation.kind
        size = np.abs(rows * theta).sum(axis=1).max()
        assert size > 1e-6, observation.kind
        np.testing.assert_allclose(rows @ theta, labels, atol=1e-12 * size, err_msg=observation.kind)  # rounding of long sums
        weights = observation.row_weights
        assert weights is None or (weights.shape == labels.shape and weights.max() > weights.min() >= 1.0)


def test_virial_is_the_strain_derivative_of_the_energy(case):
    lattice, _, _, model = case
    cell = dg.primitive_cell(lattice)
    virial = evaluate(model, cell).virial
    direction = np.zeros((3, 3))
    direction[:2, :2] = [[1.0, 0.3], [0.3, -0.4]]
    errors = []
    for h in 10.0 ** np.arange(-1.5, -8, -1):
        up, down = (
            evaluate(model, cell, cell.positions @ f.T, cell.vectors @ f.T).energy
            for f in (np.eye(3) + h * direction, np.eye(3) - h * direction)
        )
        errors.append(abs(-(up - down) / (2 * h) - np.sum(virial * direction)))
    assert abs(np.sum(virial * direction)) > 1e-4
    assert min(errors) < 1e-3 * max(errors)


def test_force_constants_are_derivatives_of_forces_in_a_supercell():
    lattice = CRYSTALS["diamond"]
    basis = dg.ACEBasis(["Si"], cutoff=3.0, order=2, degree=4)
    model = dg.LinearACE(basis, np.random.default_rng(0).normal(size=basis.size))
    cell = dg.supercell(lattice, 3)  # 16 A wide: no pair within 6 A is seen twice
    observation = ForceConstants(lattice, 6.0)
    rows = observation(model).reshape(-1, 3, 3)
    place = {
        (*t, b): n
        for n, (t, b) in enumerate(zip(cell.perfect_sites.translations.tolist(), cell.perfect_sites.sublattices, strict=True))
    }
    origin = [int(np.flatnonzero(cell.perfect_sites.sublattices == b)[0]) for b in (0, 1)]
    worst = []
    for h in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        columns = {}
        for b in (0, 1):
            for axis in range(3):
                step = np.zeros_like(cell.positions)
                step[origin[b], axis] = h
                forces = [evaluate(model, cell, cell.positions + s * step).forces for s in (1, -1)]
                columns[b, axis] = -(forces[0] - forces[1]) / (2 * h)
        error = 0.0
        for (first, second, *t), block in zip(observation.pairs.tolist(), rows, strict=True):
            target = np.array(t) + cell.perfect_sites.translations[origin[first]]
            box = np.floor(target @ np.linalg.inv(cell.perfect_sites.matrix) + 1e-9).astype(int)
            atom = place[(*(target - box @ cell.perfect_sites.matrix).tolist(), second)]
            found = np.stack([columns[first, axis][atom] for axis in range(3)])
            error = max(error, np.abs(found - block).max())
        worst.append(error)
    assert np.abs(rows).max() > 1e-2
    assert min(worst) < 1e-3 * max(worst)


def test_each_pair_is_observed_once(case):
    lattice, basis, _, _ = case
    observation = ForceConstants(lattice, 2 * basis.cutoff, range_power=2.0)
    pairs = {tuple(p) for p in observation.pairs.tolist()}
    assert not any(a == b and not any(t) for a, b, *t in pairs)  # on-site terms follow from the sum rule
    assert all((b, a, *(-np.array(t)).tolist()) not in pairs for a, b, *t in pairs)
    length = np.linalg.norm(observation._separation(observation.pairs), axis=1) / lattice.nearest_neighbour
    np.testing.assert_allclose(observation.row_weights[:: lattice.dimension**2], length**2)


def test_folded_force_constants_are_sums_over_images():
    lattice = CRYSTALS["fcc"]
    basis = dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=4)
    model = dg.LinearACE(basis, np.random.default_rng(0).normal(size=basis.size))
    matrix = 2 * lattice.conventional
    folded, plain = ForceConstants(lattice, 9.0, supercell=matrix), ForceConstants(lattice, 9.0)
    everywhere = evaluate(model, dg.supercell(lattice, 2))
    assert everywhere.energy != 0.0
    cell = dg.supercell(lattice, 2)
    from defectgen.energy import hessian

    dense = hessian(model, cell)
    place = {tuple(t): n for n, t in enumerate(cell.perfect_sites.translations.tolist())}
    start = place[(0, 0, 0)]
    for (_, _, *t), block in zip(folded.pairs.tolist(), folded(model).reshape(-1, 3, 3), strict=True):
        np.testing.assert_allclose(dense[start, :, place[tuple(t)], :], block, atol=1e-11 * np.abs(dense).max())
    assert len(folded.pairs) < len(plain.pairs)


def test_natural_scales():
    snapshot = defect_cells(CRYSTALS["fcc"], dg.vacancy(), 2, rattle=Rattle(0))[0]
    assert Energy(snapshot).scale == pytest.approx(np.sqrt(31))  # rows are per atom: dE / N * sqrt(N) = dE / sqrt(N)
    assert Forces(snapshot).scale == 1.0
