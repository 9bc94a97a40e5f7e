"""Tables of a study of diversity in crystals for the page: header and rows of text."""

from typing import Any

import pandas as pd

from defectgen.report.typeset import NONE, decimal, number

SHOWN = ("forces_rmse", "geometry", "formation_energy")
NAMES = {"forces_rmse": "forces, eV/Å", "geometry": "geometry, Å", "formation_energy": "formation energy, eV"}


def crystal_tables(others: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Each with `heading`, `about`, `header`, `rows` and `open` (whether it is shown at once)."""
    made = [
        _best(others.get("diversity_tradeoff")),
        _shifts(others.get("diversity_observations")),
        _domain(others.get("diversity_domain")),
        _outcomes(others.get("diversity_outcomes")),
        _costs(others.get("diversity_cost")),
        _curves(others.get("diversity_curves")),
        _phases(others.get("diversity_phases")),
    ]
    return [table for table in made if table is not None]


def _best(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    own = table[table["quantity"].isin(SHOWN)]
    rows = [
        [
            *_place(line),
            f"{line['budget']:.0f}",
            f"{line['best_structures']:.2g} ({line['low']:.2g} to {line['high']:.2g})",
            f"{line['tolerated_low']:.0f} to {line['tolerated_high']:.0f}",
            _interval(line, "error"),
            _interval(line, "fewest"),
            _interval(line, "most"),
            str(line["verdict"]),
        ]
        for line in own.to_dict("records")
    ]
    header = ["crystal", "test", "error", "observed", "labels", "best S, 95 %", "S within 10 %", "least error"]
    return {
        "heading": "The best split of every budget",
        "about": "Fewest / inside and most / inside: error with the fewest and the most structures over that of the best split "
        "between the ends, which is chosen by the other repetitions. Balance: both are above one with 95 % confidence.",
        "header": [*header, "fewest / inside", "most / inside", "verdict"],
        "rows": rows,
        "open": False,
    }


def _shifts(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    own = table[table["quantity"].isin(SHOWN) & (table["budget"] == table["budget"].max())]
    rows = [
        [
            *_place(line),
            f"{line['best_before']:.2g} \N{RIGHTWARDS ARROW} {line['best_after']:.2g}",
            f"{decimal(line['shift'])} ({decimal(line['shift_low'])} to {decimal(line['shift_high'])})",
            "yes" if str(line["moves"]).lower() == "true" else "no",
            _interval(line, "gain"),
            _interval(line, "gain_fewest"),
            _interval(line, "gain_most"),
        ]
        for line in own.to_dict("records")
    ]
    header = ["crystal", "test", "error", "observed", "best S", "shift, doublings", "clear", "error ratio, all splits"]
    return {
        "heading": "Do virials and force constants move the optimum?",
        "about": "Against E+F, at the largest budget, paired by repetition. Shift: doublings of the best number of structures, "
        "with the interval of resampled repetitions; clear if that excludes zero. Ratios: error with these observations over "
        "that of E+F, over all splits, with the fewest and with the most structures.",
        "header": [*header, "fewest", "most"],
        "rows": rows,
        "open": False,
    }


def _domain(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = []
    for (source, test, measure), own in table.groupby(["source", "test", "measure"], sort=False):
        known = own["auroc_atoms"].dropna()
        span = f"{decimal(known.mean())} ({decimal(known.min())} to {decimal(known.max())})" if len(known) else NONE
        rows.append([source, test, measure, f"{own['atoms'].sum():.0f}", f"{own['bad_atoms'].sum():.0f}", span, f"{len(known)}"])
    return {
        "heading": "The domain of applicability",
        "about": "AUROC: how often an atom whose force error is more than three times the level on new configurations of the "
        "structures trained on has the larger number than another atom, 1 at best and 0.5 by chance; mean, and least to most, "
        "over the splits and repetitions of the largest budget in which there are atoms of both kinds (last column).",
        "header": ["crystal", "test", "measure", "atoms", "with large errors", "AUROC", "fits"],
        "rows": rows,
        "open": True,
    }


def _outcomes(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = []
    for (source, test, observations), own in table.groupby(["source", "test", "observations"], sort=False):
        bad = own[own["failed"] > 0].sort_values("structures")
        where = ", ".join(f"S = {line['structures']:.0f}: {line['failed']:.0f}" for line in bad.to_dict("records"))
        reasons = "; ".join(dict.fromkeys(r for text in bad["reasons"].astype(str) for r in text.split("; ")))
        rows.append(
            [
                source,
                test,
                observations,
                f"{own['failed'].sum():.0f} of {own['seeds'].sum():.0f}",
                where or NONE,
                reasons[:160] or NONE,
            ]
        )
    return {
        "heading": "Relaxed defects that went wrong",
        "about": "A fit that does not converge, leaves the basin or does not hold the crystal together; by split.",
        "header": ["crystal", "defect", "observed", "failed", "by split", "reasons"],
        "rows": rows,
        "open": False,
    }


def _costs(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    own = table[table["labels"] == table["labels"].max()].sort_values(["source", "structures"], kind="stable")
    names = ("labels", "calculations", "energies", "forces", "virials", "phases", "phases_with_force_constants")
    rows = [
        [line["source"], line["observations"], f"{line['structures']:.0f} x {line['conformations']:.0f}"]
        + [f"{line[name]:.4g}" for name in names]
        for line in own.to_dict("records")
    ]
    return {
        "heading": "What the labels cost",
        "about": "Means over the repetitions, largest number of labels. Virials come with the calculation of energy and forces; "
        "force constants of a phase take 6 displaced supercells for each atom of its primitive cell (central differences, no "
        "symmetry used), and are observed of phases that were seen and are stable at rest.",
        "header": [
            "crystal",
            "observed",
            "S x C",
            "labels",
            "calculations",
            "energies",
            "forces",
            "virials",
            "phases",
            "with FC",
        ],
        "rows": rows,
        "open": False,
    }


def _curves(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    own = table[table["quantity"].isin(SHOWN) & (table["experiment"] == "fixed set")]
    rows = [
        [
            *_place(line),
            f"{line['structures']:.0f}",
            str(line["sizes"]),
            f"{decimal(line['slope'])} ({decimal(line['low'])} to {decimal(line['high'])})",
            f"{decimal(line['last_slope'])} ({decimal(line['last_low'])} to {decimal(line['last_high'])})",
        ]
        for line in own.to_dict("records")
    ]
    return {
        "heading": "Fixed sets: exponents in the number of configurations",
        "about": "The last column is the exponent between the two largest numbers.",
        "header": ["crystal", "test", "error", "observed", "structures", "C", "exponent, 95 %", "last exponent, 95 %"],
        "rows": rows,
        "open": False,
    }


def _phases(table: pd.DataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = [
        [
            line["source"],
            line["phase"],
            "yes" if str(line["stable"]).lower() == "true" else "no, so no FC",
            f"{line['configurations']:.0f}",
            f"{line['strayed']:.0f}",
        ]
        for line in table.to_dict("records")
    ]
    return {
        "heading": "The phases",
        "about": "Stable: all waves of the phase at rest have positive energy. Strayed: configurations with an atom more than "
        "half a nearest-neighbour spacing away from its site; they keep their labels and their structure.",
        "header": ["crystal", "phase", "stable", "configurations", "strayed"],
        "rows": rows,
        "open": False,
    }


def _place(line: dict[str, Any]) -> list[str]:
    return [
        str(line["source"]),
        str(line["test"]),
        NAMES.get(str(line["quantity"]), str(line["quantity"])),
        str(line["observations"]),
    ]


def _interval(line: dict[str, Any], name: str) -> str:
    return f"{number(line[name])} ({number(line[f'{name}_low'])} to {number(line[f'{name}_high'])})"
