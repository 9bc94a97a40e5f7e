"""Wider laws: configurations of the whole pool that are hotter, more strained, or made by another generator than the training."""

from typing import Any

import numpy as np

from ....ace import LinearACE
from ....campaign import Record
from ....training.crystal_rows import voigt
from .blocks import Opened, opened
from .settings import parsed


def wider(model: LinearACE, spec: dict[str, Any], pool_record: Record, *records: Record) -> list[dict[str, Any]]:
    """One line a law, and one for the virials of the law that is trained on. spec: that of a trial.

    All splits of all seeds meet the same configurations, one of every structure, seen or not: beside them stands the test
    "in-distribution", which is the same for the law that is trained on.
    """
    asked, here = parsed(spec["settings"]), opened(spec, pool_record)
    pool = list(asked.names())
    theta = np.asarray(model.coefficients)
    lines = []
    for law in asked.wider:
        numbers = here.pool.dataset.where(pool, law.name)[:: asked.every]
        lines.append({"test": f"wider law: {law.name}", **_errors(here, theta, numbers)})
    return lines


def _errors(here: Opened, theta: np.ndarray, numbers: np.ndarray) -> dict[str, float | int]:
    """Root mean square errors: energy and virial eV/atom, forces eV/A."""
    energy, forces, virial = [], [], []
    for number in numbers.tolist():
        c, rows = here.pool.dataset.configurations[number], here.response(number)
        assert rows.energy is not None and rows.forces is not None and rows.virial is not None  # a basis has them all
        assert c.energy is not None and c.forces is not None  # and so has a pool
        energy.append((rows.energy @ theta - c.energy) / len(c))
        forces.append((rows.forces @ theta - c.forces).ravel())
        virial.append((voigt(rows.virial) @ theta - voigt(here.virials[number])) / len(c))
    wrong = np.concatenate(forces)
    return {
        "configurations": len(numbers),
        "test_structures": len(numbers),
        "energy_rmse": _rms(np.array(energy)),
        "forces": float(np.mean(np.abs(wrong))),
        "forces_rmse": _rms(wrong),
        "virial_rmse": _rms(np.array(virial)),
    }


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
