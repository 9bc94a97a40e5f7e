"""How the far terms of the bound fall with the training radius, as a table and in words; made of bound_rates.csv."""

from collections.abc import Iterator

import pandas as pd

from ...plot.style import in_reading_order
from ...plot.typeset import NONE, decimal, slope
from ..page import Cell, PageTable
from .terms import GEOMETRY, WORDS, bound_cases

STEEPER = 0.5
"""A term whose effect falls by this power faster than coefficient and tail is hidden from the defect's field."""


def fall_table(rates: pd.DataFrame | None, case: str) -> PageTable | None:
    """A line per observation set and far term of a case; None if it has none."""
    if rates is None or rates.empty:
        return None
    own = {name: rows for name, rows in bound_cases(rates)}.get(case)
    if own is None:
        return None
    order = {name: place for place, name in enumerate(in_reading_order(own["observations"]))}
    places = own.assign(order=own["observations"].map(order), place=own["term"].map({t: k for k, t in enumerate(GEOMETRY)}))
    lines = [
        [
            Cell(str(row["observations"]), "set"),
            Cell(str(row["term"])),
            Cell(WORDS[str(row["term"])]),
            Cell(str(row["window"])),
            *(Cell(_decimal(row[f"{name}_slope"]), "number") for name in ("coefficient", "tail", "geometry")),
            Cell(slope(float(row["geometry_predicted"])), "number"),
            Cell(_decimal(row["energy_slope"]), "number"),
            Cell(slope(float(row["energy_predicted"])), "number"),
        ]
        for _, row in places.sort_values(["order", "place"]).iterrows()
    ]
    named = ("observed", "term", "what is wrong", "radii", "coefficient", "tail", "geometry", "predicted", "energy", "predicted")
    header = tuple(Cell(name, cell.kind if cell.kind != "set" else "text") for name, cell in zip(named, lines[0], strict=True))
    return PageTable(header, tuple(tuple(line) for line in lines))


def falls(rates: pd.DataFrame | None, bounds: pd.DataFrame | None) -> Iterator[str]:
    """Of each case, what makes the largest far term of the set with the fewest observations fall as it does."""
    if rates is None or rates.empty or bounds is None:
        return
    sizes = dict(bound_cases(bounds))
    for case, rows in bound_cases(rates):
        name = in_reading_order(rows["observations"])[0]
        own = rows[(rows["observations"] == name) & rows["geometry_slope"].notna()].set_index("term")
        seen = sizes[case][(sizes[case]["observations"] == name) & sizes[case]["term"].isin(own.index)]
        if seen.empty:
            continue
        effect = "joint_response" if "joint_response" in seen else "geometry_response"
        term = str(seen.groupby("term")[effect].max().idxmax())
        row = own.loc[term]
        apart = (
            f"its coefficient like the power {_decimal(row['coefficient_slope'])}, the tail of the displacement that it meets "
            f"like {_decimal(row['tail_slope'])} (predicted {slope(float(row['geometry_predicted']))})"
        )
        alone = row["coefficient_slope"] + row["tail_slope"]
        more = ""
        if row["geometry_slope"] < alone - STEEPER:
            more = (
                "; so what larger training cells leave wrong is more and more what the strain field of this defect does not "
                "see (theory: bounds/one-potential)"
            )
        group = str(row.get("group", "") or "")
        if "+" in group:
            others = " and ".join(f"the {WORDS[each]} ({each})" for each in group.split("+") if each != term)
            more += f"; it cancels with {others}, and together they fall like {_decimal(row['joint_slope'])}"
        yield (
            f"{case}, {name}: the largest error of the far field is that of the {WORDS[term]} ({term}). Its effect on the "
            f"geometry falls like the power {_decimal(row['geometry_slope'])} of the training radius, {apart}{more}."
        )


def _decimal(value: float) -> str:
    return NONE if pd.isna(value) else decimal(float(value))
