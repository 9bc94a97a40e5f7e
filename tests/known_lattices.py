"""Crystals that tests of lattices, cells and defects share."""

import numpy as np
import pytest
from hypothesis import strategies as st

from defectgen.crystal import bcc, cscl, diamond, fcc, hcp, l12, rocksalt, sc, square, triangular, zincblende

LATTICES = {
    "fcc": fcc("Cu", 3.615),
    "bcc": bcc("W", 3.165),
    "sc": sc("Po", 3.35),
    "diamond": diamond("Si", 5.431),
    "hcp": hcp("Mg", 3.209, 5.211),
    "zincblende": zincblende("Ga", "As", 5.653),
    "rocksalt": rocksalt("Na", "Cl", 5.64),
    "cscl": cscl("Cs", "Cl", 4.12),
    "l12": l12("Ni", "Al", 3.57),
    "triangular": triangular("Cu", 2.5),
    "square": square("Cu", 2.5),
}
ALL = pytest.mark.parametrize("lattice", LATTICES.values(), ids=LATTICES.keys())
TIGHT = 1e-9  # rounding of a handful of operations on numbers of order ten
matrices = st.lists(st.integers(-2, 2), min_size=9, max_size=9).map(lambda n: np.array(n).reshape(3, 3))


def same_lattice(one: np.ndarray, other: np.ndarray) -> bool:
    """Do two bases span the same lattice? The change of basis is a whole-number matrix of determinant one."""
    change = one @ np.linalg.inv(other)
    return np.abs(change - np.rint(change)).max() < 1e-4 and abs(abs(np.linalg.det(change)) - 1) < 1e-4
