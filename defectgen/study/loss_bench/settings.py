"""Settings of the bench of losses."""

from typing import Any

from pydantic import Field, model_validator

from ..._input import InputError
from ...fit import Loss, comparator
from ..settings import Strict

DEFAULT = "default"
"""The loss that all others are compared with."""


class LossBench(Strict):
    """Which losses are ranked, on fits of which sizes and bases."""

    sizes: tuple[int, ...] = Field((2, 3), min_length=1)
    """Sizes of the training cells: conventional cells along each side."""
    degrees: tuple[float, ...] = Field((0.0, 2.0), min_length=1)
    """Degrees of the bases, added to the degree of the case."""
    losses: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    """Names of losses in use elsewhere (see `defectgen.fit.comparators`), and tables of settings of a loss with a name of its
    own: { name = "mine", observations = "E+F+V", weight = "by_distance(2)" }."""
    waves: int = Field(4, ge=2)
    """Primitive cells along each side of the supercell on whose waves phonons are compared."""
    resamples: int = Field(2000, ge=100)
    """Number of resamples of the bootstrap over defects."""

    @model_validator(mode="after")
    def _can_be_used(self):
        names = [loss.name for loss in listed(self)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"two losses are called {twice[0]!r} and their results would have one name; give them different names"
            )
        return self


def listed(asked: LossBench) -> list[Loss]:
    """The losses, the default first.

    Raises InputError for a name that is not known, and for a loss without a name.
    """
    found = [comparator(DEFAULT)]
    for given in asked.losses:
        if isinstance(given, str):
            found += [comparator(given)] * (given != DEFAULT)
            continue
        if not str(given.get("name", "")).strip():
            raise InputError(f"a loss of the bench has a name, by which its lines are called; got {given!r}")
        found.append(made(given))
    return found


def made(given: dict[str, Any]) -> Loss:
    """A loss from its settings as a file holds them. Raises InputError for settings that a loss does not have."""
    settings: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
    try:
        return Loss(**settings)
    except TypeError:
        known = ", ".join(Loss.__dataclass_fields__)
        raise InputError(f"a loss has the settings {known}; got {', '.join(given)}") from None
