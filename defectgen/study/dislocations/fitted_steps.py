"""The steps of fits around dislocations: rows of the crystal, a fit beyond growing radii, a fit everywhere."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._typing import Bool, Float
from ...campaign import Given, Step
from ...crystal import Cell
from ...elastic import elastic_field, slip_frame, slip_system
from ...energy.functional import CellEnergy, cell_energy
from ...errors import compare
from ...errors.norms import bonds_of, strain_max, strain_norm
from ...fit import Fit, fit
from ...relax import Equilibrium, greens_function, mixed_equilibrium
from ...surrogate.dislocated import RIM
from ...training import label, training_cells
from ...training.observations import KINDS
from ..settings import Basis, FitSettings, Training
from ..tasks import Crystal, Rows, TrainingRows, kept, remarked, rested, truth_of
from .steps import Line

CRYSTAL = "crystal"
ACCURACY = 1e-3
"""Relative residual of the mixed equilibrium."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalRows(Step[Rows]):
    """Rows of the perfect and the strained crystals, without any defect."""

    crystal: Crystal
    size: int
    """Conventional cells along each side of the perfect crystal whose forces are observed: zero, unless it is rattled."""
    basis: Basis
    training: Training

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} crystal training rows"

    def run(self, given: Given) -> Rows:
        """Label the crystals, compress the rows."""
        lattice, truth = given[self.crystal].lattice(self.crystal.material), truth_of(self.crystal.material)
        how = {"rattle": self.training.rattles(), "strains": self.training.strains()}
        cells = training_cells(lattice, None, self.size, self.training.seed, **how)
        cell = cells[0].cell
        blocks = label(cells, truth, self.basis.build(cell), KINDS)
        return Rows(tuple(blocks.items), blocks.truth, cell.radius, len(cell))


