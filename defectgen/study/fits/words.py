"""The page of the study: an answer, what was done, the floors and caps that were met."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...errors import core_cap
from ...plot.typeset import decimal, in_words, slope
from ..page import Page, PageTable, Part, Section
from ..run import Run
from .figures import cap, fit_pictures, measured
from .names import BEYOND, PURE
from .tables import CHECKS

_HOW = (
    "A potential is fitted to one relaxed cell of radius L that contains the defect, without rattles. Pure fits are used "
    "everywhere. Fits beyond L give the forces on atoms farther than L, and the reference gives those within. Such mixed forces "
    "have no energy. Their energy error is that of the far field: the energy of the fit minus that of the reference, for a "
    "perfect crystal with the displacements of the reference beyond L (cut off smoothly between L and 1.5 L). All errors are "
    "relative to the reference in the same cell. Every curve is repeated with several bases."
)
_ORDER = (
    "The response to the forces of a fit beyond L is that of the perfect crystal, computed with the Green's function of the "
    "reference. It is first order in the error of the fit and leaves out the stiffness of the defect. Here the nonlinear "
    "equilibrium of the mixed forces was computed as well. A ratio that does not depend on L does not change the slope. The last "
    "column is the residual of this equilibrium, relative to the forces of the fit beyond L. Iterations end at 0.003, or earlier "
    "where the rounding of the forces does not allow a smaller residual."
)


def fits_page(run: Run, rows: pd.DataFrame) -> Page:
    """Sentences, a figure for every kind of fits and case, and the check of the response."""
    rates = run.rates[run.rates["study"].isin([PURE, BEYOND])]
    pictures = tuple(fit_pictures(rows, rates))
    return Page(
        (_HOW,),
        (*_answers(rows, rates), *_findings(rates)),
        pictures,
        (*_floors(rows, rates), *_sections(run)),
    )


def _answers(rows: pd.DataFrame, rates: pd.DataFrame) -> Iterator[str]:
    """What all cases show, and each of them: the first sentences of the page."""
    cases = [
        f"{'an' if defect[0] in 'aeiou' else 'a'} {defect} in {material}"
        for material, defect in dict.fromkeys(zip(rates["material"], rates["defect"], strict=True))
    ]
    if len(cases) > 1:
        each = [_agreement(own) for _, own in rates.groupby(["material", "defect"], sort=False)]
        shares = f" ({', '.join(f'{agree} of {total}' for agree, _, total in each)})"
        yield _answer(f"Fits of {' and of '.join(cases)}", rates, shares)
    for (material, defect), own in rates.groupby(["material", "defect"], sort=False):
        d = int(own["dimension"].iloc[0])
        pure, beyond = (own[own["study"] == study] for study in (PURE, BEYOND))
        if len(cases) == 1:
            yield _answer(f"Fits of {cases[0]}", own)
        if len(pure):
            same = (rows["material"] == material) & (rows["defect"] == defect)
            radii = rows[(rows["study"] == PURE) & same]["training_radius"]
            yield (
                f"One fitted potential everywhere ({defect} in {material}, training radii {radii.min():.3g} to "
                f"{radii.max():.3g}): the slope of the geometry error is {_powers(pure, 'geometry')} for all observation sets "
                f"({slope(core_cap(d))} predicted), that of the energy error {_each(pure, 'energy')}."
            )
        if len(beyond):
            yield (
                f"The fits used beyond L only, the reference within ({defect} in {material}): the slope of the geometry error is "
                f"{_each(beyond, 'geometry')}, that of the energy error {_each(beyond, 'energy')}."
            )


def _answer(what: str, rates: pd.DataFrame, shares: str = "") -> str:
    """How many curves follow their prediction; `shares` are those of each case."""
    agree, faster, total = _agreement(rates)
    more = f"; {faster} more {'falls' if faster == 1 else 'fall'} faster, as an upper bound allows" if faster else ""
    return (
        f"{what} follow the predicted rates in {agree} of {total} curves{shares}: the slope is within 0.5 of the prediction, or "
        f"of the cap that one relaxed configuration sets{more}."
    )


def _agreement(rates: pd.DataFrame) -> tuple[int, int, int]:
    """Curves whose slope is near the prediction, or near the cap where that is shallower; steeper ones; and all curves."""
    known = rates[np.isfinite(rates["slope"]) & np.isfinite(rates["predicted"])].to_dict("records")
    misses = [_miss(rate) for rate in known]
    return sum(abs(miss) <= 0.5 for miss in misses), sum(miss < -0.5 for miss in misses), len(known)


def _miss(rate: dict) -> float:
    """The slope less the predicted one, or less the cap where that is shallower."""
    capped = cap(rate)
    return rate["slope"] - (rate["predicted"] if capped is None else capped)


def _powers(rates: pd.DataFrame, quantity: str) -> str:
    """The span of measured exponents."""
    found = rates[rates["quantity"] == quantity]["slope"].dropna()
    if found.empty:
        return "not known"
    low, high = decimal(float(found.max())), decimal(float(found.min()))
    return low if low == high else f"{low} to {high}"


def _each(rates: pd.DataFrame, quantity: str) -> str:
    """Every set with its measured and its predicted exponent; sets without a slope come last."""
    own = rates[rates["quantity"] == quantity].to_dict("records")
    known = [rate for rate in own if np.isfinite(rate["slope"])]
    parts = ", ".join(f"{in_words(rate['slope'])} with {rate['observations']} ({slope(rate['predicted'])})" for rate in known)
    others = ", ".join(f"“{rate['observations']}”" for rate in own if rate not in known)
    return (parts or "not known") + (f" (of {others} there is no slope)" if others else "")


def _findings(rates: pd.DataFrame) -> Iterator[str]:
    """The cap on the energy, and the floors of curves that miss their prediction."""
    for (material, defect), own in rates.groupby(["material", "defect"], sort=False):
        for rate in own.to_dict("records"):
            if cap(rate) is not None:
                yield (
                    f"{material} {defect}, {rate['quantity']} of {rate['observations']}, pure fits: {measured(rate)}. The slope "
                    f"{slope(rate['predicted'])} is predicted for a given far error; one relaxed configuration caps it at "
                    f"{slope(cap(rate) or np.nan)} (theory: bounds/core)."
                )
        yield from _missed(str(material), str(defect), own)
        yield from _faster(str(material), str(defect), own)
        yield from _undecided(str(material), str(defect), own)


def _faster(material: str, defect: str, rates: pd.DataFrame) -> Iterator[str]:
    """Curves that are steeper than predicted."""
    steep = rates[rates["verdict"] == "steeper"].to_dict("records")
    if steep:
        parts = ", ".join(
            f"{rate['study'].removeprefix('fits: ')} {rate['quantity']} of {rate['observations']}, {measured(rate)}"
            for rate in steep
        )
        yield (
            f"{material} {defect}, steeper than predicted: {parts}. A bound allows this. Where the dipole of the defect is "
            "degenerate, the leading term of the geometry is missing (theory: bounds/degenerate)."
        )


def _undecided(material: str, defect: str, rates: pd.DataFrame) -> Iterator[str]:
    """Curves whose verdict is inconclusive, one sentence for every reason."""
    undecided = rates[rates["verdict"] == "inconclusive"]
    reasons = undecided["remark"].fillna("").map(lambda remark: re.sub(r"power \d+ %: ", "", remark).replace("; ", ", and "))
    for reason, own in undecided.groupby(reasons, sort=False):
        parts = ", ".join(
            f"{rate['study'].removeprefix('fits: ')} {rate['quantity']} of {rate['observations']}, {measured(rate)}"
            for rate in own.to_dict("records")
        )
        why = reason or "the interval contains the prediction and reaches farther than the tolerance"
        yield f"{material} {defect}, inconclusive: {parts}. Reason: {why}."


def _missed(material: str, defect: str, rates: pd.DataFrame) -> Iterator[str]:
    """Curves that are shallower than predicted; the table below has what the fit left in its training data."""
    for rate in rates[rates["verdict"] == "shallower"].to_dict("records"):
        if cap(rate) is None:  # otherwise a sentence above names the cap
            yield (
                f"{material} {defect}, {rate['study'].removeprefix('fits: ')}, {rate['quantity']} of {rate['observations']}: "
                f"{measured(rate)}, shallower than predicted."
            )


_FLOORS = (
    "Curves whose verdict is inconclusive or shallower, at their largest radius. Where bases differ by a large factor or in "
    "sign, terms of both signs cancel. Forces left are the root mean square error of the forces in the training cell. Energies "
    "of pure fits end where the rounding of the rows of the energy does, at about 1e-13 eV per atom of the training cell."
)


def _floors(rows: pd.DataFrame, rates: pd.DataFrame) -> Iterator[Section]:
    """What limits each curve that does not show its rate, measured."""
    header = ("fits", "case", "set", "error of", "slope", "smallest error", "bases differ by", "forces left")
    lines = []
    for rate in rates[rates["verdict"].isin(["inconclusive", "shallower"])].to_dict("records"):
        same = np.logical_and.reduce([rows[name] == rate[name] for name in ("study", "material", "defect", "observations")])
        own = rows[same & rows["converged"] & rows["same_basin"]]
        if own.empty:
            continue
        last = own[own["training_radius"] == own["training_radius"].max()]
        error = last[f"{rate['quantity']}_error"]
        signs = pd.to_numeric(last["energy_error_signed"]) if rate["quantity"] == "energy" else error
        apart = "a sign" if signs.min() < 0 < signs.max() else f"{error.max() / error.min():.1f}"
        lines.append(
            (
                rate["study"].removeprefix("fits: "),
                f"{rate['material']} {rate['defect']}",
                rate["observations"],
                rate["quantity"],
                measured(rate),
                f"{error.min():.1e} {'eV' if rate['quantity'] == 'energy' else 'Å'}",
                apart,
                f"{last['rmse_forces'].mean():.0e} eV/Å",
            )
        )
    if lines:
        table = PageTable.plain(header, lines)
        yield Section("floors", "What limits the rates that are not shown", (Part(about=_FLOORS, tables=(table,)),))


def _sections(run: Run) -> Iterator[Section]:
    checks = run.others.get(CHECKS)
    if checks is None or checks.empty:
        return
    header = ("case", "atoms", "set", "L", "response (Å)", "nonlinear (Å)", "ratio", "residual")
    rows = [
        (
            f"{row['material']} {row['defect']}",
            f"{row.get('simulation_atoms', np.nan):.0f}",
            row["observations"],
            f"{row['training_radius']:g}",
            f"{row['response_geometry']:.4g}",
            f"{row['nonlinear_geometry']:.4g}",
            f"{row['geometry_ratio']:.4f}",
            f"{row.get('relative_residual', np.nan):.0e}",
        )
        for row in checks.to_dict("records")
    ]
    yield Section(
        "response", "Response and nonlinear equilibrium", (Part(about=_ORDER, tables=(PageTable.plain(header, rows),)),)
    )
