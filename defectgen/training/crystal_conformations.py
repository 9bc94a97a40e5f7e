"""Conformations of a crystal structure by explicit laws: a random homogeneous strain, rattled atoms, or a thermal snapshot."""

from dataclasses import dataclass
from zlib import crc32

import jax.numpy as jnp
import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.cell import Cell
from ..crystal.snapshot import Snapshot
from ..dataset import Configuration
from ..energy.bonds import bonds, pad
from ..energy.functional import Potential
from ..energy.site import SiteEnergy
from ..energy.total import energy_forces_virial
from ..observe import respond
from ..observe.response import wanted
from .dynamics import BUCKET, thermalise

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
            raise InputError("thermal conformations want a reference of site energies; draw them elsewhere, or use a rattle")
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

    Number k is the same whatever the count. `source` says how far an atom strayed from its site.
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
    x = jnp.asarray(pad(snapshot.positions, near.index.shape[0]))
    values, forces, virial = energy_forces_virial(truth, x, jnp.asarray(snapshot.vectors), near)
    return float(np.sum(np.asarray(values)[:count])), np.asarray(forces)[:count], np.asarray(virial)
