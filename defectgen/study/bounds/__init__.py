"""Question: which term of the bound is the floor under the error of a fit? Measured after every trial."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ...campaign import Given
from ...energy.site import SiteEnergy
from ..interface import Study, Tables
from ..materials import build_reference
from ..page import Page, Part, Section
from ..results import trial_line
from ..run import Run
from ..settings import Strict
from ..spec import RunSpec
from ..tasks import FitTrial
from .falls import fall_table, falls
from .steps import Bound
from .tables import NAME, RATES, lines, rates
from .terms import bound_tables, floors


class Bounds(Strict):
    """For which fits every term of the bound is measured (theory: bounds/term-by-term)."""

    cell_size: bool = True
    """Whether this is done for the fits of [cell_size]."""
    choices: bool = True
    """Whether this is done for the fits of [choices]."""
    fit_accuracy: bool = False
    """Whether this is done for the fits of [fit_accuracy]; each degree is compiled, which takes about as long as its fits."""


ABOUT = (
    "At the exact defect the model's forces and energy differ from the reference's by parts that add up to the whole: "
    "within the training radius L (F, E), and beyond it where the defect is still felt (K), in the elastic constants (C2), "
    "the dispersion of the force constants (G2), and beyond harmonic order (C3, G3, C4). Each part is measured in the "
    "simulation cell. Its contribution to the geometry is the response of the perfect crystal to it; the guaranteed bound "
    "divides its dual norm by the model's stability constant instead, and adds up. A star marks the floor of each "
    "observation set: the largest term, or terms that cancel and together leave more than any other. Where sites are no "
    "centres of inversion the powers of G2 and G3 are proved with one power of L less. Energies are given where they do not "
    "depend on how a fit shares its energy among the atoms; that of G3 does, and counts with E."
)
TAILS = (
    "The tail norm is that of the exact displacement beyond the radius which the coefficient multiplies; bounds.csv has "
    "every digit, and what coefficient and tail alone would allow (geometry_norms)."
)
FALLS = (
    "Slopes of the logarithms: of the coefficient that the fit leaves wrong, of the tail norm that multiplies it, and of "
    "what the two do to geometry and energy. The predictions are those of a coefficient that does not depend on the radius."
)


class BoundsStudy(Study[Bounds]):
    """Every term of the bound, for the trials of the studies that [bounds] names."""

    name = NAME
    settings = Bounds
    always = True

    def plan(self, spec: RunSpec, asked: Bounds) -> list[Bound]:
        """One step per trial whose reference has jets."""
        black = {case.material.name for case in spec.cases if not isinstance(build_reference(case.material), SiteEnergy)}
        trials = {trial.key: trial for name, trial in _trials(spec) if getattr(asked, name, False)}
        return [Bound(trial=trial) for trial in trials.values() if trial.crystal.material.name not in black]

    def tables(self, spec: RunSpec, asked: Bounds, given: Given) -> Tables:
        """bounds.csv and bound_rates.csv: for every line of results.csv whose bound was measured."""
        bounds = {step.trial.key: step for step in self.plan(spec, asked)}
        found = []
        for study, settings in spec.studies:
            for label, trial in study.trials(spec, settings):
                step = bounds.get(trial.key)
                measured, result = None if step is None else given.get(step), given.get(trial)
                if measured is not None and result is not None:
                    found += lines(measured, trial_line(label, trial, result, given[trial.rows], given.seconds(trial)))
        others = {NAME: found, RATES: rates(found)}
        return Tables(others={name: rows for name, rows in others.items() if rows})

    def page(self, run: Run) -> Page:
        """The section of the bound, and which term is the floor."""
        table, slopes = run.others.get(NAME), run.others.get(RATES)
        if table is None or table.empty:
            return Page()
        from .figures import bound_pictures

        parts = (Part(about=ABOUT, figures=tuple(bound_pictures(table))), *_parts(table, slopes))
        return Page(
            remarks=(*floors(table), *falls(slopes, table)), sections=(Section("bound", "The bound, term by term", parts),)
        )


def _trials(spec: RunSpec) -> Iterator[tuple[str, FitTrial]]:
    """Every trial of a run with the name of its study in the run file."""
    for study, asked in spec.studies:
        for _, trial in study.trials(spec, asked):
            yield study.name, trial


def _parts(table: pd.DataFrame, slopes: Any) -> Iterator[Part]:
    for each in bound_tables(table):
        yield Part(f"{each.case}, training radius {each.radius}", tables=(each.geometry, each.energy))
        yield Part("What each set leaves wrong, and all radii and degrees", folded=True, tables=(each.coefficients,), after=TAILS)
        yield Part("All radii and degrees", folded=True, tables=(each.all,))
        fall = fall_table(slopes, each.case)
        if fall is not None:
            yield Part("How the far terms fall with the training radius", FALLS, tables=(fall,), folded=True)


STUDIES = (BoundsStudy,)
