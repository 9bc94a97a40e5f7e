"""Molecules: SMILES to geometries with RDKit, labels with tblite. Optional: `pip install "defectgen[molecules]"`."""

from ..._input import InputError

try:
    import rdkit  # noqa: F401
    import tblite.interface  # noqa: F401
except ImportError as missing:
    raise InputError(f'molecules need RDKit and tblite ({missing}); pip install "defectgen[molecules]"') from None

from .geometries import Conformers, ForceField, conformers, heavy_atoms, scaffold
from .labelling import Labelled, gather, label_dataset, label_molecules, tasks
from .library import Molecule, library
from .thermal import Law, Sample, sample
from .tight_binding import TightBinding, free_atoms

__all__ = [
    "Conformers",
    "ForceField",
    "Labelled",
    "Law",
    "Molecule",
    "Sample",
    "TightBinding",
    "conformers",
    "free_atoms",
    "gather",
    "heavy_atoms",
    "label_dataset",
    "label_molecules",
    "library",
    "sample",
    "scaffold",
    "tasks",
]
