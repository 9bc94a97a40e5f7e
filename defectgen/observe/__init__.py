"""Observations: energies, forces, force constants and virials as linear maps from jets to rows."""

from .environments import Environments, environments, own_columns
from .finite import Energy, EquilibriumStress, Forces, InternalForces, Virial
from .force_constants import CoreForceConstants, ForceConstants, nearest_to_defect
from .observation import Observation
from .response import Response, from_labels, is_basis, respond
from .targets import ElasticConstants, FormationEnergy

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
    "respond",
]
