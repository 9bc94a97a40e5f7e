"""A crystal lattice: primitive vectors, a motif of atoms, and the conventional cell that people count in."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._input import InputError
from .._typing import Float, Int


@dataclass(frozen=True, eq=False)
class Lattice:
    """The perfect crystal: every atom sits at `t @ vectors + motif[b]`, t integer, b a sublattice.

    A two-dimensional crystal lies in the plane z = 0; its third vector is (0, 0, 1) and is not periodic.
    """

    name: str
    vectors: Float[np.ndarray, "3 3"]
    """Primitive vectors as rows, A."""
    motif: Float[np.ndarray, "sublattices 3"]
    """Cartesian positions of the atoms of the primitive cell, A."""
    species: tuple[str, ...]
    """Chemical symbol of each sublattice."""
    conventional: Int[np.ndarray, "3 3"]
    """Conventional vectors as rows, in units of the primitive ones."""
    dimension: int = 3

    def __post_init__(self):
        if len(self.species) != len(self.motif):
            raise InputError(
                f"a lattice wants one symbol per atom of its motif; got {len(self.species)} symbols for {len(self.motif)} atoms"
            )
        if not np.all(np.isfinite(self.vectors)) or abs(np.linalg.det(self.vectors)) < 1e-6:
            raise InputError(f"the primitive vectors of {self.name} must be finite and span space; got {self.vectors.tolist()}")

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Directions in which the crystal repeats."""
        return (True, True, self.dimension == 3)

    @property
    def sublattices(self) -> int:
        """Number of atoms in the primitive cell."""
        return len(self.motif)

    @property
    def volume(self) -> float:
        """Volume of the primitive cell, A^3 (its area, A^2, in two dimensions)."""
        return float(abs(np.linalg.det(self.vectors)))

    @cached_property
    def nearest_neighbour(self) -> float:
        """Shortest distance between two atoms, A: the length unit of training radii."""
        span = np.arange(-2, 3)
        third = span if self.dimension == 3 else np.array([0])
        t = np.stack(np.meshgrid(span, span, third, indexing="ij"), -1).reshape(-1, 3)
        d = (t @ self.vectors)[:, None, None] + self.motif[None, None] - self.motif[None, :, None]
        r = np.linalg.norm(d, axis=-1)
        return float(r[r > 1e-8].min())

    def deformed(self, deformation: Float[np.ndarray, "3 3"]) -> "Lattice":
        """The lattice under x -> F x, sublattices carried along affinely."""
        return replace(self, vectors=self.vectors @ deformation.T, motif=self.motif @ deformation.T)

    def with_motif(self, motif: Float[np.ndarray, "sublattices 3"]) -> "Lattice":
        """The same Bravais lattice with its sublattices shifted."""
        return replace(self, motif=motif)
