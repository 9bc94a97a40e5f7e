"""Question: what is a design by the certificate worth, of the loss and of the training data?"""

from collections.abc import Iterable
from typing import Any

from ...campaign import Given, Step
from ..interface import Study, Tables
from ..page import Page, Part, Section
from ..run import Run
from ..spec import RunSpec
from .data import NAME as DATA
from .data import choice_tables, choice_trials
from .loss import NAME, loss_design_tables, loss_designs, loss_trials
from .settings import Design

LEAD = (
    "For every defect a loss is designed: weights that minimise its certificate, without the reference in the large cell. Each "
    "designed loss is then tried on all defects, next to the default and other losses."
)
LEAD_DATA = (
    "Training data are chosen from a pool of candidates before any of it is labelled, within a budget, and compared with random "
    "data of the same cost."
)
ABOUT = (
    "Every loss on every defect. A gain is the error with the default loss divided by that with this one: above 1 it is better. "
    "The weights and what the certificates promised are in design_weights.csv."
)


class DesignStudy(Study[Design]):
    """Losses and data designed for some defects, and tried on all of them."""

    name = NAME
    settings = Design
    fits = True

    def sizes(self, asked: Design) -> Iterable[int]:
        """Of the training cells, and of the cells of the pool."""
        return (asked.size, *(asked.data.sizes if asked.data is not None else ()))

    def richer(self, asked: Design) -> float:
        """Degrees of the richer fits."""
        return asked.richer

    def plan(self, spec: RunSpec, asked: Design) -> list[Step[Any]]:
        """Trials of losses and of data; designs and choices are among what they need."""
        return [*loss_trials(spec, asked), *choice_trials(spec, asked)]

    def tables(self, spec: RunSpec, asked: Design, given: Given) -> Tables:
        """design.csv, design_weights.csv and design_data.csv."""
        losses = loss_design_tables(loss_designs(spec, asked), loss_trials(spec, asked), given)
        return losses + choice_tables(choice_trials(spec, asked), given)

    def page(self, run: Run) -> Page:
        """Gains of designed losses on every defect; errors of chosen data over those of random data."""
        return _losses(run) + _data(run)


def _losses(run: Run) -> Page:
    table = run.others.get(NAME)
    if table is None or table.empty:
        return Page()
    from .figures import design_pictures
    from .words import design_findings, design_table

    section = Section("designs", "Designed losses", (Part(about=ABOUT, tables=(design_table(table),)),))
    return Page((LEAD,), tuple(design_findings(table)), tuple(design_pictures(table)), (section,))


def _data(run: Run) -> Page:
    table = run.others.get(DATA)
    if table is None or table.empty:
        return Page()
    from .figures import design_data_pictures
    from .words import design_data_findings

    return Page((LEAD_DATA,), tuple(design_data_findings(table)), tuple(design_data_pictures(table)))


STUDIES = (DesignStudy,)
