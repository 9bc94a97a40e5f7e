"""Observations: energies, forces, force constants and virials as linear maps from jets to rows."""

from .configurations import ElasticConstants, Energy, EquilibriumStress, Forces, FormationEnergy, InternalForces, Virial
from .environments import Environments, environments, own_columns
from .force_constants import CoreForceConstants, ForceConstants, nearest_to_defect
from .observation import Observation, Response, from_labels, is_basis, respond
from .repulsion import pair_response

__all__ = [
    "CoreForceConstants",
    "ElasticConstants",
    "Energy",
    "Environments",
    "EquilibriumStress",
    "ForceConstants",
    "Forces",
    "FormationEnergy",
    "InternalForces",
    "Observation",
    "Response",
    "Virial",
    "environments",
    "from_labels",
    "is_basis",
    "nearest_to_defect",
    "own_columns",
    "pair_response",
    "respond",
]
