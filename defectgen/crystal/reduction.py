"""The shortest basis of a lattice, in which the nearest periodic image is one of the adjacent ones."""

import itertools

import numpy as np

from .._typing import Float, Int


def reduced_basis(vectors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """A Minkowski-reduced basis (rows, sorted by length) of the lattice spanned by k <= 3 independent vectors.

    Greedy reduction, exact up to four dimensions: P. Q. Nguyen and D. Stehle, ACM Trans. Algorithms 5, 46 (2009).
    """
    basis = np.array(vectors, dtype=float)
    if len(basis) < 2:
        return basis
    while True:
        basis = basis[np.argsort(np.linalg.norm(basis, axis=1), kind="stable")]
        head = reduced_basis(basis[:-1])
        last = basis[-1] - np.round(basis[-1] @ np.linalg.pinv(head)) @ head
        last = min((last + step @ head for step in image_steps(len(head))), key=np.linalg.norm)
        basis = np.vstack([head, last])
        if np.linalg.norm(last) >= np.linalg.norm(head[-1]) * (1 - 1e-12):  # equal to rounding: swapping would never end
            return basis


def minimum_image(
    x: Float[np.ndarray, "*n 3"], vectors: Float[np.ndarray, "3 3"], periodic: tuple[bool, bool, bool]
) -> Float[np.ndarray, "*n 3"]:
    """The shortest copies of the vectors x in a box of any skew; a draw goes to the copy first in `image_steps`."""
    if not any(periodic):
        return np.array(x, dtype=float)
    basis = reduced_basis(vectors[list(periodic)])
    base = x - np.round(x @ np.linalg.pinv(basis)) @ basis
    best, best_length = base, np.linalg.norm(base, axis=-1)
    for image in image_steps(len(basis))[1:] @ basis:
        trial = base + image
        length = np.linalg.norm(trial, axis=-1)
        shorter = length < best_length - 1e-12
        best = np.where(shorter[..., None], trial, best)
        best_length = np.where(shorter, length, best_length)
    return best


def image_steps(axes: int, reach: int = 1) -> Int[np.ndarray, "images axes"]:
    """All vectors of {-reach, ..., reach}^axes, the zero vector first."""
    steps = itertools.product(range(-reach, reach + 1), repeat=axes)
    return np.array(sorted(steps, key=lambda step: (sum(map(abs, step)), step)), dtype=int).reshape(-1, axes)
