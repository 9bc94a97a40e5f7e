"""The steps of the studies: fit and relax (pure fits), the same with a held-out test, or fit and use it beyond every radius."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._typing import Float
from ...campaign import Given, Step
from ...crystal import Copies, copies, defect_from_name
from ...energy.functional import cell_energy
from ...energy.site import SiteEnergy
from ...energy.some import SomeForces
from ...energy.symmetric import SymmetricSum
from ...errors import compare
from ...errors.norms import strain_max, strain_norm
from ...errors.stability import lowest_phonon
from ...fit import Fit, fit
from ...relax import greens_function, mixed_equilibrium
from ...training import Rattle
from ...training.cells import defect_cells
from ...training.observations import NOTHING
from ..settings import Basis, FitSettings
from ..tasks import Crystal, Exact, TrainingRows, box, kept, remarked, rested, truth_of
from .far import FarScene, FittedBeyond

ACCURACY = 3e-3
"""Relative residual of a nonlinear equilibrium, far below its difference from the response of the perfect crystal."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Fitted(Step[Any]):
    """What both steps of fits begin with."""

    crystal: Crystal
    exact: Exact
    """The defect relaxed with the reference, in the cell in which fits are compared with it."""
    rows: TrainingRows
    basis: Basis
    observations: str
    fit: FitSettings
    repeat: int = 0
    """Number of the basis among the repeats of a curve, for the label and the table."""

    apart = ("study", "repeat")

    @property
    def label(self) -> str:
        return (
            f"{self.crystal.material.name} {self.rows.defect} {self.observations}, training size {self.rows.training_size}, "
            f"degree {self.basis.degree:g}"
        )

    def fitted(self, given: Given) -> tuple[Fit, tuple[str, ...]]:
        """The fit and its warnings."""
        nothing = self.observations == NOTHING  # a pair potential, fitted to energies and the lattice constant alone
        pairs = {"order": 1, "pair_degree": int(self.basis.degree)}
        basis, kinds = (self.basis.model_copy(update=pairs), "E") if nothing else (self.basis, self.observations)
        blocks = given[self.rows].of(basis, self.rows.basis, self.exact.cell(given))
        return remarked(lambda: fit(blocks, kinds, self.fit.weights or None, self.fit.prior, self.fit.solver))


@dataclass(frozen=True, eq=False)
class Pure:
    """Errors of the defect relaxed with a fit."""

    geometry_error: float
    """A."""
    geometry_error_max: float
    """A."""
    energy_error_signed: float
    """eV."""
    rmse: dict[str, float]
    """Root mean square error of every kind of observation, field units."""
    functions: int
    simulation_atoms: int
    dimension: int
    converged: bool
    same_basin: bool
    why_not: str
    message: str
    """Of the relaxation."""
    lowest_phonon: float
    """eV/A^2."""
    rank: int | None
    condition: float
    warnings: tuple[str, ...]

    @property
    def energy_error(self) -> float:
        """eV."""
        return abs(self.energy_error_signed)

    @property
    def stable(self) -> bool:
        """Whether all waves of the perfect crystal are stable with the fit."""
        return self.lowest_phonon > 0


@dataclass(frozen=True, eq=False, kw_only=True)
class PureFit(_Fitted, Step[Pure]):
    """Fit one set to one relaxed cell, relax the defect with the fit, compare."""

    @property
    def weight(self) -> float:
        return 3.0

    def run(self, given: Given) -> Pure:
        """Fit, relax, compare."""
        return pure_errors(self, given, *self.fitted(given))


def pure_errors(step: _Fitted, given: Given, fitted: Fit, told: tuple[str, ...]) -> Pure:
    """Errors of the defect relaxed with the fit of a step.

    The relaxation begins at the exact equilibrium and keeps its symmetry, so that one atom of each kind is evaluated.
    """
    exact = given[step.exact].at(step.exact.cell(given))
    cell, green = exact.cell, greens_function(exact.cell, fitted.model)

    def made() -> tuple[Copies, SomeForces]:
        symmetry = copies(cell, displacement=exact.displacement)
        return symmetry, SomeForces(cell, step.basis.cutoff, symmetry.first, keep=True)

    energy = SymmetricSum(cell, fitted.model, *kept(("pure fits", step.exact.key, step.basis.cutoff), made))
    found = rested(cell, fitted.model, exact.positions, green, exact.chemical_potentials, energy)
    model = replace(found, positions=energy.symmetric(found.positions))
    error, phonon = compare(exact, model), lowest_phonon(green)
    return Pure(
        geometry_error=error.geometry,
        geometry_error_max=error.geometry_max,
        energy_error_signed=error.energy_signed,
        rmse=fitted.rmse,
        functions=fitted.model.basis.size,
        simulation_atoms=len(exact.cell),
        dimension=exact.cell.lattice.dimension,
        converged=model.converged,
        same_basin=error.same_basin and phonon > 0,
        why_not=error.why_not or ("" if phonon > 0 else "the crystal is unstable with the fit"),
        message=model.message,
        lowest_phonon=phonon,
        rank=fitted.rank,
        condition=fitted.condition,
        warnings=told,
    )


