"""The certificate: what a fit says of its own error for a defect, without a reference calculation in a large cell."""

from .certificate import Certificate, certify, judge
from .quantity import Quantity
from .sensitivity import Sensitivity, sensitivity

__all__ = ["Certificate", "Quantity", "Sensitivity", "certify", "judge", "sensitivity"]
