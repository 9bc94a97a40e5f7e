"""What a study of designs found, in sentences and as a table of the page; made of its tables alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ...plot.typeset import NONE, number
from ..page import Cell, PageTable
from .choice import RANDOM, USUAL
from .loss import DEFAULT
from .pool import KINDS

QUANTITIES = {"geometry": "geometry error", "energy": "energy error"}
WORDS = {
    "own": "designed for this defect",
    "another defect": "for another defect of the crystal",
    "another material": "for another material",
    "other": "not designed",
}

WAYS = ("M", "G", "A", "D", USUAL)
"""Ways to choose, in the order of the sentences."""


def design_findings(designs: pd.DataFrame) -> Iterator[str]:
    """What a design gains on its own defect and on others, and how often it loses."""
    others = designs[designs["loss"] != DEFAULT]
    for name, words in WORDS.items():
        own = others[others["designed_for"] == name]
        if name == "other":  # losses that somebody wrote down are each a choice of its own
            for loss, each in own.groupby("loss", sort=False):
                yield from _gains(f"Loss {loss}", each)
        else:
            for stopped, how in ((False, ""), (True, ", stopped by held-out defects")):
                yield from _gains(f"Losses {words}{how}", own[own["stopped"].astype(bool) == stopped])


def _gains(about: str, rows: pd.DataFrame) -> Iterator[str]:
    """What some losses gain over the default, and how often they lose; nothing if none held its defect."""
    good = rows[rows["trusted"].astype(bool)]
    if good.empty:
        return
    parts = []
    for quantity in ("geometry", "energy"):
        gain = good[f"{quantity}_gain"].astype(float)
        worse = int((gain < 1).sum())
        span = f"{number(gain.min())} to {number(gain.max())}; worse than the default in {worse} of {len(gain)}"
        span += f", at worst {number(1 / gain.min())} times" if worse else ""
        parts.append(f"{number(gain.median())} in the median for the {quantity} ({span})")
    lost = f"; {len(rows) - len(good)} more lost the defect" if len(good) < len(rows) else ""
    yield f"{about}, error of the default over theirs: {' and '.join(parts)}{lost}."


def design_table(designs: pd.DataFrame) -> PageTable:
    """Every loss on every defect."""
    texts = ("material", "defect", "observations", "loss")
    header = ["material", "defect", "observed", "loss", "geometry error (Å)", "energy error (eV)", "geometry gain", "energy gain"]
    rows = (
        (
            *(Cell(str(line[name]), "set" if name == "observations" else "text") for name in texts),
            *(Cell(_text(line[name]), "number") for name in ("geometry_error", "energy_error", "geometry_gain", "energy_gain")),
        )
        for line in designs.to_dict("records")
    )
    return PageTable(tuple(Cell(name, "text" if place < 4 else "number") for place, name in enumerate(header)), tuple(rows))


def _text(value: Any) -> str:
    return NONE if value is None or not np.isfinite(float(value)) else number(float(value))


def design_data_findings(table: pd.DataFrame) -> Iterator[str]:
    """For every way to choose: the gain over random data; the gain of G; whether expected and measured errors agree."""
    own = table["defect"] == table["chosen_for"]
    for name in WAYS:
        for what, rows in (("the defect they were chosen for", table[own]), ("another defect of the crystal", table[~own])):
            rows = rows[rows["choice"] == name]
            if len(rows):
                yield f"Data {_how(name)}, on {what}: {_compared(rows)}."
    yield from _against_usual(table[own])
    chance = table[own & (table["choice"] == RANDOM)]
    if len(chance):
        lost = int((~chance["trusted"].astype(bool)).sum())
        spread = [_spread(chance, quantity) for quantity in QUANTITIES]
        yield (
            f"Random data of the same cost: {lost} of {len(chance)} fits lost the defect; half of the others lie within "
            f"{spread[0]} of the median in the geometry and {spread[1]} in the energy."
        )
    for name in ("M", "G"):
        best = table[own & (table["choice"] == name)]
        if len(best):
            counts = {kind: best[kind.replace(" ", "_")].mean() for kind in KINDS}
            yield (
                f"On average {name} takes " + ", ".join(f"{mean:.1f} of {kind}" for kind, mean in counts.items() if mean) + "."
            )
    yield from _promises(table[own])


def _against_usual(rows: pd.DataFrame) -> Iterator[str]:
    """What M and G gain over common practice."""
    keys = ["material", "defect", "budget"]
    good = rows[rows["trusted"].astype(bool)]
    for name in ("M", "G"):
        both = good[good["choice"] == name].merge(good[good["choice"] == USUAL], on=keys, suffixes=("", "_usual"))
        if both.empty:
            continue
        gains = {q: both[f"{q}_error_usual"] / both[f"{q}_error"] for q in QUANTITIES}
        told = [
            f"{q} error {number(g.min())} to {number(g.max())} times smaller (median {number(g.median())}; five times or more in "
            f"{int((g >= 5).sum())} of {len(g)}, larger in {int((g < 1).sum())})"
            for q, g in gains.items()
        ]
        yield f"Against as much spent on the largest defect cells alone, {name} makes the {' and the '.join(told)}."


def _how(name: str) -> str:
    return "made of the largest defect cells" if name == USUAL else f"chosen by {name}"


def _compared(rows: pd.DataFrame) -> str:
    good = rows[rows["trusted"].astype(bool)]
    parts = []
    for quantity in QUANTITIES:
        ratio = good[f"{quantity}_error_ratio"].dropna()
        if len(ratio):
            worse = int((ratio > 1).sum())
            parts.append(
                f"{quantity} error {number(ratio.min())} to {number(ratio.max())} times that of the median random choice "
                f"(median {number(ratio.median())}), larger in {worse} of {len(ratio)}"
            )
    lost = len(rows) - len(good)
    return "; ".join([*parts, *([f"{lost} of {len(rows)} lost the defect"] if lost else [])])


def _spread(rows: pd.DataFrame, quantity: str) -> str:
    ratio = rows[f"{quantity}_error_ratio"].dropna()
    low, high = (ratio.quantile(part) for part in (0.25, 0.75)) if len(ratio) else (np.nan, np.nan)
    return f"{number(low)} to {number(high)} times that"


def _promises(rows: pd.DataFrame) -> Iterator[str]:
    """The expected errors of choices next to the measured ones."""
    good = rows[rows["trusted"].astype(bool)]
    for name, what in (("spread", "expected from independent errors (G)"), ("expected", "expected from misfit (M)")):
        told = []
        for quantity in QUANTITIES:
            both = good[[f"{quantity}_{name}_ratio", f"{quantity}_error_ratio"]].dropna()
            if len(both) > 2 and both.nunique().min() > 1:
                told.append(f"{both.rank().corr().iloc[0, 1]:.2f} in the {quantity}")
        if told:
            rank = " and ".join(told)
            yield f"Errors {what} and measured ones, over those of the median random choice, have a rank correlation of {rank}."
