"""A trial: fit one observation set with one basis, relax the defect with the model, compare with the reference."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from ..._input import InputWarning
from ..._typing import Float
from ...ace import LinearACE
from ...campaign import Given, Step
from ...crystal import Cell
from ...energy.functional import CellEnergy
from ...energy.potential import Potential
from ...errors import compare
from ...errors.stability import lowest_phonon, stability_constant
from ...fit import Fit, FitWarning, fit
from ...relax import Equilibrium, GreensFunction, greens_function, relax
from ..settings import Basis, FitSettings
from .cells import green_of, truth_of
from .crystal import Crystal
from .exact import Exact
from .rows import TrainingRows

AT_REST = 1e-9
"""eV/A. Large coefficients that cancel leave rounding of 1e-10 in the forces of most fits, and `rested` accepts the larger
rounding of others; their errors are above 1e-7."""


def rested(
    cell: Cell,
    model: Potential,
    start: np.ndarray | None = None,
    preconditioner: GreensFunction | None = None,
    potentials: dict[str, float] | None = None,
    energy: CellEnergy | None = None,
) -> Equilibrium:
    """The equilibrium of a fitted model; as near as the rounding of its forces allows counts as converged.

    `potentials` are the chemical potentials of the reference (eV per atom). They need not add up to the energy of the model's
    crystal: its error is part of the error of the formation energy.
    """
    with warnings.catch_warnings():
        if potentials:
            warnings.filterwarnings("ignore", "the chemical potentials of a formula unit", InputWarning)
        found = relax(
            cell,
            model,
            start=start,
            tolerance=AT_REST,
            preconditioner=preconditioner,
            eigenvalue=False,
            chemical_potentials=potentials,
            energy=energy,
        )
    return replace(found, converged=found.settled)


@dataclass(frozen=True, eq=False)
class Trial:
    """The errors of a fit: in its training data, and of the defect relaxed with its model."""

    geometry_error: float
    """A."""
    geometry_error_max: float
    """A."""
    energy_error: float
    """eV."""
    energy_error_signed: float
    rmse: dict[str, float]
    """Root mean square error of every kind of observation, in field units."""
    rank: int | None
    condition: float
    basis_functions: int
    simulation_atoms: int
    dimension: int
    converged: bool
    same_basin: bool
    """Whether the model rests in the state of the reference, and is stable there."""
    why_not: str
    message: str
    """Of the relaxation with the model."""
    stability_constant: float
    lowest_phonon: float
    """eV/A^2."""
    stable: bool
    warnings: tuple[str, ...]
    coefficients: Float[np.ndarray, " functions"]
    positions: Float[np.ndarray, "atoms 3"]
    """Where the defect rests with the model, A."""
    held_out_forces: float | None = None
    """Force error on configurations that are left out, eV/A; None if it is not known."""

    @property
    def trusted(self) -> bool:
        """Whether the trial belongs in a rate: converged, in the same basin, and stable (theory: setting/stability)."""
        return self.converged and self.same_basin and self.stable


@dataclass(frozen=True, eq=False, kw_only=True)
class FitTrial(Step[Trial]):
    """Fit one observation set with one basis, relax the defect with the model, compare."""

    crystal: Crystal
    exact: Exact
    """The defect relaxed with the reference, in the simulation cell."""
    rows: TrainingRows
    basis: Basis
    observations: str
    fit: FitSettings
    variant: str = ""

    version = "2"
    apart = ("study", "variant")

    @property
    def label(self) -> str:
        variant = f", {self.variant}" if self.variant else ""
        size, degree = self.rows.training_size, self.basis.degree
        tried = f", tried on {self.exact.defect}" if self.exact.defect != self.rows.defect else ""
        case = f"{self.crystal.material.name} {self.rows.defect}"
        return f"{case} {self.observations}, size {size}, degree {degree:g}{variant}{tried}"

    def cell(self, given: Given) -> Cell:
        """The unrelaxed defect in the simulation cell."""
        return self.exact.cell(given)

    def fitted(self, given: Given, basis: Basis | None = None, prior: str | None = None) -> Fit:
        """The fit, or that of another `basis`; `prior` where the settings give none."""
        blocks = given[self.rows].of(self.basis if basis is None else basis, self.rows.basis, self.cell(given))
        chosen = self.fit.prior if self.fit.prior is not None else prior
        return fit(blocks, self.observations, self.fit.weights or None, chosen, self.fit.solver)

    def model(self, given: Given) -> LinearACE:
        """The fitted model."""
        return LinearACE(self.basis.build(self.cell(given)), given[self].coefficients)

    def reference(self, given: Given) -> Equilibrium:
        """The exact equilibrium."""
        return given[self.exact].at(self.cell(given))

    def run(self, given: Given) -> Trial:
        """Fit, relax, compare."""
        truth = truth_of(self.crystal.material)
        return assess(self.reference(given), truth, lambda: self.fitted(given))


def remarked(fitting: Callable[[], Fit]) -> tuple[Fit, tuple[str, ...]]:
    """A fit and what it warned of: the records of a run hold the warnings, so that its page can show them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fitting()
    return found, tuple(str(w.message) for w in caught if issubclass(w.category, FitWarning))


def assess(exact: Equilibrium, truth: Potential, fitting: Callable[[], Fit]) -> Trial:
    """Errors of a fit: of its training data, and of the defect relaxed with its model.

    The model is relaxed from the reference's equilibrium: the question is how far the model's own equilibrium is from it.
    """
    cell = exact.cell
    fitted, remarks = remarked(fitting)
    green = greens_function(cell, fitted.model)
    model = rested(cell, fitted.model, exact.positions, green, exact.chemical_potentials)
    error = compare(exact, model)
    stability, phonon = _stability(truth, fitted.model, green, exact, model)
    stable = stability > 0 and phonon > 0
    return Trial(
        geometry_error=error.geometry,
        geometry_error_max=error.geometry_max,
        energy_error=error.energy,
        energy_error_signed=error.energy_signed,
        rmse=fitted.rmse,
        rank=fitted.rank,
        condition=fitted.condition,
        basis_functions=fitted.model.basis.size,
        simulation_atoms=len(cell),
        dimension=cell.lattice.dimension,
        converged=model.converged,
        same_basin=error.same_basin and stable,  # a saddle point is no state of the defect
        why_not=error.why_not,
        message=model.message,
        stability_constant=stability,
        lowest_phonon=phonon,
        stable=stable,
        warnings=remarks,
        coefficients=fitted.coefficients,
        positions=model.positions,
        held_out_forces=_held_out(fitted),
    )


def _held_out(fitted: Fit) -> float | None:
    found = fitted.held_out
    return found.forces if found is not None and isfinite(found.forces) else None


def _stability(
    truth: Potential, model: Potential, own: GreensFunction, exact: Equilibrium, found: Equilibrium
) -> tuple[float, float]:
    """Stability constant of the model, against the reference's crystal, and its lowest phonon (eV/A^2).

    Computed at the equilibrium of the model, or at the exact defect if the relaxation left its state. theory:
    setting/stability.
    """
    there = found if compare(exact, found).same_basin else exact
    constant = stability_constant(exact.cell, model, there.positions, green_of(exact.cell, truth), own)
    return constant, lowest_phonon(own)
