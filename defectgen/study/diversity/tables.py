"""From trials to tables: diversity.csv, one row for every error of every fit, and what follows from its rows.

What follows: the best split of a budget, exponents of learning, errors over other errors of the same repetition (what a test
costs over an easier one, what a choice of structures is worth), and whether further observations move the best split.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..._typing import Float
from ...campaign import Given, Step
from ...errors.generalisation import Spread, exponent, geometric_mean, ratio, tradeoff, vertex, vertex_interval
from ..interface import Tables
from .domain import Measured
from .rows import UsedRows
from .source import OfDesign
from .split import CONFORMATIONAL, IN_DISTRIBUTION, RANDOM
from .steps import DesignTrial

Rows = list[dict[str, Any]]
BUDGET, SET = "fixed budget", "fixed set"
"""The two experiments."""
ABOUT = ("source", "selection", "observations", "model", "test")
"""What stays the same along a curve."""
COUNTS = ("configurations", "test_structures", "structures", "conformations", "labels", "atoms", "budget", "seed", "seconds")
BOTH = "conformational and structural"
"""The geometric mean of both errors."""
UNSEEN = "structural"
DESIGN = ("selection", "observations", "structures", "conformations", "seed")
QUANTITIES = ("forces_rmse", "energy_rmse", "virial_rmse", "geometry", "formation_energy")
"""What sets of observations are compared in."""

Experiments = Mapping[tuple[int, int, str], Sequence[str]]
"""(structures, conformations, selection) -> the experiments that a design is in."""


def tabulate(called: str, experiments: Experiments, steps: Sequence[Step[Any]], given: Given) -> Tables:
    """All tables of one data set; a trial whose result is missing is left out."""
    trials = [step for step in steps if isinstance(step, DesignTrial)]
    rows = [row for step in trials for row in _rows(called, experiments, step, given)]
    rows += list(combined(rows))
    skipped: Rows = []
    for step in steps:
        pool = given.get(step.pool) if isinstance(step, UsedRows) else None
        if pool is not None:
            skipped += [{"structure": name, "reason": reason} for name, why in pool.skipped.items() for reason in why]
    graded = [(step, given.get(step)) for step in steps if isinstance(step, Measured)]
    others = {
        "diversity": rows,
        "diversity_tradeoff": list(tradeoffs(rows)),
        "diversity_curves": [*fixed_sets(rows), *budget_curves(rows)],
        "diversity_gaps": list(gaps(rows)),
        "diversity_selections": list(selections(rows)),
        "diversity_domain": [
            {"source": called, **_design(step), **line} for step, found in graded if found is not None for line in found.lines
        ],
        "diversity_skipped": skipped,
    }
    return Tables(others={name: lines for name, lines in others.items() if lines})


def _rows(called: str, experiments: Experiments, step: DesignTrial, given: Given) -> Iterator[dict[str, Any]]:
    found = given.get(step)
    if found is None:
        return
    for experiment in experiments[step.structures, step.conformations, step.selection]:
        for line in found.tests:
            yield {
                "source": called,
                "experiment": experiment,
                **_design(step),
                "labels": found.labels,
                "atoms": found.atoms,
                **line,
                "seconds": given.seconds(step),
            }


def _design(step: OfDesign[Any]) -> dict[str, Any]:
    return {**{name: getattr(step, name) for name in DESIGN}, "budget": step.labels}


def combined(rows: Rows) -> Iterator[dict[str, Any]]:
    """For applications to known and new structures alike: of every fit the geometric mean of both errors, as a test BOTH."""
    about = ("source", "experiment", *DESIGN, "model")
    fits: dict[tuple, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        fits[tuple(row[name] for name in about)][row["test"]] = row
    for tests in fits.values():
        if CONFORMATIONAL in tests and UNSEEN in tests:
            one, other = tests[CONFORMATIONAL], tests[UNSEEN]
            shared = [q for q in quantities([one]) if positive(one.get(q)) and positive(other.get(q))]
            kept = {name: value for name, value in one.items() if name not in quantities([one])}
            kept |= {name: one[name] + other[name] for name in ("configurations", "test_structures")}
            yield {**kept, "test": BOTH, **{q: float(np.sqrt(one[q] * other[q])) for q in shared}}


def quantities(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Numbers of these rows that are errors, those that a source adds among them: energies eV/atom, forces eV/A."""
    known = {*ABOUT, *COUNTS, "experiment"}
    return list(dict.fromkeys(k for row in rows for k, v in row.items() if k not in known and isinstance(v, int | float)))


