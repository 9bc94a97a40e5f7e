"""Minimise losses of single residuals in the coordinates of one factor of all rows (theory: fit/residuals).

In these coordinates (`shared`) the matrix of least squares at the central weights is the identity. That of another loss differs
from it by the curvatures of its rows. Its Cholesky factor is kept from step to step and from loss to loss and serves as the
preconditioner of conjugate gradients, which need two products with the rows a step. It is brought up to date where steps become
short, by the rows whose curvature has changed. The factor, held in single precision, only decides how many steps are needed:
slopes and objective are those of the loss, in double precision.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dgemv, dsyrk, ssyrk  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf, dpotrs, dtpttr, spotrf, spotrs  # pyright: ignore[reportAttributeAccessIssue]

from .._typing import Float, Int
from .residual import Residual
from .shared import Shared

STEPS = 1000
"""Largest number of steps."""
LEAST = 0.02
"""Of the weight of a row: the least curvature in the matrix, so that rows beyond the threshold leave no direction open."""
CLOSE = 1e-13
"""Expected relative decrease of the objective in one more step at which the iteration ends; that step is taken too."""
NEAR = 1e-3
"""The same of a wider corner of L1."""
LESS = 0.1
"""Factor of the least curvature after a long step."""
SLOW = 0.1
"""Ratio of two successive expected decreases above which the matrix is brought up to date."""
MOVED = 0.3
"""Relative change of its curvature from which on a row is brought up to date."""
UPDATES = 2
"""A new matrix is made where more than one of this many rows would be brought up to date."""
ENOUGH = 0.15
"""The least such change, in multiples of the weight of the row."""
OLD = 50
"""Times that rows are brought up to date in single precision before the matrix is made again."""
CORNERS = (1.0, 0.1, 0.01)
"""L1 is approached by way of these widths of the rounded corner at zero, in multiples of the scale."""


@dataclass(frozen=True, eq=False)
class Rowwise:
    """A loss of single residuals on the rows of a shared factor."""

    squares: Float[np.ndarray, " parts"]
    """Of the multipliers of all other rows relative to the centre, by their parts."""
    relative: Float[np.ndarray, " rows"]
    """Squares of the multipliers of the rows relative to the centre; 0 for rows that are out."""
    length: Float[np.ndarray, " rows"]
    """Scale of the residual in the weighted rows of the centre."""
    forms: tuple[tuple[slice, Residual], ...]
    """What is summed over the residuals of which rows."""

    def each(self, of: str, residual: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """`value`, `weight` or `curvature` of every row; those with weights are multiplied by it."""
        t = residual / self.length
        found = np.empty(len(t))
        for place, form in self.forms:
            found[place] = getattr(form, of)(t[place])
        return found * self.relative

    def total(self, residual: Float[np.ndarray, " rows"]) -> float:
        """The sum over the rows."""
        return float(np.sum(2 * self.length**2 * self.each("value", residual)))

    @property
    def convex(self) -> bool:
        """Whether no form bends downwards."""
        return all(form.name != "tukey" for _, form in self.forms)

    def stages(self) -> list["Rowwise"]:
        """Losses to minimise one after the other, this one last.

        Tukey's biweight, which is not convex, starts from the minimum of Huber's loss, L1 from those with a wider corner.
        """
        names = {form.name for _, form in self.forms}
        before: list[dict[str, Residual]] = []
        if "l1" in names:
            before += [{"l1": Residual("l1", corner)} for corner in CORNERS]
        if "tukey" in names:
            before = [{}] if not before else before
        return [*(self._with(each) for each in before), self]

    def _with(self, other: dict[str, Residual]) -> "Rowwise":
        def form(own: Residual) -> Residual:
            if own.name == "tukey":
                return replace(own, name="huber", threshold=own.threshold * 0.287)
            return other.get(own.name, own)

        return replace(self, forms=tuple((place, form(own)) for place, own in self.forms))


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a loss is smallest, and how it was reached."""

    x: Float[np.ndarray, " columns"]
    value: float
    steps: int
    change: float
    """Relative decrease of the objective in the last step."""
    settled: bool


