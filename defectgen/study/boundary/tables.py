"""The tables of the study of boundary conditions: boundary.csv, boundary_decay.csv, and the rates of both."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ...campaign import Given
from ...errors import boundary_rate
from ..interface import Tables
from ..rates import measured
from .settings import Boundary
from .steps import Condition, Cut, FarField, Truth

NAME = "boundary"
DECAY = "boundary_decay"

TENSOR = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}


def tables(
    asked: Boundary, conditions: Iterable[Condition], given: Given, begins: Mapping[tuple[str, str], float | None]
) -> Tables:
    """What the steps found; a condition whose result is missing is left out.

    `begins` is the radius at which the window of every material and defect begins, nearest-neighbour spacings.
    """
    table, decay, failures = [], [], []
    symmetric: dict[tuple[str, str], bool] = {}
    for step in conditions:
        truth, found = given.get(step.truth), given.get(step)
        if truth is None:
            continue
        place = step.truth.crystal.material.name, step.truth.defect
        if place not in symmetric:
            symmetric[place] = truth.symmetric
            decay += [
                {**_case(step.truth, truth), "radius": r, "strain": strain, "strain_gradient": gradient}
                for r, strain, gradient in truth.decay
            ]
        if found is not None:
            table += _rows(asked, step, found, truth, given.seconds(step))
            if not found.converged:
                failures.append({"label": step.label, "reason": f"it did not converge: {found.message}"})
    return Tables(
        [], [*_rates(table, symmetric, begins), *_decays(decay, begins)], failures, {NAME: table, DECAY: decay} if table else {}
    )


def _case(far: FarField, truth: Truth) -> dict:
    return {"material": far.crystal.material.name, "defect": far.defect, "dimension": truth.dimension}


def _rows(asked: Boundary, step: Condition, found: Cut, truth: Truth, seconds: float) -> list[dict]:
    """The lines of boundary.csv of one condition: a periodic cell may have two, with and without its images."""
    shared = {
        "radius": found.radius,
        "atoms": found.atoms,
        "free_atoms": found.free_atoms,
        "geometry_error": found.geometry_error,
        "energy_error": abs(found.energy_error),
        "energy_error_signed": found.energy_error,
        **{f"dipole_{name}": found.dipole[i][j] for name, (i, j) in TENSOR.items()},
        "relaxation_volume": found.relaxation_volume,
        "rounds": found.rounds,
        "converged": found.converged,
        "truth_radius": truth.radius,
        "seconds": seconds,
    }
    about, rows = _case(step.truth, truth), []
    if step.condition in asked.conditions:
        rows.append({**about, "condition": step.condition, **shared})
    if found.correction is not None and "corrected" in asked.conditions:
        left = found.energy_error + found.correction
        images = {"geometry_error": None, "energy_error": abs(left), "energy_error_signed": left}
        rows.append({**about, "condition": "corrected", **shared, **images})
    return rows


def _rates(
    table: list[dict], symmetric: dict[tuple[str, str], bool], begins: Mapping[tuple[str, str], float | None]
) -> list[dict]:
    """One rate per case, condition and quantity."""
    curves = defaultdict(list)
    for row in table:
        curves[row["material"], row["defect"], row["dimension"], row["condition"]].append(row)
    found = []
    for (material, defect, dimension, condition), rows in curves.items():
        for quantity in ("energy",) if condition == "corrected" else ("geometry", "energy"):
            expected = boundary_rate(condition, quantity, dimension, symmetric[material, defect])
            radii, errors = [row["radius"] for row in rows], [row[f"{quantity}_error"] for row in rows]
            begin, good = begins.get((material, defect)), [row["converged"] for row in rows]
            found.append(
                {
                    **_curve(material, defect, dimension, condition),
                    "quantity": quantity,
                    **measured(radii, errors, good, expected, begin=begin),
                }
            )
    return found


def _decays(decay: list[dict], begins: Mapping[tuple[str, str], float | None]) -> list[dict]:
    """Rates of the strain and of its gradient against the distance from the defect."""
    curves = defaultdict(list)
    for row in decay:
        curves[row["material"], row["defect"], row["dimension"]].append(row)
    return [
        {
            **_curve(case[0], case[1], case[2], "reference"),
            "quantity": quantity,
            **measured(
                [row["radius"] for row in rows],
                [row[quantity.replace(" ", "_")] for row in rows],
                [True] * len(rows),
                boundary_rate("reference", quantity, case[2], False),
                begin=begins.get((case[0], case[1])),
            ),
        }
        for case, rows in curves.items()
        for quantity in ("strain", "strain gradient")
    ]


def _curve(material: str, defect: str, dimension: int, condition: str) -> dict:
    return {"study": NAME, "material": material, "defect": defect, "dimension": dimension, "observations": condition}
