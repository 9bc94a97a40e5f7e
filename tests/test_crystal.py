"""Elements, lattices and symmetry: counts and distances that crystallography fixes, checked against ASE and textbooks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_lattices import ALL, LATTICES, TIGHT, matrices, same_lattice

from defectgen._input import InputError
from defectgen.crystal import (
    ELEMENTS,
    Lattice,
    Site,
    element,
    fcc,
    hcp,
    interstitial,
    l12,
    lattice_from_primitive,
    neighbour_shells,
    site_symmetry,
    square,
    structure,
    supercell,
    zincblende,
)

# ------------------------------------------------------------------------------------------------ elements


def test_elements_agree_with_ase():
    data = pytest.importorskip("ase.data")
    for e in ELEMENTS.values():
        assert data.chemical_symbols[e.number] == e.symbol
        assert e.mass == pytest.approx(data.atomic_masses[e.number], rel=1e-8)  # digits kept in the table
        assert e.covalent_radius == pytest.approx(data.covalent_radii[e.number], abs=1e-9)


@pytest.mark.parametrize(("symbol", "mass"), [("H", 1.008), ("Si", 28.085), ("Cu", 63.546), ("W", 183.84), ("U", 238.02891)])
def test_masses_as_on_the_wall_chart(symbol, mass):
    assert element(symbol).mass == pytest.approx(mass, rel=1e-6)


@pytest.mark.parametrize("symbol", ["Xx", "cu", "", "CU"])
def test_an_unknown_element_is_refused(symbol):
    with pytest.raises(InputError, match="chemical symbol"):
        fcc(symbol, 3.6)


# ------------------------------------------------------------------------------------------------ lattices

SHELLS = {  # textbook coordination numbers, and distances in units of the nearest-neighbour distance
    "fcc": ([12, 6, 24, 12], [1, 2**0.5, 3**0.5, 2]),
    "bcc": ([8, 6, 12], [1, 2 / 3**0.5, (8 / 3) ** 0.5]),
    "sc": ([6, 12, 8], [1, 2**0.5, 3**0.5]),
    "diamond": ([4, 12, 12], [1, (8 / 3) ** 0.5, (11 / 3) ** 0.5]),
    "zincblende": ([4, 12, 12], [1, (8 / 3) ** 0.5, (11 / 3) ** 0.5]),
    "rocksalt": ([6, 12, 8], [1, 2**0.5, 3**0.5]),
    "cscl": ([8, 6, 12], [1, 2 / 3**0.5, (8 / 3) ** 0.5]),
    "l12": ([12, 6, 24, 12], [1, 2**0.5, 3**0.5, 2]),
    "triangular": ([6, 6, 6], [1, 3**0.5, 2]),
    "square": ([4, 4, 4], [1, 2**0.5, 2]),
    "ideal hcp": ([12, 6, 2, 18], [1, 2**0.5, (8 / 3) ** 0.5, 3**0.5]),
}


@pytest.mark.parametrize("name", SHELLS)
def test_neighbour_shells(name):
    lattice = hcp("Mg", 3.2) if name == "ideal hcp" else LATTICES[name]
    counts, distances = SHELLS[name]
    for b in range(lattice.sublattices):
        site = Site(2, -1, 0, b)
        shells = neighbour_shells(lattice, site, len(counts))
        assert [len(shell) for shell in shells] == counts
        for shell, distance in zip(shells, distances, strict=True):
            away = [np.linalg.norm(s.position(lattice) - site.position(lattice)) for s in shell]
            assert np.allclose(away, distance * lattice.nearest_neighbour, rtol=TIGHT)


def test_neighbour_shells_are_ordered_by_direction():
    lattice = LATTICES["fcc"]
    first = neighbour_shells(lattice, Site(0, 0, 0, 0), 1)[0]
    vectors = np.array([s.position(lattice) for s in first]) / (lattice.nearest_neighbour / 2**0.5)
    assert np.allclose(vectors[0], [1, 1, 0])
    assert np.allclose(vectors[-1], [-1, -1, 0])


NEAREST = {
    "fcc": 3.615 / 2**0.5,
    "bcc": 3.165 * 3**0.5 / 2,
    "sc": 3.35,
    "diamond": 5.431 * 3**0.5 / 4,
    "hcp": (3.209**2 / 3 + 5.211**2 / 4) ** 0.5,
    "zincblende": 5.653 * 3**0.5 / 4,
    "rocksalt": 5.64 / 2,
    "cscl": 4.12 * 3**0.5 / 2,
    "l12": 3.57 / 2**0.5,
    "triangular": 2.5,
    "square": 2.5,
}
VOLUME_PER_ATOM = {  # A^3, A^2 in the plane
    "fcc": 3.615**3 / 4,
    "bcc": 3.165**3 / 2,
    "sc": 3.35**3,
    "diamond": 5.431**3 / 8,
    "hcp": 3**0.5 / 4 * 3.209**2 * 5.211,
    "zincblende": 5.653**3 / 8,
    "rocksalt": 5.64**3 / 8,
    "cscl": 4.12**3 / 2,
    "l12": 3.57**3 / 4,
    "triangular": 3**0.5 / 2 * 2.5**2,
    "square": 2.5**2,
}


@pytest.mark.parametrize("name", LATTICES)
def test_spacing_and_density(name):
    lattice = LATTICES[name]
    assert lattice.nearest_neighbour == pytest.approx(NEAREST[name], rel=TIGHT)
    assert lattice.volume / lattice.sublattices == pytest.approx(VOLUME_PER_ATOM[name], rel=TIGHT)


@pytest.mark.parametrize("name", ["fcc", "bcc", "sc", "diamond", "zincblende", "rocksalt", "cscl", "l12"])
def test_the_conventional_cell_of_a_cubic_crystal_is_a_cube_along_the_axes(name):
    lattice = LATTICES[name]
    cube = lattice.conventional @ lattice.vectors
    assert np.allclose(cube, np.eye(3) * cube[0, 0], atol=TIGHT)


@pytest.mark.parametrize(
    ("name", "build"), [("fcc", "fcc"), ("bcc", "bcc"), ("diamond", "diamond"), ("hcp", "hcp"), ("sc", "sc")]
)
def test_elements_as_ase_builds_them(name, build):
    bulk = pytest.importorskip("ase.build").bulk
    lattice = LATTICES[name]
    side = {"fcc": 3.615, "bcc": 3.165, "diamond": 5.431, "hcp": 3.209, "sc": 3.35}[name]
    atoms = bulk(lattice.species[0], build, a=side, **({"c": 5.211} if name == "hcp" else {}))
    assert same_lattice(np.array(atoms.cell), lattice.vectors)
    step = (atoms.positions - atoms.positions[0] - lattice.motif + lattice.motif[0]) @ np.linalg.inv(lattice.vectors)
    assert np.allclose(step, np.rint(step), atol=TIGHT)


def test_a_stretched_crystal_splits_its_first_shell():
    """Guard: the shell counts tell touching spheres from a crystal that is 2 % off."""
    assert [len(s) for s in neighbour_shells(hcp("Mg", 3.2, 1.02 * 3.2 * (8 / 3) ** 0.5), Site(0, 0, 0, 0), 2)] == [6, 6]


@given(
    matrices.map(lambda m: (np.tril(m, -1) + np.eye(3)) @ (np.triu(m, 1) + np.eye(3))), st.sampled_from(["fcc", "hcp", "diamond"])
)
def test_spacing_and_volume_do_not_depend_on_the_choice_of_basis(change, name):
    lattice = LATTICES[name]
    other = Lattice("other", change @ lattice.vectors, lattice.motif, lattice.species, np.eye(3, dtype=int))
    assert other.nearest_neighbour == pytest.approx(lattice.nearest_neighbour, rel=TIGHT)
    assert other.volume == pytest.approx(lattice.volume, rel=TIGHT)


def test_compounds_are_typed_in_three_ways():
    for other in (zincblende("GaAs", 5.653), zincblende(("Ga", "As"), 5.653)):
        assert other.species == ("Ga", "As")
        assert np.array_equal(other.motif, LATTICES["zincblende"].motif)
    assert l12("Ni3Al", 3.57).species == LATTICES["l12"].species == ("Al", "Ni", "Ni", "Ni")
    assert (fcc("Cu", 3.6).name, zincblende("GaAs", 5.6).name, l12("Ni3Al", 3.57).name) == (
        "fcc Cu",
        "zincblende GaAs",
        "l12 Ni3Al",
    )


@pytest.mark.parametrize("formula", ["Ga", "GaAsIn", "gaas", "Ni3Al"])
def test_a_formula_that_is_no_pair_is_refused(formula):
    with pytest.raises(InputError, match="two species"):
        zincblende(formula, 5.6)


@pytest.mark.parametrize("a", [0.0, -3.6, float("nan"), float("inf")])
def test_a_lattice_constant_is_positive(a):
    for build in (lambda: fcc("Cu", a), lambda: hcp("Mg", 3.2, a), lambda: zincblende("GaAs", a), lambda: square("Cu", a)):
        with pytest.raises(InputError, match="positive number of Angstrom"):
            build()


def test_a_lattice_refuses_what_is_none():
    flat = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    for vectors, motif, species in (
        (flat, np.zeros((1, 3)), ("Cu",)),
        (np.eye(3), np.zeros((1, 3)), ("Cu", "Cu")),
        (np.eye(3), np.full((1, 3), np.nan), ("Cu",)),
    ):
        with pytest.raises(InputError):
            Lattice("wrong", vectors, motif, species, np.eye(3, dtype=int))


# ------------------------------------------------------------------------------------------------ symmetry


@ALL
def test_a_supercell_is_reduced_to_the_lattice_it_was_made_of(lattice):
    cell = supercell(lattice, 2)
    order = np.random.default_rng(0).permutation(len(cell))
    symbols = [cell.symbols[i] for i in order]
    found = lattice_from_primitive(cell.vectors, cell.positions[order], symbols, reduce=True, dimension=lattice.dimension)
    assert structure(found) == structure(lattice) != ""
    assert sorted(found.species) == sorted(lattice.species)
    assert same_lattice(found.vectors, lattice.vectors)  # neither rotated nor rescaled
    assert abs(np.linalg.det(found.conventional)) == pytest.approx(abs(np.linalg.det(lattice.conventional)))
    angle = np.linalg.norm(found.conventional @ found.vectors, axis=1)
    assert np.allclose(np.sort(angle), np.sort(np.linalg.norm(lattice.conventional @ lattice.vectors, axis=1)))
    kept = lattice_from_primitive(cell.vectors, cell.positions, cell.symbols, dimension=lattice.dimension)
    assert kept.sublattices == len(cell)


def test_a_structure_that_is_not_a_known_one_has_no_name():
    strained = fcc("Cu", 3.6).deformed(np.diag([1.0, 1.0, 1.05]))
    assert structure(strained) == ""
    with pytest.raises(InputError, match="give position"):
        interstitial("octahedral").apply(supercell(strained, 2))


def test_a_two_dimensional_crystal_is_flat():
    buckled = np.array([[0.0, 0, 0], [1.0, 0.6, 0.4]])
    with pytest.raises(InputError, match="plane"):
        lattice_from_primitive(np.diag([2.0, 3.0, 1.0]), buckled, ["C", "C"], dimension=2)


def test_a_general_lattice_refuses_atoms_on_top_of_each_other():
    with pytest.raises(InputError, match="apart"):
        lattice_from_primitive(np.eye(3) * 3, np.array([[0.0, 0, 0], [0.01, 0, 0]]), ["Cu", "Cu"])


POINT_GROUPS = [  # site symmetries of the International Tables, Vol. A
    ("fcc", (0, 0, 0), "Oh"),
    ("fcc", (0.25, 0.25, 0.25), "Td"),
    ("fcc", (0.5, 0.5, 0.5), "Oh"),
    ("bcc", (0.5, 0.5, 0), "D4h"),
    ("bcc", (0.5, 0.25, 0), "D2d"),
    ("diamond", (0, 0, 0), "Td"),
    ("diamond", (0.5, 0.5, 0.5), "Td"),
    ("diamond", (0.625, 0.625, 0.625), "D3d"),
    ("hcp", (0, 0, 0), "D3h"),
    ("hcp", (2 / 3, 1 / 3, 0.25), "D3d"),
    ("fcc", (0.11, 0.23, 0.37), "C1"),
    ("triangular", (1 / 3, 1 / 3, 0), "D3h"),
]


@pytest.mark.parametrize(("name", "place", "group"), POINT_GROUPS)
def test_site_symmetry(name, place, group):
    lattice = LATTICES[name]
    assert site_symmetry(lattice, np.array(place) @ lattice.conventional @ lattice.vectors) == group
