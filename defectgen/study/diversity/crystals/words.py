"""What a study of diversity in crystals found: sentences, and tables of text."""

from collections.abc import Iterator

import pandas as pd

from ....plot.typeset import NONE, decimal, number
from ...page import Part
from ..words import BEST, Line, Others, counted, decimals, interval, share, span, table, tables, told, true

SEEN = ("in-distribution",)
APART = ("unseen defects", "larger cells", "unseen phases", "unseen defects in strained crystal")
FORCES = "forces_rmse"
NAMES = {FORCES: "forces", "virial_rmse": "virials", "geometry": "relaxed geometry", "formation_energy": "formation energy"}
SHOWN = ("forces_rmse", "geometry", "formation_energy")
HEADINGS = {"forces_rmse": "forces, eV/Å", "geometry": "geometry, Å", "formation_energy": "formation energy, eV"}


def crystal_findings(others: Others) -> list[str]:
    """Sentences in the order of importance; none without such a study."""
    best = others.get("diversity_tradeoff")
    if best is None or "diversity_observations" not in others:
        return []
    return [
        *_best(best),
        *_verdicts(best),
        *_defects(best, others.get("diversity_outcomes")),
        *_shifts(others["diversity_observations"]),
        *_domain(others.get("diversity_domain")),
    ]


def _best(best: pd.DataFrame) -> Iterator[str]:
    """Where the force error is least for the first set of observations, at the largest budget."""
    first = best["observations"].iloc[0]
    own = best[(best["observations"] == first) & (best["quantity"] == FORCES) & (best["budget"] == best["budget"].max())]
    for source, lines in own.groupby("source", sort=False):
        parts = [
            f"{line['test'].removeprefix('wider law: ')} {line['best_structures']:.2g} ({line['low']:.2g} to {line['high']:.2g}; "
            f"{line['verdict']})"
            for line in lines.to_dict("records")
            if line["test"] in (*SEEN, *APART) or str(line["test"]).startswith("wider law: ")
        ]
        if parts:
            yield (
                f"{source}, {lines['budget'].iloc[0]:.0f} labels, {first}: structures in the best split for the force error "
                f"(95 % interval): {'; '.join(parts)}."
            )


def _verdicts(best: pd.DataFrame) -> Iterator[str]:
    """How often there is a balance."""
    own = best[(best["quantity"] == FORCES) & best["test"].isin((*SEEN, *APART))]
    for budget, lines in own.groupby("budget"):
        yield (
            f"Force errors with {budget:.0f} labels, over crystals, sets of observations and tests in distribution and apart: "
            f"of {len(lines)} comparisons {counted(lines['verdict'])}."
        )
        parts = [
            f"{test} {number(each['fewest'].min())} to {number(each['fewest'].max())} and {number(each['most'].min())} to "
            f"{number(each['most'].max())}"
            for test, each in lines.groupby("test", sort=False)
        ]
        yield (
            "Fewest, and most, structures instead of a split between the ends multiply the error by: " + "; ".join(parts) + "."
        )


def _defects(best: pd.DataFrame, outcomes: pd.DataFrame | None) -> Iterator[str]:
    """Relaxed defects: verdicts of geometry and formation energy, and failures."""
    for quantity, name in (("geometry", "geometry"), ("formation_energy", "formation energy")):
        own = best[best["quantity"] == quantity]
        if len(own):
            yield f"Relaxed defects, {name}: of {len(own)} comparisons {counted(own['verdict'])}."
    if outcomes is not None:
        failed, seeds = int(outcomes["failed"].sum()), int(outcomes["seeds"].sum())
        by = outcomes.groupby("structures")[["failed", "seeds"]].sum()
        listing = ", ".join(f"S = {s:.0f}: {line['failed']:.0f} of {line['seeds']:.0f}" for s, line in by.iterrows())
        yield f"Of {seeds} relaxations {failed} failed or left the basin ({listing})."


def _shifts(table: pd.DataFrame) -> Iterator[str]:
    """Whether further observations move the optimum, and how they change the errors."""
    top = table[table["budget"] == table["budget"].max()]
    for (observations, quantity), lines in top.groupby(["observations", "quantity"], sort=False):
        if quantity not in NAMES:
            continue
        clear = lines[lines["moves"].map(true)]
        helped, harmed = int((lines["gain_high"] < 1).sum()), int((lines["gain_low"] > 1).sum())
        where = ", ".join(f"{line['source']} {line['test'].removeprefix('wider law: ')}" for line in clear.to_dict("records"))
        yield (
            f"{observations} against {lines['against'].iloc[0]}, {NAMES[quantity]}: the best S moves clearly in "
            f"{len(clear)} of {len(lines)} tests{f' ({where})' if where else ''}; over all splits the error is multiplied by "
            f"{decimal(lines['gain'].min())} to {decimal(lines['gain'].max())}, clearly less in {helped} tests, clearly more in "
            f"{harmed}."
        )


def _domain(table: pd.DataFrame | None) -> Iterator[str]:
    """How well each measure detects atoms with large force errors, on the structural tests."""
    if table is None:
        return
    yield from told(table[table["test"].isin(APART)], "over crystals, splits and repetitions")


def crystal_parts(others: Others) -> list[Part]:
    """The tables that the run has."""
    return tables(
        others,
        {
            "diversity_tradeoff": _best_table,
            "diversity_observations": _shifts_table,
            "diversity_domain": _domain_table,
            "diversity_outcomes": _outcomes,
            "diversity_cost": _costs,
            "diversity_curves": _curves,
            "diversity_phases": _phases,
        },
    )


