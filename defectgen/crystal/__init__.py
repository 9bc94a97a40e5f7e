"""Lattices, cells, defects and neighbours: where the atoms are, before any energy is requested."""

from .cell import Cell, Sites, primitive_cell, supercell
from .copies import Copies, copies
from .cut import ball, cylinder, slab
from .defects import antisite, antisite_pair, divacancy, microcrack, substitution, vacancy
from .edits import Defect, Edits, defect_size
from .elements import ELEMENTS, Element, composition_change, element, exchanged_species
from .enumeration import enumerate_defects
from .interstitials import VOIDS, dumbbell, interstitial, void_position
from .lattice import Lattice, Site, minimum_image, neighbour_shells, reduced_basis, sites_within, widths
from .lattices import (
    PHASES,
    a15,
    bcc,
    beta_tin,
    cscl,
    diamond,
    fcc,
    hcp,
    hexagonal_diamond,
    l12,
    phase,
    rocksalt,
    sc,
    square,
    triangular,
    zincblende,
)
from .match import match_defect
from .naming import DEFECTS, defect_from_name
from .neighbours import Neighbours, neighbours
from .snapshot import Snapshot
from .symmetry import homogeneous_modes, lattice_from_primitive, site_symmetry, space_group, structure, symmetric_modes

__all__ = [
    "DEFECTS",
    "ELEMENTS",
    "PHASES",
    "VOIDS",
    "Cell",
    "Copies",
    "Defect",
    "Edits",
    "Element",
    "Lattice",
    "Neighbours",
    "Site",
    "Sites",
    "Snapshot",
    "a15",
    "antisite",
    "antisite_pair",
    "ball",
    "bcc",
    "beta_tin",
    "composition_change",
    "copies",
    "cscl",
    "cylinder",
    "defect_from_name",
    "defect_size",
    "diamond",
    "divacancy",
    "dumbbell",
    "element",
    "enumerate_defects",
    "exchanged_species",
    "fcc",
    "hcp",
    "hexagonal_diamond",
    "homogeneous_modes",
    "interstitial",
    "l12",
    "lattice_from_primitive",
    "match_defect",
    "microcrack",
    "minimum_image",
    "neighbour_shells",
    "neighbours",
    "phase",
    "primitive_cell",
    "reduced_basis",
    "rocksalt",
    "sc",
    "site_symmetry",
    "sites_within",
    "slab",
    "space_group",
    "square",
    "structure",
    "substitution",
    "supercell",
    "symmetric_modes",
    "triangular",
    "vacancy",
    "void_position",
    "widths",
    "zincblende",
]
