"""What the labels of trials cost: the errors of a study of training sizes against hours, and whether the order of the observation
sets depends on what a calculation is assumed to cost.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from ..campaign import Given
from ..plot.style import in_reading_order
from ..plot.typeset import number
from ..training import Cost, TrainingLabels, cheapest, pareto_front
from ..training.cells import bulk_cell, strained_cells
from .calculations import displaced
from .interface import Tables
from .page import Cell, Page, PageTable, Part, Section
from .results import trusted
from .run import Run
from .settings import Basis
from .tasks import Crystal, Exact, TrainingRows

NAME = "costs"
STEP = 0.015
"""A, of the displacement behind a column of force constants; its cost does not depend on it."""
ASSUMED = {
    "hours": Cost(),
    "hours_smallest_16": Cost(smallest=16),
    "hours_linear": Cost(exponent=1),
    "hours_linear_smallest_16": Cost(exponent=1, smallest=16),
}
"""Columns of costs.csv, and the cost of one calculation behind each. Rankings do not depend on the prefactor."""
WORDS = {
    "hours": "cube of the atoms",
    "hours_smallest_16": "cube of the atoms, no cell cheaper than 16 atoms",
    "hours_linear": "proportional to the atoms",
    "hours_linear_smallest_16": "proportional to the atoms, no cell cheaper than 16 atoms",
}
QUANTITIES = {"geometry": ("geometry_error", "Å"), "energy": ("energy_error", "eV")}
ABOUT = (
    "Hours of the labels of each training set: a calculation takes 10⁻⁶ h times the cube of its number of atoms (2 h for 128 "
    "atoms), a tenth more with a stress. Counted are the defect cells, the perfect crystal with its stress, with V the strained "
    "crystals, with FC the supercells, two cutoffs wide, with a displaced atom, those that symmetry does not make of each other. "
    "Not counted is what it takes to relax the defect before it is labelled. The other columns assume another cost of a "
    "calculation: proportional to the atoms, or no cell cheaper than one of 16 atoms (which needs more k-points)."
)


@runtime_checkable
class Fitted(Protocol):
    """A step that fits an observation set to rows and measures errors; its result has both errors and the flags of a trial."""

    crystal: Crystal
    exact: Exact
    rows: TrainingRows
    basis: Basis
    observations: str


def cost_tables(trials: Iterable[tuple[str, Any]], given: Given) -> Tables:
    """Lines of costs.csv: the hours of the labels of every trial, a `Fitted`, under each assumption, with its errors."""
    lines, known = [], {}
    for study, step in trials:
        found = given.get(step)
        if found is None or given.get(step.crystal) is None:
            continue
        labels = _labels(step, given, known)
        row = {
            "study": study,
            "material": step.crystal.material.name,
            "defect": step.exact.defect,
            "observations": step.observations,
            "training_radius": given[step.rows].radius,
            "training_atoms": given[step.rows].atoms,
            "defect_cells": len(labels.cells),
            "strained_cells": len(labels.strained) if "V" in step.observations.split("+") else 0,
            "columns": len(labels.columns) if "FC" in step.observations.split("+") else 0,
            "column_atoms": labels.columns[0],
            **{name: labels.hours(step.observations, cost) for name, cost in ASSUMED.items()},
            "geometry_error": found.geometry_error,
            "energy_error": found.energy_error,
            "converged": found.converged,
            "same_basin": found.same_basin,
            "stable": found.stable,
        }
        lines.append({**row, "trusted": trusted(row)})
    return Tables(others={NAME: _with_fronts(lines)} if lines else {})


def cost_page(run: Run, studies: Sequence[str]) -> Page:
    """A figure per case and its table, for these values of the column `study`."""
    table = run.others.get(NAME)
    if table is None:
        return Page()
    own = table[table["study"].isin(list(studies))]
    if own.empty:
        return Page()
    from ..plot.costs import cost_picture
    from ..plot.picture import stem

    parts, findings = [], []
    for (material, defect), rows in own.groupby(["material", "defect"], sort=False):
        case = f"{material} {defect}"
        findings += [f"{case}: {text}" for text in cost_findings(rows)]
        parts.append(Part(case, figures=(cost_picture(case, rows),), tables=(_page_table(rows),)))
    section = Section(stem(NAME, *studies), "Error against the cost of labels", (Part(about=ABOUT), *parts))
    return Page(remarks=tuple(findings), sections=(section,))


def cost_findings(rows: pd.DataFrame) -> Iterator[str]:
    """The cheapest set for each error, and for how many errors it changes under another assumption about the cost."""
    good = rows[rows["trusted"].astype(bool)]
    for quantity, (column, unit) in QUANTITIES.items():
        first = winners(good, column, "hours")
        if not first:
            continue
        spans = []
        for name in in_reading_order(first.values()):
            reached = [level for level, winner in first.items() if winner == name]
            low, high = number(min(reached)), number(max(reached))
            spans.append(f"{name} for {low if low == high else f'{low} to {high}'} {unit}")
        others = []
        for hours, words in WORDS.items():
            if hours != "hours":
                second = winners(good, column, hours)
                changed = sum(second[level] != winner for level, winner in first.items())
                others.append(f"{words}: {changed} of {len(first)}")
        unchanged = all(text.split(": ")[1].startswith("0 ") for text in others)
        verdict = "the ranking does not depend on the assumed cost" if unchanged else "the ranking depends on the assumed cost"
        yield (
            f"the cheapest labels that reach {_article(quantity)} {quantity} error are those of {', '.join(spans)} (cost like "
            f"the cube of the atoms); {verdict}: of {len(first)} errors the cheapest set is another one if it is "
            f"{'; '.join(others)}."
        )


def _article(word: str) -> str:
    return "an" if word[0] in "aeio" else "a"


def winners(rows: pd.DataFrame, column: str, hours: str) -> dict[float, str]:
    """For every error that is reached, largest first, the observation set that reaches it for the fewest hours."""
    cost, error = rows[hours].to_numpy(float), rows[column].abs().to_numpy(float)
    found = {}
    for level in sorted(set(error), reverse=True):
        k = cheapest(cost, error, level)
        assert k is not None  # the level is the error of one of them
        found[float(level)] = str(rows["observations"].iloc[k])
    return found


def _labels(step: Fitted, given: Given, known: dict) -> TrainingLabels:
    """What the training set of a trial has labelled; the crystals are counted once per crystal."""
    lattice, training, cutoff = given[step.crystal].lattice(step.crystal.material), step.rows.training, step.basis.cutoff
    by_strain, by_cutoff = (step.crystal.key, training.model_dump_json()), (step.crystal.key, cutoff)
    if by_strain not in known:
        known[by_strain] = tuple(len(each.cell) for each in strained_cells(lattice, training.strains(), training.seed))
    if by_cutoff not in known:
        known[by_cutoff] = tuple(len(each.cell) for each in displaced(lattice, STEP, 2 * cutoff))
    strained, columns = known[by_strain], known[by_cutoff]
    rows = given[step.rows]
    cells, modes = (rows.atoms,) * (1 + training.configurations), lattice.dimension * (lattice.dimension + 1) // 2
    return TrainingLabels(cells, len(bulk_cell(lattice).cell), strained, columns, modes)


def _with_fronts(lines: list[dict]) -> list[dict]:
    """Whether no other trusted line of the case is as cheap (by the first assumption) and as accurate."""
    cases = dict.fromkeys((line["study"], line["material"], line["defect"]) for line in lines)
    found = []
    for case in cases:
        own = [line for line in lines if (line["study"], line["material"], line["defect"]) == case]
        fronts = {}
        for quantity, (column, _) in QUANTITIES.items():
            error = np.array([line[column] if line["trusted"] else np.inf for line in own], dtype=float)
            fronts[quantity] = set(pareto_front(np.array([line["hours"] for line in own]), error).tolist())
        found += [{**line, **{f"{q}_front": k in front for q, front in fronts.items()}} for k, line in enumerate(own)]
    return found


def _page_table(rows: pd.DataFrame) -> PageTable:
    names = ("observed", "training radius", "defect cells", "strained", "columns", "hours", "at least 16 atoms", "linear", "both")
    header = [Cell(name, "text" if k == 0 else "number") for k, name in enumerate((*names, "geometry (Å)", "energy (eV)"))]
    lines = []
    for _, row in rows.iterrows():
        counts = (f"{row['training_radius']:.3g}", *(f"{row[c]:.0f}" for c in ("defect_cells", "strained_cells", "columns")))
        hours = tuple(number(float(row[name])) for name in ASSUMED)
        errors = tuple(
            (number(float(row[column])) if row["trusted"] else "lost") + (" ●" if row[f"{quantity}_front"] else "")
            for quantity, (column, _) in QUANTITIES.items()
        )
        cells = (Cell(text, "number") for text in (*counts, *hours, *errors))
        lines.append((Cell(str(row["observations"]), "set"), *cells))
    return PageTable(tuple(header), tuple(lines))
