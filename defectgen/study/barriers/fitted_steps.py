"""The steps of fits to a hop: rows of its two states, and a fit with which both are found again in a larger cell."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from ...campaign import Given, Step
from ...crystal import defect_from_name
from ...energy.functional import evaluate
from ...errors import compare
from ...errors.compare import BASIN
from ...fit import fit
from ...relax import greens_function, saddle_point
from ...training import label, training_cells
from ...training.observations import KINDS
from ..settings import Basis, FitSettings, Training
from ..tasks import AT_REST, Crystal, Rows, remarked, rested, truth_of
from .steps import Hop

BOTH = "both states"


@dataclass(frozen=True, eq=False, kw_only=True)
class HopRows(Step[Rows]):
    """Rows of the relaxed vacancy, of its copies, of the saddle point if that is trained on, and of the crystal."""

    crystal: Crystal
    hop: Hop
    """With the reference, in the training cell."""
    trained_on: str
    basis: Basis
    training: Training

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.hop.defect} hop training rows, size {self.hop.size}, {self.trained_on}"

    @property
    def weight(self) -> float:
        return 2.0

    def run(self, given: Given) -> Rows:
        """Make the cells, label them, compress the rows."""
        lattice, found = given[self.crystal].lattice(self.crystal.material), given[self.hop]
        cells = training_cells(
            lattice,
            defect_from_name(self.hop.defect),
            self.hop.size,
            self.training.seed,
            displacement=found.minimum.positions - self.hop.cell(given).positions,
            rattle=self.training.rattles(),
            strains=self.training.strains(),
        )
        rest = cells[0]
        if self.trained_on == BOTH:
            cells = [rest, replace(rest, positions=found.saddle.positions, source="saddle point"), *cells[1:]]
        truth = truth_of(self.crystal.material)
        blocks = label(cells, truth, self.basis.build(rest.cell), KINDS)
        held = tuple(tuple(each) for each in blocks.held)
        return Rows(tuple(blocks.items), blocks.truth, rest.cell.radius, len(rest.cell), held)


@dataclass(frozen=True, eq=False)
class HopTrial:
    """Errors of the hop with a fit."""

    geometry_error: float
    """Of the saddle point, A."""
    geometry_error_max: float
    """A."""
    energy_error_signed: float
    """Of the barrier, eV."""
    minimum_geometry_error: float
    """A."""
    minimum_energy_error: float
    """eV."""
    saddle_force_error: float
    """Largest force of the fit at the reference's saddle point in the simulation cell, eV/A."""
    minimum_force_error: float
    """The same at its minimum, eV/A."""
    rmse: dict[str, float]
    functions: int
    simulation_atoms: int
    dimension: int
    converged: bool
    same_basin: bool
    message: str
    """Of the search for the saddle point."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedHop(Step[HopTrial]):
    """Fit one set to the states of a hop, find both again in the simulation cell, compare with the reference."""

    crystal: Crystal
    exact: Hop
    """With the reference, in the simulation cell."""
    rows: HopRows
    basis: Basis
    observations: str
    fit: FitSettings

    @property
    def label(self) -> str:
        case = f"{self.crystal.material.name} {self.exact.defect} hop"
        return f"{case} {self.observations}, size {self.rows.hop.size}, trained on {self.rows.trained_on}"

    @property
    def weight(self) -> float:
        return 2.0

    def run(self, given: Given) -> HopTrial:
        """Fit, relax, climb, compare."""
        cell, found = self.exact.cell(given), given[self.exact]
        blocks = given[self.rows].of(self.basis, self.rows.basis, cell)
        fitted, told = remarked(lambda: fit(blocks, self.observations, self.fit.weights or None, self.fit.prior, self.fit.solver))
        model, low, high = fitted.model, found.minimum.at(cell), found.saddle.at(cell)
        green = greens_function(cell, model)
        minimum = rested(cell, model, low.positions, green)
        way = cell.minimum_image(high.positions - low.positions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the message of the search says what is wrong with it
            saddle = saddle_point(cell, model, high.positions, way, tolerance=AT_REST, preconditioner=green)
            below, above = compare(low, minimum), compare(high, saddle)
        forces = [np.linalg.norm(evaluate(model, cell, state.positions).forces, axis=1).max() for state in (high, low)]
        near = above.displacement_max < BASIN * cell.lattice.nearest_neighbour
        return HopTrial(
            geometry_error=above.geometry,
            geometry_error_max=above.geometry_max,
            energy_error_signed=above.energy_signed - below.energy_signed,
            minimum_geometry_error=below.geometry,
            minimum_energy_error=below.energy,
            saddle_force_error=float(forces[0]),
            minimum_force_error=float(forces[1]),
            rmse=fitted.rmse,
            functions=model.basis.size,
            simulation_atoms=len(cell),
            dimension=cell.lattice.dimension,
            converged=minimum.converged and saddle.converged,
            same_basin=below.same_basin and saddle.converged and bool(near),
            message=saddle.message
            if not saddle.converged
            else below.why_not or ("" if near else "the saddle point is elsewhere"),
            warnings=told,
        )
