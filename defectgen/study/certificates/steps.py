"""The step of the study of certificates: the certificate of one trial, made without the reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._input import InputError
from ...campaign import Given, Step
from ...errors import certify
from ...errors.certificate.quantity import Quantity
from ...relax import greens_function
from ..settings import Basis
from ..tasks import FitTrial, rested

RICHER_PRIOR = "smoothness(1e-6)"
"""Of the richer fit where the study names none: it may have more functions than the rows determine."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """The numbers of a certificate for one error, A or eV; None where one is not finite."""

    estimate: float | None
    spread: float | None
    shift: float | None
    remainder: float | None
    bound: float | None
    deviation: float | None
    asks: str
    """The rows whose larger weight would lower the estimate most."""
    slopes: dict[str, float]
    """d log estimate / d log weight, by rows."""

    @classmethod
    def of(cls, found: Quantity) -> "Estimates":
        """The certificate of one quantity."""
        names = ("estimate", "spread", "shift", "remainder", "bound", "deviation")
        values = {name: getattr(found, name) for name in names}
        finite = {name: float(v) if v is not None and np.isfinite(v) else None for name, v in values.items()}
        return cls(**finite, asks=min(found.weights, key=found.weights.__getitem__), slopes=found.weights)


@dataclass(frozen=True, eq=False)
class Certified:
    """The certificate of one fit, or why it has none."""

    refused: str
    geometry: Estimates | None = None
    energy: Estimates | None = None
    parameters: int = 0
    rows: int = 0
    residual: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Certification(Step[Certified]):
    """The certificate of one fit, at its own equilibrium in the simulation cell. The reference is not used there."""

    trial: FitTrial
    richer: Basis

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The trial and what it was made of."""
        return (*self.trial.after, self.trial)

    @property
    def label(self) -> str:
        return f"certificate of {self.trial.label}"

    def run(self, given: Given) -> Certified:
        """Certify; without a stable defect under the fit there is no certificate, and the result gives the reason."""
        trial, found = self.trial, given[self.trial]
        if not found.converged:
            return Certified(f"the model did not relax: {found.message}")
        fitted = trial.fitted(given)
        richer = trial.fitted(given, self.richer, RICHER_PRIOR)
        cell = trial.cell(given)
        green = greens_function(cell, fitted.model)
        try:
            rest = rested(cell, fitted.model, found.positions, green, trial.crystal.material.potentials)
            told = certify(fitted, rest, richer=richer, preconditioner=green)
        except InputError as error:
            return Certified(str(error))
        estimates = Estimates.of(told.geometry), Estimates.of(told.energy)
        return Certified("", *estimates, told.parameters, told.rows, told.residual)
