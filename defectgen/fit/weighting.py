"""Weights as functions of the description of a row, those that are built in, and how text names them.

A weight multiplies the residual of a row before it is squared, on top of the weights of kinds and groups and of the 1/sqrt(N)
that rows of E and V always have. Built-in ones are multiplied with each other and with numbers, and are written as text in the
same way: "by_distance(1) * boltzmann(1000)".
"""

import ast
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from .._input import InputError, did_you_mean, real, reason
from .._typing import Float
from ..training.blocks import Block
from ..training.observations import PARTS
from .described import Described
from .weights import FitWarning

KB = 8.617333262e-5
"""Boltzmann constant, eV/K (CODATA 2018)."""

LARGEST = 1e50
"""Largest weight: with its square there is room for rows and sums in double precision."""

Function = Callable[[Described], Any]


@dataclass(frozen=True)
class Weighting:
    """A weight function with a name; `a * b` and `2 * a` are weightings too."""

    text: str
    """How it is written, in Python and in run files."""
    function: Function = field(compare=False, repr=False)

    def __call__(self, row: Described) -> Float[np.ndarray, " entries"]:
        return np.asarray(self.function(row), dtype=float)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data set that it reads (`by_column`)."""
        calls = [node for node in _factors(ast.parse(self.text, mode="eval").body) if isinstance(node, ast.Call)]
        names = [ast.literal_eval(c.args[0]) for c in calls if isinstance(c.func, ast.Name) and c.func.id == by_column.__name__]
        return tuple(dict.fromkeys(names))

    def __mul__(self, other: Any) -> "Weighting":
        if isinstance(other, Weighting):
            return Weighting(f"{self.text} * {other.text}", lambda row: self(row) * other(row))
        factor = real(other, "the factor of a weight", 0.0)
        return Weighting(f"{_written(factor)} * {self.text}", lambda row: factor * self(row))

    __rmul__ = __mul__

    def __reduce__(self):
        return weighting, (self.text,)

    def __str__(self) -> str:
        return self.text


def _made(name: str, parameters: Mapping[str, Any] | Sequence[Any], function: Function) -> Weighting:
    if isinstance(parameters, Mapping):
        inner = ", ".join(f"{key}={_written(value)}" for key, value in parameters.items())
    else:
        inner = ", ".join(_written(value) for value in parameters)
    return Weighting(f"{name}({inner})", function)


def _written(value: Any) -> str:
    """A parameter as text that reads back as the same number, name or table; those of NumPy as Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_written(key)}: {_written(each)}' for key, each in value.items())}}}"
    return repr(value).removesuffix(".0") if isinstance(value, float) else repr(value)


# ------ The built-in ones


def by_kind(**weights: float) -> Weighting:
    """Rows of a kind times a number; kinds that are not named times one.

    Parameters
    ----------
    **weights
        ``by_kind(E=30, V=0.1)``.

    Returns
    -------
    Weighting
    """
    for kind, value in weights.items():
        if kind not in PARTS:
            raise InputError(f"by_kind weighs the kinds {', '.join(PARTS)}; got {kind!r}{did_you_mean(kind, PARTS)}")
        real(value, f"the weight of {kind} in by_kind", 0.0)

    def weight(row: Described) -> np.ndarray:
        return _looked_up(row.kind, weights)

    return _made("by_kind", weights, weight)


def by_group(weights: Mapping[str, float]) -> Weighting:
    """Rows of a configuration group times a number; other groups times one. ``by_group({"liquid": 0.1})``.

    Parameters
    ----------
    weights : mapping
        Of groups; each must have rows.

    Returns
    -------
    Weighting
    """
    weights = _table(weights, "by_group")

    def weight(row: Described) -> np.ndarray:
        _known(weights, row.group, "group")
        return _looked_up(row.group, weights)

    return _made("by_group", [weights], weight)


def by_species(weights: Mapping[str, float]) -> Weighting:
    """Forces on atoms of an element times a number; all other rows times one.

    Parameters
    ----------
    weights : mapping
        Of elements.

    Returns
    -------
    Weighting
    """
    weights = _table(weights, "by_species")

    def weight(row: Described) -> np.ndarray:
        forces = np.isin(row.kind, ("F", "VF"))
        _known(weights, row.species[forces], "element")
        return np.where(forces, _looked_up(row.species, weights), 1.0)

    return _made("by_species", [weights], weight)


def by_configuration(weights: Mapping[int, float]) -> Weighting:
    """All rows of a configuration times a number.

    Parameters
    ----------
    weights : mapping
        By the number of the configuration among those that were labelled, from 0.

    Returns
    -------
    Weighting
    """
    weights = _table(weights, "by_configuration")

    def weight(row: Described) -> np.ndarray:
        _known(weights, row.configuration, "configuration")
        return _looked_up(row.configuration, weights)

    return _made("by_configuration", [weights], weight)


