"""The bound, term by term: the errors of a model for one defect, each term as a number in A and eV next to the true error."""

import warnings
from dataclasses import dataclass

import numpy as np

from .._input import InputError, InputWarning
from .._typing import Float
from ..crystal.cell import Cell
from ..energy.potential import Potential, check_potential
from ..energy.site import SiteEnergy
from ..relax import Equilibrium, GreensFunction, greens_function
from ..relax.preconditioner import Preconditioner
from .bound_terms import KINDS, Bound, Term, grouped
from .homogeneous import Dispersion, StrainResponse, affine_of, dispersion, strain_response
from .norms import bonds_of
from .perfect_crystal import perfect_crystal
from .residual_split import FAR, WITH_ENERGY, ResidualSplit, Strained, split_residual, strained
from .stability import stability_constant


@dataclass(frozen=True, eq=False)
class ReferenceSide:
    """What the bound needs of the reference at one equilibrium; the same for all models up to one cutoff."""

    strained: Strained
    stiff: Float[np.ndarray, "sublattices slots 3 slots 3"]
    """Hessians of the perfect sites, eV/A^2."""


def reference_side(exact: Equilibrium, truth: SiteEnergy, widest: SiteEnergy) -> ReferenceSide:
    """The reference's part of the bound, for models that reach as far as `widest` at most.

    Parameters
    ----------
    exact : Equilibrium
        The defect relaxed with `truth`, in a periodic cell.
    truth : SiteEnergy
        The reference.
    widest : SiteEnergy
        The model, or the reference if its cutoff is larger.

    Returns
    -------
    ReferenceSide
        Most of it is computed when it is first read.

    Raises
    ------
    InputError
        For a clamped ball.
    """
    crystal = perfect_crystal(exact.cell, widest)
    return ReferenceSide(strained(affine_of(crystal), exact, truth), crystal.hessians(truth))


