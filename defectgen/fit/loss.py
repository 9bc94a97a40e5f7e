"""A loss: observations, weights, residual losses, prior and constraints of one fit, and grids of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from numbers import Real
from typing import Any

import numpy as np

from .._input import InputError, closest
from .._typing import Float
from ..training.blocks import Block, Blocks
from ..training.observations import ELASTIC, TARGETS, spell_observations
from .constraint import Constraint, as_constraints, check_constraints
from .prior import as_prior
from .residual import Residual, residuals_of
from .weighting import as_weight, called, evaluated
from .weights import Weights, check_weights, resolve_weights, weighted_kinds

# ------ A loss: everything that decides a fit once rows are labelled, as one value that can be listed, varied and compared

DEFAULT = "default"


@dataclass(frozen=True)
class Loss:
    """All settings of a fit to labelled rows: observations, weights, prior, solver, constraints.

    Powers, strains, `robust` and most weight functions need rows that were labelled with `subdivide=True`, functions of the
    labelled force and losses of single residuals `subdivide="bins"` or `"rows"`.

    Examples
    --------
    >>> loss = Loss("E+F", weights={"E": 30}, weight="by_distance(1) * boltzmann(1000)", residual={"F": "huber(1.345)"})
    >>> loss.label
    'E+F, E 30, weight by_distance(1) * boltzmann(1000), F huber(1.345)'
    """

    observations: str = "E+F+FC+V"
    weights: Mapping[str, Any] = field(default_factory=dict)
    """As `dg.fit` takes them: by kind, {"E": 1000}, or by kind and group, {"FC:defect-core": 0.03}."""
    force_distance_power: float = 0.0
    """Force residuals are weighted (1 + |l|)^power, l the distance to the defect in nearest-neighbour spacings, by shells."""
    force_constant_range_power: float = 0.0
    """Force constants of the perfect crystal are weighted |rho|^power."""
    strains: tuple[float, ...] | None = None
    """Which of the labelled strain amplitudes V takes; None: all."""
    strain_pairs: bool = True
    """Whether V takes pairs of strain modes too."""
    robust: float | None = None
    """Threshold of Huber's loss, in multiples of the median residual of a kind; None: least squares (see `robust`)."""
    weight: Any = None
    """A function of the rows whose values multiply their residuals, on top of everything else: a callable, or text that names
    built-in ones, "by_distance(1) * boltzmann(1000)" (see `weighting`)."""
    residual: Any = None
    """What is summed over residuals instead of their squares: "huber(1.345)" for all kinds, or {"F": "tukey"} by kind (see
    `residual`)."""
    prior: Any = None
    solver: str = "qr"
    constraints: Any = ()
    """As `dg.fit` takes them: names that hold exactly, or {name: tolerance}. A set with C, "E+F+C", holds C as well."""
    name: str = ""
    """How tables and figures call it; the settings that are not the default ones if empty."""

    def __post_init__(self):
        """Raises InputError for settings that make no sense on any rows."""
        object.__setattr__(self, "observations", spell_observations(self.observations))
        check_weights(self.weights)
        as_prior(self.prior)
        object.__setattr__(self, "weight", as_weight(self.weight))
        if self.residuals and self.robust is not None:
            raise InputError(
                f"robust={self.robust!r} is Huber's loss of blocks and residual={self.residual!r} a loss of single rows; give "
                "one of them"
            )
        if isinstance(self.constraints, str | Constraint | np.ndarray):
            object.__setattr__(self, "constraints", (self.constraints,))
        if self.constraints is None:
            object.__setattr__(self, "constraints", ())
        if not isinstance(self.constraints, Iterable):
            raise InputError(
                f"constraints are kinds, as ['V0', 'FC'], arrays [C | d] or dg.Constraint objects; got {self.constraints!r}"
            )
        if isinstance(self.constraints, Mapping):
            check_constraints(self.constraints)
        check_constraints(name for name in self.constraints if isinstance(name, str))
        if self._holds_elastic and ELASTIC in weighted_kinds(self.weights):
            raise InputError(
                f"{self.observations} holds the elastic constants (C) exactly, so a weight of C has no effect; take C out of "
                "the set to weight it, or leave its weight out"
            )
        for power in (self.force_distance_power, self.force_constant_range_power):
            if not isinstance(power, Real) or not math.isfinite(power):
                raise InputError(f"the power of a distance or range weight is a number; got {power!r}")
        if self.robust is not None and not (isinstance(self.robust, Real) and self.robust > 0):
            raise InputError(f"the threshold of a robust loss is a positive number (1.345 is usual) or None; got {self.robust!r}")
        if self.strains is not None and not isinstance(self.strains, Iterable):
            raise InputError(f"strains names labelled amplitudes, at least one, like (0.005, 0.01); got {self.strains!r}")
        if self.strains is not None and (not self.strains or any(not a > 0 for a in self.strains)):
            raise InputError(f"strains names labelled amplitudes, at least one, like (0.005, 0.01); got {self.strains!r}")

    @property
    def settings(self) -> dict[str, Any]:
        """What differs from a loss of no arguments, by name."""
        plain = Loss.__dataclass_fields__
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}
        empty = {"weights": {}, "constraints": ()}
        return {k: v for k, v in found.items() if v != empty.get(k, plain[k].default)}

    @property
    def residuals(self) -> dict[str, Residual]:
        """The forms of the kinds that have one other than the square."""
        return residuals_of(self.residual)

    @property
    def label(self) -> str:
        """Its name, or its settings in short."""
        return self.name or spelled(self.settings) or DEFAULT

    def resolve(self, blocks: Blocks) -> Weights:
        """The weights of what is weighed: the observation set, and targets (C, Ef) that were given a weight.

        Parameters
        ----------
        blocks : Blocks
            Rows and labels.

        Returns
        -------
        dict
            weights[kind][group].
        """
        resolved = resolve_weights(blocks, self.weights)
        parts = blocks.select(self.observations).kinds
        wanted = {*(k for k in parts if k not in TARGETS), *(k for k in TARGETS if any(resolved.get(k, {}).values()))}
        return {kind: resolved[kind] for kind in blocks.kinds if kind in wanted}

    def exact(self, blocks: Blocks) -> tuple[Constraint, ...]:
        """What holds exactly: the constraints, and the elastic constants if the set contains them.

        A tolerance of C among the constraints takes the place of exactness.

        Parameters
        ----------
        blocks : Blocks
            Rows and labels.

        Returns
        -------
        tuple of Constraint
            In their order.

        Raises
        ------
        InputError
            For what has no rows.
        """
        given = as_constraints(blocks, self.constraints)
        if not self._holds_elastic or any(isinstance(name, str) and name.split(":")[0] == ELASTIC for name in self.constraints):
            return given
        (own,) = as_constraints(blocks, ELASTIC)
        same = [c for c in given if c.name == own.name and np.array_equal(c.rows, own.rows)]
        return given if any(np.array_equal(c.target, own.target) for c in same) else (*given, own)

    @property
    def _holds_elastic(self) -> bool:
        return ELASTIC in self.observations.split("+")

    def multipliers(
        self, blocks: Blocks, resolved: Weights | None = None, late: Sequence[np.ndarray] | None = None
    ) -> Float[np.ndarray, " blocks"]:
        """What the rows of every block are multiplied by: weight, natural scale, late weights; 0 for what is out.

        Late weights (powers, strains, the weight function) of blocks that keep single rows are not in it: see `weighed`.

        Parameters
        ----------
        blocks : Blocks
            Rows and labels.
        resolved : dict, optional
            From `resolve`.
        late : list of array, optional
            From `late`.

        Returns
        -------
        array, (blocks,)
            Factors of the rows.

        Raises
        ------
        InputError
            For powers and strains if the rows were not kept apart, and for a weight function that cannot be used.
        """
        resolved = self.resolve(blocks) if resolved is None else resolved
        late = self.late(blocks, resolved) if late is None else late
        own = np.array([1.0 if b.kept else float(f[0]) for b, f in zip(blocks.items, late, strict=True)])
        return own * np.array([resolved.get(b.kind, {}).get(b.group, 0.0) * b.scale for b in blocks.items])

    def posed(self, blocks: Blocks, resolved: Weights) -> tuple[Blocks, Float[np.ndarray, " blocks"]]:
        """The blocks with late weights of single rows in their factors, and the multipliers of all blocks.

        Parameters
        ----------
        blocks : Blocks
            Rows and labels.
        resolved : dict
            From `resolve`.

        Returns
        -------
        blocks : Blocks
            With the weights of their rows.
        multipliers : array, (blocks,)
            Factors of the rows.

        Raises
        ------
        InputError
            As `multipliers` does.
        """
        late = self.late(blocks, resolved)
        return weighed(blocks, late), self.multipliers(blocks, resolved, late)

    def late(self, blocks: Blocks, resolved: Weights) -> list[np.ndarray]:
        """Powers, choice of strains and weight function of every block.

        Parameters
        ----------
        blocks : Blocks
            Rows and labels.
        resolved : dict
            From `resolve`.

        Returns
        -------
        list of array
            For every block one number, or one for every row that is kept.
        """
        self._check(blocks, resolved)
        found = [np.atleast_1d(np.asarray(self._late(b), dtype=float)) for b in blocks.items]
        if self.weight is not None:
            taken = [k for k, b in enumerate(blocks.items) if any(resolved.get(b.kind, {}).values()) and b.rows]
            if not taken:
                raise InputError(f"the weight function {called(self.weight)!r} has no rows to act on; label some cells")
            for k, factor in zip(taken, evaluated(self.weight, [blocks.items[k] for k in taken]), strict=True):
                found[k] = found[k] * factor
        return found

    def _late(self, block: Block) -> float | np.ndarray:
        """Distance or range weight of a block, or whether its strain takes part."""
        if block.part.startswith("strain") and block.kind in ("V", "VF"):
            amplitude, *more = block.part.removeprefix("strain ").split(" ")
            chosen = self.strains is None or any(math.isclose(float(amplitude), a) for a in self.strains)
            return float(chosen and (self.strain_pairs or "pair" not in more))
        if block.kept and block.about is not None:
            power, column = (
                (self.force_distance_power, 1.0 + block.about.distance)
                if block.kind == "F"
                else (self.force_constant_range_power if block.kind == "FC" else 0.0, block.about.range)
            )
            return np.where(np.isnan(column), 1.0, np.where(np.isnan(column), 1.0, column) ** power) if power else 1.0
        if block.distance is None:
            return 1.0
        if block.kind == "F":
            return (1.0 + block.distance) ** self.force_distance_power
        return block.distance**self.force_constant_range_power

    def _check(self, blocks: Blocks, weights: Weights) -> None:
        """Raises InputError for what needs rows kept apart and does not find them, and for strains that were not labelled."""
        apart = "label the cells with subdivide=True, and the power to the loss"
        for kind, power in (("F", self.force_distance_power), ("FC", self.force_constant_range_power)):
            alone = [b for b in blocks.items if b.kind == kind and b.distance is None and not b.kept]
            if power and kind in weights and len(alone) == sum(b.kind == kind for b in blocks.items):
                raise InputError(f"a power of the distance needs {kind} rows kept apart by distance; {apart}")
        if "V" in weights and (self.strains is not None or not self.strain_pairs):
            known = sorted({float(b.part.split()[1]) for b in blocks.items if b.kind == "V" and b.part.startswith("strain")})
            if not known:
                raise InputError(f"a choice of strains needs V rows kept apart by strain; {apart}")
            if missing := [a for a in self.strains or () if not any(math.isclose(a, k) for k in known)]:
                raise InputError(f"strains of {missing[0]:g} were not labelled (there are {', '.join(f'{k:g}' for k in known)})")