class Descent:
    """Minimises one loss after the other on the same rows."""

    def __init__(self, shared: Shared):
        assert shared.apart is not None and shared.targets is not None
        self.shared = shared
        self._rows, self._targets = shared.apart, shared.targets
        self._kind: type = np.float32
        self._some = self._rows.astype(self._kind)
        self._gram = self._lower = np.zeros((0, 0), dtype=self._kind)
        self._curvature: Float[np.ndarray, " rows"] | None = None
        self._squares, self._age = np.zeros(len(shared.norms)), 0
        self._share = 1.0
        self._fixed: _Fixed | None = None
        self._found: dict[tuple[int, int], np.ndarray] = {}

    def residuals(self, x: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " rows"]:
        """Of the rows, in the weights of the centre."""
        return self._rows @ x - self.shared.targets

    def value(self, loss: Rowwise, x: Float[np.ndarray, " columns"]) -> float:
        """The objective."""
        return _Fixed(self.shared, loss.squares).value(x) + loss.total(self.residuals(x))

    def minimum(self, loss: Rowwise, max_steps: int = STEPS) -> Minimum | None:
        """Minimise, from the centre or the minimum of the loss before; None if the matrix of the loss is singular."""
        if self._fixed is None or np.any(self._fixed.squares != loss.squares):
            self._fixed = _Fixed(self.shared, loss.squares)
        fixed, stages = self._fixed, loss.stages()
        if self._kind is np.float32 and any(form.name == "l1" for _, form in loss.forms):
            self._double()  # curvatures of sharp corners differ by more than single precision can hold
        steps, found = 0, None
        for number, stage in enumerate(stages):
            tried = [np.zeros(len(self.shared.centre))] if found is None else [found.x]
            last = stage is stages[-1]
            key = len(stages), number
            if key in self._found and not (number and last):
                tried.append(self._found[key])
            if number and not stage.convex:  # the same steps, whatever losses were before
                self._curvature, self._share = None, 1.0
            values = [fixed.value(x) + stage.total(self.residuals(x)) for x in tried]
            found = self._stage(
                stage, fixed, tried[int(np.argmin(values))], CLOSE if last or not loss.convex else NEAR, max_steps
            )
            if found is None:
                return None
            self._found[key] = found.x
            steps += found.steps
        assert found is not None
        return replace(found, steps=steps)

    def _stage(self, loss: Rowwise, fixed: "_Fixed", x: np.ndarray, goal: float, max_steps: int) -> Minimum | None:
        r, slope = self.residuals(x), fixed.slope(x)
        value, change, settled, steps = fixed.value(x) + loss.total(r), np.inf, False, 0
        expected, before, step = np.inf, np.inf, 1.0
        g = z = direction = np.zeros(0)
        while steps < max_steps and not settled:
            weight = loss.each("weight", r)
            old_g, old_z, g = g, z, slope + self._rows.T @ (weight * r)
            slow = not steps or expected > SLOW * before
            if slow:
                if steps:
                    self._share = min(self._share * LESS if step > 0.5 else max(self._share, LEAST) / LESS, 1.0)
                if not self._bring(loss, r, weight):
                    return None
            z = self._preconditioned(g)
            settled = 0 <= float(g @ z) <= goal * abs(value)
            if settled and not slow:  # by an old matrix: check with a new one
                if not self._bring(loss, r, weight):
                    return None
                z = self._preconditioned(g)
                settled = 0 <= float(g @ z) <= goal * abs(value)
            before, expected = expected, float(g @ z)
            beta = max(0.0, float(g @ (z - old_z)) / float(old_g @ old_z)) if steps and step else 0.0
            direction = beta * direction - z if beta else -z
            if not float(direction @ g) < 0:
                direction = -z
            step, after, now = self._along(loss, fixed, x, r, slope, direction, value)
            steps += 1
            if not step:  # the rest is rounding, or the preconditioner is poor
                settled, change = settled or 0 <= expected <= 1e3 * CLOSE * abs(value), 0.0
                if settled or self._share >= 1.0:
                    break
                self._curvature, self._share, expected = None, 1.0 / LESS, np.inf
                continue
            x, r = x + step * direction, now
            slope = fixed.slope(x)
            change, value = (value - after) / max(abs(value), float(np.finfo(float).tiny)), after
        return Minimum(x, value, steps, change, settled)

    def _along(
        self,
        loss: Rowwise,
        fixed: "_Fixed",
        x: np.ndarray,
        r: np.ndarray,
        slope: np.ndarray,
        direction: np.ndarray,
        value: float,
    ) -> tuple[float, float, np.ndarray]:
        """The step along a direction, the objective there, and the residuals; zero if nothing lower is found."""
        u, bent = self._rows @ direction, fixed.times(direction)
        first, curve = float(slope @ direction), float(bent @ direction)

        def slope_at(step: float) -> float:
            now = r + step * u
            return first + step * curve + float((loss.each("weight", now) * now) @ u)

        begin = slope_at(0.0)
        step, low, high = 1.0, 0.0, np.inf
        for _ in range(8):
            here = slope_at(step)
            if abs(here) <= 0.1 * abs(begin):
                break
            low, high = (step, high) if here < 0 else (low, step)
            now = r + step * u
            bend = curve + float(loss.each("curvature", now) @ u**2)
            step = step - here / bend if bend > 0 else np.inf
            if not low < step < high:
                step = 2 * low if high == np.inf else (low + high) / 2
        for _ in range(60):
            now = r + step * u
            after = fixed.value(x + step * direction) + loss.total(now)
            if after < value:
                return step, after, now
            # squares that touch the objective from above have their minimum here
            upper = curve + float(loss.each("weight", r) @ u**2)
            step = min(step / 4, -begin / upper) if upper > 0 else step / 4
        return 0.0, value, r

    def _preconditioned(self, g: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " columns"]:
        """The gradient of the preconditioned problem: M^-1 g."""
        if self._kind is np.float32:
            return spotrs(self._lower, g.astype(np.float32), lower=1)[0].astype(float)
        return dpotrs(self._lower, g, lower=1)[0]

    def _bring(self, loss: Rowwise, r: np.ndarray, weight: np.ndarray) -> bool:
        """The matrix up to date; False if it is singular even with a share of the weights as least curvatures."""
        own = np.maximum(loss.each("curvature", r), 0.0)
        if self._share < LEAST and self._updated(loss.squares, own, weight):
            return True
        self._share = max(self._share, LEAST)
        curvature = np.maximum(own, self._share * weight)
        if self._updated(loss.squares, curvature, weight):
            return True
        if self._kind is np.float64:
            return False
        self._double()
        return self._anew(loss.squares, curvature)

    def _double(self) -> None:
        """Go on in double precision."""
        self._kind, self._some, self._curvature = np.float64, self._rows, None

    def _updated(self, squares: np.ndarray, curvature: np.ndarray, weight: np.ndarray) -> bool:
        moved: Int[np.ndarray, " moved"] | None = None
        if self._curvature is not None:
            larger = np.maximum(curvature, self._curvature)
            change = np.abs(curvature - self._curvature)
            moved = np.flatnonzero(change > np.maximum(MOVED * larger, ENOUGH * weight))
        old = self._age >= OLD or moved is None or len(moved) * UPDATES > len(curvature)
        if old or moved is None or self._curvature is None or np.any(squares != self._squares):
            return self._anew(squares, curvature)
        if not len(moved):
            return True
        self._age += 1
        change = np.zeros(len(curvature))
        change[moved] = curvature[moved] - self._curvature[moved]
        self._curvature[moved] = curvature[moved]
        return self._added(change) or self._anew(squares, curvature)

    def _added(self, change: np.ndarray) -> bool:
        """Add rows with these factors to the matrix and factorise it; False if that fails."""
        for sign in (1.0, -1.0):
            own = np.flatnonzero(sign * change > 0)
            if len(own):
                some = self._some[own] * np.sqrt(np.abs(change[own])).astype(self._kind)[:, None]
                multiply = ssyrk if self._kind is np.float32 else dsyrk
                self._gram = multiply(sign, some.T, beta=1.0, c=self._gram, lower=1, overwrite_c=1)
        self._lower, failed = (spotrf if self._kind is np.float32 else dpotrf)(self._gram, lower=1)
        return not failed

    def _anew(self, squares: np.ndarray, curvature: np.ndarray) -> bool:
        self._gram = np.asfortranarray(_unpacked(self.shared, squares), dtype=self._kind)
        self._curvature, self._squares, self._age = curvature.copy(), squares, 0
        if self._added(curvature):
            return True
        self._curvature = None
        return False


class _Fixed:
    """The squares of all rows that are not reweighted one by one."""

    def __init__(self, shared: Shared, squares: np.ndarray):
        lower = _unpacked(shared, squares)
        self.squares, self._gram = squares, lower + np.tril(lower, -1).T
        self._side, self._norm = shared.rights @ squares, float(shared.norms @ squares)

    def times(self, x: np.ndarray) -> np.ndarray:
        return self._gram @ x

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Half the gradient."""
        return self._gram @ x - self._side

    def value(self, x: np.ndarray) -> float:
        return float(x @ (self._gram @ x) - 2 * self._side @ x) + self._norm


def _unpacked(shared: Shared, squares: np.ndarray) -> np.ndarray:
    """The weighted sum of the Gram matrices, its lower triangle."""
    n = len(shared.centre)
    if not len(squares):
        return np.zeros((n, n), order="F")
    return np.asfortranarray(np.tril(dtpttr(n, dgemv(1.0, shared.grams, squares), uplo="L")[0]))
