"""A domain from its file."""

from pathlib import Path

import numpy as np

from ..._input import InputError
from ...ace import ACEBasis
from ...observe import own_columns
from .archive import read
from .build import FIT_MEASURES, SITE_MEASURES
from .committee import Committee
from .domain import Domain
from .leverage import Leverage
from .measure import BySpecies, Measure


def load_domain(path: str | Path) -> Domain:
    """Read a domain written by `Domain.save`. Raises InputError if the file is missing, damaged, or no such file."""
    header, arrays = read(Path(path))
    try:
        config = dict(header["basis"])
        basis = ACEBasis(config.pop("species"), config.pop("cutoff"), config.pop("order"), config.pop("degree"), **config)
        coefficients = arrays.pop("coefficients", None)
        grouped = _split(arrays)
        measures = {name: _measure(name, grouped[name], basis) for name in header["thresholds"]}
        return Domain(basis, measures, header["thresholds"], header["measure"], coefficients, header["notes"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); save the domain again") from None


def _measure(name: str, arrays: dict[str, np.ndarray], basis: ACEBasis) -> Measure:
    """The measure of this name from its arrays."""
    if name == "committee":
        return Committee(**arrays)
    if name in FIT_MEASURES:
        return FIT_MEASURES[name](Leverage(arrays["root"], arrays["unseen"], arrays["scale"], float(arrays["noise"])))
    parts = _split(arrays)
    columns = {symbol: own_columns(basis, symbol) for symbol in parts}
    return BySpecies(SITE_MEASURES[name], columns, {symbol: SITE_MEASURES[name](**own) for symbol, own in parts.items()})


def _split(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Arrays named "first/rest" by first, then by rest."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays.items():
        first, _, rest = key.partition("/")
        found.setdefault(first, {})[rest] = value
    return found
