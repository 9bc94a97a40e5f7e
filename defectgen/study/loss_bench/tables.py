"""The tables of the bench: every loss on every training set and defect, and the ranking by held-out defects."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Float
from ...campaign import Given
from ..columns import WARNED
from ..interface import Tables
from .settings import DEFAULT
from .steps import Benched, BenchTrial

NAME = "loss_bench"
RANKING = "loss_ranking"
CHOSEN = "chosen on the training defect"
"""Of every training set the loss with the smallest errors of its own defect, judged on the others."""
QUANTITIES = ("geometry", "energy")
LEVEL = 0.95

TRAINING = ["material", "trained_on", "training_size", "degree"]
"""Columns that name a training set and basis."""


def tables(trials: Iterable[BenchTrial], resamples: int, given: Given) -> Tables:
    """Lines of loss_bench.csv and loss_ranking.csv."""
    lines, failures = [], []
    for step in trials:
        found = given.get(step)
        if found is not None:
            lines += lines_of(step, found)
            failures += [{"label": step.label, "reason": WARNED + text} for text in found.remarks]
    if not lines:
        return Tables(failures=failures)
    table = with_chosen(pd.DataFrame(lines))
    ranked = ranking(table, resamples)
    return Tables(failures=failures, others={NAME: table.to_dict("records"), RANKING: ranked.to_dict("records")})


def lines_of(step: BenchTrial, found: Benched) -> list[dict[str, Any]]:
    """A line for every defect of one loss on one training set."""
    return [
        {
            "material": step.crystal.material.name,
            "trained_on": step.rows.defect,
            "defect": exact.defect,
            "held_out": exact.defect != step.rows.defect,
            "training_size": step.rows.training_size,
            "degree": step.basis.degree,
            "basis_functions": found.functions,
            "loss": step.name,
            "geometry_error": geometry,
            "energy_error": energy,
            "state": state or "same state",
            "rmse_energy": found.rmse.get("E"),
            "rmse_forces": found.rmse.get("F"),
            "rmse_virial": found.rmse.get("V"),
            "elastic_error": found.elastic_error,
            "phonon_error": found.phonon_error,
            "lowest_wave": found.lowest,
            "rank": found.rank,
            "reweightings": found.details.get("reweightings"),
        }
        for exact, geometry, energy, state in zip(step.exacts, found.geometry, found.energy, found.state, strict=True)
    ]


def with_chosen(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one more loss: on every training set the one of smallest errors on the training defect.

    Errors are compared by the mean of the logarithms of geometry and energy error.
    """
    own = table[~table["held_out"].astype(bool)].copy()
    own["score"] = np.log(own["geometry_error"].astype(float)) + np.log(own["energy_error"].astype(float).clip(lower=1e-12))
    own = own.dropna(subset=["score"])
    if own["loss"].nunique() < 2:
        return table
    best = own.loc[own.groupby(TRAINING)["score"].idxmin(), [*TRAINING, "loss"]]
    chosen = table.merge(best, on=[*TRAINING, "loss"])
    return pd.concat([table, chosen.assign(chosen=chosen["loss"], loss=CHOSEN)], ignore_index=True)


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Errors of every loss over those of the default on the same training set and held-out defect.

    NaN if the defect is unstable or in another state under one of the two; `lost` and `default_lost` give which.
    """
    held = table[table["held_out"].astype(bool)]
    keys = [*TRAINING, "defect"]
    base = held[held["loss"] == DEFAULT][[*keys, "geometry_error", "energy_error", "rmse_forces", "rmse_energy"]]
    both = held.merge(base, on=keys, suffixes=("", "_default"))
    for name in QUANTITIES:
        both[f"{name}_ratio"] = both[f"{name}_error"].astype(float) / both[f"{name}_error_default"].astype(float)
    both["lost"] = both["geometry_error"].isna()
    both["default_lost"] = both["geometry_error_default"].isna()
    return both


def ranking(table: pd.DataFrame, resamples: int) -> pd.DataFrame:
    """One line a loss, the best first: held-out errors over those of the default, with intervals over the defects.

    Losses are ordered by the geometric mean of both ratios.
    """
    pairs = ratios(table)
    found = []
    for loss, rows in pairs.groupby("loss", sort=False):
        fits = rows.drop_duplicates(TRAINING)
        line: dict[str, Any] = {"loss": loss, "fits": len(fits), "pairs": len(rows)}
        clusters = rows["material"] + " " + rows["defect"]
        line["defects"] = clusters.nunique()
        for name in QUANTITIES:
            ratio = rows[f"{name}_ratio"].astype(float)
            good = ratio.notna() & (ratio > 0)
            middle, low, high = interval(np.log(ratio[good].to_numpy()), clusters[good].to_numpy(), resamples)
            if loss == DEFAULT:  # compared with itself
                low = high = middle
            line |= {
                f"{name}_ratio": middle,
                f"{name}_low": low,
                f"{name}_high": high,
                f"{name}_worse": float((ratio[good] > 1).mean()) if good.any() else np.nan,
                f"{name}_worst": float(ratio[good].max()) if good.any() else np.nan,
            }
        line["score"] = float(np.sqrt(line["geometry_ratio"] * line["energy_ratio"]))
        line["lost"] = int((rows["lost"] & ~rows["default_lost"]).sum())
        line["saved"] = int((~rows["lost"] & rows["default_lost"]).sum())
        line["force_ratio"] = _mean_ratio(fits, "rmse_forces")
        line["training_energy_ratio"] = _mean_ratio(fits, "rmse_energy")
        line |= {name: float(fits[name].astype(float).median()) for name in ("elastic_error", "phonon_error")}
        line["unstable"] = int((fits["lowest_wave"].astype(float) <= 0).sum())
        found.append(line)
    return pd.DataFrame(found).sort_values("score", kind="stable", na_position="last").reset_index(drop=True)


def _mean_ratio(rows: pd.DataFrame, column: str) -> float:
    """The geometric mean of a training error over that of the default."""
    ratio = rows[column].astype(float) / rows[f"{column}_default"].astype(float)
    return float(np.exp(np.log(ratio[ratio > 0]).mean()))


def interval(
    logs: Float[np.ndarray, " pairs"], clusters: np.ndarray, resamples: int, seed: int = 0
) -> tuple[float, float, float]:
    """The geometric mean of ratios and its 95 % interval, by a bootstrap that draws whole clusters.

    Parameters
    ----------
    logs : array (pairs,)
        Logarithms of the ratios.
    clusters : array (pairs,)
        The defect of each: ratios of one defect are not independent.
    resamples : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of float
        Mean, lower and upper end; NaN without pairs, and an interval from zero to infinity for fewer than three clusters.
    """
    if not len(logs):
        return np.nan, np.nan, np.nan
    names = np.unique(clusters)
    means = np.array([logs[clusters == name].mean() for name in names])
    middle = float(np.exp(means.mean()))
    if len(names) < 3:
        return middle, 0.0, np.inf
    draws = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    low, high = np.quantile(means[draws].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return middle, float(np.exp(low)), float(np.exp(high))
