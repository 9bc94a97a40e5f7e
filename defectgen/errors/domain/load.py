"""A domain from its file."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..._input import InputError, did_you_mean, file_of, reading
from ...ace import ACEBasis, basis_from_description
from ...observe import own_columns
from .archive import ADVICE, Archive, Shape, opened
from .build import FIT_MEASURES, MEASURES, SITE_MEASURES
from .deviations import Committee, Leverage
from .domain import Domain
from .measures import MOST, BySpecies, Measure


def load_domain(path: str | Path) -> Domain:
    """Read a domain written by `Domain.save`.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Domain
        The domain with its measures and thresholds.

    Raises
    ------
    InputError
        If the file is missing, damaged, changed after it was written, or no such file.

    Warns
    -----
    InputWarning
        If the file is of the older format, which has no checksum.
    """
    path = file_of(path, "a domain")
    with opened(path) as archive, reading(path, "a domain", ADVICE):
        header = archive.header
        basis = basis_from_description(header["basis"])
        thresholds = {str(name): _threshold(name, value, path) for name, value in dict(header["thresholds"]).items()}
        if header["measure"] not in thresholds or not isinstance(header["notes"], dict):
            raise InputError(f"{str(path)!r} is damaged: it has a measure without a threshold; save the domain again")
        _check_notes(header["notes"], path)
        arrays = archive.arrays(_wanted(archive, thresholds, basis))
        coefficients = arrays.pop("coefficients", None)
        grouped = _split(arrays)
        measures = {name: _measure(name, grouped[name], basis) for name in thresholds}
        return Domain(basis, measures, thresholds, header["measure"], coefficients, header["notes"])


def _check_notes(notes: dict, path: Path) -> None:
    """Raises InputError for notes that `Domain` cannot show."""
    known, alpha = notes.get("environments", {}), notes.get("alpha", 0.0)
    if not isinstance(known, dict) or isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise InputError(f"{str(path)!r} is damaged: its notes are not those of a domain; save the domain again")


def _threshold(name: str, value: Any, path: Path) -> float:
    """A threshold; infinite where nothing is outside by this measure."""
    if name not in MEASURES:
        raise InputError(
            f"{str(path)!r} has the measure {name!r}, which is none of {', '.join(MEASURES)}{did_you_mean(name, MEASURES)}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InputError(
            f"{str(path)!r} is damaged: the threshold of {name} is {value!r}, not a positive number; save the domain again"
        )
    return float(value)


def _wanted(archive: Archive, thresholds: dict[str, float], basis: ACEBasis) -> dict[str, Shape]:
    """The shape of every array that these measures of this basis have; numbers of rows, which are free, as the file says."""
    size, wanted = basis.size, {}
    if "coefficients" in archive.shapes:
        wanted["coefficients"] = (size,)
    for name in thresholds:
        if name == "committee":
            wanted[f"{name}/coefficients"] = (_free(archive, f"{name}/coefficients", 0, 2, 100_000), size)
        elif name in FIT_MEASURES:
            free = {key: _free(archive, f"{name}/{key}", 1, 0, size) for key in ("root", "unseen")}
            wanted |= {f"{name}/{key}": (size, count) for key, count in free.items()}
            wanted |= {f"{name}/scale": (size,), f"{name}/noise": ()}
        else:
            own = {key.split("/")[1] for key in archive.shapes if key.startswith(f"{name}/")}
            for symbol in sorted(own):
                m = len(own_columns(basis, symbol))
                stem, square = f"{name}/{symbol}", (m, m)
                points = {"points": (_free(archive, f"{stem}/points", 0, 1, MOST), m)} if name == "neighbours" else {}
                each = (
                    {"inverse": square, "active": (m,)} if name == "extrapolation" else {"mean": (m,), "root": square, **points}
                )
                wanted |= {f"{stem}/{key}": shape for key, shape in each.items()}
    return wanted


def _free(archive: Archive, name: str, axis: int, least: int, most: int) -> int:
    """The length of an array along an axis that the basis does not fix; the least one where it is out of bounds."""
    shape = archive.shapes.get(name, ())
    return shape[axis] if len(shape) == 2 and least <= shape[axis] <= most else least


def _measure(name: str, arrays: dict[str, np.ndarray], basis: ACEBasis) -> Measure:
    """The measure of this name from its arrays."""
    if name == "committee":
        return Committee(**arrays)
    if name in FIT_MEASURES:
        noise = float(arrays["noise"])
        if not (noise >= 0 and math.isfinite(noise) and np.all(arrays["scale"] > 0)):
            raise InputError(f"the domain is damaged: noise and scales of {name} are positive; save the domain again")
        return FIT_MEASURES[name](Leverage(arrays["root"], arrays["unseen"], arrays["scale"], noise))
    parts = _split(arrays)
    columns = {symbol: own_columns(basis, symbol) for symbol in parts}
    make: Callable[..., Any] = SITE_MEASURES[name]
    return BySpecies(SITE_MEASURES[name], columns, {symbol: make(**own) for symbol, own in parts.items()})


def _split(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Arrays named "first/rest" by first, then by rest."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays.items():
        first, _, rest = key.partition("/")
        found.setdefault(first, {})[rest] = value
    return found
