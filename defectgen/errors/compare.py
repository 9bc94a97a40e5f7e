"""Compare two equilibria of one defect, and the gradient of the errors with respect to the coefficients of the model.

At the model's equilibrium u its forces sum_k theta_k f_k(u) vanish, so du/dtheta_k = H^-1 f_k (theory: fit/certificate). With
w = u - u_exact the geometry error |Dw| has the gradient b . du/dtheta_k = z . f_k, where b = D'Dw / |Dw| and H z = b is solved
once, for all k. The energy is stationary in u, so its gradient is the energy of every function, the bulk's subtracted.
theory: fit/weight-response.
"""

import warnings
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from .._display import brief, shown
from .._input import InputError, InputWarning
from .._typing import Float
from ..ace import LinearACE
from ..crystal.cell import Cell
from ..crystal.elements import exchanged_species
from ..relax import Equilibrium, GreensFunction
from .certificate.sensitivity import inverse_hessian, rows_at
from .norms import BondList, bonds_of, strain_max, strain_norm

# ------ Compare two equilibria of one defect: how far the model's is from the reference's, and whether they are the same state

BASIN = 0.25
"""Nearest-neighbour spacings: half a spacing is half-way along a hop to a neighbouring site; at half of that two states still
belong to one valley, and crystals melt when atoms vibrate by 0.1 to 0.15 (Lindemann), so a fit that good stays well below."""

SAME_ZERO = 0.1
"""eV per atom: crystals of two potentials with one zero of the energy agree to the error of a fit, which stays well below."""


@runtime_checkable
class Relaxed(Protocol):
    """What is needed of an equilibrium (dg.relax returns one)."""

    @property
    def cell(self) -> Cell: ...
    @property
    def displacement(self) -> np.ndarray: ...
    @property
    def energy(self) -> float: ...
    @property
    def converged(self) -> bool: ...

    # and, where they are known, `is_minimum` and `lowest_eigenvalue`: isinstance() would read, and so compute, the latter


@dataclass(frozen=True, eq=False)
class Comparison:
    """Errors of an approximate equilibrium."""

    geometry: float
    """||D(u_approx - u_exact)||_l2 over nearest-neighbour bonds, A."""
    geometry_max: float
    """Largest difference over one bond, A."""
    energy: float
    """|E_approx - E_exact|, eV: formation energies are compared, each referenced to its own bulk; of a defect that exchanges
    atoms and has no chemical potentials, E - N E_bulk (see `compare`)."""
    energy_signed: float
    """E_approx - E_exact, eV."""
    displacement: Float[np.ndarray, "atoms 3"]
    """u_approx - u_exact without its rigid translation, A."""
    displacement_max: float
    """Largest |u_approx - u_exact| of an atom, A."""
    same_basin: bool
    """Both are converged minima and no atom and no bond differs by a quarter of the nearest-neighbour spacing."""
    why_not: str = ""
    """What speaks against the same basin, empty if nothing does."""

    def __repr__(self) -> str:
        return shown(
            self,
            f"geometry error {self.geometry:.4g} A",
            f"energy error {self.energy_signed:+.4g} eV",
            f"largest displacement error {self.displacement_max:.3g} A",
            "same basin" if self.same_basin else f"not in the same basin: {self.why_not}",
        )


