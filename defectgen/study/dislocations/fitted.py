"""Question: what are fits worth around a dislocation, beyond a radius L with the reference within, and everywhere?"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from ..._input import InputError
from ...campaign import Given
from ...crystal import defect_from_name
from ...errors.predicted_rates import dislocation_rate
from ...plot.style import in_reading_order
from ...plot.typeset import decimal, in_words, number
from ...surrogate.dislocated import RIM
from ..columns import WARNED
from ..fitting import Fits
from ..interface import Study, Tables
from ..materials import build_lattice
from ..page import Page, PageTable, Part, Section
from ..rates import rates
from ..run import Run
from ..settings import Case, Strict
from ..spec import RunSpec
from ..tasks import Crystal, Exact, TrainingRows, box
from .checks import check_lines
from .fitted_steps import CRYSTAL, CrystalRows, LineBeyond, LineCurve, LinePure, PureLine
from .steps import Line

NAME = "fit_dislocations"
BEYOND, PURE = "dislocations: fits beyond", "dislocations: pure fits"
"""What the column `study` says."""
LEAD = (
    "Potentials are fitted to the strained crystal and its force constants, with or without a point defect at rest. Beyond the "
    "radius L around a dislocation the forces are those of the fit, within L those of the reference; then the fits are used "
    "everywhere, in cylinders clamped to the elastic field of the reference."
)
ABOUT = (
    "Dislocations relaxed with the fits alone. K is the energy factor: between the radii r and R a dislocation has the energy "
    "K log(R/r). A fit with elastic constants wrong by one factor has the right displacements and the wrong K."
)


class FitDislocations(Strict):
    """Fits around a straight dislocation: beyond a radius with the reference's forces within, and everywhere.

    A dislocation has no periodic cell that could be labelled, so fits are trained on the crystal, or on the crystal and a point
    defect at rest. Cases are those of `Dislocations`, with a basis.
    """

    radii: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=2)
    """Radii beyond which the fits are used, nearest-neighbour spacings."""
    trained_on: tuple[str, ...] = Field(("crystal", "divacancy"), min_length=1)
    """Training sets: relaxed point defects, each in its own cell; "crystal" is strained crystals and force constants alone."""
    training_size: int = Field(ge=1)
    """Size of the training cell of a point defect: conventional cells along each side."""
    pure_radii: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Radii of free cylinders (nearest-neighbour spacings) that are relaxed with the fit alone."""


class FitDislocationsStudy(Study[FitDislocations]):
    """One step per dislocation, training set and observation set for all radii, one for each cylinder of a pure fit."""

    name = NAME
    settings = FitDislocations
    fits = True
    boxed = False
    alone = "a dislocation lies in a cylinder, other defects in a box"

    def check(self, spec: RunSpec, asked: FitDislocations) -> None:
        """Raises InputError for crystals without such a dislocation, radii that leave the cylinder, and unknown point defects."""
        for case in spec.cases:
            check_lines(NAME, asked.radii, case)
            for name in asked.trained_on:
                if name != CRYSTAL:
                    defect_from_name(name).apply(box(build_lattice(case.material), asked.training_size))

    def plan(self, spec: RunSpec, asked: FitDislocations) -> list[LineBeyond | LinePure]:
        """The solves and the relaxations of every case."""
        return [*_beyond(spec, asked), *_pure(spec, asked)]

    def tables(self, spec: RunSpec, asked: FitDislocations, given: Given) -> Tables:
        """Lines of results.csv, rates of the geometry, and fit_dislocations.csv about the pure fits."""
        results, failures, pure = [], [], []
        for step in _beyond(spec, asked):
            found = given.get(step)
            if found is not None:
                results += _curve(step, found, given.seconds(step))
                failures += [{"label": step.label, "reason": reason} for reason in _remarks(found)]
        slopes = [row for row in rates(results, _predicted) if row["quantity"] == "geometry"]
        for step in _pure(spec, asked):
            found = given.get(step)
            if found is not None:
                pure.append(_line(step, found, given.seconds(step)))
                reasons = [] if found.same_basin else [f"the fit loses the dislocation: {found.why_not}"]
                failures += [{"label": step.label, "reason": reason} for reason in reasons]
        others = {NAME: pure} if pure else {}
        return Tables([*results, *pure], slopes, failures, others)

    def page(self, run: Run) -> Page:
        """The geometry against the radius, and the pure fits."""
        rows = run.results[run.results["study"].str.startswith(f"{BEYOND}, ")]
        pure = run.others.get(NAME)
        if rows.empty:
            return Page()
        from .figures import beyond_picture, pure_picture

        figures, findings, parts = [], [], []
        for (material, defect), own in rows.groupby(["material", "defect"], sort=False):
            ours = (run.rates["material"] == material) & (run.rates["defect"] == defect)
            figures.append(beyond_picture(f"{material} {defect}", own, run.rates[ours]))
        findings += list(beyond_findings(rows, run.rates))
        if pure is not None and not pure.empty:
            findings += list(pure_findings(pure))
            for (material, defect), own in pure.groupby(["material", "defect"], sort=False):
                case = f"{material} {defect}"
                parts.append(Part(case, figures=(pure_picture(case, own),), tables=(_page_table(own),)))
        sections = (Section("pure-lines", "Fits alone", (Part(about=ABOUT), *parts)),) if parts else ()
        return Page((LEAD,), tuple(findings), tuple(figures), sections)


