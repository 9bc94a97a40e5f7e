"""How many different things there are: effective numbers and entropies from the similarities of all pairs. theory: fit/vendi."""

import numpy as np
from scipy.spatial.distance import cdist

from ..._input import InputError, check_finite
from ..._typing import Float

ROUNDING = 1e-9
"""How far the diagonal of a similarity matrix may be from one."""


def gaussian_similarity(points: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n n"]:
    """exp(-d^2 / 2) of all pairs, d their Euclidean distance."""
    check_finite(points, "points")
    return np.exp(-0.5 * cdist(points, points, "sqeuclidean"))


def vendi_score(similarity: Float[np.ndarray, "n n"]) -> float:
    """exp(-sum_i p_i log p_i), p the eigenvalues of K/n: n if nothing is alike, 1 if everything is.

    D. Friedman, A. B. Dieng, Trans. Mach. Learn. Res. (2023).
    Raises InputError for a matrix that is not symmetric, or without ones on its diagonal, or with negative eigenvalues.
    """
    n = len(similarity)
    if (
        n == 0
        or not np.allclose(np.diag(similarity), 1.0, atol=ROUNDING)
        or not np.allclose(similarity, similarity.T, atol=ROUNDING)
    ):
        raise InputError("similarities are a symmetric matrix with ones on its diagonal, of at least one thing")
    p = np.linalg.eigvalsh(similarity) / n
    if not p[0] >= -ROUNDING:
        raise InputError(
            f"similarities must be positive semidefinite, such as a Gaussian of distances; got the eigenvalue {n * p[0]:.2g}"
        )
    return _effective_number(np.clip(p, 0.0, None))


def effective_rank(rows: Float[np.ndarray, "n m"], least: float = 0.0) -> float:
    """exp of the entropy of the normalised singular values: how many directions the rows have, 1 to min(n, m).

    Singular values that are not above `least` count as zero; if all are, so is the result.

    O. Roy, M. Vetterli, Proc. 15th European Signal Processing Conference (2007), p. 606.
    """
    check_finite(rows, "rows")
    s = np.linalg.svd(rows, compute_uv=False)
    s = s[s > least]
    return _effective_number(s / s.sum()) if len(s) else 0.0


def similarity_entropy(similarity: Float[np.ndarray, "n n"]) -> float:
    """H = -1/n sum_i log(1/n sum_j K_ij), nats: log n if nothing is alike, 0 if everything is.

    The entropy of a kernel density estimate at its own points, without the norm of the kernel.
    D. Schwalbe-Koda et al., Nat. Commun. 16 (2025), arXiv:2404.12367.
    """
    check_finite(similarity, "similarities")
    return float(np.mean(-np.log(np.mean(similarity, axis=1))))


def _effective_number(p: np.ndarray) -> float:
    """exp(-sum p log p) of a distribution."""
    p = p[p > 0]
    return float(np.exp(-np.sum(p * np.log(p))))
