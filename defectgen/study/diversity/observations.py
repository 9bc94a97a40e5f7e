"""Do further observations move the optimum? The same splits of one budget, with one set of observations and with another."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..._typing import Float
from ...errors.generalisation import ratio
from ...errors.generalisation.tradeoff import RESAMPLES, vertex
from .rows import BUDGET, Rows, positive

QUANTITIES = ("forces_rmse", "energy_rmse", "virial_rmse", "geometry", "formation_energy")


def shifts(rows: Rows, base: str) -> Iterator[dict[str, Any]]:
    """One line a budget, test, quantity and set of observations other than `base`; rows are those of diversity.csv.

    `shift` is log2 of the best number of structures with this set over that with `base`, its interval from resampling the seeds
    of both together (they share draws); `gain_*` the error over that of `base`, paired by seed, for the fewest structures, the
    most, and all splits together: below one the observations help.
    """
    curves: dict[tuple, dict[str, dict[int, dict[int, float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for row in rows:
        if row["experiment"] == BUDGET and row["selection"] == "random":
            for quantity in QUANTITIES:
                value: Any = row.get(quantity)
                if positive(value):
                    key = row["source"], row["budget"], row["model"], row["test"], quantity
                    curves[key][row["observations"]][row["seed"]][row["structures"]] = float(value)
    for key, sets in curves.items():
        for observations, own in sets.items():
            if observations != base and base in sets:
                line = _compared(sets[base], own)
                if line is not None:
                    names = ("source", "budget", "model", "test", "quantity")
                    yield {**dict(zip(names, key, strict=True)), "observations": observations, "against": base, **line}


def _compared(base: dict[int, dict[int, float]], other: dict[int, dict[int, float]]) -> dict[str, Any] | None:
    """What one set of observations changes; None without two seeds that have all splits of both."""
    sizes = sorted({s for each in base.values() for s in each} & {s for each in other.values() for s in each})
    seeds = [k for k in sorted(set(base) & set(other)) if set(sizes) <= set(base[k]) and set(sizes) <= set(other[k])]
    if len(sizes) < 3 or len(seeds) < 2:
        return None
    before, after = (np.array([[found[k][s] for s in sizes] for k in seeds]) for found in (base, other))
    low, high = _interval(sizes, before, after)
    structures = np.array(sizes, dtype=float)
    best = [float(vertex(structures, np.log(e).mean(axis=0))) for e in (before, after)]
    spread = {
        "gain_fewest": ratio(after[:, 0], before[:, 0]),
        "gain_most": ratio(after[:, -1], before[:, -1]),
        "gain": ratio(np.exp(np.log(after).mean(axis=1)), np.exp(np.log(before).mean(axis=1))),
    }
    found: dict[str, Any] = {"best_before": best[0], "best_after": best[1], "shift": float(np.log2(best[1] / best[0]))}
    found |= {"shift_low": low, "shift_high": high, "moves": bool(low > 0 or high < 0), "seeds": len(seeds)}
    for name, each in spread.items():
        found |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return found


def _interval(
    sizes: Sequence[int], before: Float[np.ndarray, "seeds splits"], after: Float[np.ndarray, "seeds splits"], seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the shift, percentiles of resampled seeds."""
    structures = np.array(sizes, dtype=float)
    chosen = np.random.default_rng(seed).integers(len(before), size=(RESAMPLES, len(before)))
    one, two = (vertex(structures, np.log(errors)[chosen].mean(axis=1)) for errors in (before, after))
    drawn = np.log2(two / one)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
