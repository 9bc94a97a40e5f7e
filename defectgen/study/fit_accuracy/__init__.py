"""Question: how does the error of a defect follow the accuracy of the fit, at one training cell?"""

from collections.abc import Iterable, Iterator

import pandas as pd
from pydantic import Field

from ...campaign import Given
from ...plot.typeset import number
from ..fitting import Fits
from ..interface import Study, Tables
from ..page import Page
from ..results import trial_tables
from ..run import Run
from ..settings import Strict
from ..spec import RunSpec
from ..tasks import FitTrial
from ..trials import LEAD

NAME = "fit-accuracy"
"""What the column `study` says."""


class FitAccuracy(Strict):
    """Error against the accuracy of the fit: basis sizes at one training cell."""

    size: int = Field(ge=1)
    """Size of the training cell: conventional cells along each side."""
    degrees: tuple[float, ...] = Field(min_length=1)
    """Total degrees of the bases that are fitted."""


class FitAccuracyStudy(Study[FitAccuracy]):
    """One trial per case, basis degree and observation set, at one training size."""

    name = "fit_accuracy"
    settings = FitAccuracy
    fits = True

    def refuse(self, spec: RunSpec, asked: FitAccuracy) -> str:
        """Degrees that hold no function of the order of a case."""
        lowest, order = min(asked.degrees), max((case.basis.order for case in spec.cases if case.basis is not None), default=0)
        if lowest >= order:
            return ""
        return f"fit_accuracy.degrees has {lowest:g}, too small for order {order}; give at least that"

    def sizes(self, asked: FitAccuracy) -> Iterable[int]:
        """The one training size."""
        return (asked.size,)

    def degrees(self, asked: FitAccuracy) -> Iterable[float]:
        """Degrees that rows are made for."""
        return asked.degrees

    def trials(self, spec: RunSpec, asked: FitAccuracy) -> list[tuple[str, FitTrial]]:
        """Every trial, with the name of the study."""
        fits = Fits(spec)
        return [
            (NAME, fits.trial(case, asked.size, degree, observations))
            for case in spec.cases
            for degree in sorted(set(asked.degrees))
            for observations in spec.observations
        ]

    def tables(self, spec: RunSpec, asked: FitAccuracy, given: Given) -> Tables:
        """Lines of results.csv."""
        return trial_tables(self.trials(spec, asked), given)

    def page(self, run: Run) -> Page:
        """Two figures per case: errors against the number of functions and against the force error of the fit."""
        rows = run.results[run.results["study"] == NAME]
        if rows.empty:
            return Page()
        from ...plot.convergence import accuracy_pictures

        return Page((LEAD,), tuple(_plateaus(rows)), tuple(accuracy_pictures(rows)))


def _plateaus(results: pd.DataFrame) -> Iterator[str]:
    """How far the geometry error fell while the force error of the fit fell, over the observation sets of each case."""
    good = results[results["converged"] & results["same_basin"] & (results["rmse_forces"] > 0) & (results["geometry_error"] > 0)]
    for (material, defect), rows in good.groupby(["material", "defect"], sort=False):
        curves = [
            curve.sort_values("basis_functions", kind="stable").iloc[[0, -1]]
            for _, curve in rows.groupby("observations")
            if curve["basis_functions"].nunique() > 1
        ]
        if not curves:
            continue
        force, geometry = (_gains(curves, column) for column in ("rmse_forces", "geometry_error"))
        sizes = pd.concat(curves)["basis_functions"]
        yield (
            f"{material} {defect}: from {sizes.min():.0f} to {sizes.max():.0f} basis functions, at one training cell, the force "
            f"error of the fit is divided by {force} and the geometry error by {geometry}"
            f"{'' if len(curves) == 1 else f' (least to most of {len(curves)} observation sets)'}."
        )


def _gains(curves: list[pd.DataFrame], column: str) -> str:
    """First value over last one: the span over all curves."""
    found = [float(curve[column].iloc[0] / curve[column].iloc[-1]) for curve in curves]
    low, high = number(min(found)), number(max(found))
    return low if low == high else f"{low} to {high}"


STUDIES = (FitAccuracyStudy,)
