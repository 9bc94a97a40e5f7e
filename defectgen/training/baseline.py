"""A baseline that may be subtracted from labels late: kept as one more column next to the R factor of the rows.

With [A | y | b] = Q [R | c] the factor of [A | y] is R, and c = Q'b says all that least squares can see of the baseline b: the
rows [A | y - b] have the factor of [R_A | R_y - c]. So a fit may be made with or without it from the same compressed rows.
"""

import numpy as np

from .._typing import Float
from .compress import join, triangle


def parted(
    extended: Float[np.ndarray, "k columns_plus_two"],
) -> tuple[Float[np.ndarray, "j columns_plus_one"], Float[np.ndarray, " k"] | None]:
    """R of [A | y] and the column c, of R of [A | y | b]; None for a baseline that is zero."""
    factor, baseline = extended[: extended.shape[1] - 1, :-1].copy(), extended[:, -1].copy()
    return factor, baseline if np.any(baseline != 0.0) else None


def extended(
    factor: Float[np.ndarray, "j columns_plus_one"], baseline: Float[np.ndarray, " k"] | None
) -> Float[np.ndarray, "k columns_plus_two"]:
    """R of [A | y | b] again."""
    count = len(factor) if baseline is None else len(baseline)
    found = np.zeros((count, factor.shape[1] + 1))
    found[: len(factor), :-1] = factor
    if baseline is not None:
        found[:, -1] = baseline
    return found


def subtracted(
    factor: Float[np.ndarray, "j columns_plus_one"], baseline: Float[np.ndarray, " k"] | None
) -> Float[np.ndarray, "i columns_plus_one"]:
    """R of [A | y - b]."""
    if baseline is None:
        return factor
    whole = extended(factor, baseline)
    whole[:, -2] -= whole[:, -1]
    return triangle(whole[:, :-1])


def joined(
    parts: list[tuple[Float[np.ndarray, "_ columns_plus_one"], Float[np.ndarray, " _"] | None]], name: str
) -> tuple[Float[np.ndarray, "j columns_plus_one"], Float[np.ndarray, " k"] | None]:
    """The factor of a stack of factors, and its baseline."""
    columns = parts[0][0].shape[1] - 1
    if all(baseline is None for _, baseline in parts):
        return join((factor for factor, _ in parts), columns, name), None
    return parted(join((extended(*part) for part in parts), columns + 1, name))