def weighed(blocks: Blocks, late: Sequence[np.ndarray]) -> Blocks:
    """The blocks with late weights of single rows multiplied into their factors; errors in field units are computed without them.

    Parameters
    ----------
    blocks : Blocks
        The rows.
    late : sequence of array (1,) or (rows,)
        Of every block.

    Returns
    -------
    Blocks
        The same object if no weight varies within a block.
    """
    if not any(b.kept for b in blocks.items):
        return blocks
    whole = [np.broadcast_to(f, len(b.factor)) if b.kept else f for b, f in zip(blocks.items, late, strict=True)]
    items = tuple(multiplied(b, f) if b.kept else b for b, f in zip(blocks.items, whole, strict=True))
    by_key = {b.key: (b, f) for b, f in zip(blocks.items, whole, strict=True) if b.kept}
    held = []
    for parts in blocks.held:
        found = []
        for part in parts:
            block, factor = by_key.get(part.key, (None, None))
            if block is None or factor is None or block.about is None or part.about is None:
                found.append(part)
                continue
            own = block.about.configuration == part.about.configuration[0]
            found.append(multiplied(part, factor[own]))
        held.append(tuple(found))
    return replace(blocks, items=items, held=tuple(held))


def multiplied(block: Block, factor: Float[np.ndarray, " rows"]) -> Block:
    """A block whose factor carries one more weight of every row; errors are computed from its rows as they were.

    Parameters
    ----------
    block : Block
        Kept rows, or a single row.
    factor : array (rows,)
        Weights.

    Returns
    -------
    Block
    """
    plain = block.factor if block.plain is None else block.plain
    return replace(block, factor=block.factor * factor[:, None], plain=plain, plain_baseline=None, baseline=None)


