"""Is a stationary point a minimum? Extreme eigenvalues of its Hessian, by Krylov methods that know the perfect crystal."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import lobpcg

from .._typing import Float
from .preconditioner import Preconditioner

Field = Float[np.ndarray, "atoms 3"]
Product = Callable[[Field], Field]

MAX_LANCZOS = 60
"""Lanczos steps; far from the defect P^+ H is the identity, so the few outliers are found in about twenty."""


CLEAR = 0.02
"""A stability constant above it is positive for any error; below, the lowest eigenvalue is computed as a second route."""


SMALL = 40
"""Degrees of freedom below which the whole Hessian is formed."""


@dataclass(frozen=True, eq=False)
class Stability:
    """The softest direction of a Hessian H, in two norms."""

    constant: float
    """min <H v, v> / <P v, v>, dimensionless."""
    eigenvalue: float | None
    """min <H v, v> / <v, v>, eV/A^2; None if the sign of the constant was clear without it."""
    mode: Field
    """The vector that attains the constant."""
    undecided: str = ""
    """Why a minimum is not distinguished from a saddle point; empty if it is."""


class Eigenpair(NamedTuple):
    """The smallest eigenvalue of H v = lambda P v."""

    value: float
    mode: Field
    """Its vector, <P v, v> = 1."""
    asymmetry: float
    """2-norm of the antisymmetric part of H in the Krylov space, in units of P, or what it makes of `value` if that is more: zero
    but for rounding of a true Hessian."""


def stability(
    product: Product, precondition: Preconditioner, accuracy: float = 1e-3, coarser: Product | None = None
) -> Stability | None:
    """Strong-stability constant of a Hessian, and its lowest eigenvalue where the sign of the constant is not clear.

    Parameters
    ----------
    product : callable
        v -> H v, eV/A^2 times the unit of v.
    precondition : Preconditioner
        Of the cell.
    accuracy : float
        Relative accuracy, about.
    coarser : callable, optional
        The product by differences of forces over twice the step, where `product` is one by differences too.

    Returns
    -------
    Stability or None
        None if nothing can move. theory: bounds/geometry.
    """
    rigid = precondition.cell.lattice.dimension if precondition.rigid else 0
    if precondition.movable.sum() <= rigid:
        return None
    found = lowest_eigenpair(product, precondition, accuracy)
    doubt = sign_in_doubt(found, None, coarser)
    if doubt or found.value > CLEAR:
        return Stability(found.value, None, found.mode, doubt)
    value = lowest_eigenvalue(product, precondition, found.mode, accuracy)[0]
    return Stability(found.value, value, found.mode, sign_in_doubt(found, value))


def sign_in_doubt(found: Eigenpair, eigenvalue: float | None = None, coarser: Product | None = None) -> str:
    """Why the sign of a lowest eigenvalue is not known, in words.

    Parameters
    ----------
    found : Eigenpair
        The lowest eigenpair in the metric P.
    eigenvalue : float, optional
        The lowest eigenvalue, eV/A^2.
    coarser : callable, optional
        The Hessian product by differences of forces over twice the step.

    Returns
    -------
    str
        Empty if the sign is known.
    """
    size, doubt = abs(found.value), ""
    if not np.isfinite(found.value):
        return "stability undecided: the Hessian gave no number"
    if not found.asymmetry < size:
        share = 100 * found.asymmetry / max(size, 1e-300)
        doubt = f"the Hessian is not symmetric (antisymmetric part {share:.0f} % of its lowest eigenvalue)"
    elif coarser is not None and not abs(float(np.vdot(found.mode, coarser(found.mode))) - found.value) < size:
        doubt = "the lowest curvature changes by more than itself when the step of the differences is doubled"
    if doubt:
        return (
            f"stability undecided: {doubt}, so the forces are not smooth over the step of the differences; try another step, "
            "such as dg.ASEReference(calculator, step=1e-4)"
        )
    if eigenvalue is not None and not found.value * eigenvalue > 0 and size > 0:
        return (
            f"stability undecided: lowest eigenvalue {eigenvalue:.3g} eV/A^2 and stability constant {found.value:.3g} differ "
            "in sign"
        )
    return ""


def lowest_eigenpair(product: Product, precondition: Preconditioner, accuracy: float = 1e-3) -> Eigenpair:
    """Smallest eigenvalue of H v = lambda P v and its vector, by Lanczos in the inner product of P (only P^+ is applied).

    Parameters
    ----------
    product : callable
        v -> H v, eV/A^2 times the unit of v.
    precondition : Preconditioner
        P^+ of the cell.
    accuracy : float
        Relative accuracy of the eigenvalue, about.

    Returns
    -------
    Eigenpair
        Value (dimensionless), vector and asymmetry of H.

    Notes
    -----
    The start is random, without symmetry, and concentrated at the defect: elsewhere H and P agree.
    """
    cell = precondition.cell
    distance = cell.distance_to_defect() / cell.lattice.nearest_neighbour
    noise = np.random.default_rng(0).standard_normal((len(cell), 3))
    force = precondition.project(noise / (1.0 + distance[:, None] ** 2))
    basis, images, diagonal, off = [], [], [], []
    previous, beta = np.zeros_like(force), 0.0
    z = precondition(force)
    size = first = float(np.sqrt(max(np.vdot(force, z), 0.0)))
    theta, weights = np.nan, np.zeros(0)
    for _ in range(MAX_LANCZOS):
        if not size > 1e-10 * first:  # an invariant subspace: the Ritz values are exact
            break
        force, z = force / size, z / size
        basis.append(z)
        images.append(precondition.project(product(z)))
        image = images[-1] - beta * previous
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
    asymmetry = 0.0
    if basis:
        krylov = np.tensordot(basis, images, axes=((1, 2), (1, 2)))
        off_balance = abs(float(weights @ krylov @ weights) - theta)  # the tridiagonal matrix is the Krylov one by symmetry
        asymmetry = max(float(np.linalg.norm((krylov - krylov.T) / 2, 2)), off_balance)
    return Eigenpair(theta, soft, asymmetry)


def lowest_eigenvalue(product: Product, precondition: Preconditioner, soft: Field, accuracy: float = 1e-3) -> tuple[float, Field]:
    """Smallest eigenvalue of the Hessian on what can move, and its vector.

    Parameters
    ----------
    product : callable
        v -> H v, eV/A^2 times the unit of v.
    precondition : Preconditioner
        P^+ of the cell.
    soft : array, (atoms, 3)
        The softest direction of the defect.
    accuracy : float
        Relative accuracy of the eigenvalue, about.

    Returns
    -------
    value : float
        eV/A^2.
    vector : array, (atoms, 3)
        Of unit length.

    Notes
    -----
    Rayleigh-Ritz on the softest waves of the perfect crystal and `soft`, then LOBPCG with the Green's function (A. V. Knyazev,
    SIAM
    J. Sci. Comput. 23, 517 (2001)).
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
