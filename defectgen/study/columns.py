"""The columns of a run's tables: name, heading, unit, format and meaning, each written down once.

The names are the headers of the CSV files, which scripts outside rely on; headings, units and formats are those of the page and
the axes; the meanings are the documentation of the files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..plot.typeset import NONE, decimal, local_slopes, number, slope

FORMATS: Mapping[str, Callable[[Any], str]] = {
    "number": number,
    "three": lambda value: f"{value:.3g}",
    "count": lambda value: f"{value:.0f}",
    "decimal": decimal,
    "slope": slope,
    "general": lambda value: f"{value:g}",
    "percent": lambda value: f"{value:.0%}".replace("%", " %"),
    "text": str,
    "flag": lambda value: "yes" if value else "no",
    "window": lambda value: str(value).replace("-", " to "),
    "local slopes": lambda value: local_slopes(str(value)),
}
"""How a cell is written on a page, by the name of a format."""


Format = Literal["number", "three", "count", "decimal", "slope", "general", "text", "flag", "window", "local slopes", "percent"]
"""A key of FORMATS."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """Header in the CSV file."""
    heading: str
    """On a page and on an axis, without the unit."""
    meaning: str
    """One sentence for the documentation of the files."""
    unit: str = ""
    """As a person reads it: Å, eV, eV/Å; empty for text, counts and ratios."""
    format: Format = "number"
    prose: bool = False
    """Whether cells are long texts, which may be broken into lines."""

    @property
    def title(self) -> str:
        """The heading with its unit."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    @property
    def numeric(self) -> bool:
        """Whether cells are numbers."""
        return self.format not in ("text", "flag", "window", "local slopes")

    def text(self, value: Any) -> str:
        """A cell as a person reads it; a dash for a number that is missing or not finite."""
        if isinstance(value, (bool, np.bool_)):
            return FORMATS["flag"](value)
        if self.numeric:
            if value is None or value == "" or not np.isfinite(float(value)):
                return NONE
            return FORMATS[self.format](float(value))
        return FORMATS[self.format](value)