_SHORT = {
    "force_distance_power": "(1+|l|)^{:g}",
    "force_constant_range_power": "|ρ|^{:g}",
    "robust": "Huber {:g}",
    "prior": "prior {}",
    "solver": "{}",
}


def spelled(settings: Mapping[str, Any]) -> str:
    """Settings as one short line: E+F, E 1000, (1+|l|)^1."""
    words = []
    for key, value in settings.items():
        if key == "weights":
            words += [f"{k} {v:g}" for k, v in value.items() if isinstance(v, Real)]
            words += [f"{k}:{g} {v:g}" for k, own in value.items() if isinstance(own, Mapping) for g, v in own.items()]
        elif key == "constraints":
            exact = value.items() if isinstance(value, Mapping) else ((v, None) for v in value)
            words += [
                f"{getattr(c, 'name', c if isinstance(c, str) else 'rows')} exact{f' ±{t:g}' if t else ''}" for c, t in exact
            ]
        elif key == "strains":
            words.append("strains " + " ".join(f"{a:g}" for a in value))
        elif key == "weight":
            words.append(f"weight {called(value)}")
        elif key == "residual":
            words += [f"{kind} {text}" for kind, text in value.items()] if isinstance(value, Mapping) else [str(value)]
        elif key == "strain_pairs":
            words.append("no strain pairs")
        elif value is None:
            words.append(f"no {key.replace('_', ' ')}")
        else:
            words.append(_SHORT.get(key, "{}").format(value))
    return ", ".join(words)


