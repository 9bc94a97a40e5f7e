"""The only door to ASE and to other codes' files: calculators, structures, labelled configurations, force constants."""

from .calculator import Calculator
from .extxyz import read_extxyz, write_extxyz
from .phonons import phonon_frequencies
from .phonopy_files import fold_force_constants, primitive_sites, read_force_constants, write_force_constants
from .reference import ASEReference
from .structures import cell_from_ase, defect_from_atoms, from_ase, to_ase

__all__ = [
    "ASEReference",
    "Calculator",
    "cell_from_ase",
    "defect_from_atoms",
    "fold_force_constants",
    "from_ase",
    "phonon_frequencies",
    "primitive_sites",
    "read_extxyz",
    "read_force_constants",
    "to_ase",
    "write_extxyz",
    "write_force_constants",
]
