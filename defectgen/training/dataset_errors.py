"""Errors of a model on chosen configurations of a data set, kept apart so that a study can average them as it likes."""

from dataclasses import dataclass

import numpy as np

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

    @property
    def rmse_energy(self) -> float:
        """eV/atom."""
        return float(np.sqrt(np.mean(self.energy**2)))

    @property
    def rmse_energy_within(self) -> float:
        """eV/atom, of energies relative to the mean of each structure: what is left when only conformations are compared."""
        names = np.array(self.structures)
        centred = np.concatenate(
            [self.energy[names == name] - self.energy[names == name].mean() for name in dict.fromkeys(names)]
        )
        return float(np.sqrt(np.mean(centred**2)))

    @property
    def rmse_forces(self) -> float:
        """Over all components of all configurations, eV/A."""
        return float(np.sqrt(np.average(self.forces**2, weights=self.atoms)))
