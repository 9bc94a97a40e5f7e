"""What the bench found, in sentences and as the table of the page."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...fit import COMPARATORS
from ...plot.typeset import number
from ..page import Cell, PageTable
from .settings import DEFAULT
from .tables import CHOSEN


def finding(ranking: pd.DataFrame) -> str:
    """The one sentence: the best loss on held-out defects, its ratios with intervals, and how often and how much it is worse."""
    others = ranking[(ranking["loss"] != DEFAULT) & ranking["score"].notna()]
    if others.empty:
        return "No loss but the default held a defect that it was not trained on."
    best = others.iloc[0]
    better = others[(others["geometry_high"] < 1) & (others["energy_high"] < 1)]
    known = bool(np.isfinite(others[["geometry_high", "energy_high"]].to_numpy(float)).any())
    intervals = ", 95 % intervals over defects" if known else ""
    count = f"{len(better)} of {len(others)} losses {'is' if len(better) == 1 else 'are'} better than the default in both errors"
    judged = f"With 95 % confidence {count}." if known else "The defects are too few for intervals."
    harm = {
        name: f"in {best[f'{name}_worse']:.0%} of the cases, at worst {number(float(best[f'{name}_worst']))} times"
        for name in ("geometry", "energy")
    }
    return (
        f"On {best['defects']:.0f} held-out defects the loss with the smallest errors is “{best['loss']}”: geometry "
        f"{_span(best, 'geometry')} and energy {_span(best, 'energy')} times those of the default (geometric means"
        f"{intervals}). Its energy error is larger than the default's {harm['energy']}, its geometry error "
        f"{harm['geometry']}. {judged}"
    )


def _span(row: pd.Series, name: str) -> str:
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    known = f" ({number(low)} to {number(high)})" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{number(float(row[f'{name}_ratio']))}{known}"


def bench_findings(ranking: pd.DataFrame) -> Iterator[str]:
    """The finding, the worst harm, the gain of choosing on the training defect, and what training errors predict."""
    yield finding(ranking)
    others = ranking[(ranking["loss"] != DEFAULT) & ranking["score"].notna()]
    if others.empty:
        return
    for name in ("geometry", "energy"):
        worst = others.loc[others[f"{name}_worst"].idxmax()]
        yield (
            f"The largest harm to the {name} of a held-out defect: “{worst['loss']}”, "
            f"{number(float(worst[f'{name}_worst']))} times the error of the default."
        )
    lost = others[others["lost"] > 0]
    if len(lost):
        yield (
            "Held-out defects lost that the default holds: "
            + ", ".join(f"“{row['loss']}” {row['lost']} of {row['pairs']}" for _, row in lost.iterrows())
            + "."
        )
    chosen = others[others["loss"] == CHOSEN]
    if len(chosen):
        row = chosen.iloc[0]
        yield (
            f"Choosing for every training set the loss that is best on its own defect gives held-out errors of geometry "
            f"{_span(row, 'geometry')} and energy {_span(row, 'energy')} times those of the default; worse in "
            f"{row['geometry_worse']:.0%} and {row['energy_worse']:.0%} of the cases, at worst "
            f"{number(float(row['geometry_worst']))} and {number(float(row['energy_worst']))} times."
        )
    several = others[others["loss"] != CHOSEN]
    if len(several) > 3:
        told = [
            f"{several[['force_ratio', f'{name}_ratio']].rank().corr().iloc[0, 1]:.2f} with the {name} error"
            for name in ("geometry", "energy")
        ]
        yield f"Rank correlation of the training error of forces over losses: {' and '.join(told)} of held-out defects."


def ranking_table(ranking: pd.DataFrame) -> PageTable:
    """The ranking: ratios to the default with intervals, harm, training errors, and errors of the crystal."""
    header = (
        ("loss", "text"),
        ("geometry / default", "number"),
        ("energy / default", "number"),
        ("geometry worse (worst)", "number"),
        ("energy worse (worst)", "number"),
        ("lost", "number"),
        ("F in training / default", "number"),
        ("E in training / default", "number"),
        ("elastic error", "number"),
        ("phonon error", "number"),
        ("unstable", "number"),
    )
    rows = []
    for _, row in ranking.iterrows():
        default = row["loss"] == DEFAULT
        harm = [
            "" if default else f"{row[f'{name}_worse']:.0%} ({number(float(row[f'{name}_worst']))})"
            for name in ("geometry", "energy")
        ]
        rows.append(
            (
                Cell(str(row["loss"])),
                *(Cell("1" if default else _span(row, name), "number") for name in ("geometry", "energy")),
                *(Cell(text, "number") for text in harm),
                Cell(f"{row['lost']} of {row['pairs']}", "number"),
                *(Cell(number(float(row[name])), "number") for name in ("force_ratio", "training_energy_ratio")),
                *(Cell(_percent(float(row[name])), "number") for name in ("elastic_error", "phonon_error")),
                Cell(f"{row['unstable']} of {row['fits']}", "number"),
            )
        )
    return PageTable(tuple(Cell(text, kind) for text, kind in header), tuple(rows))


def _percent(share: float) -> str:
    return "" if not np.isfinite(share) else f"{number(100 * share)} %"


def sources_table(ranking: pd.DataFrame) -> PageTable:
    """The named losses of the ranking with their sources."""
    named = [COMPARATORS[name] for name in ranking["loss"] if name in COMPARATORS]
    return PageTable(
        (Cell("loss"), Cell("source", "prose"), Cell("translation", "prose")),
        tuple((Cell(each.name), Cell(each.source, "prose"), Cell(each.note, "prose")) for each in named),
    )
