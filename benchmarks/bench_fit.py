"""Compression of design rows to the factor that a fit needs, beside the fastest and the safest way that BLAS and LAPACK know.

Why this case: all rows of all training cells pass through the compressor, 200,000 of 1,000 columns in a large study, and they
are ill conditioned (1e8 to 1e12), so the way that is fast, a Gram matrix and its Cholesky factor (`dsyrk`), is wrong and the way
that is right, Householder's QR, takes five to seven times as long and all rows in memory. The stream should cost hardly more than
dsyrk where conditioning allows a Gram matrix, about twice as much where it does not, and have the error of QR in both.

Peers: dsyrk + Cholesky of equilibrated columns; the same rows through LAPACK's triangular-pentagonal QR (`dtpqrt`), the usual
streamed TSQR; `scipy.linalg.qr` and `numpy.linalg.lstsq` of everything at once. Rows are given in batches of a thousand atoms.

What limits it: the labels are exact (made in extended precision from known coefficients), so the error is that of the
coefficients, each in units of its column's norm, over their norm; QR can reach the condition times rounding. GF/s counts m n^2
operations for every method, those of dsyrk, so it compares as time does. Peak memory is what the process grew by, the rows not
counted. Random rows: `random` have independent entries, `graded` a condition of 1e10; `ACE` are forces on displaced copper.

    python benchmarks/bench_fit.py                all cases with 60,000 random rows, about two minutes and 2 GB
    python benchmarks/bench_fit.py large          all cases with 200,000 random rows, about six minutes and 5 GB
    python benchmarks/bench_fit.py random ACE     some of them
"""

from timing import machine, peak, seconds, summary  # isort: skip  (first: it pins the threads)

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr, solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dtpqrt

import defectgen as dg
from defectgen.observe import Forces
from defectgen.training import Compressor

BATCH = 3000
"""Rows that come together: the forces of a thousand atoms."""


@dataclass(frozen=True)
class Case:
    """Rows A, exact labels A theta, and theta."""

    name: str
    rows: np.ndarray
    labels: np.ndarray
    theta: np.ndarray

    def error(self, found: np.ndarray) -> float:
        """Of the coefficients, in units of the norms of their columns."""
        norms = np.sqrt(np.einsum("ij,ij->j", self.rows, self.rows))
        return float(np.linalg.norm((found - self.theta) * norms) / np.linalg.norm(self.theta * norms))

    def batches(self):
        for start in range(0, len(self.rows), BATCH):
            yield self.rows[start : start + BATCH], self.labels[start : start + BATCH]


def case(name: str, rows: np.ndarray) -> Case:
    """With coefficients of which every column contributes alike, and labels rounded once."""
    norms = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    theta = np.random.default_rng(1).normal(size=rows.shape[1]) / norms * np.sqrt(len(rows))
    exact = theta.astype(np.longdouble)
    labels = [(rows[i : i + BATCH].astype(np.longdouble) @ exact).astype(float) for i in range(0, len(rows), BATCH)]
    return Case(name, rows, np.concatenate(labels), theta)


