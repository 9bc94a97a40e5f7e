"""Losses of one's own on the same labels: weights as functions of rows, kept in parts, bins and single rows, and Huber's loss.

Why this case: a designer of a loss tries hundreds of weight functions. What distinguishes rows must be kept, so the time of a re-fit
depends on how many classes of rows a list of losses distinguishes, and memory on how many are kept.

Peers: `numpy.linalg.lstsq` on all weighted rows, for Huber's loss in a loop of reweightings to the same relative change of the
objective. Ours: `dg.refit` of a list of thirty losses, and `dg.fit` of Huber's loss. The error is the objective over the least one
found, less one.

    python benchmarks/bench_losses.py           about 500 functions; labels first, some minutes
    python benchmarks/bench_losses.py 10        a smaller degree
"""

from timing import machine, seconds, summary  # isort: skip  (first: it pins the threads)

import sys
import warnings

import numpy as np

import defectgen as dg
from defectgen.training import Blocks

LISTS = {
    "parts": [f"by_distance({p:g}) * by_kind(E={w:g})" for p in np.linspace(0, 2, 10) for w in (0.1, 1, 10)],
    "bins": [f"relative_force({f:g}) * by_distance({p:g})" for f in np.geomspace(0.02, 2, 10) for p in (0, 1, 2)],
    "rows": [f"relative_force({f:g}) * by_distance({p:g})" for f in np.geomspace(0.02, 2, 10) for p in (0, 1, 2)],
}
"""Thirty weight functions that each way to keep rows can tell apart."""
DELTA = 0.002
"""eV/A, eV/atom: threshold of Huber's loss."""


def labelled(degree: float) -> dict[str, Blocks]:
    """A vacancy in copper, kept in three ways."""
    truth = dg.reference.CleriRosato("Cu")
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    cells = dg.training_cells(lattice, dg.vacancy(), 3, rattle=dg.Rattle(5, 0.02), strains=dg.Strains((0.01,)))
    basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=3, degree=degree)
    return {kind: dg.label(cells, truth, basis, ["E", "F", "V"], subdivide=kind) for kind in LISTS}


def weighted(blocks: Blocks, loss: dg.Loss) -> tuple[np.ndarray, np.ndarray]:
    """All rows [A | y] with their weights, those of the prior below; and the multiplier of every row that is no prior's."""
    posed, multipliers = loss.posed(blocks, loss.resolve(blocks))
    live = [(m, b.factor) for b, m in zip(posed.items, multipliers, strict=True) if m > 0]
    prior = 1e-6 * (1.0 + np.asarray(blocks.basis.smoothness(4.0)))
    stacked = [m * f for m, f in live] + [np.column_stack([np.diag(prior), np.zeros(len(prior))])]
    return np.concatenate(stacked), np.concatenate([np.full(len(f), m) for m, f in live])


def least(rows: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(rows[:, :-1], rows[:, -1], rcond=0.0)[0]


def timed(call):
    """Processor seconds and the result."""
    found = []
    return seconds(lambda: found.append(call())), found[0]


def many(kind: str, blocks: Blocks) -> None:
    """One line: a list of weight functions on rows kept in one way."""
    grid = [dg.Loss("E+F+V", weight=text, prior="smoothness") for text in LISTS[kind]]
    once, found = timed(lambda: dg.refit(blocks, grid))
    twice, _ = timed(lambda: dg.refit(blocks, [*grid, *grid]))
    each, first = (twice - once) / len(grid), 2 * once - twice
    assert all(one.shared for one in found), "a loss was fitted by itself"
    rows, _ = weighted(blocks, grid[7])
    peer, other = timed(lambda: least(rows))
    ours, theirs = (np.linalg.norm(rows[:, :-1] @ t - rows[:, -1]) for t in (found[7].coefficients, other))
    error, memory = ours / min(ours, theirs) - 1, sum(b.factor.nbytes for b in blocks.items) / 1e6
    print(
        f"| {kind} | {memory:.0f} | {len(blocks.items)} | {1e3 * each:.1f} | {first:.2f} | {1e3 * peer:.0f} | {error:.0e} |",
        flush=True,
    )
    work = f"re-fit with a weight function, rows in {kind}, {blocks.columns} functions"
    summary(work, "ms", 1e3 * each, "numpy lstsq, all rows", 1e3 * peer, None, f"{error:.0e}")


def huber(blocks: Blocks) -> None:
    """Huber's loss of every row."""
    loss = dg.Loss("E+F+V", residual=f"huber({DELTA}, absolute=True)", prior="smoothness")
    ours, fit = timed(lambda: dg.fit(blocks, loss))
    rows, sizes = weighted(blocks, dg.Loss("E+F+V", prior="smoothness"))
    count = len(sizes)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r = rows[:, :-1] @ theta - rows[:, -1]
        t = np.abs(r[:count] / sizes)
        whole = np.sum(2 * sizes**2 * np.where(t <= DELTA, t**2 / 2, DELTA * t - DELTA**2 / 2)) + np.sum(r[count:] ** 2)
        return float(whole), np.minimum(1.0, DELTA / np.maximum(t, 1e-300))

    def loop() -> tuple[np.ndarray, int]:
        theta = least(rows)
        value, weights = objective(theta)
        steps = 0
        while steps < 300:
            steps += 1
            scaled = rows.copy()
            scaled[:count] *= np.sqrt(weights)[:, None]
            theta = least(scaled)
            before, (value, weights) = value, objective(theta)
            if abs(before - value) < 1e-10 * before:
                break
        return theta, steps

    peer, (theta, steps) = timed(loop)
    values = [objective(fit.coefficients)[0], objective(theta)[0]]
    errors = [value / min(values) - 1 for value in values]
    print(
        f"Huber's loss: {1e3 * ours:.0f} ms in {fit.details['reweightings']:.0f} steps (numpy, a loop of least squares: "
        f"{1e3 * peer:.0f} ms in {steps} steps); objective over the least, less one: {errors[0]:.0e} ({errors[1]:.0e})"
    )
    work = f"Huber's loss of every row, {blocks.columns} functions"
    summary(work, "ms", 1e3 * ours, "numpy lstsq, in a loop", 1e3 * peer, None, f"{errors[0]:.0e}")


def main():
    warnings.simplefilter("ignore")
    degree = float(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(machine("numpy", "scipy"))
    kept = labelled(degree)
    print(f"{kept['rows'].columns} functions, {kept['rows'].rows()} rows")
    print(
        "| rows kept in | MB | blocks | ms a loss, dg.refit | shared factorisation (s) | ms, numpy lstsq | objective over least, -1 |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, blocks in kept.items():
        many(kind, blocks)
    huber(kept["rows"])


if __name__ == "__main__":
    main()
