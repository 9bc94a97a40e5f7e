"""From trials to tables: diversity.csv, and per budget, set, test and quantity the trade-off, the learning curve and the gap."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..campaign import Record, Task
from ..errors.generalisation import exponent, geometric_mean, ratio, tradeoff
from .diversity_split import CONFORMATIONAL, IN_DISTRIBUTION
from .tabulation import Tables

STEPS = "defectgen.study.diversity_steps"
ROWS_TASK, TRIAL_TASK = f"{STEPS}:rows", f"{STEPS}:trial"
DOMAIN_TASK = "defectgen.study.diversity_domain:measured"
BUDGET, SET = "fixed budget", "fixed set"

ABOUT = ("source", "selection", "observations", "model", "test")
"""What stays the same along a curve."""
COUNTS = ("configurations", "test_structures", "structures", "conformations", "labels", "atoms", "budget", "seed", "seconds")
QUANTITIES = ("energy", "energy_rmse", "offset", "shape", "shape_rmse", "forces", "forces_rmse")
"""Errors of a test set: energies eV/atom, forces eV/A; sources may add others."""

DESIGN = ("selection", "observations", "structures", "conformations", "seed")
BOTH = "conformational and structural"
"""The geometric mean of both errors."""
UNSEEN = "structural"

Rows = list[dict[str, Any]]
Experiments = dict[tuple[int, int, str], list[str]]
"""(structures, conformations, selection) -> the experiments that a design is in."""


def tabulate(
    source: str,
    experiments: Experiments,
    outcome: list[tuple[Task, Record]],
) -> Tables:
    """All tables of a study of diversity."""
    rows, pool = [], None
    for task, record in outcome:
        if task.function == ROWS_TASK:
            pool = task.after[0]
        if task.function == TRIAL_TASK and record.ok:
            rows += _rows(source, experiments, task, record)
    rows += list(combined(rows))
    records = {task.key: record for task, record in outcome}
    skipped: Rows = []
    if pool is not None and records[pool.key].ok:
        found = records[pool.key].values["skipped"]
        skipped = [{"structure": name, "reason": reason} for name, reasons in found.items() for reason in reasons]
    others = {
        "diversity": rows,
        "diversity_tradeoff": list(tradeoffs(rows)),
        "diversity_curves": [*fixed_sets(rows), *budget_curves(rows)],
        "diversity_gaps": list(gaps(rows)),
        "diversity_selections": list(selections(rows)),
        "diversity_domain": [
            {"source": source, **_design(task), **line}
            for task, record in outcome
            if task.function == DOMAIN_TASK and record.ok
            for line in record.values["lines"]
        ],
        "diversity_skipped": skipped,
    }
    return Tables(others={name: lines for name, lines in others.items() if lines})


def _rows(source: str, experiments: Experiments, task: Task, record: Record) -> Iterator[dict[str, Any]]:
    own = task.spec["structures"], task.spec["conformations"], task.spec["selection"]
    for experiment in experiments[own]:
        for line in record.values["tests"]:
            yield {
                "source": source,
                "experiment": experiment,
                **_design(task),
                "labels": record.values["labels"],
                "atoms": record.values["atoms"],
                **line,
                "seconds": record.seconds,
            }


def _design(task: Task) -> dict[str, Any]:
    return {**{name: task.spec[name] for name in DESIGN}, "budget": task.spec["structures"] * task.spec["conformations"]}


def combined(rows: Rows) -> Iterator[dict[str, Any]]:
    """For a use that meets seen and unseen structures alike: of every fit the geometric mean of both errors, as a test BOTH."""
    about = ("source", "experiment", *DESIGN, "model")
    fits: dict[tuple, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        fits[tuple(row[name] for name in about)][row["test"]] = row
    for tests in fits.values():
        if CONFORMATIONAL in tests and UNSEEN in tests:
            one, other = tests[CONFORMATIONAL], tests[UNSEEN]
            shared = [q for q in _quantities([one]) if _positive(one.get(q)) and _positive(other.get(q))]
            kept = {name: value for name, value in one.items() if name not in _quantities([one])}
            kept |= {name: one[name] + other[name] for name in ("configurations", "test_structures")}
            yield {**kept, "test": BOTH, **{q: float(np.sqrt(one[q] * other[q])) for q in shared}}


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
            **_spread("fewest", found.fewest),
            **_spread("most", found.most),
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

    Not of the tests on structures that all splits have seen: these are others for every budget.
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


def gaps(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a design, test and quantity: the error over that in distribution and that of seen structures, paired by seed."""
    designs: dict[tuple, dict[str, dict[int, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    about = ("source", "experiment", "selection", "observations", "model", "budget", "structures", "conformations")
    for row in rows:
        designs[tuple(row[name] for name in about)][row["test"]][row["seed"]] = row
    for key, tests in designs.items():
        for test, own in tests.items():
            for quantity in _quantities(own.values()):
                line = {**dict(zip(about, key, strict=True)), "test": test, "quantity": quantity}
                values = {seed: row[quantity] for seed, row in own.items() if _positive(row.get(quantity))}
                if not values:
                    continue
                line |= _spread("error", geometric_mean(np.array(list(values.values()))))
                for name, base in (("over_in_distribution", IN_DISTRIBUTION), ("over_conformational", CONFORMATIONAL)):
                    others = {seed: row[quantity] for seed, row in tests.get(base, {}).items() if _positive(row.get(quantity))}
                    both = sorted(set(values) & set(others))
                    if both and test != base:
                        pair = (np.array([each[seed] for seed in both]) for each in (values, others))
                        line |= _spread(name, ratio(*pair))
                yield line


def selections(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a design that was chosen otherwise than at random: its errors over those of the random one, paired by seed."""
    key = ("source", "experiment", "observations", "model", "budget", "structures", "conformations", "test")
    random: dict[tuple, dict[int, dict]] = defaultdict(dict)
    other: dict[tuple, dict[int, dict]] = defaultdict(dict)
    for row in rows:
        own = tuple(row[name] for name in key)
        if row["selection"] == "random":
            random[own][row["seed"]] = row
        else:
            other[(*own, row["selection"])][row["seed"]] = row
    for own, found in other.items():
        base = random.get(own[:-1], {})
        for quantity in _quantities(found.values()):
            both = [s for s in sorted(set(found) & set(base)) if all(_positive(r[s].get(quantity)) for r in (found, base))]
            if both:
                pair = (np.array([each[s][quantity] for s in both]) for each in (found, base))
                about = dict(zip(key, own[:-1], strict=True))
                yield {**about, "selection": own[-1], "quantity": quantity, **_spread("over_random", ratio(*pair))}


def _curves(rows: Rows, experiment: str, extra: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str, Rows]]:
    """Rows of one curve and each quantity that they have."""
    names = (*ABOUT, *extra)
    groups: dict[tuple, Rows] = defaultdict(list)
    for row in rows:
        if row["experiment"] == experiment:
            groups[tuple(row[name] for name in names)].append(row)
    for key, own in groups.items():
        for quantity in _quantities(own):
            yield dict(zip(names, key, strict=True)), quantity, own


def _quantities(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Numbers of these rows that are errors: the known ones and what a source adds."""
    known = {*ABOUT, *COUNTS, "experiment"}
    found = dict.fromkeys(k for row in rows for k, v in row.items() if k not in known and isinstance(v, int | float))
    return [k for k in found if not isinstance(k, bool)]


def _by_seed(own: Rows, size: str, quantity: str) -> tuple[list, dict[int, dict[float, float]]]:
    found: dict[int, dict[float, float]] = defaultdict(dict)
    for row in own:
        if _positive(row.get(quantity)):
            found[row["seed"]][row[size]] = float(row[quantity])
    sizes = sorted({s for each in found.values() for s in each})
    return sizes, {seed: each for seed, each in sorted(found.items()) if set(each) == set(sizes)}


def _seeds(own: Rows, size: str, quantity: str) -> list[int]:
    return list(_by_seed(own, size, quantity)[1])


def _matrix(own: Rows, size: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Sizes, ascending, and the errors of every seed that has all of them."""
    sizes, complete = _by_seed(own, size, quantity)
    return np.array(sizes, dtype=float), np.array([[each[s] for s in sizes] for each in complete.values()])


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) and value > 0


def _spread(name: str, spread) -> dict[str, float]:
    return {name: spread.value, f"{name}_low": spread.low, f"{name}_high": spread.high}


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