def beyond_findings(rows: pd.DataFrame, slopes: pd.DataFrame) -> Iterator[str]:
    """Measured and predicted slopes for each training set."""
    for (material, defect, trained), own in rows.groupby(["material", "defect", "trained_on"], sort=False):
        parts = []
        for name in in_reading_order(own["observations"]):
            line = slopes[
                (slopes["material"] == material)
                & (slopes["defect"] == defect)
                & (slopes["observations"] == name)
                & (slopes["study"] == f"{BEYOND}, {trained}")
            ]
            if len(line):
                one = line.iloc[0]
                parts.append(f"{name} {in_words(float(one['slope']), 'no slope')} ({decimal(float(one['predicted']))})")
        with_ = "the crystal alone" if trained == CRYSTAL else f"the crystal and the {trained}"
        yield (
            f"{material} {defect} dislocation, fits to {with_} used beyond L: slopes of the geometry error, in brackets those "
            f"predicted for this window and cylinder: {', '.join(parts)}."
        )


def pure_findings(pure: pd.DataFrame) -> Iterator[str]:
    """Under how many fits the dislocation is stable, and whether K explains the energy errors."""
    for (material, defect), own in pure.groupby(["material", "defect"], sort=False):
        good = own[own["same_basin"].astype(bool)]
        largest = good[good["simulation_radius"] == good["simulation_radius"].max()]
        parts = [
            f"{row['observations']} of the {row['trained_on']} {number(float(row['geometry_error']))} Å and "
            f"{number(float(row['energy_error']))} eV (K {decimal(float(row['energy_factor'] / row['reference_factor']))} times "
            "the reference's)"
            for _, row in largest.iterrows()
        ]
        shown = f" In the largest cylinder: {'; '.join(parts)}." if parts else ""
        yield f"{material} {defect} dislocation: {len(good)} of {len(own)} fits alone hold it.{shown}"
        yield from _growth(f"{material} {defect} dislocation", good)


def _growth(case: str, good: pd.DataFrame) -> Iterator[str]:
    """Of the fit with the most wrong K: the growth of its energy error between the smallest and the largest cylinder."""
    wrong = (good["energy_factor"] / good["reference_factor"] - 1).abs()
    if good.empty or wrong.max() < 0.01:
        return
    worst = good.loc[wrong.idxmax()]
    own = good[(good["trained_on"] == worst["trained_on"]) & (good["observations"] == worst["observations"])]
    own = own.sort_values("simulation_radius")
    if len(own) < 2:
        return
    ends = own.iloc[[0, -1]]
    grown = float(np.diff(ends["energy_error_signed"])[0])
    radii = ends["simulation_radius"].to_numpy(float)
    expected = float(worst["energy_factor"] - worst["reference_factor"]) * float(np.log(radii[1] / radii[0]))
    yield (
        f"{case}, {worst['observations']} of the {worst['trained_on']}: from radius {radii[0]:.3g} to {radii[1]:.3g} the energy "
        f"error grows by {number(grown)} eV; the error of K alone makes it {number(expected)} eV."
    )


def _lines(spec: RunSpec) -> Iterator[tuple[Case, Crystal]]:
    for case in spec.cases:
        if case.basis is not None:  # the specification refuses others
            yield case, Crystal(material=case.material)


def _trained(spec: RunSpec, asked: FitDislocations, case: Case) -> Iterator[tuple[TrainingRows | CrystalRows, str]]:
    """Rows and observation sets. The crystal alone has no forces: E+F of it is its energy and lattice constant."""
    crystal, basis = Crystal(material=case.material), Fits(spec).full(case)
    for name in dict.fromkeys(asked.trained_on):
        if name == CRYSTAL:
            rows = CrystalRows(crystal=crystal, size=asked.training_size, basis=basis, training=spec.training)
        else:
            rest = Exact(crystal=crystal, defect=name, size=asked.training_size, eigenvalue=False)
            rows = TrainingRows(
                crystal=crystal,
                rest=rest,
                defect=name,
                training_size=asked.training_size,
                basis=basis,
                training=spec.training,
            )
        for observations in spec.observations:
            yield rows, observations


