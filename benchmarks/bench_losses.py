"""Losses of one's own on the same labels: weights as functions of rows, kept in parts, bins and single rows; robust losses.

Why this case: a designer of a loss tries hundreds of weight functions and forms. What distinguishes rows must be kept, so the time
of a re-fit depends on how many classes of rows a list of losses distinguishes, and memory on how many are kept.

Peers: `numpy.linalg.lstsq` on all weighted rows, for Huber's loss in a loop of reweightings to the same relative change of the
objective. Ours: `dg.refit` of lists of thirty losses, and `dg.fit` of one. The error is the objective over the least one found,
less one; for losses of single residuals SciPy's L-BFGS-B, started from our minimum, looks for that.

    python benchmarks/bench_losses.py           about 500 functions
    python benchmarks/bench_losses.py 10        a smaller degree
"""

from timing import machine, seconds, summary  # isort: skip  (first: it pins the threads)

import sys
import warnings
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

import defectgen as dg
from defectgen.fit import Refits, residual_of
from defectgen.training import Blocks

LISTS = {
    "parts": [f"by_distance({p:g}) * by_kind(E={w:g})" for p in np.linspace(0, 2, 10) for w in (0.1, 1, 10)],
    "bins": [f"relative_force({f:g}) * by_distance({p:g})" for f in np.geomspace(0.02, 2, 10) for p in (0, 1, 2)],
    "rows": [f"relative_force({f:g}) * by_distance({p:g})" for f in np.geomspace(0.02, 2, 10) for p in (0, 1, 2)],
}
"""Thirty weight functions that each way to keep rows can tell apart."""
TIGHT = {"maxiter": 300, "maxfun": 600, "ftol": 1e-16, "gtol": 1e-13, "maxcor": 40}
"""Of L-BFGS-B, for objectives of size one."""


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


def per_loss(blocks: Blocks, grid: list[dg.Loss]) -> tuple[float, float, Refits]:
    """Seconds a loss and of what a list has in common, medians of three, and the fits."""
    turns = []
    for _ in range(3):
        once, found = timed(lambda: dg.refit(blocks, grid))
        twice, _ = timed(lambda: dg.refit(blocks, [*grid, *grid]))
        turns.append(((twice - once) / len(grid), 2 * once - twice))
    each, first = np.median(turns, axis=0)
    return float(each), float(first), found


def many(kind: str, blocks: Blocks) -> None:
    """One line: a list of weight functions on rows kept in one way."""
    grid = [dg.Loss("E+F+V", weight=text, prior="smoothness") for text in LISTS[kind]]
    each, first, found = per_loss(blocks, grid)
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


