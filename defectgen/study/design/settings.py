"""Settings of the study of designed losses and data."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ...fit import as_prior
from ..settings import COPIES, Strict


class DesignData(Strict):
    """Training data chosen from a pool within a budget, before they are labelled (theory: fit/design)."""

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field((2, 3), min_length=1)
    """Sizes of the defect cells: conventional cells along each side."""
    crystal_sizes: tuple[Annotated[int, Field(ge=1)], ...] = (2,)
    """Sizes of rattled cells of the perfect crystal: conventional cells along each side."""
    layers: int = Field(3, ge=0, le=COPIES)
    """Conventional cells in the depth of a slab, one across; 0 for no surfaces."""
    copies: int = Field(6, ge=1, le=COPIES)
    """Number of rattled cells of every kind and size."""
    rattle: float = Field(0.03, gt=0)
    """Standard deviation of the displacements of rattled cells, A."""
    strain: float = Field(0.01, ge=0)
    """Standard deviation of the strain of the boxes that are strained."""
    virial_strains: tuple[float, ...] = Field((0.01, 0.03), min_length=2)
    """Strains of primitive cells; the first is in the training data from the start."""
    shift: float = Field(0.01, ge=0)
    """Displacement of the sublattices in strained primitive cells, A."""
    budgets: tuple[Annotated[float, Field(gt=0)], ...] = Field((1.0,), min_length=1)
    """Budgets beyond the start, in units of one calculation of the largest defect cell."""
    criteria: tuple[Literal["G", "A", "D", "M"], ...] = ("G", "A", "D", "M")
    """Criteria: optimal for the defect (G), for all coefficients (A, D), or for the defect with the misfit of the basis (M)."""
    seeds: int = Field(5, ge=1, le=COPIES)
    """Number of random choices of the same cost to compare with."""
    exponent: float = Field(3.0, ge=0)
    """Exponent of the number of atoms in the cost of a calculation."""
    smallest: float = Field(8.0, ge=0)
    """Number of atoms below which a cell costs as much as one of this size, because it needs more k-points."""
    prior: str = "smoothness(1e-6)"
    """Prior of all fits to chosen data, unless [fit] has one: small sets do not determine every function."""
    seed: int = Field(0, ge=0)
    """Seed of the random choices."""

    @model_validator(mode="after")
    def _can_be_used(self):
        as_prior(self.prior)
        return self


class Design(Strict):
    """Losses and data designed for some defects, and tried on all of them (theory: fit/design)."""

    size: int = Field(ge=1)
    """Size of the training cell: conventional cells along each side."""
    losses: dict[str, dict[str, float]] = {}
    """Further losses to compare with, as name = weights; "default" and "uniform" are always compared."""
    share: float = Field(0.5, ge=0, le=1)
    """Share of the energy in the mean of logarithms that is minimised, between 0 and 1."""
    held_out: dict[str, tuple[str, ...]] = {}
    """Held-out defects by material, whose errors decide when a design ends; none for materials that are not named."""
    richer: float = Field(2.0, gt=0, le=100)
    """Increase of the degree for the richer fit."""
    data: DesignData | None = None
    """Which configurations are chosen from which pool; none if it is not given."""
