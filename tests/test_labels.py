"""Labels of other codes: their units, their stresses against their energies, and what a user's names must not decide."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace

import ase.constraints
import ase.io
import ase.units
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian, FixCom, FixScaled
from phonopy import Phonopy
from phonopy.file_IO import write_force_constants_to_hdf5
from phonopy.physical_units import get_physical_units
from phonopy.structure.atoms import PhonopyAtoms

import defectgen as dg
from defectgen._input import InputError, InputWarning
from defectgen.bridge import (
    Calculator,
    cell_from_ase,
    dataset_from_extxyz,
    dataset_from_hdf5,
    defect_from_atoms,
    from_ase,
    read_extxyz,
    read_force_constant_arrays,
    to_ase,
    write_extxyz,
    write_force_constants,
)
from defectgen.bridge.stress_check import check_stresses
from defectgen.bridge.units import force_constant_unit, units_of
from defectgen.cli.planning import stated
from defectgen.crystal import fcc
from defectgen.training import label

VOLUMES = np.linspace(0.97, 1.03, 7)
"""Of the lattice constant: a curve of energy and volume around the minimum."""


def curve(rattle: float = 0.0, turn: bool = False, **factors: float) -> list[Atoms]:
    """EMT copper at several volumes with labels under REF keys, each multiplied by a factor."""
    found = []
    for k, scale in enumerate(VOLUMES):
        atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
        atoms.rattle(rattle, seed=k)
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        if turn:
            atoms.rotate(10 * k, (1, 2, 3), rotate_cell=True)
        atoms.calc = EMT()
        frame = atoms.copy()
        frame.info["REF_energy"] = atoms.get_potential_energy() * factors.get("energy", 1.0)
        frame.arrays["REF_forces"] = atoms.get_forces() * factors.get("forces", 1.0)
        frame.info["REF_stress"] = atoms.get_stress(voigt=False) * factors.get("stress", 1.0)
        frame.info["structure"] = "copper"
        found.append(frame)
    return found


def written(tmp_path, frames, name="set.extxyz"):
    ase.io.write(tmp_path / name, frames, format="extxyz")
    return tmp_path / name


@pytest.mark.parametrize(
    ("units", "factors", "length"),
    [
        ({"energy": "eV", "length": "Angstrom", "stress": "eV/A^3"}, {}, 1.0),
        ({"stress": "GPa"}, {"stress": 1 / ase.units.GPa}, 1.0),
        ({"stress": "kbar"}, {"stress": 10 / ase.units.GPa}, 1.0),
        ({"stress": "-bar"}, {"stress": -1 / ase.units.bar}, 1.0),
        (
            {"energy": "Hartree", "force": "hartree/bohr", "stress": "hartree/bohr^3"},
            {
                "energy": 1 / ase.units.Hartree,
                "forces": ase.units.Bohr / ase.units.Hartree,
                "stress": ase.units.Bohr**3 / ase.units.Hartree,
            },
            1.0,
        ),
        (
            {"energy": "Ry", "length": "bohr"},
            {
                "energy": 1 / ase.units.Rydberg,
                "forces": ase.units.Bohr / ase.units.Rydberg,
                "stress": ase.units.Bohr**3 / ase.units.Rydberg,
            },
            1 / ase.units.Bohr,
        ),
        ({"energy": "kcal/mol"}, {k: ase.units.mol / ase.units.kcal for k in ("energy", "forces", "stress")}, 1.0),
    ],
    ids=["eV", "GPa", "kbar", "minus bar", "hartree", "all in Ry and bohr", "kcal"],
)
def test_stated_units_are_converted(tmp_path, units, factors, length):
    """EMT's labels in the units of other codes (ase.units) come in as the same numbers in eV and A."""
    frames = curve(**factors)
    for atoms in frames:
        atoms.set_cell(atoms.cell * length, scale_atoms=True)
    plain = read_extxyz(written(tmp_path, curve(), "plain.extxyz"))
    path = written(tmp_path, frames)
    for one, two in zip(plain, read_extxyz(path, units=units), strict=True):
        np.testing.assert_allclose(two.vectors, one.vectors, rtol=1e-8)
        np.testing.assert_allclose(two.positions, one.positions, atol=1e-7)  # ASE writes eight decimals
        for key, value in one.labels.items():
            np.testing.assert_allclose(two.labels[key], value, rtol=1e-6, atol=2e-6, err_msg=key)
    found = dataset_from_extxyz(path, "structure", units=units).configurations
    np.testing.assert_allclose([c.energy for c in found], [s.labels["energy"] for s in plain], rtol=1e-6)
    np.testing.assert_allclose(found[0].virial, plain[0].labels["virial"], rtol=1e-6, atol=1e-8)