class Objective:
    """A loss of single residuals, squares of the prior included, in the coordinates of the fit by least squares: an oracle.

    theta = R^-1 z with Q R the weighted rows.
    """

    def __init__(self, blocks: Blocks, loss: dg.Loss):
        plain = replace(loss, residual=None)
        stacked, sizes = weighted(blocks, plain)
        posed, multipliers = plain.posed(blocks, plain.resolve(blocks))
        live = [b for b, m in zip(posed.items, multipliers, strict=True) if m > 0]
        kinds = np.array([b.kind for b in live for _ in range(len(b.factor))])
        late = [np.linalg.norm(b.factor, axis=1) / np.linalg.norm(b.factor if b.plain is None else b.plain, axis=1) for b in live]
        sizes = sizes * np.concatenate(late)
        self.form, self.count, self.target = residual_of(loss.residual), len(sizes), stacked[:, -1]
        self.q, self.upper = np.linalg.qr(stacked[:, :-1])
        self.start = self.q.T @ self.target
        left = np.abs(self.q @ self.start - self.target)[: self.count] / sizes
        self.unit = sizes * np.array([1.4826022185 * np.median(left[kinds == kind]) for kind in kinds])

    def at(self, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient, and the weights of all rows."""
        r = self.q @ z - self.target
        t = r[: self.count] / self.unit
        whole = 2 * np.sum(self.unit**2 * self.form.value(t)) + np.sum(r[self.count :] ** 2)
        weights = np.concatenate([self.form.weight(t), np.ones(len(r) - self.count)])
        return float(whole), 2 * self.q.T @ (weights * r), weights

    def least(self, z: np.ndarray) -> float:
        """The least value that SciPy finds from z."""
        size = self.at(z)[0]
        scaled = minimize(lambda z: [v / size for v in self.at(z)[:2]], z, jac=True, method="L-BFGS-B", options=TIGHT)
        return float(scaled.fun) * size

    def loop(self) -> tuple[float, int]:
        """The peer: NumPy's least squares with new weights until the objective changes by less than 1e-10."""
        z, value, steps, change = self.start, np.inf, 0, 1.0
        while change > 1e-10 and steps < 100:
            before, (value, _, weights) = value, self.at(z)
            root = np.sqrt(weights)[:, None]
            z = np.linalg.lstsq(root * self.q, root[:, 0] * self.target, rcond=0.0)[0]
            steps, change = steps + 1, abs(before - value) / value
        return self.at(z)[0], steps


def robust(blocks: Blocks, name: str, grid: list[dg.Loss], compare: bool) -> None:
    """One line: a list of losses of single residuals."""
    each, _, found = per_loss(blocks, grid)
    alike = sum(one.shared for one in found)
    alone, _ = timed(lambda: dg.fit(blocks, grid[0]))
    errors, peer, steps = [], np.nan, 0
    for place in (0, len(grid) // 2):
        oracle = Objective(blocks, grid[place])
        ours = oracle.upper @ found[place].coefficients
        values = [oracle.at(ours)[0], oracle.least(ours)]
        if compare and not place:
            peer, (value, steps) = timed(oracle.loop)
            values.append(value)
        errors.append(values[0] / min(values) - 1)
    told = f"{1e3 * peer:.0f} ({steps} steps)" if compare else ""
    print(f"| {name} | {alike} of {len(grid)} | {1e3 * each:.1f} | {1e3 * alone:.0f} | {told} | {max(errors):.0e} |", flush=True)
    if compare:
        work = f"re-fit with {name}, {blocks.columns} functions"
        summary(work, "ms", 1e3 * each, "numpy lstsq, in a loop", 1e3 * peer, None, f"{max(errors):.0e}")


def grids() -> dict[str, list[dg.Loss]]:
    """Thirty losses of each form; the last list changes the weight of every row too."""
    energies = (100.0, 1000.0, 10000.0)

    def made(form: str, thresholds: np.ndarray) -> list[dg.Loss]:
        texts = [f"{form}({c:.3g})" for c in thresholds]
        return [dg.Loss("E+F+V", {"E": e}, residual=text, prior="smoothness") for e in energies for text in texts]

    other = [
        dg.Loss("E+F+V", weight=f"relative_force({f:.3g}) * by_distance({p})", residual="huber(1.345)", prior="smoothness")
        for f in np.geomspace(0.02, 2, 10)
        for p in (0, 1, 2)
    ]
    return {
        "Huber's loss": made("huber", np.geomspace(0.5, 3, 10)),
        "log-cosh": made("log_cosh", np.geomspace(0.5, 3, 10)),
        "Tukey's biweight": made("tukey", np.geomspace(3, 8, 10)),
        "L1": [dg.Loss("E+F+V", {"E": e}, residual="l1", prior="smoothness") for e in np.geomspace(30, 10000, 6)],
        "Huber's loss, a weight for every row": other,
    }


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
    print()
    print("| losses of single residuals | shared | ms a loss, dg.refit | ms, dg.fit | ms, numpy | objective over least, -1 |")
    print("|---|---|---|---|---|---|")
    for name, grid in grids().items():
        robust(kept["rows"], name, grid, name == "Huber's loss")


if __name__ == "__main__":
    main()
