"""Crystal data sets: structures of one composition, thermal conformations of each, their labels and rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import jax.numpy as jnp
import numpy as np

from .._input import InputError
from .._typing import Float, Int
from ..ace import ACEBasis
from ..crystal.cell import Cell, supercell
from ..crystal.cut import slab
from ..crystal.lattice import Lattice, widths
from ..crystal.naming import defect_from_name
from ..crystal.snapshot import Snapshot
from ..dataset import Configuration
from ..energy.bonds import bonds, pad
from ..energy.crystal_state import crystal_force_constants
from ..energy.potential import Potential
from ..energy.site import SiteEnergy
from ..energy.total import channel_rows, energy_forces_virial
from ..observe import ForceConstants, Response, respond
from ..observe.observation import wanted
from .blocks import Block
from .compress import Compressor
from .dynamics import BUCKET, thermalise

# ------ Structures of a crystal data set: a phase at a volume, a defect and a cell; what stays when atoms move

NONE, SURFACE = "none", "surface"
"""In place of a defect: the perfect crystal, and a slab between two gaps."""


@dataclass(frozen=True)
class CrystalStructure:
    """One structure by its four parts; `name` is its id in a data set."""

    phase: str
    defect: str
    """A name of `defect_from_name`, or NONE, or SURFACE."""
    size: tuple[int, int, int]
    """Conventional cells."""
    dilation: float = 0.0
    """Change of all lengths, as a part, from the phase's own volume at zero pressure."""

    @property
    def name(self) -> str:
        """Such as "fcc vacancy 2x2x3 +2%"."""
        return f"{self.phase} {self.defect} {'x'.join(map(str, self.size))} {100 * self.dilation:+g}%"

    def cell(self, lattice: Lattice) -> Cell:
        """The unrelaxed cell, of the phase's relaxed lattice. Raises InputError where the defect does not fit."""
        there = lattice.deformed((1 + self.dilation) * np.eye(3)) if self.dilation else lattice
        if self.defect == SURFACE:
            return slab(there, self.size)
        whole = supercell(there, self.size)
        return whole if self.defect == NONE else defect_from_name(self.defect).apply(whole)


def repeats(lattice: Lattice, width: Sequence[float]) -> tuple[int, int, int]:
    """Conventional cells along each vector so that opposite faces of the box are at least so far apart (A)."""
    found = np.ceil(np.asarray(width, dtype=float) / widths(lattice.conventional @ lattice.vectors) - 1e-9).astype(int)
    return (int(found[0]), int(found[1]), int(found[2]))


def crystal_structures(
    lattices: Mapping[str, Lattice],
    defects: Iterable[str],
    cells: Iterable[Sequence[float]],
    dilations: Iterable[float] = (0.0,),
) -> tuple[dict[str, CrystalStructure], dict[str, str]]:
    """Every phase with every defect in every cell at every dilation, by name; and those that cannot be made, with the reason.

    `lattices` are the relaxed phases; `cells` are three widths each (A), so that phases of different shapes have similar cells.
    Raises InputError if nothing can be made.
    """
    found: dict[str, CrystalStructure] = {}
    refused: dict[str, str] = {}
    wanted = list(defects), [tuple(c) for c in cells], list(dilations)
    for phase, lattice in lattices.items():
        for defect in wanted[0]:
            for width in wanted[1]:
                for dilation in wanted[2]:
                    one = CrystalStructure(phase, defect, repeats(lattice, width), dilation)
                    try:
                        one.cell(lattice)
                        found[one.name] = one
                    except InputError as error:
                        refused[one.name] = str(error)
    if not found:
        raise InputError(
            f"no structure can be made of {len(lattices)} phases, {len(wanted[0])} defects and {len(wanted[1])} cells"
            + (f", such as {next(iter(refused))}: {next(iter(refused.values()))}" if refused else "; give at least one of each")
        )
    return found, refused


# ------ Conformations of a crystal structure by explicit laws: a random homogeneous strain, rattled atoms, or a thermal snapshot

STRAYED = 0.5
"""Nearest-neighbour spacings: an atom farther from its site has hopped, or its phase is falling apart."""


@dataclass(frozen=True)
class Law:
    """How one conformation is drawn: the box is strained, then the atoms are set in motion or rattled."""

    temperature: float = 0.0
    """K of short Langevin dynamics with the reference; 0 for none."""
    rattle: float = 0.0
    """Standard deviation of each displacement component, A."""
    strain: float = 0.0
    """Standard deviation of each component of a random symmetric strain of the box, off-diagonal ones times 1/sqrt(2)."""

    def __post_init__(self):
        numbers = (self.temperature, self.rattle, self.strain)
        if (
            any(not 0 <= n < np.inf for n in numbers)
            or not any(numbers)
            or (self.temperature and self.rattle)
            or self.strain > 0.2
        ):
            raise InputError(
                "a law is a temperature (K) or a rattle (A), with a strain (up to 0.2), or a strain alone; got "
                f"temperature {self.temperature:g}, rattle {self.rattle:g}, strain {self.strain:g}"
            )

    @property
    def name(self) -> str:
        """Such as "600 K, strained 1%"."""
        moved = f"{self.temperature:g} K" if self.temperature else f"rattled {self.rattle:g} A" if self.rattle else ""
        return ", ".join(filter(None, (moved, f"strained {100 * self.strain:g}%" if self.strain else "")))


