"""The domain of a fitted model: measures made from its training cells, each with a threshold, and their verdicts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..._display import preformatted, shown
from ..._input import InputError, did_you_mean
from ..._typing import Bool, Float, Int
from ...ace import ACEBasis, LinearACE
from ...crystal.cell import Cell
from ...crystal.snapshot import Snapshot
from ...energy.applicability import Applicability, above, outside_sentence, worst_first
from ...energy.site import SiteEnergy
from ...observe import Environments, environments
from ...relax import Equilibrium
from .archive import write
from .measures import Measure
from .quality import conformal_quantile, fewest_scores

# ------ What a domain can check, and which atoms of it count

Configuration = Cell | Snapshot | Equilibrium
"""A cell at its unrelaxed positions, a snapshot, or a relaxed cell."""


def geometry(given: Configuration) -> tuple[Cell, Float[np.ndarray, "atoms 3"], Float[np.ndarray, "3 3"]]:
    """The cell, the positions (A) and the box vectors (A) of what is checked. Raises InputError for anything else."""
    if isinstance(given, Cell):
        return given, given.positions, given.vectors
    if isinstance(given, Snapshot):
        return given.cell, given.positions, given.vectors
    if isinstance(given, Equilibrium):
        return given.cell, given.positions, given.cell.vectors
    raise InputError(
        f"a domain checks a cell, a snapshot or the result of dg.relax; got {type(given).__name__}: for ASE atoms use "
        "dg.Calculator(model, domain=domain)"
    )


def counted(cell: Cell) -> Bool[np.ndarray, " atoms"]:
    """Atoms whose surroundings are all there: not the clamped ones of a ball or cylinder, beyond which the crystal goes on."""
    return cell.free if cell.clamped and cell.free.any() else np.ones(len(cell), dtype=bool)


def surroundings(basis: ACEBasis, given: Configuration) -> Environments:
    """The environments of a configuration."""
    cell, positions, vectors = geometry(given)
    return environments(basis, cell.symbols, positions, vectors, cell.periodic)


def snapshots(cells: Iterable[Snapshot], what: str) -> list[Snapshot]:
    """The cells as a list. Raises InputError for an empty one and for what is no snapshot."""
    found: list[Snapshot] = list(cells) if isinstance(cells, Iterable) else [cells]
    if not found or any(not isinstance(c, Snapshot) for c in found):
        came = ", ".join(dict.fromkeys(type(c).__name__ for c in found)) or "none"
        raise InputError(f"{what} cells are snapshots, from dg.training_cells or dg.read_extxyz; got {came}")
    return found


# ------ What a domain says of one configuration: the number of every atom, and which atoms are outside


@dataclass(frozen=True, eq=False)
class Check:
    """The verdict on a configuration; printed, it is one sentence."""

    cell: Cell
    positions: Float[np.ndarray, "atoms 3"]
    """Where the atoms were, A."""
    grades: Float[np.ndarray, " atoms"]
    measure: str
    unit: str
    threshold: float
    counted: Bool[np.ndarray, " atoms"]
    """Atoms whose surroundings are complete: all but the clamped ones of a ball or cylinder, which ends there."""

    def __repr__(self) -> str:
        return shown(
            self,
            self.measure,
            f"{len(self.outside)} of {int(self.counted.sum())} atoms outside the domain",
            f"largest {self.worst:.3g}, threshold {self.threshold:.3g}",
        )

    @cached_property
    def outside(self) -> Int[np.ndarray, " outside"]:
        """Counted atoms that are not within the threshold, the worst first; those whose number is NaN or infinite are outside."""
        found = np.flatnonzero(above(self.grades, self.threshold) & self.counted)
        return worst_first(self.grades, found)

    @property
    def inside(self) -> bool:
        """Whether every counted atom is within the threshold."""
        return not len(self.outside)

    @property
    def worst(self) -> float:
        """The largest number of a counted atom; NaN if one is."""
        return float(self.grades[self.counted].max(initial=-np.inf))

    def __str__(self) -> str:
        sentence = outside_sentence(self.grades, self.threshold, self.measure, self.counted)
        return (
            sentence or f"all atoms are inside the domain ({self.measure} up to {self.worst:.3g}, threshold {self.threshold:.3g})"
        )


# ------ The domain of a fitted model: measures made from its training cells, each with a threshold


@dataclass(frozen=True, eq=False)
class Domain(Applicability):
    """Where a model may be trusted, by several measures; made by `dg.domain`, used with `grade` and `check`."""

    basis: ACEBasis
    measures: dict[str, Measure]
    thresholds: dict[str, float]
    """Largest number that counts as inside."""
    measure: str
    """The default measure."""
    coefficients: Float[np.ndarray, " size"] | None = None
    """Of the model that the domain belongs to; None if it was made of a basis alone."""
    notes: dict[str, Any] = field(default_factory=dict)
    """How it was made: training cells and environments, and where the thresholds come from."""

    def _repr_html_(self) -> str:
        return preformatted(self)

    def __repr__(self) -> str:
        limits = ", ".join(f"{name} {value:.3g}" for name, value in self.thresholds.items())
        return shown(self, " ".join(self.basis.species), f"thresholds: {limits}", f"judged by {self.measure}")

    @property
    def threshold(self) -> float:
        return self.thresholds[self.measure]

    def grade(self, configuration: Configuration, measure: str | None = None) -> Float[np.ndarray, " atoms"]:
        """The number of every atom of a configuration.

        Parameters
        ----------
        configuration : Cell, Snapshot or Equilibrium
            What is graded.
        measure : str, optional
            By which measure; that of the domain if not given.

        Returns
        -------
        array (atoms,)
            In the unit of the measure; infinite for a species that no training cell has.

        Raises
        ------
        InputError
            Something that is no configuration, or a measure that the domain does not have.
        """
        asked = self.measure if measure is None else measure
        return self.by(asked).measures[asked].grade(surroundings(self.basis, configuration))

    def check(self, configuration: Configuration, measure: str | None = None) -> Check:
        """Which atoms of a configuration are outside.

        Parameters
        ----------
        configuration : Cell, Snapshot or Equilibrium
            What is graded.
        measure : str, optional
            By which measure; that of the domain if not given.

        Returns
        -------
        Check

        Raises
        ------
        InputError
            As `grade`.
        """
        asked = self.by(self.measure if measure is None else measure)
        cell, positions, _ = geometry(configuration)
        unit = asked.measures[asked.measure].unit
        return Check(cell, positions, asked.grade(configuration), asked.measure, unit, asked.threshold, counted(cell))

    def levels(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
    ) -> Float[np.ndarray, " atoms"]:
        """The number of every atom by the measure of the domain, for the calculator.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array (atoms, 3)
            A.
        vectors : array (3, 3)
            Box vectors as rows, A.
        periodic : tuple of bool
            Whether the box is periodic along each vector.

        Returns
        -------
        array (atoms,)
            In the unit of the measure.
        """
        return self.measures[self.measure].grade(environments(self.basis, symbols, positions, vectors, periodic))

    def belongs_to(self, potential: SiteEnergy) -> bool:
        """Whether this is the domain of a potential.

        Parameters
        ----------
        potential : SiteEnergy
            The potential.

        Returns
        -------
        bool
            Whether it has this basis, and, if the domain has them, these coefficients.
        """
        if not isinstance(potential, LinearACE) or potential.basis.describe() != self.basis.describe():
            return False
        return self.coefficients is None or np.array_equal(self.coefficients, np.asarray(potential.coefficients))

    def by(self, measure: str) -> "Domain":
        """The same domain with another measure.

        Parameters
        ----------
        measure : str
            One of `measures`.

        Returns
        -------
        Domain

        Raises
        ------
        InputError
            A measure that the domain does not have.
        """
        if measure not in self.measures:
            raise InputError(
                f"this domain has the measures {', '.join(self.measures)}; got {measure!r}{did_you_mean(measure, self.measures)}"
            )
        return replace(self, measure=measure)

    def calibrated(self, cells: Iterable[Snapshot], alpha: float = 0.05) -> "Domain":
        """The same domain with thresholds from validation cells.

        A new cell, drawn as these were, has an atom above the threshold with probability at most `alpha`. The atoms of one
        cell are not independent, so a cell counts once, with its largest number.

        Parameters
        ----------
        cells : iterable of Snapshot
            Validation cells, at least 1/alpha - 1.
        alpha : float
            The probability, between 0 and 1.

        Returns
        -------
        Domain

        Raises
        ------
        InputError
            Too few cells.

        Notes
        -----
        theory: domain/conformal.
        """
        cells = snapshots(cells, "validation")
        if len(cells) < fewest_scores(alpha):
            raise InputError(
                f"thresholds with alpha = {alpha:g} need at least {fewest_scores(alpha)} validation cells; got {len(cells)}: "
                "give more, or a larger alpha"
            )
        worst: dict[str, list[float]] = {name: [] for name in self.measures}
        for snapshot in cells:
            here = surroundings(self.basis, snapshot)
            for name, measure in self.measures.items():
                worst[name].append(float(measure.grade(here)[counted(snapshot.cell)].max(initial=0.0)))
        thresholds = {name: conformal_quantile(np.array(numbers), alpha) for name, numbers in worst.items()}
        return replace(self, thresholds=thresholds, notes={**self.notes, "validation_cells": len(cells), "alpha": alpha})

    def save(self, path: str | Path) -> Path:
        """Write the domain as a companion of its model, `model.domain.npz` next to `model.json`; `dg.load_domain` reads it.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        header = {"basis": self.basis.describe(), "measure": self.measure, "thresholds": self.thresholds, "notes": self.notes}
        arrays = {f"{name}/{key}": value for name, measure in self.measures.items() for key, value in measure.arrays().items()}
        return write(Path(path), header, arrays if self.coefficients is None else {**arrays, "coefficients": self.coefficients})

    def __str__(self) -> str:
        known = self.notes.get("environments", {})
        how = f"alpha {self.notes['alpha']:g}" if "alpha" in self.notes else "largest in training"
        lines = [
            f"domain of {self.notes.get('cells', '?')} cells, " + ", ".join(f"{n} environments of {s}" for s, n in known.items())
        ]
        for name, threshold in self.thresholds.items():
            value = f"{threshold:.4g} {self.measures[name].unit}".strip() if math.isfinite(threshold) else "none"
            lines.append(f"{name:<17} threshold {value} ({how})")
        return "\n".join(lines)
