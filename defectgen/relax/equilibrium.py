"""What a relaxation returns: where the atoms are, how good that is, and whether it is a minimum."""

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .._display import counted, shown
from .._input import InputError, InputWarning
from .._typing import Float
from ..crystal.cell import Cell
from ..crystal.copies import copies
from ..crystal.elements import composition_change, formation_refusal, missing_potentials
from .search import NOISE

LISTED = 20_000
"""Atoms: printing the equilibrium of a larger cell does not examine its symmetry, which takes a second for 100,000."""
EXACT = 1e-6
"""eV/A: equilibria with smaller forces have positions whose symmetry can be examined."""


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A stationary point of the bulk-referenced energy of a cell."""

    cell: Cell
    positions: Float[np.ndarray, "atoms 3"]
    """Relaxed positions, A."""
    forces: Float[np.ndarray, "atoms 3"]
    """Forces there, eV/A (zero on clamped atoms)."""
    energy: float
    """E - N E_bulk, eV: the energy of the cell minus its number of atoms times the mean energy per atom of the perfect crystal.

    It is the formation energy of a defect in an element, and of one that leaves the composition of a compound as it is. Any
    other defect exchanges atoms whose energies have a zero of their own: there `energy` changes with the zero that the potential
    gives each species, and only differences at fixed composition mean something. `formation_energy` is defined everywhere.
    """
    residual: float
    """Largest force component on a free atom, eV/A."""
    residuals: tuple[float, ...]
    """The same after every Newton step, the starting point first."""
    converged: bool
    """Whether the residual is below the tolerance that was requested, or has reached the rounding of the forces."""
    eigenvalue: float | Callable[[], float | None] | None = field(repr=False)
    """The lowest eigenvalue, eV/A^2, or a function that computes it when `lowest_eigenvalue` is first read."""
    stability_constant: float | None
    """Smallest c with <H v, v> = c <P v, v>, P the perfect crystal's operator (missing sites relaxed along): dimensionless.
    None if it was not requested, or if differences of forces do not determine its sign (`message` gives the reason). The lowest
    eigenvalue has the same sign."""
    bulk_stable: bool | None
    """Whether all waves of the perfect crystal have positive energy (on the wave vectors of this cell); None if it is not known,
    as of an equilibrium from another code."""
    newton_steps: int
    energy_evaluations: int
    """Evaluations of energy and forces."""
    hessian_products: int
    """Hessian-vector products of the relaxation; in large periodic cells those of the split Hessian, which cost a fraction."""
    eigenvalue_products: int
    """Hessian-vector products of the stability check; those of an eigenvalue that is computed later are not counted."""
    seconds: float
    message: str
    bulk_energy: float | None = None
    """Energy of the perfect crystal per atom in the potential's own zero, eV; None if it was not given."""
    chemical_potentials: dict[str, float] | None = None
    """Energy per atom (eV) of the reservoir of each species, in the same zero; None if they were not given."""
    energy_zero: str = ""
    """The potential whose energies of single atoms are the zero: a reference, or the one that a model was fitted to; empty where
    it is not known."""
    unrest: str = ""
    """Why the perfect crystal is not at equilibrium with the potential, its pressure included; empty if it is."""
    rounding: float | None = None
    """Residual that the rounding of the forces allows here, eV/A; None where the tolerance was reached without meeting it."""
    residual_virial: Float[np.ndarray, "3 3"] | None = None
    """Of an equilibrium from elsewhere whose stresses are known: virial of the cell less that of the perfect crystal in its box,
    eV."""

    def __repr__(self) -> str:
        minimum = {True: "a minimum", False: "no minimum", None: "not examined whether it is a minimum"}
        return shown(
            self,
            self.cell.lattice.name,
            self.cell.defect or "perfect crystal",
            counted(self.cell.symbols),
            "energy not given" if np.isnan(self.energy) else f"energy {self.energy:.6g} eV",
            "forces not given" if np.isnan(self.residual) else f"largest force {self.residual:.2g} eV/A",
            "converged" if self.converged else f"not converged: {self.message}",
            minimum[self.is_minimum],
            *([f"one of {self.variants} equivalent states"] if len(self.cell) <= LISTED and (self.variants or 1) > 1 else []),
        )

    @cached_property
    def lowest_eigenvalue(self) -> float | None:
        """Smallest eigenvalue of the Hessian on free atoms, rigid translations excluded, eV/A^2.

        It takes several times as long as the stability constant, so it is computed when it is first read. None where the
        stability constant is None, and, with an InputWarning, where the signs of the two differ.
        """
        return self.eigenvalue() if callable(self.eigenvalue) else self.eigenvalue

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: the eigenvalue is computed first, because not every potential can be sent."""
        return {**vars(self), "eigenvalue": self.lowest_eigenvalue}

    @property
    def displacement(self) -> Float[np.ndarray, "atoms 3"]:
        """Displacement from the unrelaxed positions, A."""
        return self.positions - self.cell.positions

    @property
    def formation_energy(self) -> float:
        """E_f = E - E_perfect - sum_s dn_s mu_s, eV, with dn_s atoms of species s more than in the perfect crystal.

        Notes
        -----
        mu_s are the `chemical_potentials`. They are not needed where the perfect crystal fixes their sum: for defects of an
        element (mu = E_bulk per atom) and for those that add or take whole formula units, or none.

        Raises
        ------
        InputError
            If the defect exchanges atoms of a species without a chemical potential.
        """
        known = self.chemical_potentials or {}
        if missing := missing_potentials(self.cell, known):
            raise InputError(formation_refusal(self.cell, missing))
        if np.isnan(self.energy):
            raise InputError(f"there is no formation energy of {self.cell.defect or 'this cell'}: {self.message}")
        if self.bulk_energy is None:
            return self.energy
        return self.energy - sum(n * (known[s] - self.bulk_energy) for s, n in self.exchanged.items())

    @property
    def exchanged(self) -> dict[str, int]:
        """Atoms of every species that the formation energy exchanges with reservoirs of the given chemical potentials.

        Without the species whose cost the crystal fixes: those of an element, and of whole formula units, where no potentials of
        them are given. Empty where that is all of them, so that the formation energy is `energy`.
        """
        known, change = self.chemical_potentials or {}, composition_change(self.cell)
        if missing_potentials(self.cell, known):
            return {}
        own = {s for s in change if s in self.cell.lattice.species}
        fixed = own if own - known.keys() else set()  # atoms of an element, or whole formula units
        return {s: n for s, n in change.items() if s not in fixed}

    @cached_property
    def variants(self) -> int | None:
        """Number of equivalent states: symmetry operations of the unrelaxed cell over those that the relaxed one keeps.

        It is 1 if the relaxation kept the symmetry. With a broken symmetry, as where a <110> dumbbell relaxes into a <111> one, a
        relaxation from symmetric positions is led to one of these states by rounding, and another version or machine can reach
        another of them: the energy is the same, but positions, and with them rattled copies of one seed, are not. Start from
        positions of lower symmetry if that matters. None where forces above 1e-6 eV/A are left: such positions have no exact
        symmetry.
        """
        if not (self.settled and self.residual <= EXACT):
            return None
        kept = len(copies(self.cell, displacement=self.displacement).rotations)
        return len(copies(self.cell).rotations) // kept

    @property
    def settled(self) -> bool:
        """Whether the relaxation is converged, or can go no further because of the rounding of the forces."""
        return self.converged or (self.rounding is not None and self.residual <= self.rounding)

    @property
    def noisy(self) -> bool:
        """Whether the relaxation ended at noise of the forces above the rounding of double precision: that of single precision,
        or of a code that is not tightly converged."""
        return not self.converged and self.message.startswith(NOISE)

    @property
    def is_minimum(self) -> bool | None:
        """True at a strongly stable minimum, False at a saddle point, None if the Hessian was not examined or does not tell."""
        return None if self.stability_constant is None else bool(self.stability_constant > 0.0)

    @property
    def is_saddle(self) -> bool | None:
        """The opposite of a minimum; None if the Hessian was not examined or does not tell."""
        return None if self.is_minimum is None else not self.is_minimum


def potentials_gap(cell: Cell, bulk_energy: float, known: dict[str, float]) -> float:
    """Sum of the chemical potentials over the formula unit minus its energy, eV per atom; 0 where one of them is not given."""
    formula = Counter(cell.lattice.species)
    if not all(symbol in known for symbol in formula):
        return 0.0
    return sum(count * known[symbol] for symbol, count in formula.items()) / sum(formula.values()) - bulk_energy


AGREE = 1e-3
"""eV per atom: chemical potentials of a formula unit that miss its energy by more are not in equilibrium with the crystal."""


def check_reservoirs(cell: Cell, bulk_energy: float, known: dict[str, float] | None) -> None:
    """Warn about chemical potentials that do not add up to the energy of the crystal."""
    gap = potentials_gap(cell, bulk_energy, known or {})
    if not abs(gap) <= AGREE:
        warnings.warn(
            f"the chemical potentials of a formula unit of {cell.lattice.name} add up to {gap:+.3g} eV per atom more than its "
            f"energy ({bulk_energy:.6g} eV per atom): the crystal is not in equilibrium with these reservoirs, and formation "
            "energies of defects that exchange atoms with them are off by it",
            InputWarning,
            stacklevel=3,
        )
