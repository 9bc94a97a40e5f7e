"""Lattices, cells, defects and neighbours: where the atoms are, before any energy is asked for."""

from .cell import Cell, Sites, ball, primitive_cell, supercell, widths
from .defects import antisite, antisite_pair, divacancy, microcrack, substitution, vacancy
from .edits import Edits, defect_size
from .elements import ELEMENTS, Element, element
from .interstitials import VOIDS, dumbbell, interstitial, void_position
from .lattice import Lattice
from .lattices import bcc, cscl, diamond, fcc, hcp, l12, rocksalt, sc, square, triangular, zincblende
from .match import match_defect
from .naming import DEFECTS, defect_from_name
from .neighbours import Neighbours, neighbours
from .recipe import Defect
from .shells import Site, neighbour_shells
from .snapshot import Snapshot
from .symmetry import lattice_from_primitive, site_symmetry, space_group, structure

__all__ = [
    "DEFECTS",
    "ELEMENTS",
    "VOIDS",
    "Cell",
    "Defect",
    "Edits",
    "Element",
    "Lattice",
    "Neighbours",
    "Site",
    "Sites",
    "Snapshot",
    "antisite",
    "antisite_pair",
    "ball",
    "bcc",
    "cscl",
    "defect_from_name",
    "defect_size",
    "diamond",
    "divacancy",
    "dumbbell",
    "element",
    "fcc",
    "hcp",
    "interstitial",
    "l12",
    "lattice_from_primitive",
    "match_defect",
    "microcrack",
    "neighbour_shells",
    "neighbours",
    "primitive_cell",
    "rocksalt",
    "sc",
    "site_symmetry",
    "space_group",
    "square",
    "structure",
    "substitution",
    "supercell",
    "triangular",
    "vacancy",
    "void_position",
    "widths",
    "zincblende",
]
