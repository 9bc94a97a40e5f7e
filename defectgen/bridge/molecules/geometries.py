"""Molecules and their conformers: from a SMILES string to geometries relaxed with a force field."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase.units import kcal, mol
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolAlign
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.Geometry import Point3D

from ..._display import brief
from ..._input import InputError
from ..._typing import Float

# ------ What a SMILES string says: its molecule, its elements, its scaffold


@lru_cache(maxsize=4096)
def parse(smiles: str) -> Chem.Mol:
    """The molecule without explicit hydrogens; to be copied before it is changed.

    Raises InputError for what is no SMILES of a molecule.
    """
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles) if isinstance(smiles, str) else None
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise InputError(f"a molecule is a SMILES string such as CCO or c1ccccc1; RDKit cannot read {smiles!r}")
    return molecule


def elements_of(smiles: str) -> set[str]:
    """Chemical symbols of a molecule, hydrogen among them if it has any."""
    molecule = parse(smiles)
    hydrogen = {"H"} if any(atom.GetTotalNumHs() for atom in molecule.GetAtoms()) else set()
    return {atom.GetSymbol() for atom in molecule.GetAtoms()} | hydrogen


def heavy_atoms(smiles: str) -> int:
    """Atoms that are not hydrogen."""
    return parse(smiles).GetNumHeavyAtoms()


def scaffold(smiles: str) -> str:
    """The rings and what links them, as canonical SMILES (Bemis and Murcko, J. Med. Chem. 39, 2887 (1996)); "" without rings."""
    return MurckoScaffold.MurckoScaffoldSmiles(mol=parse(smiles))


# ------ MMFF94 as RDKit has it, in eV and Angstrom: the force field that geometries are drawn with

KCAL = kcal / mol
"""One kcal/mol in eV."""

ITERATIONS = 5000
"""Of a relaxation: ten times what small molecules take."""


class ForceField:
    """Energies and forces of one molecule with explicit hydrogens and at least one conformer, for any positions.

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

    def relaxed(self, conformer: int, iterations: int = ITERATIONS) -> float | None:
        """Energy (eV) of one conformer of the molecule, which is moved to its minimum; None if that was not reached."""
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(self._molecule, self._properties, confId=conformer)
        field.Initialize()
        return None if field.Minimize(maxIts=iterations) else field.CalcEnergy() * KCAL


# ------ Conformers: distance geometry, relaxation with MMFF94, and one of each kind inside an energy window

TRIES = 3
"""Geometries embedded for every conformer wanted: many relax to the same minimum."""


@dataclass(frozen=True, eq=False)
class Conformers:
    """Minima of MMFF94, by energy; none if everything failed."""

    smiles: str
    symbols: tuple[str, ...]
    positions: Float[np.ndarray, "conformers atoms 3"]
    """A."""
    energies: Float[np.ndarray, " conformers"]
    """eV above the lowest one."""
    failures: tuple[str, ...] = ()
    """Why geometries are missing, one sentence each."""

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.positions)


def conformers(
    smiles: str, count: int = 10, seed: int = 0, window: float = 0.4, distance: float = 0.3, *, iterations: int = ITERATIONS
) -> Conformers:
    """At most `count` conformers, all inside `window` (eV) above the lowest and `distance` (A) apart.

    Embedded by ETKDG (S. Wang, J. Witte, ..., S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020)) and relaxed. Distances are root
    mean squares over the atoms that are not hydrogen on carbon, the smallest over alignments, exchanges of equal atoms, and
    reflection (mirror images have one energy). A rigid molecule has one conformer. What fails is said in `failures`, also a
    geometry that is not relaxed after so many `iterations`.
    Raises InputError for what is no SMILES, and for settings that make no sense.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1 or not window > 0 or not distance > 0:
        raise InputError(
            f"conformers need a count from 1, a positive window (eV) and distance (A); got {count!r}, {window!r} and {distance!r}"
        )
    molecule = Chem.AddHs(parse(smiles))
    symbols = tuple(atom.GetSymbol() for atom in molecule.GetAtoms())
    failures: list[str] = []
    with rdBase.BlockLogs():
        embedded = [number for number in (_embedded(molecule, seed, k) for k in range(TRIES * count)) if number >= 0]
        if len(embedded) < TRIES * count:
            failures.append(f"{TRIES * count - len(embedded)} of {TRIES * count} embeddings failed")
        minima: list[tuple[float, int]] = []
        if embedded:
            try:
                field = ForceField(molecule)
            except InputError as error:
                failures.append(str(error))
            else:
                for number in embedded:
                    energy = field.relaxed(number, iterations)
                    if energy is None:
                        failures.append(f"embedding {number} did not reach a minimum of MMFF94")
                    else:
                        minima.append((energy, number))
    minima.sort()
    inside = [(energy, number) for energy, number in minima if energy <= minima[0][0] + window]
    chosen = _distinct(molecule, inside, count, distance)
    positions = [molecule.GetConformer(number).GetPositions() for _, number in chosen]
    return Conformers(
        smiles,
        symbols,
        np.array(positions).reshape(-1, len(symbols), 3),
        np.array([energy - chosen[0][0] for energy, _ in chosen]),
        tuple(failures),
    )


def _embedded(molecule: Chem.Mol, seed: int, number: int) -> int:
    """One more conformer of the molecule, its id, or -1 if distance geometry gave none."""
    settings = rdDistGeom.ETKDGv3()
    settings.clearConfs = False
    settings.randomSeed = int(np.random.default_rng([seed, number]).integers(2**31 - 1))  # a negative one would mean any
    try:
        return rdDistGeom.EmbedMolecule(molecule, settings)
    except RuntimeError:  # an invariant of RDKit's optimiser, in strained rings
        return -1


def _distinct(molecule: Chem.Mol, minima: list[tuple[float, int]], count: int, distance: float) -> list[tuple[float, int]]:
    """The lowest ones that differ from all lower ones and their mirror images."""
    skeleton = _without_hydrogens_on_carbon(molecule)
    mirrored = Chem.Mol(skeleton)
    for conformer in mirrored.GetConformers():
        for atom, (x, y, z) in enumerate(conformer.GetPositions()):
            conformer.SetAtomPosition(atom, Point3D(-x, y, z))
    kept: list[tuple[float, int]] = []
    for energy, number in minima:
        if len(kept) == count:
            break
        if all(
            rdMolAlign.GetBestRMS(Chem.Mol(skeleton, confId=number), other, refId=known) > distance
            for _, known in kept
            for other in (skeleton, mirrored)
        ):
            kept.append((energy, number))
    return kept


def _without_hydrogens_on_carbon(molecule: Chem.Mol) -> Chem.Mol:
    """What tells conformers apart: methyl groups turn, and their 3! exchanges each would only cost time."""
    editable = Chem.RWMol(molecule)
    for atom in sorted((a.GetIdx() for a in molecule.GetAtoms() if _on_carbon(a)), reverse=True):
        editable.RemoveAtom(atom)
    return editable.GetMol()


def _on_carbon(atom: Chem.Atom) -> bool:
    return atom.GetSymbol() == "H" and atom.GetNeighbors()[0].GetSymbol() == "C"
