"""What a study of diversity says, in sentences made from its tables alone."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from defectgen.plot.typeset import decimal, number
from defectgen.report.diversity.cells import counted, decimals, interval, spans

FIRST = ("forces", "energy", "shape", "geometry_error")
"""Quantities that sentences are about, the first that is there."""
NAMES = {
    "forces": "force error",
    "energy": "energy error",
    "shape": "error of relative energies",
    "geometry_error": "geometry error",
    "formation_energy_error": "error of the formation energy",
}
SEEN = ("in-distribution", "conformational", "structural", "conformational and structural")
"""Tests that the answer must serve at once: new configurations of known structures, and unseen structures."""
BASELINE = "kernel ridge"
LEVERAGE = "leverage of the forces"


def budget_findings(others: dict[str, pd.DataFrame]) -> list[str]:
    """The answer for a producer of data, what the ends cost, learning curves, gaps, the second model, and the domain."""
    best = others.get("diversity_tradeoff")
    found: list[str] = []
    if best is not None:
        for _, own in _plain(best).groupby(["source", "observations"], sort=False):
            found += [*_answer(own), *_balance(own), *_ends(own), *_models(own)]
    return [
        *found,
        *_exponents(others.get("diversity_curves")),
        *_gaps(others.get("diversity_gaps"), best),
        *_selections(others.get("diversity_selections")),
        *_domain(others.get("diversity_domain")),
        *_skipped(others.get("diversity_skipped")),
    ]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["selection"] == "random"]


def _main(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The model of the package and the quantity that is spoken about."""
    own = table[table["model"] != BASELINE]
    quantity = next((q for q in FIRST if q in set(own["quantity"])), own["quantity"].iloc[0])
    return quantity, own[own["quantity"] == quantity]


def _answer(best: pd.DataFrame) -> Iterator[str]:
    """The split that is best for each budget, and the splits that serve all tests."""
    quantity, own = _main(best)
    for test in dict.fromkeys(own["test"]):
        if test not in SEEN:
            continue
        parts = [
            f"{line['budget']:.0f} labels: {_split(line)}"
            for line in own[own["test"] == test].sort_values("budget").to_dict("records")
        ]
        yield (
            f"Least {_named(quantity)}, test {test}: "
            + "; ".join(parts)
            + " (structures x configurations of each, 95 % interval)."
        )
    for budget, lines in own[own["test"].isin(SEEN[:3])].groupby("budget"):
        low, high = lines["tolerated_low"].max(), lines["tolerated_high"].min()
        tests = ", ".join(lines["test"])
        if low <= high:
            span = _pair(low, budget) if low == high else f"{_pair(low, budget)} to {_pair(high, budget)}"
            yield f"With {budget:.0f} labels, {span} is within ten per cent of the best {_named(quantity)} on all of: {tests}."
        else:
            yield (
                f"With {budget:.0f} labels no split is within ten per cent of the best {_named(quantity)} on all of: {tests}; "
                "they pull in different directions."
            )


def _split(line: dict) -> str:
    s, n = line["best_structures"], line["budget"]
    return f"{_pair(s, n)} ({line['low']:.3g} to {line['high']:.3g} structures; {line['verdict']})"


def _pair(structures: float | int | np.number, budget: float | int | np.number) -> str:
    return f"{structures:.3g} x {budget / structures:.2g}"


def _balance(best: pd.DataFrame) -> Iterator[str]:
    """How many comparisons are balances, of all quantities and tests of one model."""
    for model, own in best[~best["quantity"].str.endswith("_rmse")].groupby("model", sort=False):
        yield (
            f"{model}: of {len(own)} comparisons of a budget's splits (budgets, tests and quantities counted apart): "
            f"{counted(own['verdict'])}. Balance means that both ends are worse than the inside, each with 95 % confidence."
        )


def _ends(best: pd.DataFrame) -> Iterator[str]:
    """What the two extremes cost at the largest budget."""
    quantity, own = _main(best)
    for line in own[(own["budget"] == own["budget"].max()) & own["test"].isin(SEEN)].to_dict("records"):
        yield (
            f"At {line['budget']:.0f} labels, test {line['test']}: the fewest structures multiply the {_named(quantity)} of a "
            f"split between the ends by {interval(line, 'fewest')}, one configuration of each by {interval(line, 'most')}."
        )


def _models(best: pd.DataFrame) -> Iterator[str]:
    """Whether a nonlinear model agrees, on the quantity that both have."""
    own = best[best["quantity"] == "energy"]
    if BASELINE not in set(own["model"]):
        return
    ours, theirs = own[own["model"] != BASELINE], own[own["model"] == BASELINE]
    both = ours.merge(theirs, on=["budget", "test"], suffixes=("", "_other"))
    meet = (both["low"] <= both["high_other"]) & (both["low_other"] <= both["high"])
    same = both["verdict"] == both["verdict_other"]
    yield (
        f"A kernel ridge regression of the energies on the same descriptors puts the best split where the linear model does, "
        f"within the intervals of both, in {int(meet.sum())} of {len(both)} cases, with the same verdict in {int(same.sum())} "
        "(energy error)."
    )


