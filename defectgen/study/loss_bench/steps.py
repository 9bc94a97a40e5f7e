"""The step of the bench: one loss on one training set, its model relaxed on every defect of the crystal."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._input import InputError, InputWarning
from ..._typing import Float
from ...campaign import Given, Step
from ...energy.crystal_state import crystal_force_constants
from ...energy.potential import Potential
from ...errors import compare
from ...fit import Fit, LinearPhonons, Loss, fit, linear_phonons
from ...relax import Equilibrium, GreensFunction, greens_function
from ...training import Blocks
from ..settings import Basis
from ..tasks import Crystal, Exact, TrainingRows, kept, remarked, rested, truth_of
from .settings import made


@dataclass(frozen=True, eq=False)
class Benched:
    """What one loss gave on one training set."""

    rmse: dict[str, float]
    """Training errors by kind, field units."""
    rank: int | None
    functions: int
    elastic_error: float
    """Of the elastic constants, relative to their norm; NaN if they were not labelled."""
    phonon_error: float
    """Root mean square error of the frequencies over waves, relative to that of the frequencies."""
    lowest: float
    """Lowest eigenvalue of the force constants on these waves over the reference's; negative: the crystal is not stable."""
    geometry: tuple[float, ...]
    """Geometry error of every defect, A; NaN where the model lost it."""
    energy: tuple[float, ...]
    """eV."""
    state: tuple[str, ...]
    """What became of every defect; empty for those whose errors mean something."""
    positions: tuple[Float[np.ndarray, "_ 3"], ...]
    """Where each rests with the model, A."""
    details: dict[str, float]
    """What the fit reports: reweightings and so on."""
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """What the losses on one training set share."""

    blocks: Blocks
    exacts: tuple[Equilibrium, ...]
    greens: tuple[GreensFunction, ...]
    phonons: LinearPhonons
    eigenvalues: Float[np.ndarray, "waves n"]
    """Of the reference, eV/A^2."""


def frequencies(eigenvalues: Float[np.ndarray, "waves n"]) -> Float[np.ndarray, "waves n"]:
    """Square roots; of a negative eigenvalue minus that of its modulus."""
    return np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues))


def measured(scene: Scene, loss: Loss, starts: Sequence[np.ndarray | None]) -> Benched:
    """Fit a loss and relax every defect with its model, from the given positions or from the reference's.

    Raises InputError for a loss that cannot be fitted to the rows.
    """
    fitted, remarks = remarked(lambda: fit(scene.blocks, loss))
    values = np.asarray(scene.phonons.eigenvalues(fitted.coefficients))
    own, exact = frequencies(values), frequencies(scene.eigenvalues)
    found = [_relaxed(fitted, rest, green, start) for rest, green, start in zip(scene.exacts, scene.greens, starts, strict=True)]
    stable = values.min() > 0
    states = ["the crystal is not stable" if not stable else state for _, _, state, _ in found]
    return Benched(
        rmse=fitted.rmse,
        rank=fitted.rank,
        functions=len(fitted.coefficients),
        elastic_error=_elastic(fitted),
        phonon_error=float(np.linalg.norm(own - exact) / np.linalg.norm(exact)),
        lowest=float(values.min() / scene.eigenvalues.min()),
        geometry=tuple(g if not s else np.nan for (g, _, _, _), s in zip(found, states, strict=True)),
        energy=tuple(e if not s else np.nan for (_, e, _, _), s in zip(found, states, strict=True)),
        state=tuple(states),
        positions=tuple(x for _, _, _, x in found),
        details={key: float(value) for key, value in fitted.details.items()},
        remarks=remarks,
    )


def _relaxed(
    fitted: Fit, exact: Equilibrium, green: GreensFunction, start: np.ndarray | None
) -> tuple[float, float, str, np.ndarray]:
    """Geometry error (A), energy error (eV), what went wrong, and the positions, of one defect."""
    begin = exact.positions if start is None else start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # a fit without V0 puts the crystal under pressure: its errors count
        try:
            model = rested(exact.cell, fitted.model, begin, green, exact.chemical_potentials)
            if not model.converged and start is not None:
                model = rested(exact.cell, fitted.model, exact.positions, green, exact.chemical_potentials)
            error = compare(exact, model)
        except InputError as trouble:
            return np.nan, np.nan, str(trouble), exact.positions
    state = "not relaxed" if not model.converged else "" if error.same_basin else "another basin"
    return float(error.geometry), float(error.energy), state, model.positions


def _elastic(fitted: Fit) -> float:
    """|C - C_exact| / |C_exact| of the labelled elastic constants; NaN without them."""
    square = size = 0.0
    for block in fitted.blocks.items:
        if block.kind == "C":
            rows = block.factor if block.plain is None else block.plain
            square += block.squared_error(fitted.coefficients)
            size += float(np.sum(rows[:, -1] ** 2))
    return float(np.sqrt(square / size)) if size else np.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class BenchTrial(Step[Benched]):
    """One loss on one training set, judged on every defect of the crystal."""

    crystal: Crystal
    rows: TrainingRows
    exacts: tuple[Exact, ...]
    basis: Basis
    waves: int
    loss: dict[str, Any]
    """Settings of the loss, its name included."""
    first: "BenchTrial | None" = None
    """The trial of the default on the same training set, from whose equilibria this one starts."""

    version = "1"

    @property
    def name(self) -> str:
        """Of the loss."""
        return str(self.loss["name"])

    @property
    def label(self) -> str:
        case = f"{self.crystal.material.name} {self.rows.defect}"
        return f"{case} size {self.rows.training_size}, degree {self.basis.degree:g}, loss {self.name}"

    @property
    def weight(self) -> float:
        return 0.3 * len(self.exacts) if self.first is not None else 1.5 * len(self.exacts)

    def of(self) -> Loss:
        """The loss."""
        return made(self.loss)

    def scene(self, given: Given) -> Scene:
        """Rows, reference and phonons: kept by the process for the next loss on this training set."""
        return kept(("bench", self.rows.key, self.basis.model_dump(mode="json"), self.waves), lambda: self._scene(given))

    def _scene(self, given: Given) -> Scene:
        material = self.crystal.material
        truth: Potential = truth_of(material)
        lattice = given[self.crystal].lattice(material)
        exacts = tuple(given[step].at(step.cell(given)) for step in self.exacts)
        own = next(rest for step, rest in zip(self.exacts, exacts, strict=True) if step.defect == self.rows.defect)
        blocks = given[self.rows].of(self.basis, self.rows.basis, own.cell)
        phonons = linear_phonons(lattice, blocks.basis, self.waves)
        exact = LinearPhonons.of(crystal_force_constants(lattice, truth), lattice, self.waves)
        greens = tuple(greens_function(rest.cell, truth) for rest in exacts)
        return Scene(blocks, exacts, greens, phonons, np.asarray(exact.eigenvalues(np.ones(1))))

    def run(self, given: Given) -> Benched:
        """Fit, relax, compare."""
        starts: Sequence[Any] = [None] * len(self.exacts)
        if self.first is not None:
            before = given[self.first]
            starts = [x if not s else None for x, s in zip(before.positions, before.state, strict=True)]
        return measured(self.scene(given), self.of(), starts)
