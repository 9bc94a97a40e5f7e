"""A basis that follows the potential it has to reproduce: cutoff, correlation order, pair functions (theory: fit/defaults)."""

import math
from collections.abc import Sequence
from typing import Any

from .._input import InputError

ORDER = 3
"""Correlation order where that of the reference is not bounded, or not known."""

DEGREES = {1: 10, 2: 18, 3: 10, 4: 10}
"""Total degree by correlation order: 204 functions of order 2 and 100 of order 3 besides the pair functions, for one species."""

PAIRS = 30
"""Pair functions of each pair of species: the cheapest functions of a basis, and what its force error depends on most. Many more
need a prior (theory: fit/defaults)."""


def followed(truth: Any, order: int | None = None, cutoff: float | None = None) -> dict[str, Any]:
    """Settings of a basis for `truth`, as keywords of `ACEBasis`: cutoff, order, degree and pair_degree.

    Raises InputError for a potential without a cutoff if none is given.
    """
    if cutoff is None:
        cutoff = getattr(truth, "cutoff", None)
        if isinstance(cutoff, bool) or not isinstance(cutoff, int | float) or not 0 < cutoff < math.inf:
            raise InputError(
                f"the cutoff of a basis follows that of the reference, and {type(truth).__name__} has none: give cutoff=..., "
                "about twice the distance of nearest neighbours (A)"
            )
    known = getattr(truth, "correlation_order", None)
    chosen = order if order is not None else ORDER if known is None else min(known, max(DEGREES))
    return {"cutoff": float(cutoff), "order": chosen, "degree": DEGREES.get(chosen, 10), "pair_degree": PAIRS}


def species_of(truth: Any, species: str | Sequence[str] | None) -> tuple[str, ...]:
    """The species of a basis: those given, else all that the reference knows. Raises InputError if it names none."""
    if species is not None:
        return (species,) if isinstance(species, str) else tuple(species)
    found = tuple(getattr(truth, "species", None) or ())
    if not found:
        raise InputError(
            f"the species of a basis follow those of the reference, and {type(truth).__name__} names none: give species=[...]"
        )
    return found
