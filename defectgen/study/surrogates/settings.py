"""Settings of the studies of controlled surrogates."""

from typing import Annotated, Literal

from pydantic import Field

from ..settings import Strict


class Beyond(Strict):
    """Which controlled surrogates stand for the fit beyond which radii (theory: bounds/surrogates)."""

    radii: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    """Radii up to which the forces are those of the reference, nearest-neighbour spacings."""
    perturbations: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    """Seeds of the perturbations; each is a repeat of every curve, and three or more give an interval. Strengths are averaged
    within a repeat."""
    strengths: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field((0.2,), min_length=1)
    """Largest relative change of the energy of a wave by the perturbation."""
    reach: float = Field(1.6, gt=1)
    """Cutoff of the perturbation, nearest-neighbour spacings."""
    law: Literal["power", "shifted"] = "power"
    """Law that verdicts use: "power" is C L^p, "shifted" is C (L + shift)^p, which needs five radii."""


class Surrogates(Beyond):
    """Error of a point defect, or of the barrier of a hop, against the radius around it."""

    shifts: bool = True
    """Whether virials include the forces on the sublattices."""
