"""Findings of the study of transfer in sentences, made of its tables; only ratios and counts are computed here."""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from ...plot.style import in_reading_order
from ...plot.typeset import number
from .tables import HELD

QUANTITIES = {"geometry": ("geometry_error", "Å"), "energy": ("energy_error", "eV")}
FACTOR = 0.03
"""Elastic constants are called wrong by one factor where the factor is off by more than this and leaves a tenth of it at most."""


def transfer_cases(table: pd.DataFrame | None) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The matrices: the rows of each material and variant."""
    if table is None or table.empty:
        return
    for (material, variant), rows in table.groupby(["material", "variant"], sort=False):
        yield (str(material), str(variant)), rows


def transfer_findings(table: pd.DataFrame, constants: pd.DataFrame | None) -> Iterator[str]:
    """How many fits keep the test defect, the errors by training defect, and the common factor of E+F."""
    for (material, variant), rows in transfer_cases(table):
        case = f"{material}, {variant}"
        yield _counted(case, rows)
        for trained, own in rows[rows["defect"] != rows["trained_on"]].groupby("trained_on", sort=False):
            yield f"{case}: {_said(str(trained), own)}"
        if constants is not None and not constants.empty:
            mine = constants[(constants["material"] == material) & (constants["variant"] == variant)]
            yield from (f"{case}: {text}" for text in _factors(rows, mine))


def _counted(case: str, rows: pd.DataFrame) -> str:
    """How many cells are no errors, and by what factor the others are worse than a fit to the defect itself."""
    off = rows[rows["defect"] != rows["trained_on"]]
    kept, lost = off[off["state"] == HELD], Counter(off.loc[off["state"] != HELD, "state"])
    count = f"{len(kept)} of {len(off)} fits to another defect keep the test defect in its state"
    if lost:
        count += " (" + ", ".join(f"{what}: {n}" for what, n in lost.most_common()) + ")"
    parts = []
    for quantity in QUANTITIES:
        ratios = kept[f"{quantity}_ratio"].dropna()
        if len(ratios):
            parts.append(f"the {quantity} error is {_span(ratios)} times (median {number(float(ratios.median()))})")
    compared = f"; for these, {' and '.join(parts)} that of the fit trained on the test defect itself" if parts else ""
    medians = [float(kept[f"{quantity}_ratio"].median()) for quantity in QUANTITIES]
    poor = "a fit to one defect is not reliable for another: " if lost or max(medians, default=0.0) > 10 else ""
    return f"{case}: {poor}{count}{compared}."


def _said(trained: str, off: pd.DataFrame) -> str:
    """Errors of the fits to one defect for each other defect."""
    parts = []
    for defect, rows in off.groupby("defect", sort=False):
        kept = rows[rows["state"] == HELD]
        text = ""
        if len(kept):
            text = " and ".join(f"{q} {_span(kept[c])} {u}" for q, (c, u) in QUANTITIES.items())
        lost = in_reading_order(rows.loc[rows["state"] != HELD, "observations"])
        if lost:
            text += f"{', ' if text else ''}not kept with {'any set' if len(lost) == len(rows) else ' and '.join(lost)}"
        parts.append(f"of the {defect} ({text})")
    return f"a fit to the {trained} gives errors " + ", ".join(parts) + "."


def _factors(rows: pd.DataFrame, constants: pd.DataFrame) -> Iterator[str]:
    """Where E+F leaves one wrong factor of the elastic constants: errors of other defects over those with E+F+FC."""
    for _, line in constants[constants["observations"] == "E+F"].iterrows():
        trained, factor, rest = str(line["trained_on"]), float(line["elastic_factor"]), float(line["elastic_rest"])
        if abs(factor - 1) < FACTOR or rest > 0.1 * abs(factor - 1):
            continue
        mine = rows[(rows["trained_on"] == trained) & (rows["defect"] != trained) & (rows["state"] == HELD)]
        parts = []
        for defect, own in mine.groupby("defect", sort=False):
            by_set = own.set_index("observations")
            if "E+F" in by_set.index and "E+F+FC" in by_set.index:
                first, second = by_set.loc["E+F"], by_set.loc["E+F+FC"]
                ratios = [number(float(first[c]) / float(second[c])) for c, _ in QUANTITIES.values() if float(second[c])]
                if len(ratios) == len(QUANTITIES):
                    parts.append(f"{defect} {ratios[0]} in the geometry and {ratios[1]} in the energy")
        seen = f" For other defects, the error with E+F divided by that with E+F+FC: {'; '.join(parts)}." if parts else ""
        yield (
            f"E+F on the {trained} determines the elastic constants up to one common factor, {factor:.3f} (the remainder is "
            f"{number(rest)} of their norm).{seen}"
        )


def _span(values: pd.Series) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"
