"""Does the domain of applicability know where a fit fails? Grades of test atoms beside their force errors.

An atom is bad if its force error is more than LIMIT times the level in distribution, the root mean square over the atoms of
new configurations of the structures that were trained on. theory: diversity/experiments, domain/grade, domain/leverage.
"""

from typing import Any

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis
from ...campaign import Record
from ...dataset import Configuration
from ...errors.domain import BySpecies, Extrapolation, Leverage, Mahalanobis, Neighbours, auroc
from ...observe import Environments, environments, own_columns
from ...training.dynamics import BUCKET as PERIODIC_BUCKET
from .split import OWN, tests_of
from .steps import Opened, opened, train

LIMIT = 3.0
SITES = {"extrapolation grade": Extrapolation, "distance to neighbours": Neighbours, "Mahalanobis distance": Mahalanobis}
LEVERAGE = "leverage of the forces"
BUCKET = 8
"""Of compiled shapes, as for design rows."""
EACH = 1
"""Configurations of each test structure: atoms of one structure are much alike."""


def measured(spec: dict[str, Any], pool_record: Record, rows_record: Record, *records: Record) -> Record:
    """AUROC of every measure on every test set, for atoms, and configurations by their worst atom; spec: as of a trial."""
    here = opened(spec, pool_record, rows_record)
    trained = train(spec, here, records)
    sets = tests_of(here.pool, trained.parts, trained.seen, spec["common"], EACH)
    sites = _sites(here, trained.chosen)
    leverage = Leverage.of(trained.fit)
    theta = np.asarray(trained.fit.coefficients)
    scored = {name: [_scored(here, n, sites, leverage, theta) for n in numbers.tolist()] for name, numbers in sets.items()}
    level = float(np.sqrt(np.mean(np.concatenate([errors for errors, _ in scored[OWN]]) ** 2)))
    lines = [
        {"test": name, "measure": measure, "level": level, **_quality(found, measure, level)}
        for name, found in scored.items()
        for measure in (*SITES, LEVERAGE)
    ]
    return Record({"lines": lines})


def _quality(found: list[tuple[np.ndarray, dict[str, np.ndarray]]], measure: str, level: float) -> dict[str, float | None]:
    """How well one measure tells bad atoms, and configurations with a bad atom, from the others."""
    errors = [e for e, _ in found]
    scores = [s[measure] for _, s in found]
    bad, worst = np.concatenate(errors) > LIMIT * level, np.array([e.max() > LIMIT * level for e in errors])
    return {
        "atoms": len(bad),
        "bad_atoms": int(bad.sum()),
        "auroc_atoms": _auroc(np.concatenate(scores), bad),
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
    here: Opened, number: int, sites: dict[str, BySpecies], leverage: Leverage, theta: Float[np.ndarray, " columns"]
) -> tuple[Float[np.ndarray, " atoms"], dict[str, Float[np.ndarray, " atoms"]]]:
    """Force error of every atom (length of the vector, eV/A), and its grade by every measure."""
    c, place = here.pool.dataset.configurations[number], int(here.places(np.array([number]))[0])
    columns, rows = here.rows.columns[place], here.rows.of(place)[1:]
    assert c.forces is not None  # a pool has them all
    wrong = (rows @ theta[columns]).reshape(-1, 3) - c.forces
    full = np.zeros((len(rows), here.basis.size))
    full[:, columns] = rows
    around = _around(here.basis, c)
    found = {name: measure.grade(around) for name, measure in sites.items()}
    found[LEVERAGE] = np.sqrt(np.sum(leverage.deviation(full).reshape(-1, 3) ** 2, axis=1))
    return np.linalg.norm(wrong, axis=1), found


def _around(basis: ACEBasis, c: Configuration) -> Environments:
    vectors = np.eye(3) if c.vectors is None else c.vectors
    bucket = PERIODIC_BUCKET if any(c.periodic) else BUCKET
    return environments(basis, c.symbols, c.positions, vectors, c.periodic, bucket)