def test_a_frame_that_names_another_unit_is_refused_until_the_unit_is_stated(tmp_path):
    def file(word, name, **factors):
        frames = curve(**factors)
        for atoms in frames:
            atoms.info["energy_unit"] = word
        return written(tmp_path, frames, name)

    path = file("Hartree", "hartree.extxyz", energy=1 / ase.units.Hartree)
    with pytest.raises(InputError, match=r"names 'Hartree' as its unit, in 'energy_unit', .*units=\{'energy': 'Hartree'\}"):
        read_extxyz(path)
    ours = read_extxyz(path, units={"energy": "hartree", "force": "eV/A", "stress": "eV/A^3"})
    plain = read_extxyz(file("eV", "plain.extxyz"))
    np.testing.assert_allclose([s.labels["energy"] for s in ours], [s.labels["energy"] for s in plain], rtol=1e-6)


def cohesive(each: float, **factors: float) -> list[Atoms]:
    """The rattled curve with an energy per atom added, before its energies are multiplied by a factor."""
    frames = curve(0.05, **{key: value for key, value in factors.items() if key != "energy"})
    for atoms in frames:
        atoms.info["REF_energy"] = (atoms.info["REF_energy"] + each * len(atoms)) * factors.get("energy", 1.0)
    return frames


@pytest.mark.parametrize("each", [-3.5, -120.0], ids=["cohesive", "whole"])
@pytest.mark.parametrize("wrong", [(3,), (0, 2, 4, 6), (0, 1, 2)], ids=["one frame", "every other one", "the first ones"])
@pytest.mark.parametrize(
    ("factors", "words"),
    [
        (dict.fromkeys(("energy", "forces", "stress"), 1 / ase.units.Hartree), "eV and hartree"),
        ({"energy": 1 / ase.units.Hartree}, "eV and hartree"),
        (dict.fromkeys(("energy", "forces", "stress"), 1 / ase.units.Rydberg), "eV and Ry"),
        ({"energy": ase.units.mol / ase.units.kcal}, "eV and kcal/mol"),
    ],
    ids=["hartree", "energies in hartree", "Ry", "energies in kcal"],
)
def test_two_units_in_one_file_are_refused(tmp_path, each, wrong, factors, words):
    """Energies jump between frames of one structure; with a factor between units they differ by the work of the labels."""
    right, other = cohesive(each), cohesive(each, **factors)
    path = written(tmp_path, [other[k] if k in wrong else right[k] for k in range(7)])
    with pytest.raises(InputError, match=f"two units of energy, likely {words}"):
        read_extxyz(path)
    read_extxyz(written(tmp_path, right, "right.extxyz"))