def random_rows(count: int, columns: int, condition: float) -> np.ndarray:
    """Independent entries, or with singular values that fall geometrically to 1/condition."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    graded = np.geomspace(1, 1 / condition, columns)[:, None] * turn
    rows = np.empty((count, columns))
    for i in range(0, count, BATCH):
        part = rng.normal(size=rows[i : i + BATCH].shape)
        rows[i : i + BATCH] = part if condition == 1 else part @ graded
    return rows


def ace_rows(cells: int) -> np.ndarray:
    """Force rows of 383 functions; the one that no force sees is left out."""
    basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=3, degree=14)
    cell = dg.vacancy().apply(dg.supercell(dg.fcc("Cu", 3.615), 4))
    rng = np.random.default_rng(0)
    moved = [replace(cell, positions=cell.positions + 0.05 * rng.normal(size=cell.positions.shape)) for _ in range(cells)]
    rows = np.concatenate([Forces(dg.Snapshot(c, c.positions, c.vectors, "vacancy"))(basis) for c in moved])
    return np.ascontiguousarray(rows[:, np.linalg.norm(rows, axis=0) > 0])


# the ways: each takes a case and gives the coefficients ---------------------------------------------------------------


def solved(factor: np.ndarray) -> np.ndarray:
    """Coefficients from the factor of [A | y]."""
    return solve_triangular(factor[:-1, :-1], factor[:-1, -1])[: factor.shape[1] - 1]


def by_dsyrk(c: Case) -> np.ndarray:
    gram, right = dsyrk(1.0, c.rows.T), c.rows.T @ c.labels
    norms = np.sqrt(np.diag(gram))
    try:
        return cho_solve(cho_factor(gram / np.outer(norms, norms)), right / norms) / norms
    except LinAlgError:
        return np.full(len(right), np.nan)


def by_stream(c: Case) -> np.ndarray:
    compressor = Compressor(c.rows.shape[1])
    for rows, labels in c.batches():
        compressor.add(rows, labels)
    return solved(compressor.factor())


def by_tsqr(c: Case) -> np.ndarray:
    factor = np.zeros((c.rows.shape[1] + 1,) * 2, order="F")
    for rows, labels in c.batches():
        factor = dtpqrt(0, min(64, len(factor)), factor, np.asfortranarray(np.column_stack([rows, labels])))[0]
    return solved(factor)


def by_qr(c: Case) -> np.ndarray:
    stacked = np.empty((len(c.rows), c.rows.shape[1] + 1), order="F")
    stacked[:, :-1], stacked[:, -1] = c.rows, c.labels
    return solved(qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0][: stacked.shape[1]])


def by_lstsq(c: Case) -> np.ndarray:
    return np.linalg.lstsq(c.rows, c.labels, rcond=0.0)[0]  # nothing cut off


class Run:
    """One way on one case; when called, it remembers what was found and how long that took."""

    def __init__(self, way: Callable[[Case], np.ndarray], c: Case):
        self.way, self.case = way, c
        self.found, self.seconds = np.empty(0), float("nan")

    def solve(self) -> None:
        self.found = self.way(self.case)

    def __call__(self) -> None:
        self.seconds = seconds(self.solve)


def measure(c: Case, ways: dict[str, tuple[Callable[[Case], np.ndarray], int]]) -> list[str]:
    """One line a way: median seconds and their spread, GF/s, ratio to dsyrk, MB, error. `ways` name (way, turns)."""
    times = {name: [] for name in ways}
    memory, errors = {}, {}
    for turn in range(max(turns for _, turns in ways.values())):
        for name in (name for name, (_, turns) in ways.items() if turn < turns):
            run = Run(ways[name][0], c)
            if turn == 0:
                memory[name] = peak(run)
            else:
                run()
            times[name].append(run.seconds)
            errors[name] = c.error(run.found)
    m, n = c.rows.shape
    base = float(np.median(times["dsyrk + Cholesky"]))
    names = {"random": "well conditioned", "graded": "condition 1e10", "ACE": "rows of ACE"}
    mine, theirs = (float(np.median(times[name])) for name in ("stream", "TSQR (dtpqrt)"))
    peer = ("dsyrk + Cholesky", base) if c.name == "random" else ("streamed TSQR", theirs)
    summary(f"R factor {m} x {n}, {names[c.name]}", "s", mine, *peer, base, f"{errors['stream']:.0e}")
    lines = []
    for name, taken in times.items():
        t = float(np.median(taken))
        spread = f"{min(taken):.2f} to {max(taken):.2f}" if len(taken) > 1 else "once"
        error = f"{errors[name]:.1e}" if np.isfinite(errors[name]) else "no factor"
        lines.append(
            f"| {c.name} | {m} x {n} | {name} | {t:.2f} ({spread}) | {m * n**2 / t / 1e9:.1f} | {t / base:.2f} "
            f"| {memory[name]:.0f} | {error} |"
        )
    return lines


WAYS = {
    "dsyrk + Cholesky": (by_dsyrk, 3),
    "stream": (by_stream, 3),
    "TSQR (dtpqrt)": (by_tsqr, 1),
    "LAPACK QR": (by_qr, 1),
}
CASES = {
    "random": (lambda count: random_rows(count, 1000, 1.0), WAYS),
    "graded": (lambda count: random_rows(count, 1000, 1e10), WAYS),
    "ACE": (lambda _: ace_rows(100), WAYS | {"numpy lstsq": (by_lstsq, 1)}),
}
ROWS, MANY = 60_000, 200_000


def main():
    count = MANY if "large" in sys.argv[1:] else ROWS
    chosen = [name for name in sys.argv[1:] if name != "large"] or list(CASES)
    print(machine("numpy", "scipy"))
    print("| rows | size | way | processor time (s) | GF/s | over dsyrk | peak (MB) | error of coefficients |")
    print("|---|---|---|---|---|---|---|---|")
    for name in chosen:
        rows, ways = CASES[name]
        c = case(name, rows(count))
        print("\n".join(measure(c, ways)), flush=True)
        compressor = Compressor(c.rows.shape[1])
        for a, y in c.batches():
            compressor.add(a, y)
        print(f"# {name}: {compressor.reduction()}", flush=True)
        del c


if __name__ == "__main__":
    main()