def bound(
    exact: Equilibrium,
    truth: Potential,
    model: Potential,
    radius: float,
    *,
    stability: float | None = None,
    preconditioner: GreensFunction | None = None,
    known: ReferenceSide | None = None,
) -> Bound:
    """Every term of the bounds of geometry and energy error of a model for one defect.

    The terms are measured at the exact equilibrium, in the cell of the comparison.

    Parameters
    ----------
    exact : Equilibrium
        The defect relaxed with `truth`, converged, in a periodic cell.
    truth, model : Potential
        Site energies; a black box has no jets.
    radius : float
        Radius of the training structure, nearest-neighbour spacings.
    stability : float, optional
        The stability constant c of the model. By default it is computed, by some ten Hessian products of the model.
    preconditioner : GreensFunction, optional
        From ``greens_function(cell, truth)``; saves time.
    known : ReferenceSide, optional
        From ``defectgen.errors.bound.reference_side``, for the same equilibrium and reference; saves time for several models.

    Returns
    -------
    Bound
        The terms (A and eV), their sums `geometry` and `energy`, and the name of what contributes most, `floor`: a term, or
        terms that cancel, "C2+G2", judged by what they do together (`groups`).

    Warns
    -----
    InputWarning
        If the radius reaches out of the cell.

    Raises
    ------
    InputError
        For a potential without jets, a clamped ball, a radius that is not positive, an exact equilibrium that did not converge,
        and one in a crystal that is not at equilibrium.

    Notes
    -----
    geometry <= sum over parts p of ||df_p||_* / (c sqrt(s)), with ||df||_* = <df, P^+ df>^(1/2), P the reference's crystal and <P
    v, v> >= s ||Dv||^2; energy <= sum |parts| + ||df||_*^2 / (2c). Sums are over vectors that add up to the force error, so only
    terms of higher order in the geometry error are left out. theory: bounds/term-by-term.
    """
    for potential in (truth, model):
        check_potential(potential)
        if not isinstance(potential, SiteEnergy):
            raise InputError(
                f"the bound needs jets of site energies, and {type(potential).__name__} has none; compare force_error and "
                "force_constant_error for a black box"
            )
    assert isinstance(truth, SiteEnergy) and isinstance(model, SiteEnergy)
    if not radius > 0:
        raise InputError(f"the radius of a training structure is positive, in nearest-neighbour spacings; got {radius}")
    if not exact.converged:
        raise InputError(f"the bound is taken at the exact equilibrium, and this one is not there: {exact.message}")
    cell = exact.cell
    if unrest := exact.unrest:
        raise InputError(f"the bound is that of a defect in a crystal at equilibrium, and {unrest}; call dg.equilibrate first")
    if radius > cell.radius * (1 + 1e-6):
        warnings.warn(
            f"a radius of {radius:.3g} spacings reaches out of the cell, whose radius is {cell.radius:.3g}: nothing is left "
            f"beyond it; radii are in nearest-neighbour spacings ({cell.lattice.nearest_neighbour:.3f} A), not in A",
            InputWarning,
            stacklevel=2,
        )
    known = reference_side(exact, truth, max(truth, model, key=lambda potential: potential.cutoff)) if known is None else known
    affine, stiff = known.strained.affine, known.stiff
    green = greens_function(cell, truth) if preconditioner is None else preconditioner
    precondition = Preconditioner(cell, green)
    c = stability_constant(cell, model, exact.positions, green) if stability is None else stability
    crystal = affine.crystal
    change = crystal.hessians(model) - stiff
    waves = dispersion(affine, stiff, change)
    parts = split_residual(affine, exact, truth, model, change, radius, known.strained)
    coefficients = _coefficients(parts, strain_response(crystal, truth, model), waves, cell.distance_to_defect(), cell)
    tails = _tails(known.strained, radius)
    bonds = bonds_of(cell)
    safe = c * np.sqrt(waves.softness) if c > 0 and waves.softness > 0 else 0.0

    def dual(force: Float[np.ndarray, "atoms 3"]) -> tuple[float, Float[np.ndarray, "bonds 3"]]:
        """||df||_* (sqrt(eV)) and D P^+ df (A)."""
        answer = precondition(force)
        return float(np.sqrt(max(np.vdot(precondition.project(force), answer), 0.0))), bonds.difference(answer)

    size, whole = dual(parts.whole)
    estimate = float(np.linalg.norm(whole))
    duals = {name: dual(force) for name, force in parts.force.items()}
    signed = {**parts.energy, "R": -(size**2) / 2}
    d = cell.lattice.dimension
    bonded = waves.strain / safe**2 * c if safe else np.inf  # strain / (c s)
    terms = []
    for kind in KINDS:
        force, answer = duals.get(kind.name, (0.0, np.zeros(1)))
        value, tail = coefficients.get(kind.name, np.nan), tails.get(kind.name, np.nan)
        energy = size**2 / (2 * c) if kind.name == "R" and c > 0 else np.inf if kind.name == "R" else 0.0
        energy = np.nan if kind.name in FAR and kind.name not in WITH_ENERGY else energy
        terms.append(
            Term(
                kind.name,
                kind.symbol,
                kind.what,
                value,
                kind.unit,
                None if kind.geometry is None else kind.geometry[0] * d + kind.geometry[1],
                None if kind.energy is None else kind.energy[0] * d + kind.energy[1],
                tail,
                0.0 if force == 0.0 else force / safe if safe else np.inf,
                float(np.linalg.norm(answer)),
                value * tail * bonded,
                float(abs(parts.energy[kind.name])) if kind.name in parts.energy else float(energy),
            )
        )
    effects, energies = np.array([a.ravel() for _, a in duals.values()]), np.array(list(signed.values()))
    return Bound(
        tuple(terms),
        float(radius),
        float(c),
        waves.softness,
        size,
        estimate,
        float(energies.sum()),
        grouped(list(duals), effects @ effects.T),
        grouped(list(signed), np.outer(energies, energies)),
        waves.long_wave,
    )


def _coefficients(
    parts: ResidualSplit, response: StrainResponse, waves: Dispersion, distance: np.ndarray, cell: Cell
) -> dict[str, float]:
    """The epsilon of every term that has one."""
    weight = 1 + distance / cell.lattice.nearest_neighbour
    weighted = {name: float(np.linalg.norm(weight[:, None] * parts.force[name])) for name in ("F", "K")}
    bulk = {"C2": response.second, "G2": waves.gradient, "C3": response.third, "C4": response.fourth}
    return {"E": abs(parts.energy["E"]), **weighted, **bulk}


def _tails(known: Strained, radius: float) -> dict[str, float]:
    """Norms of the displacement over the sites beyond the radius."""
    cell = known.affine.crystal.cell
    beyond = (
        np.linalg.norm(cell.minimum_image(cell.site_positions - cell.centre), axis=1) > radius * cell.lattice.nearest_neighbour
    )
    strain, curved, wavy = (each[beyond] for each in known.derivatives)
    return {
        "C2": float(np.linalg.norm(strain)),
        "G2": float(np.linalg.norm(wavy)),
        "C3": float(np.linalg.norm(strain**2)),
        "G3": float(np.linalg.norm(strain * wavy + curved**2)),
        "C4": float(np.linalg.norm(strain**3)),
    }