def test_a_jump_of_energies_that_is_no_factor_of_units_is_not_one(tmp_path):
    """Frames of two codes whose energies have another zero."""
    frames = [(cohesive(-3.5) if k % 2 else cohesive(-5.0))[k] for k in range(7)]
    read_extxyz(written(tmp_path, frames))


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ({"pressure": "GPa"}, "units map energy, length, force, stress, virial .*'pressure'"),
        ({"energy": "cal"}, "units of energy are eV.*'cal'"),
        ({"length": "furlong"}, "units of length are A, bohr, nm"),
        ({"force": "eV"}, "unit of force"),
        ({"stress": "eV/A"}, "unit of stress"),
    ],
    ids="kind energy length force stress".split(),
)
def test_unknown_units_are_refused(units, words):
    with pytest.raises(InputError, match=words):
        units_of(units)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (-1.0, "likely with the sign of a pressure"),
        (1 / ase.units.GPa, "likely in GPa"),
        (-10 / ase.units.GPa, "likely in kbar and with the sign of a pressure"),
        (0.25, "likely per atom"),
        (0.0, "likely zero"),
        (2.0, r"(2|1\.93) times the change of energy; state"),
    ],
    ids=["sign", "GPa", "minus kbar", "per atom", "zero", "twice"],
)
@pytest.mark.parametrize("rattle", [0.0, 0.02], ids=["sites", "rattled"])
def test_stresses_are_checked_against_energies(tmp_path, factor, words, rattle):
    """Energies of EMT over volume, and a stress that is wrong by a factor: the factor is found, and named where it is known."""
    right = read_extxyz(written(tmp_path, curve(rattle)))
    frames = [(s.cell.symbols, s.positions, s.vectors, s.cell.periodic, s.labels) for s in right]
    check_stresses(frames, "set.extxyz")
    with pytest.raises(InputError, match=words):
        check_stresses([(*f, {**known, "virial": factor * known["virial"]}) for *f, known in frames], "set.extxyz")
    if abs(factor) < 5:  # larger ones are refused for their size
        path = written(tmp_path, curve(rattle, stress=factor))
        for read in (read_extxyz, lambda p: dataset_from_extxyz(p, "structure", check=False)):
            with pytest.raises(InputError, match=words):
                read(path)


@pytest.mark.parametrize(
    ("scales", "energy", "stress", "words"),
    [
        (VOLUMES, 0.25, 1.0, "energies are likely per atom"),
        (VOLUMES, 1 / ase.units.Hartree, 1.0, "energies are likely in hartree"),
        ([0.9, 1.1], 1 / ase.units.Ry, 1.0, None),
        ([0.995, 0.998, 1.001], 1.0, -1.0, "sign of a pressure"),
        (VOLUMES, 1.0, 1e-3, "stress is likely in kbar and taken for one in bar;"),
        ([0.998, 0.999, 1.0, 1.001], 1.0, 1 / ase.units.GPa, "likely in GPa"),
    ],
    ids=["energies per atom", "hartree", "too far apart", "sign at small strains", "kbar stated as bar", "GPa at small strains"],
)
def test_energies_and_small_strains_are_checked_too(scales, energy, stress, words):
    """Energies of EMT in another unit, whose changes are small, and stresses near the minimum: 1e-4 to 1e-3 eV per atom."""
    frames = []
    for scale in scales:
        atoms = bulk("Cu", "fcc", a=3.58 * scale, cubic=True)
        atoms.calc = EMT()
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        frames.append(
            (tuple(atoms.symbols), atoms.positions, np.array(atoms.cell), (True,) * 3, atoms.get_potential_energy(), virial)
        )

    def check(energy, stress):
        check_stresses([(*f, {"energy": energy * e, "virial": stress * v}) for *f, e, v in frames], "set.extxyz")

    check(1.0, 1.0)
    if words is None:
        check(energy, stress)
        return
    with pytest.raises(InputError, match=words):
        check(energy, stress)


def test_stresses_of_an_unknown_error_are_warned_of():
    """A stress that is off by 4 GPa at every volume, as that of plane waves below convergence is, has no unit to be stated."""
    frames = []
    for scale in (0.99, 0.993, 0.996):
        atoms = bulk("Cu", "fcc", a=3.58 * scale, cubic=True)
        atoms.calc = EMT()
        stress = atoms.get_stress(voigt=False) - 4.0 * ase.units.GPa * np.eye(3)
        known = {"energy": atoms.get_potential_energy(), "virial": -stress * atoms.get_volume()}
        frames.append((tuple(atoms.symbols), atoms.positions, np.array(atoms.cell), (True,) * 3, known))
    with pytest.warns(InputWarning, match="contradict each other.*used as they are") as caught:
        check_stresses(frames, "set.extxyz")
    assert len(caught) == 1


def test_one_label_under_two_spellings_is_refused(tmp_path):
    """Keys are compared without case, so that one of two values would be taken in silence."""
    atoms = curve()[0]
    atoms.info["ref_energy"] = atoms.info["REF_energy"]
    read_extxyz(written(tmp_path, [atoms]))
    atoms.info["ref_energy"] = 1.0
    with pytest.raises(InputError, match="energy under 'REF_energy' and 'ref_energy', with different values"):
        read_extxyz(written(tmp_path, [atoms]))


