"""What a run found, in sentences made from its tables alone: comparison of the observation sets, rates, what did not work."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors.verdicts import WANTED
from ..plot.style import in_reading_order
from ..plot.typeset import decimal, number, slope
from ..study import Run
from ..study.columns import WARNED
from ..study.page import Page

_ERRORS = {"geometry": ("geometry_error", "Å"), "energy": ("energy_error", "eV")}


@dataclass(frozen=True)
class Comparison:
    """The errors of one case at the largest training radius that all its observation sets reached.

    Attributes:
        case: material and defect.
        quantity: geometry or energy; unit: Å or eV.
        radius: training radius (nearest-neighbour spacings).
        errors: observation set -> absolute error.
    """

    case: str
    quantity: str
    unit: str
    radius: float
    errors: dict[str, float]


def comparisons(results: pd.DataFrame, compared: Collection[str]) -> list[Comparison]:
    """One for each case and quantity with at least two observation sets; only converged points in the right basin.

    `compared` are the values of the column `study` whose rows count.
    """
    found = []
    for (material, defect), rows in results[results["study"].isin(list(compared))].groupby(["material", "defect"], sort=False):
        for quantity, (column, unit) in _ERRORS.items():
            good = rows[rows["converged"] & rows["same_basin"] & np.isfinite(rows[column])]
            good = good.assign(size=good[column].abs())
            table = _means(good, "size").dropna()
            if len(table) and len(table.columns) > 1:
                errors = {name: float(table.iloc[-1][name]) for name in in_reading_order(table.columns)}
                found.append(Comparison(f"{material} {defect}", quantity, unit, float(table.index[-1]), errors))
    return found


def _means(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Geometric means of a column of numbers >= 0 over the perturbations: a line a training radius, a column a set."""
    with np.errstate(divide="ignore"):  # the logarithm of 0, which gives 0 again
        logarithms = np.log(rows[column])
    return np.exp(logarithms.groupby([rows["training_radius"], rows["observations"]]).mean()).unstack()


BEFORE_FIGURES = 5
"""Sentences that a page has before its first figure."""


def ranked(run: Run, page: Page, compared: list[Comparison]) -> tuple[list[str], list[str]]:
    """Sentences before the first figure, the answer first, and those after the figures.

    What did not work is among the first, so that no reader misses it.
    """
    slopes, troubles = list(_rates(run)), list(_troubles(run))
    told = [*page.findings, *slopes[:1], *_orderings(compared), *slopes[1:]] or ["No case was finished."]
    room = BEFORE_FIGURES - len(troubles[:1])
    return [*told[:room], *troubles[:1]], [*told[room:], *page.remarks, *troubles[1:]]


def _orderings(compared: list[Comparison]) -> Iterator[str]:
    """Which set has the smallest and which the largest error, and by how much they differ."""
    if not compared:
        return
    best = Counter(min(each.errors, key=each.errors.__getitem__) for each in compared)
    worst = Counter(max(each.errors, key=each.errors.__getitem__) for each in compared)
    yield (
        f"At the largest training radius the smallest error belongs to {_tally(best, len(compared))}, "
        f"the largest to {_tally(worst, len(compared))} (geometry and energy of each defect counted apart)."
    )
    for quantity in _ERRORS:
        factors = [
            max(e.errors.values()) / min(e.errors.values()) for e in compared if e.quantity == quantity and min(e.errors.values())
        ]
        if factors:
            span = number(min(factors)) if len(factors) == 1 else f"{number(min(factors))} to {number(max(factors))}"
            yield f"There the choice of observations changes the {quantity} error by a factor of {span}."


