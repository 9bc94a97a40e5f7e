"""Is a stationary point a minimum? Extreme eigenvalues of its Hessian, by Krylov methods that know the perfect crystal."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import lobpcg

from .._typing import Float
from .preconditioner import Preconditioner

Field = Float[np.ndarray, "atoms 3"]
Product = Callable[[Field], Field]

MAX_LANCZOS = 60
"""Lanczos steps; far from the defect P^+ H is the identity, so the few outliers are found in about twenty."""


SMALL = 40
"""Degrees of freedom below which the whole Hessian is formed."""


@dataclass(frozen=True, eq=False)
class Stability:
    """The softest direction of a Hessian H, in two norms."""

    constant: float
    """min <H v, v> / <P v, v>, dimensionless."""
    eigenvalue: float
    """min <H v, v> / <v, v>, eV/A^2."""
    mode: Field
    """Unit vector that attains the eigenvalue."""


def stability(product: Product, precondition: Preconditioner, accuracy: float = 1e-3) -> Stability | None:
    """Strong-stability constant and lowest eigenvalue, to a relative accuracy of about `accuracy`; None if nothing can move."""
    rigid = precondition.cell.lattice.dimension if precondition.rigid else 0
    if precondition.movable.sum() <= rigid:
        return None
    constant, soft = generalised_lowest(product, precondition, accuracy)
    value, mode = lowest_eigenvalue(product, precondition, soft, accuracy)
    return Stability(constant, value, mode)


def generalised_lowest(product: Product, precondition: Preconditioner, accuracy: float = 1e-3) -> tuple[float, Field]:
    """Smallest eigenvalue of H v = lambda P v and its vector, by Lanczos in the inner product of P (only P^+ is applied).

    The start is random, without symmetry, and concentrated at the defect: elsewhere H and P agree.
    """
    cell = precondition.cell
    distance = cell.distance_to_defect() / cell.lattice.nearest_neighbour
    noise = np.random.default_rng(0).standard_normal((len(cell), 3))
    force = precondition.project(noise / (1.0 + distance[:, None] ** 2))
    basis, diagonal, off = [], [], []
    previous, beta = np.zeros_like(force), 0.0
    z = precondition(force)
    size = first = float(np.sqrt(max(np.vdot(force, z), 0.0)))
    theta, weights = np.nan, np.zeros(0)
    for _ in range(MAX_LANCZOS):
        if not size > 1e-10 * first:  # an invariant subspace: the Ritz values are exact
            break
        force, z = force / size, z / size
        basis.append(z)
        image = precondition.project(product(z)) - beta * previous
        diagonal.append(float(np.vdot(z, image)))
        previous, image = force, image - diagonal[-1] * force
        force, z = image, precondition(image)
        beta = size = float(np.sqrt(max(np.vdot(force, z), 0.0)))
        off.append(size)
        tridiagonal = np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1)
        values, vectors = np.linalg.eigh(tridiagonal)
        theta, weights = float(values[0]), vectors[:, 0]
        if len(basis) >= 8 and size * abs(weights[-1]) <= np.sqrt(accuracy) * 0.3 * abs(theta):
            break
    soft = sum((w * q for w, q in zip(weights, basis, strict=True)), np.zeros_like(force))
    return theta, soft


def lowest_eigenvalue(product: Product, precondition: Preconditioner, soft: Field, accuracy: float = 1e-3) -> tuple[float, Field]:
    """Smallest eigenvalue of the Hessian on what can move (eV/A^2) and its unit vector.

    Rayleigh-Ritz on the softest waves of the perfect crystal and the softest direction of the defect, then LOBPCG with the
    Green's function (A. V. Knyazev, SIAM J. Sci. Comput. 23, 517 (2001)).
    """
    mask = precondition.movable
    count = int(mask.sum())

    def unpack(vector: np.ndarray) -> Field:
        field = np.zeros(mask.shape)
        field[mask] = vector
        return field

    def columns(function: Product) -> Callable[[np.ndarray], np.ndarray]:
        def apply(x: np.ndarray) -> np.ndarray:
            x = x.reshape(count, -1)
            return np.stack([precondition.project(function(unpack(c)))[mask] for c in x.T], axis=1)

        return apply

    hessian, inverse = columns(product), columns(precondition)
    noise = np.random.default_rng(1).standard_normal(mask.shape)
    fields = [soft, precondition(noise), *precondition.waves(precondition.green.softest)]
    few = count <= SMALL  # then all directions at once: the Rayleigh-Ritz values are the eigenvalues
    start = _orthonormal(inverse(np.eye(count)) if few else np.stack([precondition.project(f)[mask] for f in fields], axis=1))
    values, vectors = np.linalg.eigh(_symmetric(start.T @ hessian(start)))
    if few:
        return float(values[0]), unpack(start @ vectors[:, 0])
    block = min(3, start.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it ran all its iterations; the accuracy is judged by the tests
        found, modes = lobpcg(
            hessian,
            start @ vectors[:, :block],
            M=inverse,
            Y=_translations(mask) if precondition.rigid else None,
            tol=np.sqrt(accuracy) * max(abs(values[0]), 1e-8),
            maxiter=40,
            largest=False,
        )
    return float(found[0]), unpack(modes[:, 0])


def _orthonormal(x: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n r"]:
    """An orthonormal basis of the columns' span; directions below rounding are dropped."""
    norms = np.linalg.norm(x, axis=0)
    x = x[:, norms > 1e-12] / norms[norms > 1e-12]
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return u[:, s > 1e-8 * s[0]]


def _symmetric(a: np.ndarray) -> np.ndarray:
    return (a + a.T) / 2


def _translations(mask: np.ndarray) -> Float[np.ndarray, "movable axes"]:
    """Unit translations along the axes that can move."""
    axes = np.nonzero(mask)[1]
    y = np.stack([(axes == a).astype(float) for a in np.unique(axes)], axis=1)
    return y / np.linalg.norm(y, axis=0)