def test_right_stresses_raise_no_alarm(tmp_path):
    """Rattled, turned and strained cells of EMT, two frames only, and training cells that this package labelled."""
    for frames in (curve(0.05), curve(turn=True), curve()[::6], curve()[2:4]):
        read_extxyz(written(tmp_path, frames))
    with pytest.raises(InputError, match="sign of a pressure"):  # the turned ones are compared, too
        read_extxyz(written(tmp_path, curve(turn=True, stress=-1.0)))
    lattice = dg.equilibrate(fcc("Cu", 3.6), dg.reference.CleriRosato("Cu"))
    cells = dg.training_cells(lattice, dg.vacancy(), 2, strains={"amplitudes": (0.01, 0.05)})
    answers = [dg.evaluate(dg.reference.CleriRosato("Cu"), s.cell, s.positions, s.vectors) for s in cells]
    found = [
        replace(s, labels={"energy": float(a.energy), "forces": np.asarray(a.forces), "virial": np.asarray(a.virial)})
        for s, a in zip(cells, answers, strict=True)
    ]
    write_extxyz(tmp_path / "own.extxyz", found)
    assert len(read_extxyz(tmp_path / "own.extxyz")) == len(cells)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"REF_stress": np.eye(3) * 30.0}, r"frame 0 .*stress of 30 eV/A\^3 = 4.81e\+03 GPa.*likely in kbar"),
        ({"REF_stress": np.eye(3) * 3e4}, "likely in bar"),
        ({"REF_virial": np.eye(3) * 200.0}, r"4.29 eV/A\^3.*likely in GPa"),
        ({"REF_stress": np.array([[0.1, 0.02, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]])}, "stress that is not symmetric"),
        ({"REF_virial": np.array([[5.0, 1.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]])}, "virial that is not symmetric"),
    ],
    ids="kbar bar virial skew_stress skew_virial".split(),
)
def test_impossible_stresses_are_refused(tmp_path, change, words):
    atoms = curve()[3]
    del atoms.info["REF_stress"]
    atoms.info |= change
    with pytest.raises(InputError, match=words) as caught:
        read_extxyz(written(tmp_path, [atoms]))
    assert "\n" not in str(caught.value)
    if "kbar" in words:  # what the sentence advises helps
        (snapshot,) = read_extxyz(written(tmp_path, [atoms]), units={"stress": "kbar"})
        np.testing.assert_allclose(-snapshot.labels["virial"] / atoms.get_volume(), np.eye(3) * 3.0 * ase.units.GPa, atol=1e-12)


def test_atoms_that_are_too_near_are_refused(tmp_path):
    """Positions in nm, and two atoms on one place across the boundary; hydrogen is not too near."""
    atoms = curve()[0]
    atoms.set_cell(atoms.cell / 10, scale_atoms=True)
    path = written(tmp_path, [atoms])
    with pytest.raises(InputError, match=r"frame 0 .* atoms 0.247 A apart"):
        read_extxyz(path)
    stress = {"stress": "eV/A^3", "force": "eV/A"}
    np.testing.assert_allclose(read_extxyz(path, units={"length": "nm", **stress})[0].vectors[0, 0], 3.6 * VOLUMES[0])
    near = Atoms("H2", positions=[[0.1, 1, 1], [3.9, 1, 1]], cell=[4, 4, 4], pbc=True)
    with pytest.raises(InputError, match=r"atoms 0\.2 A apart"):
        read_extxyz(written(tmp_path, [near]))
    near.pbc = False
    read_extxyz(written(tmp_path, [near, Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])]))


# --- free energy ---


class Smeared(EMT):
    """EMT that tells an extrapolated energy from the free energy, of which its forces are minus the gradient."""

    announces = True

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["free_energy"] = self.results["energy"]
        self.results["energy"] = self.results["energy"] - 0.1


class Silent(Smeared):
    """The same, but free_energy is not among the announced properties."""

    implemented_properties = [p for p in EMT.implemented_properties if p != "free_energy"]  # noqa: RUF012


