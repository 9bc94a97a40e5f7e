"""What a SMILES string says: its molecule, its elements, its scaffold."""

from functools import lru_cache

from rdkit import Chem, rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from ..._input import InputError


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
