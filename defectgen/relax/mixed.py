"""Equilibrium of a mixed force field: a potential whose forces are altered, so that they are no gradient of an energy."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from .._display import brief
from .._typing import Float
from ..energy.functional import CellEnergy, cell_energy
from ..energy.potential import Potential
from .counted import Counted
from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .preconditioner import Preconditioner
from .search import dual_norm
from .split import split_hessian

MIDPOINT = 1e-3
"""A: below it the midpoint rule, in error by |w|^2 / 24 of the potential's fourth derivative, 1e-6 of w, beats a difference."""

RESTART = 40
"""Krylov vectors kept; with the Green's function a dozen suffice."""


@runtime_checkable
class ForceField(Protocol):
    """Forces added to those of a potential; need not derive from an energy."""

    def forces(self, u: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """The forces.

        Parameters
        ----------
        u : array, (atoms, 3)
            Displacement, A.

        Returns
        -------
        array, (atoms, 3)
            eV/A.
        """
        ...

    def product(self, u: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Minus the derivative of the forces, as nearly as is cheap: it steers the iteration, the forces end it.

        Parameters
        ----------
        u : array, (atoms, 3)
            Displacement, A.
        v : array, (atoms, 3)
            Direction.

        Returns
        -------
        array, (atoms, 3)
            eV/A^2 times the unit of v.
        """
        ...


@dataclass(frozen=True, eq=False)
class MixedEquilibrium:
    """The solution of f(u + w) + g(u + w) = 0 near the solution u of f(u) = 0."""

    difference: Float[np.ndarray, "atoms 3"]
    """w, A, without rigid translation."""
    work: float
    """E(u + w) - E(u) of the unaltered potential, eV, from its forces along w: exact to third order, free of cancellation."""
    reduction: float
    """Residual over that of the start (w = 0), in the dual of the perfect crystal's energy norm."""
    converged: bool
    newton_steps: int
    hessian_products: int

    __repr__ = brief


def mixed_equilibrium(
    exact: Equilibrium,
    potential: Potential,
    extra: ForceField,
    accuracy: float = 3e-3,
    max_newton: int = 12,
    preconditioner: GreensFunction | None = None,
    energy: CellEnergy | None = None,
) -> MixedEquilibrium:
    """Newton's method for the difference w that added forces make at an equilibrium.

    Parameters
    ----------
    exact : Equilibrium
        The equilibrium u of `potential`.
    potential : SiteEnergy or BlackBox
        The potential of the forces f.
    extra : ForceField
        The added forces g.
    accuracy : float
        The relative residual aimed at.
    max_newton : int
        Newton steps at most.
    preconditioner : GreensFunction, optional
        From `greens_function`; saves time when one equilibrium is perturbed more than once.
    energy : CellEnergy, optional
        From `cell_energy`; the same.

    Returns
    -------
    MixedEquilibrium
        The solution w, and whether it converged.

    Raises
    ------
    InputError
        For a preconditioner of another supercell.

    Notes
    -----
    The Jacobian is not symmetric: each step is solved by GMRES (Saad and Schultz, SIAM J. Sci. Stat. Comput. 7, 856 (1986))
    with
    the lattice Green's function as preconditioner. In large cells the Hessian in it is split into a strained neighbourhood and
    a
    perfect crystal, so that a step costs little more than its residual, which is exact. What `exact` left unrelaxed is
    subtracted,
    so w is accurate relative to its own size however small it is; net forces are projected out. theory: bounds/surrogates.
    """
    cell, start = exact.cell, exact.displacement
    green = greens_function(cell, potential) if preconditioner is None else preconditioner
    precondition = Preconditioner(cell, green)
    counted = Counted(cell_energy(cell, potential) if energy is None else energy, potential, precondition)
    shape = (len(cell), 3)
    rest = precondition.project(exact.forces)
    split = split_hessian(potential, precondition, exact.positions)

    def answer(w):
        """f(u + w) - f(u); of a small w by the midpoint rule -H(u + w/2) w, whose rounding is relative to w."""
        if np.abs(w).max() < MIDPOINT:
            return -counted.product(exact.positions + w / 2, w)
        return counted.energy_forces(exact.positions + w)[1] - rest

    def force(w):
        own = answer(w) if w.any() else np.zeros(shape)
        return own, own + precondition.project(extra.forces(start + w))

    w = np.zeros(shape)
    own, residual = force(w)
    first = now = dual_norm(precondition, residual)
    steps = products = 0
    inverse = LinearOperator((w.size, w.size), lambda f: precondition(f.reshape(shape)).ravel(), dtype=float)
    while now > accuracy * first and steps < max_newton:
        apply = counted.hessian(exact.positions + w) if split is None else split

        def jacobian(v, at=w, apply=apply):
            nonlocal products
            products += 1
            v = v.reshape(shape)
            return (apply(v) + precondition.project(extra.product(start + at, v))).ravel()

        target = max(0.3 * accuracy * first / now, 1e-8)
        step, _ = gmres(
            LinearOperator((w.size, w.size), jacobian, dtype=float),
            residual.ravel(),
            rtol=target,
            restart=RESTART,
            maxiter=2,
            M=inverse,
        )
        trial = w + precondition.project(step.reshape(shape))
        own_after, after = force(trial)
        dual = dual_norm(precondition, after)
        if not dual < now:
            break
        w, own, residual, now, steps = trial, own_after, after, dual, steps + 1
    return MixedEquilibrium(
        difference=w,
        work=-float(np.vdot(w, own / 2 + rest)),
        reduction=now / first if first else 0.0,
        converged=bool(now <= accuracy * first),
        newton_steps=steps,
        hessian_products=products,
    )
