"""Settings of the study of migration barriers."""

from ..surrogates.settings import Surrogates


class Barriers(Surrogates):
    """Error of the barrier of a hop into a vacancy, against the radius around it (theory: bounds/barriers)."""
