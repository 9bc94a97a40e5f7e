"""Settings of the study of transfer."""

from pydantic import Field

from ..settings import Strict, Variant


class Transfer(Strict):
    """Every fit to one defect is tested on every defect of the same crystal (theory: bounds/transfer).

    The defects are those of the cases, so a crystal needs at least two of them.
    """

    size: int = Field(ge=1)
    """Size of the training cell: conventional cells along each side."""
    variants: dict[str, Variant] = {}
    """Ways to train by name: the keys of [training], [fit] and the basis that each changes; only the run file's own if none."""