@pytest.mark.parametrize("kind", [Smeared, Silent])
def test_the_free_energy_comes_first_at_every_door(tmp_path, kind):
    """EMT's own energy is right: through a file that ASE wrote, a data set, and the calculator; each says that they differ."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=0)
    right = EMT().get_property("energy", atoms)
    atoms.calc = kind()
    atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, **{k: atoms.calc.results[k] for k in ("energy", "free_energy", "forces")})
    atoms.info["structure"] = "copper"
    path = written(tmp_path, [atoms, atoms])
    with pytest.warns(InputWarning, match=r"2 of 2 frames .*differ by up to 0.1 eV; 'free_energy' is used") as said:
        snapshots = read_extxyz(path)
    assert len(said) == 1
    with pytest.warns(InputWarning, match="free energy"):
        (found, _) = dataset_from_extxyz(path, "structure", check=False).configurations
    reference = dg.ASEReference(kind())
    with pytest.warns(InputWarning, match="differ by 0.1 eV") as said:
        answers = [dg.evaluate(reference, snapshots[0].cell, snapshots[0].positions) for _ in range(2)]
    assert len(said) == 1  # once a reference
    for energy in (snapshots[0].labels["energy"], found.energy, answers[0].energy):
        assert abs(energy - right) < 1e-7
    with pytest.warns(InputWarning, match="'energy' is used"):  # whoever names the other one gets it, and is told
        assert abs(read_extxyz(path, energy_key="energy")[0].labels["energy"] - right + 0.1) < 1e-7


def test_equal_energies_are_no_reason_for_a_word(tmp_path):
    """EMT writes both, and they are equal."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.calc = EMT()
    atoms.get_forces()
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        read_extxyz(written(tmp_path, [atoms]))
        dg.evaluate(dg.ASEReference(EMT()), cell_from_ase(atoms))


def test_a_free_energy_in_hdf5_is_noticed(tmp_path):
    with h5py.File(tmp_path / "set.h5", "w") as file:
        group = file.create_group("water")
        group["atomic_numbers"] = [8, 1, 1]
        group["conformations"] = np.array([[[0, 0, 0], [1.8, 0, 0], [0, 1.8 + 0.1 * k, 0]] for k in range(2)])
        group["dft_total_energy"], group["dft_free_energy"] = [-76.0, -76.1], [-76.0, -76.2]
        group["dft_total_gradient"] = np.zeros((2, 3, 3))
    with pytest.warns(InputWarning, match=r"1 of 2 .*2.72 eV; 'dft_total_energy' is used"):
        dataset_from_hdf5(tmp_path / "set.h5")


# --- names are names ---


def test_a_group_is_a_name_and_nothing_else(tmp_path):
    """Frames whose config_type is `bulk`, `strain` or `defect` give the same rows and coefficients as any other name."""
    basis = dg.ACEBasis(["Cu"], cutoff=4.5, order=1, degree=6)
    found = {}
    for name in ("data", "bulk", "strain", "defect", "at rest", "strain 0.01", "T", "001"):
        frames = curve(0.02)
        for atoms in frames:
            atoms.info["config_type"] = name
        snapshots = read_extxyz(written(tmp_path, frames))
        assert {s.group for s in snapshots} == {name} and {s.role for s in snapshots} == {""}
        for subdivide in (False, True):
            blocks = label(snapshots, None, basis, "E+F+V", subdivide=subdivide)
            assert blocks.kinds == ("E", "F", "V")
            found[name, subdivide] = dg.fit(blocks, prior=1e-6).coefficients
    assert np.abs(found["data", False]).max() > 0
    for key, coefficients in found.items():
        np.testing.assert_array_equal(coefficients, found["data", key[1]], err_msg=str(key))


