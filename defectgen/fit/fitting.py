"""fit: from compressed rows, weights and a prior to a model."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .._input import InputError
from ..ace import LinearACE
from ..training.blocks import Blocks
from ..training.observations import KINDS, parse_observations
from .bayes import Bayes
from .lsmr import LSMR
from .prior import as_prior
from .problem import pose
from .qr import QR
from .result import Fit
from .ridge import Tikhonov
from .solver import Solver
from .tsvd import TruncatedSVD
from .weights import FitWarning, resolve_weights

SOLVERS: dict[str, type[Solver]] = {"qr": QR, "tsvd": TruncatedSVD, "ridge": Tikhonov, "lsmr": LSMR, "bayes": Bayes}


def fit(
    blocks: Blocks,
    observations: str | Iterable[str] | None = None,
    weights: Mapping[str, Any] | None = None,
    prior: Any = None,
    solver: str | Solver = "qr",
    **options: Any,
) -> Fit:
    """Fit the coefficients theta of the blocks' basis: minimise ||W (A theta - y)||^2 + ||Gamma theta||^2.

    `observations` "E+F+FC+V" in any order (default: all kinds that have rows); `weights` see `resolve_weights`; `prior` None,
    a number (ridge), "smoothness" or a Prior; `solver` "qr", "tsvd", "ridge", "lsmr", "bayes" (each with its own `options`) or
    a Solver.
    Warns (FitWarning) if rows do not determine all coefficients, and about weights that act on nothing.
    Raises InputError for what is no blocks, observations without rows, and bad weights, priors, solvers or options.
    """
    if not isinstance(blocks, Blocks):
        raise InputError(f"a fit wants blocks, as dg.label(cells, truth, basis) returns them; got {type(blocks).__name__}")
    chosen = as_solver(solver, options)
    wanted = parse_observations((k for k in blocks.kinds if k in KINDS) if observations is None else observations)
    selected, spelled = blocks.select(wanted), "+".join(wanted)
    prior = as_prior(prior)
    resolved = resolve_weights(blocks, weights)
    used = {kind: resolved[kind] for kind in selected.kinds}
    problem = pose(selected, used, prior)
    solution = chosen.solve(problem)
    theta = solution.coefficients
    if solution.rank is not None and solution.rank < blocks.columns:
        warnings.warn(
            f"rank {solution.rank} of {blocks.columns}: the rows of {spelled} do not determine all coefficients and the shortest "
            "solution was taken; add configurations or kinds of observation, lower the degree, or give a prior",
            FitWarning,
            stacklevel=2,
        )
    rmse, by_group = training_errors(blocks, theta)
    residual = problem.residual(theta)
    model = None
    if blocks.basis is not None:
        provenance = {
            "truth": blocks.truth,
            "observations": spelled,
            "weights": used,
            "prior": str(prior),
            "solver": str(chosen),
            "rows": problem.rows,
            "rank": solution.rank,
            "rmse": rmse,
            **solution.details,
        }
        model = LinearACE(blocks.basis, theta, provenance=provenance)
    return Fit(
        model=model,
        coefficients=theta,
        observations=spelled,
        weights=used,
        prior=prior,
        solver=chosen,
        rmse=rmse,
        rmse_by_group=by_group,
        rank=solution.rank,
        residual=residual,
        posterior=solution.posterior,
        problem=problem,
        blocks=blocks,
        details=solution.details,
    )


def as_solver(solver: str | Solver, options: Mapping[str, Any]) -> Solver:
    """A Solver from its name and options. Raises InputError for names and options that do not exist."""
    if isinstance(solver, Solver):
        if options:
            raise InputError(
                f"options belong to a solver given by name; got {', '.join(options)} beside {solver}: put them into it"
            )
        return solver
    if solver not in SOLVERS:
        raise InputError(f"a solver is one of {', '.join(SOLVERS)}, or a Solver; got {solver!r}")
    known = SOLVERS[solver].__dataclass_fields__  # pyright: ignore[reportAttributeAccessIssue]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InputError(f"solver {solver!r} has the options {', '.join(known)}; got {', '.join(unknown)}")
    return SOLVERS[solver](**options)


def training_errors(blocks: Blocks, theta: np.ndarray) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Root mean square errors in field units by kind, and by kind and group, of a model with coefficients theta."""
    squares: dict[str, dict[str, float]] = {}
    rows: dict[str, dict[str, int]] = {}
    for kind in blocks.kinds:
        for block in (b for b in blocks.items if b.kind == kind and b.rows):
            squares.setdefault(kind, {}).setdefault(block.group, 0.0)
            squares[kind][block.group] += block.squared_error(theta)
            rows.setdefault(kind, {})[block.group] = rows.get(kind, {}).get(block.group, 0) + block.rows
    by_kind = {kind: float(np.sqrt(sum(squares[kind].values()) / sum(rows[kind].values()))) for kind in squares}
    by_group = {kind: {g: float(np.sqrt(s / rows[kind][g])) for g, s in groups.items()} for kind, groups in squares.items()}
    return by_kind, by_group
