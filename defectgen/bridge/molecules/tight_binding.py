"""GFN2-xTB through tblite: a cheap quantum-mechanical reference for molecules, some ten milliseconds each.

C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree
from tblite.interface import Calculator

from ..._input import InputError
from ..._typing import Float
from ...dataset.dataset import Configuration
from ...energy.blackbox import BlackBox, Evaluation

UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "F": 1, "S": 2, "Cl": 1}
"""Unpaired electrons of the free atoms in their ground states (Hund)."""


@final
@dataclass(frozen=True, eq=False)
class TightBinding(BlackBox):
    """Energies and forces of neutral, closed-shell molecules, each from a fresh start, so that no label depends on another.

    `accuracy` is tblite's: at its default of 1 forces carry errors of 3e-4 eV/A, at 0.1 of 6e-6 and for the same time.
    """

    method: str = "GFN2-xTB"
    """Or "GFN1-xTB"."""
    accuracy: float = 0.1
    step: float = 1e-3
    species: ClassVar = None
    has_stress = False

    def __post_init__(self):
        if self.method not in ("GFN1-xTB", "GFN2-xTB"):
            raise InputError(f"the tight-binding methods are GFN2-xTB and GFN1-xTB; got {self.method!r}")
        if not self.accuracy > 0:
            raise InputError(f"the accuracy is a positive number, smaller is tighter; got {self.accuracy!r}")

    @property
    def name(self) -> str:
        """What labels and messages call it."""
        return self.method

    def evaluate(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
        stress: bool,
    ) -> Evaluation:
        """Energy (eV) and forces (eV/A).

        Raises InputError for periodic cells, a stress, and self-consistency that is not reached.
        """
        if any(periodic) or stress:
            raise InputError(
                f"{self.method} labels molecules here, without cell or stress; use dg.ASEReference(tblite.ase.TBLite())"
            )
        energy, forces = self.label(symbols, positions)
        return Evaluation(energy, forces, None)

    def label(self, symbols: tuple[str, ...], positions: Float[np.ndarray, "atoms 3"], unpaired: int = 0):
        """The same for atoms in empty space, with so many unpaired electrons."""
        try:
            numbers = np.array([atomic_numbers[s] for s in symbols])
            calculator = Calculator(self.method, numbers, np.asarray(positions) / Bohr, 0.0, unpaired)
            calculator.set("verbosity", 0)
            calculator.set("accuracy", float(self.accuracy))
            result = calculator.singlepoint()
        except Exception as error:  # tblite raises RuntimeError and its own; the original stays chained
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.method} could not label {len(symbols)} atoms ({reason}); leave the geometry out") from error
        energy, forces = float(result.get("energy")) * Hartree, -np.array(result.get("gradient")) * (Hartree / Bohr)
        if not (np.isfinite(energy) and np.all(np.isfinite(forces))):
            raise InputError(f"{self.method} gave no numbers for {len(symbols)} atoms; leave the geometry out")
        return energy, forces

    def labelled(self, configuration: Configuration) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        """Energy (eV) and forces (eV/A) of a molecule of a data set."""
        if any(configuration.periodic):
            raise InputError(f"{self.method} labels molecules here; {configuration.structure!r} is periodic")
        return self.label(configuration.symbols, configuration.positions)


def free_atoms(symbols: Iterable[str], method: str = "GFN2-xTB") -> dict[str, float]:
    """Energies of free atoms, eV: one-body offsets that no training data went into.

    Raises InputError for an element whose ground state is not listed.
    """
    reference, found = TightBinding(method), {}
    for symbol in symbols:
        if symbol not in UNPAIRED:
            raise InputError(
                f"free atoms are listed for {', '.join(UNPAIRED)}; got {symbol!r}: fit offsets with one_body instead"
            )
        found[symbol] = reference.label((symbol,), np.zeros((1, 3)), UNPAIRED[symbol])[0]
    return found
