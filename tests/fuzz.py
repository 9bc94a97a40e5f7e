"""Mutated files for every reader: each must be accepted or refused in one sentence, in bounded time and memory.

`python tests/fuzz.py 10000` (or `make fuzz N=10000`) mutates small valid files, gives them to the readers and prints a table of
the outcomes by reader. Exit status 1 if anything but acceptance and InputError came out. Input k of a seed is always the same:
`--only K` repeats it with its traceback,
`--keep FOLDER` writes it there.

The inputs are read in a child process with limits of time and memory, which is started again where it is lost.
"""

import argparse
import io
import json
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import tomli_w

SECONDS = 5
"""Of processor time for one input; a small file takes milliseconds."""
SILENCE = 60
"""Seconds without a result after which the child counts as hung."""
ADDRESSES = 4 << 30
"""Bytes of address space beyond what the imports take."""
GROWTH = 1 << 20
"""KiB by which one input may raise the peak of the resident memory."""

ACCEPTED, REFUSED, FOREIGN, HANG, MEMORY, CRASH = "accepted", "refused", "foreign", "hang", "memory", "crash"
FAULTS = (FOREIGN, HANG, MEMORY, CRASH)

NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e9",
    "1e308",
    "1e20",
    "1000000000",
    "99999999999999999999",
    "0.5",
    "-0.0",
    "1e-320",
    "",
)
WORDS = (
    "",
    "x",
    "é" * 5,
    "A" * 5000,
    "\x00",
    "T",
    "nan",
    '"',
    "[",
    "{",
    "]",
    "=",
    "#",
    "\ufeff",
    "1e5",
    "1/0",
    "__import__",
    "../../etc",
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2.5,
        10**9,
        10**30,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "A" * 3000,
        [],
        [1],
        {},
    ),
    *([[[]]], [None], {"a": 1}, [1, "a"], [[1, 2], [3]], "1", "é", [0] * 50, 1e6, 1e-300, -3.5),
)


class Hang(BaseException):
    """The time for one input is over; no reader catches it."""


class Reader(NamedTuple):
    """What is fuzzed."""

    seeds: Callable[[], list[bytes]]
    """Valid files."""
    suffix: str
    read: Callable[[Path], Any]
    structure: Callable[[bytes, np.random.Generator], bytes] | None = None
    """A mutation that keeps the outer format."""


# ---- mutations of bytes and text
def mutated(seed: bytes, reader: Reader, rng: np.random.Generator) -> bytes:
    """One to three mutations."""
    data = seed
    ways: list[Callable] = (
        [flipped, truncated, removed, repeated] if b"\0" in seed else [tokens, lines, lines, tokens, truncated, flipped, repeated]
    )
    if reader.structure is not None:
        ways += [reader.structure] * len(ways)
    for _ in range((1, 1, 1, 2, 3)[rng.integers(5)]):
        way = ways[rng.integers(len(ways))]
        try:
            data = way(data, rng)
        except Exception:  # an earlier mutation broke the format that this one needs
            data = flipped(data, rng)
    return data


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    array, plain = bytearray(data), b"\0" not in data  # in text a byte that is none is found at once
    for _ in range(rng.integers(1, 6)):
        if array:
            array[rng.integers(len(array))] = rng.integers(32, 127) if plain and rng.random() < 0.9 else rng.integers(256)
    return bytes(array)


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data) + 1)]


def _range(data, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data) + 1))
    return start, min(len(data), start + int(rng.integers(1, 40)))


def removed(data: bytes, rng: np.random.Generator) -> bytes:
    start, stop = _range(data, rng)
    return data[:start] + data[stop:]


def repeated(data: bytes, rng: np.random.Generator) -> bytes:
    start, stop = _range(data, rng)
    return data[:stop] + data[start:stop] * int(rng.integers(1, 4)) + data[stop:]


def lines(data: bytes, rng: np.random.Generator) -> bytes:
    """A line removed, repeated, moved, or emptied."""
    found = data.split(b"\n")
    k = int(rng.integers(len(found)))
    way = rng.integers(5)
    if way == 0:
        del found[k]
    elif way == 1:
        found.insert(k, found[k])
    elif way == 2:
        found.insert(int(rng.integers(len(found))), found.pop(k))
    elif way == 3:
        found[k] = b""
    else:
        found[k : k + 1] = [found[k]] * int(rng.integers(2, 2000))
    return b"\n".join(found)


