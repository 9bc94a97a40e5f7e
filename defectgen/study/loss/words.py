"""What a study of losses found, as tables and in words; made of its tables, nothing is computed but ratios."""

from collections.abc import Iterator

import pandas as pd

from ...plot.typeset import decimal, number
from ..page import Cell, PageTable

QUANTITIES = {"geometry_error": "geometry", "energy_error": "energy", "rmse_forces": "force"}
_UNITS = {"geometry_error": "Å", "energy_error": "eV", "rmse_forces": "eV/Å"}
_SHOWN = 12
"""Losses in the table beside the front: the best by geometry."""


def loss_cases(table: pd.DataFrame | None) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The rows of each case of a table."""
    if table is None or table.empty:
        return
    for (material, defect), rows in table.groupby(["material", "defect"], sort=False):
        yield (str(material), str(defect)), rows


def trusted(rows: pd.DataFrame) -> pd.Series:
    """Models that reached the same state and are stable there."""
    return rows["converged"].astype(bool) & rows["same_basin"].astype(bool)


def front(rows: pd.DataFrame) -> pd.DataFrame:
    """The losses that no other beats in both errors of the defect, the smallest geometry error first."""
    return rows[rows["pareto_defect"].astype(bool)].sort_values("geometry_error", kind="stable")


def loss_tables(losses: pd.DataFrame | None) -> list[tuple[str, PageTable]]:
    """For each case the default, the front and the best losses: what they are, and errors as multiples of the default's too."""
    found = []
    for (material, defect), rows in loss_cases(losses):
        good = rows[trusted(rows)]
        best = front(good)
        numbers = {index: n for n, index in enumerate(best.index, start=1)}
        default = good[good["default"].astype(bool)]
        others = good.sort_values("geometry_error", kind="stable").head(_SHOWN)
        shown = pd.concat([default, best, others]).loc[lambda t: ~t.index.duplicated()]
        ratios = ("geometry_ratio", "energy_ratio", "stability_constant")
        lines = [
            [
                Cell(("default: " if row["default"] else "") + str(row["loss"])),
                Cell(str(numbers.get(index, ""))),
                *(Cell(number(float(row[name])), "number") for name in (*QUANTITIES, *ratios)),
            ]
            for index, row in shown.iterrows()
        ]
        named = (
            "loss",
            "front",
            "geometry error (Å)",
            "energy error (eV)",
            "RMSE F (eV/Å)",
            "geometry / default",
            "energy / default",
        )
        header = tuple(Cell(name, "text" if name in ("loss", "front") else "number") for name in (*named, "stability"))
        found.append((f"{material} {defect}", PageTable(header, tuple(tuple(line) for line in lines))))
    return found


def loss_findings(losses: pd.DataFrame | None, slopes: pd.DataFrame | None) -> Iterator[str]:
    """Which loss wins in each error and by how much over the default, what no loss could do, and which weight matters."""
    for case, rows in loss_cases(losses):
        yield from _winners(" ".join(case), rows)
        yield from _sets(" ".join(case), rows)
    for case, rows in loss_cases(slopes):
        yield from _steepest(" ".join(case), rows)


def _winners(case: str, rows: pd.DataFrame) -> Iterator[str]:
    good = rows[trusted(rows)]
    lost = len(rows) - len(good)
    trouble = f" {lost} of {len(rows)} losses gave a model that lost the defect or its stability." if lost else ""
    default = good[good["default"].astype(bool)]
    if default.empty or len(good) < 2:
        yield f"{case}: the default loss gave no model to compare others with.{trouble}"
        return
    base = default.iloc[0]
    for name, other in (("geometry_error", "energy_error"), ("energy_error", "geometry_error")):
        best = good.loc[good[name].idxmin()]
        gain = f"{number(float(base[name] / best[name]))} times less than the default"
        cost = _cost(float(best[other]), float(base[other]))
        force = f", its force error {number(float(best['rmse_forces']))} eV/Å" if base["rmse_forces"] > 0 else ""
        span = number(float(good[name].max() / best[name])) if best[name] > 0 else "more than can be said"
        yield (
            f"{case}: the smallest {QUANTITIES[name]} error of {len(good)} losses, {number(float(best[name]))} {_UNITS[name]}, "
            f"is {gain} ({base['loss']}: {_both(base)}), with {cost}: {best['loss']}, {_both(best)}{force}. From best "
            f"to worst the loss changes it by a factor of {span}."
        )
    both = good[(good["geometry_ratio"] < 1) & (good["energy_ratio"] < 1)]
    word = f"{len(both)} of {len(good)} losses are better than the default in both errors of the defect"
    if len(both):
        overall = both.loc[(both["geometry_ratio"] * both["energy_ratio"]).idxmin()]
        word += (
            f"; of them {overall['loss']} has the smallest product, geometry {number(float(overall['geometry_ratio']))} and "
            f"energy {number(float(overall['energy_ratio']))} times the default's ({_both(overall)})"
        )
    yield f"{case}: {word}.{trouble}"


def _both(row: pd.Series) -> str:
    """Both errors of the defect."""
    return f"geometry {number(float(row['geometry_error']))} Å, energy {number(float(row['energy_error']))} eV"


def _cost(own: float, default: float) -> str:
    """What the other error is, against that of the default."""
    if not default > 0:
        return "an error that the default does not have"
    return f"the other error at {number(own / default)} times that of the default"


def _sets(case: str, rows: pd.DataFrame) -> Iterator[str]:
    """Whether weights or observations matter more."""
    good = rows[trusted(rows)]
    parts = []
    for name in ("geometry_error", "energy_error"):
        own = good.groupby("observations")[name]
        within, between = (own.max() / own.min()).max(), own.min().max() / own.min().min()
        if own.ngroups > 1:
            parts.append(
                f"the {QUANTITIES[name]} error by up to {number(float(within))}, the observations (each with its best weights) "
                f"by {number(float(between))}"
            )
    if parts:
        yield f"{case}: with the same observations the weights change {'; '.join(parts)}."


def _steepest(case: str, rows: pd.DataFrame) -> Iterator[str]:
    """At the design with most observations, the weight on which each error of the defect depends most."""
    name = max(rows["observations"].unique(), key=lambda text: str(text).count("+"))
    own = rows[(rows["observations"] == name) & ~rows["knob"].str.contains("power")]
    parts = []
    for quantity in ("geometry_error", "energy_error"):
        mine = own[own["quantity"] == quantity]
        if len(mine):
            row = mine.loc[mine["slope"].abs().idxmax()]
            sense = "lowers" if row["slope"] < 0 else "raises"
            parts.append(
                f"the {QUANTITIES[quantity]} error depends most on the weight of {row['knob']} (more of it {sense} the error, "
                f"slope {decimal(float(row['slope']))})"
            )
    if parts:
        yield f"{case}, {name} as designed: {'; '.join(parts)}."
