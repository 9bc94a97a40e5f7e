"""Weights come late: one number per kind of observation and configuration group, applied when the compressed rows are solved."""

import math
import warnings
from collections.abc import Mapping
from numbers import Real
from typing import Any

from .._input import InputError, did_you_mean
from ..training.blocks import Blocks
from ..training.observations import ELASTIC, FORMATION, INTERNAL, PARTS, PERFECT, TARGETS

DEFAULT_WEIGHTS = {"E": 1000.0, "F": 1.0, "FC": 1.0, "V": 1.0, INTERNAL: 1.0, PERFECT: 1000.0, ELASTIC: 0.0, FORMATION: 0.0}
"""Chosen by measurement, together with no prior (theory: fit/defaults). Rows of E, V and V0 also carry 1/sqrt(N), through
`Block.scale`. With a small weight of E the formation energy, a difference of total energies, gets worse as the training cell
grows; a wrong lattice constant, which V0 prevents, puts a floor under every error. Lower E where energies are noisy, or where the
basis is so small that it misses forces by more than about 0.01 eV/A. Elastic constants and formation energies take part only
where they are given a weight; a set that contains C holds it exactly instead."""

CONVENTION = {"E": 30.0, "F": 1.0, "FC": 1.0, "V": 1.0, INTERNAL: 1.0, PERFECT: 100.0}
"""E : F : V = 30 : 1 : 1, the convention of ACE fits to data sets of many structures."""

Weights = dict[str, dict[str, float]]
"""weights[kind][group]"""


class FitWarning(UserWarning):
    """Something about a fit that its user probably did not intend."""


def resolve_weights(blocks: Blocks, weights: Mapping[str, Any] | None = None) -> Weights:
    """The weight of every kind and group that has rows.

    `weights` maps a kind to a number, a kind to {group: number}, or "kind:group" to a number; what it does not mention keeps its
    default. Warns (FitWarning) about weights without rows and rows without weight.
    Raises InputError for an unknown kind and for a weight that is negative or not finite.
    """
    groups = {kind: dict.fromkeys(b.group for b in blocks.items if b.kind == kind) for kind in PARTS}
    resolved: Weights = {kind: dict.fromkeys(names, DEFAULT_WEIGHTS[kind]) for kind, names in groups.items() if names}
    for kind, group, value in sorted(_entries(weights or {}), key=lambda entry: entry[1] is not None):  # groups refine kinds
        number = _number(kind, group, value)
        if group is None:
            for name in groups[kind]:
                resolved[kind][name] = number
        elif group in groups[kind]:
            resolved[kind][group] = number
        if not groups[kind] or (group is not None and group not in groups[kind]):
            _warn(f"the weight of {_label(kind, group)} has no rows to act on (there are {_present(blocks)})")
    for kind, names in resolved.items():
        for group, number in names.items():
            if number == 0.0 and kind not in TARGETS:
                _warn(f"the rows of {kind}:{group} have weight zero, so the fit does not see them")
    return resolved


def weighted_kinds(weights: Mapping[str, Any]) -> set[str]:
    """The kinds that are given a weight other than zero."""
    return {kind for kind, _, value in _entries(weights) if value}


def check_weights(weights: Mapping[str, Any]) -> None:
    """Raises InputError for weights that no blocks could use."""
    for entry in _entries(weights):
        _number(*entry)


def _number(kind: str, group: str | None, value: Any) -> float:
    """The weight as a number. Raises InputError for an unknown kind, and for what is negative, not finite or no number."""
    if kind not in PARTS:
        raise InputError(
            f"weights are given to the kinds {', '.join(PARTS)}; got {kind!r}{did_you_mean(kind, PARTS)}: write e.g. {{'E': 30}}"
        )
    number = float(value) if isinstance(value, Real) else math.nan
    if not math.isfinite(number) or number < 0:
        raise InputError(f"a weight must be zero or a positive number; {_label(kind, group)} got {value!r}")
    return number


def _entries(weights: Mapping[str, Any]) -> list[tuple[str, str | None, Any]]:
    """(kind, group or None, value) of every way to write a weight."""
    if not isinstance(weights, Mapping):
        raise InputError(f"weights map kinds to numbers, like {{'E': 30, 'F': 1}}; got {weights!r}")
    entries: list[tuple[str, str | None, Any]] = []
    for key, value in weights.items():
        kind, _, group = key.partition(":")
        if isinstance(value, Mapping):
            entries += [(kind, name, number) for name, number in value.items()]
        else:
            entries.append((kind, group or None, value))
    return entries


def _label(kind: str, group: str | None) -> str:
    return kind if group is None else f"{kind}:{group}"


def _present(blocks: Blocks) -> str:
    return ", ".join(dict.fromkeys(f"{b.kind}:{b.group}" for b in blocks.items))


def _warn(sentence: str) -> None:
    warnings.warn(sentence, FitWarning, stacklevel=4)
