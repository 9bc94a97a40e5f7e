"""Settings of the study of losses."""

from typing import Any, Literal

from pydantic import Field, model_validator

from ...fit import losses
from ..settings import Strict


class LossStudy(Strict):
    """The errors of each loss on the same labels: weights, powers, strains, robust losses, priors, solvers, constraints."""

    size: int = Field(ge=1)
    """Size of the training cell: conventional cells along each side."""
    grids: tuple[dict[str, Any], ...] = Field(min_length=1)
    """Settings of a loss (see `defectgen.fit.Loss`), each one value or a list of values: every combination is a loss. What a grid
    does not mention is as in [fit]; its observations are those of the study."""
    subdivide: Literal["parts", "bins", "rows"] = "parts"
    """How rows are kept apart: bins or rows for weights that are functions of the labelled force, rows for losses of
    residuals."""
    sensitivity: bool = True
    """Whether the derivative of every error with respect to every weight is computed too."""

    @model_validator(mode="after")
    def _can_be_used(self):
        if empty := [number for number, grid in enumerate(self.grids) if not grid]:
            raise ValueError(
                f"grid {empty[0] + 1} is empty, and a grid varies a setting; give it e.g. weights = {{ E = [30, 1000] }}"
            )
        for grid in self.grids:
            losses(**{key: value for key, value in grid.items() if key != "prior"})
        return self
