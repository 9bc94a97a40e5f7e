"""Question: how fast does the error of a barrier fall with the training cell of a fit, and must the saddle point be labelled?"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from ..._input import InputError
from ...campaign import Given
from ...errors.predicted_rates import core_cap, predicted_rate
from ...plot.style import in_reading_order
from ...plot.typeset import decimal, number
from ..columns import WARNED
from ..fitting import Fits
from ..interface import Study, Tables
from ..materials import build_lattice, centrosymmetric
from ..page import Page
from ..rates import rates
from ..run import Run
from ..settings import Strict
from ..spec import RunSpec
from ..tasks import Crystal, defect_cell
from ..windows import first_radius
from .fitted_steps import BOTH, FittedHop, HopRows, HopTrial
from .steps import Hop

NAME = "fit_barriers"
LEAD = (
    "A potential is fitted to a training cell of a hop into a vacancy: to the relaxed vacancy, or to this and the saddle point. "
    "Minimum and saddle point are found again with the fit in a larger cell; geometry errors are those of the saddle point, "
    "energy errors those of the barrier."
)


class FitBarriers(Strict):
    """Error of the barrier with fits, against the size of the cell of the hop that they are trained on (bounds/barriers)."""

    sizes: tuple[int, ...] = Field(min_length=2)
    """Size of the training cell: conventional cells along each side."""
    trained_on: tuple[Literal["minimum", "both states"], ...] = Field(("both states", "minimum"), min_length=1)
    """Which states of the hop are labelled: only the relaxed vacancy ("minimum"), or also the saddle point ("both states")."""


class FitBarriersStudy(Study[FitBarriers]):
    """One trial per case, choice of labelled states, training size and observation set."""

    name = NAME
    settings = FitBarriers
    fits = True

    def check(self, spec: RunSpec, asked: FitBarriers) -> None:
        """Raises InputError for defects that are no vacancy."""
        for case in spec.cases:
            check_vacancy(case.material, case.defect, case.simulation_size)

    def sizes(self, asked: FitBarriers) -> tuple[int, ...]:
        """Sizes of the training cells."""
        return asked.sizes

    def plan(self, spec: RunSpec, asked: FitBarriers) -> list[FittedHop]:
        """The trials."""
        return list(_trials(spec, asked))

    def tables(self, spec: RunSpec, asked: FitBarriers, given: Given) -> Tables:
        """Lines of results.csv and rates.csv."""
        results, failures = [], []
        for step in _trials(spec, asked):
            found = given.get(step)
            if found is not None:
                results.append(_line(step, found, given))
                failures += [{"label": step.label, "reason": reason} for reason in _remarks(found)]
        lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}

        def predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
            """Of fits to both states; without a label of the saddle point its force error is the floor, and there is no rate."""
            if row["study"] != study_name(BOTH):
                return None
            lattice = lattices[row["material"]]
            try:
                rate = predicted_rate(row["observations"], lattice.dimension, quantity, centrosymmetric(lattice), of="fit")
            except InputError:
                return None
            return max(rate, core_cap(lattice.dimension, quantity))

        begins = {(case.material.name, case.defect): first_radius(case) for case in spec.cases}
        slopes = rates(results, predicted, lambda row: begins[row["material"], row["defect"]])
        return Tables(results, rates=slopes, failures=failures)

    def page(self, run: Run) -> Page:
        """Both errors against the radius, and the effect of a label of the saddle point."""
        rows = run.results[run.results["study"].str.startswith(study_name(""))]
        if rows.empty:
            return Page()
        from ...plot.convergence import convergence_pictures, span

        def caption(material: str, defect: str, own: pd.DataFrame) -> str:
            return (
                f"{material} {defect}: error of the hop with the fit in a periodic cell of {span(own['simulation_atoms'])} "
                f"atoms, trained on cells of {span(own['training_atoms'])} atoms, {own['study'].iloc[0].partition(': ')[2]}. "
                "Geometry of the saddle point; energy of the barrier."
            )

        drawn = tuple(convergence_pictures(rows, run.rates, caption, "training radius"))
        return Page((LEAD,), tuple(barrier_findings(rows, run.rates)), drawn, compared=frozenset({study_name(BOTH)}))


def study_name(trained_on: str) -> str:
    """The entry in the column `study`."""
    return f"barriers: fits to {'the ' if trained_on == 'minimum' else ''}{trained_on}"


def barrier_findings(rows: pd.DataFrame, rates_: pd.DataFrame) -> Iterator[str]:
    """By how much the barrier's error falls, at which slope, and what is the floor without the saddle point."""
    for (material, defect), own in rows.groupby(["material", "defect"], sort=False):
        case = f"{material} {defect}"
        both, alone = (own[own["study"] == study_name(name)] for name in (BOTH, "minimum"))
        if len(both):
            first, last = both["training_radius"].min(), both["training_radius"].max()
            parts = []
            for name in in_reading_order(both["observations"]):
                mine = both[(both["observations"] == name) & both["same_basin"].astype(bool)].sort_values("training_radius")
                slopes = rates_[
                    (rates_["material"] == material)
                    & (rates_["defect"] == defect)
                    & (rates_["study"] == study_name(BOTH))
                    & (rates_["observations"] == name)
                    & (rates_["quantity"] == "energy")
                ]
                if len(mine) and len(slopes):
                    ends = [number(1e3 * float(mine["energy_error"].iloc[k])) for k in (0, -1)]
                    line = slopes.iloc[0]
                    shown = f"slope {decimal(float(line['slope']))}, predicted {decimal(float(line['predicted']))}"
                    parts.append(f"{name} {ends[0]} to {ends[1]} meV ({shown})")
            yield (
                f"{case}: with fits to both states the error of the barrier of {number(float(own['barrier'].iloc[0]))} eV falls "
                f"between the radii {first:.3g} and {last:.3g} as {', '.join(parts)}."
            )
        good = alone[alone["same_basin"].astype(bool)]
        if len(alone):
            lost = len(alone) - len(good)
            text = f"{lost} of {len(alone)} fits to the minimum alone do not find the saddle point" if lost else ""
            if len(good):
                large = good[good["training_radius"] == good["training_radius"].max()]
                errors, forces = large["energy_error"], large["saddle_force_error"]
                text += (
                    f"{'; ' if text else ''}at the largest radius fits to the minimum alone err by "
                    f"{_span(1e3 * errors)} meV: the floor is their force error at the saddle point, {_span(forces)} eV/Å"
                )
            yield f"{case}: {text}."


