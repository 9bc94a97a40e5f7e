"""Statements about the linear fit: late weights, exact recovery, conditioning, the certificate."""

import numpy as np
import pytest

RNG = np.random.default_rng


def blocks(seed=0, rows=(400, 90, 30), columns=12):
    rng = RNG(seed)
    return [(rng.normal(size=(m, columns)), rng.normal(size=m)) for m in rows]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (30.0, 1.0, 0.1), (0.0, 1.0, 1.0)], ids=["equal", "uneven", "one-off"])
def test_weights_after_compression_equal_weights_before(weights):
    prior = np.diag(np.arange(1, 13.0) ** 2) * 1e-2
    data = blocks()
    early = np.vstack([w * a for w, (a, _) in zip(weights, data, strict=True)] + [prior])
    right = np.concatenate([w * y for w, (_, y) in zip(weights, data, strict=True)] + [np.zeros(12)])
    factors = [np.linalg.qr(np.column_stack([a, y]), mode="r") for a, y in data]
    late = np.vstack([w * r[:, :-1] for w, r in zip(weights, factors, strict=True)] + [prior])
    late_right = np.concatenate([w * r[:, -1] for w, r in zip(weights, factors, strict=True)] + [np.zeros(12)])
    solution = np.linalg.lstsq(early, right)[0]
    assert np.allclose(np.linalg.lstsq(late, late_right)[0], solution, atol=1e-12)
    for (a, y), r in zip(data, factors, strict=True):  # residuals of every block survive as well
        assert np.linalg.norm(r @ np.append(solution, -1)) == pytest.approx(np.linalg.norm(a @ solution - y))
    unweighted = np.linalg.lstsq(np.vstack([a for a, _ in data]), np.concatenate([y for _, y in data]))[0]
    assert (np.abs(unweighted - solution).max() > 1e-3) or weights == (1.0, 1.0, 1.0)


def test_streamed_factor_equals_the_factor_of_the_whole():
    a, y = blocks()[0]
    whole = np.column_stack([a, y])
    streamed = np.zeros((0, 13))
    for part in np.array_split(whole, 7):
        streamed = np.linalg.qr(np.vstack([streamed, part]), mode="r")
    assert np.allclose(streamed.T @ streamed, whole.T @ whole, rtol=1e-12)


def graded(condition, rows=60, columns=10, seed=1):
    rng = RNG(seed)
    left, _ = np.linalg.qr(rng.normal(size=(rows, columns)))
    right, _ = np.linalg.qr(rng.normal(size=(columns, columns)))
    return left * np.geomspace(1, 1 / condition, columns) @ right


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e9])
def test_a_reference_in_the_span_is_recovered_to_condition_times_rounding(condition):
    a, theta = graded(condition), RNG(2).normal(size=10)
    q, r = np.linalg.qr(a)
    found = np.linalg.solve(r, q.T @ (a @ theta))
    assert np.linalg.norm(found - theta) <= 100 * condition * 2.2e-16 * np.linalg.norm(theta)  # 100: backward error of QR


def test_gram_matrix_squares_the_condition_number():
    a, theta = graded(1e7), RNG(2).normal(size=10)
    normal = np.linalg.solve(a.T @ a, a.T @ (a @ theta))
    q, r = np.linalg.qr(a)
    assert np.linalg.cond(a) == pytest.approx(1e7, rel=1e-3)
    assert np.linalg.norm(normal - theta) > 1e3 * np.linalg.norm(np.linalg.solve(r, q.T @ (a @ theta)) - theta)


def defect(theta):
    """A nonlinear equilibrium F(u, theta) = 0 in three unknowns that is linear in six parameters."""
    shapes = RNG(5).normal(size=(6, 3))

    def force(u, theta):
        features = np.stack([np.sin(shapes[m] * u + m) for m in range(6)])
        return 3.0 * u - 0.4 * theta @ features

    def hessian(u, theta):
        features = np.stack([shapes[m] * np.cos(shapes[m] * u + m) for m in range(6)])
        return np.diag(3.0 - 0.4 * theta @ features)

    u = np.zeros(3)
    for _ in range(50):
        u = u - np.linalg.solve(hessian(u, theta), force(u, theta))
    slope = np.stack([-0.4 * np.sin(shapes[m] * u + m) for m in range(6)], axis=1)
    return u, -np.linalg.solve(hessian(u, theta), slope)


def test_response_of_the_defect_is_first_order_in_the_parameters():
    theta, direction = RNG(6).uniform(0.2, 0.6, size=6), RNG(7).normal(size=6)
    u, k = defect(theta)
    steps = np.array([1e-2, 1e-3, 1e-4])
    remainder = [np.linalg.norm(defect(theta + h * direction)[0] - u - h * k @ direction) for h in steps]
    assert np.polyfit(np.log(steps), np.log(remainder), 1)[0] == pytest.approx(2, abs=0.1)


def test_certificate_is_the_sharpest_factor_between_residual_and_defect_error():
    _, k = defect(RNG(6).uniform(0.2, 0.6, size=6))
    a = RNG(8).normal(size=(40, 6)) * np.geomspace(1, 1e-2, 6)
    r = np.linalg.qr(a, mode="r")
    _, values, right = np.linalg.svd(k @ np.linalg.inv(r))
    worst = np.linalg.solve(r, right[0])
    assert np.linalg.norm(k @ worst) / np.linalg.norm(a @ worst) == pytest.approx(values[0])
    for delta in RNG(9).normal(size=(200, 6)):
        assert np.linalg.norm(k @ delta) <= values[0] * np.linalg.norm(a @ delta) * (1 + 1e-12)
    row = k[0]  # a scalar quantity of interest: the factor is ||A^-T k||
    assert np.linalg.norm(np.linalg.solve(r.T, row)) == pytest.approx(np.linalg.svd((row @ np.linalg.inv(r))[None])[1][0])
