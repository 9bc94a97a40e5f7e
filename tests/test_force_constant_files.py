"""Force constants from phonopy's files, phonopy's and hiphive's objects: the crystal, the numbers, the rows, and back again."""

from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy, load
from phonopy.file_IO import write_FORCE_CONSTANTS, write_force_constants_to_hdf5, write_FORCE_SETS
from phonopy.structure.atoms import PhonopyAtoms
from toy_calculators import Binding

import defectgen as dg
from defectgen import InputError
from defectgen.bridge import phonon_frequencies
from defectgen.crystal import ELEMENTS
from defectgen.energy.perfect import force_constants

CRYSTALS = {"rock salt": dg.rocksalt("CuAg", 4.8), "hcp": dg.hcp("Cu", 2.7, 4.4)}
POINTS = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.25], [0.1, 0.2, 0.3]])


def peer_of(lattice: dg.Lattice, size=(2, 2, 2), step: float = 0.01) -> Phonopy:
    """phonopy with forces of a potential on its own displacements, of the conventional cell."""
    unit = dg.to_ase(dg.supercell(lattice, 1))
    masses = [ELEMENTS[s].mass for s in unit.symbols]  # phonopy's own table has other digits
    cell = PhonopyAtoms(symbols=list(unit.symbols), cell=np.asarray(unit.cell), positions=unit.positions, masses=masses)
    peer = Phonopy(cell, supercell_matrix=np.diag(size), primitive_matrix="auto")
    peer.generate_displacements(distance=step)
    potential, sets = dg.Calculator(Binding()), []
    for displaced in peer.supercells_with_displacements:
        atoms = Atoms(list(displaced.symbols), positions=displaced.positions, cell=displaced.cell, pbc=True, calculator=potential)
        sets.append(atoms.get_forces())
    peer.forces = sets
    peer.produce_force_constants()
    return peer


@pytest.fixture(scope="module", params=CRYSTALS, ids=str)
def peer(request):
    return peer_of(CRYSTALS[request.param])


def atoms_of(cell: PhonopyAtoms) -> Atoms:
    return Atoms(list(cell.symbols), positions=cell.positions, cell=cell.cell, pbc=True)


def write_all(peer: Phonopy, folder) -> dict:
    """Every file of phonopy, by name, with what has to be said of its crystal."""
    supercell = atoms_of(peer.supercell)
    rows = peer.primitive.p2s_map
    compact = peer.force_constants[rows]
    ase.io.write(folder / "SPOSCAR", supercell, format="vasp", direct=True)
    write_FORCE_CONSTANTS(peer.force_constants, folder / "FORCE_CONSTANTS")
    write_FORCE_CONSTANTS(compact, folder / "FORCE_CONSTANTS_COMPACT", p2s_map=rows)
    write_force_constants_to_hdf5(peer.force_constants, folder / "full.hdf5")
    write_force_constants_to_hdf5(compact, folder / "compact.hdf5", p2s_map=rows)
    write_FORCE_SETS(peer.dataset, folder / "FORCE_SETS")
    peer.save(folder / "with_fc.yaml", settings={"force_constants": True, "force_sets": False})
    peer.save(folder / "with_sets.yaml", settings={"force_constants": False, "force_sets": True})
    text = {"structure": supercell}
    return {
        **{name: text for name in ("FORCE_CONSTANTS", "FORCE_CONSTANTS_COMPACT", "full.hdf5", "compact.hdf5", "FORCE_SETS")},
        "with_fc.yaml": {},
        "with_sets.yaml": {},
    }


def test_every_file_gives_phonopys_force_constants_and_frequencies(peer, tmp_path):
    for name, options in write_all(peer, tmp_path).items():
        found = dg.read_force_constants(tmp_path / name, **options)
        order = [int(np.argmin(np.linalg.norm(peer.supercell.positions - x, axis=1))) for x in found.positions]
        theirs = peer.force_constants[np.ix_(order, order)]
        assert np.abs(theirs).max() > 0.1
        np.testing.assert_allclose(found.array(), theirs, atol=2e-6, err_msg=name)  # least squares with and without its symmetry
        assert len(found.positions) == len(peer.supercell) and found.lattice.sublattices == len(peer.primitive)
        reciprocal = POINTS @ np.linalg.inv(found.lattice.vectors).T  # Cartesian, 1/A
        peer.run_qpoints(reciprocal @ peer.primitive.cell.T)
        ours = phonon_frequencies(found.lattice, found.constants, POINTS)
        np.testing.assert_allclose(ours, peer.qpoints.frequencies, atol=2e-4, err_msg=name)
        assert np.abs(ours).max() > 0.3 and "primitive cell" in str(found)
    assert dg.read_force_constants(tmp_path / "full.hdf5").drift < 1e-3  # the folder's SPOSCAR serves


