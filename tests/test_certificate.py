"""The certificate: derivatives of a relaxed defect, the estimate and the bound they give, and what weights do to them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import defectgen as dg
from defectgen._input import InputError
from defectgen.errors import strain_norm
from defectgen.errors.certificate import judge, sensitivity
from defectgen.fit import Ridge, fit

SET = "E+F+FC+V"
WEIGHTS = {"E": 100.0, "V0": 100.0}
TIGHT = 1e-10  # eV/A: differences of equilibria are resolved to 1e-10 / (1 eV/A^2)


@cache
def blocks():
    """Rows of a small copper vacancy for 26 functions."""
    truth = dg.reference.CleriRosato("Cu")
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    cells = dg.training_cells(
        lattice, dg.vacancy(), 2, seed=0, rattle=dg.Rattle(2, 0.05), strains=dg.Strains((0.01,), pairs=False)
    )
    return lattice, dg.label(cells, truth, dg.ACEBasis(["Cu"], cutoff=4.4, order=3, degree=6), ["E", "F", "FC", "V"])


def relaxed(model, start=None):
    """The vacancy in 107 atoms, relaxed with a model."""
    cell = dg.vacancy().apply(dg.supercell(blocks()[0], 3))
    return dg.relax(cell, model, start=start, tolerance=TIGHT, eigenvalue=False)


@cache
def case():
    """A fit, the vacancy relaxed with it, and the certificate."""
    made = fit(blocks()[1], SET, weights=WEIGHTS)
    rest = relaxed(made.model)
    return made, rest, dg.certify(made, rest)


def test_compact_strains_have_the_lengths_of_the_strains():
    """By the Laplacian of the bonds, and by a triangle where there are too many atoms for it."""
    sensitive = case()[2].sensitivity
    directions = np.random.default_rng(0).normal(size=(len(sensitive.energy), 5))
    lengths = np.linalg.norm(sensitive.strains() @ directions, axis=0)
    assert lengths.min() > 0
    assert len(sensitive.compact_strains()) == sensitive.rest.positions.size < len(sensitive.strains())
    for dense in (10_000, 0):
        found = np.linalg.norm(sensitive.compact_strains(dense) @ directions, axis=0)
        assert found == pytest.approx(lengths, rel=1e-11)


def test_derivatives_of_the_relaxed_defect_are_differences_of_relaxations():
    made, rest, certificate = case()
    sensitive = certificate.sensitivity
    direction = np.random.default_rng(0).normal(size=len(made.coefficients))
    direction /= np.abs(sensitive.displacement @ direction).max()  # one moves some atom by 1 A
    motion, slope = sensitive.displacement @ direction, sensitive.energy @ direction
    errors = []
    for h in (1e-2, 1e-3, 1e-4):
        ends = [
            relaxed(dg.LinearACE(made.model.basis, made.coefficients + s * h * direction), rest.positions) for s in (1.0, -1.0)
        ]
        moved = (ends[0].displacement - ends[1].displacement) / (2 * h)
        moved -= moved.mean(axis=0)
        assert (ends[0].energy - ends[1].energy) / (2 * h) == pytest.approx(slope, rel=1e-2 if h == 1e-2 else 1e-3)
        errors.append(np.linalg.norm(moved - motion) / np.linalg.norm(motion))
    assert min(errors) < 1e-3 * max(errors)
    assert errors[1] < errors[0] / 30  # central differences: a hundredth for a tenth of the step


def test_factorised_and_krylov_answers_are_the_same():
    made, rest, certificate = case()
    krylov = sensitivity(rest, made.model, direct=0)
    scale = np.abs(certificate.sensitivity.displacement).max()
    np.testing.assert_allclose(krylov.displacement, certificate.sensitivity.displacement, atol=1e-6 * scale)  # CG stops at 1e-8


def test_an_answer_is_the_inverse_of_the_hessian_product():
    made, rest, certificate = case()
    force = np.random.default_rng(1).normal(size=rest.positions.shape)
    force -= force.mean(axis=0)
    from defectgen.energy import cell_energy

    answer = certificate.sensitivity.answer(force)
    np.testing.assert_allclose(cell_energy(rest.cell, made.model).hessian_product(rest.positions, answer), force, atol=1e-9)


@pytest.mark.parametrize("what", ["geometry", "energy"])
def test_the_bound_is_attained_and_the_estimate_is_the_root_mean_square(what):
    made, rest, certificate = case()
    quantity, sensitive = getattr(certificate, what), certificate.sensitivity

    def size(delta):
        if what == "energy":
            return abs(float(sensitive.energy @ delta))
        return strain_norm(rest.cell, sensitive.displacement @ delta)

    r = made.problem.factor[: made.problem.columns, :-1]
    assert np.linalg.norm(r @ quantity.direction) == pytest.approx(certificate.residual)
    assert size(quantity.direction) == pytest.approx(quantity.bound)
    z = np.random.default_rng(2).normal(size=(4000, r.shape[1]))
    z *= certificate.residual / np.linalg.norm(z, axis=1, keepdims=True)
    sizes = np.array([size(delta) for delta in np.linalg.solve(r, z.T).T])
    assert sizes.max() <= quantity.bound * (1 + 1e-9)
    assert np.sqrt(np.mean(sizes**2)) == pytest.approx(quantity.spread, rel=0.05)  # 4000 draws: 2 %
    assert sum(quantity.shares.values()) == pytest.approx(1)


def test_slopes_in_the_weights_are_differences_of_fits():
    made, _, certificate = case()
    h = 1e-4
    for name in ("F:defect", "FC:bulk", "V:strain"):
        kind, group = name.split(":")
        logs = []
        for sign in (1, -1):
            weights = {k: dict(g) for k, g in made.weights.items()}
            weights[kind][group] *= np.exp(sign * h)
            logs.append(np.log(judge(fit(blocks()[1], SET, weights=weights), certificate.sensitivity).geometry.spread))
        assert (logs[0] - logs[1]) / (2 * h) == pytest.approx(certificate.geometry.weights[name], abs=1e-5)
    # all weights doubled: the same fit; the condition of this one is 2e8, so that rounding may reach 4e-8 (it reaches 1e-10)
    assert sum(certificate.geometry.weights.values()) == pytest.approx(0, abs=1e-9)


def test_the_posterior_deviation_is_that_of_repeated_experiments():
    made, _, certificate = case()
    problem, sensitive = made.problem, certificate.sensitivity
    matrix = problem.factor[: problem.columns, :-1]
    noise = made.residual / np.sqrt(made.rows - problem.columns)
    rng = np.random.default_rng(3)
    energies = [sensitive.energy @ np.linalg.solve(matrix, noise * rng.normal(size=len(matrix))) for _ in range(4000)]
    assert np.std(energies) == pytest.approx(certificate.energy.deviation, rel=0.05)


def test_directions_without_rows_have_no_bound_and_a_prior_gives_them_one():
    _, _, certificate = case()
    with pytest.warns(UserWarning, match="rank"):
        poor = fit(blocks()[1].select("E"), "E", weights=WEIGHTS)
    assert judge(poor, certificate.sensitivity).geometry.bound == np.inf
    held = fit(blocks()[1].select("E"), "E", weights=WEIGHTS, prior=Ridge(1e-3))
    assert np.isfinite(judge(held, certificate.sensitivity).geometry.bound)


def test_under_constraints_only_what_they_leave_free_is_uncertain():
    _, _, certificate = case()
    held = fit(blocks()[1], SET, weights=WEIGHTS, constraints=["V0", "E:bulk"])
    found = judge(held, certificate.sensitivity)
    rows = np.concatenate([c.rows for c in held.constraints])
    rows = rows[np.abs(rows).max(axis=1) > 1e-9 * np.abs(rows).max()]  # by symmetry shears are rounding
    for quantity in (found.geometry, found.energy):
        size = np.abs(rows) @ np.abs(quantity.direction)
        assert np.all(np.abs(rows @ quantity.direction) < 1e-7 * size)  # rows are conditioned like 1e8
        assert np.isfinite(quantity.bound) and 0 < quantity.spread <= quantity.bound
    assert found.parameters == held.problem.columns < certificate.parameters


def test_a_richer_fit_that_is_the_truth_gives_the_true_error():
    made, rest, _ = case()
    _, wide = blocks()
    basis = dg.ACEBasis(["Cu"], cutoff=4.4, order=2, degree=5)
    columns = made.model.basis.columns_of(basis)
    poor = fit(wide.restrict(columns, basis), SET, weights=WEIGHTS)
    approx = relaxed(poor.model, rest.positions)
    certificate = dg.certify(poor, approx, richer=made)
    error = dg.compare(rest, approx)
    assert certificate.geometry.shift == pytest.approx(error.geometry, rel=0.05)  # first order: the error is that large
    assert certificate.energy.shift == pytest.approx(error.energy, rel=0.05)
    assert certificate.geometry.estimate == np.hypot(certificate.geometry.shift, certificate.geometry.remainder)


def test_a_certificate_needs_a_fit_and_its_relaxed_defect(unchecked):
    made, rest, _ = case()
    with pytest.raises(InputError, match=r"as dg.fit\(...\) returns it"):
        dg.certify(made.model, rest)
    with pytest.raises(InputError, match="relaxed with the fitted model"):
        dg.certify(made, replace(rest, converged=False, message="stopped"))
    with pytest.raises(InputError, match="no basis"):
        dg.certify(replace(made, model=None), rest)


def test_the_estimate_includes_the_bias_of_the_prior():
    """A reference in the span, labels without noise: the error of a fit with a prior is its bias, a known linear map.

    Exact: R'R (theta* - theta) = Gamma^2 theta*; where the data decide, its value at theta is that at theta* to first order.
    """
    made, _, plain = case()
    assert plain.geometry.prior == plain.energy.prior == 0.0 and "prior" not in plain.summary()
    inside = replace(
        blocks()[1],
        items=tuple(
            replace(b, factor=np.column_stack([b.factor[:, :-1], b.factor[:, :-1] @ made.coefficients]), plain=None)
            for b in blocks()[1].items
        ),
    )
    theta = made.coefficients
    biased = fit(inside, SET, weights=WEIGHTS, prior=Ridge(1e-3))
    gamma, triangle = biased.problem.gamma, np.linalg.qr(biased.problem.factor[:, :-1], mode="r")
    bias = [np.linalg.solve(triangle, np.linalg.solve(triangle.T, gamma**2 * at)) for at in (theta, biased.coefficients)]
    rest = relaxed(biased.model)
    certificate = dg.certify(biased, rest)
    slope, strains = certificate.sensitivity.energy, certificate.sensitivity.strains()
    right, error = relaxed(made.model), dg.compare(relaxed(made.model), rest)
    assert error.energy_signed == pytest.approx(-slope @ bias[0], rel=0.1) and error.energy > 1e-7  # second order apart
    assert error.geometry == pytest.approx(np.linalg.norm(strains @ bias[0]), rel=0.1) and right.converged
    assert certificate.energy.prior == pytest.approx(abs(slope @ bias[1]), rel=1e-4)
    assert certificate.geometry.prior == pytest.approx(np.linalg.norm(strains @ bias[1]), rel=1e-4)
    assert certificate.energy.estimate == pytest.approx(np.hypot(certificate.energy.spread, certificate.energy.prior))
    assert "included to first order: the bias of the prior" in certificate.summary()


def test_the_certificate_of_a_domain_names_the_atoms_outside(unchecked):
    """A relaxed vacancy is close to rattled ones; a split interstitial is far outside, and its certificate names this."""
    lattice = blocks()[0]
    made, rest, plain = case()
    cells = dg.training_cells(lattice, dg.vacancy(), 2, seed=0, rattle=dg.Rattle(2, 0.05))
    domain = dg.domain(cells, made)
    assert plain.outside is None and "outside" not in str(plain)
    inside = dg.certify(made, rest, domain=domain)
    assert inside.energy.estimate == plain.energy.estimate and inside.geometry.bound == plain.geometry.bound
    squeezed = dg.dumbbell("100").apply(dg.supercell(lattice, 2))
    far = dg.certify(made, dg.relax(squeezed, made.model, eigenvalue=False), domain=domain)
    assert far.outside is not None and inside.outside is not None
    assert far.outside.grades.max() > 10 * inside.outside.grades.max()
    assert ("all atoms are inside the domain" in str(inside)) == inside.outside.inside
    assert "do not hold outside their domain" in str(far)
    with pytest.raises(InputError, match=r"a domain is that of the training data"):
        dg.certify(made, rest, domain=cells)
