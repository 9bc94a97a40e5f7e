"""Fit: from blocks of rows to a model."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .._input import InputError, did_you_mean
from .._typing import Float
from ..ace import ZBL, as_repulsion, same_repulsion
from ..training.blocks import Blocks
from ..training.observations import KINDS, parse_observations
from .by_groups import group_errors
from .constraint import Constraint, as_constraints
from .loss import Loss, spelled
from .one_body import held_one_body
from .prior import Auto, Prior, Smoothness, as_prior
from .problem import Problem, pose
from .regularised import Bayes, Tikhonov, cross_validated, standard_form
from .result import Fit
from .robust import huber, single_residuals, with_constraints
from .solvers import LSMR, QR, Solver, TruncatedSVD
from .weights import FitWarning, Weights

# ------ Which one-body energies the rows determine: at one composition only their sum over the formula unit

SEEN = 1e-9
"""Singular values of the one-body columns (scaled to norm one) below this times the largest are the rounding of counts."""


def undetermined_one_body(blocks: Blocks, multipliers: Float[np.ndarray, " blocks"], held: Sequence[np.ndarray] = ()) -> str:
    """Which one-body energies weighted rows, and rows that are `held` exactly, leave open, in words; empty if none.

    One-body energies are the first columns, one for each species of the basis. They enter energies as counts of atoms, so
    the null space of these columns is that of the compositions.
    """
    species = getattr(blocks.basis, "species", ())
    count = len(species)
    weighted = [m * b.factor[:, :count] for b, m in zip(blocks.items, multipliers, strict=True) if m > 0]
    columns = np.concatenate([*weighted, *(rows[:, :count] for rows in held), np.zeros((1, count))])
    norm = np.linalg.norm(columns, axis=0)
    if not norm.any():
        return "no energy has a weight, so the one-body energies (E0) are not determined" if count else ""
    absent = [s for s, n in zip(species, norm, strict=True) if not n > SEEN * norm.max()]
    present = [s for s in species if s not in absent]
    words = [f"no energy has an atom of {' or '.join(absent)}, whose one-body energy (E0) is not determined"] if absent else []
    chosen = [species.index(s) for s in present]
    values = np.linalg.svd(columns[:, chosen] / norm[chosen], compute_uv=False)
    known = int(np.sum(values > SEEN * values[0]))
    if known < len(present):
        which = "the sum" if known == 1 else f"{known} combinations"
        words.append(
            f"the composition {'never changes' if known == 1 else 'changes too little'}: only {which} of the one-body energies "
            f"(E0) of {' and '.join(present)} is determined, and no energy of another composition; label cells of "
            "other compositions, such as the defect's"
        )
    return "; ".join(words)


# ------ fit: from compressed rows, weights and a prior to a model

SOLVERS: dict[str, type[Solver]] = {"qr": QR, "tsvd": TruncatedSVD, "ridge": Tikhonov, "lsmr": LSMR, "bayes": Bayes}


def fit(
    blocks: Blocks,
    observations: str | Iterable[str] | Loss | None = None,
    weights: Mapping[str, Any] | None = None,
    prior: Any = None,
    solver: str | Solver = "qr",
    constraints: Any = None,
    one_body: Any = None,
    repulsion: Any = None,
    weight: Any = None,
    residual: Any = None,
    **options: Any,
) -> Fit:
    """Fit the coefficients of the blocks' basis by weighted least squares.

    Parameters
    ----------
    blocks : Blocks
        Rows and labels, from `dg.label`.
    observations : str, iterable of str or Loss, optional
        Such as "E+F+FC+V", in any order; by default all of these four that have rows. "E+F+C" holds the labelled elastic
        constants exactly, as constraints=["C"] does. A whole Loss says all the rest too.
    weights : mapping, optional
        By kind, {"E": 1000}, or by kind and group, {"FC:defect-core": 0.03}; see `resolve_weights`.
    prior : None, float, "smoothness", "auto" or Prior
        A number is a ridge. "auto" is a smoothness prior whose strength has the least error on groups that are left out in turn
        (by generalised cross validation where there is one group only).
    solver : {"qr", "tsvd", "ridge", "lsmr", "bayes"} or Solver
        Each with its own `options`.
    constraints : optional
        Observations to be met exactly, ["V0", "FC"] or {"FC": tolerance}, or rows [C | d]; see `as_constraints`.
    one_body : {"fitted", "isolated", "least-squares"} or mapping, optional
        Energy of one atom of each species, eV. By default coefficients like all others; else held at the energies of isolated
        atoms among the labelled configurations, at the least-squares solution of the energies, or at those given.
    repulsion : None, "zbl", ZBL or TabulatedPairs, optional
        Fit on top of a short-range repulsion, which is subtracted from the labels and is part of the model. Rows must have been
        labelled with it, as those of `dg.label(data, None, basis, ...)` are with "zbl".
    weight : callable or str, optional
        A function of the rows whose values multiply their residuals, or built-in ones by name, "relative_force(0.5)"; as `Loss`
        takes it.
    residual : str or mapping, optional
        What is summed over residuals instead of their squares, "huber(1.345)", or by kind; as `Loss` takes it. A prior
        "auto" has the strength that the fit by least squares chooses.
    **options
        Of the solver.

    Returns
    -------
    Fit
        The coefficients and the model, training errors by kind and group, and the held-out force error.

    Warns
    -----
    FitWarning
        If rows do not determine all coefficients, and about weights that act on nothing.

    Raises
    ------
    InputError
        For what is no blocks, observations without rows, bad weights, priors, solvers or options, and constraints that contradict
        each other.

    Notes
    -----
    theta minimises ||W (A theta - y)||^2 + ||Gamma theta||^2 under C theta = d. theory: fit/late-weights, fit/constraints.
    """
    if not isinstance(blocks, Blocks):
        raise InputError(f"a fit needs blocks, as dg.label(cells, truth, basis) returns them; got {type(blocks).__name__}")
    blocks = _on_top(blocks, repulsion)
    atoms = held_one_body(blocks, one_body)
    if isinstance(observations, Loss):
        if (
            any(given is not None for given in (weights, prior, constraints, atoms, weight, residual))
            or solver != "qr"
            or options
        ):
            raise InputError(
                "a Loss contains all settings of a fit; put weights, prior, solver, constraints, weight and residual into it"
            )
        loss, chosen = observations, as_solver(observations.solver, {})
    else:
        wanted = parse_observations((k for k in blocks.kinds if k in KINDS) if observations is None else observations)
        exact: Any = () if constraints is None else constraints
        if atoms is not None:
            exact = (*as_constraints(blocks, constraints), atoms)
        loss = Loss("+".join(wanted), weights or {}, weight=weight, residual=residual, prior=prior, constraints=exact)
        chosen = as_solver(solver, options)
    return fitted(blocks, loss, loss.resolve(blocks), chosen)


def fitted(blocks: Blocks, loss: Loss, used: Weights, chosen: Solver) -> Fit:
    """The fit of a loss with these weights of kinds and groups: late weights, then robust ones, then one solve."""
    chosen_by = None
    if loss.residuals and isinstance(as_prior(loss.prior), Auto):
        squares = fitted(blocks, replace(loss, residual=None), used, chosen)
        found = getattr(squares.model, "provenance", {}).get("prior_chosen_by")
        loss, chosen_by = replace(loss, prior=squares.prior), None if found is None else f"{found}, by least squares"
    posed, multipliers = loss.posed(blocks, used)
    if loss.robust is not None:
        multipliers = multipliers * huber(posed, multipliers, loss)
    details: dict[str, float] = {}
    if loss.residuals:
        posed, details = single_residuals(blocks, posed, multipliers, loss)
    return solved(posed, loss, used, multipliers, chosen, labelled=blocks, told=details, chosen_by=chosen_by)


def solved(
    blocks: Blocks,
    loss: Loss,
    used: Weights,
    multipliers: Float[np.ndarray, " blocks"],
    chosen: Solver,
    labelled: Blocks | None = None,
    told: Mapping[str, float] | None = None,
    chosen_by: str | None = None,
) -> Fit:
    """The fit of a loss whose every block has its multiplier; `labelled` are the rows without late weights, if those are in."""
    labelled = blocks if labelled is None else labelled
    selected = replace(blocks, items=tuple(b for b in blocks.items if b.kind in used))
    prior, constraints = as_prior(loss.prior), loss.exact(blocks)
    problem = with_constraints(pose(selected, multipliers[[b.kind in used for b in blocks.items]], prior), constraints)
    if isinstance(prior, Auto):
        if loss.robust is not None:
            raise InputError("prior='auto' chooses its strength for least squares; give a robust loss a prior with a strength")
        prior, problem, chosen_by = _chosen(prior, problem, constraints)
    solution = chosen.solve(problem)
    theta, rank = problem.lift(solution.coefficients), None if solution.rank is None else solution.rank + problem.held
    weights_of = np.where([b.kind in used for b in blocks.items], multipliers, 0.0)
    one_body = undetermined_one_body(blocks, weights_of, [c.rows for c in constraints])
    if rank is not None and rank < blocks.columns:
        other = "a stronger prior" if prior is not None else "a prior"
        advice = f"add configurations or kinds of observation, lower the degree, or give {other}"
        warnings.warn(
            f"rank {rank} of {blocks.columns}: the rows of {loss.observations} do not determine all coefficients and the "
            f"shortest solution was taken; {f'{one_body}; otherwise ' if one_body else ''}{advice}",
            FitWarning,
            stacklevel=3,
        )
    elif one_body and "E" in used:  # a prior, or a solver that cannot tell, has chosen
        warnings.warn(one_body, FitWarning, stacklevel=3)
    rmse, by_group = training_errors(labelled, theta)
    details = {**solution.details, **(told or {})}
    model = None
    if blocks.basis is not None:
        provenance = {
            "truth": blocks.truth,
            "observations": loss.observations,
            "weights": used,
            "prior": str(prior),
            "solver": str(chosen),
            "rows": problem.rows,
            "rank": rank,
            "rmse": rmse,
            **details,
        }
        if one_body:
            provenance["undetermined_one_body"] = one_body
        if chosen_by is not None:
            provenance["prior_chosen_by"] = chosen_by
        if blocks.subtracted and blocks.repulsion is not None:
            provenance["repulsion"] = type(blocks.repulsion).__name__
        if late := {k: v for k, v in loss.settings.items() if k not in ("observations", "weights", "prior", "solver")}:
            provenance["loss"] = spelled(late)
        model = blocks.model(theta, provenance)
    return Fit(
        model=model,
        coefficients=theta,
        observations=loss.observations,
        weights=used,
        prior=prior,
        solver=chosen,
        rmse=rmse,
        rmse_by_group=by_group,
        rank=rank,
        residual=problem.residual(theta),
        posterior=solution.posterior,
        problem=problem,
        blocks=labelled,
        constraints=constraints,
        details=details,
    )


def _on_top(blocks: Blocks, repulsion: Any) -> Blocks:
    """The blocks less a repulsion. Raises InputError for one that they were not labelled with."""
    if repulsion is None:
        return blocks
    if blocks.basis is None:
        raise InputError("a fit on top of a repulsion needs blocks with a basis; these have none")
    wanted = as_repulsion(repulsion, blocks.basis.species, blocks.basis.cutoff)
    by_name = isinstance(repulsion, str) and isinstance(blocks.repulsion, ZBL)
    if blocks.repulsion is None or not (by_name or same_repulsion(wanted, blocks.repulsion)):
        kind = "none" if blocks.repulsion is None else type(blocks.repulsion).__name__
        raise InputError(
            f"the fit is to be on top of {type(wanted).__name__}, and the rows were labelled with another repulsion ({kind}); "
            "label with dg.label(..., repulsion=...) first"
        )
    return blocks.without_repulsion()


def _chosen(prior: Auto, problem: Problem, constraints: Sequence[Constraint]) -> tuple[Prior, Problem, str]:
    """The smoothness prior of the strength that held-out groups choose, the problem with it, and how it was chosen."""
    found = group_errors(problem, problem.gamma)
    if found is not None:
        strength, how = found.best, f"error on {len(found.groups)} groups, each left out in turn"
    else:
        strength, how = cross_validated(standard_form(problem, problem.gamma)), "generalised cross validation (one group)"
    made = Smoothness(prior.power, strength)
    return made, with_constraints(pose(problem.blocks, problem.multipliers, made), constraints), how


def as_solver(solver: str | Solver, options: Mapping[str, Any]) -> Solver:
    """A Solver from its name and options. Raises InputError for names and options that do not exist."""
    if isinstance(solver, Solver):
        if options:
            raise InputError(
                f"options belong to a solver given by name; got {', '.join(options)} with {solver}: put them into it"
            )
        return solver
    if not isinstance(solver, str) or solver not in SOLVERS:
        raise InputError(f"a solver is one of {', '.join(SOLVERS)}, or a Solver; got {solver!r}{did_you_mean(solver, SOLVERS)}")
    known = SOLVERS[solver].__dataclass_fields__  # pyright: ignore[reportAttributeAccessIssue]
    unknown = [name for name in options if name not in known]
    if unknown:
        meant = did_you_mean(unknown[0], known)
        raise InputError(f"solver {solver!r} has the options {', '.join(known)}; got {', '.join(unknown)}{meant}")
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
