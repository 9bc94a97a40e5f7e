"""Cells and neighbours: supercells, balls, minimum images and bonds against brute force and ASE; snapshots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_lattices import LATTICES, matrices, same_lattice

from defectgen._input import InputError
from defectgen.crystal import (
    Snapshot,
    ball,
    divacancy,
    minimum_image,
    neighbours,
    primitive_cell,
    reduced_basis,
    sites_within,
    supercell,
    vacancy,
    widths,
)

# ------------------------------------------------------------------------------------------------ cells


@given(matrices.filter(lambda m: abs(round(np.linalg.det(m))) > 0), st.sampled_from(["fcc", "diamond", "hcp"]))
def test_a_supercell_holds_every_site_once(matrix, name):
    """Any matrix, of either handedness: |det| conventional cells, no two sites equivalent, all in the box."""
    lattice = LATTICES[name]
    cell = supercell(lattice, matrix)
    per_cube = abs(round(np.linalg.det(lattice.conventional))) * lattice.sublattices
    assert len(cell) == abs(round(np.linalg.det(matrix))) * per_cube
    bare = (cell.perfect_sites.translations @ lattice.vectors) @ np.linalg.inv(cell.vectors)
    assert bare.min() > -1e-9 and bare.max() < 1 - 1e-9
    distinct = np.round(bare * 1e6).astype(int)
    assert len(np.unique(np.column_stack([distinct, cell.perfect_sites.sublattices]), axis=0)) == len(cell)
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


@pytest.mark.parametrize("closed", [(True, True, True), (True, True, False), (False, True, False)])
def test_a_cutoff_that_reaches_all_the_world_is_refused_before_memory_is_taken(closed):
    """A Stillinger-Weber file with a = 1000 reaches 2 um: 1e9 neighbours in bulk, and too many in a layer or a wire as well."""
    long = 1e7 if sum(closed) == 1 else 2e3
    with pytest.raises(InputError, match="check the cutoff of the potential"):
        neighbours(np.zeros((1, 3)), 2.5 * np.eye(3), closed, long)
    assert neighbours(np.zeros((1, 3)), 2.5 * np.eye(3), closed, 12.0).mask.any()


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
    with pytest.raises(InputError, match=rf"a lattice is needed.*got {type(wrong).__name__}"):
        make(wrong)
