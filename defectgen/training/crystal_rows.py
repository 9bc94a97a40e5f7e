"""What crystals can be observed by beside energies and forces: virials of their configurations, and force constants of phases."""

import jax.numpy as jnp
import numpy as np

from .._typing import Float, Int
from ..ace import ACEBasis
from ..crystal.lattice import Lattice
from ..dataset import Configuration
from ..energy.bonds import bonds, pad
from ..energy.functional import Potential, crystal_force_constants
from ..energy.total import channel_rows
from ..observe import ForceConstants, Response
from .blocks import Block
from .compress import Compressor
from .dynamics import BUCKET


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
    """FC of a phase at rest: rows for the basis and labels of the reference, eV/A^2.

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
