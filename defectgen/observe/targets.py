"""What a designer may want exactly right: elastic constants, and the formation energy of one configuration."""

from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.lattice import Lattice
from ..crystal.snapshot import Snapshot
from ..energy.blackbox import BlackBox
from ..energy.functional import Potential, crystal_force_constants, crystal_response
from ..energy.perfect import ForceConstants as Constants
from ..energy.perfect import bulk_energy
from .finite import VOIGT
from .observation import Observation
from .response import respond


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
    kind = "C"

    @classmethod
    def of(cls, lattice: Lattice, constants: Constants) -> "ElasticConstants":
        """With the inner strain of a reference's force constants. Raises InputError if they are those of a supercell."""
        if constants.supercell is not None:
            raise InputError(
                "elastic constants as rows want the force constants of the infinite crystal, so a reference with jets"
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
class FormationEnergy(Observation):
    """Ef: E - N E_bulk of one periodic configuration, eV (without chemical potentials), one row."""

    snapshot: Snapshot
    kind = "Ef"

    @property
    def group(self) -> str:
        return self.snapshot.group

    @property
    def atoms(self) -> int:
        return len(self.snapshot.cell)

    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        cell = self.snapshot.cell
        if cell.clamped:
            raise InputError("a formation energy is observed in a periodic cell; a clamped ball has surfaces that count")
        whole = respond(energy, self.snapshot, stress=False).energy
        if isinstance(energy, BlackBox):
            bulk = crystal_response(cell.lattice, energy, False)[0]
        else:
            bulk = bulk_energy(cell.lattice, energy)
        return (np.asarray(whole) - len(cell) / cell.lattice.sublattices * np.asarray(bulk))[None]