def positive(value: Any) -> bool:
    """Whether a value is a number with a logarithm."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(0 < value < math.inf)


def spread(name: str, found: Spread) -> dict[str, float]:
    """The columns of a mean with its interval."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def tradeoffs(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a budget, test and quantity: the best split with its interval, and whether it is a balance."""
    for about, quantity, own in _curves(rows, BUDGET, ("budget",)):
        sizes, errors = _matrix(own, "structures", quantity)
        if len(sizes) < 3 or len(errors) == 0:
            continue
        found = tradeoff(sizes, errors)
        at = int(np.argmin([s.value for s in found.errors]))
        n = about["budget"]
        yield {
            **about,
            "quantity": quantity,
            "best_structures": found.best,
            "low": found.low,
            "high": found.high,
            "best_conformations": n / found.best,
            "verdict": found.verdict,
            "tolerated_low": found.tolerated[0],
            "tolerated_high": found.tolerated[1],
            "error": found.errors[at].value,
            "error_low": found.errors[at].low,
            "error_high": found.errors[at].high,
            "at_structures": sizes[at],
            **spread("fewest", found.fewest),
            **spread("most", found.most),
            "splits": len(sizes),
            "seeds": len(errors),
        }


def fixed_sets(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a set, test and quantity: the exponent of the error in the number of configurations of each structure."""
    for about, quantity, own in _curves(rows, SET, ("structures",)):
        sizes, errors = _matrix(own, "conformations", quantity)
        if len(sizes) >= 2 and len(errors):
            yield {**about, "experiment": SET, "quantity": quantity, **_exponent(sizes, errors)}


def budget_curves(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a test and quantity: the exponent of the error in the budget, each split in the way that is best in the mean.

    The tests on structures that all splits train on are left out: these structures differ between the budgets.
    """
    by_curve: dict[tuple, dict[float, dict[float, float]]] = defaultdict(dict)
    for about, quantity, own in _curves(rows, BUDGET, ("budget",)):
        sizes, errors = _matrix(own, "structures", quantity)
        if len(sizes) and len(errors) and CONFORMATIONAL not in about["test"]:
            best = int(np.argmin(np.log(errors).mean(axis=0)))
            seeds = _seeds(own, "structures", quantity)
            key = (*(about[name] for name in ABOUT), quantity)
            by_curve[key][about["budget"]] = dict(zip(seeds, errors[:, best].tolist(), strict=True))
    for key, each in by_curve.items():
        seeds = sorted(set.intersection(*(set(found) for found in each.values())))
        if len(each) >= 2 and seeds:
            errors = np.array([[each[n][seed] for n in sorted(each)] for seed in seeds])
            about = dict(zip(ABOUT, key[:-1], strict=True))
            yield {**about, "experiment": BUDGET, "quantity": key[-1], **_exponent(np.array(sorted(each), dtype=float), errors)}


def _curves(rows: Rows, experiment: str, extra: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str, Rows]]:
    """Rows of one curve and each quantity that they have."""
    names = (*ABOUT, *extra)
    groups: dict[tuple, Rows] = defaultdict(list)
    for row in rows:
        if row["experiment"] == experiment:
            groups[tuple(row[name] for name in names)].append(row)
    for key, own in groups.items():
        for quantity in quantities(own):
            yield dict(zip(names, key, strict=True)), quantity, own


def _by_seed(own: Rows, size: str, quantity: str) -> tuple[list, dict[int, dict[float, float]]]:
    found: dict[int, dict[float, float]] = defaultdict(dict)
    for row in own:
        if positive(row.get(quantity)):
            found[row["seed"]][row[size]] = float(row[quantity])
    sizes = sorted({s for each in found.values() for s in each})
    return sizes, {seed: each for seed, each in sorted(found.items()) if set(each) == set(sizes)}


