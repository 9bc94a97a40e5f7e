"""The search: every plan of the grid is a task of a campaign, with the cheap reference in place of the expensive one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..._input import InputError
from ...campaign import Event, Given, Store
from ...campaign import run as run_tasks
from ...crystal import Lattice
from ..certificates.settings import Certificates
from ..fitting import Fits
from ..materials import Material
from ..tasks import Crystal, defect_cell
from .proposal import Choice, Proposal, proposed
from .search import Search, prepared
from .steps import CertifiedPlan, Judged, MeasuredPlan, PlanStep, PoolRows
from .structures import Menu

RICHER: float = Certificates.model_fields["richer"].default
"""Degrees of the richer fit of a certificate."""


def plan_training(
    material_name: str | Material,
    defect: str,
    *,
    target_energy: float | None = None,
    target_geometry: float | None = None,
    reference: str | None = None,
    chemical_potentials: Mapping[str, float] | None = None,
    lattice_constant: float | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
    **grid,
) -> Proposal:
    """The cheapest labels with which a fit reaches the target errors for a defect, and all other plans of the grid.

    Parameters
    ----------
    material_name : str or Material
        The crystal (see ``defectgen list``).
    defect : str
        The defect, as run files write it.
    target_energy, target_geometry : float, optional
        Errors to reach, eV and A; at least one.
    reference : str, optional
        In place of the cheap reference of the material.
    chemical_potentials : mapping, optional
        eV per atom, by species, for a defect that exchanges atoms, in the zero of the cheap reference.
    lattice_constant : float, optional
        Of the expensive reference, A; the structures are scaled to it.
    out : str or path, optional
        Where records are kept, plans/MATERIAL-DEFECT by default; the same call finds them again.
    workers : int
        Local worker processes.
    progress : callable, optional
        Called with every event.
    **grid
        The fields of `Search`: sizes, configurations, observations, degrees, cutoff, simulation_size, by, cost and others.

    Returns
    -------
    Proposal
        All plans, the cheapest that reaches the targets, and the structures to label.

    Raises
    ------
    InputError
        For names, numbers and grids that make no sense, and for tasks that fail.
    """
    search = prepared(
        material_name,
        defect,
        reference=reference,
        chemical_potentials=chemical_potentials,
        target_energy=target_energy,
        target_geometry=target_geometry,
        **grid,
    )
    store = Store(Path("plans") / search.name.removeprefix("plan-") if out is None else out)
    with store.lock():
        store.claim(search.name, search.toml())
        return searched(search, store, lattice_constant, workers, progress)


def plans(search: Search) -> list[tuple[Choice, PlanStep]]:
    """One step per plan, and what the plan is."""
    fits, (case,) = Fits(search.study), search.study.cases
    found = []
    for size in search.sizes:
        pool = PoolRows(rows=fits.rows(case, size))
        for count in sorted(set(search.configurations)):
            for observations in search.observations:
                for degree in sorted(set(search.degrees)):
                    trial = fits.trial(case, size, degree, observations)
                    common = {"trial": trial, "pool": pool, "configurations": count}
                    if search.by == "measured":
                        step = MeasuredPlan(**common)
                    else:
                        step = CertifiedPlan(**common, richer=trial.basis.widened(RICHER))
                    found.append((Choice(size, count, observations, degree), step))
    return found


def searched(
    search: Search, store: Store, lattice_constant: float | None, workers: int, progress: Callable[[Event], None] | None
) -> Proposal:
    """All plans, carried out; one whose fit fails is refused with that reason.

    Raises InputError for a lattice constant that makes no sense, and if a step failed that plans share.
    """
    chosen = plans(search)
    records = run_tasks([step for _, step in chosen], store, workers=workers, progress=progress)
    for needed in (needed for _, step in chosen for needed in step.after):
        if not records[needed.key].ok:
            raise InputError(f"{needed.label}: {records[needed.key].failed}")
    given = Given(records)
    own = given[Crystal(material=search.material)].lattice(search.material)
    scale = 1.0 if lattice_constant is None else _scale(own, lattice_constant)
    lattice, resting = own.deformed(np.diag([scale, scale, scale if own.dimension == 3 else 1.0])), {}
    for choice, step in chosen:
        if choice.size not in resting:
            assert step.pool.rest is not None  # see `PoolRows.after`
            at_rest = given[step.pool.rest].positions
            resting[choice.size] = scale * (at_rest - defect_cell(own, search.defect, choice.size).positions)
    assert search.cutoff is not None  # `prepared` has filled it in
    menu = Menu(lattice, search.defect, search.training, resting, search.step, 2 * search.cutoff)
    judged = [(choice, given.get(step) or Judged(0, 0, str(records[step.key].failed))) for choice, step in chosen]
    return proposed(search, lattice, menu, judged)


def _scale(lattice: Lattice, constant: float) -> float:
    own = float(np.linalg.norm(lattice.conventional[0] @ lattice.vectors))
    if not 0.8 * own < constant < 1.25 * own:
        raise InputError(f"the lattice constant {constant:g} A is far from the {own:.4f} A of the cheap reference; give it in A")
    return constant / own