def check_vacancy(material, defect: str, size) -> None:
    """Raises InputError for a defect that is no vacancy."""
    cell = defect_cell(build_lattice(material), defect, size)
    if len(cell.site_positions) != len(cell) + 1 or np.any(cell.sites < 0):
        raise InputError(f"a barrier is that of a hop into a vacancy; got the defect {defect}: use vacancy")


def _trials(spec: RunSpec, asked: FitBarriers) -> Iterator[FittedHop]:
    fits = Fits(spec)
    for case in spec.cases:
        if case.basis is None:
            continue  # the specification refuses it
        crystal = Crystal(material=case.material)
        exact = Hop(crystal=crystal, defect=case.defect, size=case.simulation_size)
        for trained_on in dict.fromkeys(asked.trained_on):
            for size in sorted(set(asked.sizes)):
                hop = Hop(crystal=crystal, defect=case.defect, size=size)
                basis = fits.full(case)
                rows = HopRows(crystal=crystal, hop=hop, trained_on=trained_on, basis=basis, training=spec.training)
                for observations in spec.observations:
                    yield FittedHop(
                        crystal=crystal,
                        exact=exact,
                        rows=rows,
                        basis=fits.basis(case, case.basis.degree),
                        observations=observations,
                        fit=spec.fit,
                    )


def _line(step: FittedHop, found: HopTrial, given: Given) -> dict:
    rows = given[step.rows]
    kinds = {"energy": "E", "forces": "F", "force_constants": "FC", "virial": "V"}
    return {
        "study": study_name(step.rows.trained_on),
        "material": step.crystal.material.name,
        "defect": step.exact.defect,
        "dimension": found.dimension,
        "observations": step.observations,
        "training_size": step.rows.hop.size,
        "training_radius": rows.radius,
        "training_atoms": rows.atoms,
        "basis_functions": found.functions,
        "degree": step.basis.degree,
        "simulation_atoms": found.simulation_atoms,
        "geometry_error": found.geometry_error,
        "geometry_error_max": found.geometry_error_max,
        "energy_error": abs(found.energy_error_signed),
        **{f"rmse_{name}": found.rmse.get(kind) for name, kind in kinds.items()},
        "converged": found.converged,
        "same_basin": found.same_basin,
        "seconds": given.seconds(step),
        "energy_error_signed": found.energy_error_signed,
        "minimum_geometry_error": found.minimum_geometry_error,
        "minimum_energy_error": found.minimum_energy_error,
        "saddle_force_error": found.saddle_force_error,
        "minimum_force_error": found.minimum_force_error,
        "barrier": given[step.exact].barrier,
    }


def _remarks(found: HopTrial) -> Iterator[str]:
    if not found.same_basin:
        yield f"the fit does not find the hop: {found.message}"
    yield from (WARNED + text for text in found.warnings)


def _span(values: pd.Series) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"
