"""Observations of configurations: energies, forces and virials."""

from dataclasses import dataclass

import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Float
from ..crystal.lattice import Lattice
from ..crystal.snapshot import Snapshot
from ..energy.blackbox import BlackBox
from ..energy.bonds import bonds, pad
from ..energy.crystal_state import crystal_force_constants, crystal_response
from ..energy.perfect import ForceConstants as Constants
from ..energy.perfect import bulk_site_energies
from ..energy.potential import Potential
from ..energy.total import site_energies
from .observation import Observation, Response, respond, wanted

# ------ What a fit may hold exactly: elastic constants, and the formation energy of one configuration


@dataclass(frozen=True, eq=False)
class ElasticConstants(Observation):
    """C: the 21 elastic constants (6 in a plane) of a crystal at zero stress, eV/A^3, as linear functions of its force constants.

    C_abcd = S_ac,bd + S_bc,ad - S_ab,cd with S = -1/(2 Omega) sum Phi_ab rho_c rho_d (theory: crystal/elastic-constants), to
    which sublattices add (X'E_su + E_us X + X'E_uu X) / Omega. Their strain X = -E_uu^+ E_us is the reference's: there the
    energy is stationary, so the rows of another potential miss its own C by the square of its error in X only (a Bravais lattice
    has none).
    """

    lattice: Lattice
    inner: Float[np.ndarray, "moves 6"]
    """X, A: displacement of the sublattices in a unit strain of the reference."""
    group: str = "bulk"  # pyright: ignore[reportIncompatibleMethodOverride]  a field is a property too

    __repr__ = brief
    kind = "C"

    @classmethod
    def of(cls, lattice: Lattice, constants: Constants) -> "ElasticConstants":
        """The observation with the inner strain of a reference's force constants.

        Parameters
        ----------
        lattice : Lattice
            The relaxed perfect crystal.
        constants : ForceConstants
            Of the reference, for the infinite crystal, eV/A^2.

        Returns
        -------
        ElasticConstants
            The observation.

        Raises
        ------
        InputError
            If they are the force constants of a supercell.
        """
        if constants.supercell is not None:
            raise InputError(
                "elastic constants as rows need the force constants of the infinite crystal, so a reference with jets"
            )
        _, mixed, inner = _second_derivatives(lattice, constants.separations, constants.first, constants.second, constants.phi)
        return cls(lattice, -np.linalg.pinv(inner, rcond=1e-9) @ mixed)

    @property
    def atoms(self) -> int:
        return self.lattice.sublattices

    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        c = crystal_force_constants(self.lattice, energy)
        strain, mixed, inner = _second_derivatives(self.lattice, c.separations, c.first, c.second, c.phi)
        x = self.inner
        cross = np.einsum("im,in...->mn...", x, mixed)
        whole = strain + cross + np.swapaxes(cross, 0, 1) + np.einsum("im,ij...,jn->mn...", x, inner, x)
        kept = [0, 1, 5] if self.lattice.dimension == 2 else range(6)
        return np.stack([whole[m, n] for m in kept for n in kept if m <= n]) / self.lattice.volume


def _second_derivatives(lattice: Lattice, rho: np.ndarray, first: np.ndarray, second: np.ndarray, phi: np.ndarray):
    """E_ss (6, 6), E_us (3 s, 6), E_uu (3 s, 3 s) of the primitive cell at zero stress, eV, eV/A, eV/A^2, channels trailing."""
    s, channels = lattice.sublattices, phi.shape[3:]
    bracket = -np.einsum("pab...,pc,pd->abcd...", phi, rho, rho) / 2  # Omega S
    born = np.einsum("acbd...->abcd...", bracket) + np.einsum("bcad...->abcd...", bracket) - bracket
    strain = np.stack([np.stack([born[a, b, c, d] for c, d in VOIGT]) for a, b in VOIGT])
    mixed, inner = np.zeros((s, 3, 6, *channels)), np.zeros((s, 3, s, 3, *channels))
    for p, (i, j) in enumerate(zip(first, second, strict=True)):
        force = np.einsum("ac...,d->acd...", phi[p], rho[p])
        mixed[i] += np.stack([(force[:, c, d] + force[:, d, c]) / 2 for c, d in VOIGT], axis=1)
        if np.linalg.norm(rho[p]) > 1e-8:  # on-site terms by the sum rule
            inner[i, :, j] += phi[p]
            inner[i, :, i] -= phi[p]
    return strain, mixed.reshape(3 * s, 6, *channels), inner.reshape(3 * s, 3 * s, *channels)


@dataclass(frozen=True, eq=False)
class SnapshotObservation(Observation):
    """An observation of one configuration, with its group and number of atoms."""

    snapshot: Snapshot

    @property
    def group(self) -> str:
        return self.snapshot.group

    @property
    def atoms(self) -> int:
        return len(self.snapshot.cell)


