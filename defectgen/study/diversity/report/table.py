"""Tables of a study of diversity for the page: header and rows of text."""

from typing import Any

import numpy as np
import pandas as pd

from defectgen.plot.typeset import NONE
from defectgen.report.diversity.cells import BEST, Line, Table, decimals, interval, share, span, table, tables

_HIDDEN = ("energy_rmse", "shape_rmse", "forces_rmse")
UNITS = {"forces": "eV/Å", "energy": "eV/atom", "shape": "eV/atom", "offset": "eV/atom", "geometry_error": "Å"}


def budget_tables(others: dict[str, pd.DataFrame]) -> list[Table]:
    """Those that the run has."""
    return tables(
        others,
        {
            "diversity_tradeoff": _best,
            "diversity_curves": _curves,
            "diversity_gaps": _gaps,
            "diversity_domain": _domain,
            "diversity_selections": _selections,
            "diversity_skipped": _skipped,
        },
    )


def _best(frame: pd.DataFrame) -> Table:
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


def _curves(frame: pd.DataFrame) -> Table:
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


def _gaps(frame: pd.DataFrame) -> Table | None:
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
        "structures that every split has seen; paired by repetition.",
        ["model", "test", "error", "S x C", "value", "over in-distribution", "over conformational"],
        rows,
    )


def _domain(frame: pd.DataFrame) -> Table:
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


def _selections(frame: pd.DataFrame) -> Table:
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


def _skipped(frame: pd.DataFrame) -> Table:
    rows = [[str(line["structure"]), str(line["reason"])] for line in frame.to_dict("records")]
    return table("What was skipped", "", ["structure", "reason"], rows)


def _shown(frame: pd.DataFrame, random: bool = True) -> list[dict[str, Any]]:
    kept = frame[~frame["quantity"].isin(_HIDDEN)]
    return (kept[kept["selection"] == "random"] if random else kept).to_dict("records")


def _about(line: Line) -> list[str]:
    return [str(line["model"]), str(line["test"]), str(line["quantity"]).replace("_", " ")]


def _spread(line: Line, name: str) -> str:
    if not np.isfinite(line.get(name, np.nan)):
        return NONE
    return interval(line, name)
