"""The tasks of a search for plans: the rows of a pool of configurations, and the error of a fit to some of them."""

import warnings

import numpy as np

from ..._input import InputError
from ...campaign import Record
from ...crystal import Cell
from ...crystal.snapshot import DEFECT
from ...errors import certify
from ...errors.certificate import Certificate
from ...errors.compare import BASIN
from ...fit import Fit, FitWarning
from ...relax import greens_function
from ...training import label, parse_observations
from ...training.observations import parts_of
from ..certificates import RICHER_PRIOR
from ..steps import basis_of, defect_cell, fitted_to, packed, recorded, rest_lattice, rested, trial, truth_of
from .structures import configurations

EVERY = -1
"""Number of what belongs to every plan: the rows of the perfect and the strained crystals."""


def pool(spec: dict, perfect: Record, resting: Record) -> Record:
    """Rows of every configuration of one training size, each by itself, so that any number of them makes a plan.

    spec: material, defect, size, basis, training.
    """
    lattice = rest_lattice(spec, perfect)
    displacement = resting.arrays["positions"] - defect_cell(spec, lattice).positions
    cells = configurations(lattice, spec["defect"], spec["size"], spec["training"], displacement)
    basis, truth = basis_of(spec["basis"], cells[0].cell), truth_of(spec)
    inner = "F+" if lattice.sublattices > 1 else ""  # the atom of a Bravais crystal feels no force whatever its potential
    labelled = [(k, label([cell], truth, basis, "E+F")) for k, cell in enumerate(c for c in cells if c.role == DEFECT)]
    labelled.append((EVERY, label([cell for cell in cells if cell.role != DEFECT], truth, basis, f"E+{inner}FC+V")))
    headers, arrays = packed(block for _, blocks in labelled for block in blocks.items)
    numbers = [number for number, blocks in labelled for _ in blocks.items]
    headers = [{"configuration": number, **header} for number, header in zip(numbers, headers, strict=True)]
    cell = cells[0].cell
    return Record({"blocks": headers, "truth": labelled[0][1].truth, "radius": cell.radius, "atoms": len(cell)}, arrays)


def taken(rows: Record, count: int) -> Record:
    """The rows of a plan of `count` rattled copies, of a pool, as the record that `fitted_to` reads."""
    chosen = [n for n, header in enumerate(rows.values["blocks"]) if header["configuration"] <= count]
    headers = [{k: v for k, v in rows.values["blocks"][n].items() if k != "configuration"} for n in chosen]
    names = {f"{what}{n}": f"{what}{place}" for place, n in enumerate(chosen) for what in ("factor", "plain")}
    arrays = {names[name]: array for name, array in rows.arrays.items() if name in names}
    return Record({**rows.values, "blocks": headers}, arrays)


def measured(spec: dict, perfect: Record, reference: Record, rows: Record) -> Record:
    """The errors of one plan against the reference, and what it was fitted to.

    spec: that of a trial, and configurations.
    """
    training, cell = taken(rows, spec["configurations"]), defect_cell(spec, rest_lattice(spec, perfect))
    counts = _counts(spec, training, cell)
    if refusal := too_few(**counts):
        return Record({**counts, "refused": refusal})
    found = trial(spec, perfect, reference, training)
    values = found.values
    why = "" if values["converged"] else f"the model did not relax: {values['message']}"
    why = why or ("" if values["same_basin"] else values["why_not"] or "the fit is not stable")
    kept = {name: values[name] for name in ("geometry_error", "energy_error", "rmse_forces")}
    return Record({**counts, **kept, "refused": why})


def certified(spec: dict, perfect: Record, rows: Record) -> Record:
    """The certificate of one plan; the reference is not relaxed in the simulation cell.

    spec: that of a trial, configurations and richer.
    """
    training, cell = taken(rows, spec["configurations"]), defect_cell(spec, rest_lattice(spec, perfect))
    counts = _counts(spec, training, cell)
    if refusal := too_few(**counts):
        return Record({**counts, "refused": refusal})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # rows that determine nothing give a bound that is infinite
        fitted = fitted_to(spec, cell, training)
        richer = fitted_to(spec, cell, training, spec["richer"], RICHER_PRIOR)
    try:
        found = certificate(fitted, richer, cell)
    except InputError as error:
        return Record({**counts, "refused": str(error)})
    return Record({**counts, **certified_errors(found), "rmse_forces": fitted.rmse.get("F"), "refused": ""})


def certificate(fitted: Fit, richer: Fit, cell: Cell) -> Certificate:
    """The certificate at the equilibrium that the model finds from the unrelaxed defect.

    Raises InputError where it finds none, or another defect than the one it started from.
    """
    green = greens_function(cell, fitted.model)
    with recorded():
        rest = rested(cell, fitted.model, preconditioner=green)
    moved = float(np.linalg.norm(rest.displacement - rest.displacement.mean(axis=0), axis=1).max())
    if rest.converged and moved > 2 * BASIN * cell.lattice.nearest_neighbour:
        raise InputError(f"the fit does not hold the defect: an atom moves by {moved:.2f} A")
    with recorded():
        return certify(fitted, rest, richer=richer, preconditioner=green)


def certified_errors(found: Certificate) -> dict[str, float | None]:
    """Estimates and bounds as errors of a plan; None if infinite."""
    values = {}
    for what, quantity in (("geometry", found.geometry), ("energy", found.energy)):
        for name, value in (("error", quantity.estimate), ("bound", quantity.bound)):
            values[f"{what}_{name}"] = float(value) if np.isfinite(value) else None
    return values


def too_few(rows: int, functions: int) -> str:
    """Why a plan is refused whose rows are fewer than its parameters; empty if it is not."""
    if rows >= functions:
        return ""
    return f"{rows} rows cannot determine {functions} functions; take more configurations or observations, or a lower degree"


def _counts(spec: dict, training: Record, cell: Cell) -> dict[str, int]:
    """Rows that the observations of a plan have, and functions to be determined."""
    kinds = parts_of(parse_observations(spec["observations"]))
    rows = sum(header["rows"] for header in training.values["blocks"] if header["kind"] in kinds)
    return {"rows": rows, "functions": basis_of(spec["basis"], cell).size}
