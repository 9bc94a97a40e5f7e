"""What an audit found, in sentences made of its tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ...errors.bound_terms import KINDS
from ...plot.typeset import MINUS, number

TERMS = {kind.name: kind.what for kind in KINDS}

OWN = "each on its own lattice"

NOTHING = 1e-9
"""Differences below it, in the units of the scorecard, are rounding."""


def answer(
    material: str, reference: str, model: str, rows: Sequence[Mapping[str, Any]], terms: Sequence[Mapping[str, Any]]
) -> str:
    """The result in one sentence: the energy of the first defect in its largest cell, and the largest term of the bound."""
    whole = [abs(row["difference"]) for row in rows if row["difference"] is not None]
    if whole and max(whole) <= NOTHING:
        return f"{model} and {reference} agree for {material} in all {len(rows)} quantities that were compared, to rounding."
    parts = []
    energies = [row for row in rows if row["group"] == "defects" and row["unit"] == "eV" and OWN in row["quantity"]]
    if energies:
        first = energies[0]["case"].rpartition(", ")[0]
        last = [row for row in energies if row["case"].rpartition(", ")[0] == first][-1]
        values = (
            ""
            if last["reference"] is None
            else f" ({signed(last['model'], plus=False)} against {signed(last['reference'], plus=False)} eV)"
        )
        parts.append(
            f"{model} differs from {reference} by {signed(last['difference'])} eV in the {first} energy of {material}"
            f"{values}, {last['case'].rpartition(', ')[2]}, {OWN}"
        )
    else:
        shown = [row for row in rows if row["relative"] is not None and row["group"] in ("elasticity", "crystal")]
        if not shown:
            return f"{model} was compared with {reference} for {material}; no quantity has a value for both."
        worst = max(shown, key=lambda row: abs(row["relative"]))
        parts.append(
            f"{model} differs from {reference} by up to {number(abs(worst['relative']) * 100)} % in the perfect crystal of "
            f"{material} "
            f"({worst['quantity']}: {worst['model']:.4g} against {worst['reference']:.4g} {worst['unit']})"
        )
    if terms:
        defect = terms[0]["defect"]
        floor, energy = (_named(str(terms[0][key]), float(terms[0]["radius"])) for key in ("floor", "energy_floor"))
        where = f" of the {defect}" if energies and defect not in parts[0] else ""
        parts.append(f"largest term of the bound{where}: {floor} (geometry), {energy} (energy)")
    else:
        shown = [row for row in rows if row["relative"] is not None and row["group"] == "elasticity"]
        if energies and shown:
            worst = max(shown, key=lambda row: abs(row["relative"]))
            parts.append(f"largest error of the elastic constants: {worst['quantity']}, {percent(worst['relative'])}")
    return "; ".join(parts) + "."


def findings(table: pd.DataFrame, about: pd.Series) -> Iterator[str]:
    """Sentences about one material, from the perfect crystal to the barrier."""
    name = str(about["material"])
    rows = table[table["material"] == name]
    crystal = rows[(rows["group"] == "crystal") & rows["relative"].notna()]
    constants = crystal[crystal["quantity"].str.startswith("lattice constant")]
    if len(constants):
        listed = ", ".join(
            f"{r['quantity'].removeprefix('lattice constant ')} {r['model']:.4f} against {r['reference']:.4f} Å "
            f"({percent(r['relative'])})"
            for _, r in constants.iterrows()
        )
        yield f"{name}: lattice constants {listed}."
    elastic = rows[(rows["group"] == "elasticity") & rows["relative"].notna()]
    if len(elastic):
        worst = elastic.loc[elastic["relative"].abs().idxmax()]
        yield (
            f"{name}: elastic constants differ by up to {percent(worst['relative'])} ({worst['quantity']}: "
            f"{worst['model']:.4g} "
            f"against {worst['reference']:.4g} GPa)."
        )
    waves = rows[(rows["group"] == "phonons") & rows["quantity"].str.startswith("largest difference")]
    unstable = rows[(rows["group"] == "phonons") & rows["quantity"].str.startswith("lowest")]
    if len(waves):
        top = rows[(rows["group"] == "phonons") & (rows["quantity"] == "highest frequency")].iloc[0]
        yield (
            f"{name}: phonon frequencies differ by up to {number(waves.iloc[0]['difference'])} THz; the highest is "
            f"{top['model']:.3g} THz with the model and {top['reference']:.3g} THz with the reference."
        )
    for _, r in unstable.iterrows():
        which = " and ".join(w for w in ("reference", "model") if r[w] < -0.05)
        yield f"{name}: the crystal is not stable with the {which}: some frequencies are imaginary."
    for _, r in _largest_cells(rows).iterrows():
        values = "" if pd.isna(r["reference"]) else f", {r['model']:.4f} against {r['reference']:.4f} eV"
        other = rows[
            (rows["group"] == "defects") & (rows["case"] == r["case"]) & rows["quantity"].str.endswith("reference's lattice")
        ]
        held = other[other["unit"] == "eV"]
        both = f"; on the reference's lattice by {signed(float(held.iloc[0]['difference']))} eV" if len(held) else ""
        yield f"{name} {r['case']}: energy differs by {signed(float(r['difference']))} eV on the own lattices{values}{both}."
    yield from _bounds(name, rows)
    for _, r in rows[rows["group"] == "barrier"].iterrows():
        yield (
            f"{name} {r['case']}: the migration barrier is {r['model']:.4f} eV with the model and {r['reference']:.4f} eV "
            f"with the "
            f"reference ({signed(float(r['difference']))} eV)."
        )


def _bounds(name: str, rows: pd.DataFrame) -> Iterator[str]:
    """Estimate and bound of the error of every defect next to the true one, on the reference's lattice."""
    for defect, own in rows[rows["group"] == "bound"].groupby("case", sort=False):
        cells = rows[(rows["group"] == "defects") & (rows["case"].str.rpartition(", ")[0] == defect)]
        held = cells[cells["quantity"].str.endswith("both on the reference's lattice")]
        known = dict(zip(own["quantity"], own["difference"], strict=True))
        parts = []
        for quantity, unit, shown in (("geometry", "A", "Å"), ("energy", "eV", "eV")):
            true = held[held["unit"] == unit]["difference"]
            estimate = known.get(f"estimate of the {quantity} error")
            if len(true) and estimate is not None:
                most = known.get(f"bound of the {quantity} error")
                bounded = "no bound, since the model is not stable there" if most is None else f"bound {number(most)} {shown}"
                true_size = number(abs(float(true.iloc[-1])))
                parts.append(f"{quantity} error {true_size} {shown} (estimate {number(estimate)} {shown}, {bounded})")
        if parts:
            yield f"{name} {defect}, on the reference's lattice: {'; '.join(parts)}."


def _largest_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """The energy on the own lattices of every defect, in its largest cell."""
    own = rows[(rows["group"] == "defects") & (rows["unit"] == "eV") & rows["quantity"].str.endswith(OWN)]
    own = own.assign(defect=[case.rpartition(", ")[0] for case in own["case"]])
    return own.groupby("defect", sort=False).tail(1)


def signed(value: float, plus: bool = True) -> str:
    """An energy with four digits after the point, or fewer significant ones where it is smaller."""
    text = f"{value:+.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:+.2e}"
    return text.replace("-", MINUS) if plus or value < 0 else text.removeprefix("+")


def percent(relative: float) -> str:
    """A relative difference in per cent, with its sign."""
    return f"{MINUS if relative < 0 else '+'}{number(abs(relative) * 100)} %"


def _named(floor: str, radius: float) -> str:
    """The terms in words: "elastic constants and dispersion of the force constants"."""
    words = [TERMS.get(name, name).partition(",")[0].replace(" L", f" {radius:g} spacings") for name in floor.split("+")]
    return " and ".join(words)