def _exponents(curves: pd.DataFrame | None) -> Iterator[str]:
    """Learning curves: configurations added to a fixed set, and labels added at the best split."""
    if curves is None:
        return
    quantity, own = _main(_plain(curves))
    for structures, lines in own[own["experiment"] == "fixed set"].groupby("structures"):
        parts = [
            f"{line['test']} {_slope(line)}, at the end {decimal(line['last_slope'])}"
            for line in lines[lines["test"].isin(SEEN)].to_dict("records")
        ]
        if parts:
            yield f"With {structures:.0f} structures fixed, the {_named(quantity)} goes like C to the power: {'; '.join(parts)}."
    lines = own[(own["experiment"] == "fixed budget") & own["test"].isin(SEEN)].to_dict("records")
    if lines:
        parts = [f"{line['test']} {_slope(line)}" for line in lines]
        yield f"Each budget split at its best, the {_named(quantity)} goes like N to the power: {'; '.join(parts)}."


def _gaps(gaps: pd.DataFrame | None, best: pd.DataFrame | None) -> Iterator[str]:
    """How much worse tests are than new configurations of the structures that were seen, at the largest budget's best split."""
    if gaps is None or best is None or "over_in_distribution" not in gaps:
        return
    quantity, own = _main(_plain(gaps[gaps["experiment"] == "fixed budget"]))
    top = own[own["budget"] == own["budget"].max()]
    base = top[top["test"] == "in-distribution"]
    if base.empty:
        return
    structures = base.loc[base["error"].idxmin(), "structures"]
    lines = top[(top["structures"] == structures) & top["over_in_distribution"].notna()].to_dict("records")
    parts = [f"{line['test']} {interval(line, 'over_in_distribution')}" for line in lines]
    if parts:
        where = _pair(structures, top["budget"].max())
        yield (
            f"The gap to the distribution that was drawn from ({where}, {_named(quantity)} over that in distribution): "
            + "; ".join(parts)
            + "."
        )


def _selections(table: pd.DataFrame | None) -> Iterator[str]:
    """Whether chosen structures beat random ones."""
    if table is None:
        return
    quantity, own = _main(table)
    for selection, lines in own.groupby("selection", sort=False):
        parts = []
        for test in SEEN:
            each = lines[lines["test"] == test]
            if len(each):
                ratios = each["over_random"]
                clear = int(((each["over_random_high"] < 1) | (each["over_random_low"] > 1)).sum())
                parts.append(f"{test} {number(ratios.min())} to {number(ratios.max())} ({clear} of {len(each)} splits clearly)")
        yield f"Structures chosen {selection} instead of at random multiply the {_named(quantity)} by: {'; '.join(parts)}."


def _domain(table: pd.DataFrame | None) -> Iterator[str]:
    """How well each measure of the domain tells atoms with large force errors."""
    if table is None:
        return
    own = table[table["test"].isin(["structural", "scaffold", "size"])]
    yield from told(own, "over splits and repetitions")


def told(own: pd.DataFrame, over: str) -> Iterator[str]:
    """AUROC of every measure of the domain by test; then what the basis limits: the same for the part that labels can remove."""
    tests = list(own.groupby("test", sort=False))
    for measure, lines in own.groupby("measure", sort=False):
        parts = spans(lines.groupby("test", sort=False), "auroc_atoms")
        if parts:
            yield (
                f"Domain of applicability, {measure}: AUROC for atoms whose force error is more than three times the level on "
                f"seen structures, mean (least to most {over}): {'; '.join(parts)}."
            )
    reducible = spans(own[own["measure"] == LEVERAGE].groupby("test", sort=False), "auroc_reducible")
    if reducible:
        shares = "; ".join(f"{test} {100 * lines['misfit_share'].median():.0f}%" for test, lines in tests)
        yield (
            "What limits this: of the squared force error a fit to all configurations, tests included, would leave (median) "
            f"{shares}; that is the misfit of the basis, which no measure of what was seen can know. Of the part that other "
            f"labels would remove, the {LEVERAGE} tells the large ones with an AUROC of {'; '.join(reducible)}."
        )


def _skipped(table: pd.DataFrame | None) -> Iterator[str]:
    if table is not None:
        lost = int(table["reason"].str.contains("is left out").sum())
        count = table["structure"].nunique()
        yield f"Something was skipped for {count} structures, {lost} of which are left out altogether; the reasons are below."


def _named(quantity: str) -> str:
    return NAMES.get(quantity, quantity.replace("_", " "))


def _slope(line: dict) -> str:
    return decimals(line, "slope") if np.isfinite(line["low"]) else decimal(line["slope"])
