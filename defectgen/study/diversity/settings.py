"""Settings of the studies of diversity."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from ..settings import COPIES, REACH, Strict

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Part = Annotated[float, Field(ge=0, lt=1)]


class DiversityBasis(Strict):
    """The basis of a study of diversity; its species are those of the data set."""

    cutoff: float = Field(4.0, gt=0, le=REACH)
    """Cutoff radius of the basis, A."""
    order: int = Field(2, ge=1, le=4)
    """Correlation order: number of neighbours in one function, one less than the body order."""
    degree: float = Field(5, gt=0)
    """Largest total degree of a function: n + w_l l summed over its neighbours."""
    w_l: float = Field(0.5, gt=0)
    """Weight of the angular momentum l in the total degree."""
    pair_degree: int | None = Field(10, ge=0)
    """Number of pair functions for each pair of species, independent of the degree."""
    envelope: int = Field(4, ge=2, le=100)
    """Power with which the functions vanish at the cutoff."""


class FixedSet(Strict):
    """So many structures, and growing numbers of configurations of each."""

    structures: tuple[Count, ...] = ()
    """Numbers of structures; each is one curve."""
    conformations: tuple[Count, ...] = (1, 2, 4, 8, 16)
    """Numbers of configurations of each structure."""


class Diversity(Strict):
    """How a budget of labels is best split into structures and configurations of each (theory: diversity/experiments)."""

    source: str = "molecules"
    """Where the data set comes from: molecules, crystals, file, or a source of an installed package (see source.py)."""
    settings: dict[str, Any] = {}
    """Settings of the source, which depend on it."""
    basis: DiversityBasis = Field(default_factory=DiversityBasis)  # pyright: ignore[reportArgumentType]  all have defaults
    """The basis of the linear model."""
    budgets: tuple[Annotated[int, Field(ge=4, le=10_000_000)], ...] = ()
    """Budgets of labels; each is split into S structures with C configurations, in all ways of a geometric grid."""
    ratio: float = Field(2.0, gt=1.01)
    """Ratio of the numbers of structures of neighbouring splits."""
    fixed_set: FixedSet = Field(default_factory=FixedSet)  # pyright: ignore[reportArgumentType]  all have defaults
    """The second experiment: a fixed number of structures and growing numbers of configurations."""
    seeds: int = Field(5, ge=1, le=COPIES)
    """Number of repetitions; each divides and draws the data anew."""
    selections: tuple[Literal["random", "farthest", "d-optimal"], ...] = Field(("random",), min_length=1)
    """How training structures are chosen; ways other than random at the largest budget only."""
    reserve: int = Field(4, ge=1, le=COPIES)
    """Configurations of every pool structure that are kept for tests, and of test structures that are used."""
    structural: Part = 0.12
    """Fraction of all structures that is held out at random."""
    scaffold: Part = 0.1
    """Fraction of the structures that is held out by whole scaffolds."""
    size: Part = 0.1
    """Fraction of the structures that is held out as the largest ones."""
    baseline: bool = True
    """Whether a kernel ridge regression of the energies is fitted too."""
    domain: bool = True
    """Whether the domain of applicability is measured, at the largest budget."""

    @model_validator(mode="after")
    def _asks_something(self):
        if not self.budgets and not self.fixed_set.structures:
            raise ValueError("a study of diversity needs budgets, or fixed_set.structures")
        if self.structural + self.scaffold + self.size >= 1:
            raise ValueError("the parts structural, scaffold and size leave nothing to train on; lower them")
        return self


class DiversitySets(Strict):
    """Several data sets in one study, [[diversity_sets]], each with a table of its own."""

    sets: tuple[Diversity, ...] = Field(min_length=1)
    """One table of the keys of [diversity] for each data set."""

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, content):
        return {"sets": content} if isinstance(content, (list, tuple)) else content

    @model_serializer(mode="wrap")
    def _as_list(self, handler) -> list:
        return handler(self)["sets"]