def by_column(name: str, power: float = 1.0) -> Weighting:
    """The number that a data set gives for a configuration or an atom, to a power; one where it gives none.

    Parameters
    ----------
    name : str
        Of the column.
    power : float
        -1 for a standard deviation.

    Returns
    -------
    Weighting
    """
    if not isinstance(name, str):
        raise InputError(f"by_column takes the name of a column; got {name!r}")
    power = real(power, "the power of by_column")

    def weight(row: Described) -> np.ndarray:
        values = np.asarray(getattr(row, name), dtype=float)
        bad = values <= 0 if power < 0 else values < 0
        if bad.any():
            raise InputError(
                f"column {name!r} to the power {power:g} weighs rows, so its values must be "
                f"{'positive' if power < 0 else 'positive or zero'}; the smallest is {np.nanmin(values):g}"
            )
        return np.where(np.isnan(values), 1.0, np.abs(values) ** power)

    return _made("by_column", [name, power], weight)


def by_size(power: float) -> Weighting:
    """N^power with N the atoms of the configuration, for E, V and V0, on top of their 1/sqrt(N).

    Parameters
    ----------
    power : float
        -0.5 for residuals of energies per atom, 0.5 for those of total energies.

    Returns
    -------
    Weighting
    """
    power = real(power, "the power of by_size")

    def weight(row: Described) -> np.ndarray:
        sized = np.isin(row.kind, ("E", "V", "V0")) & (row.atoms > 0)
        return np.where(sized, np.maximum(row.atoms, 1).astype(float) ** power, 1.0)

    return _made("by_size", [power], weight)


def by_distance(power: float = 1.0) -> Weighting:
    """(1 + |l|)^power for forces, |l| the distance to the defect in nearest-neighbour spacings (theory: fit/loss).

    Parameters
    ----------
    power : float
        1 controls the term of the bound.

    Returns
    -------
    Weighting
    """
    power = real(power, "the power of by_distance")

    def weight(row: Described) -> np.ndarray:
        _there(row.distance, "by_distance", "distance to a defect", power)
        return np.where(np.isnan(row.distance), 1.0, (1.0 + _zeros(row.distance)) ** power)

    return _made("by_distance", [power], weight)


def by_range(power: float = 2.0) -> Weighting:
    """|rho|^power for force constants, |rho| their range in nearest-neighbour spacings (theory: fit/loss).

    Parameters
    ----------
    power : float
        2 controls the term of the bound.

    Returns
    -------
    Weighting
    """
    power = real(power, "the power of by_range")

    def weight(row: Described) -> np.ndarray:
        _there(row.range, "by_range", "range of a force constant", power)
        return np.where(np.isnan(row.range), 1.0, _zeros(row.range, 1.0) ** power)

    return _made("by_range", [power], weight)


def boltzmann(temperature: float) -> Weighting:
    """exp(-E / 2 k T), so that squares are weighted exp(-E / k T); E is the energy above the lowest, eV/atom.

    Parameters
    ----------
    temperature : float
        K, of one atom.

    Returns
    -------
    Weighting
    """
    temperature = real(temperature, "the temperature of boltzmann", 0.0, above=True, unit="K")
    return _made("boltzmann", [temperature], lambda row: np.exp(-_zeros(row.energy) / (2 * KB * temperature)))


def energy_window(high: float, outside: float = 0.0) -> Weighting:
    """One for configurations up to an energy above the lowest, another number beyond; one for rows without an energy.

    Parameters
    ----------
    high : float
        eV/atom.
    outside : float
        Weight beyond; 0 leaves rows out.

    Returns
    -------
    Weighting
    """
    high = real(high, "the upper end of energy_window", 0.0, unit="eV/atom")
    outside = real(outside, "the weight outside energy_window", 0.0)
    return _made("energy_window", [high, outside], lambda row: np.where(_zeros(row.energy) <= high, 1.0, outside))


def relative_force(floor: float) -> Weighting:
    """1 / (1 + |F| / floor) for forces: errors relative to the labelled force, and absolute ones far below the floor.

    Parameters
    ----------
    floor : float
        eV/A.

    Returns
    -------
    Weighting
    """
    floor = real(floor, "the floor of relative_force", 0.0, above=True, unit="eV/A")
    return _made("relative_force", [floor], lambda row: 1.0 / (1.0 + _zeros(row.force) / floor))