def test_what_is_written_is_read_again_by_phonopy_and_here(peer, tmp_path):
    found = dg.read_force_constants(peer)
    for name, compact in [("FORCE_CONSTANTS", False), ("fc.hdf5", True)]:
        found.write(tmp_path / name, compact=compact)
        again = dg.read_force_constants(tmp_path / name, structure=atoms_of(peer.supercell))
        np.testing.assert_allclose(again.array(), found.array(), atol=1e-12)
    peer.save(tmp_path / "phonopy.yaml", settings={"force_constants": False, "force_sets": False})
    as_it_is = {"log_level": 0, "symmetrize_fc": False, "is_compact_fc": False}
    theirs = load(tmp_path / "phonopy.yaml", force_constants_filename=tmp_path / "FORCE_CONSTANTS", **as_it_is)
    np.testing.assert_allclose(theirs.force_constants, found.array(), atol=1e-12)
    hiphive = SimpleNamespace(supercell=atoms_of(peer.supercell), get_fc_array=lambda order: peer.force_constants)
    np.testing.assert_allclose(dg.read_force_constants(hiphive).array(), peer.force_constants, atol=1e-6)


def test_rows_of_measured_constants_are_those_of_the_reference(tmp_path):
    """A model's force constants, folded and written, are recovered by a fit to FC rows alone, without a reference."""
    lattice = CRYSTALS["rock salt"]
    basis = dg.ACEBasis(["Cu", "Ag"], cutoff=4.0, order=2, degree=3)
    theta = 0.1 * np.random.default_rng(0).normal(size=basis.size)
    truth = dg.LinearACE(basis, theta)
    cell = dg.supercell(lattice, 2)
    phi = dg.bridge.fold_force_constants(force_constants(lattice, truth), cell)
    dg.bridge.write_force_constants(tmp_path / "FORCE_CONSTANTS", phi)
    found = dg.read_force_constants(tmp_path / "FORCE_CONSTANTS", structure=dg.to_ase(cell))
    blocks = dg.label([], None, basis, "FC", force_constants=found)
    assert blocks.kinds == ("FC",) and blocks.rows("FC") > 20
    (block,) = blocks.items
    assert block.squared_error(theta) < 1e-16 * block.squared_error(np.zeros(basis.size))
    assert block.squared_error(1.1 * theta) > 1e-6
    fit = dg.fit(blocks, prior=1e-8)
    assert fit.rmse["FC"] < 1e-6


def test_nacl_of_a_unit_cell_and_force_sets(tmp_path):
    """phonopy's order of a supercell made of a unit cell and three multiples."""
    peer = peer_of(CRYSTALS["rock salt"])
    write_FORCE_SETS(peer.dataset, tmp_path / "FORCE_SETS")
    found = dg.read_force_constants(tmp_path / "FORCE_SETS", structure=atoms_of(peer.unitcell), supercell=(2, 2, 2))
    miss = (found.positions - peer.supercell.positions) @ np.linalg.inv(found.vectors)
    np.testing.assert_allclose(miss, np.rint(miss), atol=1e-9)  # phonopy wraps atoms into the box
    np.testing.assert_allclose(found.array(), peer.force_constants, atol=2e-6)


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (lambda at, p: at / "none", {}, "there is no file"),
        (lambda at, p: write_FORCE_CONSTANTS(p.force_constants, at / "FC") or at / "FC", {}, "does not contain its crystal"),
        (
            lambda at, p: (at / "FORCE_SETS").write_text("64\n2\n\n1\n0.01 0 0\n1 2 3\n") and at / "FORCE_SETS",
            {"supercell": None},
            "cut short",
        ),
        (lambda at, p: (at / "a.yaml").write_text("a: [") and at / "a.yaml", {}, "phonopy.yaml"),
        (lambda at, p: (at / "a.yaml").write_text("a: 1") and at / "a.yaml", {}, "no 'supercell'"),
        (lambda at, p: p.save(at / "a.yaml", settings={"force_sets": False}) or at / "a.yaml", {}, "--include-fc"),
        (lambda at, p: 3, {}, "hiphive"),
    ],
    ids=["missing", "no structure", "truncated", "no yaml", "no supercell", "no constants", "object"],
)
def test_what_cannot_be_used_is_said(make, options, said, tmp_path, peer):
    source = make(tmp_path, peer)
    if "supercell" in options:
        options = {"structure": atoms_of(peer.supercell)}
    if said == "cut short" and len(peer.supercell) != 64:
        said = "gives|has forces on 64 atoms"
    with pytest.raises(InputError, match=said):
        dg.read_force_constants(source, **options)


def test_a_wrong_structure_is_refused(peer, tmp_path):
    write_FORCE_CONSTANTS(peer.force_constants, tmp_path / "FC")
    wrong = atoms_of(peer.supercell)
    with pytest.raises(InputError, match="differ by"):
        dg.read_force_constants(tmp_path / "FC", structure=wrong[np.random.default_rng(0).permutation(len(wrong))])
    with pytest.raises(InputError, match="a supercell of"):
        dg.read_force_constants(tmp_path / "FC", structure=wrong * (2, 1, 1))
    with pytest.raises(InputError, match="which is not among the kinds"):
        basis = dg.ACEBasis(list(dict.fromkeys(wrong.symbols)), cutoff=3.0, order=1, degree=2)
        dg.label([], None, basis, "E", force_constants=dg.read_force_constants(peer))
