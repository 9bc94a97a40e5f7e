"""The search: every plan of the grid is a task of a campaign, with the cheap reference in place of the expensive one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..._input import InputError
from ...campaign import Event, Record, Store, Task
from ...campaign import run as run_tasks
from ...crystal import Lattice
from ..materials import Material
from ..plan import Kitchen, widened
from ..spec import Certificates
from ..steps import defect_cell, rest_lattice
from .proposal import Proposal, proposed
from .search import Search, prepared
from .structures import Menu

STEPS = "defectgen.study.planning.steps"


def plan_training(
    material_name: str | Material,
    defect: str,
    *,
    target_energy: float | None = None,
    target_geometry: float | None = None,
    reference: str | None = None,
    lattice_constant: float | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
    **grid,
) -> Proposal:
    """The cheapest labels with which a fit reaches the targets for a defect, and every other plan of the grid beside it.

    `target_energy` (eV) and `target_geometry` (A), at least one; `reference` in place of the material's own cheap one;
    `lattice_constant` (A) of the expensive one, to which the structures are scaled. `grid` takes the fields of `Search`:
    sizes, configurations, observations, degrees, cutoff, simulation_size, by, cost and others. Records are kept in `out`
    (default: plans/MATERIAL-DEFECT), where the same call finds them again.
    Raises InputError for names, numbers and grids that make no sense, and for tasks that fail.
    """
    search = prepared(
        material_name, defect, reference=reference, target_energy=target_energy, target_geometry=target_geometry, **grid
    )
    store = Store(Path("plans") / search.name.removeprefix("plan-") if out is None else out)
    with store.lock():
        store.claim(search.name, search.toml())
        return searched(search, store, lattice_constant, workers, progress)


def tasks(search: Search) -> list[tuple[dict, Task]]:
    """One task per plan, and what the plan is."""
    kitchen, (case,) = Kitchen(search.study), search.study.cases
    found = []
    for size in search.sizes:
        rows = kitchen.rows(case, size)
        pool = Task(f"{STEPS}:pool", rows.spec, rows.after, f"{rows.label} (pool)", rows.weight)
        for count in sorted(set(search.configurations)):
            for observations in search.observations:
                for degree in sorted(set(search.degrees)):
                    trial = kitchen.trial(case, size, degree, observations)
                    choice = {"size": size, "configurations": count, "observations": observations, "degree": degree}
                    label = f"{trial.label}, {count} rattled"
                    crystal, exact, _ = trial.after
                    if search.by == "measured":
                        spec = {**trial.spec, "configurations": count}
                        task = Task(f"{STEPS}:measured", spec, (crystal, exact, pool), label, 1.0)
                    else:
                        spec = {**trial.spec, "configurations": count, "richer": richer_basis(trial.spec["basis"])}
                        task = Task(f"{STEPS}:certified", spec, (crystal, pool), label, 1.5)
                    found.append((choice, task))
    return found


def richer_basis(basis: dict) -> dict:
    """The basis of the richer fit of a certificate."""
    return widened(basis, Certificates.model_fields["richer"].default)


def searched(
    search: Search, store: Store, lattice_constant: float | None, workers: int, progress: Callable[[Event], None] | None
) -> Proposal:
    """All plans, carried out; one whose fit fails is refused with that reason.

    Raises InputError for a lattice constant that makes no sense, and if a task failed that plans share.
    """
    chosen = tasks(search)
    records = run_tasks([task for _, task in chosen], store, workers=workers, progress=progress)
    for needed in (needed for _, task in chosen for needed in task.after):
        if not records[needed.key].ok:
            raise InputError(f"{needed.label}: {records[needed.key].failed}")
    kitchen, (case,) = Kitchen(search.study), search.study.cases
    perfect = records[kitchen.crystal(case).key]
    own = rest_lattice({"material": search.material.model_dump(mode="json")}, perfect)
    scale = 1.0 if lattice_constant is None else _scale(own, lattice_constant)
    lattice, resting = own.deformed(np.diag([scale, scale, scale if own.dimension == 3 else 1.0])), {}
    for size in search.sizes:
        at_rest = records[kitchen.rows(case, size).after[1].key].arrays["positions"]
        resting[size] = scale * (at_rest - defect_cell({"defect": search.defect, "size": size}, own).positions)
    assert search.cutoff is not None  # `prepared` has seen to it
    menu = Menu(lattice, search.defect, search.training, resting, search.step, 2 * search.cutoff)
    return proposed(search, lattice, menu, [(choice, _usable(records[task.key])) for choice, task in chosen])


def _usable(record: Record) -> Record:
    return record if record.ok else Record({"rows": 0, "functions": 0, "refused": record.failed})


def _scale(lattice: Lattice, constant: float) -> float:
    own = float(np.linalg.norm(lattice.conventional[0] @ lattice.vectors))
    if not 0.8 * own < constant < 1.25 * own:
        raise InputError(f"the lattice constant {constant:g} A is far from the {own:.4f} A of the cheap reference; give it in A")
    return constant / own
