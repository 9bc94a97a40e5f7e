"""Errors of a model on chosen configurations of a data set, kept apart so that a study can average them as it likes.

An energy error per atom e splits into an offset, its mean over the configurations of a structure, and a shape, what is left: the
relative energies of one structure. Squares add up exactly: mean e^2 = mean offset^2 + mean shape^2. theory: diversity/errors.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._display import brief
from .._typing import Float, Int


@dataclass(frozen=True, eq=False)
class DatasetErrors:
    """Errors on configurations, one number each."""

    structures: tuple[str, ...]
    atoms: Int[np.ndarray, " configurations"]
    energy: Float[np.ndarray, " configurations"]
    """eV/atom, with its sign."""
    forces: Float[np.ndarray, " configurations"]
    """Root mean square over the components, eV/A."""
    absolute_forces: Float[np.ndarray, " configurations"]
    """Mean absolute value over the components, eV/A."""

    __repr__ = brief

    @cached_property
    def offset(self) -> Float[np.ndarray, " configurations"]:
        """Mean energy error of the structure of every configuration, over those chosen, eV/atom."""
        names, place = np.unique(np.array(self.structures), return_inverse=True)
        mean = np.bincount(place, self.energy, len(names)) / np.bincount(place, minlength=len(names))
        return mean[place]

    @property
    def shape(self) -> Float[np.ndarray, " configurations"]:
        """Error of the energy relative to the mean of its structure, eV/atom; zero where a structure has one configuration."""
        return self.energy - self.offset

    @property
    def mae_energy(self) -> float:
        """eV/atom."""
        return float(np.mean(np.abs(self.energy)))

    @property
    def mae_offset(self) -> float:
        """eV/atom: a whole structure too high or too low."""
        return float(np.mean(np.abs(self.offset)))

    @property
    def mae_within(self) -> float:
        """eV/atom, of energies relative to the mean of each structure."""
        return float(np.mean(np.abs(self.shape)))

    @property
    def mae_forces(self) -> float:
        """Over all components of all configurations, eV/A."""
        return float(np.average(self.absolute_forces, weights=self.atoms))

    @property
    def rmse_energy(self) -> float:
        """eV/atom."""
        return float(np.sqrt(np.mean(self.energy**2)))

    @property
    def rmse_energy_within(self) -> float:
        """eV/atom, of energies relative to the mean of each structure: what is left when only conformations are compared."""
        return float(np.sqrt(np.mean(self.shape**2)))

    @property
    def rmse_forces(self) -> float:
        """Over all components of all configurations, eV/A."""
        return float(np.sqrt(np.average(self.forces**2, weights=self.atoms)))
