"""The crystal room: counts, distances and maps that crystallography fixes, checked against brute force, ASE and textbooks."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectgen._input import InputError
from defectgen.crystal import (
    DEFECTS,
    ELEMENTS,
    VOIDS,
    Cell,
    Lattice,
    Site,
    Snapshot,
    antisite,
    antisite_pair,
    ball,
    bcc,
    cscl,
    defect_from_name,
    defect_size,
    diamond,
    divacancy,
    dumbbell,
    element,
    fcc,
    hcp,
    interstitial,
    l12,
    lattice_from_primitive,
    match_defect,
    microcrack,
    neighbour_shells,
    neighbours,
    primitive_cell,
    rocksalt,
    sc,
    site_symmetry,
    square,
    structure,
    substitution,
    supercell,
    triangular,
    vacancy,
    void_position,
    widths,
    zincblende,
)
from defectgen.crystal.reduction import minimum_image, reduced_basis
from defectgen.crystal.shells import sites_within

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


# ------------------------------------------------------------------------------------------------ cells


@given(matrices.filter(lambda m: abs(round(np.linalg.det(m))) > 0), st.sampled_from(["fcc", "diamond", "hcp"]))
def test_a_supercell_holds_every_site_once(matrix, name):
    """Any matrix, of either handedness: |det| conventional cells, no two sites equivalent, all in the box."""
    lattice = LATTICES[name]
    cell = supercell(lattice, matrix)
    per_cube = abs(round(np.linalg.det(lattice.conventional))) * lattice.sublattices
    assert len(cell) == abs(round(np.linalg.det(matrix))) * per_cube
    bare = (cell.host.translations @ lattice.vectors) @ np.linalg.inv(cell.vectors)
    assert bare.min() > -1e-9 and bare.max() < 1 - 1e-9
    distinct = np.round(bare * 1e6).astype(int)
    assert len(np.unique(np.column_stack([distinct, cell.host.sublattices]), axis=0)) == len(cell)
    assert np.array_equal(cell.positions, cell.site_positions)
    assert np.allclose(cell.vectors, matrix @ lattice.conventional @ lattice.vectors)


@pytest.mark.parametrize(
    ("name", "size", "atoms"),
    [
        ("fcc", 3, 108),
        ("bcc", (1, 2, 3), 12),
        ("diamond", 2, 64),
        ("hcp", (2, 2, 1), 8),
        ("triangular", 5, 25),
        ("square", (3, 4), 12),
    ],
)
def test_cell_counts(name, size, atoms):
    cell = supercell(LATTICES[name], size)
    assert len(cell) == atoms
    assert cell.periodic == (True, True, LATTICES[name].dimension == 3)
    assert np.abs(cell.positions[:, 2]).max() == 0 or LATTICES[name].dimension == 3


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fcc", 0),
        ("fcc", (2, 2, -1)),
        ("fcc", (2, 2)),
        ("fcc", np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])),
        ("square", np.array([[2, 0, 1], [0, 2, 0], [0, 0, 1]])),
        ("square", np.diag([2, 2, 2])),
    ],
)
def test_a_supercell_that_is_none_is_refused(name, size):
    with pytest.raises(InputError):
        supercell(LATTICES[name], size)


def test_cells_widths_and_radius():
    cube = supercell(LATTICES["fcc"], 4)
    assert np.allclose(widths(cube.vectors), 4 * 3.615)
    assert cube.radius == pytest.approx(4 * 3.615 / 2 / (3.615 / 2**0.5))
    assert supercell(LATTICES["triangular"], 8).radius == pytest.approx(4.0)  # half the distance of images, not of faces
    slanted = supercell(LATTICES["fcc"], np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0]]))
    assert slanted.radius == pytest.approx(2.0)
    assert len(primitive_cell(LATTICES["diamond"])) == 2


@pytest.mark.parametrize("name", ["fcc", "hcp", "triangular"])
def test_a_ball_holds_all_sites_within_its_radius(name):
    lattice = LATTICES[name]
    sphere = ball(lattice, 7.0, clamp=4.0)
    expected = sites_within(lattice, lattice.motif[0], 11.0)
    assert len(sphere) == len(expected)
    assert sphere.free.sum() == len([d for d, _ in expected if d <= 7.0 + 1e-9])
    assert sphere.periodic == (False, False, False)
    assert 6.0 < sphere.radius * lattice.nearest_neighbour <= 7.0 + 1e-6
    with pytest.raises(InputError):
        ball(lattice, 0.5)


@given(matrices.filter(lambda m: abs(np.linalg.det(m)) > 0.5), st.integers(0, 10**6), st.sampled_from([3, 2, 1, 0]))
def test_minimum_image_against_brute_force(matrix, seed, axes):
    """However skewed the box, no copy among 15^axes is shorter, and the result is a copy."""
    rng = np.random.default_rng(seed)
    vectors = matrix + 0.1 * rng.normal(size=(3, 3))
    if abs(np.linalg.det(vectors)) < 0.1:
        return
    periodic = (axes > 0, axes > 1, axes > 2)
    x = rng.uniform(-2, 2, size=(5, 3))
    found = minimum_image(x, vectors, periodic)
    steps = [np.arange(-7, 8) if p else np.array([0]) for p in periodic]
    images = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3) @ vectors
    shortest = np.linalg.norm(found[:, None] + images, axis=-1).min(1)
    assert np.allclose(np.linalg.norm(found, axis=1), shortest, atol=1e-10)
    copy = (found - x) @ np.linalg.inv(vectors)
    assert np.allclose(copy, np.rint(copy), atol=1e-8)
    assert np.allclose(copy[:, axes:], 0, atol=1e-8)


def test_adjacent_images_of_a_skewed_box_are_not_enough():
    """Guard: without reducing the basis, trying the 27 adjacent images misses the shortest copy of this box."""
    vectors = np.array([[1.0, 0, 0], [6.4, 1, 0], [0, 0, 1]])
    x = np.array([[0.45, 0.55, 0.0]])
    fractional = x @ np.linalg.inv(vectors)
    base = (fractional - np.round(fractional)) @ vectors
    naive = min(np.linalg.norm(base + np.array([i, j, 0]) @ vectors) for i in (-1, 0, 1) for j in (-1, 0, 1))
    assert np.linalg.norm(minimum_image(x, vectors, (True, True, True))) < naive - 0.1
    reduced = reduced_basis(vectors)
    assert same_lattice(reduced, vectors)
    assert np.linalg.norm(reduced, axis=1).max() < 1.1


# ------------------------------------------------------------------------------------------------ neighbours


def edges(near) -> set[tuple[int, ...]]:
    """All bonds as (atom, neighbour, image)."""
    i, k = np.nonzero(near.mask)
    return {(int(a), int(b), *map(int, s)) for a, b, s in zip(i, near.index[i, k], near.shift[i, k], strict=True)}


def brute_force(positions, vectors, periodic, cutoff, reach=6) -> set[tuple[int, ...]]:
    """Every pair in every image."""
    steps = [np.arange(-reach, reach + 1) if p else np.array([0]) for p in periodic]
    images = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    away = positions[None, :, None] + (images @ vectors)[None, None] - positions[:, None, None]
    distance = np.linalg.norm(away, axis=-1)
    return {(int(i), int(j), *map(int, images[k])) for i, j, k in np.argwhere((distance < cutoff) & (distance > 1e-9))}


@pytest.mark.parametrize(
    "periodic", [(True, True, True), (True, True, False), (False, True, False), (False, False, False)], ids=str
)
@pytest.mark.parametrize("handed", [1, -1], ids=["right-handed", "left-handed"])
def test_neighbours_of_narrow_cells_against_brute_force(periodic, handed):
    """Cells much narrower than the cutoff, skewed, atoms outside the box: all images, and each bond from both ends."""
    rng = np.random.default_rng(3)
    vectors = np.array([[2.3, 0.2, 0.1], [0.9, 2.6, -0.3], [0.4, -0.5, 3.1]])
    vectors[0] *= handed
    positions = np.array([[0.1, 0.2, 0.3], [1.2, 1.4, 1.5], [4.6, -1.1, 0.4]]) + 0.05 * rng.normal(size=(3, 3))
    near = neighbours(positions, vectors, periodic, cutoff=5.0)
    found = edges(near)
    assert found == brute_force(positions, vectors, periodic, 5.0)
    if all(periodic):
        assert len(found) > 60


def test_neighbours_agree_with_ase():
    neighborlist = pytest.importorskip("ase.neighborlist")
    cell = divacancy().apply(supercell(LATTICES["fcc"], 2))
    positions = cell.positions + 0.1 * np.random.default_rng(0).normal(size=cell.positions.shape)
    i, j, s = neighborlist.primitive_neighbor_list("ijS", cell.periodic, cell.vectors, positions, 5.2)
    assert edges(neighbours(positions, cell.vectors, cell.periodic, 5.2)) == {
        (*e[:2], *e[2]) for e in zip(i, j, map(tuple, s), strict=True)
    }


@given(st.integers(0, 10**6), st.sampled_from(["fcc", "hcp", "triangular", "zincblende"]), st.floats(2.0, 6.0))
def test_the_reverse_map_is_an_antisymmetric_involution(seed, name, cutoff):
    cell = supercell(LATTICES[name], 1)
    positions = cell.positions + 0.05 * np.random.default_rng(seed).normal(size=cell.positions.shape)
    near = neighbours(positions, cell.vectors, cell.periodic, cutoff)
    atoms, slots = near.index.shape
    flat = near.reverse.ravel()
    assert np.array_equal(flat[flat], np.arange(atoms * slots))
    live = near.mask.ravel()
    assert np.array_equal(near.shift.reshape(-1, 3)[flat][live], -near.shift.reshape(-1, 3)[live])
    assert np.array_equal(near.index.ravel()[flat][live], np.repeat(np.arange(atoms), slots)[live])
    assert np.array_equal(flat[~live], np.arange(atoms * slots)[~live])


def test_a_bond_exactly_at_the_cutoff_is_seen_from_both_ends_or_neither():
    lattice = LATTICES["fcc"]
    cell = supercell(lattice, 2)
    near = neighbours(cell.positions, cell.vectors, cell.periodic, lattice.nearest_neighbour * 2**0.5)
    flat = near.reverse.ravel()
    assert np.array_equal(flat[flat], np.arange(flat.size))


def test_neighbours_refuse_overlap_and_nonsense():
    cell = supercell(LATTICES["fcc"], 2)
    doubled = cell.positions.copy()
    doubled[5] = doubled[9] + 0.01
    with pytest.raises(InputError, match="atoms 5 and 9 are"):
        neighbours(doubled, cell.vectors, cell.periodic, 3.0)
    doubled[5] = np.nan
    with pytest.raises(InputError, match="atom 5 is at"):
        neighbours(doubled, cell.vectors, cell.periodic, 3.0)


# ------------------------------------------------------------------------------------------------ defects

EVERY = [  # recipe, crystals, change of the number of atoms, label in the first crystal
    ("vacancy", "fcc bcc diamond hcp zincblende l12 triangular square", -1, "v_Cu"),
    ("vacancy(As)", "zincblende", -1, "v_As"),
    ("vacancy(1)", "zincblende", -1, "v_As"),
    ("divacancy", "fcc bcc diamond hcp triangular", -2, "v2_Cu_1"),
    ("divacancy(2)", "fcc bcc zincblende triangular", -2, "v2_Cu_2"),
    ("divacancy", "zincblende rocksalt", -2, "v_Ga_v_As_1"),
    ("divacancy(1,As)", "zincblende", -2, "v_As_v_Ga_1"),
    ("microcrack(3)", "fcc bcc hcp diamond triangular", -3, "v3_Cu_row"),
    ("microcrack(3,100)", "fcc triangular", -3, "v3_Cu_row"),
    ("substitution(Ni)", "fcc bcc triangular", 0, "Ni_Cu"),
    ("substitution(As,P)", "zincblende", 0, "P_As"),
    ("antisite", "zincblende rocksalt l12", 0, "As_Ga"),
    ("antisite(As)", "zincblende", 0, "Ga_As"),
    ("antisite(As,Ga)", "zincblende", 0, "Ga_As"),
    ("antisite_pair", "zincblende cscl l12", 0, "As_Ga_Ga_As"),
    ("interstitial(octahedral)", "fcc bcc hcp", 1, "Cu_i_Oh"),
    ("interstitial(tetrahedral)", "diamond fcc bcc hcp", 1, "Si_i_Td"),
    ("interstitial(hexagonal)", "diamond zincblende", 1, "Si_i_D3d"),
    ("interstitial(tetrahedral,H)", "bcc zincblende", 1, "H_i_D2d"),
    ("interstitial(0.5,0.5,0.25,H)", "sc", 1, "H_i_C4v"),
    ("interstitial(hollow)", "triangular square", 1, "Cu_i_D3h"),
    ("dumbbell(100)", "fcc bcc sc", 1, "Cu_i_split_100"),
    ("dumbbell(1-10)", "fcc bcc diamond", 1, "Cu_i_split_1-10"),
    ("dumbbell(111,Fe,separation=2)", "bcc", 1, "Fe_i_split_111"),
    ("dumbbell(110,site=As)", "zincblende", 1, "As_i_split_110"),
]
CASES = [
    pytest.param(text, LATTICES[crystal], change, label if k == 0 else None, id=f"{text}-{crystal}")
    for text, crystals, change, label in EVERY
    for k, crystal in enumerate(crystals.split())
]


@pytest.mark.parametrize(("text", "lattice", "change", "label"), CASES)
def test_every_defect_keeps_the_map_to_the_perfect_crystal(text, lattice, change, label):
    defect = defect_from_name(text)
    assert defect.name == text or defect_from_name(defect.name).name == defect.name
    host = supercell(lattice, 6 if lattice.dimension == 2 else 4 if structure(lattice) == "hcp" else 3)
    cell = defect.apply(host)
    assert len(cell) == len(host) + change
    assert cell.defect == defect.label(lattice) == (label or cell.defect)
    # atoms that are on a site and untouched are where they were; the host is the perfect crystal again
    assert np.array_equal(cell.perfect.positions, host.positions) and cell.perfect.symbols == host.symbols
    on = cell.sites >= 0
    assert len(np.unique(cell.sites[on])) == on.sum()
    shifted = np.linalg.norm(cell.positions[on] - host.positions[cell.sites[on]], axis=1) > 1e-9
    assert shifted.sum() == (1 if text.startswith("dumbbell") else 0)
    assert (cell.sites < 0).sum() == (1 if text.startswith(("dumbbell", "interstitial")) else 0)
    edited = (len(host) - on.sum()) + sum(cell.symbols[i] != host.symbols[cell.sites[i]] for i in np.flatnonzero(on))
    assert edited + shifted.sum() + (~on).sum() == defect_size(cell) > 0 == defect_size(host)
    # in the middle of the box, and the centre is where the changes are
    middle = np.linalg.norm(cell.minimum_image(cell.centre - host.centre))
    assert middle <= np.linalg.norm(lattice.vectors[: lattice.dimension], axis=1).max()
    gone = np.setdiff1d(np.arange(len(host)), cell.sites)
    points = [*host.positions[gone], *cell.positions[~on], *cell.positions[on][shifted]]
    points += [cell.positions[i] for i in np.flatnonzero(on) if cell.symbols[i] != host.symbols[cell.sites[i]]]
    about = cell.minimum_image(np.array(points) - cell.centre)
    assert np.allclose(about.mean(0), 0, atol=1e-9)
    assert cell.free.all() and len(cell.free) == len(cell.sites) == len(cell.symbols) == len(cell)
    # nothing overlaps
    neighbours(cell.positions, cell.vectors, cell.periodic, lattice.nearest_neighbour)


@pytest.mark.parametrize("text", [case.values[0] for case in CASES[::4]])
def test_defects_travel_between_processes(text):
    lattice = next(case.values[1] for case in CASES if case.values[0] == text)
    copy = pickle.loads(pickle.dumps(defect_from_name(text)))
    cell = supercell(lattice, 6 if lattice.dimension == 2 else 3)
    assert np.array_equal(copy.apply(cell).positions, defect_from_name(text).apply(cell).positions)


@pytest.mark.parametrize(("shell", "distance"), [(1, 1.0), (2, 2**0.5), (3, 3**0.5), (4, 2.0)])
def test_a_divacancy_spans_its_shell(shell, distance):
    host = supercell(LATTICES["fcc"], 4)
    cell = divacancy(shell).apply(host)
    one, two = host.positions[np.setdiff1d(np.arange(len(host)), cell.sites)]
    assert np.linalg.norm(cell.minimum_image(two - one)) == pytest.approx(distance * 3.615 / 2**0.5)


@pytest.mark.parametrize("name", ["fcc", "bcc", "hcp", "triangular"])
def test_a_microcrack_follows_the_close_packed_row(name):
    lattice = LATTICES[name]
    host = supercell(lattice, 6 if lattice.dimension == 2 else 4)
    cell = microcrack(3).apply(host)
    gone = host.positions[np.setdiff1d(np.arange(len(host)), cell.sites)]
    away = np.sort(np.linalg.norm(cell.minimum_image(gone - cell.centre), axis=1))
    step = 3.209 if name == "hcp" else lattice.nearest_neighbour
    assert np.allclose(away, [0, step, step], atol=TIGHT)


def test_a_dumbbell_splits_one_site_symmetrically():
    host = supercell(LATTICES["bcc"], 3)
    cell = dumbbell("110", separation=2.0).apply(host)
    extra = int(np.flatnonzero(cell.sites < 0)[0])
    on = np.flatnonzero(cell.sites >= 0)
    kept = on[np.linalg.norm(cell.positions[on] - host.positions[cell.sites[on]], axis=1) > 1e-9]
    axis = cell.minimum_image(cell.positions[kept[0]] - cell.positions[extra])
    assert np.allclose(axis, np.array([1, 1, 0]) * 2**0.5, atol=TIGHT)
    assert np.allclose((cell.positions[kept[0]] + cell.positions[extra]) / 2, host.centre, atol=TIGHT)


@pytest.mark.parametrize("direction", ["110", "<110>", "[1 1 0]", "[1,1,0]", (1, 1, 0), (1, 1)])
def test_directions_are_typed_in_many_ways(direction):
    assert dumbbell(direction).name == "dumbbell(110)"


def test_negative_indices_are_read():
    assert dumbbell("-11-2").name == dumbbell((-1, 1, -2)).name == "dumbbell(-11-2)"


@pytest.mark.parametrize("direction", ["1", "1a0", "000", "", "11-", (1, 2, 3, 4)])
def test_a_direction_that_is_none_is_refused(direction):
    with pytest.raises(InputError, match="direction is three whole numbers"):
        dumbbell(direction)


VOID_GEOMETRY = [  # crystal, kind, atoms nearest to the void, distance in units of the cube side (spacing in the plane)
    ("fcc", "octahedral", 6, 1 / 2),
    ("fcc", "tetrahedral", 4, 3**0.5 / 4),
    ("bcc", "octahedral", 2, 1 / 2),
    ("bcc", "tetrahedral", 4, 5**0.5 / 4),
    ("sc", "cubic", 8, 3**0.5 / 2),
    ("diamond", "tetrahedral", 4, 3**0.5 / 4),
    ("diamond", "hexagonal", 6, 11**0.5 / 8),
    ("zincblende", "tetrahedral", 4, 3**0.5 / 4),
    ("zincblende", "tetrahedral-first", 4, 3**0.5 / 4),
    ("zincblende", "hexagonal", 6, 11**0.5 / 8),
    ("rocksalt", "tetrahedral", 8, 3**0.5 / 4),
    ("cscl", "tetrahedral", 4, 5**0.5 / 4),
    ("l12", "octahedral", 6, 1 / 2),
    ("l12", "tetrahedral", 4, 3**0.5 / 4),
    ("triangular", "hollow", 3, 1 / 3**0.5),
    ("square", "hollow", 4, 1 / 2**0.5),
]


@pytest.mark.parametrize(("name", "kind", "count", "distance"), VOID_GEOMETRY)
def test_voids_are_where_textbooks_put_them(name, kind, count, distance):
    lattice = LATTICES[name]
    side = np.linalg.norm((lattice.conventional @ lattice.vectors)[0])
    near = sites_within(lattice, void_position(lattice, kind), 1.7 * side)
    assert np.allclose([d for d, _ in near[:count]], distance * side, rtol=TIGHT)
    assert near[count][0] > 1.05 * distance * side


@pytest.mark.parametrize("ratio", [1.57, 1.633, 1.86])
def test_hcp_voids_are_equidistant_at_any_axial_ratio(ratio):
    lattice = hcp("Mg", 3.2, 3.2 * ratio)
    for kind, count in (("tetrahedral", 4), ("octahedral", 6)):
        near = [d for d, _ in sites_within(lattice, void_position(lattice, kind), 6.0)]
        assert np.allclose(near[:count], near[0], rtol=TIGHT) and near[count] > near[0] + 0.1


def test_the_species_around_the_two_voids_of_zincblende():
    lattice = LATTICES["zincblende"]
    for kind, symbol in (("tetrahedral", "As"), ("tetrahedral-first", "Ga")):
        near = sites_within(lattice, void_position(lattice, kind), 0.45 * 5.653)
        assert {lattice.species[s.sublattice] for _, s in near} == {symbol}
        assert interstitial(kind, "H").label(lattice) == f"H_i_Td_{symbol}"


@pytest.mark.parametrize("name", ["diamond", "hcp", "zincblende"])
def test_voids_are_found_in_the_mirror_image_and_at_any_origin(name):
    lattice = LATTICES[name]
    mirrored = lattice_from_primitive(-lattice.vectors, 1.234 - lattice.motif, lattice.species)
    for kind in VOIDS[name]:
        radius = [[d for d, _ in sites_within(x, void_position(x, kind), 6.0)][:12] for x in (lattice, mirrored)]
        assert np.allclose(*radius, atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), [("sc", "tetrahedral"), ("fcc", "hexagonal"), ("square", "octahedral")])
def test_a_void_that_the_crystal_lacks_is_refused_with_those_it_has(name, kind):
    with pytest.raises(InputError, match=f"it has {', '.join(VOIDS[name])}"):
        interstitial(kind).apply(supercell(LATTICES[name], 3))


@pytest.mark.parametrize(
    ("defect", "name"),
    [
        (vacancy("Ni"), "fcc"),
        (vacancy(1), "fcc"),
        (vacancy(-1), "fcc"),
        (antisite(), "fcc"),
        (antisite(0, "P"), "zincblende"),
        (antisite_pair(), "bcc"),
        (substitution(0, "Cu"), "fcc"),
        (interstitial(position=(0, 0, 0.1)), "triangular"),
        (interstitial(position=(0, 0, 0)), "fcc"),
        (dumbbell("001"), "triangular"),
        (dumbbell("100", separation=0.5), "fcc"),
        (microcrack(3, "001"), "square"),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_a_defect_that_the_crystal_cannot_have_is_refused(defect, name):
    with pytest.raises(InputError):
        defect.apply(supercell(LATTICES[name], 6 if name in ("triangular", "square") else 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: divacancy(0),
        lambda: microcrack(1),
        lambda: substitution(0, "Xx"),
        lambda: interstitial(),
        lambda: interstitial(position=(0.5,)),
        lambda: dumbbell("100", separation=-1.0),
        lambda: vacancy().apply(supercell(LATTICES["fcc"], 2), at=(0.0, np.nan, 0.0)),
    ],
    ids=["shell", "row", "element", "nowhere", "coordinates", "separation", "at"],
)
def test_nonsense_is_refused_when_typed(make):
    with pytest.raises(InputError):
        make()


TOO_SMALL = [
    ("sc", "vacancy", 1, 2),
    ("fcc", "divacancy", 1, 2),
    ("triangular", "microcrack(4)", 4, 6),
    ("fcc", "microcrack(9)", 4, 6),
]


@pytest.mark.parametrize(("name", "text", "small", "enough"), TOO_SMALL)
def test_a_defect_that_meets_its_own_image_is_refused(name, text, small, enough):
    lattice = LATTICES[name]
    with pytest.raises(InputError, match="use a larger cell"):
        defect_from_name(text).apply(supercell(lattice, small))
    assert defect_from_name(text).apply(supercell(lattice, enough)).defect


def test_defects_add_up():
    host = supercell(LATTICES["fcc"], 3)
    one = vacancy().apply(host)
    with pytest.raises(InputError, match="vacant already"):
        vacancy().apply(one)
    other = host.centre + np.array([3.615, 0, 0])
    two = vacancy().apply(one, at=other)
    direct = divacancy(2).apply(host, at=(host.centre + other) / 2)
    assert two.defect == "v_Cu+v_Cu"
    assert len(two) == len(direct) == len(host) - 2
    assert np.array_equal(np.sort(two.sites), np.sort(direct.sites))
    assert np.allclose(two.minimum_image(two.centre - direct.centre), 0, atol=TIGHT)
    three = substitution(0, "Ni").apply(interstitial("octahedral", "H").apply(two), at=host.positions[7])
    assert defect_size(three) == 4 and three.symbols.count("Ni") == three.symbols.count("H") == 1
    assert np.array_equal(three.perfect.positions, host.positions)


def test_a_defect_is_placed_where_asked():
    host = supercell(LATTICES["zincblende"], 3)
    target = host.positions[host.host.sublattices == 1][11]
    cell = vacancy("As").apply(host, at=target + 0.3)
    assert np.allclose(cell.centre, target, atol=TIGHT)
    assert not np.any(np.linalg.norm(cell.positions - target, axis=1) < 0.1)


@pytest.mark.parametrize("text", ["microcrack(3)", "dumbbell(100)", "divacancy(2)"])
def test_the_box_vectors_are_a_matter_of_taste(text):
    """The same torus with its vectors exchanged (left-handed), and skewed: the same defect at the same place."""
    upright = defect_from_name(text).apply(supercell(LATTICES["diamond"], 3))
    for matrix in ([[0, 3, 0], [3, 0, 0], [0, 0, 3]], [[3, 0, 0], [6, 3, 0], [-3, 0, 3]]):
        host = supercell(LATTICES["diamond"], np.array(matrix))
        for at in (upright.centre, upright.centre + np.array([0.0, 0.0, 9 * 5.431])):
            cell = defect_from_name(text).apply(host, at=at)
            assert np.allclose(upright.minimum_image(cell.centre - upright.centre), 0, atol=TIGHT)
            moved = upright.minimum_image(cell.positions[:, None] - upright.positions[None])
            assert np.linalg.norm(moved, axis=-1).min(1).max() < TIGHT and len(cell) == len(upright)


def test_defects_of_a_ball_are_free():
    lattice = LATTICES["fcc"]
    sphere = ball(lattice, 8.0, clamp=5.0)
    for text, change in (("divacancy", -2), ("dumbbell(100)", 1), ("interstitial(octahedral)", 1)):
        cell = defect_from_name(text).apply(sphere)
        assert len(cell) == len(sphere) + change
        assert (~cell.free).sum() == (~sphere.free).sum() and cell.free[cell.sites < 0].all()
        assert np.array_equal(cell.perfect.free, sphere.free)
    for text in ("vacancy", "interstitial(octahedral)"):
        with pytest.raises(InputError, match="clamped"):
            defect_from_name(text).apply(sphere, at=(11.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"beyond the ball|clamped"):
        microcrack(12).apply(sphere)


@pytest.mark.parametrize(
    "text",
    [
        "hole",
        "vacancy(",
        "divacancy(x)",
        "microcrack",
        "dumbbell",
        "dumbbell(110,Ni,3)",
        "substitution",
        "interstitial(octahedral,H,2)",
    ],
)
def test_an_unknown_defect_is_refused_with_the_known_forms(text):
    with pytest.raises(InputError, match=r"vacancy|divacancy|microcrack|dumbbell|substitution|interstitial"):
        defect_from_name(text)


def test_every_form_in_the_list_can_be_read():
    for line in DEFECTS.values():
        for form in line.split(": ", 1)[1].replace(" puts Ni on a Cu site", "").split(", "):
            assert defect_from_name(form).name


# ------------------------------------------------------------------------------------------------ defects from elsewhere

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


# ------------------------------------------------------------------------------------------------ snapshots


def test_a_snapshot_takes_what_fits_and_refuses_the_rest():
    cell = vacancy().apply(supercell(LATTICES["fcc"], 2))
    forces = np.zeros((len(cell), 3))
    good = {"energy": -1.0, "forces": forces, "virial": np.zeros((3, 3))}
    assert Snapshot(cell, cell.positions, cell.vectors, "rattled", good, "test").labels == good
    assert Snapshot(cell, cell.positions, cell.vectors).labels is None
    spoiled = forces.copy()
    spoiled[3, 1] = np.nan
    for word, labels in [
        ("forces", {"forces": spoiled}),
        ("energy", {"energy": float("nan")}),
        ("virial", {"virial": np.zeros(6)}),
        ("stress", {"stress": np.zeros((3, 3))}),
        ("forces", {"energy": 0.0, "forces": forces[1:]}),
        ("energy", {"energy": None}),
    ]:
        with pytest.raises(InputError, match=word):
            Snapshot(cell, cell.positions, cell.vectors, "rattled", labels)
    with pytest.raises(InputError, match="positions"):
        Snapshot(cell, cell.positions[1:], cell.vectors)
    with pytest.raises(InputError, match="no volume"):
        Snapshot(cell, cell.positions, np.zeros((3, 3)))


@pytest.mark.parametrize(
    "make",
    [lambda x: supercell(x, 2), primitive_cell, lambda x: ball(x, 4.0)],
    ids=["supercell", "primitive cell", "ball"],
)
@pytest.mark.parametrize("wrong", ["Cu", supercell(LATTICES["fcc"], 1)], ids=["a symbol", "a cell"])
def test_cells_are_made_of_lattices(make, wrong, unchecked):
    with pytest.raises(InputError, match=rf"a lattice is wanted.*got {type(wrong).__name__}"):
        make(wrong)


def test_defects_are_made_in_cells(unchecked):
    with pytest.raises(InputError, match=r"a defect is made in a cell.*got Lattice"):
        vacancy().apply(LATTICES["fcc"])