def test_the_role_of_training_cells_survives_a_file(tmp_path):
    """Renamed groups keep their roles, and what a strained cell is; an unknown role is refused."""
    cells = dg.training_cells(fcc("Cu", 3.6), dg.vacancy(), 2)
    assert {s.role for s in cells} == {"defect", "bulk", "strain"} and [s.amplitude for s in cells].count(0.0) == 1
    path = tmp_path / "cells.extxyz"
    write_extxyz(path, [replace(s, group=f"mine {k}") for k, s in enumerate(cells)])
    for k, (old, new) in enumerate(zip(cells, read_extxyz(path), strict=True)):
        assert (new.role, new.group, new.pair) == (old.role, f"mine {k}", old.pair)
        assert new.amplitude == (old.amplitude if old.role == "strain" else None)
    path.write_text(path.read_text().replace("defectgen_role=bulk", "defectgen_role=ballast"))
    with pytest.raises(InputError, match=r"role .*'ballast'"):
        read_extxyz(path)
    with pytest.raises(InputError, match="one line"):
        write_extxyz(path, [replace(cells[0], group="two\nlines")])


def test_names_in_files_are_text_of_any_script(tmp_path):
    """UTF-8 with and without a byte-order mark, CRLF line ends; another encoding is refused by name."""
    path = tmp_path / "größe.extxyz"
    snapshot = replace(read_extxyz(written(tmp_path, curve()[:1]))[0], group='Übergröße "日本" \\ Δ')
    write_extxyz(path, [snapshot])
    for text in (path.read_bytes(), b"\xef\xbb\xbf" + path.read_bytes(), path.read_bytes().replace(b"\n", b"\r\n")):
        path.write_bytes(text)
        assert read_extxyz(path)[0].group == snapshot.group
    path.write_bytes(path.read_text(encoding="utf-8-sig").encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_extxyz(path)
    path.write_text(f"{10**17}\n\nCu 0 0 0\n")
    with pytest.raises(InputError, match="cut short"):
        read_extxyz(path)


LOCALE = """
import sys
from pathlib import Path
from defectgen.bridge import cell_from_ase, read_extxyz, write_extxyz
folder = Path(sys.argv[1])
for name in ("marked.vasp", "plain.vasp", "plain.extxyz"):
    assert cell_from_ase(folder / name).symbols == ("Cu",) * 4, name
frames = read_extxyz(folder / "plain.extxyz")
assert frames[0].group == chr(233)
write_extxyz(folder / "again.extxyz", frames)
assert read_extxyz(folder / "again.extxyz")[0].group == chr(233)
"""


def test_text_is_utf8_in_any_locale(tmp_path):
    """A process in the C locale, without Python's UTF-8 mode, reads accents and byte-order marks, and writes them."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.write(tmp_path / "plain.vasp")
    text = "é" + (tmp_path / "plain.vasp").read_text()[2:]
    (tmp_path / "plain.vasp").write_text(text, encoding="utf-8")
    (tmp_path / "marked.vasp").write_text(text, encoding="utf-8-sig")
    atoms.info["config_type"] = "group"
    frame = written(tmp_path, [atoms], "plain.extxyz")
    frame.write_text(frame.read_text().replace("group", '"é"'), encoding="utf-8")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", LOCALE, str(tmp_path)], env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- what is not kept ---


def block() -> Atoms:
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.mark.parametrize(
    "constraint",
    [
        [FixScaled(i, [True, True, False]) for i in range(2)],
        FixCartesian([0, 1], [True, False, False]),
        pytest.param("FixedPlane", id="plane"),
        pytest.param("FixBondLength", id="bond"),
        pytest.param("Hookean", id="spring"),
    ],
)
def test_constraints_that_cannot_be_kept_are_refused(constraint):
    if isinstance(constraint, str):
        arguments = {"FixedPlane": (0, (0, 0, 1)), "FixBondLength": (0, 1), "Hookean": (0, 1, 5.0, 2.0)}[constraint]
        constraint = getattr(ase.constraints, constraint)(*arguments)
    atoms = block()
    atoms.set_constraint(constraint)
    with pytest.raises(InputError, match=r"the constraint .* cannot be kept"):
        cell_from_ase(atoms)
    crystal = bulk("Cu", "fcc", a=3.6, cubic=True)
    crystal.set_constraint(constraint)
    with pytest.warns(InputWarning, match="the lattice does not keep constraints"):
        from_ase(crystal)


def test_whole_atoms_are_clamped():
    """FixAtoms, and constraints on all three coordinates; the centre of mass matters to nobody."""
    atoms = block()
    atoms.set_constraint([FixAtoms([0]), FixScaled(1, [True] * 3), FixCartesian(2), FixCom()])
    assert cell_from_ase(atoms).free.tolist() == [False, False, False, True]
    assert [type(c) for c in to_ase(cell_from_ase(atoms)).constraints] == [FixAtoms]


def test_forces_under_a_constraint_are_no_labels(tmp_path):
    """get_forces of ASE sets forces of fixed atoms to zero: such labels are refused, raw ones are read."""
    atoms = block()
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.calc = EMT()
    frame = atoms.copy()
    frame.info |= {"REF_energy": atoms.get_potential_energy(), "structure": "copper"}
    for applied in (True, False):
        frame.arrays["REF_forces"] = atoms.get_forces(apply_constraint=applied)
        path = tmp_path / "held.extxyz"
        ase.io.write(path, [frame], format="extxyz", columns=["symbols", "positions", "REF_forces", "move_mask"])
        for read in (read_extxyz, lambda p: dataset_from_extxyz(p, "structure").configurations):
            if applied:
                with pytest.raises(InputError, match="zero forces on all 2 atoms under constraint"):
                    read(path)
            elif read is read_extxyz:
                with pytest.warns(InputWarning, match=r"1 of 1 frames .* hold atoms fixed"):
                    (snapshot,) = read(path)
                assert snapshot.cell.free.tolist() == [False, False, True, True]
            else:  # a data set has no clamped atoms: all forces are labels
                np.testing.assert_allclose(read(path)[0].forces, frame.arrays["REF_forces"], atol=1e-7)


def test_moments_charges_and_masses_are_named():
    """bulk("Fe") of ASE has a magnetic moment; it is named at every door and can be given to another code."""
    iron = bulk("Fe", "bcc", a=2.87, cubic=True)
    assert iron.get_initial_magnetic_moments().any()
    for door in (from_ase, cell_from_ase):
        with pytest.warns(InputWarning, match=r"magnetic moments \(up to 2.3\) of Fe2.*magnetic_moments="):
            door(iron)
    iron.set_initial_magnetic_moments(None)
    iron.set_masses([54.0, 54.0])
    with pytest.warns(InputWarning, match="masses other than"):
        from_ase(iron)
    iron.set_masses([55.85, 55.85])  # as LAMMPS inputs round 55.845
    iron.set_constraint(FixAtoms([]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        from_ase(iron)
    charged = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    charged.set_initial_charges([1.0, -1.0] * 4)
    with pytest.warns(InputWarning, match="charges"):
        cell_from_ase(charged)
    with pytest.warns(InputWarning, match="moments"):
        defect = charged.copy()
        defect.set_initial_charges(None)
        defect.set_initial_magnetic_moments([1.0] * 8)
        del defect[0]
        defect_from_atoms(bulk("NaCl", "rocksalt", a=5.6, cubic=True), defect)
    calculator = Calculator(dg.reference.CleriRosato("Cu"))
    for _ in range(2):
        atoms = block()
        atoms.set_initial_magnetic_moments([1.0] * 4)
        atoms.calc = calculator
        if _ == 0:
            with pytest.warns(InputWarning, match="no spin"):
                atoms.get_potential_energy()
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error", InputWarning)
                atoms.get_potential_energy()


def test_moments_reach_another_code():
    """What ASEReference is given by element arrives in the atoms that the calculator gets."""
    seen = []

    class Watching(EMT):
        def calculate(self, atoms=None, *args, **kwargs):
            seen.append((atoms.get_initial_magnetic_moments().tolist(), atoms.get_initial_charges().tolist()))
            super().calculate(atoms, *args, **kwargs)

    atoms = Atoms("CuNi", positions=[[0, 0, 0], [2.4, 0, 0]])
    dg.evaluate(dg.ASEReference(Watching(), magnetic_moments={"Ni": 0.6}, charges={"Cu": 1}), cell_from_ase(atoms), stress=False)
    assert seen == [([0.0, 0.6], [1.0, 0.0])]
    with pytest.raises(InputError, match="magnetic_moments map elements"):
        dg.ASEReference(EMT(), magnetic_moments={"Nickel": 0.6})


def test_a_slab_is_no_crystal():
    """An empty layer is named; dense crystals are not."""
    slab = bulk("Cu", "fcc", a=3.6, cubic=True)
    slab.center(vacuum=5.0, axis=2)
    with pytest.warns(InputWarning, match=r"empty layer of 10\.0 A along cell vector 2"):
        from_ase(slab)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        for atoms in (bulk("Cs", "bcc", a=6.14), bulk("Xe", "fcc", a=6.13, cubic=True), bulk("C", "diamond", a=3.57)):
            from_ase(atoms)


# --- force constants ---


@pytest.mark.parametrize(
    "unit", ["eV/angstrom^2", "eV/Angstrom^2", "eV/angstrom.au", "Ry/au^2", "mRy/au^2", "hartree/au^2", "hartree/angstrom.au"]
)
def test_force_constants_come_in_the_unit_that_their_file_states(tmp_path, unit):
    """All units of phonopy's calculators; the factors are phonopy's own constants."""
    units = get_physical_units()
    right = {
        "eV/angstrom^2": 1.0,
        "eV/Angstrom^2": 1.0,
        "eV/angstrom.au": 1 / units.Bohr,
        "Ry/au^2": units.Rydberg / units.Bohr**2,
        "mRy/au^2": units.Rydberg / units.Bohr**2 / 1000,
        "hartree/au^2": units.Hartree / units.Bohr**2,
        "hartree/angstrom.au": units.Hartree / units.Bohr,
    }[unit]
    phi = np.random.default_rng(0).normal(size=(2, 2, 3, 3))
    write_force_constants_to_hdf5(phi, filename=str(tmp_path / "fc.hdf5"), p2s_map=np.arange(2), physical_unit=unit)
    np.testing.assert_allclose(read_force_constant_arrays(tmp_path / "fc.hdf5")[0], right * phi, rtol=1e-6)  # CODATA of two years
    write_force_constants(tmp_path / "FORCE_CONSTANTS", phi)
    np.testing.assert_allclose(
        read_force_constant_arrays(tmp_path / "FORCE_CONSTANTS", unit)[0], right * phi, rtol=1e-6, atol=1e-12
    )


def test_unknown_and_contradicting_units_of_force_constants_are_refused(tmp_path):
    path = tmp_path / "fc.hdf5"
    for unit, given, words in (("N/m", None, "'N/m'"), ("Ry/au^2", "eV/angstrom^2", "states the unit 'Ry/au\\^2'")):
        write_force_constants_to_hdf5(np.zeros((1, 1, 3, 3)), filename=str(path), physical_unit=unit)
        with pytest.raises(InputError, match=words):
            read_force_constant_arrays(path, given)
    assert force_constant_unit("eV/angstrom") is None and force_constant_unit("") is None


@pytest.mark.parametrize("companion", ["phonopy.yaml", "phonopy_params.yaml", "phonopy_disp.yaml"])
def test_a_run_in_other_units_beside_a_text_file_is_noticed(tmp_path, companion):
    """FORCE_CONSTANTS has no unit, and the files that phonopy wrote beside it have."""
    phi = np.random.default_rng(0).normal(size=(1, 1, 3, 3))
    write_force_constants(tmp_path / "FORCE_CONSTANTS", phi)
    cell = PhonopyAtoms(symbols=["Cu"], cell=np.eye(3), positions=[[0, 0, 0]])
    for code, refused in (("vasp", False), ("qe", True)):
        Phonopy(cell, np.eye(3), calculator=code).save(tmp_path / companion)
        if refused:
            with pytest.raises(InputError, match=rf"{companion} .* 'Ry/au\^2'"):
                read_force_constant_arrays(tmp_path / "FORCE_CONSTANTS")
        for unit in ("eV/angstrom^2",) if refused else (None, "eV/angstrom^2"):
            np.testing.assert_allclose(read_force_constant_arrays(tmp_path / "FORCE_CONSTANTS", unit)[0], phi, atol=1e-14)


def test_units_of_the_command_line():
    assert stated(None) is None and stated("energy=hartree, stress=-kbar") == {"energy": "hartree", "stress": "-kbar"}
    for text in ("GPa", "pressure=GPa", "stress=psi"):
        with pytest.raises(InputError, match=r"units|unit of"):
            stated(text)
