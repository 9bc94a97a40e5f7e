"""Defects of a crystal by symmetry, under the names of doped."""

import numpy as np
import pytest

import defectgen as dg
from defectgen import InputError
from defectgen.crystal import enumerate_defects


@pytest.mark.parametrize(
    ("lattice", "names"),
    [
        (dg.fcc("Cu", 3.6), {"v_Cu", "Cu_i_Oh", "Cu_i_Td"}),
        (dg.bcc("W", 3.165), {"v_W", "W_i_D2d"}),
        (dg.diamond("Si", 5.43), {"v_Si", "Si_i_Td", "Si_i_D3d"}),
        (dg.rocksalt("NaCl", 5.6), {"v_Na", "v_Cl", "Na_Cl", "Cl_Na", "Na_i_Td", "Cl_i_Td"}),
    ],
    ids=["fcc", "bcc", "diamond", "rock salt"],
)
def test_known_crystals_have_their_known_defects(lattice, names):
    assert set(enumerate_defects(lattice)) == names


def test_voids_of_one_point_group_are_told_apart_and_all_are_applied():
    lattice = dg.zincblende("InP", 5.87)
    found = enumerate_defects(lattice, substitutes="Zn")
    assert {"v_In", "v_P", "In_P", "P_In", "Zn_In", "Zn_P"} <= set(found)
    tetrahedral = [name for name in found if name.startswith("In_i_Td")]
    assert sorted(name.rpartition("_")[2][:2] for name in tetrahedral) == ["In", "P2"]
    cell = dg.supercell(lattice, 2)
    for name, defect in found.items():
        made = defect.apply(cell)
        change = {s: made.symbols.count(s) - cell.symbols.count(s) for s in ("In", "P", "Zn")}
        expected = dict.fromkeys(("In", "P", "Zn"), 0)
        first, second = name.split("_")[:2]
        if first != "v":
            expected[first] += 1
        if second != "i":
            expected[second] -= 1
        assert change == expected, name


def test_inequivalent_sites_have_names_of_their_own():
    vectors = np.diag([4.0, 4.0, 6.5])
    motif = np.array([[0, 0, 0], [2.0, 2.0, 1.2], [2.0, 2.0, 3.1]])
    lattice = dg.crystal.lattice_from_primitive(vectors, motif, ("Ti", "O", "O"))
    names = [name for name in enumerate_defects(lattice, interstitials=False) if name.startswith("v_O")]
    assert len(names) == 2 and all(name.startswith("v_O_C4v_") for name in names)


def test_bad_input_is_a_sentence():
    for call, said in [
        (lambda: enumerate_defects(dg.triangular("Cu", 2.5)), "three-dimensional"),
        (lambda: enumerate_defects(dg.fcc("Cu", 3.6), "Xx"), "chemical symbol"),
        (lambda: enumerate_defects(dg.fcc("Cu", 3.6), ["Cu"]), "antisites are listed anyway"),
    ]:
        with pytest.raises(InputError, match=said):
            call()
