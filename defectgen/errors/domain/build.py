"""From training cells and a fit to a domain."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..._input import InputError, did_you_mean
from ..._typing import Float
from ...ace import ACEBasis, LinearACE
from ...crystal.snapshot import Snapshot
from ...fit import Fit
from ...observe import own_columns
from .deviations import Committee, EnergyDeviation, ForceDeviation, Leverage
from .domain import Domain, counted, snapshots, surroundings
from .measures import BySpecies, Extrapolation, Mahalanobis, Measure, Neighbours, SiteMeasure

SITE_MEASURES: dict[str, type[SiteMeasure]] = {
    "extrapolation": Extrapolation,
    "neighbours": Neighbours,
    "mahalanobis": Mahalanobis,
}
"""Measures of environments: known from training cells and a basis."""
FIT_MEASURES: dict[str, type[ForceDeviation] | type[EnergyDeviation]] = {
    "force_deviation": ForceDeviation,
    "energy_deviation": EnergyDeviation,
}
"""Measures of predictions: known from a fit."""
MEASURES = (*SITE_MEASURES, *FIT_MEASURES, "committee")
"""All measures; the first is the default."""


def domain(
    cells: Iterable[Snapshot],
    fit: Fit | LinearACE | ACEBasis,
    *,
    measures: str | Sequence[str] | None = None,
    committee: Float[np.ndarray, "members columns"] | None = None,
    validation: Iterable[Snapshot] | None = None,
    alpha: float = 0.05,
) -> Domain:
    """The domain of applicability of a fit, from the cells that it was trained on.

    Parameters
    ----------
    cells : iterable of Snapshot
        The training cells.
    fit : Fit, LinearACE or ACEBasis
        The result of `dg.fit`; of a model or a basis alone only the measures of environments can be made.
    measures : str or sequence of str, optional
        Names from MEASURES; the first is the default one of the domain. By default all that can be made.
    committee : array (members, columns), optional
        Coefficients of other models of this basis, as `posterior_members` and `bootstrap_members` draw them.
    validation : iterable of Snapshot, optional
        Cells drawn like those to come: they give the thresholds a guarantee, see `Domain.calibrated`.
    alpha : float
        Probability of a new cell with an atom above the threshold, with `validation` cells.

    Returns
    -------
    Domain
        The measures with their thresholds; `check` and `grade` take configurations.

    Raises
    ------
    InputError
        For cells that are no snapshots, a fit without a basis, and measures that do not exist or cannot be made.

    Notes
    -----
    Without validation a threshold is the largest number of a training environment, which is strict: many new cells of this kind
    have an atom a little above it. theory: domain/grade, domain/leverage, domain/conformal.
    """
    cells = snapshots(cells, "training")
    model = fit.model if isinstance(fit, Fit) else fit
    basis = model.basis if isinstance(model, LinearACE) else model
    if not isinstance(basis, ACEBasis):
        raise InputError(f"a domain needs the result of dg.fit, a fitted model or its ACE basis; got {type(fit).__name__}")
    wanted = _wanted(measures, isinstance(fit, Fit), committee is not None)
    known = _site_rows(cells, basis)
    columns = {symbol: own_columns(basis, symbol) for symbol in known}
    leverage = Leverage.of(fit) if isinstance(fit, Fit) and set(wanted) & set(FIT_MEASURES) else None
    made: dict[str, Measure] = {}
    for name in wanted:
        if name in SITE_MEASURES:
            kind = SITE_MEASURES[name]
            made[name] = BySpecies(kind, columns, {symbol: kind.fitted(rows) for symbol, rows in known.items()})
        elif leverage is not None and name in FIT_MEASURES:
            made[name] = FIT_MEASURES[name](leverage)
        elif committee is not None:
            made[name] = Committee(_members(committee, basis))
    notes: dict[str, Any] = {"cells": len(cells), "environments": {symbol: len(rows) for symbol, rows in known.items()}}
    coefficients = np.asarray(model.coefficients) if isinstance(model, LinearACE) else None
    found = Domain(basis, made, dict.fromkeys(made, np.inf), wanted[0], coefficients, notes)
    if validation is not None:
        return found.calibrated(validation, alpha)
    return Domain(basis, made, _largest(cells, found), wanted[0], coefficients, notes)


def _site_rows(cells: Sequence[Snapshot], basis: ACEBasis) -> dict[str, Float[np.ndarray, "_ _"]]:
    """The rows of all counted sites of every species that occurs, in the columns that it carries."""
    rows: dict[str, list[np.ndarray]] = {}
    for snapshot in cells:
        here, complete = surroundings(basis, snapshot), counted(snapshot.cell)
        for symbol in basis.species:
            own = here.of(symbol)
            if len(own := own[complete[own]]):
                rows.setdefault(symbol, []).append(here.sites[np.ix_(own, own_columns(basis, symbol))])
    return {symbol: np.concatenate(parts) for symbol, parts in rows.items()}


def _largest(cells: Sequence[Snapshot], domain: Domain) -> dict[str, float]:
    """The largest number of a training environment, by every measure; cell by cell, so that no force rows are kept."""
    largest = dict.fromkeys(domain.measures, 0.0)
    for snapshot in cells:
        here, complete = surroundings(domain.basis, snapshot), counted(snapshot.cell)
        for name, measure in domain.measures.items():
            largest[name] = float(np.maximum(largest[name], measure.grade_known(here)[complete].max(initial=0.0)))  # keeps NaN
    if wrong := [name for name, value in largest.items() if not np.isfinite(value)]:
        raise InputError(
            f"the measure {wrong[0]} is not finite on the training cells, so it has no threshold; look at these cells and the fit"
        )
    return largest


def _wanted(measures: str | Sequence[str] | None, fitted: bool, committee: bool) -> tuple[str, ...]:
    """The names of the measures to make. Raises InputError for those that do not exist or that nothing is there for."""
    possible = (*SITE_MEASURES, *(FIT_MEASURES if fitted else ()), *(["committee"] if committee else ()))
    if measures is None:
        return possible
    wanted = tuple(dict.fromkeys([measures] if isinstance(measures, str) else measures))
    for name in wanted:
        if name not in MEASURES:
            raise InputError(f"the measures of a domain are {', '.join(MEASURES)}; got {name!r}{did_you_mean(name, MEASURES)}")
        if name not in possible:
            lacking = "committee=coefficients" if name == "committee" else "the result of dg.fit instead of its model"
            raise InputError(f"the measure {name} cannot be made of what was given; give {lacking}")
    if not wanted:
        raise InputError(f"a domain has at least one measure, of {', '.join(MEASURES)}; got none")
    return wanted


def _members(committee: np.ndarray, basis: ACEBasis) -> np.ndarray:
    """Raises InputError for coefficients that are not of this basis, or of one model only."""
    committee = np.asarray(committee)
    good = committee.ndim == 2 and committee.shape[1] == basis.size and len(committee) >= 2 and committee.dtype.kind in "fiu"
    if not good or not np.all(np.isfinite(committee)):
        raise InputError(
            f"a committee is given by finite coefficients of shape (members >= 2, {basis.size}); got shape {np.shape(committee)}"
        )
    return np.asarray(committee, dtype=float)
