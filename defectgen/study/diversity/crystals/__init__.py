"""The source of crystals: phases with defects in small cells, thermal configurations, labels of an analytic reference.

In addition to energies and forces, fits are trained on virials of their configurations and on force constants of those phases
in their training set that are stable. An unstable phase is stationary, so its force constants exist, but its phonons are not
meaningful, and the package refuses them elsewhere too. Additional tests are configurations of wider laws, and defects relaxed
in a large cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...._input import InputError
from ....ace import ACEBasis, LinearACE
from ....campaign import Given, Step
from ....crystal import Cell
from ....errors import compare
from ....observe import Response
from ....relax import Equilibrium, greens_function
from ....relax import relax as relax
from ....training import Blocks
from ....training.blocks import Block
from ....training.crystals import force_constant_block, response_rows, virial_block, voigt
from ...interface import Tables
from ...tasks import rested, truth_of
from ..pool import PackedPool, Pool
from ..source import OfDesign, Source
from .settings import Settings
from .steps import CrystalPool, ExactDefect, Phase, Portrait, drawn, phase_at_rest, seen_phases
from .tables import crystal_tables


class Crystals(Source, Settings):
    """`[settings]` of a data set with source = "crystals", and what it adds to a study."""

    name: ClassVar[str] = "crystals"
    kinds: ClassVar[tuple[str, ...]] = ("FC", "V")

    @property
    def called(self) -> str:
        """The material."""
        return self.material

    def check(self) -> None:
        """Raises InputError for phases, defects and cells that cannot be made."""
        for asked in (None, *self.apart.values()):
            self.structures(asked)

    def pool(self) -> Step[PackedPool]:
        """All phases; each is relaxed by one step, and its configurations are drawn by another."""
        return CrystalPool(settings=self, drawn=drawn(self))

    def exact(self) -> tuple[ExactDefect, ...]:
        """The defects that every model relaxes, relaxed with the reference."""
        size, first = self.model_dump(mode="json")["simulation_size"], phase_at_rest(self, self.phases[0])
        return tuple(ExactDefect(rest=first, defect=defect, simulation_size=size) for defect in self.relaxed)

    def counts(self) -> tuple[int, int]:
        """Structures that can be made, and configurations of each."""
        return len(self.names()), self.conformations

    def further(self) -> tuple[Step[Any], ...]:
        """The phases that are trained on, and the exact defects."""
        return (*(phase_at_rest(self, name) for name in self.phases), *self.exact())

    def blocks(self, trial: OfDesign[Any], given: Given, chosen: np.ndarray) -> Blocks:
        """V of the configurations of a design and FC of its stable phases, those that are observed."""
        kinds, here = trial.observations.split("+"), _responses(trial, given)
        items = [_virials(here, chosen)] if "V" in kinds else []
        if "FC" in kinds:
            stable = seen_phases(self, here.pool, chosen, given)
            items += [_force_constants(step, given, here.basis) for step, _ in stable] or [no_force_constants(here.basis)]
        return Blocks(here.basis, tuple(items), here.pool.dataset.truth)

    def metrics(self, model: LinearACE, trial: OfDesign[Any], given: Given) -> list[dict[str, Any]]:
        """Errors under wider laws, and of relaxed defects."""
        relaxed = trial.labels >= self.relaxed_from
        return [*self._wider(model, _responses(trial, given)), *(self._relaxed(model, given) if relaxed else [])]

    def pictured(self, graded: Sequence[OfDesign[Any]]) -> list[Step[Any]]:
        """One cell for the page, of the middle split of the largest budget."""
        if not graded or not self.apart:
            return []
        return [Portrait.like(sorted(graded, key=lambda step: step.structures)[len(graded) // 2])]

    def tables(self, called: str, rows: list[dict], steps: Sequence[Step[Any]], given: Given) -> Tables:
        """What one data set costs, which relaxations failed, how far atoms strayed, and its portrait."""
        return crystal_tables(self, called, rows, steps, given)

    def _wider(self, model: LinearACE, here: _Responses) -> list[dict[str, Any]]:
        """One line a law: configurations that are hotter, more strained, or made by another generator than the training.

        All splits of all seeds are tested on the same configurations, one of every structure, trained on or not, as in the
        test "in-distribution" of the law that is trained on.
        """
        theta, pool = np.asarray(model.coefficients), list(self.names())
        return [
            {"test": f"wider law: {law.name}", **_errors(here, theta, here.pool.dataset.where(pool, law.name)[:: self.every])}
            for law in self.wider
        ]

    def _relaxed(self, model: LinearACE, given: Given) -> list[dict[str, Any]]:
        """One line a defect: errors of the geometry (A) and of the formation energy (eV), and what went wrong, if something did.

        The relaxation starts from the reference's equilibrium. If it leaves the basin, or the crystal, the line has the
        numbers of the state where it stopped, and `outcome` gives what happened. If the model cannot be relaxed at all, there
        are no numbers.
        """
        lines = []
        for step in self.exact():
            cell = step.cell(given)
            found = _judged(model, cell, given[step].at(cell))
            lines.append({"test": f"relaxed {step.defect}", "simulation_atoms": len(cell), **found})
        return lines


@dataclass(frozen=True, eq=False)
class _Responses:
    """A pool, its virials, and the rows of configurations, computed when they are first needed."""

    pool: Pool
    virials: np.ndarray
    basis: ACEBasis
    rows: dict[int, Response] = field(default_factory=dict)

    def of(self, number: int) -> Response:
        """Energy (eV), forces (eV/A) and virial (eV) rows of one configuration."""
        if number not in self.rows:
            self.rows[number] = response_rows(self.pool.dataset.configurations[number], self.basis)
        return self.rows[number]


_OPENED: dict[tuple[str, str], _Responses] = {}
_CONSTANTS: dict[tuple[str, str], Block] = {}
"""What this process has computed: trials of one data set follow each other, and these rows cost more than a fit."""


def _responses(trial: OfDesign[Any], given: Given) -> _Responses:
    """The pool of a trial with its basis."""
    key = trial.pool.key, trial.rows.basis.model_dump_json()
    if key not in _OPENED:
        pool = given[trial.pool].unpack()
        assert pool.virials is not None  # crystals have them all
        _OPENED.clear()
        _OPENED[key] = _Responses(pool, pool.virials, ACEBasis(pool.dataset.species, **trial.rows.basis.model_dump()))
    return _OPENED[key]


def _virials(here: _Responses, chosen: np.ndarray) -> Block:
    found = [here.of(n).virial for n in chosen.tolist()]
    rows = np.array([voigt(virial) for virial in found if virial is not None])  # a basis has them all
    return virial_block(rows, here.virials[chosen], here.pool.dataset.atoms[chosen], here.pool.law)


def no_force_constants(basis: ACEBasis) -> Block:
    """FC of a design without a stable phase: a row of zeros with the label zero, which does not change the fit."""
    return Block("FC", "no stable phase", 0, 1.0, 1, np.zeros((1, basis.size + 1)))


def _force_constants(step: Phase, given: Given, basis: ACEBasis) -> Block:
    key = step.key, str(basis.describe())
    if key not in _CONSTANTS:
        _CONSTANTS[key] = force_constant_block(step.lattice(given), truth_of(step.material), basis, step.phase)
    return _CONSTANTS[key]


def _errors(here: _Responses, theta: np.ndarray, numbers: np.ndarray) -> dict[str, float | int]:
    """Root mean square errors: energy and virial eV/atom, forces eV/A."""
    energy, forces, virial = [], [], []
    for number in numbers.tolist():
        c, rows = here.pool.dataset.configurations[number], here.of(number)
        assert rows.energy is not None and rows.forces is not None and rows.virial is not None  # a basis has them all
        assert c.energy is not None and c.forces is not None  # and so has a pool
        energy.append((rows.energy @ theta - c.energy) / len(c))
        forces.append((rows.forces @ theta - c.forces).ravel())
        virial.append((voigt(rows.virial) @ theta - voigt(here.virials[number])) / len(c))
    wrong = np.concatenate(forces)
    return {
        "configurations": len(numbers),
        "test_structures": len(numbers),
        "energy_rmse": _rms(np.array(energy)),
        "forces": float(np.mean(np.abs(wrong))),
        "forces_rmse": _rms(wrong),
        "virial_rmse": _rms(np.array(virial)),
    }


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _judged(model: LinearACE, cell: Cell, truth: Equilibrium) -> dict[str, Any]:
    try:
        green = greens_function(cell, model)
        found = rested(cell, model, truth.positions, green, truth.chemical_potentials)
    except InputError as error:
        return {"outcome": f"not relaxed: {error}"}
    error = compare(truth, found)
    outcome = "" if error.same_basin else error.why_not
    if not found.bulk_stable:
        outcome = "the model does not hold the crystal together"
    numbers = {"geometry": error.geometry, "geometry_max": error.geometry_max, "formation_energy": error.energy}
    return {**{k: v for k, v in numbers.items() if math.isfinite(v)}, "outcome": outcome}
