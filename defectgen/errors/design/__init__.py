"""Design: the loss and the training data that make the certificate of a defect smallest, before any label is bought."""

from .data import Choice, Misfit, choose_data
from .tuning import LossTuning, tune_loss
from .weights import LossDesign, design_loss

__all__ = ["Choice", "LossDesign", "LossTuning", "Misfit", "choose_data", "design_loss", "tune_loss"]