def balanced() -> Weighting:
    """1 / sqrt(rows) of every kind, times that of F: each kind counts by the mean of its squares, as losses of networks do.

    V0 counts as V, and VF as F.

    Returns
    -------
    Weighting
    """

    def weight(row: Described) -> np.ndarray:
        kinds = np.array(row.kind)
        kinds[kinds == "V0"], kinds[kinds == "VF"] = "V", "F"
        counts = {kind: float(row.rows[kinds == kind].sum()) for kind in np.unique(kinds)}
        first = counts.get("F", max(counts.values()))
        return np.sqrt(first / np.array([counts[k] for k in kinds]))

    return _made("balanced", [], weight)


def energy_based(DE: float = 1.0, DF: float = 1.0, kappa: float = 0.5, DEup: float = 10.0) -> Weighting:
    """The weights of pacemaker's EnergyBasedWeightingPolicy for E and F (see `comparators`).

    Parameters
    ----------
    DE : float
        eV/atom: squares of energies per atom are weighted 1 / (E + DE)^2, E above the convex hull.
    DF : float
        eV^2/A^2: squares of forces are weighted 1 / (|F|^2 + DF), times the weight of the energy.
    kappa : float
        Share of the forces, 0 to 1. The weights of energies sum to 1 - kappa, those of forces to kappa.
    DEup : float
        eV/atom: configurations above are left out.

    Returns
    -------
    Weighting
        Up to a common factor, with which weights of forces have a mean square of one. Other kinds keep theirs.
    """
    values = {
        "DE": real(DE, "DE of energy_based", 0.0, above=True, unit="eV/atom"),
        "DF": real(DF, "DF of energy_based", 0.0, above=True, unit="eV^2/A^2"),
        "kappa": real(kappa, "kappa of energy_based", 0.0, 1.0),
        "DEup": real(DEup, "DEup of energy_based", 0.0, above=True, unit="eV/atom"),
    }

    def weight(row: Described) -> np.ndarray:
        e, f = row.kind == "E", row.kind == "F"
        taken = (_zeros(row.energy) < values["DEup"]).astype(float)
        energies = taken / (_zeros(row.energy) + values["DE"]) ** 2
        forces = energies / (_zeros(row.force) ** 2 + values["DF"])
        found = np.ones(len(row))
        share = {"E": 1.0 - values["kappa"], "F": values["kappa"] * 3.0}  # three rows an atom
        for own, squares, key in ((e, energies, "E"), (f, forces, "F")):
            total = np.sum((row.rows * squares)[own])
            if total > 0:
                found[own] = np.sqrt(share[key] * squares[own] / total)
        found[e] /= np.sqrt(np.maximum(row.atoms[e], 1))  # rows of E carry sqrt(N); squares of energies per atom are weighted
        count = np.sum(row.rows[f])
        size = np.sqrt(np.sum((row.rows * found**2)[f]) / count) if count else 0.0
        scale = 1.0 / size if size > 0 else 1.0
        found[e | f] *= scale
        return found

    return _made("energy_based", values, weight)


BUILT_IN: dict[str, Callable[..., Weighting]] = {
    f.__name__: f
    for f in (
        by_kind,
        by_group,
        by_species,
        by_configuration,
        by_column,
        by_size,
        by_distance,
        by_range,
        boltzmann,
        energy_window,
        relative_force,
        balanced,
        energy_based,
    )
}
"""Built-in weightings by name."""


def _there(values: np.ndarray, name: str, what: str, power: float) -> None:
    """Warn of a weight that acts on nothing."""
    if power and np.isnan(values).all():
        warnings.warn(f"the weight {name} acts on nothing: no row has a {what}", FitWarning, stacklevel=2)


def _zeros(values: np.ndarray, instead: float = 0.0) -> np.ndarray:
    """Numbers, with something instead of those that a row does not have."""
    return np.where(np.isnan(values), instead, values)


def _looked_up(keys: np.ndarray, weights: Mapping[Any, float]) -> np.ndarray:
    """The weight of every key, one for those that are not named."""
    found = np.ones(len(keys))
    for key, value in weights.items():
        found[keys == key] = value
    return found


def _table(weights: Any, name: str) -> dict:
    """Raises InputError for what is no mapping to weights."""
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(f"{name} takes names and weights, like {name}({{'name': 0.1}}); got {weights!r}")
    return {key: real(value, f"the weight of {key!r} in {name}", 0.0) for key, value in weights.items()}