def compare(exact: Relaxed, approx: Relaxed) -> Comparison:
    """Geometry and energy error of one equilibrium against another, relaxed in one cell.

    Parameters
    ----------
    exact, approx : Equilibrium
        The defect relaxed with the reference and with the model, in the same cell.

    Returns
    -------
    Comparison
        `geometry` (A), `energy` (eV), `energy_signed`, `same_basin`, and the displacement between the two (atoms, 3).

    Warns
    -----
    InputWarning
        Where the energy zeros of two potentials that exchange atoms are not known to agree, about an equilibrium that did not
        converge, and about a reference whose perfect crystal is not at equilibrium.

    Raises
    ------
    InputError
        For what is no equilibrium, and if the two belong to different cells.

    Notes
    -----
    The geometry error is ||D(u_approx - u_exact)||_l2 over nearest-neighbour bonds. Where nothing is clamped the mean
    displacement is removed first: a rigid translation is no error. theory: bounds/geometry, bounds/energy.

    Energies are those of formation where both equilibria have them: with the chemical potentials of each potential's own, or of a
    defect that needs none. Otherwise E - N E_bulk is compared. That difference is defined for two potentials with one zero of the
    energy of every species, as a model and the reference have whose energies it was fitted to.
    """
    for given in (exact, approx):
        if not isinstance(given, Relaxed):
            raise InputError(f"two equilibria are compared, as dg.relax returns them; got {type(given).__name__}")
    cell = exact.cell
    _check_cells(cell, approx.cell)
    w = np.asarray(approx.displacement, dtype=float) - np.asarray(exact.displacement, dtype=float)
    if cell.free.all():
        w = w - w.mean(axis=0)
    bonds = bonds_of(cell)
    signed = _energy_difference(exact, approx)
    _warn(exact, approx)
    why_not = _different(exact, approx, w, bonds)
    return Comparison(
        geometry=strain_norm(cell, w, bonds),
        geometry_max=strain_max(cell, w, bonds),
        energy=abs(signed),
        energy_signed=signed,
        displacement=w,
        displacement_max=float(np.linalg.norm(w, axis=1).max()),
        same_basin=not why_not,
        why_not=why_not,
    )


def _energy_difference(exact: Relaxed, approx: Relaxed) -> float:
    """E_approx - E_exact, eV, of formation energies where both are defined. Warns where the result depends on a convention."""
    needed = exchanged_species(exact.cell)
    known = [getattr(e, "chemical_potentials", None) or {} for e in (exact, approx)]
    if any(known) and all(symbol in each for each in known for symbol in needed):
        return float(getattr(approx, "formation_energy")) - float(getattr(exact, "formation_energy"))  # noqa: B009
    if needed and not _same_zero(exact, approx):
        spelled = ", ".join(f'"{symbol}": ...' for symbol in needed)
        warnings.warn(
            f"{exact.cell.defect} exchanges atoms of {' and '.join(needed)}, so the difference of the energies depends on the "
            "zero that each potential gives them, and these zeros are not known to agree: relax with both, each with "
            f"chemical_potentials={{{spelled}}} of its own",
            InputWarning,
            stacklevel=3,
        )
    return float(approx.energy) - float(exact.energy)


def _same_zero(exact: Relaxed, approx: Relaxed) -> bool:
    """Whether two potentials are known to give single atoms the same energies: those of one reference."""
    names = [getattr(e, "energy_zero", "") for e in (exact, approx)]
    bulk = [getattr(e, "bulk_energy", None) for e in (exact, approx)]
    if not names[0] or names[0] != names[1] or bulk[0] is None or bulk[1] is None:
        return False
    return abs(bulk[0] - bulk[1]) < SAME_ZERO


def _warn(exact: Relaxed, approx: Relaxed) -> None:
    """Warn about what makes the errors other than those of two equilibria."""
    for name, equilibrium in (("exact", exact), ("approximate", approx)):
        if not equilibrium.converged:
            residual = getattr(equilibrium, "residual", None)
            shown = "" if residual is None else f" (forces of {residual:.1e} eV/A remain)"
            warnings.warn(
                f"the {name} equilibrium did not converge{shown}: the errors include what is left of its relaxation",
                InputWarning,
                stacklevel=3,
            )
    if unrest := getattr(exact, "unrest", ""):
        warnings.warn(f"{unrest}: the errors are those under this pressure", InputWarning, stacklevel=3)