def _seeds(own: Rows, size: str, quantity: str) -> list[int]:
    return list(_by_seed(own, size, quantity)[1])


def _matrix(own: Rows, size: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Sizes, ascending, and the errors of every seed that has all of them."""
    sizes, complete = _by_seed(own, size, quantity)
    return np.array(sizes, dtype=float), np.array([[each[s] for s in sizes] for each in complete.values()])


def _exponent(sizes: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    found = exponent(sizes, errors)
    return {
        "slope": found.slope,
        "low": found.low,
        "high": found.high,
        "last_slope": found.last,
        "last_low": found.last_low,
        "last_high": found.last_high,
        "sizes": " ".join(f"{s:g}" for s in sizes),
        "seeds": found.repetitions,
    }


def gaps(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a design, test and quantity: the error over those in distribution and of known structures, paired by seed."""
    designs: dict[tuple, dict[str, dict[int, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    about = ("source", "experiment", "selection", "observations", "model", "budget", "structures", "conformations")
    for row in rows:
        designs[tuple(row[name] for name in about)][row["test"]][row["seed"]] = row
    for key, tests in designs.items():
        for test, own in tests.items():
            for quantity in quantities(own.values()):
                line = {**dict(zip(about, key, strict=True)), "test": test, "quantity": quantity}
                values = {seed: row[quantity] for seed, row in own.items() if positive(row.get(quantity))}
                if not values:
                    continue
                line |= spread("error", geometric_mean(np.array(list(values.values()), dtype=float)))
                for name, base in (("over_in_distribution", IN_DISTRIBUTION), ("over_conformational", CONFORMATIONAL)):
                    others = {seed: row[quantity] for seed, row in tests.get(base, {}).items() if positive(row.get(quantity))}
                    both = sorted(set(values) & set(others))
                    if both and test != base:
                        pair = (np.array([each[seed] for seed in both], dtype=float) for each in (values, others))
                        line |= spread(name, ratio(*pair))
                yield line


def selections(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a design that was chosen otherwise than at random: its errors over those of the random one, paired by seed."""
    key = ("source", "experiment", "observations", "model", "budget", "structures", "conformations", "test")
    random: dict[tuple, dict[int, dict]] = defaultdict(dict)
    other: dict[tuple, dict[int, dict]] = defaultdict(dict)
    for row in rows:
        own = tuple(row[name] for name in key)
        if row["selection"] == RANDOM:
            random[own][row["seed"]] = row
        else:
            other[(*own, row["selection"])][row["seed"]] = row
    for own, found in other.items():
        base = random.get(own[:-1], {})
        for quantity in quantities(found.values()):
            both = [s for s in sorted(set(found) & set(base)) if all(positive(r[s].get(quantity)) for r in (found, base))]
            if both:
                pair = (np.array([each[s][quantity] for s in both], dtype=float) for each in (found, base))
                about = dict(zip(key, own[:-1], strict=True))
                yield {**about, "selection": own[-1], "quantity": quantity, **spread("over_random", ratio(*pair))}


def shifts(rows: Rows, base: str) -> Iterator[dict[str, Any]]:
    """One line a budget, test, quantity and set of observations other than `base`; rows are those of diversity.csv.

    `shift` is log2 of the best number of structures with this set over that with `base`, its interval from those of
    both; `gain_*` the error over that of `base`, paired by seed, for the fewest structures, the
    most, and all splits together: below one the observations help.
    """
    curves: dict[tuple, dict[str, dict[int, dict[int, float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for row in rows:
        if row["experiment"] == BUDGET and row["selection"] == RANDOM:
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
    sizes: Sequence[int], before: Float[np.ndarray, "seeds splits"], after: Float[np.ndarray, "seeds splits"]
) -> tuple[float, float]:
    """95 % interval of the shift: all differences of the intervals of both, which covers 95 % whichever of them is wider."""
    structures = np.array(sizes, dtype=float)
    (low, high), (least, most) = (np.log2(vertex_interval(structures, np.log(errors))) for errors in (before, after))
    return float(least - high), float(most - low)