def _beyond(spec: RunSpec, asked: FitDislocations) -> Iterator[LineBeyond]:
    for case, crystal in _lines(spec):
        assert isinstance(case.simulation_size, int) and case.basis is not None  # see `check_lines`
        exact = Line(crystal=crystal, slip=case.defect, radius=case.simulation_size)
        for rows, observations in _trained(spec, asked, case):
            yield LineBeyond(
                crystal=crystal,
                exact=exact,
                rows=rows,
                basis=case.basis,
                observations=observations,
                fit=spec.fit,
                radii=tuple(float(radius) for radius in asked.radii),
            )


def _pure(spec: RunSpec, asked: FitDislocations) -> Iterator[LinePure]:
    for case, crystal in _lines(spec):
        assert case.basis is not None
        for radius in sorted(set(asked.pure_radii)):
            exact = Line(crystal=crystal, slip=case.defect, radius=radius)
            for rows, observations in _trained(spec, asked, case):
                yield LinePure(crystal=crystal, exact=exact, rows=rows, basis=case.basis, observations=observations, fit=spec.fit)


def _about(step: LineBeyond | LinePure, found: LineCurve | PureLine) -> dict:
    kinds = {"energy": "E", "forces": "F", "force_constants": "FC", "virial": "V"}
    return {
        "material": step.crystal.material.name,
        "defect": step.exact.slip,
        "dimension": found.dimension,
        "observations": step.observations,
        "basis_functions": found.functions,
        "degree": step.basis.degree,
        "simulation_atoms": found.simulation_atoms,
        "simulation_radius": found.simulation_radius,
        **{f"rmse_{name}": found.rmse.get(kind) for name, kind in kinds.items()},
        "trained_on": step.trained_on,
    }


def _curve(step: LineBeyond, found: LineCurve, seconds: float) -> list[dict]:
    """A line of results.csv for every radius. There is no energy: forces that are mixed have none (bounds/dislocations)."""
    about = {"study": f"{BEYOND}, {step.trained_on}", **_about(step, found), "energy_error": float("nan")}
    return [
        {
            **about,
            "training_size": point.radius,
            "training_radius": point.radius,
            "training_atoms": point.inner_atoms,
            "geometry_error": point.geometry_error if point.converged else float("nan"),
            "geometry_error_max": point.geometry_error_max if point.converged else float("nan"),
            "converged": point.converged,
            "same_basin": point.converged,
            "seconds": seconds / len(found.points),
        }
        for point in found.points
    ]


def _remarks(found: LineCurve) -> Iterator[str]:
    for point in found.points:
        if not point.converged:
            yield (
                f"beyond {point.radius:g} spacings the mixed forces fell to {point.reduction:.1e} of their start only: the "
                "strain there is too large for this fit"
            )
    yield from (WARNED + text for text in found.warnings)


def _line(step: LinePure, found: PureLine, seconds: float) -> dict:
    return {
        "study": PURE,
        **_about(step, found),
        "training_size": step.rows.training_size if isinstance(step.rows, TrainingRows) else step.rows.size,
        "training_radius": found.simulation_radius,
        "training_atoms": found.simulation_atoms,
        "geometry_error": found.geometry_error,
        "geometry_error_max": found.geometry_error_max,
        "energy_error": abs(found.energy_error_signed),
        "energy_error_signed": found.energy_error_signed,
        "energy_factor": found.energy_factor,
        "reference_factor": found.reference_factor,
        "converged": found.converged,
        "same_basin": found.same_basin,
        "seconds": seconds,
    }


def _predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
    """The slope for this window and cylinder.

    Forces around a point defect fix the elastic constants up to one factor, which does not affect the geometry
    (bounds/one-potential): there E+F has the rate of E+F+C.
    """
    kinds = row["observations"]
    if kinds == "E+F" and row["trained_on"] != CRYSTAL:
        kinds = "E+F+C"
    try:
        return dislocation_rate(kinds, quantity, radii, row["simulation_radius"] - RIM)
    except InputError:
        return None


def _page_table(own: pd.DataFrame) -> PageTable:
    header = (
        "trained on",
        "observed",
        "radius (spacings)",
        "geometry error (Å)",
        "energy error (eV)",
        "K / K of the reference",
        "",
    )
    rows = [
        (
            row["trained_on"],
            row["observations"],
            f"{row['simulation_radius']:.3g}",
            number(float(row["geometry_error"])),
            number(float(row["energy_error_signed"])),
            f"{row['energy_factor'] / row['reference_factor']:.4f}",
            "" if row["same_basin"] else "lost",
        )
        for _, row in own.iterrows()
    ]
    return PageTable.plain(header, rows)