@dataclass(frozen=True, eq=False)
class FormationEnergy(SnapshotObservation):
    """Ef: E - N E_bulk of one periodic configuration, eV (without chemical potentials), one row."""

    kind = "Ef"

    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        cell = self.snapshot.cell
        if cell.clamped:
            raise InputError("a formation energy is observed in a periodic cell; a clamped ball has surfaces that count")
        if isinstance(energy, BlackBox):
            whole = respond(energy, self.snapshot, stress=False).energy
            bulk = crystal_response(cell.lattice, energy, False)[0]
            return (np.asarray(whole) - len(cell) / cell.lattice.sublattices * np.asarray(bulk))[None]
        # site by site: of totals the rounding is that of N sites, and a row of large functions loses 1e-9 eV for 13,500 atoms
        near = bonds(self.snapshot.positions, cell.vectors, cell.periodic, cell.symbols, energy)
        placed = pad(self.snapshot.positions, len(near.index))
        values = np.asarray(site_energies(energy, placed, cell.vectors, near))[: len(cell)]
        return (values - np.mean(bulk_site_energies(cell.lattice, energy), axis=0)).sum(axis=0)[None]


# ------ Energy, forces and virial of one configuration: the observations that every electronic-structure code delivers

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""xx yy zz yz xz xy."""


@dataclass(frozen=True, eq=False)
class FiniteObservation(SnapshotObservation):
    """An observation that reads its rows from the first-order response of a snapshot, so that kinds share one evaluation."""

    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        return self.read(respond(energy, self.snapshot, stress=self.stress))

    stress = False
    """Whether the response must contain a virial."""

    def read(self, response: Response) -> Float[np.ndarray, " rows *channels"]:
        """The rows, from a response that is already there.

        Parameters
        ----------
        response : Response
            Of the snapshot.

        Returns
        -------
        array, (rows, ...)
            Labels, or one column per channel of a basis.

        Raises
        ------
        InputError
            If a label is missing.
        """
        raise TypeError(f"{type(self).__name__} says how its rows are read from a response")

    @property
    def row_weights(self) -> Float[np.ndarray, " rows"] | None:
        """The weight of the configuration; None if it is one."""
        return None if self.snapshot.weight == 1.0 else np.full(self.count, float(self.snapshot.weight))

    @property
    def count(self) -> int:
        """Number of rows."""
        return 1


@dataclass(frozen=True, eq=False)
class Energy(FiniteObservation):
    """E: one row, sum_l V_l / N, eV/atom; enters a loss as dE/sqrt(N)."""

    kind = "E"

    @property
    def scale(self) -> float:
        return float(np.sqrt(self.atoms))

    def read(self, response: Response) -> np.ndarray:
        return wanted(response, "energy", self.snapshot)[None] / self.atoms


@dataclass(frozen=True, eq=False)
class Forces(FiniteObservation):
    """F: forces on the free atoms, eV/A, each row weighted (1 + |l|)^distance_power.

    |l| is the distance to the defect in nearest-neighbour spacings.

    theory: bounds/observation-errors (the weighted force error is what the geometry bound contains at distance_power = 1).
    """

    distance_power: float = 0.0
    kind = "F"

    def _rows(self) -> tuple[np.ndarray, int]:
        return np.flatnonzero(self.snapshot.cell.free), self.snapshot.cell.lattice.dimension

    def read(self, response: Response) -> np.ndarray:
        free, dimension = self._rows()
        forces = wanted(response, "forces", self.snapshot)[free][:, :dimension]
        return forces.reshape(-1, *forces.shape[2:])

    @property
    def count(self) -> int:
        free, dimension = self._rows()
        return len(free) * dimension

    @property
    def row_weights(self) -> Float[np.ndarray, " rows"] | None:
        """Weights of the configuration, of its atoms, and of the distance to its defect; None if all are one."""
        by_distance = self.distance_power != 0.0 and bool(self.snapshot.cell.defect)
        if not by_distance and self.snapshot.atom_weights is None:
            return super().row_weights
        weights = np.full(self.count, float(self.snapshot.weight))
        if self.snapshot.atom_weights is not None:
            free, dimension = self._rows()
            weights *= np.repeat(np.asarray(self.snapshot.atom_weights, dtype=float)[free], dimension)
        return weights * (1.0 + self.distances) ** self.distance_power if by_distance else weights

    @property
    def distances(self) -> Float[np.ndarray, " rows"]:
        """Distance |l| of every row's atom to the defect, nearest-neighbour spacings."""
        free, dimension = self._rows()
        distance = self.snapshot.cell.distance_to_defect()[free] / self.snapshot.cell.lattice.nearest_neighbour
        return np.repeat(distance, dimension)


@dataclass(frozen=True, eq=False)
class Virial(FiniteObservation):
    """V: the virial -dE/d(strain) / N in Voigt order xx yy zz yz xz xy, eV/atom; enters a loss as dW/sqrt(N)."""

    kind = "V"
    stress = True

    @property
    def count(self) -> int:
        return 6 if self.snapshot.cell.lattice.dimension == 3 else 3

    @property
    def scale(self) -> float:
        return float(np.sqrt(self.atoms))

    def read(self, response: Response) -> np.ndarray:
        virial = wanted(response, "virial", self.snapshot)
        components = VOIGT if self.snapshot.cell.lattice.dimension == 3 else ((0, 0), (1, 1), (0, 1))
        return np.stack([(virial[a, b] + virial[b, a]) / 2 for a, b in components]) / self.atoms


@dataclass(frozen=True, eq=False)
class EquilibriumStress(Virial):
    """V0: the virial of the perfect crystal at F = 1. It belongs to every set: reference and model share one lattice constant."""

    kind = "V0"


@dataclass(frozen=True, eq=False)
class InternalForces(Forces):
    """VF: forces on the sublattices of a strained primitive cell, eV/A. They belong to V: they pin a multilattice."""

    kind = "VF"
