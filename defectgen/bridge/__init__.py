"""The only door to ASE and to other codes' files: calculators, structures, labelled configurations, data sets, force constants.

Molecules are in `bridge.molecules`, which is imported by name because RDKit and tblite are optional.
"""

from .calculator import Calculator
from .differenced import finite_difference_force_constants
from .espresso import espresso
from .extxyz import read_extxyz, write_extxyz
from .kpoints import KPoints, common_kpoints, irreducible_kpoints
from .label_files import read_dataset
from .labelled import LabelledReference, inequivalent
from .lammps_styles import lammps_reference
from .measured_constants import MeasuredForceConstants, read_force_constants
from .phonons import BandPath, band_path, phonon_frequencies
from .phonopy_files import fold_force_constants, primitive_sites, read_force_constant_arrays, write_force_constants
from .reference import ASEReference
from .stored import StoredReference
from .structured_sets import dataset_from_extxyz, dataset_from_hdf5
from .structures import cell_from_ase, defect_from_atoms, from_ase, to_ase

__all__ = [
    "ASEReference",
    "BandPath",
    "Calculator",
    "KPoints",
    "LabelledReference",
    "MeasuredForceConstants",
    "StoredReference",
    "band_path",
    "cell_from_ase",
    "common_kpoints",
    "dataset_from_extxyz",
    "dataset_from_hdf5",
    "defect_from_atoms",
    "espresso",
    "finite_difference_force_constants",
    "fold_force_constants",
    "from_ase",
    "inequivalent",
    "irreducible_kpoints",
    "lammps_reference",
    "phonon_frequencies",
    "primitive_sites",
    "read_dataset",
    "read_extxyz",
    "read_force_constant_arrays",
    "read_force_constants",
    "to_ase",
    "write_extxyz",
    "write_force_constants",
]
