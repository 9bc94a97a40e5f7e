"""Constraints: observations that a fit must reproduce exactly, as rows C theta = d instead of a weight."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Float
from ..training.blocks import Blocks
from ..training.compress import join
from ..training.observations import PARTS

TOLERANCE = 1e-6
"""Field units (eV/atom, eV/A, eV/A^2, eV/A^3, eV), root mean square: what counts as exact where nothing is said. Far below the
errors of fits, far above the rounding of large coefficients that cancel."""
ROUNDING = 1e-11
"""Field units: no tolerance is smaller, coefficients of 1e3 that cancel leave about this."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """Rows that a fit must satisfy exactly: C theta = d.

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> dg.Constraint("sum", np.ones((1, 3)), np.array([1.0]))  # of a fit with three coefficients
    Constraint(sum, 1 rows of 3 coefficients, exact)
    """

    name: str
    rows: Float[np.ndarray, "m columns"]
    target: Float[np.ndarray, " m"]
    tolerance: float | None = None
    """Largest root mean square of C theta - d in the fit, field units. None: all independent rows hold exactly, and what no
    coefficients can meet is below TOLERANCE. A number: as few of their directions are held, the strongest first, as keep the fit
    within it (exactness in the last ones would need large coefficients); if it is met already, none is held."""
    count: int | None = None
    """Number of rows that the factor [C | d] represents; those given, if None."""

    def __repr__(self) -> str:
        held = "exact" if self.tolerance is None else f"tolerance {self.tolerance:g}"
        return shown(self, self.name, f"{self.number:,} rows of {self.rows.shape[1]:,} coefficients", held)

    def __post_init__(self):
        rows, target = np.asarray(self.rows), np.asarray(self.target)
        if rows.dtype.kind not in "fiu" or target.dtype.kind not in "fiu" or rows.ndim != 2 or target.ndim != 1:
            raise InputError(
                f"constraint {self.name} is rows C (m, columns) and targets d (m) of numbers; got shapes {rows.shape} and "
                f"{target.shape}"
            )
        if len(self.rows) != len(self.target) or not (np.isfinite(self.rows).all() and np.isfinite(self.target).all()):
            raise InputError(
                f"constraint {self.name} needs finite rows C and as many targets d; got {self.rows.shape} and {self.target.shape}"
            )
        if self.tolerance is not None and not self.tolerance >= 0:
            raise InputError(f"the tolerance of constraint {self.name} is zero or positive; got {self.tolerance}")

    @property
    def number(self) -> int:
        """Number of rows that it represents, at least one."""
        return max(len(self.target) if self.count is None else self.count, 1)

    @property
    def allowed(self) -> float:
        """The largest miss that counts as met."""
        return TOLERANCE if self.tolerance is None else max(self.tolerance, ROUNDING)

    def miss(self, theta: Float[np.ndarray, " columns"]) -> float:
        """How far a model is from the constraint.

        Parameters
        ----------
        theta : array (columns,)
            Its coefficients.

        Returns
        -------
        float
            Root mean square of C theta - d, field units.
        """
        return float(np.linalg.norm(self.rows @ theta - self.target) / np.sqrt(self.number))


def as_constraints(blocks: Blocks, given: Any) -> tuple[Constraint, ...]:
    """Constraints from what users write.

    Parameters
    ----------
    blocks : Blocks
        What was labelled.
    given : str, mapping, Constraint, array, iterable of these, or None
        A name is a kind that was labelled, "V0", "FC", "C", "Ef", perhaps with a group, "E:bulk", and of subdivided rows with
        the distance (nearest-neighbour spacings) up to which they are held, "FC<1.5". A mapping gives names their tolerances
        in field units. An array is [C | d] with columns + 1 columns.

    Returns
    -------
    tuple of Constraint

    Raises
    ------
    InputError
        Anything else, and names without rows.
    """
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return tuple(replace(_named(blocks, name), tolerance=_number(name, value)) for name, value in given.items())
    if isinstance(given, str | Constraint | np.ndarray) or not isinstance(given, Iterable):
        given = [given]
    return tuple(_one(blocks, each, place) for place, each in enumerate(given))


def check_constraints(names: Iterable[str]) -> None:
    """Check names of constraints before anything is labelled.

    Parameters
    ----------
    names : iterable of str
        As `as_constraints` takes them.

    Raises
    ------
    InputError
        Names that no blocks could have.
    """
    for name in names:
        _parse(name)


def _one(blocks: Blocks, given: Any, place: int) -> Constraint:
    """One constraint of a list."""
    if isinstance(given, str):
        return _named(blocks, given)
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.shape[1] == blocks.columns + 1:
        return Constraint(f"number {place + 1}", given[:, :-1].astype(float), given[:, -1].astype(float))
    if isinstance(given, Constraint) and given.rows.shape[1] == blocks.columns:
        return given
    shape = given.rows.shape if isinstance(given, Constraint) else getattr(given, "shape", type(given).__name__)
    raise InputError(
        f"a constraint is a kind that was labelled ('V0', 'FC', 'E:bulk'), an array [C | d] with {blocks.columns} + 1 columns, "
        f"or a Constraint; got {shape}"
    )


def _parse(name: str) -> tuple[str, str | None, float]:
    """(kind, group or None, largest distance) of a name."""
    found = re.fullmatch(r"([A-Za-z0-9]+)(?::([^<]+))?(?:<([\d.]+))?", name.replace(" ", ""))
    if found is None or found[1] not in PARTS:
        raise InputError(
            f"a constraint is named by a kind of observation, one of {', '.join(PARTS)}, perhaps with its group and largest "
            f"distance ('E:bulk', 'FC<1.5'); got {name!r}"
        )
    return found[1], found[2], float(found[3] or np.inf)


def _named(blocks: Blocks, name: Any) -> Constraint:
    """The rows of a kind as a constraint. Raises InputError if there are none."""
    kind, group, within = _parse(name if isinstance(name, str) else repr(name))
    own = [b for b in blocks.items if b.kind == kind and group in (None, b.group) and b.rows]
    if within < np.inf:
        if own and all(b.distance is None for b in own):
            raise InputError(f"constraint {name!r} needs rows kept by distance; label the cells with subdivide=True")
        own = [b for b in own if b.distance is not None and b.distance <= within]
    if not own:
        present = ", ".join(dict.fromkeys(f"{b.kind}:{b.group}" for b in blocks.items))
        raise InputError(f"constraint {name!r} has no rows to hold (there are {present}): label the cells with {kind} as well")
    factor = join((b.factor if b.plain is None else b.plain for b in own), blocks.columns, f"constraint {name}")
    return Constraint(name, factor[:, :-1], factor[:, -1], count=sum(b.rows for b in own))


def _number(name: str, value: Any) -> float:
    number = float(value) if isinstance(value, Real) else math.nan
    if not math.isfinite(number):
        raise InputError(f"constraints map names to tolerances in field units, like {{'FC': 0.01}}; {name} got {value!r}")
    return number
