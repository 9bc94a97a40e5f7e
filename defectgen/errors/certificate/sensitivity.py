"""How the defect observables of a linear model respond to its coefficients, to first order."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotrf

from ..._display import brief
from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis, LinearACE
from ...bridge.hessian import dense_hessian
from ...crystal.snapshot import Snapshot
from ...energy.bonds import bonds, pad
from ...energy.functional import evaluate
from ...energy.perfect import bulk_energy
from ...energy.site import SiteEnergy
from ...energy.total import hessian_product
from ...observe import respond
from ...relax import Equilibrium, GreensFunction, greens_function
from ...relax.preconditioner import Preconditioner
from ..norms import bonds_of

# ------ Answers of a relaxed defect to many forces at once, H^-1 f: one factorisation in cells that it fits into, Krylov beyond

DIRECT = 9000
"""Degrees of freedom up to which the Hessian is factorised: 650 MB, and as many operations as a hundred solves by Krylov."""

BATCH = 16
"""Forces that Krylov solves are made for at once: what they share is computed once, and more do not make it cheaper."""

ACCURACY = 1e-8
"""Relative residual of a Krylov solve, in the norm of the perfect crystal: far below what first order is worth."""

MAX_PRODUCTS = 200

DENSE = 3000
"""Atoms up to which a matrix with an entry for each two atoms is made: 72 MB."""

Fields = Float[np.ndarray, "atoms 3 *fields"]


def inverse_hessian(
    rest: Equilibrium, model: SiteEnergy, preconditioner: GreensFunction | None = None, direct: int = DIRECT
) -> Callable[[Fields], Fields]:
    """The map f -> w with H w = f on what can move, H the Hessian of `model` (eV/A^2) at the equilibrium `rest`.

    Net forces and rigid translations are projected out. Up to `direct` degrees of freedom H is formed and factorised once;
    beyond, every block of forces is solved for by conjugate gradients preconditioned with the lattice Green's function.
    Raises InputError if H is not positive definite: there the model has no minimum.
    """
    green = greens_function(rest.cell, model) if preconditioner is None else preconditioner
    precondition = Preconditioner(rest.cell, green)
    count = int(precondition.movable.sum())
    return _factorised(rest, model, precondition) if count <= direct else _iterated(rest, model, precondition)


def _factorised(rest: Equilibrium, model: SiteEnergy, precondition: Preconditioner) -> Callable[[Fields], Fields]:
    """By a Cholesky factor of H, lifted on the rigid translations that it cannot tell from zero."""
    cell, x = rest.cell, rest.positions
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, model)
    rows = near.index.shape[0]
    matrix = dense_hessian(model, pad(x, rows), cell.vectors, near, len(x))
    free = np.flatnonzero(precondition.movable.ravel())
    if len(free) < len(matrix):
        matrix = matrix[np.ix_(free, free)]
    if precondition.rigid:
        d = cell.lattice.dimension
        lift = float(np.mean(np.diag(matrix))) / len(cell)
        for axis in range(d):
            own = np.arange(axis, len(free), d)
            matrix[np.ix_(own, own)] += lift
    factor, info = dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)  # symmetric; the transpose is in LAPACK's order
    if info:
        raise InputError(_saddle())

    def solve(force: Fields) -> Fields:
        shape = force.shape
        flat = _each(precondition, force).reshape(3 * len(cell), -1)
        answer = np.zeros_like(flat)
        answer[free] = cho_solve((factor, True), flat[free], overwrite_b=True, check_finite=False)
        return _each(precondition, answer.reshape(shape))

    return solve


def _iterated(rest: Equilibrium, model: SiteEnergy, precondition: Preconditioner) -> Callable[[Fields], Fields]:
    """By conjugate gradients, a block of forces at a time; each has its own step lengths."""
    cell, x = rest.cell, rest.positions
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, model)
    rows, atoms = near.index.shape[0], len(x)
    padded, box = jnp.asarray(pad(x, rows)), jnp.asarray(cell.vectors)

    def product(v: Float[np.ndarray, "fields atoms 3"]) -> Float[np.ndarray, "fields atoms 3"]:
        wide = np.zeros((1 if len(v) == 1 else BATCH, rows, 3))  # two programs at most
        wide[: len(v), :atoms] = v
        image = np.asarray(hessian_product(model, padded, box, near, jnp.asarray(wide)))[: len(v), :atoms]
        return np.stack([precondition.project(one) for one in image])

    def block(force: Float[np.ndarray, "fields atoms 3"]) -> Float[np.ndarray, "fields atoms 3"]:
        w, r = np.zeros_like(force), force.copy()
        z = np.stack([precondition(one) for one in r])
        search, rho = z.copy(), np.einsum("kia,kia->k", r, z)
        start = np.where(rho > 0, rho, 1.0)
        for _ in range(MAX_PRODUCTS):
            going = ~(rho <= ACCURACY**2 * start)
            if not going.any():
                return w
            image = product(search)
            curvature = np.einsum("kia,kia->k", search, image)
            if not np.all(curvature[going] > 0):
                raise InputError(_saddle())
            alpha = np.where(going, rho / np.where(going, curvature, 1.0), 0.0)
            w += alpha[:, None, None] * search
            r -= alpha[:, None, None] * image
            z = np.stack([precondition(one) for one in r])
            before, rho = rho, np.einsum("kia,kia->k", r, z)
            search = z + np.where(going, rho / np.where(before > 0, before, 1.0), 0.0)[:, None, None] * search
        raise InputError(f"the derivatives of the defect did not converge in {MAX_PRODUCTS} Hessian products; relax it further")

    def solve(force: Fields) -> Fields:
        columns = np.moveaxis(_each(precondition, force).reshape(atoms, 3, -1), 2, 0)
        parts = [block(columns[k : k + BATCH]) for k in range(0, len(columns), BATCH)]
        return np.moveaxis(np.concatenate(parts), 0, 2).reshape(force.shape)

    return solve


def _each(precondition: Preconditioner, fields: Fields) -> Fields:
    """The projection on what can move, of every field."""
    mask = precondition.movable.reshape(*precondition.movable.shape, *[1] * (fields.ndim - 2))
    found = np.where(mask, fields, 0.0)
    if precondition.rigid:
        d = precondition.cell.lattice.dimension
        found[:, :d] -= found[:, :d].mean(axis=0)
    return found


def _saddle() -> str:
    return (
        "the certificate is taken at a minimum of the model, and its Hessian is not positive definite here; "
        "relax the defect with the model first, or choose a model that is stable"
    )


# ------ Derivatives of a relaxed defect with respect to the coefficients of its model

STRAY = 1e-6
"""eV/A: forces of the model above it, and above what its relaxation left, say that another potential has relaxed there.
Smaller ones move atoms by about 1e-6 A; two potentials usually differ by 1e-3 eV/A."""


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """First-order change of a relaxed defect with the coefficients theta of a linear model."""

    rest: Equilibrium
    displacement: Float[np.ndarray, "atoms 3 columns"]
    """K = du/dtheta = H^-1 df/dtheta, A per unit coefficient."""
    energy: Float[np.ndarray, " columns"]
    """k = d(E - N E_bulk)/dtheta at the equilibrium, eV per unit coefficient; with chemical potentials, which are held fixed, the
    derivative of the formation energy."""
    answer: Callable
    """f -> H^-1 f for any force fields (atoms, 3, ...), eV/A to A."""

    __repr__ = brief

    def strain(self, fields: Float[np.ndarray, "atoms 3 *fields"]) -> Float[np.ndarray, "bonds 3 *fields"]:
        """Differences over nearest-neighbour bonds: what geometry errors are measured in.

        Parameters
        ----------
        fields : array (atoms, 3, ...)
            Displacements, A.

        Returns
        -------
        array (bonds, 3, ...)
            A.
        """
        return bonds_of(self.rest.cell).difference(fields)

    def strains(self) -> Float[np.ndarray, "rows columns"]:
        """D K, one row per bond and direction."""
        columns = len(self.energy)
        return self.strain(self.displacement).reshape(-1, columns)

    def compact_strains(self, dense: int = DENSE) -> Float[np.ndarray, "rows columns"]:
        """Rows that give every change of the coefficients the length ``|D K dtheta|``, one per atom and direction.

        Parameters
        ----------
        dense : int
            Atoms up to which the Laplacian of the bonds is factorised; beyond, the rows are a triangle of D K.

        Returns
        -------
        array (rows, columns)
            A per unit coefficient.

        Notes
        -----
        D^T D is the Laplacian of the bonds for each component. With D^T D + 1 1^T / atoms = L L^T the rows are L^T K: the
        second term vanishes on K, which does not move the mean of periodic cells.
        """
        atoms, columns = len(self.displacement), len(self.energy)
        if atoms > dense:
            strains = self.strains()
            return strains if len(strains) <= columns else np.linalg.qr(strains, mode="r")  # pyright: ignore[reportReturnType]
        bonds = bonds_of(self.rest.cell)
        laplacian = np.full((atoms, atoms), 1.0 / atoms)
        for a, b, sign in ((bonds.first, bonds.first, 1), (bonds.second, bonds.second, 1), (bonds.first, bonds.second, -1)):
            np.add.at(laplacian, (a, b), sign)
            if sign < 0:
                np.add.at(laplacian, (b, a), sign)
        moved = self.displacement - self.displacement.mean(axis=0)
        return (np.linalg.cholesky(laplacian).T @ moved.reshape(atoms, -1)).reshape(-1, columns)


def sensitivity(
    rest: Equilibrium,
    model: LinearACE,
    preconditioner: GreensFunction | None = None,
    direct: int = DIRECT,
    answer: Callable | None = None,
) -> Sensitivity:
    """Derivatives of displacement and formation energy of a defect with respect to the coefficients of its model.

    Parameters
    ----------
    rest : Equilibrium
        The defect, relaxed with `model`.
    model : LinearACE
        The model.
    preconditioner : GreensFunction, optional
        From ``greens_function(cell, model)``; saves time.
    direct : int
        Coordinates up to which the Hessian is factorised instead of solved with by iterations.
    answer : callable, optional
        f -> H^-1 f of a model with nearly the same Hessian; saves time.

    Returns
    -------
    Sensitivity

    Raises
    ------
    InputError
        What is no linear model, an equilibrium that did not converge, is no minimum or is that of another potential, and a
        clamped ball.

    Notes
    -----
    The energy is stationary in the displacement, so its derivative is the energy row of the basis; the displacement takes one
    linear solve with the Hessian per coefficient. theory: fit/certificate.
    """
    if not isinstance(model, LinearACE):
        raise InputError(
            f"a sensitivity is taken in the coefficients of a fitted model; got {type(model).__name__}: give fit.model"
        )
    if not rest.converged:
        raise InputError(f"the defect must be relaxed with the model, and it is not: {rest.message}")
    energy, forces = rows_at(rest, model.basis)
    if answer is None:
        own = forces @ np.asarray(model.coefficients)
        if model.repulsion is not None:
            own = own + evaluate(model.repulsion, rest.cell, rest.positions, stress=False).forces
        check_own(rest, own)
        answer = inverse_hessian(rest, model, preconditioner, direct)
    return Sensitivity(rest, answer(forces), energy, answer)


def check_own(rest: Equilibrium, forces: Float[np.ndarray, "atoms 3"]) -> None:
    """Raises InputError if the model's forces (eV/A) do not vanish at the equilibrium."""
    force = np.where(rest.cell.free[:, None], forces, 0.0)[:, : rest.cell.lattice.dimension]
    left = float(np.abs(force).max(initial=0.0))
    if not left <= max(STRAY, 2 * rest.residual):
        raise InputError(
            f"this equilibrium is not that of the fitted model, whose forces there are up to {left:.1e} eV/A; relax the defect "
            "with the model, dg.relax(cell, fit.model)"
        )


def rows_at(rest: Equilibrium, basis: ACEBasis) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, "atoms 3 columns"]]:
    """Energy minus N times the bulk's (eV) and forces (eV/A) of every function of a basis at an equilibrium.

    Atoms that are exchanged with reservoirs of fixed chemical potentials do not count in N: the row is that of the formation
    energy. Raises InputError for a clamped ball.
    """
    cell = rest.cell
    if cell.clamped:
        raise InputError("derivatives in the coefficients are taken in a periodic cell; use dg.supercell(lattice, size)")
    rows = respond(basis, Snapshot(cell, rest.positions, cell.vectors), stress=False)
    assert rows.energy is not None and rows.forces is not None  # a site energy has both
    per_atom = bulk_energy(cell.lattice, basis) / cell.lattice.sublattices
    return rows.energy - (len(cell) - sum(rest.exchanged.values())) * per_atom, rows.forces
