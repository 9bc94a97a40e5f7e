"""Another loss on the same labels: re-fits from shared factors beside least squares on all rows.

Why this case: a designer of a potential tries hundreds of losses. The rows do not change, only weights, distance powers and the
prior, so a re-fit should cost milliseconds where a fit from the rows costs seconds, and lose no digit that matters.

Peers: `numpy.linalg.lstsq` and `scipy.linalg.lstsq` (gelsy: QR with pivoting) on all weighted rows, and Householder QR of all rows
followed by a triangular solve, which is what linear ACE codes do for each new weighting (ACEpotentials, ace-jax).
Ours: `dg.fit` of one loss (the R factors of all blocks joined again) and `dg.refit` of a list (one shared factorisation).

What limits it: the weighted sum of the packed Gram matrices reads blocks n (n + 1) / 2 numbers, the Cholesky factorisation makes
n^3 / 3 operations; both are counted at the rates that this machine copies and multiplies with. The error is the weighted
residual over the least one found by any way, less one: what a designer would notice.

    python benchmarks/bench_refit.py            about 500 functions; compilation first, some minutes
    python benchmarks/bench_refit.py 10         a smaller degree
"""

from timing import bandwidth, dgemm_rate, machine, seconds, summary  # isort: skip  (first: it pins the threads)

import sys
import warnings

import numpy as np
import scipy.linalg as sl

import defectgen as dg
from defectgen.training import Blocks

TURNS = 5
PEERS = {
    "numpy lstsq, all rows": lambda a, y: np.linalg.lstsq(a, y, rcond=0.0)[0],
    "scipy lstsq (gelsy), all rows": lambda a, y: sl.lstsq(a, y, lapack_driver="gelsy", check_finite=False)[0],
    "QR of all rows": lambda a, y: (lambda r: sl.solve_triangular(r[:-1, :-1], r[:-1, -1]))(triangle_of(a, y)),
}


def triangle_of(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return sl.qr(np.column_stack([a, y]), mode="r", check_finite=False)[0][: a.shape[1] + 1]


def rows(degree: float) -> Blocks:
    """A vacancy in copper, kept apart by configuration, shell, range and strain."""
    truth = dg.reference.CleriRosato("Cu")
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    cells = dg.training_cells(lattice, dg.vacancy(), 3, rattle=dg.Rattle(5, 0.02), strains=dg.Strains((0.01, 0.02)))
    basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=3, degree=degree)
    return dg.label(cells, truth, basis, ["E", "F", "FC", "V"], subdivide=True)


def weighted(blocks: Blocks, loss: dg.Loss) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a loss, those of the prior below: what a code without compressed rows solves."""
    stacked = [m * b.factor for b, m in zip(blocks.items, loss.multipliers(blocks), strict=True) if m > 0]
    prior = 1e-6 * (1.0 + np.asarray(blocks.basis.smoothness(4.0)))
    stacked.append(np.column_stack([np.diag(prior), np.zeros(len(prior))]))
    whole = np.concatenate(stacked)
    return whole[:, :-1], whole[:, -1]


def main():
    warnings.simplefilter("ignore")
    degree = float(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(machine("numpy", "scipy"))
    blocks = rows(degree)
    n = blocks.columns
    grid = dg.losses(
        weights={"E": [1, 30, 1000], "FC": [0.1, 1, 10], "V": [0.1, 1, 10]}, force_distance_power=[0, 1], prior="smoothness"
    )
    chosen = grid[::11][:TURNS]
    systems = [weighted(blocks, loss) for loss in chosen]
    m = len(systems[0][0])
    found: dict[str, list[np.ndarray]] = {}
    times: dict[str, list[float]] = {}

    def solve(name, way, *given):
        times.setdefault(name, []).append(seconds(lambda: found.setdefault(name, []).append(way(*given))))

    for a, y in systems:
        for name, way in PEERS.items():
            solve(name, way, a, y)
    for loss in chosen:
        solve("dg.fit of one loss", lambda loss: dg.fit(blocks, loss).coefficients, loss)
    lists = []
    whole, twice = (seconds(lambda k=k: lists.append(dg.refit(blocks, k * grid))) for k in (1, 2))
    many = lists[0]
    places = [grid.index(loss) for loss in chosen]
    found["dg.refit, each loss"] = [many[k].coefficients for k in places]
    times["dg.refit, each loss"] = [(twice - whole) / len(grid)]  # what one loss more costs
    assert all(each.shared for each in many), "a loss of the grid was fitted by itself"
    least = [min(np.linalg.norm(a @ own[k] - y) for own in found.values()) for k, (a, y) in enumerate(systems)]
    print(
        f"{n} functions, {m} rows, {len(blocks.items)} blocks, {len(grid)} losses; all by dg.refit in {whole:.2f} s processor time"
    )
    print("| way | seconds a loss (least to most) | residual over the least, less one |")
    print("|---|---|---|")
    errors = {}
    for name, taken in times.items():
        own = [np.linalg.norm(a @ theta - y) / low - 1 for theta, (a, y), low in zip(found[name], systems, least, strict=True)]
        errors[name] = max(own)
        print(f"| {name} | {np.median(taken):.4f} ({min(taken):.4f} to {max(taken):.4f}) | {max(own):.0e} |", flush=True)
    classes = 12  # groups of blocks whose weights go together in this grid: E, FC, V, V0 and the shells of F
    limit = 8 * classes * n * (n + 1) / 2 / bandwidth() * 2 + n**3 / 3 / dgemm_rate()
    print(f"limit of one re-fit (read {classes} packed matrices, one Cholesky factorisation): {limit:.4f} s")
    ours, peer = np.median(times["dg.refit, each loss"]), "numpy lstsq, all rows"
    summary(
        f"re-fit, {n} functions",
        "ms",
        1e3 * ours,
        peer,
        1e3 * np.median(times[peer]),
        1e3 * limit,
        f"{errors['dg.refit, each loss']:.0e}",
    )


if __name__ == "__main__":
    main()
