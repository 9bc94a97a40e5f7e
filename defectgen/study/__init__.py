"""Studies: one question a folder, from settings to steps, from results to tables, figures and sentences."""

from typing import TYPE_CHECKING

from .._door import door

if TYPE_CHECKING:
    from ..campaign import Given, Step
    from .columns import FAILURES, RATES, RESULTS, Column
    from .fitting import Fits
    from .interface import Study, Tables
    from .keys import template
    from .listing import catalogue, embedded
    from .materials import MATERIALS, Material, build_lattice, build_reference, material
    from .page import Cell, Page, PageTable, Part, Section
    from .potentials import potential_from_spec
    from .registry import studies
    from .run import Run, gather
    from .settings import Basis, Case, FitSettings, Strict, Training
    from .spec import RunSpec, dump, load, parse, resolved
    from .tasks import Crystal, Exact, FitTrial, Rows, TrainingRows, Trial
    from .whole import check, pages, plan, tables

__all__ = [
    "FAILURES",
    "MATERIALS",
    "RATES",
    "RESULTS",
    "Basis",
    "Case",
    "Cell",
    "Column",
    "Crystal",
    "Exact",
    "FitSettings",
    "FitTrial",
    "Fits",
    "Given",
    "Material",
    "Page",
    "PageTable",
    "Part",
    "Rows",
    "Run",
    "RunSpec",
    "Section",
    "Step",
    "Strict",
    "Study",
    "Tables",
    "Training",
    "TrainingRows",
    "Trial",
    "build_lattice",
    "build_reference",
    "catalogue",
    "check",
    "dump",
    "embedded",
    "gather",
    "load",
    "material",
    "pages",
    "parse",
    "plan",
    "potential_from_spec",
    "resolved",
    "studies",
    "tables",
    "template",
]

__getattr__, __dir__ = door(__name__)
