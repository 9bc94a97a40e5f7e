"""MMFF94 as RDKit has it, in eV and Angstrom: the force field that geometries are drawn with."""

import numpy as np
from ase.units import kcal, mol
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from ..._input import InputError
from ..._typing import Float

KCAL = kcal / mol
"""One kcal/mol in eV."""

ITERATIONS = 5000
"""Of a relaxation: ten times what small molecules take."""


class ForceField:
    """Energies and forces of one molecule with explicit hydrogens and at least one conformer, whatever its positions.

    T. A. Halgren, J. Comput. Chem. 17, 490 (1996).
    Raises InputError for a molecule that the force field has no parameters for.
    """

    def __init__(self, molecule: Chem.Mol):
        self._molecule = molecule
        self._properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule)
        if self._properties is None:
            raise InputError(f"MMFF94 has no parameters for {Chem.MolToSmiles(Chem.RemoveHs(molecule))}; leave it out")
        self._field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
            molecule, self._properties, confId=molecule.GetConformers()[0].GetId()
        )
        self._field.Initialize()

    def energy_forces(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        """Energy (eV) and forces (eV/A). The gradient reads pair distances that only the energy renews: never one alone."""
        flat = x.ravel().tolist()
        energy = self._field.CalcEnergy(flat)
        return energy * KCAL, np.array(self._field.CalcGrad(flat)).reshape(-1, 3) * -KCAL

    def relaxed(self, conformer: int) -> float | None:
        """Energy (eV) of one conformer of the molecule, which is moved to its minimum; None if that was not reached."""
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(self._molecule, self._properties, confId=conformer)
        field.Initialize()
        return None if field.Minimize(maxIts=ITERATIONS) else field.CalcEnergy() * KCAL
