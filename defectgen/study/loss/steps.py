"""The steps of a study of losses: one trial per case and loss, and the exact response of the designs to every weight."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._typing import Float
from ...campaign import Given, Step
from ...errors.compare import error_gradient
from ...fit import Fit, Loss, fit, weight_response
from ...relax import Equilibrium
from ...training import Blocks
from ..tasks import FitTrial, Trial, assess, kept, truth_of

RMSE = {
    "E": "rmse_energy",
    "F": "rmse_forces",
    "FC": "rmse_force_constants",
    "V": "rmse_virial",
    "C": "rmse_elastic_constants",
    "Ef": "rmse_formation_energy",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class LossTrial(FitTrial):
    """A trial whose fit minimises a loss of its own."""

    loss: dict[str, Any]
    """Settings of the loss (see `defectgen.fit.Loss`) besides its observations."""
    name: str
    """Of the loss."""

    version = "1"
    apart = ("study", "variant", "name", "fit")

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.rows.defect} {self.name}"

    def of(self) -> Loss:
        """The loss."""
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in self.loss.items()}
        return Loss(**{**settings, "observations": self.observations})

    def scene(self, given: Given) -> tuple[Equilibrium, Blocks]:
        """The exact defect and the rows: kept by the process for the next loss."""

        def made() -> tuple[Equilibrium, Blocks]:
            return self.reference(given), given[self.rows].of(self.basis, self.rows.basis, self.cell(given))

        return kept(("loss", self.exact.key, self.rows.key, self.basis.model_dump(mode="json")), made)

    def fitted_loss(self, given: Given) -> Fit:
        """The fit that minimises the loss."""
        return fit(self.scene(given)[1], self.of())

    def run(self, given: Given) -> Trial:
        """Fit, relax, compare."""
        exact, _ = self.scene(given)
        return assess(exact, truth_of(self.crystal.material), lambda: self.fitted_loss(given))


@dataclass(frozen=True, eq=False)
class Slopes:
    """d log error / d log weight of one loss."""

    knobs: tuple[str, ...]
    """The weights."""
    slopes: dict[str, Float[np.ndarray, " knobs"]]
    """By the column of the error."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sensitivities(Step[Slopes]):
    """The response of all errors of one loss to every weight: exact, by the normal equations and one Hessian solve."""

    trial: LossTrial

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The trial and what it was made of."""
        return (*self.trial.after, self.trial)

    @property
    def label(self) -> str:
        return f"{self.trial.crystal.material.name} {self.trial.rows.defect} sensitivities of {self.trial.observations}"

    @property
    def weight(self) -> float:
        return 3.0

    def run(self, given: Given) -> Slopes:
        """Differentiate."""
        trial, found = self.trial, given[self.trial]
        response = weight_response(trial.fitted_loss(given))
        slopes = {RMSE[kind]: np.asarray(values) for kind, values in response.rmse.items() if kind in RMSE}
        if found.converged and found.same_basin:
            exact = trial.reference(given)
            energy = exact.energy + found.energy_error_signed
            resting = replace(exact, positions=found.positions, energy=energy)  # all that its gradient reads
            gradient = error_gradient(exact, resting, trial.model(given))
            slopes["geometry_error"] = np.asarray(response.of(gradient.geometry) / found.geometry_error)
            slopes["energy_error"] = np.asarray(response.of(gradient.energy) / found.energy_error)
        return Slopes(tuple(response.names), slopes)
