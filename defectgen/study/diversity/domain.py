"""How well does the domain of applicability detect where a fit fails? Grades of test atoms, compared with force errors.

An atom is bad if its force error is more than LIMIT times the level in distribution, the root mean square over the atoms of
new configurations of the structures that were trained on. theory: diversity/experiments, domain/grade, domain/leverage.

A measure that is computed from the training data can only detect errors that other labels would change. The error is
therefore split with the help of a fit to all configurations of the study, tests included. The part that other labels would
*remove* is the difference of the two fits; the rest is the *misfit* of the basis. Every measure is also judged by the first
part alone, with its own level. theory: diversity/reducible.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis
from ...campaign import Given, Step
from ...dataset import Configuration
from ...errors.domain import BySpecies, Extrapolation, Leverage, Mahalanobis, Neighbours, auroc
from ...fit import CONVENTION, FitWarning, fit
from ...observe import Environments, environments, own_columns
from ...training.dynamics import BUCKET as PERIODIC_BUCKET
from ..settings import FitSettings
from .pool import PackedPool
from .rows import Opened, UsedRows
from .source import OfDesign
from .split import OWN

LIMIT = 3.0
SITES = {"extrapolation grade": Extrapolation, "distance to neighbours": Neighbours, "Mahalanobis distance": Mahalanobis}
LEVERAGE = "leverage of the forces"
BUCKET = 8
"""Of compiled shapes, as for design rows."""
EACH = 1
"""Configurations of each test structure: atoms of one structure are much alike."""


@dataclass(frozen=True, eq=False)
class Scored:
    """One configuration: lengths of vectors of force, eV/A, one an atom, and the grade of each by every measure."""

    error: Float[np.ndarray, " atoms"]
    reducible: Float[np.ndarray, " atoms"]
    misfit: Float[np.ndarray, " atoms"]
    grades: dict[str, Float[np.ndarray, " atoms"]]


@dataclass(frozen=True, eq=False)
class BestFit:
    """The fit to everything."""

    coefficients: Float[np.ndarray, " functions"]
    rank: int | None
    rmse: dict[str, float]
    """In field units."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Everything(Step[BestFit]):
    """The fit to the energies and forces of all configurations that the study uses."""

    pool: Step[PackedPool]
    rows: UsedRows
    fit: FitSettings
    called: str = ""
    """Name of the data set, for the label."""

    apart = ("study", "called")

    @property
    def label(self) -> str:
        return f"{self.called} best fit"

    @property
    def weight(self) -> float:
        return 5.0

    def run(self, given: Given) -> BestFit:
        """Fit."""
        here = self.rows.opened(given)
        blocks = here.rows.blocks(np.arange(len(here.used)), here.pool.offsets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # a function that no configuration sees has no part in any error
            found = fit(blocks, "E+F", CONVENTION, self.fit.prior, self.fit.solver)
        return BestFit(np.asarray(found.coefficients), found.rank, found.rmse)


@dataclass(frozen=True, eq=False)
class Graded:
    """How well the measures of one fit detect where it fails."""

    lines: tuple[dict[str, Any], ...]
    """One line a test and measure: `level` in eV/A, counts, and AUROC for atoms and for configurations by their worst atom."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured(OfDesign[Graded]):
    """AUROC of every measure on every test set, for atoms, and configurations by their worst atom."""

    best: Everything

    @property
    def label(self) -> str:
        return f"{self.prefix}domain of {self.about}"

    @property
    def weight(self) -> float:
        return 4.0

    def run(self, given: Given) -> Graded:
        """Fit the design, grade the atoms of the tests."""
        here, trained = self.opened(given), self.train(given)
        sets = self.tests(trained, here.pool, EACH)
        sites = _sites(here, trained.chosen)
        leverage = Leverage.of(trained.fit)
        thetas = np.asarray(trained.fit.coefficients), given[self.best].coefficients
        scored = {name: [_scored(here, n, sites, leverage, *thetas) for n in numbers.tolist()] for name, numbers in sets.items()}
        level = _rms([one.error for one in scored[OWN]])
        own = _rms([one.reducible for one in scored[OWN]])
        return Graded(
            tuple(
                {"test": name, "measure": measure, "level": level, **_quality(found, measure, level, own)}
                for name, found in scored.items()
                for measure in (*SITES, LEVERAGE)
            )
        )


def _rms(parts: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


def _quality(found: list[Scored], measure: str, level: float, own: float) -> dict[str, float | None]:
    """How well one measure detects bad atoms, and configurations with one; `own`: the level of the reducible error."""
    scores = [one.grades[measure] for one in found]
    bad = np.concatenate([one.error for one in found]) > LIMIT * level
    reducible = np.concatenate([one.reducible for one in found]) > LIMIT * own
    worst = np.array([one.error.max() > LIMIT * level for one in found])
    return {
        "atoms": len(bad),
        "bad_atoms": int(bad.sum()),
        "auroc_atoms": _auroc(np.concatenate(scores), bad),
        "misfit_share": (_rms([one.misfit for one in found]) / max(_rms([one.error for one in found]), np.finfo(float).tiny))
        ** 2,
        "reducible_atoms": int(reducible.sum()),
        "auroc_reducible": _auroc(np.concatenate(scores), reducible),
        "configurations": len(worst),
        "bad_configurations": int(worst.sum()),
        "auroc_configurations": _auroc(np.array([s.max() for s in scores]), worst),
    }


def _auroc(scores: Float[np.ndarray, " n"], bad: np.ndarray) -> float | None:
    """None where all or none are bad."""
    try:
        return auroc(scores, bad)
    except InputError:
        return None


def _sites(here: Opened, chosen: np.ndarray) -> dict[str, BySpecies]:
    """Measures of environments from the training configurations."""
    known: dict[str, list[np.ndarray]] = {}
    for number in chosen.tolist():
        around = _around(here.basis, here.pool.dataset.configurations[number])
        for symbol in set(around.symbols):
            known.setdefault(symbol, []).append(around.sites[np.ix_(around.of(symbol), own_columns(here.basis, symbol))])
    columns = {symbol: own_columns(here.basis, symbol) for symbol in known}
    rows = {symbol: np.concatenate(parts) for symbol, parts in known.items()}
    return {name: BySpecies(kind, columns, {z: kind.fitted(x) for z, x in rows.items()}) for name, kind in SITES.items()}


def _scored(
    here: Opened,
    number: int,
    sites: dict[str, BySpecies],
    leverage: Leverage,
    theta: Float[np.ndarray, " columns"],
    best: Float[np.ndarray, " columns"],
) -> Scored:
    """Force error of every atom, its parts, and its grade by every measure; `best`: coefficients of the fit to everything."""
    c, place = here.pool.dataset.configurations[number], int(here.places(np.array([number]))[0])
    columns, rows = here.rows.columns[place], here.rows.of(place)[1:]
    assert c.forces is not None  # a pool has them all
    now, could = ((rows @ each[columns]).reshape(-1, 3) for each in (theta, best))
    full = np.zeros((len(rows), here.basis.size))
    full[:, columns] = rows
    around = _around(here.basis, c)
    grades = {name: measure.grade(around) for name, measure in sites.items()}
    grades[LEVERAGE] = np.sqrt(np.sum(leverage.deviation(full).reshape(-1, 3) ** 2, axis=1))
    error, reducible, misfit = (np.linalg.norm(v, axis=1) for v in (now - c.forces, now - could, could - c.forces))
    return Scored(error, reducible, misfit, grades)


def _around(basis: ACEBasis, c: Configuration) -> Environments:
    vectors = np.eye(3) if c.vectors is None else c.vectors
    bucket = PERIODIC_BUCKET if any(c.periodic) else BUCKET
    return environments(basis, c.symbols, c.positions, vectors, c.periodic, bucket)
