"""refit: many losses on the same labels, each a small solve that shares its factorisation with the others."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Float
from ..ace import LinearACE
from ..training.blocks import Block, Blocks
from ..training.compress import join, residual_sum
from .fitting import as_solver, fitted
from .loss import Loss, multiplied
from .prior import Auto, as_prior
from .problem import Problem, pose
from .residual import Residual
from .residual_fits import ResidualGroup, carried
from .result import Fit
from .robust import with_constraints
from .shared import Shared, share
from .solvers import QR
from .weights import Weights

if TYPE_CHECKING:
    import pandas  # half a second, for one table

CHEAPER = 12
"""Rows that are weighed one by one in the time of one Gram matrix of a class of them (timed at 500 columns)."""
ENOUGH = 3
"""Number of similar losses from which a shared factorisation is faster: making one costs about as much as two fits."""
FEW = 2
"""The same of losses of single residuals, whose fits by themselves need that factorisation too."""


@dataclass(frozen=True, eq=False)
class Refit:
    """What one loss gave."""

    loss: Loss
    coefficients: Float[np.ndarray, " columns"]
    rmse: dict[str, float]
    """Root mean square training error by kind, of all kinds that were labelled, field units."""
    rank: int | None
    shared: bool
    """Whether it came from a factorisation shared with other losses, or from a fit of its own."""
    seconds: float
    """Wall time of the solve and its errors; the shared factorisation is not in it."""

    def __repr__(self) -> str:
        errors = (f"RMSE of {kind} {error:.3g}" for kind, error in self.rmse.items())
        return shown(self, self.loss.label, f"{len(self.coefficients):,} coefficients", *errors)

    @property
    def row(self) -> dict[str, Any]:
        """One line of a table: every setting, then the errors."""
        weights = {f"weight {kind}": value for kind, value in self.loss.weights.items() if not isinstance(value, dict)}
        settings = {k: v for k, v in self.loss.settings.items() if k not in ("weights", "observations")}
        errors = {f"rmse {kind}": error for kind, error in self.rmse.items()}
        about = {"rank": self.rank, "shared": self.shared, "seconds": self.seconds}
        return {"loss": self.loss.label, "observations": self.loss.observations, **weights, **settings, **errors, **about}


@dataclass(frozen=True, eq=False)
class Refits:
    """The fits of a list of losses, in its order."""

    items: tuple[Refit, ...]
    blocks: Blocks

    def __len__(self) -> int:
        return len(self.items)

    def _repr_html_(self) -> str:
        return self.table().to_html(index=False, max_rows=40, float_format="{:.4g}".format)

    def __repr__(self) -> str:
        return shown(self, f"{len(self.items):,} losses", "errors of each in table()")

    def __iter__(self) -> Iterator[Refit]:
        return iter(self.items)

    def __getitem__(self, number: int) -> Refit:
        return self.items[number]

    def model(self, number: int) -> LinearACE:
        """The fitted model of one loss."""
        made = self.blocks.model(self[number].coefficients, {"loss": self[number].loss.label})
        if made is None:
            raise InputError("these blocks carry no basis, so there is no model; its coefficients are in refits[number]")
        return made

    def table(self) -> "pandas.DataFrame":
        """One row a loss: settings, training errors (field units), seconds."""
        from pandas import DataFrame

        return DataFrame([each.row for each in self.items])


def refit(blocks: Blocks | Fit, losses: Loss | Iterable[Loss]) -> Refits:
    """Fit every loss of a list to the same rows.

    Parameters
    ----------
    blocks : Blocks or Fit
        The rows; those of a fit, if one is given.
    losses : Loss or iterable of Loss
        From `dg.losses`, or made one by one.

    Returns
    -------
    Refits
        A table of the losses with their errors, and every model.

    Raises
    ------
    InputError
        For no losses, what is none, and what a fit would raise.

    Notes
    -----
    Losses in which the same blocks take part, with a prior of one shape and the same constraints, share one factorisation; each
    then costs a weighted sum of small matrices and a Cholesky factorisation. Losses of single residuals share one too, and each
    starts from the minimum of the one before. Others - few alike, losses of blocks, another solver, weights too far from the
    centre of the list, rows that leave coefficients open - are fitted by `fit`, with its warnings. theory: fit/shared-factor,
    fit/residuals.
    """
    blocks = blocks.blocks if isinstance(blocks, Fit) else blocks
    if not isinstance(blocks, Blocks):
        raise InputError(f"losses are compared on blocks, as dg.label returns them, or on a Fit; got {type(blocks).__name__}")
    listed = [losses] if isinstance(losses, Loss) else list(losses)
    if not listed or any(not isinstance(loss, Loss) for loss in listed):
        kinds = ", ".join(dict.fromkeys(type(loss).__name__ for loss in listed)) or "nothing"
        raise InputError(f"a list of dg.Loss is needed, as dg.losses makes it; got {kinds}")
    posed = [_pose(blocks, loss) for loss in listed]
    alike: dict[tuple, list[int]] = {}
    for number, each in enumerate(posed):
        alike.setdefault(each.signature, []).append(number)
    errors = _Errors(blocks)
    found: dict[int, Refit] = {}
    for numbers in alike.values():
        members = [posed[n] for n in numbers]
        group = _grouped(blocks, members)
        for place, (number, member) in enumerate(zip(numbers, members, strict=True)):
            clock = perf_counter()
            theta, rank = None if group is None else group.solve(place), blocks.columns
            shared = theta is not None
            if theta is None:
                own = _own(blocks, member)
                theta, rank = own.coefficients, own.rank
            found[number] = Refit(member.loss, theta, errors(theta), rank, shared, perf_counter() - clock)
    return Refits(tuple(found[n] for n in range(len(listed))), blocks)


@dataclass(frozen=True, eq=False)
class _Posed:
    """A loss on its blocks."""

    loss: Loss
    used: Weights
    multipliers: Float[np.ndarray, " blocks"]
    """Late weights of kept rows are not in it."""
    late: list[np.ndarray]
    """Of every block: one number, or one for every row that is kept."""
    strength: float
    """Largest entry of the diagonal of the prior."""
    plain: bool
    """Whether QR solves it: plain least squares, or losses of single residuals."""
    signature: tuple
    """What losses that share a factorisation have in common."""


def _pose(blocks: Blocks, loss: Loss) -> _Posed:
    used = loss.resolve(blocks)
    late = loss.late(blocks, used)
    multipliers = loss.multipliers(blocks, used, late)
    prior = as_prior(loss.prior)
    gamma = np.zeros(blocks.columns) if prior is None else prior.diagonal(blocks.basis, blocks.columns)
    strength = float(gamma.max(initial=0.0))
    shape = (gamma / strength).tobytes() if strength else b""
    chosen = as_solver(loss.solver, {})
    plain = loss.robust is None and isinstance(chosen, QR) and chosen.rtol is None and not isinstance(prior, Auto)
    exact = loss.constraints.items() if isinstance(loss.constraints, dict) else loss.constraints
    held = (loss.observations, *(each if isinstance(each, str | tuple) else id(each) for each in exact))
    out = b"".join((f > 0).tobytes() for b, f in zip(blocks.items, late, strict=True) if b.kept)
    signature = plain, bool(loss.residuals), tuple(multipliers > 0), out, shape, held, loss.solver
    return _Posed(loss, used, multipliers, late, strength, plain, signature)


def _grouped(blocks: Blocks, members: Sequence[_Posed]) -> "_Group | _ResidualGroup | None":
    """What losses of one signature share; None if each is fitted by itself."""
    if not members[0].plain:
        return None
    if not members[0].loss.residuals:
        return _Group(blocks, members) if len(members) >= ENOUGH else None
    kinds = {kind for member in members for kind in member.loss.residuals}
    joined = any(b.kind in kinds and not b.kept and b.rows > 1 for b in blocks.items if b.kind in members[0].used)
    return _ResidualGroup(blocks, members) if len(members) >= FEW and not joined else None


def _own(blocks: Blocks, member: _Posed) -> Fit:
    """The fit of one loss by itself."""
    return fitted(blocks, member.loss, member.used, as_solver(member.loss.solver, {}))


class _Group:
    """Similar losses: blocks whose multipliers are proportional in all of them are joined first, then all share one factor."""

    def __init__(self, blocks: Blocks, members: Sequence[_Posed]):
        live = np.flatnonzero(members[0].multipliers > 0)
        table = np.array([m.multipliers[live] for m in members])
        kept = np.array([blocks.items[b].kept for b in live])
        rows = [np.array([m.multipliers[b] * m.late[b] for m in members]) for b in live[kept]]
        middle = [np.exp(np.log(np.where(t > 0, t, 1.0)).mean(axis=0)) * (t[0] > 0) for t in rows]
        centre = np.where(kept, 1.0, np.exp(np.log(table).mean(axis=0)))
        chosen = [blocks.items[b] for b in live]
        for place, factor in zip(np.flatnonzero(kept), middle, strict=True):
            chosen[place] = replace(chosen[place], factor=chosen[place].factor * factor[:, None])
        relative = np.round(table[:, ~kept] / centre[~kept], 12)
        first_loss = members[0].loss
        prior, constraints = as_prior(first_loss.prior), first_loss.exact(blocks)
        problem = with_constraints(pose(replace(blocks, items=tuple(chosen)), centre, prior), constraints)
        stacked = list(problem.weighted())
        factors, squares = _classes([stacked[k] for k in np.flatnonzero(~kept)], relative, problem.columns)
        self._row_squares, apart = None, None
        if kept.any():
            apart = np.concatenate([stacked[k] for k in np.flatnonzero(kept)])
            ratios = [t / np.where(c > 0, c, 1.0) + (c == 0) for t, c in zip(rows, middle, strict=True)]
            each = np.round(np.concatenate(ratios, axis=1), 12)
            if len(np.unique(each, axis=1).T) * CHEAPER < len(apart):
                more, of_rows = _classes(list(apart[:, None]), each, problem.columns)
                factors, squares, apart = [*factors, *more], np.column_stack([squares, of_rows]), None
            else:
                self._row_squares = each**2
        if (gamma := problem.prior_rows()) is not None:
            factors.append(gamma)
            strengths = np.array([m.strength for m in members])
            squares = np.column_stack([squares, (strengths / strengths[0]) ** 2])
        self._problem: Problem = problem
        self._loose = tuple(c for c in constraints if c.tolerance is not None)
        self._squares = squares
        self._shared: Shared | None = share(factors, np.ones(len(factors)), apart)

    def solve(self, number: int) -> Float[np.ndarray, " columns"] | None:
        """Coefficients of one member, None if it needs a fit of its own."""
        own = None if self._row_squares is None else self._row_squares[number]
        found = None if self._shared is None else self._shared.solve(self._squares[number], own)
        theta = None if found is None else self._problem.lift(found)
        met = theta is not None and all(c.miss(theta) <= c.allowed for c in self._loose)  # held as at the centre
        return theta if met else None


class _ResidualGroup:
    """Losses of single residuals with the same rows: kept rows are weighed one by one, and so are single ones."""

    def __init__(self, blocks: Blocks, members: Sequence[_Posed]):
        live = np.flatnonzero(members[0].multipliers > 0)
        kinds = {kind for member in members for kind in member.loss.residuals}
        items = [blocks.items[b] for b in live]
        own = np.array([b.kept or (b.kind in kinds and b.rows == 1) for b in items])
        self._own, self._apart, self._items, self._members = (
            own,
            live[own],
            [b for b, o in zip(items, own, strict=True) if o],
            members,
        )
        rows = [
            np.array([m.multipliers[b] * m.late[b] * np.ones(len(f.factor)) for m in members])
            for b, f in zip(live[own], self._items, strict=True)
        ]
        middle = [np.where(t[0] > 0, np.exp(np.log(np.where(t > 0, t, 1.0)).mean(axis=0)), 0.0) for t in rows]
        table = np.array([m.multipliers[live[~own]] for m in members])
        centre = np.ones(len(live))
        centre[~own] = np.exp(np.log(table).mean(axis=0))
        chosen = list(items)
        for place, factor in zip(np.flatnonzero(own), middle, strict=True):
            chosen[place] = multiplied(items[place], factor)
        first = members[0].loss
        exact = first.exact(blocks)
        problem = with_constraints(pose(replace(blocks, items=tuple(chosen)), centre, as_prior(first.prior)), exact)
        stacked = list(problem.weighted())
        parts, squares = _classes([stacked[k] for k in np.flatnonzero(~own)], np.round(table / centre[~own], 12), problem.columns)
        if (gamma := problem.prior_rows()) is not None:
            parts.append(gamma)
            strengths = np.array([m.strength for m in members])
            squares = np.column_stack([squares, (strengths / strengths[0]) ** 2])
        centres = [np.where(c > 0, c, 1.0) * carried(b) for c, b in zip(middle, self._items, strict=True)]
        self._loose = tuple(c for c in exact if c.tolerance is not None)
        self._squares = squares
        self._relative = np.concatenate([t / np.where(c > 0, c, 1.0) for t, c in zip(rows, middle, strict=True)], axis=1) ** 2
        self._group = ResidualGroup(problem, np.flatnonzero(own).tolist(), parts, [np.where(c > 0, c, 1.0) for c in centres])

    def solve(self, number: int) -> Float[np.ndarray, " columns"] | None:
        """Coefficients of one member, None if it needs a fit of its own."""
        forms: dict[str, Residual] = self._members[number].loss.residuals
        theta = self._group.solve(self._squares[number], self._relative[number], [forms.get(b.kind) for b in self._items])
        return theta if theta is not None and all(c.miss(theta) <= c.allowed for c in self._loose) else None


def _classes(
    stacked: Sequence[np.ndarray], relative: Float[np.ndarray, "members parts"], columns: int
) -> tuple[list[np.ndarray], Float[np.ndarray, "members classes"]]:
    """Parts whose multipliers are proportional in all losses, joined; the squares of the multipliers relative to the centre."""
    if not len(stacked):
        return [], np.zeros((len(relative), 0))
    _, first, of = np.unique(relative, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(of.ravel(), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(of.ravel()))[:-1])
    return [join((stacked[b] for b in own), columns) if len(own) > 1 else stacked[own[0]] for own in parts], relative[
        :, first
    ] ** 2


class _Errors:
    """Training errors by kind, from one factor a kind."""

    def __init__(self, blocks: Blocks):
        self._factors = {kind: _joined([b for b in blocks.items if b.kind == kind and b.rows]) for kind in blocks.kinds}
        self._rows = {kind: blocks.rows(kind) for kind in blocks.kinds}

    def __call__(self, theta: Float[np.ndarray, " columns"]) -> dict[str, float]:
        return {kind: float(np.sqrt(residual_sum(f, theta) / self._rows[kind])) for kind, f in self._factors.items()}


def _joined(items: Sequence[Block]) -> np.ndarray:
    return join((b.factor if b.plain is None else b.plain for b in items), items[0].factor.shape[1] - 1)
