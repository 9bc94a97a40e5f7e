"""The page of a study of diversity, made from its tables alone: sentences, and tables of text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...plot.typeset import NONE, decimal, number
from ..page import PageTable, Part, Section

LEAD = (
    "If N labels can be afforded, how many different structures should be labelled, and how many configurations of each? A "
    "structure is a molecule, or a phase with its cell and defect; a configuration is one geometry of it. Potentials are "
    "fitted to S structures with C configurations each, and tested on new configurations of the training structures "
    "(conformational), on unseen structures (structural: drawn at random, of unseen scaffolds, larger), and on new "
    "configurations of all structures that could have been drawn (in-distribution). All splits of a budget have the same "
    "tests."
)
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
HIDDEN = ("energy_rmse", "shape_rmse", "forces_rmse")
"""Quantities that are in the files only."""
UNITS = {"forces": "eV/Å", "energy": "eV/atom", "shape": "eV/atom", "offset": "eV/atom", "geometry_error": "Å"}
BEST = (
    "The best split of every budget",
    "Fewest / inside and most / inside: error with the fewest and the most structures over that of the best split "
    "between the ends, which is chosen by the other repetitions. Balance: both are above one with 95 % confidence.",
)
"""Heading and text of a table that both kinds of study have."""

Line = dict[Any, Any]
"""A row of a table, by column."""
Others = Mapping[str, pd.DataFrame]
"""Further tables of a run, by name."""


def section(parts: Sequence[Part]) -> tuple[Section, ...]:
    """The section of the page; none without parts."""
    where = Part(
        about="Every error of every fit, with every digit, is in diversity.csv; what follows from them in diversity_*.csv."
    )
    return (Section("diversity", "Structures against configurations", (*parts, where)),) if parts else ()


def tables(others: Others, makers: Mapping[str, Callable[[pd.DataFrame], Part | None]]) -> list[Part]:
    """A part for each of these tables that the run has, by name."""
    made = [maker(others[name]) for name, maker in makers.items() if name in others]
    return [part for part in made if part is not None]


def table(heading: str, about: str, header: Sequence[str], rows: Sequence[Sequence[str]], shown: bool = False) -> Part:
    """One table; only its heading shows until it is opened, unless it is `shown`."""
    return Part(heading, about, tables=(PageTable.plain(header, rows),), folded=not shown)


def interval(line: Line, name: str) -> str:
    """A number with its interval."""
    return f"{number(line[name])} ({number(line[f'{name}_low'])} to {number(line[f'{name}_high'])})"


def decimals(line: Line, name: str, prefix: str = "") -> str:
    """An exponent with its interval, of the columns name, prefix + "low" and prefix + "high"."""
    return f"{decimal(line[name])} ({decimal(line[f'{prefix}low'])} to {decimal(line[f'{prefix}high'])})"


def span(values: pd.Series) -> str:
    """The mean of what is known, and least to most; a dash if nothing is."""
    known = values.dropna()
    return f"{decimal(known.mean())} ({decimal(known.min())} to {decimal(known.max())})" if len(known) else NONE


def spans(groups: Any, column: str) -> list[str]:
    """A span for each group in which something is known, after its name."""
    return [f"{name} {span(each[column])}" for name, each in groups if each[column].notna().any()]


def share(values: pd.Series) -> str:
    """Median of parts of a whole, as a percentage."""
    return NONE if values.isna().all() else f"{100 * values.median():.0f}%"


def counted(values: pd.Series) -> str:
    """How often each value occurs, the most frequent first."""
    return ", ".join(f"{value} {count}" for value, count in values.value_counts().items())


def true(value: Any) -> bool:
    """Whether a cell of a table, which may have been read back from a file, is true."""
    return str(value).lower() == "true"


def budget_findings(others: Others) -> list[str]:
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
    """The model of the package and the quantity that the sentences are about."""
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
    """How much larger errors are than those of new configurations of known structures, at the largest budget's best split."""
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
    """How well each measure of the domain detects atoms with large force errors."""
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
                f"training structures, mean (least to most {over}): {'; '.join(parts)}."
            )
    reducible = spans(own[own["measure"] == LEVERAGE].groupby("test", sort=False), "auroc_reducible")
    if reducible:
        shares = "; ".join(f"{test} {100 * lines['misfit_share'].median():.0f}%" for test, lines in tests)
        yield (
            "What limits this: of the squared force error a fit to all configurations, tests included, would leave (median) "
            f"{shares}; that is the misfit of the basis, which no measure computed from rows contains. For the part that other "
            f"labels would remove, the AUROC of the {LEVERAGE} is {'; '.join(reducible)}."
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


def budget_parts(others: Others) -> list[Part]:
    """The tables that the run has."""
    return tables(
        others,
        {
            "diversity_tradeoff": _best_table,
            "diversity_curves": _curves_table,
            "diversity_gaps": _gaps_table,
            "diversity_domain": _domain_table,
            "diversity_selections": _selections_table,
            "diversity_skipped": _skipped_table,
        },
    )


def _best_table(frame: pd.DataFrame) -> Part:
    rows = [
        [
            *_about(line),
            f"{line['budget']:.0f}",
            f"{line['best_structures']:.3g} x {line['best_conformations']:.2g}",
            f"{line['low']:.3g} to {line['high']:.3g}",
            f"{line['tolerated_low']:.3g} to {line['tolerated_high']:.3g}",
            _spread(line, "error") + f" {UNITS.get(line['quantity'], '')}",
            _spread(line, "fewest"),
            _spread(line, "most"),
            line["verdict"],
        ]
        for line in _shown(frame)
    ]
    header = ["model", "test", "error", "labels", "best S x C", "S, 95 %", "S within 10 %", "least error", "fewest / inside"]
    return table(*BEST, [*header, "most / inside", "verdict"], rows, shown=True)


def _curves_table(frame: pd.DataFrame) -> Part:
    rows = []
    for line in _shown(frame):
        fixed = line["experiment"] == "fixed set"
        what = f"C, {line['structures']:.0f} structures" if fixed else "N, best split"
        rows.append([*_about(line), what, line["sizes"], decimals(line, "slope"), decimals(line, "last_slope", "last_")])
    return table(
        "Learning curves",
        "Exponents of the error in what is added; the last column is that between the two largest sizes.",
        ["model", "test", "error", "added", "sizes", "exponent, 95 %", "last exponent, 95 %"],
        rows,
    )


def _gaps_table(frame: pd.DataFrame) -> Part | None:
    if "over_in_distribution" not in frame:
        return None
    own = frame[(frame["experiment"] == "fixed budget") & (frame["selection"] == "random")]
    rows = [
        [
            *_about(line),
            f"{line['structures']:.0f} x {line['conformations']:.0f}",
            _spread(line, "error"),
            _spread(line, "over_in_distribution"),
            _spread(line, "over_conformational"),
        ]
        for line in _shown(own[own["budget"] == own["budget"].max()])
    ]
    return table(
        "Gaps at the largest budget",
        "The error of each test over that of new configurations of all structures that could be drawn, and over that of "
        "structures that every split trains on; paired by repetition.",
        ["model", "test", "error", "S x C", "value", "over in-distribution", "over conformational"],
        rows,
    )


def _domain_table(frame: pd.DataFrame) -> Part:
    rows = []
    for (test, measure), own in frame.groupby(["test", "measure"], sort=False):
        rows.append(
            [
                str(test),
                str(measure),
                f"{own['atoms'].sum():.0f}",
                f"{own['bad_atoms'].sum():.0f}",
                span(own["auroc_atoms"]),
                f"{own['configurations'].sum():.0f}",
                f"{own['bad_configurations'].sum():.0f}",
                span(own["auroc_configurations"]),
                share(own["misfit_share"]),
                span(own["auroc_reducible"]),
            ]
        )
    return table(
        "The domain of applicability",
        "AUROC: how often an atom with a large force error (more than three times the root mean square on new "
        "configurations of the structures trained on) has the larger number than one without, 1 at best and 0.5 by chance; mean, "
        "and least to most over splits and repetitions at the largest budget. Configurations are judged by their worst atom. "
        "Misfit: the part of the squared error that a fit to all configurations would leave, median; removable: the rest, which "
        "other labels would change.",
        [
            "test",
            "measure",
            "atoms",
            "with large errors",
            "AUROC, atoms",
            "configurations",
            "with such atoms",
            "AUROC",
            "misfit",
            "AUROC, removable",
        ],
        rows,
        shown=True,
    )


def _selections_table(frame: pd.DataFrame) -> Part:
    rows = [
        [
            *_about(line),
            f"{line['structures']:.0f} x {line['conformations']:.0f}",
            line["selection"],
            _spread(line, "over_random"),
        ]
        for line in _shown(frame, random=False)
    ]
    return table(
        "Structures chosen otherwise than at random",
        "The error over that of as many random structures of the same repetition.",
        ["model", "test", "error", "S x C", "chosen", "over random"],
        rows,
    )


def _skipped_table(frame: pd.DataFrame) -> Part:
    rows = [[str(line["structure"]), str(line["reason"])] for line in frame.to_dict("records")]
    return table("What was skipped", "", ["structure", "reason"], rows)


def _shown(frame: pd.DataFrame, random: bool = True) -> list[dict[str, Any]]:
    kept = frame[~frame["quantity"].isin(HIDDEN)]
    return (kept[kept["selection"] == "random"] if random else kept).to_dict("records")


def _about(line: Line) -> list[str]:
    return [str(line["model"]), str(line["test"]), str(line["quantity"]).replace("_", " ")]


def _spread(line: Line, name: str) -> str:
    if not np.isfinite(line.get(name, np.nan)):
        return NONE
    return interval(line, name)