def _of(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


CASE = (
    Column("study", "study", "the study that the row belongs to", format="text"),
    Column("material", "material", "name of the crystal and its reference in the run file", format="text"),
    Column("defect", "defect", "the defect, as a run file writes it", format="text"),
    Column("dimension", "dimension", "number of dimensions of the crystal", format="count"),
    Column("observations", "observed", "which observations were fitted or held exact", format="text"),
)
"""What a row is about."""

RESULTS = _of(
    *CASE,
    Column("training_size", "training size", "conventional cells along each side of the training cell", format="three"),
    Column(
        "training_radius",
        "training radius",
        "radius of the largest ball in the training cell, or up to which forces are exact, in nearest-neighbour spacings",
        "spacings",
        "three",
    ),
    Column("training_atoms", "training atoms", "atoms of the training cell", format="count"),
    Column("basis_functions", "basis functions", "functions of the fitted basis", format="count"),
    Column("degree", "degree", "total degree of the basis", format="general"),
    Column("perturbation", "perturbation", "seed of the controlled error of a surrogate", format="count"),
    Column("strength", "strength", "largest relative change of the energy of a wave by the controlled error"),
    Column("simulation_atoms", "simulation atoms", "atoms of the cell in which errors are taken", format="count"),
    Column("geometry_error", "geometry error", "l2 norm of the differences of all nearest-neighbour bonds", "Å"),
    Column("geometry_error_max", "largest bond error", "largest difference of one bond", "Å"),
    Column("energy_error", "energy error", "absolute error of the formation energy", "eV"),
    Column("rmse_energy", "RMSE E", "root mean square error of the energies of the training data", "eV/atom"),
    Column("rmse_forces", "RMSE F", "root mean square error of the force components of the training data", "eV/Å"),
    Column("rmse_force_constants", "RMSE FC", "root mean square error of the force constants", "eV/Å²"),
    Column("rmse_virial", "RMSE V", "root mean square error of the virial components", "eV/atom"),
    Column("converged", "converged", "whether the model relaxed to the tolerance", format="flag"),
    Column("same_basin", "same basin", "whether it is the same state as that of the reference, and stable", format="flag"),
    Column("seconds", "time", "wall time of the step", "s", "three"),
)
"""results.csv: errors of models and surrogates against the reference."""

LATER = _of(
    Column(
        "held_out_forces",
        "held-out F",
        "root mean square error of the force components of configurations that are left out of the fit, one at a time",
        "eV/Å",
    ),
    Column("trained_on", "trained on", "the defect that the fit was trained on, where it is tried on others", format="text"),
    Column("state", "state", "what became of the defect under a fit to another one", format="text"),
    Column(
        "fit_radius",
        "radius of fitted cell",
        "radius of the cell that the fit was trained on, where the training radius is that beyond which the fit is used",
        "spacings",
        "three",
    ),
)
"""Columns of results.csv that runs of earlier versions do not have."""

RATES = _of(
    *CASE,
    Column("quantity", "error of", "geometry or energy", format="text"),
    Column("slope", "slope", "measured slope of log error against log training radius", format="decimal"),
    Column("low", "low", "lower end of its 95 % interval", format="decimal"),
    Column("high", "high", "upper end of its 95 % interval", format="decimal"),
    Column("window", "radii used", "smallest and largest training radius of the points used", format="window"),
    Column("predicted", "predicted", "the slope that the theory predicts", format="slope"),
    Column("verdict", "verdict", "what the measured slope says about the predicted one", format="text"),
    Column("dropped", "dropped", "radii that were left out, each with its reason", format="text", prose=True),
    Column(
        "local_slopes",
        "local slopes (at radius)",
        "slopes between neighbouring radii, radius:slope",
        format="local slopes",
        prose=True,
    ),
    Column("judged_by", "judged by", "which law the verdict is of", format="text"),
    Column("shifted_slope", "slope of C(L + δ)^p", "slope of the finite-size law C (L + shift)^p", format="decimal"),
    Column("shifted_low", "its low", "lower end of its 95 % interval", format="decimal"),
    Column("shifted_high", "its high", "upper end of its 95 % interval", format="decimal"),
    Column("shift", "δ", "the shift of the finite-size law", "spacings", "decimal"),
    Column(
        "rejects_off_by_one", "rejects predicted ± 1", "whether exponents off by one are rejected by the same data", format="text"
    ),
    Column("repeats", "repeats", "independent curves that the slope is the mean of", format="count"),
    Column(
        "interval_of",
        "interval of",
        "what the interval is taken from: repeats (three or more), line (one curve or two), or none",
        format="text",
    ),
    Column("window_rule", "window", "how the radii used were chosen, before the errors were known", format="text"),
    Column("size_resolution", "shift allowed", "shift of the radius that the interval allows for", "spacings", "general"),
    Column(
        "tolerance", "tolerance", "exponents that differ from the prediction by this much are distinguished", format="general"
    ),
    Column(
        "false_confirmation",
        "false confirmations",
        "share of simulated curves like this one that are confirmed although their exponent is off by the tolerance",
        format="percent",
    ),
    Column(
        "power",
        "power",
        "share of simulated curves like this one, of the predicted exponent, that are confirmed",
        format="percent",
    ),
    Column("remark", "remark", "what is missing for a verdict, or weakens it", format="text", prose=True),
)
"""rates.csv: one measured slope per curve and quantity."""

FAILURES = _of(
    Column("label", "case", "the step that failed, or the case that is in no rate", format="text"),
    Column("reason", "reason", "why, in one sentence", format="text", prose=True),
)
"""failures.csv."""

WARNED = "a fit with a warning: "
"""How the reason of a line of failures.csv begins that is a remark: the case is in its rate all the same."""


def named(names: Iterable[str], *tables: Mapping[str, Column]) -> list[Column]:
    """The columns of these names, from the first table that has each.

    Raises
    ------
    KeyError
        No table has a column of this name.
    """
    return [next(table[name] for table in tables if name in table) for name in names]
