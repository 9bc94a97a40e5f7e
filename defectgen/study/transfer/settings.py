"""Settings of the study of transfer."""

from pydantic import Field

from ..settings import Strict, Variant


class Transfer(Strict):
    """Every fit to one defect is tested on every defect of the same crystal (theory: bounds/transfer).

    The defects are those of the cases, so a crystal needs at least two of them.
    """

    size: int = Field(ge=1)
    """Conventional cells along each side of the training cell."""
    variants: dict[str, Variant] = {}
    """Ways to train, by name: what each does otherwise than [training], [fit] and the basis; the run file as it is if none."""
