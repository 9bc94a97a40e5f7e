"""The four steps of every study, pure functions of plain data: the crystal, the exact defect, the training rows, a trial."""

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from .._input import InputError, InputWarning
from ..ace import ACEBasis, LinearACE
from ..campaign import Record
from ..campaign.files import unchanged
from ..crystal import Cell, Lattice, defect_from_name, supercell
from ..energy.functional import Potential, crystal_state
from ..energy.site import SiteEnergy
from ..errors import compare
from ..errors.stability import lowest_phonon, stability_constant
from ..fit import Fit, FitWarning, fit
from ..reference import check_stable, equilibrate
from ..relax import Equilibrium, GreensFunction, greens_function, relax
from ..training import Blocks, Rattle, Strains, label, training_cells
from ..training.blocks import Block
from ..training.observations import KINDS
from ..training.route import Route
from .materials import Material, build_lattice, build_reference

Scene = TypeVar("Scene")

AT_REST = 1e-9
"""eV/A. Large coefficients that cancel leave rounding of 1e-10 in the forces of most fits, and `rested` accepts the larger
rounding of others; their errors are above 1e-7."""

PRESSURE_FREE = 1e-4
"""eV per atom and eV/A: what may be left of the virial and the internal forces of a crystal that errors are measured in."""


def rested(
    cell: Cell,
    model: Potential,
    start: np.ndarray | None = None,
    preconditioner: GreensFunction | None = None,
) -> Equilibrium:
    """The equilibrium of a fitted model; as near as the rounding of its forces allows counts as converged."""
    found = relax(cell, model, start=start, tolerance=AT_REST, preconditioner=preconditioner, eigenvalue=False)
    return replace(found, converged=found.settled)


