"""Smith normal form: the finite group of translations of a supercell as a product of three cyclic groups."""

import numpy as np

from .._input import InputError
from .._typing import Int


def smith_normal_form(
    matrix: Int[np.ndarray, "n n"],
) -> tuple[Int[np.ndarray, "n n"], Int[np.ndarray, " n"], Int[np.ndarray, "n n"]]:
    """Unimodular U, V and divisors d > 0 with U M V = diag(d), where every d[k] divides d[k + 1].

    With the rows of M as supercell vectors, t -> (t V) mod d is an isomorphism of Z^n / (Z^n M) onto
    Z/d[0] x Z/d[1] x ..., because n M V = (n U^-1) diag(d). Integer row and column operations only, so exact.
    Raises InputError for a matrix without volume.
    """
    size = len(matrix)
    a = [[int(entry) for entry in row] for row in matrix]
    u = [[int(i == j) for j in range(size)] for i in range(size)]
    v = [[int(i == j) for j in range(size)] for i in range(size)]

    def add_row(target: int, source: int, factor: int) -> None:
        for table in (a, u):
            table[target] = [x + factor * y for x, y in zip(table[target], table[source], strict=True)]

    def add_column(target: int, source: int, factor: int) -> None:
        for table in (a, v):
            for row in table:
                row[target] += factor * row[source]

    for k in range(size):
        while True:
            rest = [(abs(a[i][j]), i, j) for i in range(k, size) for j in range(k, size) if a[i][j]]
            if not rest:
                raise InputError(
                    f"a supercell matrix needs a volume; choose independent vectors, not {np.asarray(matrix).tolist()}"
                )
            _, i, j = min(rest)  # the smallest entry becomes the pivot, so every pass makes it smaller
            for table in (a, u):
                table[k], table[i] = table[i], table[k]
            for table in (a, v):
                for row in table:
                    row[k], row[j] = row[j], row[k]
            pivot = a[k][k]
            for i in range(k + 1, size):
                add_row(i, k, -(a[i][k] // pivot))
            for j in range(k + 1, size):
                add_column(j, k, -(a[k][j] // pivot))
            if any(a[i][k] or a[k][i] for i in range(k + 1, size)):
                continue
            odd = [i for i in range(k + 1, size) for j in range(k + 1, size) if a[i][j] % pivot]
            if not odd:
                break
            add_row(k, odd[0], 1)
        if a[k][k] < 0:
            a[k] = [-x for x in a[k]]
            u[k] = [-x for x in u[k]]
    return np.array(u), np.array([a[k][k] for k in range(size)]), np.array(v)
