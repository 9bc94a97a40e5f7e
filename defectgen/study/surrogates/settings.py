"""Settings of the studies of controlled surrogates."""

from typing import Annotated, Literal

from pydantic import Field

from ..settings import Strict


class Beyond(Strict):
    """Which controlled surrogates stand for the fit beyond which radii (theory: bounds/surrogates)."""

    radii: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    """Nearest-neighbour spacings."""
    perturbations: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    """Seeds, each a repeat of every curve: three or more give an interval. Strengths are averaged within a repeat."""
    strengths: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field((0.2,), min_length=1)
    """Largest relative change of the energy of a wave by the perturbation."""
    reach: float = Field(1.6, gt=1)
    """Cutoff of the perturbation, nearest-neighbour spacings."""
    law: Literal["power", "shifted"] = "power"
    """The law that verdicts are of: C L^p, or the finite-size law C (L + shift)^p, which takes five radii."""


class Surrogates(Beyond):
    """Error of a point defect, or of the barrier of a hop, against the radius around it."""

    shifts: bool = True
    """Whether virials come with the forces on the sublattices."""