@contextmanager
def recorded() -> Iterator[None]:
    """Without warnings about input: what they say is in the records, as messages of equilibria and reasons of comparisons."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        yield


@lru_cache(maxsize=8)
def _reference(name: str, digest: str, files: tuple[tuple[str, str], ...]) -> Potential:
    """One object per reference and process (building a tabulated potential takes time)."""
    unchanged(dict(files))
    return build_reference(Material(name="", reference=name, digest=digest))


def truth_of(spec: dict) -> Potential:
    """The reference. spec: material."""
    material = spec["material"]
    return _reference(material["reference"], material["digest"], tuple(material.get("files", {}).items()))


def crystal(spec: dict) -> Record:
    """The perfect crystal at zero stress, and the proof that it is stable. spec: material."""
    given = Material(**spec["material"])
    unchanged(given.files)
    truth, lattice = truth_of(spec), build_lattice(given)
    if given.equilibrate:
        lattice = equilibrate(lattice, truth)
    state = crystal_state(lattice, truth)
    if not state.at_rest(PRESSURE_FREE):
        raise InputError(
            f"the lattice of {given.name} is not at equilibrium: {state}; leave equilibrate on, or give the lattice constant of "
            "this reference"
        )
    lowest = check_stable(lattice, truth)
    return Record({"lowest_phonon": float(lowest)}, {"vectors": lattice.vectors, "motif": lattice.motif})


def box(lattice: Lattice, size) -> Cell:
    """The periodic cell of a size as a study writes it: n, three numbers, or the rows of a matrix."""
    if not isinstance(size, int):
        size = tuple(size) if isinstance(size[0], int) else np.array(size)
    return supercell(lattice, size)


def rest_lattice(spec: dict, perfect: Record) -> Lattice:
    """The crystal at zero stress, of the record of `crystal`."""
    start = build_lattice(Material(**spec["material"]))
    return replace(start, vectors=perfect.arrays["vectors"], motif=perfect.arrays["motif"])


def defect_cell(spec: dict, lattice: Lattice) -> Cell:
    """The unrelaxed defect. spec: defect, size."""
    return defect_from_name(spec["defect"]).apply(box(lattice, spec["size"]))


def exact(spec: dict, perfect: Record) -> Record:
    """The defect relaxed with the reference. spec: material, defect, size, eigenvalue."""
    lattice = rest_lattice(spec, perfect)
    cell = defect_cell(spec, lattice)
    result = relax(cell, truth_of(spec), eigenvalue=spec["eigenvalue"])
    if not result.converged:
        raise InputError(f"{spec['defect']} in {spec['material']['name']} did not relax with the reference: {result.message}")
    if result.is_saddle:
        raise InputError(
            f"{spec['defect']} in {spec['material']['name']} rests at a saddle point of the reference (stability constant "
            f"{result.stability_constant:.3g}); choose another defect or direction"
        )
    return stored(result)


def stored(result: Equilibrium) -> Record:
    """An equilibrium as a record; `restored` gives it back."""
    scalars = {
        f.name: getattr(result, f.name) for f in fields(result) if f.name not in ("cell", "positions", "forces", "seconds")
    }
    return Record(scalars, {"positions": result.positions, "forces": result.forces})


def restored(record: Record, cell: Cell) -> Equilibrium:
    """The equilibrium of a record of `exact`."""
    values = {**record.values, "residuals": tuple(record.values["residuals"])}
    return Equilibrium(cell=cell, seconds=record.seconds, **record.arrays, **values)


_latest: list[tuple[str, Any]] = []


def kept(key: tuple, make: Callable[[], Scene]) -> Scene:
    """What `make` gives, kept by the process for the next task with this key: tasks of one defect follow each other."""
    spelled = json.dumps(key)
    if not _latest or _latest[0][0] != spelled:
        _latest.clear()
        _latest.append((spelled, make()))
    return _latest[0][1]


def rows(spec: dict, perfect: Record, resting: Record | None = None) -> Record:
    """Labels and rows of one training set, compressed. spec: material, defect, size, basis, training."""
    lattice, training = rest_lattice(spec, perfect), spec["training"]
    displacement = None
    if resting is not None:
        displacement = resting.arrays["positions"] - defect_cell(spec, lattice).positions
    cells = training_cells(
        lattice,
        defect_from_name(spec["defect"]),
        spec["size"],
        training["seed"],
        displacement=displacement,
        rattle=Rattle(training["configurations"], training["rattle"], training["strain"], training["rattle_radius"]),
        strains=Strains(tuple(training["virial_strains"]), training["virial_pairs"], training["shift"]),
    )
    basis = basis_of(spec["basis"], cells[0].cell)
    truth, subdivide = truth_of(spec), training.get("subdivide", False)
    targets = ("C", "Ef") if subdivide and isinstance(truth, SiteEnergy) else ("Ef",) if subdivide else ()
    blocks = label(
        cells,
        truth,
        basis,
        (*KINDS, *targets),
        force_distance_power=training["force_distance_power"],
        force_constant_range_power=training["force_constant_range_power"],
        core_atoms=training["core_atoms"],
        subdivide=subdivide,
    )
    headers, arrays = packed(blocks.items)
    held = []
    for number, parts in enumerate(blocks.held):
        own, more = packed(parts, f"held{number}-")
        held.append(own)
        arrays |= more
    cell = cells[0].cell
    values = {"blocks": headers, "held": held, "truth": blocks.truth, "radius": cell.radius, "atoms": len(cell)}
    return Record(values, arrays)


def packed(items: Iterable[Block], prefix: str = "") -> tuple[list[dict], dict[str, np.ndarray]]:
    """Blocks as plain data and arrays; `unpacked` reads them."""
    headers, arrays = [], {}
    for number, block in enumerate(items):
        plain = {k: getattr(block, k) for k in ("kind", "group", "atoms", "scale", "rows", "source", "part", "distance")}
        headers.append({**plain, "route": asdict(block.route)})
        arrays[f"{prefix}factor{number}"] = block.factor
        if block.plain is not None:
            arrays[f"{prefix}plain{number}"] = block.plain
    return headers, arrays


def unpacked(headers: Iterable[dict], arrays: Mapping[str, np.ndarray], prefix: str = "") -> tuple[Block, ...]:
    """The blocks of `packed`."""
    return tuple(
        Block(
            **{**header, "route": Route(**header["route"])},
            factor=arrays[f"{prefix}factor{n}"],
            plain=arrays.get(f"{prefix}plain{n}"),
        )
        for n, header in enumerate(headers)
    )


def basis_of(spec: dict, cell: Cell) -> ACEBasis:
    """The basis for all species of the crystal, then those that the defect brings."""
    return ACEBasis(tuple(dict.fromkeys((*cell.lattice.species, *cell.symbols))), **spec)


def fitted_to(spec: dict, cell: Cell, training: Record, basis: dict | None = None, prior: str | None = None) -> Fit:
    """The fit of a trial to the rows of a record of `rows`, or of another `basis`; `prior` where the study gives none.

    spec: basis, full (the basis of the rows), observations, fit.
    """
    blocks, settings = blocks_of(spec if basis is None else {**spec, "basis": basis}, cell, training), spec["fit"]
    chosen = settings["prior"] if settings["prior"] is not None else prior
    return fit(blocks, spec["observations"], settings["weights"] or None, chosen, settings["solver"])


def model_of(spec: dict, cell: Cell, trial: Record) -> LinearACE:
    """The fitted model of a record of `trial`. spec: basis."""
    return LinearACE(basis_of(spec["basis"], cell), trial.arrays["coefficients"])


def _stability(
    truth: Potential, model: Potential, own: GreensFunction, exact: Equilibrium, found: Equilibrium
) -> tuple[float, float]:
    """Stability constant of the model, against the reference's crystal, and its lowest phonon (eV/A^2).

    Taken where the model rests, or at the exact defect if it strayed from there. theory: setting/stability.
    """
    with recorded():
        there = found if compare(exact, found).same_basin else exact
    constant = stability_constant(exact.cell, model, there.positions, greens_function(exact.cell, truth), own)
    return constant, lowest_phonon(own)


def blocks_of(spec: dict, cell: Cell, training: Record) -> Blocks:
    """The rows of a record of `rows`, for the basis of a trial. spec: basis, full (the basis of the rows)."""
    full, basis = basis_of(spec["full"], cell), basis_of(spec["basis"], cell)
    items = unpacked(training.values["blocks"], training.arrays)
    kept = enumerate(training.values.get("held", []))
    held = tuple(unpacked(headers, training.arrays, f"held{n}-") for n, headers in kept)
    return Blocks(full, items, training.values["truth"], held=held).restrict(full.columns_of(basis), basis)


def trial(spec: dict, perfect: Record, reference: Record, training: Record) -> Record:
    """Fit one observation set with one basis, relax the defect with the model, compare.

    spec: material, defect, size, basis, full (the basis of the rows), observations, fit.
    """
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    return assess(spec, cell, reference, lambda: fitted_to(spec, cell, training))


def _held_out(fitted: Fit) -> float | None:
    """Force error on configurations that are left out, eV/A; None if it is not known."""
    found = fitted.held_out
    return found.forces if found is not None and math.isfinite(found.forces) else None


def assess(spec: dict, cell: Cell, reference: Record, fitting: Callable[[], Fit]) -> Record:
    """Errors of a fit: of its training data, and of the defect relaxed with its model.

    The model is relaxed from the reference's equilibrium: the question is how far the model's own equilibrium is from it.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fitting()
    truth = restored(reference, cell)
    green = greens_function(cell, fitted.model)
    with recorded():
        model = rested(cell, fitted.model, truth.positions, green)
        error = compare(truth, model)
    stability, phonon = _stability(truth_of(spec), fitted.model, green, truth, model)
    stable = stability > 0 and phonon > 0
    return Record(
        {
            "geometry_error": error.geometry,
            "geometry_error_max": error.geometry_max,
            "energy_error": error.energy,
            "energy_error_signed": error.energy_signed,
            "rmse_energy": fitted.rmse.get("E"),
            "rmse_forces": fitted.rmse.get("F"),
            "rmse_force_constants": fitted.rmse.get("FC"),
            "rmse_virial": fitted.rmse.get("V"),
            "held_out_forces": _held_out(fitted),
            "rmse": fitted.rmse,
            "rank": fitted.rank,
            "condition": fitted.condition,
            "basis_functions": fitted.model.basis.size,
            "simulation_atoms": len(cell),
            "dimension": cell.lattice.dimension,
            "converged": model.converged,
            "same_basin": error.same_basin and stable,  # a saddle point is no state of the defect
            "why_not": error.why_not,
            "message": model.message,
            "stability_constant": stability,
            "lowest_phonon": phonon,
            "stable": stable,
            "warnings": [str(w.message) for w in caught if issubclass(w.category, FitWarning)],
        },
        {"coefficients": fitted.coefficients, "positions": model.positions},
    )
