"""Structures from and to ASE: the primitive cell, planes, constraints, and defects in cells of any origin."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.constraints import FixAtoms
from toy_calculators import Binding, frame

from defectgen._input import InputError
from defectgen.bridge import Calculator, cell_from_ase, defect_from_atoms, from_ase, to_ase
from defectgen.crystal import ball, hcp, rocksalt, supercell, triangular
from defectgen.reference import LennardJones


def holds(lattice, atoms) -> bool:
    """Whether every atom sits on a site of the lattice with its own symbol, nothing moved or turned."""
    t = np.linalg.solve(lattice.vectors.T, (atoms.positions[:, None] - lattice.motif).reshape(-1, 3).T).T.reshape(
        len(atoms), -1, 3
    )
    on = np.abs(t - np.rint(t)).max(-1) < 1e-5
    return all(on[i].sum() == 1 and lattice.species[int(np.argmax(on[i]))] == s for i, s in enumerate(atoms.symbols))


@pytest.mark.parametrize(
    ("atoms", "sublattices"),
    [
        (bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 1, 1), 1),
        (bulk("Si", "diamond", a=5.43, cubic=True), 2),
        (bulk("NaCl", "rocksalt", a=5.6, cubic=True), 2),
        (bulk("Mg", "hcp", a=3.2, c=5.2) * (2, 2, 1), 2),
    ],
    ids=["fcc", "diamond", "rocksalt", "hcp"],
)
def test_from_ase_finds_the_primitive_cell_where_it_is(atoms, sublattices):
    """A rotated, shifted supercell: the primitive lattice has the right volume and passes through every atom."""
    atoms = atoms.copy()
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    atoms.positions += [0.3, -0.2, 0.5]
    lattice = from_ase(atoms)
    assert lattice.sublattices == sublattices and lattice.dimension == 3
    np.testing.assert_allclose(lattice.volume, atoms.get_volume() / len(atoms) * sublattices, rtol=1e-6)
    assert holds(lattice, atoms)
    atoms.positions[0] += 0.1
    assert not holds(lattice, atoms)


@pytest.mark.parametrize("suffix", ["cif", "vasp", "extxyz"])
def test_from_ase_reads_files(tmp_path, suffix):
    path = tmp_path / f"salt.{suffix}"
    bulk("NaCl", "rocksalt", a=5.6, cubic=True).write(path)
    lattice = from_ase(str(path))
    assert sorted(lattice.species) == ["Cl", "Na"]
    np.testing.assert_allclose(lattice.volume, 5.6**3 / 4, rtol=1e-6)


def test_from_ase_reads_planes():
    """Atoms open along z make a two-dimensional crystal in z = 0, whatever vacuum they came with."""
    honeycomb = Atoms(
        "C2", positions=[[0, 0, 7], [0, 1.42, 7]], cell=[[2.4595, 0, 0], [1.22975, 2.13, 0], [0, 0, 15]], pbc=[1, 1, 0]
    ) * (3, 2, 1)
    lattice = from_ase(honeycomb)
    assert lattice.dimension == 2 and lattice.sublattices == 2
    assert np.array_equal(lattice.vectors[2], [0, 0, 1]) and not lattice.motif[:, 2].any()
    np.testing.assert_allclose(lattice.volume, 2.4595 * 2.13, rtol=1e-6)


def test_to_ase_and_back_keeps_everything():
    """Order, positions, box, boundaries and clamped atoms survive the door in both directions, bit by bit."""
    for cell in (
        supercell(rocksalt("NaCl", 5.6), 1),
        ball(hcp("Mg", 3.2, 5.2), 4.0, clamp=3.0),
        supercell(triangular("Cu", 2.5), 3),
    ):
        back = cell_from_ase(to_ase(cell))
        assert back.symbols == cell.symbols and back.periodic == cell.periodic
        assert back.lattice.dimension == cell.lattice.dimension
        for name in ("positions", "vectors", "free"):
            assert np.array_equal(getattr(back, name), getattr(cell, name)), name
    moved = to_ase(cell, positions=cell.positions + 0.1, vectors=2 * cell.vectors, calculator=Calculator(Binding()))
    assert np.array_equal(moved.positions, cell.positions + 0.1) and np.array_equal(moved.cell, 2 * cell.vectors)
    assert moved.calc is not None


def test_cell_from_ase_boxes_molecules_and_honours_constraints():
    atoms = molecule("CH3CH2OH")
    atoms.set_constraint(FixAtoms([1, 3]))
    cell = cell_from_ase(atoms)
    assert cell.periodic == (False, False, False) and len(cell) == 9
    assert np.all(np.diag(cell.vectors) >= np.ptp(cell.positions, axis=0))
    assert np.flatnonzero(~cell.free).tolist() == [1, 3]
    wire = cell_from_ase(frame("wire"))
    assert wire.periodic == (False, False, True) and wire.vectors[2, 2] == 4.8
    assert cell_from_ase(frame("slab")).lattice.dimension == 3  # open along z, but no plane


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: from_ase(path / "none.cif"), "no file"),
        (lambda path: from_ase(str((path / "bad.cif").write_text("nonsense") and path / "bad.cif")), "bad.cif"),
        (lambda path: from_ase(molecule("H2O")), "pbc"),
        (lambda path: from_ase(Atoms("Cu", pbc=True)), "zero"),
        (lambda path: from_ase(Atoms(pbc=True, cell=np.eye(3))), "no atoms"),
        (lambda path: from_ase(Atoms("C", cell=[2, 2, 9], pbc=[1, 0, 1])), "pbc"),
    ],
    ids=["missing file", "no structure", "molecule", "no cell", "no atoms", "wrong open direction"],
)
def test_structures_refuse_in_one_sentence(make, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "door", [from_ase, cell_from_ase, lambda atoms: Calculator(LennardJones("Ar")).get_potential_energy(atoms)]
)
def test_vectors_in_a_plane_are_refused_at_every_door(door):
    flat = bulk("Ar", a=5.2)
    flat.set_cell(np.array(flat.cell)[[0, 1, 1]])
    with pytest.raises(InputError, match="must span a volume"):
        door(flat)


def test_defect_from_atoms_returns_to_any_cell():
    """A relaxed, shuffled, wrapped vacancy and antisite from ASE, applied to another supercell of the same crystal."""
    perfect = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    broken = perfect.copy()
    broken.symbols[9] = "K"
    del broken[8]
    broken = broken[np.random.default_rng(0).permutation(len(broken))]
    broken.rattle(0.1, seed=0)
    broken.wrap()
    defect = defect_from_atoms(perfect, broken)
    cell = defect.apply(supercell(from_ase(perfect), (3, 3, 2)))
    assert len(cell) == 3 * 3 * 2 * len(bulk("NaCl", "rocksalt", a=5.6, cubic=True)) - 1
    assert cell.symbols.count("K") == 1
    lost = {perfect.symbols[8], perfect.symbols[9]}
    gap = cell.perfect.site_positions[np.setdiff1d(np.arange(len(cell.perfect_sites.sublattices)), cell.sites)]
    potassium = cell.positions[cell.symbols.index("K")]
    np.testing.assert_allclose(
        np.linalg.norm(cell.minimum_image(gap - potassium)), perfect.get_distance(8, 9, mic=True), atol=1e-9
    )
    assert lost == {"Na", "Cl"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda atoms: None, "perfect"),
        (lambda atoms: atoms.set_cell(atoms.cell[:] * 1.02, scale_atoms=True), "one box"),
        (lambda atoms: atoms.set_pbc([True, True, False]), "one box"),
    ],
    ids=["no defect", "another box", "another boundary"],
)
def test_defect_from_atoms_refuses_in_one_sentence(change, words):
    perfect = bulk("Cu", "fcc", a=3.6, cubic=True) * 2
    defective = perfect.copy()
    change(defective)
    with pytest.raises(InputError, match=words) as caught:
        defect_from_atoms(perfect, defective)
    assert "\n" not in str(caught.value)


def test_one_box_may_have_other_vectors_and_another_origin_but_no_strain_or_rotation():
    perfect = bulk("Si", "diamond", a=5.43)
    perfect = make_supercell(perfect, [[2, 1, 0], [0, 3, 1], [1, 0, 2]])
    defective = perfect.copy()
    del defective[3]
    defective.rattle(0.05, seed=1)
    defective.positions += [1.7, -0.4, 0.9]
    defective.set_cell(np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]]) @ np.array(defective.cell))
    defective.wrap()
    assert defect_from_atoms(perfect, defective).name == "v_Si"
    turned, strained, larger, open_box, flat, unknown = (defective.copy() for _ in range(6))
    flat.set_cell(np.array(defective.cell)[[0, 0, 2]])
    unknown.set_cell(np.array(defective.cell) * [np.nan, 1, 1])
    turned.rotate(10, "z", rotate_cell=True)
    strained.set_cell(np.array(defective.cell) @ np.diag([1.0, 1.0, 1.004]), scale_atoms=True)
    open_box.pbc = [True, True, False]
    for other, message in (
        (turned, "rotated by 10.00 degrees"),
        (strained, r"strained by 0.40%"),
        (larger * (2, 1, 1), "in the supercell of the defective one"),
        (open_box, "and its boundary conditions"),
        (flat, "span a volume"),
        (unknown, "not finite"),
    ):
        with pytest.raises(InputError, match=message):
            defect_from_atoms(perfect, other)
