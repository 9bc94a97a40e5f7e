"""Curves of a surrogate's error against the radius: repeats of a radius by their geometric mean, and the rate of what results."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from .rates import CURVE, QUANTITIES, measured


def rates(results: list[dict], predicted: Callable[[dict, str, list[float]], float | None]) -> list[dict]:
    """Lines of rates.csv; `predicted(row, quantity, radii)` is the slope that the theory gives for the curve of a row."""
    curves = defaultdict(list)
    for row in results:
        curves[tuple(row[name] for name in CURVE)].append(row)
    found = []
    for curve, rows in curves.items():
        radii = sorted({row["training_radius"] for row in rows})
        groups = [[row for row in rows if row["training_radius"] == radius] for radius in radii]
        trusted = [all(row["converged"] and row["same_basin"] for row in group) for group in groups]
        for quantity, column in QUANTITIES.items():
            errors = [float(np.exp(np.mean(np.log([row[column] for row in group])))) for group in groups]
            slope = predicted(rows[0], quantity, radii)
            about = {**dict(zip(CURVE, curve, strict=True)), "quantity": quantity}
            found.append({**about, **measured(radii, errors, trusted, slope)})
    return found
