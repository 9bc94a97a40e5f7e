"""Settings of the studies of fits: rates, what each choice of their design does to the curves, floors against the basis."""

from typing import Annotated

from pydantic import Field, model_validator

from ...training import Rattle
from ..settings import COPIES, Size, Strict, Variant

Radius = Annotated[float, Field(gt=0)]
"""Radii up to which the forces are those of the reference, nearest-neighbour spacings."""

FEWEST = 2
"""Radii of one curve."""


class Beyond(Strict):
    """Fits that are used beyond a radius, with the reference's forces within (theory: bounds/one-potential)."""

    radii: tuple[Radius, ...] = Field(min_length=FEWEST)
    """Radii up to which the forces are those of the reference, nearest-neighbour spacings."""
    training_radius: Radius
    """The one training cell of these fits: the smallest cube of conventional cells that holds this ball (spacings)."""
    simulation_size: Size
    """Size of the cell in which they are compared with the reference: n, three numbers, or a matrix of conventional vectors."""
    degrees: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Degrees of the bases, each a repeat of every curve; those of the pure fits if none is given."""
    nonlinear_at: tuple[Radius, ...] = ()
    """Radii of the list at which the linear response is compared with the nonlinear equilibrium, for the first basis."""
    nonlinear_size: Size | None = None
    """Size of the cell of these equilibria; that of the comparison if none is given."""
    nothing: bool = True
    """Whether "none" is a further set: a pair potential that is fitted to energies and the lattice constant alone."""

    @model_validator(mode="after")
    def _checks_what_is_there(self):
        if set(self.nonlinear_at) - set(self.radii):
            raise ValueError(f"nonlinear_at must be some of the radii {list(self.radii)}; got {list(self.nonlinear_at)}")
        return self


class Curves(Strict):
    """The radii of one crystal."""

    radii: tuple[Radius, ...] = ()
    """Training cells of the pure fits: for each radius (spacings) the smallest cube of conventional cells that holds the ball."""
    beyond: Beyond | None = None
    """Fits that are used beyond a radius, with the reference within."""

    @model_validator(mode="after")
    def _are_curves(self):
        if len(set(self.radii)) == 1:
            raise ValueError(f"radii need at least {FEWEST} different numbers; got {list(self.radii)}")
        return self


class FitRates(Curves):
    """Errors of fits to one relaxed cell, against the radius L of that cell and against the radius beyond which they are used."""

    degrees: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Degrees of the bases, each a repeat of every curve; that of the case if none is given."""
    materials: dict[str, Curves] = {}
    """Other radii for single materials, by name."""

    @model_validator(mode="after")
    def _has_something_to_do(self):
        if not any(each.radii or each.beyond for each in (self, *self.materials.values())):
            raise ValueError("fits needs radii, or a table beyond")
        return self

    def of(self, material: str) -> Curves:
        """The radii of a crystal."""
        return self.materials.get(material, self)


class FitChoices(Strict):
    """Pure fits as designed, and with each choice of the design changed alone (theory: bounds/one-potential)."""

    radii: tuple[Radius, ...] = ()
    """Radii of the training cells, as those of [fits] (spacings)."""
    variants: dict[str, Variant] = Field(min_length=1)
    """Variants by name: the keys of [training], [fit] and the basis that each changes."""
    materials: dict[str, tuple[Radius, ...]] = {}
    """Other radii for single materials, by name."""

    @model_validator(mode="after")
    def _are_curves(self):
        for radii in (self.radii, *self.materials.values()):
            if len(set(radii)) == 1:
                raise ValueError(f"radii need at least {FEWEST} different numbers; got {list(radii)}")
        if not any((self.radii, *self.materials.values())):
            raise ValueError("fit_choices needs radii")
        return self

    def of(self, material: str) -> tuple[float, ...]:
        """The radii of a crystal."""
        return self.materials.get(material, self.radii)


class Bases(Strict):
    """The training cell and the bases of one crystal."""

    radius: Radius
    """Radius of the training cell, which is the smallest cube of conventional cells that contains this ball (spacings)."""
    degrees: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=FEWEST)
    """Total degrees of the bases that are fitted."""


class FitFloors(Bases):
    """Errors of fits against the size of the basis: one relaxed cell, which has a cap, and rattled copies, which have a floor."""

    copies: Annotated[int, Field(ge=1, le=COPIES)] = 4
    """Rattled copies of the training cell that are fitted as well, against fits to the relaxed cell alone."""
    held_out: Annotated[int, Field(ge=1, le=COPIES)] = 2
    """Further copies, which are not fitted: the force error is measured on them."""
    rattle: Annotated[float, Field(gt=0)] = 0.015
    """Standard deviation of the displacements of all copies, as in [training], A."""
    materials: dict[str, Bases] = {}
    """Other training cells and bases for single materials, by name."""

    def of(self, material: str) -> Bases:
        """The training cell and the bases of a crystal."""
        return self.materials.get(material, self)

    def rattles(self, copies: int) -> Rattle:
        """So many rattled copies."""
        return Rattle(copies, self.rattle)
