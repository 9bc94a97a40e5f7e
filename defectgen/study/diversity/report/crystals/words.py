"""What a study of diversity in crystals found, in sentences."""

from collections.abc import Iterator

import pandas as pd

from defectgen.plot.typeset import decimal, number
from defectgen.report.diversity.cells import counted, true
from defectgen.report.diversity.words import told

SEEN = ("in-distribution",)
APART = ("unseen defects", "larger cells", "unseen phases", "unseen defects in strained crystal")
FORCES = "forces_rmse"
NAMES = {FORCES: "forces", "virial_rmse": "virials", "geometry": "relaxed geometry", "formation_energy": "formation energy"}


def crystal_findings(others: dict[str, pd.DataFrame]) -> list[str]:
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
    """Whether further observations move the optimum, and what they are worth."""
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
    """How well each measure tells atoms with large force errors, on the structural tests."""
    if table is None:
        return
    yield from told(table[table["test"].isin(APART)], "over crystals, splits and repetitions")
