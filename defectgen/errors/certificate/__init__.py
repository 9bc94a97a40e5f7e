"""The certificate: what a fit says of its own error for a defect, without a reference calculation in a large cell."""

from .certificate import Certificate, Prediction, certify, judge, predict
from .quantity import Quantity
from .sensitivity import Sensitivity, sensitivity

__all__ = ["Certificate", "Prediction", "Quantity", "Sensitivity", "certify", "judge", "predict", "sensitivity"]
