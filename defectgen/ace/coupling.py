"""Invariant couplings: all independent ways to combine products of A_{nlm} into a scalar under rotation and reflection."""

from functools import cache
from itertools import permutations

import numpy as np
from wigners import clebsch_gordan_array

from .harmonics import real_from_complex

INDEPENDENT = 1e-8
"""Relative length below which a coupling is taken as a combination of earlier ones (rounding leaves 1e-14, true ones 1e-3)."""


@cache
def couplings(ls: tuple[int, ...], labels: tuple[int, ...]) -> tuple[dict[tuple[int, ...], float], ...]:
    """Independent invariants of prod_t A_{labels_t, l_t, m_t}.

    Parameters
    ----------
    ls : tuple of int
        Angular momentum of every factor.
    labels : tuple of int
        Which factors are the same radial function: those with equal (label, l) commute.

    Returns
    -------
    tuple of dict
        Each invariant as a map from m-tuples to coefficients, symmetrised over the exchange of equal factors and written in
        monomials sorted by (label, l, m).

    Notes
    -----
    The invariants are coupled pairwise through every intermediate L (Clebsch-Gordan), transformed to real harmonics, and
    reduced to
    an orthonormal independent set by pivot-free Gram-Schmidt in a fixed order, so that the result is the same on every
    machine. Odd
    sum(l) has no invariant under reflection and gives none.
    """
    if sum(ls) % 2:
        return ()
    found: list[dict[tuple[int, ...], float]] = []
    for tensor in _real_invariants(ls):
        polynomial = _symmetrised(tensor, ls, labels)
        size = _norm(polynomial)
        if size < INDEPENDENT:
            continue
        for _ in range(2):  # twice is enough
            for other in found:
                overlap = sum(value * other.get(key, 0.0) for key, value in polynomial.items())
                for key, value in other.items():
                    polynomial[key] = polynomial.get(key, 0.0) - overlap * value
        remainder = _norm(polynomial)
        if remainder > INDEPENDENT * size:
            found.append({key: value / remainder for key, value in sorted(polynomial.items()) if abs(value) > 1e-13 * remainder})
    return tuple(found)


def _norm(polynomial: dict) -> float:
    return float(np.sqrt(sum(value**2 for value in polynomial.values())))


def _real_invariants(ls: tuple[int, ...]):
    """Invariant tensors in real harmonics, shape (2 l_1 + 1, ..., 2 l_nu + 1), one per chain of intermediate L."""
    for tensor in _complex_invariants(ls):
        tensor = np.asarray(tensor, dtype=complex)
        for axis, l in enumerate(ls):  # noqa: E741
            tensor = np.moveaxis(np.tensordot(real_from_complex(l).conj(), tensor, axes=(1, axis)), 0, axis)
        real, imaginary = np.real(tensor), np.imag(tensor)
        yield real if np.abs(real).max() >= np.abs(imaginary).max() else imaginary


def _complex_invariants(ls: tuple[int, ...]):
    if len(ls) == 1:
        if ls[0] == 0:
            yield np.ones(1, dtype=complex)
        return
    if len(ls) == 2:
        if ls[0] == ls[1]:
            yield clebsch_gordan_array(ls[0], ls[1], 0)[:, :, 0].astype(complex)
        return
    if len(ls) == 3:
        if abs(ls[0] - ls[1]) <= ls[2] <= ls[0] + ls[1]:
            pair = clebsch_gordan_array(ls[0], ls[1], ls[2])
            close = clebsch_gordan_array(ls[2], ls[2], 0)[:, :, 0]
            yield np.einsum("abM,Mc->abc", pair, close).astype(complex)
        return
    a, b, c, d = ls
    for middle in range(max(abs(a - b), abs(c - d)), min(a + b, c + d) + 1):
        left, right = clebsch_gordan_array(a, b, middle), clebsch_gordan_array(c, d, middle)
        close = clebsch_gordan_array(middle, middle, 0)[:, :, 0]
        yield np.einsum("abM,cdN,MN->abcd", left, right, close, optimize=True).astype(complex)


def _symmetrised(tensor: np.ndarray, ls: tuple[int, ...], labels: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """The tensor as a polynomial in commuting A's: coefficients of monomials sorted within groups of equal (label, l)."""
    same = [
        p for p in permutations(range(len(ls))) if all((labels[p[t]], ls[p[t]]) == (labels[t], ls[t]) for t in range(len(ls)))
    ]
    symmetric = np.mean([np.transpose(tensor, p) for p in same], axis=0)
    polynomial: dict[tuple[int, ...], float] = {}
    for index in np.argwhere(np.abs(symmetric) > 1e-13):
        ms = [int(i) - l for i, l in zip(index, ls, strict=True)]  # noqa: E741
        ordered = tuple(m for _, _, m in sorted(zip(labels, ls, ms, strict=True)))
        polynomial[ordered] = polynomial.get(ordered, 0.0) + float(symmetric[tuple(index)])
    return polynomial
