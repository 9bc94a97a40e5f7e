"""Which functions a basis holds: total-degree truncation over species, n, l and order, and settings that follow a reference."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import factorial, inf, log10
from typing import Any

import numpy as np

from .._input import InputError
from .._typing import Float, Int
from .coupling import couplings

Label = tuple[int, int, int]
"""(species of the neighbour, n, l), n counted from 1."""


MOST = 50_000
"""Functions that a basis may have: the R factor of so many columns already fills 20 GB."""


@dataclass(frozen=True)
class Function:
    """One invariant of the basis: the radial-angular labels of its factors and the number of its coupling."""

    factors: tuple[Label, ...]
    coupling: int

    @property
    def order(self) -> int:
        """Correlation order: the number of neighbours in one function."""
        return len(self.factors)

    def degree(self, w_l: float) -> float:
        """Total degree sum_t (n_t + w_l l_t)."""
        return sum(n + w_l * l for _, n, l in self.factors)  # noqa: E741


@dataclass(frozen=True, eq=False)
class Tables:
    """A specification as index tables: function c = sum_e coefficient[e] prod_t A[monomial[e, t]] over entries e of c."""

    functions: tuple[Function, ...]
    one_particle: Int[np.ndarray, "a 4"]
    """Rows (species, n, l, m); pair functions have l = m = 0 and come last, marked in `pair`."""
    pair: Int[np.ndarray, " pairs"]
    """Rows of `one_particle` that are pair functions."""
    monomials: Int[np.ndarray, "monomials order"]
    """One-particle rows of each distinct monomial, padded with len(one_particle) (a factor 1)."""
    function: Int[np.ndarray, " entries"]
    monomial: Int[np.ndarray, " entries"]
    coefficient: Float[np.ndarray, " entries"]


@lru_cache(maxsize=64)
def check_count(species: int, order: int, degree: float, w_l: float, pair_degree: float) -> None:
    """Checks, before anything is made, that a basis has at most MOST functions (couplings not counted).

    Parameters
    ----------
    species : int
        Number of species.
    order : int
        Highest correlation order.
    degree : float
        Total degree.
    w_l : float
        Weight of angular momenta in it.
    pair_degree : float
        Pair functions per pair of species.

    Raises
    ------
    InputError
        For a basis of more functions.
    """
    if species**2 * pair_degree > MOST:
        raise InputError(
            f"pair_degree {pair_degree:g} of {species} species means {species**2 * pair_degree:.3g} pair functions, and a "
            f"basis has at most {MOST}; use a smaller one"
        )
    if order == 1 or species * _count(species, order, degree, w_l) <= MOST:
        return
    # about species c^2 / (2 w_l) functions of one neighbour have a degree below c; products of nu of them are its convolutions
    log = [
        nu * (log10(species / w_l) + 2 * log10(degree)) - log10(factorial(2 * nu) * factorial(nu)) for nu in range(2, order + 1)
    ]
    raise InputError(
        f"degree {degree:g} with order {order}, w_l {w_l:g} and {species} species means about "
        f"10^{max(log10(MOST), log10(species) + max(log)):.1f} functions, and a basis has at most {MOST}; use a smaller "
        "degree or order"
    )


def _count(species: int, order: int, degree: float, w_l: float) -> float:
    """The number of products of 2 to `order` functions of one neighbour; infinite where there are clearly more than MOST."""
    if degree > MOST or (degree / w_l + 1) * degree * species > 8 * MOST:
        return inf
    costs = sorted(n + w_l * l for _, n, l in _singles(species, degree, w_l))  # noqa: E741

    def count(start: int, left: float, missing: int) -> int:
        end = bisect_right(costs, left - (missing - 1) + 1e-9)
        if missing == 1:
            return max(end - start, 0)
        total = 0
        for k in range(start, end):
            total += count(k, left - costs[k], missing - 1)
            if species * total > MOST:
                break
        return total

    return sum(count(0, degree, nu) for nu in range(2, order + 1))


def _singles(species: int, degree: float, w_l: float) -> list[Label]:
    """The functions of one neighbour of total degree at most `degree`."""
    return [
        (mu, n, l)
        for mu in range(species)
        for l in range(int((degree - 1) // w_l) + 1)  # noqa: E741
        for n in range(1, int(np.floor(degree - w_l * l)) + 1)
    ]


@lru_cache(maxsize=16)
def tables(species: int, order: int, degree: float, w_l: float, pair_degree: int) -> Tables:
    """All functions with sum_t (n_t + w_l l_t) <= degree up to `order`, sorted so that a smaller degree is a subset.

    Order 1 is the pair basis, n = 1..pair_degree for each species of neighbour (an l = 0 one-particle function is a pair
    potential, so nothing is there twice).
    """
    singles = _singles(species, degree, w_l)
    cost = {s: s[1] + w_l * s[2] for s in singles}
    functions: list[Function] = [Function(((mu, n, 0),), 0) for n in range(1, pair_degree + 1) for mu in range(species)]
    many: list[Function] = []
    for nu in range(2, order + 1):
        cheap = [s for s in singles if cost[s] <= degree - (nu - 1) + 1e-9]
        for factors in _within(sorted(cheap), cost, nu, degree):
            if sum(l for _, _, l in factors) % 2:  # noqa: E741
                continue
            ls, labels = tuple(f[2] for f in factors), _labels(factors)
            many += [Function(factors, k) for k in range(len(couplings(ls, labels)))]
    many.sort(key=lambda f: (f.order, f.degree(w_l), f.factors, f.coupling))
    functions += many

    used = sorted({(*f, m) for function in many for f in function.factors for m in range(-f[2], f[2] + 1)})
    rows = {label: k for k, label in enumerate(used)}
    pair_rows = {}
    for function in functions[: species * pair_degree]:
        mu, n, _ = function.factors[0]
        pair_rows[mu, n] = len(used) + len(pair_rows)
    one = len(used) + len(pair_rows)
    monomial_index: dict[tuple[int, ...], int] = {}
    entries = []
    for c, function in enumerate(functions):
        if function.order == 1:
            mu, n, _ = function.factors[0]
            terms = {(pair_rows[mu, n],): 1.0}
        else:
            ls, labels = tuple(f[2] for f in function.factors), _labels(function.factors)
            ordered = [f for _, f in sorted(zip(zip(labels, ls, strict=True), function.factors, strict=True))]
            terms = {
                tuple(rows[(*f, m)] for f, m in zip(ordered, ms, strict=True)): value
                for ms, value in couplings(ls, labels)[function.coupling].items()
            }
        for key, value in terms.items():
            key = tuple(sorted(key))
            entries.append((c, monomial_index.setdefault(key, len(monomial_index)), value))
    width = max(order, 1)
    monomials = np.full((len(monomial_index), width), one, dtype=np.int64)
    for key, k in monomial_index.items():
        monomials[k, : len(key)] = key
    pair_labels = [(mu, n, 0, 0) for (mu, n) in pair_rows]
    return Tables(
        functions=tuple(functions),
        one_particle=np.array(used + pair_labels, dtype=np.int64).reshape(one, 4),
        pair=np.arange(len(used), one),
        monomials=monomials,
        function=np.array([e[0] for e in entries]),
        monomial=np.array([e[1] for e in entries]),
        coefficient=np.array([e[2] for e in entries]),
    )


def _labels(factors: tuple[Label, ...]) -> tuple[int, ...]:
    """Small integers that are equal where species and n are equal: couplings depend on nothing else, so they can be cached."""
    seen = sorted({f[:2] for f in factors})
    return tuple(seen.index(f[:2]) for f in factors)


def _within(singles: list[Label], cost: dict[Label, float], nu: int, degree: float):
    """Multisets of nu one-particle functions with total cost at most `degree` (depth first, pruned)."""
    least = min(cost.values(), default=0.0)

    def grow(chosen: tuple, start: int, left: float, missing: int):
        if missing == 0:
            yield chosen
            return
        for k in range(start, len(singles)):
            if cost[singles[k]] + (missing - 1) * least <= left + 1e-9:
                yield from grow((*chosen, singles[k]), k, left - cost[singles[k]], missing - 1)

    yield from grow((), 0, degree, nu)


def folded(table: Tables, coefficients: Float[np.ndarray, "species functions"]) -> Float[np.ndarray, "species monomials"]:
    """Coefficients of functions folded into coefficients of monomials."""
    result = np.zeros((len(coefficients), len(table.monomials)))
    np.add.at(result.T, table.monomial, (coefficients[:, table.function] * table.coefficient).T)
    return result


ORDER = 3
"""Correlation order where that of the reference is not bounded, or not known."""

DEGREES = {1: 10, 2: 18, 3: 10, 4: 10}
"""Total degree by correlation order: 204 functions of order 2 and 100 of order 3 besides the pair functions, for one species."""

PAIRS = 30
"""Pair functions of each pair of species: the cheapest functions of a basis, and what its force error depends on most. Many more
need a prior (theory: fit/defaults)."""


def followed(truth: Any, order: int | None = None, cutoff: float | None = None) -> dict[str, Any]:
    """Settings of a basis that follow a reference, as keywords of `ACEBasis`.

    Parameters
    ----------
    truth : SiteEnergy or BlackBox
        The reference.
    order : int, optional
        Correlation order; that of the reference if not given.
    cutoff : float, optional
        A; that of the reference if not given.

    Returns
    -------
    dict
        cutoff, order, degree and pair_degree. theory: fit/defaults.

    Raises
    ------
    InputError
        For a potential without a cutoff if none is given.
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
    """The species of a basis: those given, else all species of the reference. Raises InputError if it names none."""
    if species is not None:
        return (species,) if isinstance(species, str) else tuple(species)
    found = tuple(getattr(truth, "species", None) or ())
    if not found:
        raise InputError(
            f"the species of a basis follow those of the reference, and {type(truth).__name__} names none: give species=[...]"
        )
    return found


@lru_cache(maxsize=16)
def channels(kinds: int, table: Tables) -> Int[np.ndarray, " every"]:
    """Channel numbers: of the constants, then of the functions of each central species. The pair function of species z that
    sees mu < z is a twin: it has the channel of the one of species mu that sees z."""
    place = {f: k for k, f in enumerate(table.functions)}
    count, found = len(place), list(range(kinds))
    fresh = kinds
    for z in range(kinds):
        for f in table.functions:
            mu, n, l = f.factors[0]  # noqa: E741
            if f.order == 1 and mu < z:
                found.append(found[kinds + mu * count + place[Function(((z, n, l),), f.coupling)]])
            else:
                found.append(fresh)
                fresh += 1
    return np.array(found)
