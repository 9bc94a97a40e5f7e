"""Design: the loss and the training data that minimise the certificate of a defect, before any label is computed."""

from .data import Choice, Misfit, choose_data
from .tuning import LossTuning, tune_loss
from .weights import LossDesign, design_loss

__all__ = ["Choice", "LossDesign", "LossTuning", "Misfit", "choose_data", "design_loss", "tune_loss"]
