"""``defectgen plan``: the cheapest labels that reach a target; given back labelled, whether they do and what to add."""

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from rich.table import Table
from rich.text import Text

from .. import campaign, report
from .._input import InputError
from ..bridge.units import units_of
from ..campaign import Store
from ..campaign.stop import STATUS
from ..study.planning import (
    QUANTITIES,
    Calculation,
    Plan,
    Proposal,
    Verdict,
    judge_labels,
    prepared,
    searched,
    write_structures,
)
from ..training import Cost
from .fitting import pairs
from .live import Live, brief
from .speak import answer, console, say

Number = TypeVar("Number", int, float)

STRUCTURES, MORE, MODEL = "structures.extxyz", "more-structures.extxyz", "model.json"


def plan_labels(
    material: str,
    defect: str,
    cost: dict[str, float],
    out: Path | None,
    labelled: list[Path],
    lattice_constant: float | None,
    workers: int,
    grid: dict[str, Any],
    units: dict[str, str] | None = None,
    reuse_old: bool = False,
) -> int:
    """Exit status: 0 a plan was found, or the labels reach the targets; 1 they do not; 130 when stopped.

    Raises
    ------
    InputError
        The input cannot be used, or no plan reaches the targets.
    """
    start = time.perf_counter()
    search = prepared(material, defect, cost=Cost(**cost), **grid)
    store = Store(out if out is not None else Path("plans") / search.name.removeprefix("plan-"), reuse_old)
    with store.lock():
        store.claim(search.name, search.toml())
        say(f"{search.name}: output in {store.directory}")
        try:
            with Live(console()) as live:
                proposal = searched(search, store, lattice_constant, workers, live)
        except campaign.Interrupted as stop:
            say(str(stop), error=True)
            return STATUS
        _write(proposal, store)
        if labelled:
            return _judge(proposal, labelled, units, store)
    if proposal.best is None:
        raise InputError(proposal.sentence)
    wanted = proposal.structures(proposal.best)
    write_structures(store.directory / STRUCTURES, wanted, proposal.lattice, search.defect)
    _show_front(proposal)
    _show_wanted(wanted, search.cost)
    answer(f"plan: {proposal.sentence}", {"plan": proposal.sentence, **_written(proposal, store)})
    say(f"compute {store.directory / STRUCTURES}, and hand the labelled frames back with --labelled FILE")
    say(f"took {brief(time.perf_counter() - start)}")
    return 0


def numbers(text: str | None, kind: Callable[[str], Number], option: str) -> tuple[Number, ...] | None:
    """2,3,4 as numbers. Raises InputError for anything else."""
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} takes numbers with commas between them, like 2,3,4; got {text!r}") from None


def stated(text: str | None) -> dict[str, str] | None:
    """What `--units` says: "energy=hartree,stress=kbar" as a mapping. Raises InputError for anything else."""
    if text is None:
        return None
    pairs = [part.split("=", 1) for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"--units takes kinds and their units, like energy=hartree,stress=kbar; got {text!r}")
    found = {kind.strip(): unit.strip() for kind, unit in pairs}
    units_of(found)
    return found


def potentials_of(text: str | None) -> dict[str, float] | None:
    """What `--chemical-potentials` says: "Ag=-2.95,Cu=-3.5" as numbers. Raises InputError for anything else."""
    option, example = "--chemical-potentials", "Ag=-2.95,Cu=-3.54 (eV per atom)"
    if text is None:
        return None
    try:
        return {species: float(value) for species, value in pairs(text, option, example).items()}
    except ValueError as error:
        raise (
            error if isinstance(error, InputError) else InputError(f"{option} takes numbers, like {example}; got {text!r}")
        ) from None