@dataclass(frozen=True, eq=False)
class Floor:
    """Errors of a fit, and what it leaves wrong where it was not fitted."""

    errors: Pure
    held_out: float
    """Root mean square error of the force components of rattled cells that were not fitted, eV/A."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FloorFit(_Fitted, Step[Floor]):
    """Fit one set, relax the defect with the fit, compare; force errors on rattled cells that were not fitted."""

    rest: Exact
    """The defect relaxed with the reference in the training cell."""
    copies: int
    """Cells that are not fitted."""
    rattle: float
    """A."""

    @property
    def label(self) -> str:
        return f"{super().label}, {self.rows.training.configurations} rattled copies"

    @property
    def weight(self) -> float:
        return 4.0

    def run(self, given: Given) -> Floor:
        """Fit, relax, compare; then forces in the cells that were not fitted."""
        fitted, told = self.fitted(given)
        start, truth = self.rest.cell(given), truth_of(self.crystal.material)
        displacement = given[self.rest].positions - start.positions
        cells = defect_cells(
            start.lattice,
            defect_from_name(self.rows.defect),
            self.rows.training_size,
            self.rows.training.seed + 1,  # other displacements than those of the cells that are fitted
            displacement,
            Rattle(self.copies, self.rattle),
        )[1:]
        one, other = cell_energy(start, fitted.model), cell_energy(start, truth)
        wrong = [one.energy_forces(each.positions)[1] - other.energy_forces(each.positions)[1] for each in cells]
        return Floor(pure_errors(self, given, fitted, told), force_rmse(wrong, start.lattice.dimension))


def force_rmse(wrong: list[Float[np.ndarray, "atoms 3"]], dimension: int) -> float:
    """Root mean square of the components of forces in the space of the crystal, eV/A."""
    return float(np.sqrt(np.mean(np.square(wrong)[..., :dimension])))


@dataclass(frozen=True, eq=False)
class Point:
    """Errors of one fit that is used beyond one radius."""

    radius: float
    """Nearest-neighbour spacings."""
    geometry_error: float
    """A, of the response of the perfect crystal."""
    geometry_error_max: float
    """A."""
    energy_error_signed: float
    """eV."""
    training_atoms: int
    """Atoms within the radius."""


@dataclass(frozen=True, eq=False)
class Check:
    """The response of one fit that is used beyond one radius, against the nonlinear equilibrium in the same cell."""

    radius: float
    """Nearest-neighbour spacings."""
    atoms: int
    """Of the cell."""
    response: float
    """Geometry error of the response of the perfect crystal, A."""
    nonlinear: float
    """That of the nonlinear equilibrium, A."""
    residual: float
    """Of the nonlinear equilibrium, relative to the forces of the fit beyond the radius."""
    converged: bool


@dataclass(frozen=True, eq=False)
class Curve:
    """Errors of one fit that is used beyond growing radii."""

    points: tuple[Point, ...]
    checks: tuple[Check, ...]
    rmse: dict[str, float]
    functions: int
    simulation_atoms: int
    simulation_radius: float
    """Nearest-neighbour spacings."""
    dimension: int
    stable: bool
    """Whether all waves of the perfect crystal are stable with the fit."""
    lowest_phonon: float
    """eV/A^2."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class FitBeyond(_Fitted, Step[Curve]):
    """Fit one set to one relaxed cell, use the fit beyond every radius and the reference within, compare with the reference."""

    radii: tuple[float, ...]
    """Nearest-neighbour spacings."""
    checked: Exact | None = None
    """The defect relaxed with the reference in the cell of the nonlinear equilibria."""
    nonlinear_at: tuple[float, ...] = ()
    """The radii at which they are computed."""

    @property
    def label(self) -> str:
        return f"{super().label}, used beyond L"

    @property
    def weight(self) -> float:
        return 3.0 * (len(self.radii) + 2 * len(self.nonlinear_at))

    def run(self, given: Given) -> Curve:
        """Fit once, then one response for every radius."""
        fitted, told = self.fitted(given)
        scene = self._scene(given, self.exact)
        far, cell = FittedBeyond(scene, fitted.model), scene.cell
        phonon = lowest_phonon(far.green)
        return Curve(
            points=tuple(_point(scene, far, radius) for radius in sorted(set(self.radii))),
            checks=() if self.checked is None else self._checks(self._scene(given, self.checked), fitted.model),
            rmse=fitted.rmse,
            functions=fitted.model.basis.size,
            simulation_atoms=len(cell),
            simulation_radius=cell.radius,
            dimension=cell.lattice.dimension,
            stable=phonon > 0,
            lowest_phonon=phonon,
            warnings=told,
        )

    def _scene(self, given: Given, exact: Exact) -> FarScene:
        """What the fits around this equilibrium have in common, made once in a process."""

        def made() -> FarScene:
            found = given[exact].at(exact.cell(given))
            perfect = box(found.cell.lattice, exact.size)
            truth = truth_of(self.crystal.material)
            assert isinstance(truth, SiteEnergy)  # the checks of the studies refuse others
            return FarScene(truth, found, perfect, self.basis.cutoff)

        return kept(("fits beyond", exact.key, self.basis.cutoff), made)

    def _checks(self, scene: FarScene, model: SiteEnergy) -> tuple[Check, ...]:
        far = FittedBeyond(scene, model)
        return tuple(_check(scene, far, radius) for radius in sorted(set(self.nonlinear_at)))


def _point(scene: FarScene, far: FittedBeyond, radius: float) -> Point:
    found = far.response(radius)
    return Point(
        radius=radius,
        geometry_error=strain_norm(scene.cell, found, scene.bonds),
        geometry_error_max=strain_max(scene.cell, found, scene.bonds),
        energy_error_signed=far.far_energy(radius),
        training_atoms=int((~scene.beyond(radius)).sum()),
    )


def _check(scene: FarScene, far: FittedBeyond, radius: float) -> Check:
    solved = mixed_equilibrium(
        scene.exact, scene.truth, far.nonlinear(radius), ACCURACY, preconditioner=scene.green, energy=scene.energy
    )
    return Check(
        radius=radius,
        atoms=len(scene.cell),
        response=strain_norm(scene.cell, far.response(radius), scene.bonds),
        nonlinear=strain_norm(scene.cell, solved.difference, scene.bonds),
        residual=solved.reduction,
        converged=solved.converged,
    )
