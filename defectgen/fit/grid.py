"""Lists of losses: every combination of the values that are given for each setting."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from .._input import InputError, closest
from .loss import Loss

_WHOLE = ("strains", "constraints")
"""Settings whose value is itself a list: a list of lists is varied."""


def losses(**settings: Any) -> list[Loss]:
    """One loss for every combination: a setting is one value, or a list of values to vary; so is every weight.

    >>> len(losses(observations=["E+F", "E+F+FC"], weights={"E": [1, 30, 1000], "V0": 1000}, force_distance_power=[0, 1]))
    12

    `strains` and `constraints` are lists themselves; a list of such lists varies them: constraints=[[], ["V0"], ["V0", "FC"]].
    Raises InputError for settings a loss does not have, and for a list without values.
    """
    known = [f.name for f in fields(Loss)]
    axes: dict[tuple[str, str | None], list[Any]] = {}
    for key, value in settings.items():
        if key not in known:
            near = closest(key, known)
            raise InputError(f"a loss has the settings {', '.join(known)}; got {key!r}{f': {near}?' if near else ''}")
        if key == "weights":
            if not isinstance(value, Mapping):
                raise InputError(f"weights map kinds to numbers or lists of numbers, like {{'E': [1, 30]}}; got {value!r}")
            axes |= {(key, kind): _values(f"weights.{kind}", v, False) for kind, v in value.items()}
        else:
            axes[key, None] = _values(key, value, key in _WHOLE)
    found = []
    for chosen in product(*axes.values()):
        own = dict(zip(axes, chosen, strict=True))
        weights = {str(kind): v for (key, kind), v in own.items() if key == "weights"}
        plain = {key: v for (key, kind), v in own.items() if kind is None}
        found.append(Loss(**plain, weights=weights))
    return found


def _values(name: str, given: Any, whole: bool) -> list[Any]:
    """The values of one setting. Raises InputError if there are none."""
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    if whole:
        listed = listed and len(given) > 0 and all(isinstance(v, Sequence | Mapping) and not isinstance(v, str) for v in given)
        return [_frozen(v) for v in given] if listed else [_frozen(given)]
    values = list(given) if listed else [given]
    if not values:
        raise InputError(f"a grid of losses wants at least one value of {name}; got an empty list")
    return values


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
