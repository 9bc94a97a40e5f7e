"""Defects from elsewhere: structures of other origin, order and cell are recognised, and carried to larger cells."""

import numpy as np
import pytest
from known_lattices import LATTICES

from defectgen._input import InputError
from defectgen.crystal import (
    Cell,
    antisite_pair,
    ball,
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
from defectgen.crystal import match as matching

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
    assert lattice.species[carried.perfect_sites.sublattices[gone[0]]] == lattice.species[-1]


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


# ------------------------------------------------------------------------------------------------ structures with other origins
SHIFTED = [
    ("fcc", 2, "vacancy"),
    ("fcc", 3, "divacancy"),
    ("fcc", 3, "dumbbell(100)"),
    ("diamond", 1, "vacancy"),
    ("diamond", 2, "interstitial(tetrahedral)"),
    ("diamond", 2, "dumbbell(110)"),
    ("rocksalt", 2, "antisite"),
    ("rocksalt", 2, "divacancy"),
    ("cscl", 3, "antisite_pair"),
    ("hcp", 3, "interstitial(octahedral)"),
    ("triangular", 6, "microcrack(3)"),
]


def relaxed(cell: Cell, seed: int) -> np.ndarray:
    """A breathing core (0.3 spacings next to the defect) and a rattle of 0.03 spacings everywhere."""
    spacing, planar = cell.lattice.nearest_neighbour, np.array([1, 1, cell.lattice.dimension == 3])
    r = cell.minimum_image(cell.positions - cell.centre)
    distance = np.linalg.norm(r, axis=1, keepdims=True) / spacing + 0.2
    core = 0.3 * r / distance * np.exp(-distance)
    return cell.positions + core + 0.03 * spacing * np.random.default_rng(seed).normal(size=r.shape) * planar


def spectrum(cell: Cell) -> np.ndarray:
    """All distances between atoms, sorted: the structure up to symmetry, origin and order."""
    pair = cell.minimum_image((cell.positions[:, None] - cell.positions[None]).reshape(-1, 3))
    return np.sort(np.linalg.norm(pair, axis=1))


@pytest.mark.parametrize(("name", "size", "text"), SHIFTED)
def test_a_rigid_shift_changes_nothing(name, size, text):
    """Shifted by anything, a lattice vector too, wrapped and reordered: the same defect, its atoms at the same distances."""
    lattice = LATTICES[name]
    cell = defect_from_name(text).apply(supercell(lattice, size))
    home, rng = cell.perfect, np.random.default_rng(len(text))
    atoms = relaxed(cell, size)
    wanted = match_defect(home.positions, home.symbols, atoms, cell.symbols, cell.vectors, cell.periodic)
    applied = wanted.apply(supercell(lattice, size))
    planar = np.array([1, 1, lattice.dimension == 3])
    for shift in (lattice.vectors[0] + lattice.vectors[1], *rng.normal(scale=3.0, size=(1, 3)) * planar):
        order = rng.permutation(len(cell))
        box = (atoms + shift)[order] @ np.linalg.inv(cell.vectors)
        moved = (box - np.floor(box) * np.array(cell.periodic)) @ cell.vectors
        symbols = [cell.symbols[k] for k in order]
        found = match_defect(home.positions, home.symbols, moved, symbols, cell.vectors, cell.periodic)
        assert found.name == wanted.name
        assert np.abs(spectrum(found.apply(supercell(lattice, size))) - spectrum(applied)).max() < 1e-3  # rounding of files


def test_undoing_the_shift_is_what_finds_the_defect():
    """Without it the same structure has dozens of defects, and is refused: the test above can fail."""
    lattice = LATTICES["diamond"]
    cell = interstitial("tetrahedral").apply(supercell(lattice, 2))
    home, vectors, periodic = (cell.perfect.positions, cell.perfect.symbols), cell.vectors, cell.periodic
    origin, sites = matching._register(lattice, *home)

    def counted(atoms):
        owner = matching.assign(*home, atoms, cell.symbols, vectors, periodic, lattice.nearest_neighbour)
        edits = matching.difference(lattice, origin, sites, *home, atoms, cell.symbols, owner, vectors, periodic)
        matching.check_alike(edits, len(home[0]), len(atoms), np.zeros(3))
        return edits

    shift = np.array([0.9, 0.6, 0.4])
    moved = cell.positions + shift
    with pytest.raises(InputError, match="seem rotated, strained, shifted or unrelated"):
        counted(moved)
    undone = matching.rigid_shift(lattice, origin, moved, cell.symbols)
    assert counted(moved - undone).label == match_defect(*home, moved, cell.symbols, vectors).name


def test_a_shift_is_undone_in_an_open_box():
    """Where the boundary is open even a translation of the crystal moves atoms off the sites that there are."""
    lattice = LATTICES["fcc"]
    cell = vacancy().apply(ball(lattice, 7.0, clamp=2.0))
    home = cell.perfect
    for shift in (lattice.vectors[0], np.array([3.1, -0.7, 0.4])):
        moved = cell.positions + shift
        found = match_defect(home.positions, home.symbols, moved, cell.symbols, cell.vectors, cell.periodic, lattice)
        assert found.name == "v_" + lattice.species[0]


def test_what_differs_in_most_of_its_atoms_is_no_defect():
    lattice = LATTICES["fcc"]
    small = supercell(lattice, 2)
    rng = np.random.default_rng(5)
    turned = (small.positions - small.centre) @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + small.centre
    for atoms in (turned, rng.uniform(size=(len(small), 3)) @ small.vectors):
        with pytest.raises(InputError, match=r"seem rotated.* of 32 atoms and 32 sites"):
            match_defect(small.positions, small.symbols, atoms, small.symbols, small.vectors)
    with pytest.raises(InputError, match="32 are of another species"):
        match_defect(small.positions, small.symbols, small.positions, ["Ag"] * 32, small.vectors)
    with pytest.raises(InputError, match="27 sites are empty"):
        match_defect(small.positions, small.symbols, small.positions[:5], small.symbols[:5], small.vectors)
    void = np.linalg.norm(small.minimum_image(small.positions - small.positions[0]), axis=1) > 1.01 * lattice.nearest_neighbour
    found = match_defect(small.positions, small.symbols, small.positions[void], small.symbols[: void.sum()], small.vectors)
    assert found.name == f"v13_{lattice.species[0]}"  # a cluster of vacancies is a defect, however much of the cell it takes
