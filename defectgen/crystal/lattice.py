"""A crystal lattice: primitive vectors, a motif of atoms, and the conventional cell that people count in."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._input import InputError, came
from .._typing import Float, Int
from .reduction import image_steps, reduced_basis


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
        for name, shape in (("vectors", "(3, 3)"), ("motif", "(atoms, 3)"), ("conventional", "(3, 3)")):
            array = np.asarray(getattr(self, name))
            if (
                array.dtype.kind not in "fiu"
                or array.ndim != 2
                or array.shape[1] != 3
                or ("atoms" not in shape and len(array) != 3)
            ):
                raise InputError(f"the {name} of a lattice are numbers of shape {shape}; got {came(getattr(self, name))}")
        if len(self.species) != len(self.motif):
            raise InputError(
                f"a lattice wants one symbol per atom of its motif; got {len(self.species)} symbols for {len(self.motif)} atoms"
            )
        if not np.all(np.isfinite(self.motif)):
            raise InputError(f"the motif of {self.name} must be finite numbers; got {self.motif.tolist()}")
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
        from scipy.spatial import KDTree

        basis = reduced_basis(self.vectors[: self.dimension])
        fractional = self.motif @ np.linalg.pinv(basis)
        wrapped = self.motif - np.floor(fractional) @ basis
        images = image_steps(self.dimension, 2) @ basis
        tree = KDTree((wrapped[None] + images[:, None]).reshape(-1, 3))
        return float(tree.query(wrapped, k=2)[0][:, 1].min())

    def deformed(self, deformation: Float[np.ndarray, "3 3"]) -> "Lattice":
        """The lattice under x -> F x, sublattices carried along affinely."""
        return replace(self, vectors=self.vectors @ deformation.T, motif=self.motif @ deformation.T)

    def with_motif(self, motif: Float[np.ndarray, "sublattices 3"]) -> "Lattice":
        """The same Bravais lattice with its sublattices shifted."""
        return replace(self, motif=motif)