def _known(weights: Mapping[Any, float], present: np.ndarray, what: str) -> None:
    """Raises InputError for a name without rows."""
    have = np.unique(present).tolist()
    if missing := [key for key in weights if key not in have]:
        shown = ", ".join(map(str, have[:12])) + (", ..." if len(have) > 12 else "")
        raise InputError(f"a weight is given for the {what} {missing[0]!r}, which has no rows (there are {shown})")


# ------ From text


def weighting(text: str) -> Weighting:
    """The weighting that a text names: "by_distance(1) * boltzmann(temperature=1000)".

    Parameters
    ----------
    text : str
        Built-in weightings with their parameters, and numbers, joined by "*".

    Returns
    -------
    Weighting

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.weighting("by_distance(1) * boltzmann(1000)")
    Weighting(text='by_distance(1) * boltzmann(1000)')
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise InputError(f"a weight is written like 'by_distance(1) * boltzmann(1000)'; got {text!r}") from None
    parts = [_factor(node, text) for node in _factors(tree)]
    found = [part for part in parts if isinstance(part, Weighting)]
    if not found:
        raise InputError(f"a weight names at least one of {', '.join(BUILT_IN)}; got {text!r}")
    numbers = [part for part in parts if not isinstance(part, Weighting)]
    return reduce(operator.mul, [*found[1:], *numbers], found[0])


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _factor(node: ast.expr, text: str) -> Weighting | float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return real(node.value, "the factor of a weight", 0.0)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise InputError(f"a weight is a product of {', '.join(BUILT_IN)} with parameters, and numbers; got {text!r}")
    name = node.func.id
    if name not in BUILT_IN:
        raise InputError(f"built-in weights are {', '.join(BUILT_IN)}; got {name!r}{did_you_mean(name, BUILT_IN)}")
    keys = [each.arg for each in node.keywords]
    if None in keys or len(set(keys)) < len(keys):
        raise InputError(f"the weight {ast.unparse(node)!r} gives each parameter once, by its name, like by_distance(power=1)")
    try:
        given = [ast.literal_eval(each) for each in node.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
        return BUILT_IN[name](*given, **named)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"the weight {ast.unparse(node)!r} cannot be made ({reason(error)}); see its parameters") from None


def as_weight(given: Any) -> Function | None:
    """A weight function from what users write: None, text, a built-in one or a callable. Raises InputError for anything else."""
    if given is None or isinstance(given, Weighting):
        return given
    if isinstance(given, str):
        return weighting(given)
    if not callable(given) or isinstance(given, type):
        raise InputError(
            "a weight is a function of the rows, like lambda row: 1 / (0.1 + row.force), or text like 'by_distance(1)'; got "
            f"{given!r}: weights of kinds and groups are numbers in weights={{'E': 30}}"
        )
    return given


def called(weight: Function) -> str:
    """How tables and figures call a weight function."""
    return weight.text if isinstance(weight, Weighting) else getattr(weight, "__name__", type(weight).__name__)


# ------ Evaluated


def evaluated(weight: Function, blocks: Sequence[Block]) -> list[np.ndarray]:
    """The weights of the entries of every block.

    Raises InputError for a function that fails, reads a column that is not there, or gives numbers that are no weights.
    """
    row, name = Described(blocks), called(weight)
    try:
        with np.errstate(all="ignore"):
            given = np.asarray(weight(row))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"the weight function {name!r} failed on {len(row)} rows ({type(error).__name__}: {reason(error)}); it takes one "
            "argument, whose attributes are arrays"
        ) from error
    if given.dtype.kind not in "biuf":
        raise InputError(f"the weight function {name!r} gives numbers; it gave {given.dtype}")
    if given.shape not in ((), (1,), (len(row),)):
        raise InputError(
            f"the weight function {name!r} gives one number for each of {len(row)} rows; it gave shape {given.shape}: use "
            "operations on whole arrays"
        )
    values = np.broadcast_to(given, len(row)).astype(float)
    huge = np.isfinite(values) & (values > LARGEST)
    for bad, what in (
        (~np.isfinite(values), "are not finite"),
        (values < 0, "are negative"),
        (huge, f"are larger than {LARGEST:g}"),
    ):
        if bad.any():
            kinds = ", ".join(dict.fromkeys(np.asarray(row.kind)[bad].tolist()))
            raise InputError(
                f"the weight function {name!r} gives {int(bad.sum())} of {len(row)} weights that {what} (rows of {kinds}, the "
                f"first {values[bad][0]:g}); columns are NaN for rows that do not have them: use "
                "np.where(row.kind == 'F', ..., 1.0)"
            )
    if not np.any(values > 0):
        raise InputError(f"the weight function {name!r} gives zero for all {len(row)} rows, so nothing would be fitted")
    return np.split(values, np.cumsum(row.counts)[:-1])