def _write(proposal: Proposal, store: Store) -> None:
    """The table of all plans and the figure of the front."""
    rows, search = proposal.rows(), proposal.search
    store.table("plans.csv", rows, ())
    from ..study.planning.figures import plan_picture  # brings matplotlib

    picture = plan_picture(pd.DataFrame(rows), search.material.name, search.defect, search.targets, search.by)
    report.draw(picture, store.directory / "figures")
    say(f"figure: {store.directory / 'figures' / picture.name}.png; all plans: {store.directory / 'plans.csv'}")


def _written(proposal: Proposal, store: Store) -> dict[str, Any]:
    """All plans and the directory with the files, for --json."""
    return {"directory": store.directory.absolute(), "plans": proposal.rows()}


def _judge(proposal: Proposal, labelled: list[Path], units: dict[str, str] | None, store: Store) -> int:
    """Say what the labels are worth; write the model, and what to add."""
    verdict = judge_labels(proposal, labelled, units)
    _show_attempts(verdict)
    verdict.best.model.save(store.directory / MODEL)
    say(f"model: {store.directory / MODEL}")
    if verdict.next is not None:
        write_structures(store.directory / MORE, verdict.add, proposal.lattice, proposal.search.defect)
        _show_wanted(verdict.add, proposal.search.cost)
        say(f"compute {store.directory / MORE}, and return its frames with those that are labelled")
    answer(verdict.sentence, {"verdict": verdict.sentence, "reached": verdict.reached, **_written(proposal, store)})
    return 0 if verdict.reached else 1


def _show_front(proposal: Proposal) -> None:
    """The plans of the fronts of all quantities that have a target, and which is chosen."""
    kept: dict[int, Plan] = {id(p): p for name in proposal.search.targets for p in proposal.front(name)}
    table = Table(box=None, pad_edge=False)
    for heading in ("size", "atoms", "rattled", "observations", "degree", "functions", "hours"):
        table.add_column(heading, justify="left" if heading == "observations" else "right")
    for name, unit in QUANTITIES.items():
        table.add_column(f"{name} error ({unit})", justify="right")
    table.add_column("")
    for plan in sorted(kept.values(), key=lambda p: p.hours):
        cells = [str(plan.size), str(plan.atoms), str(plan.configurations), plan.observations, f"{plan.degree:g}"]
        cells += [str(plan.functions), f"{plan.hours:.3g}", *(f"{plan.error(name):.2g}" for name in QUANTITIES)]
        table.add_row(*(Text(c) for c in [*cells, "chosen" if plan is proposal.best else ""]))
    console().print(table)


def _show_wanted(wanted: Iterable[Calculation], cost: Cost) -> None:
    """What has to be computed, by group and size."""
    groups: dict[tuple[str, int, str], list[Calculation]] = {}
    for one in wanted:
        groups.setdefault((one.snapshot.group, len(one.snapshot.cell), one.compute), []).append(one)
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "structures", "atoms", "compute", "hours"):
        table.add_column(heading, justify="left" if heading in ("group", "compute") else "right")
    for (group, atoms, compute), members in groups.items():
        hours = sum(one.hours(cost) for one in members)
        table.add_row(*(Text(c) for c in (group, str(len(members)), str(atoms), compute, f"{hours:.3g}")))
    console().print(table)


def _show_attempts(verdict: Verdict) -> None:
    """The certificate of every degree."""
    table = Table(box=None, pad_edge=False)
    for heading in ("degree", "functions", "rows"):
        table.add_column(heading, justify="right")
    for name, unit in QUANTITIES.items():
        table.add_column(f"{name} estimate ({unit})", justify="right")
        table.add_column(f"bound ({unit})", justify="right")
    for attempt in verdict.attempts:
        found = attempt.certificate
        cells = [f"{attempt.plan.degree:g}", str(len(attempt.fit.coefficients)), str(found.rows)]
        for name in QUANTITIES:
            quantity = getattr(found, name)
            cells += [f"{v:.2g}" if math.isfinite(v) else "none" for v in (quantity.estimate, quantity.bound)]
        table.add_row(*(Text(c) for c in cells))
    console().print(table)