def _tally(counts: Counter[str], total: int) -> str:
    parts = [f"{name} in {count} of {total}" for name, count in counts.most_common()]
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _rates(run: Run) -> Iterator[str]:
    """How many rates came out how, why some decide nothing, and the one that is farthest from its prediction."""
    rates = run.rates
    if rates.empty:
        return
    counts = Counter(verdict or "no verdict" for verdict in rates["verdict"])
    listing = ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common())
    total = f"{len(rates)} {'curve' if len(rates) == 1 else 'curves'}"
    agree = sum(counts[word] for word in ("confirmed", "within tolerance"))
    if np.isfinite(rates["slope"]).any():
        yield f"By the 95 % intervals the slopes of {agree} of {total} agree with the predicted rates ({listing})."
    else:
        yield f"No slope was measured: none of {total} has enough points in its window."
    if open_ := counts["inconclusive"]:
        remarks = rates[rates["verdict"] == "inconclusive"].get("remark", pd.Series(dtype=str))
        why = Counter(re.sub(r"^power \d+ %: ", "", part) for text in remarks for part in str(text).split("; ") if text)
        listed = "; ".join(f"{part} ({count})" for part, count in why.most_common(3))
        missing = f": {listed}" if why else "; see their intervals"
        yield (
            f"Inconclusive ({open_} of {len(rates)}) speaks neither for nor against the theory: the points allow too wide a "
            f"range of slopes{missing}."
        )
    if "power" in rates:
        yield from _power(rates)
    order = {name: place for place, name in enumerate(in_reading_order(rates["observations"]))}
    known = rates[np.isfinite(rates["low"] + rates["high"]) & np.isfinite(rates["slope"] - rates["predicted"])]
    known = known[known["verdict"] != "inconclusive"]
    if known.empty:
        return
    far = known.assign(miss=(known["slope"] - known["predicted"]).abs(), place=known["observations"].map(order))
    worst = far.sort_values(["miss", "place"], ascending=[False, True]).iloc[0]
    yield (
        f"Farthest from its prediction: {worst['material']} {worst['defect']}, {worst['observations']}, {worst['quantity']}: "
        f"slope {decimal(worst['slope'])} measured, {slope(worst['predicted'])} predicted, {worst['verdict']}."
    )


def _power(rates: pd.DataFrame) -> Iterator[str]:
    """What the confirmations of a run are worth."""
    own = rates[rates["verdict"] == "confirmed"]
    wrong, power = (pd.to_numeric(own[name], errors="coerce").dropna() for name in ("false_confirmation", "power"))
    if own.empty or wrong.empty:
        return
    weak = int((power < WANTED).sum())
    yield (
        f"Of curves like the confirmed ones with an exponent off by the tolerance, at most {wrong.max() * 100:.0f} % would be "
        f"confirmed; of curves with the predicted exponent at least {power.min() * 100:.0f} %"
        + (f" (below {WANTED * 100:.0f} % for {weak} of {len(own)})." if weak else ".")
    )


def _troubles(run: Run) -> Iterator[str]:
    """What did not converge, strayed or failed; every point is counted once."""
    results, total = run.results, len(run.results)
    loose, strayed = ~results["converged"], ~results["same_basin"]
    unstable = results["stable"].astype(str) == "False" if "stable" in results else loose & False
    kinds = {
        "not converged": loose,
        "in another basin than the reference": strayed & ~loose & ~unstable,
        "unstable (at a saddle point, or the crystal falls apart)": unstable & ~loose,
    }
    counts = {what: int(lost.sum()) for what, lost in kinds.items() if lost.any()}
    warned = run.failures["reason"].astype(str).str.startswith(WARNED) if len(run.failures) else pd.Series(dtype=bool)
    failed = run.failures[~warned]["label"].nunique() if len(run.failures) else 0
    if counts:
        listed = ", ".join(f"{count} {what}" for what, count in counts.items())
        reasons = "; their reasons are among the failures below" if failed else ""
        yield f"In no rate: {sum(counts.values())} of {total} points ({listed}){reasons}."
    elif failed:
        yield f"{failed} {'case' if failed == 1 else 'cases'} failed or gave no result; the reasons are below."
    if warned.any():
        count = run.failures[warned]["label"].nunique()
        several = "fit has a warning and is" if count == 1 else "fits have a warning and are"
        yield f"{count} {several} counted all the same."
