"""The defect relaxed with the reference: what every fit is compared with."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...campaign import Given, Step
from ...crystal import Cell
from ...relax import Equilibrium, relax
from .cells import defect_cell, spelled, truth_of
from .crystal import Crystal


@dataclass(frozen=True, eq=False)
class Rest:
    """An equilibrium without its cell."""

    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    forces: Float[np.ndarray, "atoms 3"]
    """eV/A."""
    scalars: dict[str, Any]
    """Every other field of `relax.Equilibrium`, by name; an eigenvalue that nobody has read is not computed."""

    @classmethod
    def of(cls, found: Equilibrium) -> "Rest":
        """An equilibrium as the result of a step."""
        apart = ("cell", "positions", "forces", "seconds", "eigenvalue")
        scalars = {f.name: getattr(found, f.name) for f in fields(found) if f.name not in apart}
        known = vars(found).get("lowest_eigenvalue", None if callable(found.eigenvalue) else found.eigenvalue)
        return cls(found.positions, found.forces, {**scalars, "eigenvalue": known})

    def at(self, cell: Cell, seconds: float = 0.0) -> Equilibrium:
        """The equilibrium, in the cell it belongs to."""
        scalars = {**self.scalars, "residuals": tuple(self.scalars["residuals"])}
        return Equilibrium(cell=cell, seconds=seconds, positions=self.positions, forces=self.forces, **scalars)


@dataclass(frozen=True, eq=False, kw_only=True)
class Exact(Step[Rest]):
    """The defect relaxed with the reference in a periodic cell."""

    crystal: Crystal
    defect: str
    size: Any
    """Of this cell: n or three numbers of conventional cells, or an integer matrix of conventional vectors."""
    eigenvalue: bool
    """Whether it is checked that the defect is at a minimum."""

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.defect} reference, size {spelled(self.size)}"

    def cell(self, given: Given) -> Cell:
        """The unrelaxed defect."""
        return defect_cell(given[self.crystal].lattice(self.crystal.material), self.defect, self.size)

    def run(self, given: Given) -> Rest:
        """Relax, and refuse what did not converge or is a saddle point."""
        what = f"{self.defect} in {self.crystal.material.name}"
        material = self.crystal.material
        result = relax(self.cell(given), truth_of(material), eigenvalue=self.eigenvalue, chemical_potentials=material.potentials)
        if not result.converged:
            raise InputError(f"{what} did not relax with the reference: {result.message}")
        if result.is_saddle:
            raise InputError(
                f"{what} rests at a saddle point of the reference (stability constant {result.stability_constant:.3g}); "
                "choose another defect or direction"
            )
        return Rest.of(result)