def _best_table(frame: pd.DataFrame) -> Part:
    own = frame[frame["quantity"].isin(SHOWN)]
    rows = [
        [
            *_place(line),
            f"{line['budget']:.0f}",
            f"{line['best_structures']:.2g} ({line['low']:.2g} to {line['high']:.2g})",
            f"{line['tolerated_low']:.0f} to {line['tolerated_high']:.0f}",
            interval(line, "error"),
            interval(line, "fewest"),
            interval(line, "most"),
            str(line["verdict"]),
        ]
        for line in own.to_dict("records")
    ]
    header = ["crystal", "test", "error", "observed", "labels", "best S, 95 %", "S within 10 %", "least error"]
    return table(*BEST, [*header, "fewest / inside", "most / inside", "verdict"], rows)


def _shifts_table(frame: pd.DataFrame) -> Part:
    own = frame[frame["quantity"].isin(SHOWN) & (frame["budget"] == frame["budget"].max())]
    rows = [
        [
            *_place(line),
            f"{line['best_before']:.2g} \N{RIGHTWARDS ARROW} {line['best_after']:.2g}",
            decimals(line, "shift", "shift_"),
            "yes" if true(line["moves"]) else "no",
            interval(line, "gain"),
            interval(line, "gain_fewest"),
            interval(line, "gain_most"),
        ]
        for line in own.to_dict("records")
    ]
    header = ["crystal", "test", "error", "observed", "best S", "shift, doublings", "clear", "error ratio, all splits"]
    return table(
        "Do virials and force constants move the optimum?",
        "Against E+F, at the largest budget, paired by repetition. Shift: doublings of the best number of structures, "
        "with the differences of both 95 % intervals; clear if they exclude zero. Ratios: error with these observations over "
        "that of E+F, over all splits, with the fewest and with the most structures.",
        [*header, "fewest", "most"],
        rows,
    )


def _domain_table(frame: pd.DataFrame) -> Part:
    rows = []
    for (source, test, measure), own in frame.groupby(["source", "test", "measure"], sort=False):
        known = own["auroc_atoms"]
        counts = [f"{own[name].sum():.0f}" for name in ("atoms", "bad_atoms")]
        rows.append(
            [
                source,
                test,
                measure,
                *counts,
                span(known),
                f"{known.notna().sum()}",
                share(own["misfit_share"]),
                span(own["auroc_reducible"]),
            ]
        )
    return table(
        "The domain of applicability",
        "AUROC: how often an atom whose force error is more than three times the level on new configurations of the "
        "structures trained on has the larger number than another atom, 1 at best and 0.5 by chance; mean, and least to most, "
        "over the splits and repetitions of the largest budget in which there are atoms of both kinds (their number: fits). "
        "Misfit: the part of the squared error that a fit to all configurations would leave, median; removable: the rest, which "
        "other labels would change.",
        ["crystal", "test", "measure", "atoms", "with large errors", "AUROC", "fits", "misfit", "AUROC, removable"],
        rows,
        shown=True,
    )


def _outcomes(frame: pd.DataFrame) -> Part:
    rows = []
    for (source, test, observations), own in frame.groupby(["source", "test", "observations"], sort=False):
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
    return table(
        "Relaxed defects that went wrong",
        "A fit that does not converge, leaves the basin or does not hold the crystal together; by split.",
        ["crystal", "defect", "observed", "failed", "by split", "reasons"],
        rows,
    )


def _costs(frame: pd.DataFrame) -> Part:
    own = frame[frame["labels"] == frame["labels"].max()].sort_values(["source", "structures"], kind="stable")
    names = ("labels", "calculations", "energies", "forces", "virials", "phases", "phases_with_force_constants")
    rows = [
        [line["source"], line["observations"], f"{line['structures']:.0f} x {line['conformations']:.0f}"]
        + [f"{line[name]:.4g}" for name in names]
        for line in own.to_dict("records")
    ]
    return table(
        "What the labels cost",
        "Means over the repetitions, largest number of labels. Virials come with the calculation of energy and forces; "
        "force constants of a phase take 6 displaced supercells for each atom of its primitive cell (central differences, no "
        "symmetry used), and are used for phases in the training set that are stable.",
        ["crystal", "observed", "S x C", "labels", "calculations", "energies", "forces", "virials", "phases", "with FC"],
        rows,
    )


def _curves(frame: pd.DataFrame) -> Part:
    own = frame[frame["quantity"].isin(SHOWN) & (frame["experiment"] == "fixed set")]
    rows = [
        [
            *_place(line),
            f"{line['structures']:.0f}",
            str(line["sizes"]),
            decimals(line, "slope"),
            decimals(line, "last_slope", "last_"),
        ]
        for line in own.to_dict("records")
    ]
    return table(
        "Fixed sets: exponents in the number of configurations",
        "The last column is the exponent between the two largest numbers.",
        ["crystal", "test", "error", "observed", "structures", "C", "exponent, 95 %", "last exponent, 95 %"],
        rows,
    )


def _phases(frame: pd.DataFrame) -> Part:
    rows = [
        [
            line["source"],
            line["phase"],
            "yes" if true(line["stable"]) else "no, so no FC",
            f"{line['configurations']:.0f}",
            f"{line['strayed']:.0f}",
        ]
        for line in frame.to_dict("records")
    ]
    return table(
        "The phases",
        "Stable: all phonons of the relaxed phase have positive energy. Strayed: configurations with an atom more than "
        "half a nearest-neighbour spacing away from its site; they keep their labels and their structure.",
        ["crystal", "phase", "stable", "configurations", "strayed"],
        rows,
    )


def _place(line: Line) -> list[str]:
    return [
        str(line["source"]),
        str(line["test"]),
        HEADINGS.get(str(line["quantity"]), str(line["quantity"])),
        str(line["observations"]),
    ]