# ------ Lists of losses: every combination of the values that are given for each setting

_WHOLE = ("strains", "constraints")
"""Settings whose value is itself a list: a list of lists is varied."""


def losses(**settings: Any) -> list[Loss]:
    """One loss for every combination of settings.

    Parameters
    ----------
    **settings
        Those of `dg.Loss`. A setting is one value, or a list of values to vary; so is every weight. `strains` and `constraints`
        are lists themselves; a list of such lists varies them: constraints=[[], ["V0"], ["V0", "FC"]].

    Returns
    -------
    list of Loss
        All combinations.

    Raises
    ------
    InputError
        For settings that a loss does not have, and for a list without values.

    Examples
    --------
    >>> len(losses(observations=["E+F", "E+F+FC"], weights={"E": [1, 30, 1000], "V0": 1000}, force_distance_power=[0, 1]))
    12
    """
    known = [f.name for f in fields(Loss)]
    axes: dict[tuple[str, str | None], list[Any]] = {}
    for key, value in settings.items():
        if key not in known:
            near = closest(key, known)
            raise InputError(f"a loss has the settings {', '.join(known)}; got {key!r}{f': {near}?' if near else ''}")
        if key == "weights":
            if not isinstance(value, Mapping):
                raise InputError(f"weights map kinds to numbers or lists of numbers, like {{'E': [1, 30]}}; got {value!r}")
            axes |= {(key, kind): _values(f"weights.{kind}", v, False) for kind, v in value.items()}
        else:
            axes[key, None] = _values(key, value, key in _WHOLE)
    found = []
    for chosen in product(*axes.values()):
        own = dict(zip(axes, chosen, strict=True))
        weights = {str(kind): v for (key, kind), v in own.items() if key == "weights"}
        plain = {key: v for (key, kind), v in own.items() if kind is None}
        found.append(Loss(**plain, weights=weights))
    return found


def _values(name: str, given: Any, whole: bool) -> list[Any]:
    """The values of one setting. Raises InputError if there are none."""
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    if whole:
        listed = listed and len(given) > 0 and all(isinstance(v, Sequence | Mapping) and not isinstance(v, str) for v in given)
        return [_frozen(v) for v in given] if listed else [_frozen(given)]
    values = list(given) if listed else [given]
    if not values:
        raise InputError(f"a grid of losses needs at least one value of {name}; got an empty list")
    return values


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
