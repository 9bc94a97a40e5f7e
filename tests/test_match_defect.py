"""Defects from elsewhere: structures of other origin, order and cell are recognised, and carried to larger cells."""

import numpy as np
import pytest
from known_lattices import LATTICES

from defectgen._input import InputError
from defectgen.crystal import (
    Cell,
    antisite_pair,
    bcc,
    defect_from_name,
    defect_size,
    divacancy,
    fcc,
    interstitial,
    match_defect,
    supercell,
    vacancy,
)

ROUND_TRIPS = ["vacancy", "divacancy(2)", "substitution(Ag)", "interstitial(octahedral,H)", "dumbbell(100)", "microcrack(3)"]


def disturbed(cell: Cell, seed: int, rattle: float = 0.0) -> tuple[np.ndarray, list[str]]:
    """Positions and symbols in scrambled order, rattled, each atom in any periodic image."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(cell))
    image = rng.integers(-2, 3, size=(len(cell), 3)) * np.array(cell.periodic)
    positions = (
        cell.positions + rng.normal(scale=rattle, size=cell.positions.shape) * np.array(cell.periodic)
        if rattle
        else cell.positions
    )
    return (positions + image @ cell.vectors)[order], [cell.symbols[i] for i in order]


def canonical(cell: Cell, origin: np.ndarray) -> list[tuple]:
    """The atoms as a sorted list of symbols and wrapped box coordinates relative to `origin`."""
    near = np.rint((cell.positions - origin) @ np.linalg.inv(cell.vectors) * 1e6) % 1e6
    return sorted((s, *x.tolist()) for s, x in zip(cell.symbols, near, strict=True))


@pytest.mark.parametrize("text", ROUND_TRIPS)
@pytest.mark.parametrize("given_lattice", [True, False], ids=["lattice given", "lattice found"])
def test_a_defect_is_recovered_and_carried_to_a_larger_cell(text, given_lattice):
    """apply -> scramble and relax a little -> match -> apply elsewhere gives the defect made there directly."""
    lattice = LATTICES["fcc"]
    small, large = supercell(lattice, 3), supercell(lattice, 4)
    cell = defect_from_name(text).apply(small)
    home, home_symbols = disturbed(small, 1)
    atoms, symbols = disturbed(cell, 2, rattle=0.0 if "i" in cell.defect else 0.05)  # interstitials keep the place they are given
    drift = np.array([0.31, -0.52, 0.77])  # the file's origin is on no site
    known = lattice if given_lattice else None
    found = match_defect(home + drift, home_symbols, atoms + drift, symbols, small.vectors, small.periodic, known)
    carried, direct = found.apply(large), defect_from_name(text).apply(large)
    assert carried.free.all() and np.array_equal(carried.perfect.positions, large.positions)
    assert canonical(carried, carried.centre) == canonical(direct, direct.centre)
    assert np.linalg.norm(carried.centre - large.centre) < lattice.nearest_neighbour


@pytest.mark.parametrize("name", ["zincblende", "hcp", "triangular", "l12"])
def test_matching_in_other_crystals(name):
    lattice = LATTICES[name]
    small = supercell(lattice, 5 if lattice.dimension == 2 else 2)
    cell = vacancy(lattice.sublattices - 1).apply(small)
    home, home_symbols = disturbed(small, 3)
    atoms, symbols = disturbed(cell, 4, rattle=0.05)
    found = match_defect(home, home_symbols, atoms, symbols, small.vectors, small.periodic)
    assert found.label(lattice) == found.name == cell.defect
    carried = found.apply(supercell(lattice, 6 if lattice.dimension == 2 else 3))
    assert len(carried) == len(carried.perfect) - 1
    gone = np.setdiff1d(np.arange(len(carried.perfect)), carried.sites)
    assert lattice.species[carried.host.sublattices[gone[0]]] == lattice.species[-1]


def test_a_matched_defect_scales_with_the_lattice():
    small = supercell(fcc("Cu", 3.6), 3)
    cell = interstitial("octahedral", "H").apply(small)
    found = match_defect(small.positions, small.symbols, cell.positions, cell.symbols, small.vectors)
    larger = supercell(fcc("Cu", 3.75), 4)
    direct = interstitial("octahedral", "H").apply(larger)
    assert canonical(found.apply(larger), found.apply(larger).centre) == canonical(direct, direct.centre)
    for wrong in (bcc("Cu", 2.9), fcc("Cu", 4.6), fcc("Ag", 3.6)):
        with pytest.raises(InputError):
            found.apply(supercell(wrong, 4))


def test_split_vacancies_and_exchanges_are_understood():
    """The atom between two empty sites belongs to one of them; two exchanged atoms are two antisites."""
    lattice = LATTICES["diamond"]
    small = supercell(lattice, 2)
    cell = divacancy().apply(small)
    split = np.vstack([cell.positions, cell.centre])
    found = match_defect(small.positions, small.symbols, split, [*cell.symbols, "Si"], small.vectors).apply(supercell(lattice, 3))
    assert len(found) == len(found.perfect) - 1 and (found.sites >= 0).all() and defect_size(found) == 2
    pair = antisite_pair().apply(supercell(LATTICES["zincblende"], 2))
    perfect = pair.perfect
    back = match_defect(perfect.positions, perfect.symbols, pair.positions, pair.symbols, pair.vectors)
    assert sorted(back.name.split("+")) == ["As_Ga", "Ga_As"]


def test_matching_refuses_what_it_cannot_read():
    small = supercell(LATTICES["fcc"], 2)
    with pytest.raises(InputError, match="is the perfect one"):
        match_defect(small.positions, small.symbols, small.positions, small.symbols, small.vectors)
    cell = vacancy().apply(small)
    with pytest.raises(InputError, match="not made of sites"):
        match_defect(small.positions, small.symbols, cell.positions, cell.symbols, small.vectors, lattice=fcc("Cu", 3.8))
    with pytest.raises(InputError, match="give lattice"):
        match_defect(small.positions, small.symbols, cell.positions, cell.symbols, small.vectors, (False, False, False))
    with pytest.raises(InputError, match="as many symbols"):
        match_defect(small.positions, small.symbols, cell.positions, small.symbols, small.vectors)
