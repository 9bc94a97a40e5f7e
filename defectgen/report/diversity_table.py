"""Tables of a study of diversity for the page: header and rows of text."""

from typing import Any

import numpy as np
import pandas as pd

from defectgen.report.typeset import NONE, decimal, number

_HIDDEN = ("energy_rmse", "shape_rmse", "forces_rmse")
UNITS = {"forces": "eV/Å", "energy": "eV/atom", "shape": "eV/atom", "offset": "eV/atom", "geometry_error": "Å"}


def diversity_tables(others: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Each with `heading`, `about`, `header`, `rows` and `open` (whether it is shown at once); none without such a study."""
    made = [
        _best(others.get("diversity_tradeoff")),
        _curves(others.get("diversity_curves")),
        _gaps(others.get("diversity_gaps")),
        _domain(others.get("diversity_domain")),
        _selections(others.get("diversity_selections")),
        _skipped(others.get("diversity_skipped")),
    ]
    return [table for table in made if table is not None]


def _best(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
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
        for line in _shown(table)
    ]
    header = ["model", "test", "error", "labels", "best S x C", "S, 95 %", "S within 10 %", "least error", "fewest / inside"]
    return {
        "heading": "The best split of every budget",
        "about": "Fewest / inside and most / inside: error with the fewest and the most structures over that of the best split "
        "between the ends, which is chosen by the other repetitions. Balance: both are above one with 95 % confidence.",
        "header": [*header, "most / inside", "verdict"],
        "rows": rows,
        "open": True,
    }


def _curves(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = []
    for line in _shown(table):
        fixed = line["experiment"] == "fixed set"
        what = f"C, {line['structures']:.0f} structures" if fixed else "N, best split"
        rows.append([*_about(line), what, line["sizes"], _slope(line, "slope", ""), _slope(line, "last_slope", "last_")])
    return {
        "heading": "Learning curves",
        "about": "Exponents of the error in what is added; the last column is that between the two largest sizes.",
        "header": ["model", "test", "error", "added", "sizes", "exponent, 95 %", "last exponent, 95 %"],
        "rows": rows,
        "open": False,
    }


def _gaps(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None or "over_in_distribution" not in table:
        return None
    own = table[(table["experiment"] == "fixed budget") & (table["selection"] == "random")]
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
    return {
        "heading": "Gaps at the largest budget",
        "about": "The error of each test over that of new configurations of all structures that could be drawn, and over that of "
        "structures that every split has seen; paired by repetition.",
        "header": ["model", "test", "error", "S x C", "value", "over in-distribution", "over conformational"],
        "rows": rows,
        "open": False,
    }


def _domain(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = []
    for (test, measure), own in table.groupby(["test", "measure"], sort=False):
        known = own[own["auroc_atoms"].notna()]
        rows.append(
            [
                str(test),
                str(measure),
                f"{own['atoms'].sum():.0f}",
                f"{own['bad_atoms'].sum():.0f}",
                _span(known["auroc_atoms"]),
                f"{own['configurations'].sum():.0f}",
                f"{own['bad_configurations'].sum():.0f}",
                _span(own["auroc_configurations"].dropna()),
            ]
        )
    return {
        "heading": "The domain of applicability",
        "about": "AUROC: how often an atom with a large force error (more than three times the root mean square on new "
        "configurations of the structures trained on) has the larger number than one without, 1 at best and 0.5 by chance; mean, "
        "and least to most over splits and repetitions at the largest budget. Configurations are judged by their worst atom.",
        "header": ["test", "measure", "atoms", "with large errors", "AUROC, atoms", "configurations", "with such atoms", "AUROC"],
        "rows": rows,
        "open": True,
    }


def _selections(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = [
        [
            *_about(line),
            f"{line['structures']:.0f} x {line['conformations']:.0f}",
            line["selection"],
            _spread(line, "over_random"),
        ]
        for line in _shown(table, random=False)
    ]
    return {
        "heading": "Structures chosen otherwise than at random",
        "about": "The error over that of as many random structures of the same repetition.",
        "header": ["model", "test", "error", "S x C", "chosen", "over random"],
        "rows": rows,
        "open": False,
    }


def _skipped(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = [[str(line["structure"]), str(line["reason"])] for line in table.to_dict("records")]
    return {"heading": "What was skipped", "about": "", "header": ["structure", "reason"], "rows": rows, "open": False}


def _shown(table: pd.DataFrame, random: bool = True) -> list[dict[str, Any]]:
    kept = table[~table["quantity"].isin(_HIDDEN)]
    return (kept[kept["selection"] == "random"] if random else kept).to_dict("records")


def _about(line: dict[str, Any]) -> list[str]:
    return [str(line["model"]), str(line["test"]), str(line["quantity"]).replace("_", " ")]


def _spread(line: dict[str, Any], name: str) -> str:
    if not np.isfinite(line.get(name, np.nan)):
        return NONE
    return f"{number(line[name])} ({number(line[f'{name}_low'])} to {number(line[f'{name}_high'])})"


def _slope(line: dict[str, Any], name: str, prefix: str) -> str:
    return f"{decimal(line[name])} ({decimal(line[f'{prefix}low'])} to {decimal(line[f'{prefix}high'])})"


def _span(values: pd.Series) -> str:
    if values.empty:
        return NONE
    return f"{decimal(values.mean())} ({decimal(values.min())} to {decimal(values.max())})"