@dataclass(frozen=True, eq=False)
class FittedForces:
    """Forces of a fit less those of the reference, on atoms beyond a radius."""

    cell: Cell
    model: CellEnergy
    reference: CellEnergy
    beyond: Bool[np.ndarray, " atoms"]

    def forces(self, u: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """eV/A at displacement u (A)."""
        x = self.cell.positions + u
        return self._kept(self.model.energy_forces(x)[1] - self.reference.energy_forces(x)[1])

    def product(self, u: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Minus the derivative of the forces along v, eV/A^2 times the unit of v."""
        x = self.cell.positions + u
        return self._kept(self.model.hessian_product(x, v) - self.reference.hessian_product(x, v))

    def _kept(self, field: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        return np.where(self.beyond[:, None], field, 0.0)


class LineScene:
    """What all fits around one dislocation have in common."""

    def __init__(self, line: Line, given: Given):
        lattice, truth = given[line.crystal].lattice(line.crystal.material), truth_of(line.crystal.material)
        self.cell = line.cell(lattice)
        self.exact: Equilibrium = given[line].at(self.cell)
        self.truth, self.green, self.energy = truth, greens_function(self.cell, truth), cell_energy(self.cell, truth)
        self.bonds = bonds_of(self.cell)
        self.distance = self.cell.distance_to_defect() / lattice.nearest_neighbour

    def beyond(self, radius: float) -> Bool[np.ndarray, " atoms"]:
        """Atoms farther from the line than a radius (spacings), and off the rim of the clamped atoms."""
        return (self.distance > radius) & (self.distance < self.distance[self.cell.free].max() - RIM)


@dataclass(frozen=True, eq=False, kw_only=True)
class _LineFit(Step[Any]):
    """What both steps of fits around a line begin with."""

    crystal: Crystal
    exact: Line
    rows: TrainingRows | CrystalRows
    basis: Basis
    observations: str
    fit: FitSettings

    @property
    def trained_on(self) -> str:
        """The point defect, or the crystal."""
        return self.rows.defect if isinstance(self.rows, TrainingRows) else CRYSTAL

    @property
    def label(self) -> str:
        case = f"{self.crystal.material.name} {self.exact.slip} dislocation, radius {self.exact.radius}"
        return f"{case}, {self.observations} of the {self.trained_on}"

    def fitted(self, given: Given, cell: Cell) -> tuple[Fit, tuple[str, ...]]:
        """The fit and its warnings."""
        blocks = given[self.rows].of(self.basis, self.rows.basis, cell)
        return remarked(lambda: fit(blocks, self.observations, self.fit.weights or None, self.fit.prior, self.fit.solver))

    def scene(self, given: Given) -> LineScene:
        """The scene of the line, kept for the next step."""
        return kept(("fits around a line", self.exact.key), lambda: LineScene(self.exact, given))


@dataclass(frozen=True, eq=False)
class LinePoint:
    """Errors of one fit that is used beyond one radius."""

    radius: float
    """Nearest-neighbour spacings."""
    geometry_error: float
    """A."""
    geometry_error_max: float
    """A."""
    inner_atoms: int
    """Atoms within the radius."""
    reduction: float
    """Of the residual of the mixed forces."""
    converged: bool


@dataclass(frozen=True, eq=False)
class LineCurve:
    """Errors of one fit beyond growing radii."""

    points: tuple[LinePoint, ...]
    rmse: dict[str, float]
    functions: int
    simulation_atoms: int
    simulation_radius: float
    """Nearest-neighbour spacings."""
    dimension: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class LineBeyond(_LineFit, Step[LineCurve]):
    """Fit once; for every radius the equilibrium with the fit's forces beyond and the reference's within."""

    radii: tuple[float, ...]
    """Nearest-neighbour spacings."""

    @property
    def weight(self) -> float:
        return 2.0 * len(self.radii)

    def run(self, given: Given) -> LineCurve:
        """Fit, solve, compare."""
        scene = self.scene(given)
        cell = scene.cell
        found, told = self.fitted(given, cell)
        model = cell_energy(cell, found.model)
        points = tuple(self._point(scene, model, radius) for radius in sorted(set(self.radii)))
        return LineCurve(points, found.rmse, self.size(found), len(cell), cell.radius, cell.lattice.dimension, told)

    @staticmethod
    def size(found: Fit) -> int:
        """Functions of the fitted basis."""
        return found.model.basis.size

    @staticmethod
    def _point(scene: LineScene, model: CellEnergy, radius: float) -> LinePoint:
        beyond = scene.beyond(radius)
        extra = FittedForces(scene.cell, model, scene.energy, beyond)
        solved = mixed_equilibrium(scene.exact, scene.truth, extra, ACCURACY, preconditioner=scene.green, energy=scene.energy)
        w = solved.difference
        return LinePoint(
            radius=radius,
            geometry_error=strain_norm(scene.cell, w, scene.bonds),
            geometry_error_max=strain_max(scene.cell, w, scene.bonds),
            inner_atoms=int((scene.distance <= radius).sum()),
            reduction=solved.reduction,
            converged=solved.converged,
        )


@dataclass(frozen=True, eq=False)
class PureLine:
    """Errors of the dislocation relaxed with the fit alone, under the clamp of the reference."""

    geometry_error: float
    """A."""
    geometry_error_max: float
    """A."""
    energy_error_signed: float
    """eV, per period of the line."""
    energy_factor: float
    """K of the fit: its energy between the radii r and R is K log(R/r), eV per period of the line."""
    reference_factor: float
    """K of the reference."""
    rmse: dict[str, float]
    functions: int
    simulation_atoms: int
    simulation_radius: float
    dimension: int
    converged: bool
    same_basin: bool
    why_not: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class LinePure(_LineFit, Step[PureLine]):
    """Fit, relax the dislocation with the fit, compare."""

    @property
    def weight(self) -> float:
        return 4.0

    def run(self, given: Given) -> PureLine:
        """Fit, relax, compare."""
        scene = self.scene(given)
        cell = scene.cell
        found, told = self.fitted(given, cell)
        model = rested(cell, found.model, scene.exact.positions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an equilibrium that is none is counted in the table
            error = compare(scene.exact, model)
        lattice = given[self.crystal].lattice(self.crystal.material)
        system = slip_system(lattice, self.exact.slip)
        period = float(np.linalg.norm(cell.vectors[2])) if cell.line is not None else 1.0
        rows = slip_frame(lattice, system)
        own, truth = (
            elastic_field(lattice, potential, rows, system).energy_factor * period for potential in (found.model, scene.truth)
        )
        return PureLine(
            geometry_error=error.geometry,
            geometry_error_max=error.geometry_max,
            energy_error_signed=error.energy_signed,
            energy_factor=own,
            reference_factor=truth,
            rmse=found.rmse,
            functions=found.model.basis.size,
            simulation_atoms=len(cell),
            simulation_radius=cell.radius,
            dimension=cell.lattice.dimension,
            converged=model.converged,
            same_basin=error.same_basin,
            why_not=error.why_not,
            warnings=told,
        )
