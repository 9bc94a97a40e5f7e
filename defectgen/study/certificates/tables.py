"""The tables of the study of certificates: certificates.csv, a line per fit, and certificate_quality.csv."""

import numpy as np

from ...errors.shares import clustered_share
from ..results import trusted
from .steps import Certification, Certified

NAME = "certificates"
QUALITY = "certificate_quality"

FACTOR = 3.0
"""An estimate within this factor of the true error counts as near."""


def line(step: Certification, found: Certified, result: dict) -> dict:
    """One line of certificates.csv; `result` is the line of its trial in results.csv."""
    names = ("material", "defect", "observations", "training_size", "training_radius", "degree", "basis_functions")
    fit = step.trial.fit
    numbers = {
        f"{what}_{name}": getattr(getattr(found, what), name, None)
        for what in ("geometry", "energy")
        for name in ("estimate", "spread", "shift", "remainder", "bound", "deviation", "asks")
    }
    return {
        "study": result["study"],
        **{name: result[name] for name in names},
        "weights": " ".join(f"{kind}={weight:g}" for kind, weight in fit.weights.items()) or "default",
        "prior": fit.prior,
        "geometry_error": result["geometry_error"],
        "energy_error": result["energy_error"],
        **numbers,
        "trusted": bool(trusted(result) and not found.refused),
        "refused": found.refused,
    }


ALL = "all"
"""Material of the lines about all materials together."""

SHARES = ("bound_holds", "estimate_near", "spread_near", "posterior_covers_95", "spread_covers_95")
"""Columns that are shares of fits; each has an interval over the defects, in columns that end in _low and _high."""


def qualities(lines: list[dict]) -> list[dict]:
    """The lines of certificate_quality.csv: one per material and quantity, and one of all materials if there are several."""
    materials = list(dict.fromkeys(each["material"] for each in lines))
    found = [quality for material in materials for quality in _quality(material, lines)]
    return found + (_quality(ALL, lines) if len(materials) > 1 else [])


def _quality(material: str, lines: list[dict]) -> list[dict]:
    """How good bound and estimates of one material (or of all) are, of geometry and energy."""
    here = [line for line in lines if material in (ALL, line["material"])]
    own = [line for line in here if line["trusted"]]
    defects = [(line["material"], line["defect"]) for line in own]
    found = []
    for what in ("geometry", "energy"):
        error = np.array([line[f"{what}_error"] for line in own], dtype=float)
        if len(own) < 2:
            continue

        def ratio(name: str, what=what, error=error) -> np.ndarray:
            values = [line[f"{what}_{name}"] for line in own]
            return np.array([np.inf if v is None else v for v in values], dtype=float) / error

        estimate, spread, bound, deviation = (ratio(name) for name in ("estimate", "spread", "bound", "deviation"))
        held = (bound >= 1, _near(estimate), _near(spread), 1.96 * deviation >= 1, 1.96 * spread >= 1)
        shares = {name: clustered_share(hits, defects) for name, hits in zip(SHARES, held, strict=True)}
        found.append(
            {
                "material": material,
                "quantity": what,
                "fits": len(own),
                "refused": sum(1 for line in here if line["refused"]),
                "bound_holds": shares["bound_holds"].value,
                "bound_median": float(np.median(bound)),
                **{f"estimate_{key}": value for key, value in _nearness(estimate, error).items()},
                **{f"spread_{key}": value for key, value in _nearness(spread, error).items()},
                **{name: shares[name].value for name in SHARES[3:]},
                "defects": len(set(defects)),
                **{f"{name}_{end}": getattr(each, end) for name, each in shares.items() for end in ("low", "high")},
            }
        )
    return found


def _near(ratio: np.ndarray) -> np.ndarray:
    return (ratio >= 1 / FACTOR) & (ratio <= FACTOR)


def _nearness(ratio: np.ndarray, error: np.ndarray) -> dict[str, float]:
    """Share of estimates within the factor, quantiles of estimate / error, rank correlation with the error."""
    from scipy.stats import spearmanr

    low, middle, high = np.quantile(ratio, [0.05, 0.5, 0.95])
    rank = spearmanr(ratio * error, error).statistic if len(np.unique(ratio * error)) > 1 else np.nan
    return {
        "near": float(np.mean(_near(ratio))),
        "median": float(middle),
        "low": float(low),
        "high": float(high),
        "rank_correlation": float(rank),
    }
