"""Any differentiable objective of the coefficients: least squares from the stored factors, and terms of the user's own in JAX.

The minimisation is SciPy's trust region method with gradients and Hessians of JAX, in coordinates x with theta = theta_0 + T x in
which the sum of the squares of all rows is |x|^2 but for a constant: the condition of the rows does not enter, and a tolerance on
the gradient is one on the weighted residual (theory: fit/shared-factor).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from .._display import shown
from .._input import InputError, did_you_mean, reason, takes, whole
from .._typing import Array, Float
from ..training.blocks import Blocks
from ..training.observations import KINDS, TARGETS
from .fitting import training_errors
from .loss import Loss
from .prior import as_prior
from .problem import pose, rounding
from .weights import DEFAULT_WEIGHTS, FitWarning

Squares = Callable[..., Float[Array, ""]]
"""squares(observations, **settings of a Loss): the weighted sum of squares at the coefficients of the objective."""

Objective = Callable[[Float[Array, " columns"], Squares], Float[Array, ""]]

DENSE = 256
"""Coefficients up to which Hessians are formed; beyond, products with vectors are used."""
CLOSE = 1e-7
"""Largest slope at the minimum, relative to the square root of the objective at the start, per unit of weighted residual."""
FAR = 1e10
"""Distance from the start, in the same unit, beyond which an objective counts as unbounded."""


@dataclass(frozen=True, eq=False)
class ObjectiveFit:
    """The minimum of an objective."""

    model: Any
    """LinearACE; None if the blocks carry no basis."""
    coefficients: Float[np.ndarray, " columns"]
    value: float
    """Of the objective at the minimum."""
    start_value: float
    slope: float
    """Norm of the gradient at the minimum, in coordinates in which a unit changes the weighted residual of all rows by one."""
    steps: int
    converged: bool
    rmse: dict[str, float]
    """Root mean square training error by kind, in field units."""
    rmse_by_group: dict[str, dict[str, float]] = field(repr=False)
    blocks: Blocks = field(repr=False)

    def __repr__(self) -> str:
        end = f"objective {self.start_value:.6g} -> {self.value:.6g} in {self.steps} steps"
        return shown(self, end, "converged" if self.converged else "not converged", f"{len(self.coefficients):,} coefficients")

    def __str__(self) -> str:
        errors = ", ".join(f"{kind} {error:.3g}" for kind, error in self.rmse.items())
        state = "minimum" if self.converged else "not converged"
        return f"objective {self.start_value:.6g} -> {self.value:.6g} in {self.steps} steps ({state}); rmse {errors}"


class _Unbounded(Exception):
    """The iterates run away."""


class _Terms:
    """Weighted factors of the sets of observations that an objective names, each made once."""

    def __init__(self, blocks: Blocks):
        self.blocks = blocks
        self._made: dict[str, tuple[Loss, np.ndarray]] = {}

    def at(self, theta: Any) -> Squares:
        """The function `squares` at some coefficients."""

        def squares(observations: Any, **settings: Any) -> Any:
            factor = self._factor(observations, settings)
            return jnp.sum((factor[:, :-1] @ theta - factor[:, -1]) ** 2)

        return squares

    def _factor(self, observations: Any, settings: dict[str, Any]) -> np.ndarray:
        loss = self._loss(observations, settings)
        key = f"{loss.settings!r} {id(loss.weight)}"
        if key not in self._made:
            self._made[key] = loss, self._of(loss)  # the loss is kept, so that no later function has the same id
        return self._made[key][1]

    def _loss(self, observations: Any, settings: dict[str, Any]) -> Loss:
        if isinstance(observations, Loss):
            if settings:
                raise InputError("squares takes a Loss, or a set of observations and settings; put the settings into the Loss")
            return observations
        if observations in TARGETS:
            weights = {observations: DEFAULT_WEIGHTS[observations] or 1.0, **settings.pop("weights", {})}
            return Loss("+".join(k for k in self.blocks.kinds if k in KINDS), weights, name=observations, **settings)
        try:
            return Loss(observations, **settings)
        except TypeError:
            known = Loss.__dataclass_fields__
            unknown = [key for key in settings if key not in known]
            if not unknown:
                raise
            meant = did_you_mean(unknown[0], known)
            raise InputError(f"squares takes the settings of a dg.Loss; it has no {unknown[0]!r}{meant}") from None

    def _of(self, loss: Loss) -> np.ndarray:
        extra = [n for n in ("robust", "residual") if getattr(loss, n) is not None] + ["constraints"] * bool(loss.constraints)
        if extra:
            raise InputError(f"squares is a sum of weighted squares, and the loss {loss.label!r} has {extra[0]}; leave it out")
        used = loss.resolve(self.blocks)
        if loss.name in TARGETS:
            used = {loss.name: used[loss.name]} if loss.name in used else {}
        posed, multipliers = loss.posed(self.blocks, used)
        return pose(posed, multipliers, as_prior(loss.prior)).factor


@takes(
    blocks=(Blocks, "rows and labels, as dg.label returns them"),
    objective=(Callable, "a function objective(theta, squares) written with jax.numpy"),
)
def fit_objective(
    blocks: Blocks,
    objective: Objective,
    start: Float[np.ndarray, " columns"] | Any = None,
    *,
    max_steps: int = 200,
    dense: int = DENSE,
) -> ObjectiveFit:
    """Minimise a differentiable function of the coefficients.

    Parameters
    ----------
    blocks : Blocks
        Rows and labels, from `dg.label`.
    objective : callable
        objective(theta, squares), written with jax.numpy; theta are the coefficients, and squares("E+F", weights={"E": 30}) is
        the weighted sum of squares of these observations at theta, with the settings of `dg.Loss`. "C" and "Ef" are sets of
        their own here.
    start : array (columns,) or Fit, optional
        Where to start; the least-squares fit to all rows if not given. Where the objective is not convex, the minimum that is
        found depends on it.
    max_steps : int
        Largest number of steps.
    dense : int
        Coefficients up to which Hessians are formed; beyond, products with vectors are used.

    Returns
    -------
    ObjectiveFit
        Coefficients, model, the value and training errors.

    Raises
    ------
    InputError
        For an objective that fails, is not a number, is not differentiable or is not finite at the start or where the
        minimisation ends, and for one that is not bounded below.

    Warns
    -----
    FitWarning
        If the minimisation ended before the slope was small.

    Notes
    -----
    Trust region steps with exact gradients and Hessians (SciPy's trust-exact; trust-krylov with products of the Hessian for more
    than `dense` coefficients), in coordinates in which the rows have the condition one. theory: fit/objective.

    Examples
    --------
    >>> from defectgen.training import Block, Blocks
    >>> rows = np.column_stack([np.eye(3), [1.0, 2.0, 3.0]])  # three coefficients with labels 1, 2, 3
    >>> blocks = Blocks(None, (Block("F", "x", 3, 1.0, 3, rows),))
    >>> found = fit_objective(blocks, lambda theta, squares: squares("F") + theta[2] ** 2)
    >>> [round(float(t), 6) for t in found.coefficients]
    [1.0, 2.0, 1.5]
    """
    steps_allowed = whole(max_steps, "max_steps", 1)
    terms = _Terms(blocks)
    origin, through = _coordinates(blocks, start)
    _check_scalar(objective, terms, blocks.columns)

    def value(x: Any) -> Any:
        theta = origin + through @ x
        return objective(theta, terms.at(theta))

    both = jax.jit(jax.value_and_grad(value))
    n = through.shape[1]
    first, slope = _at(both, np.zeros(n))
    if not np.isfinite(first):
        raise InputError(f"the objective is {first:g} at the start; give a start where it is a finite number")
    _check_slope(both, slope, first)
    scale = max(np.sqrt(abs(first)), 1e-8)
    goal, limit = CLOSE * scale, FAR * max(scale, 1.0)

    def watched(x: np.ndarray) -> tuple[float, np.ndarray]:
        found, own = _at(both, x)
        if np.linalg.norm(x) > limit or found < first - limit * max(scale, 1.0):
            raise _Unbounded
        return (found, own) if np.isfinite(found) else (np.inf, np.zeros(n))

    options: dict[str, Any] = {"gtol": goal, "maxiter": steps_allowed, "max_trust_radius": 1e3 * limit}
    options["initial_trust_radius"] = scale
    if n <= dense:
        hessian = jax.jit(jax.hessian(value))
        curvature: dict[str, Any] = {"hess": lambda x: np.asarray(hessian(x)), "method": "trust-exact"}
    else:
        product = jax.jit(lambda x, v: jax.jvp(jax.grad(value), (x,), (v,))[1])
        curvature = {"hessp": lambda x, v: np.asarray(product(x, v)), "method": "trust-krylov"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = minimize(watched, np.zeros(n), jac=True, options=options, **curvature)
    except _Unbounded:
        raise InputError(
            f"the objective is not bounded below: it fell from {first:.3g} while the coefficients diverged; add a least-squares "
            "term, or a prior"
        ) from None
    x = np.asarray(found.x)
    last, slope = _at(both, x)
    size = float(np.linalg.norm(slope))
    converged = bool(size <= 100 * goal)
    if not converged:
        _check_kink(both, x, slope, scale)
        warnings.warn(
            f"the minimisation ended after {found.nit} steps with a slope of {size:.2g} where {goal:.2g} is required; raise "
            "max_steps or start elsewhere",
            FitWarning,
            stacklevel=3,
        )
    theta = origin + through @ x
    rmse, by_group = training_errors(blocks, theta)
    model = blocks.model(theta, {"truth": blocks.truth, "objective": getattr(objective, "__name__", "objective"), "rmse": rmse})
    return ObjectiveFit(model, theta, last, first, size, int(found.nit), converged, rmse, by_group, blocks)


def _at(both: Callable, x: np.ndarray) -> tuple[float, np.ndarray]:
    found, slope = both(x)
    return float(found), np.asarray(slope)


def _coordinates(blocks: Blocks, start: Any) -> tuple[np.ndarray, np.ndarray]:
    """theta_0 and T: the coefficients are theta_0 + T x."""
    kinds = [k for k in blocks.kinds if k in KINDS]
    if not kinds:
        raise InputError(f"an objective needs rows of {', '.join(KINDS)}; these blocks have {', '.join(blocks.kinds) or 'none'}")
    loss = Loss("+".join(kinds))
    factor = pose(*loss.posed(blocks, loss.resolve(blocks)), None).factor
    scale = np.linalg.norm(factor[:, :-1], axis=0)
    scale[scale == 0] = 1.0
    u, s, vt = np.linalg.svd(factor[:, :-1] / scale, full_matrices=True)
    least = rounding(blocks.columns) ** 0.5 * s[0]
    values = np.full(blocks.columns, least)
    values[: len(s)] = np.maximum(s, least)  # directions that no row has are no steeper than this
    through = vt.T / values / scale[:, None]
    if start is None:
        live = s > rounding(blocks.columns) * s[0]
        theta = (vt[: len(s)][live].T @ ((u.T[: len(s)][live] @ factor[:, -1]) / s[live])) / scale
        return theta, through
    given = np.asarray(getattr(start, "coefficients", start), dtype=float)
    if given.shape != (blocks.columns,) or not np.all(np.isfinite(given)):
        raise InputError(f"a start is a fit, or {blocks.columns} finite coefficients; got shape {given.shape}")
    return given, through


def _check_scalar(objective: Objective, terms: _Terms, columns: int) -> None:
    """Raises InputError for an objective that cannot be traced, and for one that is no single number."""
    advice = "write it with jax.numpy, without float(), if on values, or numpy functions of theta"
    theta = jax.ShapeDtypeStruct((columns,), jnp.float64)
    try:
        program, shape = jax.make_jaxpr(lambda theta: objective(theta, terms.at(theta)), return_shape=True)(theta)
    except InputError:
        raise
    except (jax.errors.JAXTypeError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        raise InputError(f"the objective cannot be differentiated ({reason(error)}); {advice}") from error
    found = getattr(shape, "shape", None), getattr(shape, "dtype", None)
    if found[0] != () or found[1] is None or not jnp.issubdtype(found[1], jnp.floating):
        kind = f"an array of shape {found[0]}, {found[1]}" if found[0] is not None else type(shape).__name__
        raise InputError(f"an objective is one real number; got {kind}: sum its terms")
    used = [str(equation.params.get("name", equation.primitive)) for equation in program.jaxpr.eqns]
    if steps := [name for name in used if name in ("round", "floor", "ceil", "trunc", "rint")]:
        raise InputError(
            f"the objective takes {steps[0]} of the coefficients, whose derivative is zero or does not exist; leave it out"
        )


def _check_slope(both: Callable, slope: np.ndarray, value: float) -> None:
    """Raises InputError for a gradient that is not finite or not the limit of differences at the start."""
    if not np.all(np.isfinite(slope)):
        raise InputError(
            f"the objective is not differentiable at the start: {int(np.sum(~np.isfinite(slope)))} of {len(slope)} derivatives "
            "are not finite; round off corners such as sqrt(x) or a norm at zero"
        )
    rng = np.random.default_rng(0)
    for _ in range(2):
        d = rng.normal(size=len(slope))
        d /= np.linalg.norm(d)
        own, gaps = float(slope @ d), []
        for h in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
            step = h * max(np.sqrt(abs(value)), 1e-3)
            up, down = _at(both, step * d)[0], _at(both, -step * d)[0]
            noise = 1e-13 * max(abs(value), abs(up), abs(down)) / step
            gaps.append((abs((up - down) / (2 * step) - own) - 10 * noise) / (abs(own) + noise + 1e-300))
        if not min(gaps) < 1e-2:
            raise InputError(
                "the derivative of the objective at the start is not the limit of its differences; it is not differentiable "
                "there, or rounds, sorts or stops gradients"
            )


def _check_kink(both: Callable, x: np.ndarray, slope: np.ndarray, scale: float) -> None:
    """Raises InputError where the slope jumps across the end of the minimisation."""
    d = slope / np.linalg.norm(slope)
    sides = [0.0, 0.0]
    for h in (1e-6, 1e-8):
        sides = [float(_at(both, x + side * h * scale * d)[1] @ d) for side in (1.0, -1.0)]
        if not (sides[0] > 0 > sides[1] and sides[0] - sides[1] > 0.5 * np.linalg.norm(slope)):
            return
    raise InputError(
        f"the objective is not differentiable where the minimisation ended: its slope jumps from {sides[1]:.2g} to "
        f"{sides[0]:.2g}; round the corner off, such as |x| by sqrt(x^2 + c^2)"
    )