def tokens(data: bytes, rng: np.random.Generator) -> bytes:
    """A word of a random line replaced by a number or word, removed, repeated, or exchanged."""
    found = data.split(b"\n")
    full = [k for k, line in enumerate(found) if line.split()]
    if not full:
        return data
    early = rng.random() < 0.5  # heads hold the counts
    k = full[int(rng.integers(min(len(full), 6) if early else len(full)))]
    words = found[k].split(b" ")
    place = int(rng.integers(len(words)))
    way = rng.integers(6)
    if way < 3:
        pool = NUMBERS if rng.random() < 0.7 else WORDS
        new = pool[rng.integers(len(pool))].encode()
        head, equals, tail = words[place].partition(b"=")
        words[place] = head + b"=" + new if equals and tail else new
    elif way == 3:
        del words[place]
    elif way == 4:
        words.insert(place, words[place])
    else:
        other = int(rng.integers(len(words)))
        words[place], words[other] = words[other], words[place]
    found[k] = b" ".join(words)
    return b"\n".join(found)


# ---- mutations of trees: JSON and TOML
def _places(tree: Any, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:50]) if isinstance(tree, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


def _nested(depth: int) -> list:
    tree: list = []
    for _ in range(depth):
        tree = [tree]
    return tree


def tree_changed(tree: Any, rng: np.random.Generator) -> Any:
    """A value somewhere in the tree replaced, removed, renamed, or one added."""
    places = _places(tree)
    place = places[int(rng.integers(len(places)))]
    if rng.random() < 0.5:  # near the top
        place = place[: int(rng.integers(1, len(place) + 1))]
    above = tree
    for key in place[:-1]:
        above = above[key]
    way, key = rng.integers(8), place[-1]
    value = VALUES[rng.integers(len(VALUES))] if way else _nested(60)
    if way == 1:
        del above[key]
    elif way == 2 and isinstance(above, dict):
        above[f"{key}x"] = above.pop(key)
    elif way == 3:
        above[key] = [above[key]]
    elif isinstance(above[key], int | float) and not isinstance(above[key], bool) and way < 6:
        old = above[key]
        above[key] = [old * 1e6, -old, old + 1, old * 1e3, 0, old * 10, float(old), str(old)][rng.integers(8)]
    else:
        above[key] = value
    return tree


def json_changed(data: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.03:
        return b"[" * 100_000 + b"]" * 100_000
    return json.dumps(tree_changed(json.loads(data), rng)).encode()


def toml_changed(data: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.03:
        return data + b"\nx = " + b"[" * 3000 + b"]" * 3000
    return tomli_w.dumps(_without_none(tree_changed(tomllib.loads(data.decode()), rng))).encode()


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _without_none(v) for k, v in tree.items() if v is not None}
    return [_without_none(v) for v in tree if v is not None] if isinstance(tree, list) else tree


# ---- mutations of arrays: HDF5 and npz
def array_changed(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another type, shape or number."""
    ways: list[Callable[[], Any]] = [
        lambda: array.astype("S"),
        lambda: array.astype(np.float32) if array.dtype.kind in "fiu" else array[None],
        lambda: array.astype(complex) if array.dtype.kind in "fiu" else array,
        lambda: array.ravel(),
        lambda: array[None],
        lambda: array[:0],
        lambda: array[:-1],
        lambda: np.array(3.0),
        lambda: np.array(-1),
        lambda: np.zeros(0),
        lambda: np.array([b"x", b"yz"]),
        lambda: np.zeros((2, 3), dtype=[("a", "f8"), ("b", "i4")]),
        lambda: np.where(rng.random(array.shape) < 0.3, (np.nan, np.inf, -1, 0, 1e308, 1e20)[rng.integers(6)], array),
        lambda: np.where(rng.random(array.shape) < 0.3, (np.nan, np.inf, -1, 0, 1e308, 1e20)[rng.integers(6)], array),
        lambda: np.concatenate([array, array]),
        lambda: array.T,
        lambda: array.astype(bool),
    ]
    return np.asarray(ways[rng.integers(len(ways))]())


def hdf5_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Datasets replaced: other arrays, huge ones that occupy nothing, groups, links to nowhere."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = names[int(rng.integers(len(names)))]
        old, way = file[name][()], rng.integers(9)
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        if way == 0:
            file.create_dataset(name, shape=(10**12,), dtype="f8", chunks=(2**16,))
        elif way == 1 and len(shape):
            file.create_dataset(name, shape=(10**9, *shape[1:]), dtype=kind, chunks=(2**10, *shape[1:]))
        elif way == 2:
            file.create_group(name)
        elif way == 3:
            file[name] = h5py.SoftLink("/nowhere") if rng.random() < 0.5 else h5py.ExternalLink("/etc/passwd", "/x")
        elif way == 4:
            pass
        elif way == 5:
            file.create_dataset(name, data=h5py.Empty("f8"))
        else:
            new = array_changed(np.asarray(old), rng)
            file.create_dataset(name, data=new if new.dtype.kind != "U" else new.astype("S"))
    return buffer.getvalue()


def npz_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Arrays replaced: other arrays, pickled objects, headers that announce more than there is; the header as JSON changed."""
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    name = sorted(arrays)[int(rng.integers(len(arrays)))] if rng.random() < 0.7 else "header"
    raw: dict[str, bytes] = {}
    way = rng.integers(8)
    if name == "header" and way < 7:
        arrays[name] = np.array(json.dumps(tree_changed(json.loads(str(arrays[name])), rng)))
    elif way == 0:
        raw[name] = _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", b"\0" * 80)
    elif way == 1:
        raw[name] = _npy("{'descr': '<U1000000000', 'fortran_order': False, 'shape': (), }", b"\0" * 80)
    elif way == 2:
        del arrays[name]
    elif way == 3:
        arrays[f"{name}x"] = arrays.pop(name)
    elif way == 4:
        arrays[name] = np.array([{"a": 1}, None], dtype=object)
    elif way == 5:
        arrays[name] = np.zeros(50_000_000)  # 400 MB that deflate to almost nothing
    else:
        arrays[name] = array_changed(arrays[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            if key not in raw:
                part = io.BytesIO()
                np.save(part, array)
                archive.writestr(f"{key}.npy", part.getvalue())
        for key, content in raw.items():
            archive.writestr(f"{key}.npy", content)
    return buffer.getvalue()


def _npy(header: str, body: bytes) -> bytes:
    head = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body


# ---- valid files
STUDY = """
name = "small"
observations = ["E+F", "E+F+FC+V"]
[[cases]]
material = "Cu"
defect = "vacancy"
simulation_size = 4
basis = { cutoff = 5.5, order = 3, degree = 8, pair_degree = 8 }
[[cases]]
material = "mine"
defect = "dumbbell(110)"
simulation_size = [3, 4, 5]
basis = { cutoff = 5.0 }
[materials.mine]
crystal = "diamond"
species = ["Si"]
a = 5.43
reference = "StillingerWeber(Si)"
[training]
configurations = 3
rattle = 0.05
virial_strains = [0.005, 0.01]
[fit]
weights = { E = 30, V0 = 100.0 }
prior = "smoothness"
[cell_size]
sizes = [2, 3]
[fit_accuracy]
size = 2
degrees = [4, 6]
[choices]
sizes = [2]
varied_at = [2]
[choices.variants.plain]
training = { rattle = 0.01 }
fit = { solver = "ridge" }
basis = { degree = 6 }
[loss]
size = 2
grids = [{ weights = { E = [1, 30] }, prior = [0, "smoothness"] }]
[certificates]
cell_size = true
"""

OTHER_STUDY = """
name = "others"
[[cases]]
material = "Cu"
defect = "vacancy"
simulation_size = 12
[surrogates]
radii = [1.5, 2.0]
perturbations = [0, 1]
strengths = [0.2]
[boundary]
fractions = [0.4, 0.5]
conditions = ["periodic", "clamped"]
[barriers]
radii = [1.5]
"""

FRAME = """5
Lattice="8.0 0.0 0.0 0.0 8.0 0.0 0.0 0.0 8.0" Properties=species:S:1:pos:R:3:REF_forces:R:3:move_mask:L:1 REF_energy=-3.25 REF_virial="0.1 0 0 0 0.2 0 0 0 0.3" config_type=defect pbc="T T T"
Cu 0.0 0.0 0.0 0.1 0.0 0.0 T
Cu 1.8 1.8 0.0 -0.1 0.0 0.0 T
Cu 1.8 0.0 1.8 0.0 0.2 0.0 T
Cu 0.0 1.8 1.8 0.0 -0.2 0.0 T
Ni 4.0 4.0 4.0 0.0 0.0 0.05 F
"""  # noqa: E501

POSCAR = """fcc copper
3.615
 1.0 0.0 0.0
 0.0 1.0 0.0
 0.0 0.0 1.0
Cu
4
Direct
0.0 0.0 0.0
0.5 0.5 0.0
0.5 0.0 0.5
0.0 0.5 0.5
"""

CIF = """data_cu
_cell_length_a 3.615
_cell_length_b 3.615
_cell_length_c 3.615
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M "F m -3 m"
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cu 0.0 0.0 0.0
"""

SW = """# one species
Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333
         7.049556277 0.6022245584 4.0 0.0 0.0
"""


TERSOFF = """# one species
Si Si Si 3.0 1.0 1.3258 4.8381 2.0417 0.0 22.956 0.33675 1.3258 95.373 3.0 0.2 3.2394 3264.7
"""

YACE = """elements: [Cu, Ni]
E0: [-3.5, 0.25]
deltaSplineBins: 0.001
embeddings:
  0: {ndensity: 2, FS_parameters: [1.0, 1.0, 1.0, 0.5], npoti: FinnisSinclairShiftedScaled, rho_core_cutoff: 200000, drho_core_cutoff: 250}
  1: {ndensity: 1, FS_parameters: [1.0, 1.0], npoti: FinnisSinclair, rho_core_cutoff: 200000, drho_core_cutoff: 250}
bonds:
  [0, 0]: {nradmax: 2, lmax: 1, nradbasemax: 2, radbasename: ChebExpCos, radparameters: [5.25], radcoefficients: [[[1, 0], [1, 0]], [[0, 1], [0, 1]]], prehc: 0, lambdahc: 1, rcut: 4.5, dcut: 0.01, rcut_in: 0, dcut_in: 0, inner_cutoff_type: density}
  [0, 1]: {nradmax: 1, lmax: 0, nradbasemax: 1, radbasename: ChebPow, radparameters: [2.0], radcoefficients: [[[1]]], prehc: 0, lambdahc: 1, rcut: 4.0, dcut: 0.01, rcut_in: 0, dcut_in: 0, inner_cutoff_type: density}
  [1, 0]: {nradmax: 1, lmax: 0, nradbasemax: 1, radbasename: SBessel, radparameters: [2.0], radcoefficients: [[[1]]], prehc: 0, lambdahc: 1, rcut: 4.0, dcut: 0.01, rcut_in: 0, dcut_in: 0, inner_cutoff_type: density}
  [1, 1]: {nradmax: 1, lmax: 0, nradbasemax: 1, radbasename: ChebLinear, radparameters: [2.0], radcoefficients: [[[1]]], prehc: 0, lambdahc: 1, rcut: 4.0, dcut: 0.01, rcut_in: 0, dcut_in: 0, inner_cutoff_type: density}
functions:
  0:
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [1], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.5, 0.25]}
    - {mu0: 0, rank: 2, ndensity: 2, num_ms_combs: 3, mus: [0, 0], ns: [1, 2], ls: [1, 1], ms_combs: [-1, 1, 0, 0, 1, -1], ctildes: [0.1, 0.2, -0.1, -0.2, 0.1, 0.2]}
  1:
    - {mu0: 1, rank: 1, ndensity: 1, num_ms_combs: 1, mus: [0], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.125]}
"""  # noqa: E501


def fitsnap() -> list[bytes]:
    """Two configurations in the units that the file states, below a line of comment."""
    data = [
        {
            "Positions": [[0.1 * k, 0.0, 0.0], [1.8, 1.8, 0.0], [1.8, 0.0, 1.8], [0.0, 1.8, 1.8]],
            "Lattice": [[3.6, 0.0, 0.0], [0.0, 3.6, 0.0], [0.0, 0.0, 3.6]],
            "AtomTypes": ["Cu", "Cu", "Cu", "Ni"],
            "NumAtoms": 4,
            "Energy": -14.0 - 0.01 * k,
            "Forces": [[0.1 * k, 0.0, 0.0], [-0.1 * k, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
            "Stress": [[100.0, 0.0, 0.0], [0.0, 100.0, 0.0], [0.0, 0.0, 100.0]],
        }
        for k in range(2)
    ]
    styles = {"EnergyStyle": "electronvolt", "PositionsStyle": "angstrom", "ForcesStyle": "electronvoltperangstrom"}
    return [json.dumps({"Dataset": {**styles, "StressStyle": "bar", "Label": "Cu", "Data": data}}).encode()]


def force_sets() -> list[bytes]:
    """One displaced atom of four; the space group of the crystal does the rest."""
    return [b"4\n1\n\n1\n0.01 0.0 0.0\n-0.03 0.0 0.0\n0.01 0.0 0.0\n0.01 0.0 0.0\n0.01 0.0 0.0\n"]


def phonopy_yaml() -> list[bytes]:
    """With force constants, and with forces."""
    points = "".join(
        f"  - {{symbol: Cu, coordinates: [{x}], mass: 63.5, reduced_to: 1}}\n"
        for x in ("0.0, 0.0, 0.0", "0.5, 0.5, 0.0", "0.5, 0.0, 0.5", "0.0, 0.5, 0.5")
    )
    head = (
        "phonopy: {version: 2.0, calculator: vasp}\nphysical_unit: {length: angstrom, force_constants: eV/angstrom^2}\n"
        f"supercell:\n  lattice: [[3.6, 0, 0], [0, 3.6, 0], [0, 0, 3.6]]\n  points:\n{points}"
    )
    phi = "".join(f"    - [{v}, 0, 0]\n    - [0, {v}, 0]\n    - [0, 0, {v}]\n" for v in (3.0, -1.0, -1.0, -1.0))
    sets = (
        "displacements:\n- {atom: 1, displacement: [0.01, 0, 0], "
        "forces: [[-0.03, 0, 0], [0.01, 0, 0], [0.01, 0, 0], [0.01, 0, 0]]}\n"
    )
    return [f"{head}force_constants:\n  shape: [1, 4]\n  elements:\n{phi}".encode(), (head + sets).encode()]


def _columns(values: np.ndarray) -> str:
    return "\n".join(" ".join(f"{v:.8e}" for v in row) for row in values.reshape(-1, 5)) + "\n"


def eam_tables() -> list[bytes]:
    """A funcfl, a setfl of two species and an eam.fs file with 20 points a table."""
    r, rho = np.arange(20) * 0.25, np.arange(20) * 0.5
    embedding, density, charge, pair = -np.sqrt(rho), np.exp(-r) * (r < 4), 3 * np.exp(-r), np.exp(-r) * (5 - r)
    funcfl = "copper\n29 63.55 3.615 fcc\n20 0.5 20 0.25 4.75\n" + _columns(embedding) + _columns(charge) + _columns(density)
    head = "# a\n# b\n# c\n2 Cu Ni\n20 0.5 20 0.25 4.75\n"
    element = "29 63.55 3.615 fcc\n"
    alloy = head + 2 * (element + _columns(embedding) + _columns(density)) + 3 * _columns(pair)
    fs = head + 2 * (element + _columns(embedding) + 2 * _columns(density)) + 3 * _columns(pair)
    return [funcfl.encode(), alloy.encode(), fs.encode()]


def hdf5(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, value in content.items():
            file.create_dataset(name, data=value)
    return buffer.getvalue()


def molecules() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = {}
    for name in ("water", "methane"):
        atoms = 3 if name == "water" else 5
        found |= {
            f"{name}/conformations": rng.normal(size=(2, atoms, 3)) * 3,
            f"{name}/atomic_numbers": np.array([8] + [1] * (atoms - 1)),
            f"{name}/dft_total_energy": np.array([-76.0, -76.1]),
            f"{name}/dft_total_gradient": rng.normal(size=(2, atoms, 3)) * 0.01,
        }
    return [hdf5(found)]


def force_constants() -> np.ndarray:
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(2, 2, 3, 3))
    return phi + phi.transpose(1, 0, 3, 2)


def force_constants_text() -> list[bytes]:
    lines = ["2 2"]
    for i, row in enumerate(force_constants()):
        for j, block in enumerate(row):
            lines += [f"{i + 1} {j + 1}", *(" ".join(f"{v:.12f}" for v in line) for line in block)]
    return ["\n".join(lines).encode()]


def _basis():
    from defectgen.ace import ACEBasis

    return ACEBasis(["Cu"], cutoff=4.0, order=2, degree=4)


def models() -> list[bytes]:
    """A model file, and one of the older format, which no checksum protects."""
    from defectgen.ace import LinearACE

    basis = _basis()
    with tempfile.TemporaryDirectory() as folder:
        new = (
            LinearACE(basis, np.linspace(-1, 1, basis.size), {"truth": "none", "rows": 3})
            .save(Path(folder) / "m.json")
            .read_bytes()
        )
    old = json.loads(new)
    del old["checksum"]
    return [json.dumps({**old, "format": "defectgen linear ACE 1"}).encode(), new]


def domains() -> list[bytes]:
    """A domain of every measure that can be made without a fit, and the same in the older format."""
    from defectgen.errors.domain import (
        BySpecies,
        Committee,
        Domain,
        EnergyDeviation,
        Extrapolation,
        Leverage,
        Mahalanobis,
        Neighbours,
    )

    basis, rng = _basis(), np.random.default_rng(0)
    m = basis.size
    columns, rows = {"Cu": np.arange(m)}, rng.normal(size=(20, m))
    kinds = {"extrapolation": Extrapolation, "neighbours": Neighbours, "mahalanobis": Mahalanobis}
    measures: dict[str, Any] = {name: BySpecies(kind, columns, {"Cu": kind.fitted(rows)}) for name, kind in kinds.items()}
    measures["committee"] = Committee(rng.normal(size=(3, m)))
    measures["energy_deviation"] = EnergyDeviation(Leverage(np.eye(m), np.zeros((m, 0)), np.ones(m), 0.1))
    domain = Domain(
        basis, measures, dict.fromkeys(measures, 1.5), "extrapolation", np.ones(m), {"cells": 3, "environments": {"Cu": 20}}
    )
    with tempfile.TemporaryDirectory() as folder:
        new = domain.save(Path(folder) / "d.npz").read_bytes()
    with np.load(io.BytesIO(new)) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays["header"]))
    del header["checksum"]
    arrays["header"] = np.array(json.dumps({**header, "format": "defectgen domain 1"}))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return [buffer.getvalue(), new]


# ---- readers
def read_study(path: Path) -> Any:
    from defectgen import campaign, study

    return campaign.in_order(study.plan(study.load(path)))


def read_domain(path: Path) -> Any:
    from defectgen.errors import load_domain

    return str(load_domain(path))


def read_model(path: Path) -> Any:
    from defectgen.ace import load_model

    return load_model(path)


def read_frames(path: Path) -> Any:
    from defectgen.bridge import read_extxyz

    return read_extxyz(path)


def read_labelled(path: Path) -> Any:
    """As the planner reads what was labelled for it."""
    from defectgen.bridge import LabelledReference, read_extxyz
    from defectgen.crystal import Snapshot, fcc, supercell

    crystal = fcc("Cu", 3.615)
    cell = supercell(crystal, 2)
    return LabelledReference(tuple(read_extxyz(path)), crystal, 0.015, 8.0).knows(Snapshot(cell, cell.positions, cell.vectors))


def read_dataset(path: Path) -> Any:
    from defectgen.bridge import dataset_from_extxyz, dataset_from_hdf5

    return dataset_from_hdf5(path) if path.suffix == ".hdf5" else dataset_from_extxyz(path, "config_type")


def read_eam(path: Path) -> Any:
    from defectgen.reference import EAM

    return EAM(path)


def read_sw(path: Path) -> Any:
    from defectgen.reference import StillingerWeber

    return StillingerWeber.from_file(path)


def read_force_constant_arrays(path: Path) -> Any:
    from defectgen.bridge import read_force_constant_arrays

    return read_force_constant_arrays(path)


def read_tersoff(path: Path) -> Any:
    from defectgen.reference import Tersoff

    return Tersoff(path)


def read_fitsnap(path: Path) -> Any:
    from defectgen.bridge import read_dataset

    return str(read_dataset(path))


def read_measured_constants(path: Path) -> Any:
    from defectgen.bridge import read_force_constants

    if path.suffix:
        return str(read_force_constants(path))
    (path.parent / "SPOSCAR").write_text(POSCAR)
    return str(read_force_constants(path, path.parent / "SPOSCAR"))


def read_structure(path: Path) -> Any:
    from defectgen.bridge import cell_from_ase, from_ase

    return cell_from_ase(path), from_ase(path)


def frames() -> list[bytes]:
    other = FRAME.replace("-3.25", "-3.0").replace("Ni 4.0 4.0 4.0", "Al 4.1 4.0 4.0").replace("=defect", "=other")
    return [FRAME.encode(), (FRAME + other).encode()]


READERS: dict[str, Reader] = {
    "study": Reader(lambda: [STUDY.encode(), OTHER_STUDY.encode()], ".toml", read_study, toml_changed),
    "extxyz": Reader(frames, ".extxyz", read_frames),
    "labelled": Reader(frames, ".extxyz", read_labelled),
    "data set, extxyz": Reader(frames, ".xyz", read_dataset),
    "data set, HDF5": Reader(molecules, ".hdf5", read_dataset, hdf5_changed),
    "model": Reader(models, ".json", read_model, json_changed),
    "domain": Reader(domains, ".npz", read_domain, npz_changed),
    "EAM": Reader(eam_tables, ".eam", read_eam),
    "sw": Reader(lambda: [SW.encode()], ".sw", read_sw),
    "Tersoff": Reader(lambda: [TERSOFF.encode()], ".tersoff", read_tersoff),
    "yace": Reader(lambda: [YACE.encode()], ".yace", read_model),
    "FitSNAP": Reader(fitsnap, ".json", read_fitsnap, json_changed),
    "FORCE_SETS": Reader(force_sets, "", read_measured_constants),
    "phonopy.yaml": Reader(phonopy_yaml, ".yaml", read_measured_constants),
    "phonopy, text": Reader(force_constants_text, "", read_force_constant_arrays),
    "phonopy, HDF5": Reader(
        lambda: [hdf5({"force_constants": force_constants(), "p2s_map": np.arange(2)})],
        ".hdf5",
        read_force_constant_arrays,
        hdf5_changed,
    ),
    "POSCAR": Reader(lambda: [POSCAR.encode()], ".vasp", read_structure),
    "CIF": Reader(lambda: [CIF.encode()], ".cif", read_structure),
}


# ---- one input
def judged(read: Callable[[Path], Any], path: Path, show: bool = False, seconds: float = SECONDS) -> tuple[str, str]:
    """The outcome of one input and what was said."""
    from defectgen import InputError

    def ring(*_: object) -> None:
        raise Hang

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
        outcome, said = ACCEPTED, ""
    except InputError as error:
        said = str(error)
        outcome = REFUSED if said and said == " ".join(said.split()) and len(said) <= 1000 else FOREIGN
        if show:
            traceback.print_exc()
    except Hang:
        outcome, said = HANG, f"more than {seconds} s"
    except MemoryError as error:
        outcome, said = MEMORY, str(error)
    except Exception as error:
        outcome, said = FOREIGN, f"{type(error).__name__}: {error}"
        if show:
            traceback.print_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    return (MEMORY, f"{grown >> 10} MiB") if grown > GROWTH else (outcome, said)


class Inputs:
    """Input k of a seed; readers take turns."""

    def __init__(self, seed: int, names: list[str]):
        self.seed, self.names = seed, names
        self.valid = {name: READERS[name].seeds() for name in names}

    def name(self, k: int) -> str:
        return self.names[k % len(self.names)]

    def content(self, k: int) -> bytes:
        name = self.name(k)
        rng = np.random.default_rng([self.seed, k])
        seeds = self.valid[name]
        return mutated(seeds[rng.integers(len(seeds))], READERS[name], rng)


def work(inputs: Inputs, first: int, count: int) -> None:
    """Read inputs and print a line for each; the child."""
    import defectgen.study  # noqa: F401  (imports are not what is limited)

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, used + ADDRESSES))
    with tempfile.TemporaryDirectory() as folder:
        for k in range(first, count):
            reader = READERS[inputs.name(k)]
            path = Path(folder) / f"input{reader.suffix}"
            path.write_bytes(inputs.content(k))
            print(json.dumps([k, inputs.name(k), *judged(reader.read, path)]), flush=True)


def fuzzed(seed: int, count: int, names: list[str]) -> list[tuple[int, str, str, str]]:
    """(number, reader, outcome, what was said) of all inputs, from children that are started again where they are lost."""
    results: list[tuple[int, str, str, str]] = []
    while len(results) < count:
        before = len(results)
        command = [sys.executable, __file__, str(count), "--seed", str(seed), "--first", str(before), "--child"]
        command += [word for name in names for word in ("--reader", name)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            silent = threading.Event()

            def stop(child=child, silent=silent) -> None:
                silent.set()
                child.kill()

            while True:
                watch = threading.Timer(SILENCE, stop)
                watch.start()
                line = child.stdout.readline()
                watch.cancel()
                if not line:
                    break
                k, name, outcome, said = json.loads(line)
                results.append((k, name, outcome, said))
        if len(results) < count:
            if child.returncode > 0:
                raise RuntimeError("the child ended with an exception of its own")
            results.append(
                (len(results), names[len(results) % len(names)], HANG if silent.is_set() else CRASH, "the process was lost")
            )
    return results


def table(results: list[tuple[int, str, str, str]]) -> str:
    """Outcomes by reader, and an example of every fault."""
    counts = Counter((name, outcome) for _, name, outcome, _ in results)
    columns = (ACCEPTED, REFUSED, *FAULTS)
    lines = [f"{'reader':<18}" + "".join(f"{c:>10}" for c in columns)]
    for name in dict.fromkeys(r[1] for r in results):
        lines.append(f"{name:<18}" + "".join(f"{counts[name, c]:>10}" for c in columns))
    lines.append(f"{'all':<18}" + "".join(f"{sum(r[2] == c for r in results):>10}" for c in columns))
    seen: Counter[tuple[str, str]] = Counter()
    for k, name, outcome, said in results:
        if outcome in FAULTS:
            seen[name, said[:60]] += 1
            if seen[name, said[:60]] == 1:
                lines.append(f"{outcome}: {name}, input {k}: {' '.join(said.split())[:200]}")
    return "\n".join(lines)


def main() -> int:
    """Exit status: 0 if every input was accepted or refused in a sentence, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--reader", action="append", choices=list(READERS), help="only this one; may be given several times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="K", help="repeat one input, with its traceback")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the input of --only there")
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.reader or list(READERS)
    if given.child:
        work(Inputs(given.seed, names), given.first, given.count)
        return 0
    if given.only is not None:
        inputs = Inputs(given.seed, names)
        reader = READERS[inputs.name(given.only)]
        folder = given.keep or Path(tempfile.mkdtemp())
        path = folder / f"input{given.only}{reader.suffix}"
        path.write_bytes(inputs.content(given.only))
        print(inputs.name(given.only), path, *judged(reader.read, path, show=True))
        return 0
    start = time.perf_counter()
    results = fuzzed(given.seed, given.count, names)
    print(table(results))
    print(f"{len(results)} inputs, seed {given.seed}, {time.perf_counter() - start:.0f} s")
    return int(any(outcome in FAULTS for _, _, outcome, _ in results))


if __name__ == "__main__":
    sys.exit(main())
