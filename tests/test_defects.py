"""Defects: every recipe keeps the map to the perfect crystal, sits where it is asked to, and is refused in words."""

import pickle

import numpy as np
import pytest
from known_lattices import LATTICES, TIGHT

from defectgen._input import InputError
from defectgen.crystal import (
    DEFECTS,
    VOIDS,
    antisite,
    antisite_pair,
    ball,
    defect_from_name,
    defect_size,
    divacancy,
    dumbbell,
    hcp,
    interstitial,
    lattice_from_primitive,
    microcrack,
    neighbours,
    sites_within,
    structure,
    substitution,
    supercell,
    vacancy,
    void_position,
)

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
    crystal = supercell(lattice, 6 if lattice.dimension == 2 else 4 if structure(lattice) == "hcp" else 3)
    cell = defect.apply(crystal)
    assert len(cell) == len(crystal) + change
    assert cell.defect == defect.label(lattice) == (label or cell.defect)
    # atoms that are on a site and untouched are where they were; the host is the perfect crystal again
    assert np.array_equal(cell.perfect.positions, crystal.positions) and cell.perfect.symbols == crystal.symbols
    on = cell.sites >= 0
    assert len(np.unique(cell.sites[on])) == on.sum()
    shifted = np.linalg.norm(cell.positions[on] - crystal.positions[cell.sites[on]], axis=1) > 1e-9
    assert shifted.sum() == (1 if text.startswith("dumbbell") else 0)
    assert (cell.sites < 0).sum() == (1 if text.startswith(("dumbbell", "interstitial")) else 0)
    edited = (len(crystal) - on.sum()) + sum(cell.symbols[i] != crystal.symbols[cell.sites[i]] for i in np.flatnonzero(on))
    assert edited + shifted.sum() + (~on).sum() == defect_size(cell) > 0 == defect_size(crystal)
    # in the middle of the box, and the centre is where the changes are
    middle = np.linalg.norm(cell.minimum_image(cell.centre - crystal.centre))
    assert middle <= np.linalg.norm(lattice.vectors[: lattice.dimension], axis=1).max()
    gone = np.setdiff1d(np.arange(len(crystal)), cell.sites)
    points = [*crystal.positions[gone], *cell.positions[~on], *cell.positions[on][shifted]]
    points += [cell.positions[i] for i in np.flatnonzero(on) if cell.symbols[i] != crystal.symbols[cell.sites[i]]]
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
    crystal = supercell(LATTICES["fcc"], 4)
    cell = divacancy(shell).apply(crystal)
    one, two = crystal.positions[np.setdiff1d(np.arange(len(crystal)), cell.sites)]
    assert np.linalg.norm(cell.minimum_image(two - one)) == pytest.approx(distance * 3.615 / 2**0.5)


@pytest.mark.parametrize("name", ["fcc", "bcc", "hcp", "triangular"])
def test_a_microcrack_follows_the_close_packed_row(name):
    lattice = LATTICES[name]
    crystal = supercell(lattice, 6 if lattice.dimension == 2 else 4)
    cell = microcrack(3).apply(crystal)
    gone = crystal.positions[np.setdiff1d(np.arange(len(crystal)), cell.sites)]
    away = np.sort(np.linalg.norm(cell.minimum_image(gone - cell.centre), axis=1))
    step = 3.209 if name == "hcp" else lattice.nearest_neighbour
    assert np.allclose(away, [0, step, step], atol=TIGHT)


def test_a_dumbbell_splits_one_site_symmetrically():
    crystal = supercell(LATTICES["bcc"], 3)
    cell = dumbbell("110", separation=2.0).apply(crystal)
    extra = int(np.flatnonzero(cell.sites < 0)[0])
    on = np.flatnonzero(cell.sites >= 0)
    kept = on[np.linalg.norm(cell.positions[on] - crystal.positions[cell.sites[on]], axis=1) > 1e-9]
    axis = cell.minimum_image(cell.positions[kept[0]] - cell.positions[extra])
    assert np.allclose(axis, np.array([1, 1, 0]) * 2**0.5, atol=TIGHT)
    assert np.allclose((cell.positions[kept[0]] + cell.positions[extra]) / 2, crystal.centre, atol=TIGHT)


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
    crystal = supercell(LATTICES["fcc"], 3)
    one = vacancy().apply(crystal)
    with pytest.raises(InputError, match="vacant already"):
        vacancy().apply(one)
    other = crystal.centre + np.array([3.615, 0, 0])
    two = vacancy().apply(one, at=other)
    direct = divacancy(2).apply(crystal, at=(crystal.centre + other) / 2)
    assert two.defect == "v_Cu+v_Cu"
    assert len(two) == len(direct) == len(crystal) - 2
    assert np.array_equal(np.sort(two.sites), np.sort(direct.sites))
    assert np.allclose(two.minimum_image(two.centre - direct.centre), 0, atol=TIGHT)
    three = substitution(0, "Ni").apply(interstitial("octahedral", "H").apply(two), at=crystal.positions[7])
    assert defect_size(three) == 4 and three.symbols.count("Ni") == three.symbols.count("H") == 1
    assert np.array_equal(three.perfect.positions, crystal.positions)


def test_a_defect_is_placed_where_asked():
    crystal = supercell(LATTICES["zincblende"], 3)
    target = crystal.positions[crystal.perfect_sites.sublattices == 1][11]
    cell = vacancy("As").apply(crystal, at=target + 0.3)
    assert np.allclose(cell.centre, target, atol=TIGHT)
    assert not np.any(np.linalg.norm(cell.positions - target, axis=1) < 0.1)


@pytest.mark.parametrize("text", ["microcrack(3)", "dumbbell(100)", "divacancy(2)"])
def test_the_box_vectors_are_a_matter_of_taste(text):
    """The same torus with its vectors exchanged (left-handed), and skewed: the same defect at the same place."""
    upright = defect_from_name(text).apply(supercell(LATTICES["diamond"], 3))
    for matrix in ([[0, 3, 0], [3, 0, 0], [0, 0, 3]], [[3, 0, 0], [6, 3, 0], [-3, 0, 3]]):
        crystal = supercell(LATTICES["diamond"], np.array(matrix))
        for at in (upright.centre, upright.centre + np.array([0.0, 0.0, 9 * 5.431])):
            cell = defect_from_name(text).apply(crystal, at=at)
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


# ------------------------------------------------------------------------------------------------ snapshots


def test_defects_are_made_in_cells(unchecked):
    with pytest.raises(InputError, match=r"a defect is made in a cell.*got Lattice"):
        vacancy().apply(LATTICES["fcc"])
