"""One-body energies of a fit that are held: given, of isolated atoms, or by least squares over the energies."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._input import InputError, did_you_mean, real
from ..dataset import OneBody, undetermined
from ..training.blocks import Blocks
from .constraint import Constraint
from .weights import FitWarning

FITTED = "fitted"
WAYS = (FITTED, "isolated", "least-squares")
SEEN = 1e-9


def held_one_body(blocks: Blocks, given: Any) -> Constraint | None:
    """One-body energies as a constraint; None where they are fitted like other coefficients.

    Raises InputError for an unknown way, a species without an energy, and an isolated atom that is missing. Warns (FitWarning) of
    combinations that least squares leaves open.
    """
    if given is None or given == FITTED:
        return None
    species: tuple[str, ...] = tuple(getattr(blocks.basis, "species", ()))
    if not species:
        raise InputError("one-body energies are those of the species of a basis, and these blocks carry none")
    energies = _energies(blocks, species, given)
    rows = np.zeros((len(species), blocks.columns))
    rows[:, : len(species)] = np.eye(len(species))
    return Constraint("one-body energies", rows, np.array([energies[s] for s in species]))


def _energies(blocks: Blocks, species: tuple[str, ...], given: Any) -> Mapping[str, float]:
    if isinstance(given, Mapping):
        if missing := [s for s in species if s not in given]:
            raise InputError(
                f"one-body energies are needed for {', '.join(species)}; there is none of {missing[0]}: give it in eV, or "
                "one_body='least-squares'"
            )
        if isinstance(given, OneBody):
            _warn(given.undetermined)
        return {s: real(given[s], f"the one-body energy of {s}", unit="eV") for s in species}
    if not isinstance(given, str) or given not in WAYS:
        raise InputError(
            f"one-body energies are {', '.join(map(repr, WAYS))}, or a table such as {{'Cu': -0.1}}; got {given!r}"
            f"{did_you_mean(given, WAYS)}"
        )
    if given == "isolated":
        free = blocks.notes.get("isolated_atoms", {})
        if missing := [s for s in species if s not in free]:
            raise InputError(
                f"the labelled configurations hold no isolated atom of {' or '.join(missing)}; add one in an open or wide box "
                "with its energy, give its energy, or use one_body='least-squares'"
            )
        return {s: float(free[s]) for s in species}
    energies = [b.factor if b.plain is None else b.plain for b in blocks.items if b.kind == "E"]
    if not energies:
        raise InputError("one-body energies by least squares need energies, and there are no rows of kind E; label E as well")
    stacked = np.concatenate(energies)
    counts, values = stacked[:, : len(species)], stacked[:, -1]
    _warn(undetermined(species, counts))
    solution = np.linalg.lstsq(counts, values, rcond=SEEN)[0]
    return dict(zip(species, solution.tolist(), strict=True))


def _warn(open_: tuple[str, ...]) -> None:
    if open_:
        warnings.warn(
            f"the compositions do not determine {' and '.join(open_)} of the one-body energies; the shortest solution was taken, "
            "and energies of other compositions mean nothing",
            FitWarning,
            stacklevel=5,
        )