def _different(exact: Relaxed, approx: Relaxed, w: np.ndarray, bonds: BondList) -> str:
    """The first reason why the two equilibria are not one state, or an empty string."""
    for name, equilibrium in (("exact", exact), ("approximate", approx)):
        if not equilibrium.converged:
            return f"the {name} equilibrium did not converge"
        if getattr(equilibrium, "is_minimum", None):  # the eigenvalue has the sign of the stability constant, and costs more
            continue
        lowest = getattr(equilibrium, "lowest_eigenvalue", None)
        if lowest is not None and lowest <= 0:  # not computed (None or NaN) is no evidence against a minimum
            return f"the {name} equilibrium is no minimum (lowest eigenvalue {lowest:.2e} eV/A^2)"
    limit = BASIN * exact.cell.lattice.nearest_neighbour
    moved = np.linalg.norm(w, axis=1)
    if not moved.max() < limit:
        return f"atom {int(np.argmax(moved))} ends {moved.max():.2f} A away (limit {limit:.2f} A)"
    length = [np.linalg.norm(bonds.vectors + bonds.difference(np.asarray(e.displacement)), axis=1) for e in (exact, approx)]
    stretched = np.abs(length[1] - length[0])
    if not stretched.max(initial=0.0) < limit:
        k = int(np.argmax(stretched))
        return f"the bond {bonds.first[k]}-{bonds.second[k]} differs by {stretched[k]:.2f} A (limit {limit:.2f} A)"
    return ""


def _check_cells(one: Cell, other: Cell) -> None:
    """Raises InputError unless both are the same atoms at the same unrelaxed positions in the same box."""
    wanted = "two equilibria are compared in one cell"
    if len(one) != len(other) or one.symbols != other.symbols:
        raise InputError(
            f"{wanted}; got {len(one)} and {len(other)} atoms, or other species: relax the same defect cell with both"
        )
    if one.periodic != other.periodic or not np.allclose(one.vectors, other.vectors, rtol=0, atol=1e-9):
        raise InputError(f"{wanted}; the boxes differ: use the reference's lattice constant for the model too")
    if not np.allclose(one.positions, other.positions, rtol=0, atol=1e-9) or not np.array_equal(one.free, other.free):
        raise InputError(f"{wanted}; the unrelaxed positions or the clamped atoms differ: relax the same defect cell with both")


# ------ Derivatives of the defect errors of a linear model with respect to its coefficients


@dataclass(frozen=True, eq=False)
class ErrorGradient:
    """Gradients with respect to the coefficients of the model."""

    geometry: Float[np.ndarray, " columns"]
    """d |D(u_model - u_exact)| / d theta, A per unit of a coefficient."""
    energy: Float[np.ndarray, " columns"]
    """d |E_model - E_exact| / d theta, eV per unit of a coefficient."""

    __repr__ = brief


def error_gradient(
    exact: Equilibrium, approx: Equilibrium, model: LinearACE, preconditioner: GreensFunction | None = None
) -> ErrorGradient:
    """Gradients of the two errors that `compare(exact, approx)` gives, `approx` being relaxed with `model`.

    Raises InputError for an equilibrium that is not converged or no minimum, and for a clamped cell.
    """
    cell = approx.cell
    if not approx.converged:
        raise InputError(
            f"the gradient of an error needs a converged equilibrium; relax further (residual {approx.residual:.1e} eV/A)"
        )
    error = compare(exact, approx)
    bonds, pull = bonds_of(cell), np.zeros_like(approx.positions)
    stretch = bonds.difference(error.displacement) / max(error.geometry, np.finfo(float).tiny)
    np.add.at(pull, bonds.second, stretch)
    np.add.at(pull, bonds.first, -stretch)
    answer = inverse_hessian(approx, model, preconditioner, direct=0)(pull)  # one solve is no reason to factorise
    energy, forces = rows_at(approx, model.basis)
    return ErrorGradient(geometry=np.einsum("ia,iak->k", answer, forces), energy=np.sign(error.energy_signed) * energy)
