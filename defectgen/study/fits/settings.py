"""Settings of the study of fits against the radius of their training cell."""

from typing import Annotated

from pydantic import Field, model_validator

from ..settings import Size, Strict

Radius = Annotated[float, Field(gt=0)]
"""Nearest-neighbour spacings."""

FEWEST = 2
"""Radii of one curve."""


class Beyond(Strict):
    """Fits that are used beyond a radius, with the reference's forces within (theory: bounds/one-potential)."""

    radii: tuple[Radius, ...] = Field(min_length=FEWEST)
    """Nearest-neighbour spacings."""
    training_radius: Radius
    """The one training cell of these fits: the smallest cube of conventional cells that holds this ball (spacings)."""
    simulation_size: Size
    """Of the cell in which they are compared with the reference: n, three numbers, or a matrix of conventional vectors."""
    nonlinear_at: tuple[Radius, ...] = ()
    """Those of the radii at which the response is checked by the nonlinear equilibrium, for the first basis."""
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
    """Other radii for the crystals of these names."""

    @model_validator(mode="after")
    def _has_something_to_do(self):
        if not any(each.radii or each.beyond for each in (self, *self.materials.values())):
            raise ValueError("fits needs radii, or a table beyond")
        return self

    def of(self, material: str) -> Curves:
        """The radii of a crystal."""
        return self.materials.get(material, self)
