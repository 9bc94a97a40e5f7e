"""The steps of the study of transfer: trials on other defects are those of all fits; here the crystal of a fit."""

from dataclasses import dataclass

import numpy as np

from ..._typing import Float
from ...campaign import Given, Step
from ...energy.elastic import elastic_constants
from ..tasks import Crystal, FitTrial, truth_of

NAME = "transfer"


@dataclass(frozen=True, eq=False)
class Elasticity:
    """The elastic constants C of a fit against those of the reference: C = factor * C_reference + rest."""

    factor: float
    """Least squares over all components of the tensor."""
    rest: float
    """Norm of what the factor leaves, over that of the reference's constants."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FitElasticity(Step[Elasticity]):
    """The elastic constants of a fit: whether it errs by one common factor."""

    crystal: Crystal
    trial: FitTrial
    """Any trial of the fit."""

    @property
    def label(self) -> str:
        return f"{self.trial.label}: elastic constants"

    @property
    def weight(self) -> float:
        return 0.3

    def run(self, given: Given) -> Elasticity:
        """Elastic constants of both."""
        material = self.crystal.material
        lattice = given[self.crystal].lattice(material)
        found = elastic_constants(lattice, self.trial.model(given))
        return common_factor(np.asarray(found), np.asarray(elastic_constants(lattice, truth_of(material))))


def common_factor(found: Float[np.ndarray, "6 6"], exact: Float[np.ndarray, "6 6"]) -> Elasticity:
    """How far elastic constants are the exact ones times one factor; shears count as often as they occur in the tensor."""
    times = np.where(np.arange(6) < 3, 1.0, np.sqrt(2.0))
    one, other = (times[:, None] * np.asarray(constants) * times for constants in (found, exact))
    factor = float(np.vdot(one, other) / np.vdot(other, other))
    return Elasticity(factor, float(np.linalg.norm(one - factor * other) / np.linalg.norm(other)))