def conformation(cell: Cell, law: Law, truth: Potential, seed: list[int], group: str = "") -> Snapshot:
    """One conformation of a cell under a law; equal seeds give equal ones. Dynamics are those of `truth`.

    Raises InputError for dynamics with a reference that has no site energies (they take a hundred evaluations each).
    """
    rng = np.random.default_rng([*seed, 1])
    deformation = np.eye(3)
    if law.strain:
        random = law.strain * rng.normal(size=(3, 3))
        deformation = deformation + (random + random.T) / 2
    positions, vectors = cell.positions @ deformation.T, cell.vectors @ deformation.T
    if law.rattle:
        positions = positions + law.rattle * rng.normal(size=positions.shape)
    if law.temperature:
        if not isinstance(truth, SiteEnergy):
            raise InputError("thermal conformations need a reference of site energies; draw them elsewhere, or use a rattle")
        positions = thermalise(truth, cell.symbols, positions, vectors, cell.periodic, law.temperature, [*seed, 2]).positions
    return Snapshot(cell, positions, vectors, group or law.name)


def strayed(snapshot: Snapshot) -> float:
    """The largest distance of an atom from where the strained box would have put it, nearest-neighbour spacings."""
    cell = snapshot.cell
    rest = cell.positions @ np.linalg.solve(cell.vectors, snapshot.vectors)
    away = snapshot.positions - rest
    return float(np.linalg.norm(away - away.mean(axis=0), axis=1).max() / cell.lattice.nearest_neighbour)


def configurations(
    structure: str, cell: Cell, law: Law, count: int, truth: Potential, seed: int, first: int = 0
) -> list[Configuration]:
    """Conformations number `first` to `first + count - 1` of one structure and law, labelled with energy, forces and virial.

    Number k is the same for any count. `source` says how far an atom strayed from its site.
    """
    found = []
    for number in range(first, first + count):
        snapshot = conformation(cell, law, truth, [seed, crc32(structure.encode()), crc32(law.name.encode()), number])
        energy, forces, virial = _labels(snapshot, truth)
        found.append(
            Configuration(
                *(structure, number, cell.symbols, snapshot.positions, law.name),
                energy=energy,
                forces=forces,
                vectors=snapshot.vectors,
                periodic=cell.periodic,
                source=f"strayed {strayed(snapshot):.3f} spacings",
                virial=virial,
            )
        )
    return found


def _labels(snapshot: Snapshot, truth: Potential) -> tuple[float, Float[np.ndarray, "atoms 3"], Float[np.ndarray, "3 3"]]:
    """Energy (eV), forces (eV/A) and virial (eV)."""
    cell, count = snapshot.cell, len(snapshot.cell)
    if not isinstance(truth, SiteEnergy):
        answer = respond(truth, snapshot)
        return float(wanted(answer, "energy", snapshot)), wanted(answer, "forces", snapshot), wanted(answer, "virial", snapshot)
    near = bonds(snapshot.positions, snapshot.vectors, cell.periodic, cell.symbols, truth, bucket=BUCKET)
    x = pad(snapshot.positions, near.index.shape[0])
    values, forces, virial = energy_forces_virial(truth, x, snapshot.vectors, near)
    return float(np.sum(np.asarray(values)[:count])), np.asarray(forces)[:count], np.asarray(virial)


# ------ Observations of crystals besides energies and forces


def response_rows(c: Configuration, basis: ACEBasis) -> Response:
    """Rows of energy (eV), forces (eV/A) and virial (eV) of one configuration, from one evaluation."""
    vectors = np.eye(3) if c.vectors is None else c.vectors
    near = bonds(c.positions, vectors, c.periodic, c.symbols, basis, bucket=BUCKET)
    x = jnp.asarray(pad(c.positions, near.index.shape[0]))
    energy, forces, virial = (np.asarray(a) for a in channel_rows(basis, x, jnp.asarray(vectors), near))
    return Response(energy, forces[: len(c)], virial)


def virial_block(
    rows: Float[np.ndarray, "configurations 6 columns"],
    virials: Float[np.ndarray, "configurations 3 3"],
    atoms: Int[np.ndarray, " configurations"],
    group: str,
    truth: str = "",
) -> Block:
    """V of configurations with different numbers of atoms, from rows and labels in eV.

    Like their energies: errors are in eV/atom, and in the loss a virial counts W / sqrt(atoms).
    """
    columns = rows.shape[2]
    labels = np.array([voigt(v) for v in virials])
    plain, weighted = (Compressor(columns, f"virials of {group!r}") for _ in range(2))
    for own, label, count in zip(rows, labels, atoms, strict=True):
        plain.add(own / count, label / count)
        weighted.add(own / np.sqrt(count), label / np.sqrt(count))
    return Block("V", group, 0, 1.0, labels.size, weighted.factor(), plain.factor(), truth)


def force_constant_block(lattice: Lattice, truth: Potential, basis: ACEBasis, group: str) -> Block:
    """FC of a relaxed phase: rows for the basis and labels of the reference, eV/A^2.

    They are defined wherever the phase is stationary; whether it is stable is the caller's question (`check_stable`).
    """
    observation = ForceConstants(lattice, 2 * max(basis.cutoff, getattr(truth, "cutoff", basis.cutoff)), group=group)
    compressor = Compressor(basis.size, f"force constants of {group}")
    labels = observation.read(crystal_force_constants(lattice, truth))
    compressor.add(observation(basis), labels)
    return Block("FC", group, 0, 1.0, len(labels), compressor.factor())


def voigt(virial: Float[np.ndarray, " 3 3 *channels"]) -> Float[np.ndarray, " 6 *channels"]:
    """xx yy zz yz xz xy of a virial."""
    pairs = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    return np.stack([(virial[a, b] + virial[b, a]) / 2 for a, b in pairs])
