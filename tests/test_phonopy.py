"""Force constants and frequencies against phonopy, and its files."""

import numpy as np
import pytest
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.file_IO import parse_FORCE_CONSTANTS, read_force_constants_hdf5, write_FORCE_CONSTANTS, write_force_constants_to_hdf5
from phonopy.structure.atoms import PhonopyAtoms
from toy_calculators import Binding

from defectgen._input import InputError
from defectgen.bridge import (
    ASEReference,
    Calculator,
    fold_force_constants,
    phonon_frequencies,
    primitive_sites,
    read_force_constant_arrays,
    to_ase,
    write_force_constants,
)
from defectgen.crystal import ball, fcc, rocksalt, supercell
from defectgen.energy import blackbox_force_constants, force_constants


def phonopy_of(cell) -> Phonopy:
    """Phonopy on exactly this supercell, atoms in this order."""
    unit = PhonopyAtoms(symbols=list(cell.symbols), cell=cell.vectors, positions=cell.positions)
    return Phonopy(unit, supercell_matrix=np.eye(3, dtype=int), primitive_matrix=np.linalg.inv(cell.perfect_sites.matrix.T))


def test_force_constants_and_frequencies_equal_phonopy():
    """Finite displacements of EMT by phonopy (its displacements, its symmetry) and by ASEReference: one set of numbers."""
    lattice, step = fcc("Cu", 3.6), 1e-3
    cell = supercell(lattice, 2)
    peer = phonopy_of(cell)
    peer.generate_displacements(distance=step, is_plusminus=True, is_diagonal=False)
    sets = []
    for displaced in peer.supercells_with_displacements:
        atoms = to_ase(cell, positions=displaced.positions, calculator=EMT())
        sets.append(atoms.get_forces())
    peer.forces = sets
    peer.produce_force_constants()
    constants = blackbox_force_constants(lattice, ASEReference(EMT(), step=step), reach=7.0)
    ours = fold_force_constants(constants, cell)
    assert np.abs(ours).max() > 1.0
    np.testing.assert_allclose(ours, peer.force_constants, atol=1e-9)  # forces of 1e-13 eV/A over twice the step
    assert np.array_equal(primitive_sites(cell), peer.primitive.p2s_map)
    np.testing.assert_allclose(fold_force_constants(constants, cell, primitive_sites(cell)), ours[primitive_sites(cell)])
    points = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.25], [0.1, 0.2, 0.3]])
    peer.run_qpoints(points)
    frequencies = phonon_frequencies(lattice, constants, points)
    assert frequencies.min() > 1.0
    np.testing.assert_allclose(frequencies, peer.qpoints.frequencies, atol=1e-5)  # digits of their constants and masses
    np.testing.assert_allclose(phonon_frequencies(lattice, constants, np.zeros((1, 3))), 0.0, atol=1e-3)  # root of rounding


@pytest.mark.parametrize("size", [1, 2], ids=["narrow cell", "wide cell"])
def test_folded_force_constants_are_the_hessian_of_the_cell(size):
    """Jets of one primitive cell folded into a supercell = sparse Hessian of that supercell, also where atoms see images."""
    lattice = rocksalt("CuAg", 4.8)
    cell = supercell(lattice, size)
    folded = fold_force_constants(force_constants(lattice, Binding()), cell)
    atoms = to_ase(cell)
    direct = Calculator(Binding()).get_property("hessian", atoms).toarray().reshape(len(cell), 3, len(cell), 3)
    assert np.abs(direct).max() > 0.1
    np.testing.assert_allclose(folded, direct.swapaxes(1, 2), atol=1e-12)


@pytest.mark.parametrize("compact", [False, True], ids=["full", "compact"])
@pytest.mark.parametrize("name", ["FORCE_CONSTANTS", "force_constants.hdf5"])
def test_force_constant_files_are_phonopys(tmp_path, name, compact):
    """Written here and read by phonopy, written by phonopy and read here."""
    cell = supercell(rocksalt("CuAg", 4.8), 1)
    sites = primitive_sites(cell) if compact else None
    phi = fold_force_constants(force_constants(cell.lattice, Binding()), cell, sites)
    assert phi.shape == (2 if compact else 8, 8, 3, 3) and np.abs(phi).max() > 0.1
    exact = 0.0 if name.endswith("hdf5") else 5.1e-16  # the text holds 15 decimals
    write_force_constants(tmp_path / name, phi, sites)
    text = name == "FORCE_CONSTANTS"
    read = parse_FORCE_CONSTANTS if text else read_force_constants_hdf5
    np.testing.assert_allclose(read(tmp_path / name, p2s_map=sites), phi, rtol=0, atol=exact)
    theirs = tmp_path / f"peer_{name}"
    (write_FORCE_CONSTANTS if text else write_force_constants_to_hdf5)(phi, theirs, p2s_map=sites)
    for path in (theirs, tmp_path / name):
        back, rows = read_force_constant_arrays(path)
        np.testing.assert_allclose(back, phi, rtol=0, atol=exact)
        assert np.array_equal(rows, np.arange(8) if sites is None else sites)


BLOCK = "1 0 0\n0 1 0\n0 0 1\n"
TWO_ATOMS = "2 2\n" + "".join(f"{i} {j}\n{BLOCK}" for i in (1, 2) for j in (1, 2))


def compact_without_map(path):
    """phonopy's file of two rows of four, which does not say whose they are."""
    write_force_constants_to_hdf5(np.zeros((2, 4, 3, 3)), filename=str(path))
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: read_force_constant_arrays(path / "none"), "no file"),
        (
            lambda path: read_force_constant_arrays(str((path / "bad").write_text("2 2\n1 1\n0 0 0\n") and path / "bad")),
            "neither",
        ),
        (lambda path: read_force_constant_arrays(str((path / "bad").write_text("once upon a time") and path / "bad")), "neither"),
        (
            lambda path: read_force_constant_arrays(
                str((path / "bad").write_text(TWO_ATOMS.replace("1 2", "1 1")) and path / "bad")
            ),
            "order",
        ),
        (
            lambda path: read_force_constant_arrays(
                str((path / "bad").write_text(TWO_ATOMS.replace("1 1", "2 1")) and path / "bad")
            ),
            "order",
        ),
        (lambda path: read_force_constant_arrays(compact_without_map(path / "bad.hdf5")), "no p2s_map"),
        (lambda path: write_force_constants(path / "F", np.zeros((2, 4, 3, 3))), "p2s_map"),
        (lambda path: write_force_constants(path / "F", np.zeros((2, 4, 3, 3)), np.arange(3)), "p2s_map"),
        (lambda path: fold_force_constants(force_constants(fcc("Cu", 3.6), Binding()), ball(fcc("Cu", 3.6), 4.0)), "ball"),
    ],
    ids="missing;cut short;prose;second atom;first atom;file without map;compact without map;wrong map;ball".split(";"),
)
def test_phonopy_files_refuse_in_one_sentence(make, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)
