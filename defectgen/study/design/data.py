"""Question: how much smaller does data chosen before labelling make the error of a defect than random data of the same cost?"""

import numpy as np

from ..._input import InputError
from ...ace import LinearACE
from ...campaign import Record, Task
from ...crystal import Cell
from ...errors.certificate import sensitivity
from ...errors.certificate.answer import answers
from ...errors.compare import BASIN
from ...fit import Fit, fit
from ...relax import greens_function
from ...training import Blocks, spell_observations
from ...training.observations import KINDS as OBSERVED
from ..certificates import RICHER_PRIOR
from ..plan import Kitchen, widened
from ..spec import Case, DesignData, RunSpec
from ..steps import assess, basis_of, blocks_of, defect_cell, kept, packed, recorded, rest_lattice, rested, truth_of
from ..tabulation import Tables
from .choice import RANDOM, START, USUAL, Offer, Promise, by_kind
from .pool import KINDS, candidates, cost_of, rows_of

NAME = "design_data"
HERE = "defectgen.study.design.data"
POOL, CHOICES, TRIAL = f"{HERE}:pool", f"{HERE}:chosen", f"{HERE}:tried"


STRONGER = ("smoothness(1e-5)", "smoothness(1e-4)", "smoothness(1e-3)")
"""Priors of a pilot that does not hold its defect with that of the fits."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """A pool and its choices for every case, and trials of them on all defects of the same crystal."""
    if spec.design is None or spec.design.data is None:
        return []
    asked = spec.design.data
    cases = [case for case in spec.cases if case.basis is not None]
    found = []
    for case in cases:
        pool, choices = _choices(spec, asked, kitchen, case)
        for other in cases:
            if other.material != case.material or other.basis != case.basis:
                continue
            for budget in asked.budgets:
                found += [_trial(kitchen, spec, case, other, pool, choices, name, budget) for name in _names(asked)]
    return found


def _names(asked: DesignData) -> list[str]:
    return [*asked.criteria, USUAL, *(f"{RANDOM} {seed}" for seed in range(asked.seeds))]


def _choices(spec: RunSpec, asked: DesignData, kitchen: Kitchen, case: Case) -> tuple[Task, Task]:
    """The pool of a case and what is chosen from it; the reference in the large cell is not asked."""
    assert case.basis is not None
    like = kitchen.trial(case, max(asked.sizes), case.basis.degree, "E+F").spec
    sizes = list(dict.fromkeys(asked.sizes))
    name = f"{case.material.name} {case.defect}"
    assert spec.design is not None
    more, basis = spec.design.richer, like["basis"]
    wide = widened(basis, more)
    common = {"material": like["material"], "defect": like["defect"], "full": wide, "data": asked.model_dump(mode="json")}
    resting = [kitchen.exact(case, size, False) for size in sizes]
    pool = Task(POOL, common, (kitchen.crystal(case), *resting), f"{name} pool of training data", 10.0)
    settings = {**common, "basis": basis, "size": like["size"], "fit": _settings(spec, asked)}
    return pool, Task(CHOICES, settings, (kitchen.crystal(case), pool), f"{name} choices of training data", 10.0)


def _settings(spec: RunSpec, asked: DesignData) -> dict:
    """How chosen data are fitted."""
    settings = spec.fit.model_dump(mode="json")
    settings["weights"] = START | settings["weights"]
    return settings if settings["prior"] is not None else {**settings, "prior": asked.prior}


def _trial(kitchen: Kitchen, spec: RunSpec, case: Case, other: Case, pool: Task, choices: Task, name: str, budget: float) -> Task:
    assert spec.design is not None and spec.design.data is not None and other.basis is not None
    like = kitchen.trial(other, 1, other.basis.degree, "E+F")
    own = {key: like.spec[key] for key in ("material", "defect", "size", "basis")}
    own["full"] = pool.spec["full"]
    made = {"chosen_for": case.defect, "choice": name, "budget": budget, "fit": _settings(spec, spec.design.data)}
    label = f"{other.material.name} {other.defect}, data {name} for {case.defect}, budget {budget:g}"
    return Task(TRIAL, {**own, **made}, (*like.after[:2], pool, choices), label, 1.0)


def pool(spec: dict, perfect: Record, *resting: Record) -> Record:
    """Rows and labels of the start and of every candidate by itself. spec: material, defect, full (the basis), data."""
    lattice, asked = rest_lattice(spec, perfect), DesignData(**spec["data"])
    displacement = {}
    for size, record in zip(dict.fromkeys(asked.sizes), resting, strict=True):
        displacement[size] = record.arrays["positions"] - defect_cell({**spec, "size": size}, lattice).positions
    start, offered = candidates(lattice, spec["defect"], asked, displacement, spec["full"]["cutoff"])
    cell = next(one for one in start if one.snapshot.cell.defect).snapshot.cell
    truth, basis, cost = truth_of(spec), basis_of(spec["full"], cell), cost_of(asked)
    labelled = [(number, rows_of(one, truth, basis)) for number, one in [*((-1, s) for s in start), *enumerate(offered)]]
    headers, arrays = packed(block for _, blocks in labelled for block in blocks.items)
    numbers = [number for number, blocks in labelled for _ in blocks.items]
    headers = [{"candidate": number, **header} for number, header in zip(numbers, headers, strict=True)]
    listed = [{"kind": c.kind, "atoms": c.atoms, "cost": c.hours(cost)} for c in offered]
    largest = max(c["cost"] for c in listed if c["kind"] == KINDS[0])
    values = {"blocks": headers, "truth": labelled[0][1].truth, "candidates": listed}
    return Record({**values, "start_cost": sum(c.hours(cost) for c in start), "unit": largest}, arrays)


def offer_of(spec: dict, cell, pool: Record) -> Offer:
    """The pool of a record. spec: basis, full (the basis of the rows), fit."""
    places: dict[int, list[int]] = {}
    for place, header in enumerate(pool.values["blocks"]):
        places.setdefault(header["candidate"], []).append(place)

    def rows(number: int) -> Blocks:
        headers = [{k: v for k, v in pool.values["blocks"][n].items() if k != "candidate"} for n in places[number]]
        arrays = {}
        for place, n in enumerate(places[number]):
            arrays |= {f"{what}{place}": pool.arrays[f"{what}{n}"] for what in ("factor", "plain") if f"{what}{n}" in pool.arrays}
        record = Record({"blocks": headers, "truth": pool.values["truth"]}, arrays)
        return blocks_of({**spec, "basis": spec["full"]}, cell, record)

    listed = pool.values["candidates"]
    return Offer(
        start=rows(-1),
        parts=[rows(number) for number in range(len(listed))],
        basis=basis_of(spec["basis"], cell),
        kinds=[c["kind"] for c in listed],
        atoms=np.array([c["atoms"] for c in listed]),
        costs=np.array([c["cost"] for c in listed]),
        weights=spec["fit"]["weights"],
        prior=spec["fit"]["prior"],
    )


def fitted(spec: dict, blocks: Blocks, prior: str | None = None) -> Fit:
    """A fit to all rows that were chosen, with another prior if one is given. spec: fit."""
    settings = spec["fit"]
    observed = spell_observations(kind for kind in blocks.kinds if kind in OBSERVED)
    weights = {kind: value for kind, value in settings["weights"].items() if kind in blocks.kinds}
    return fit(blocks, observed, weights or None, settings["prior"] if prior is None else prior, settings["solver"])


def chosen(spec: dict, perfect: Record, pool: Record) -> Record:
    """Every choice, and what it promises. spec: material, defect, size, basis, full, data, fit.

    The defect is relaxed with a pilot that is fitted to the start; where no pilot holds it there are no choices.
    """
    cell, asked = defect_cell(spec, rest_lattice(spec, perfect)), DesignData(**spec["data"])
    offer, unit = offer_of(spec, cell, pool), pool.values["unit"]
    try:
        promise = promise_of(spec, cell, offer)
    except InputError as error:
        return Record({"refused": str(error), "choices": []})
    found = []
    for budget in asked.budgets:
        takes = {name: promise.choose(name, budget * unit) for name in asked.criteria}
        takes[USUAL] = offer.usual(budget * unit)
        takes |= {f"{RANDOM} {seed}": offer.random(budget * unit, seed) for seed in range(asked.seeds)}
        for name, numbers in takes.items():
            one = {"choice": name, "budget": budget, "numbers": numbers, "cost": float(offer.costs[numbers].sum()) / unit}
            (geometry, energy), (misfit, off) = promise.spreads(numbers), promise.errors(numbers)
            one |= {"geometry_spread": geometry, "energy_spread": energy, "geometry_expected": misfit, "energy_expected": off}
            found.append(one)
    return Record({"refused": "", "choices": found})


def promise_of(spec: dict, cell: Cell, offer: Offer) -> Promise:
    """What choices promise for the defect at the equilibrium that a pilot finds from the unrelaxed one. spec: fit.

    The pilot has the prior of the fits, or a stronger one if it does not hold the defect with that. Raises InputError where
    none does.
    """
    richer = fitted(spec, offer.start, RICHER_PRIOR)
    assert isinstance(richer.model, LinearACE)
    why = ""
    for prior in (None, *STRONGER):
        pilot = fitted(spec, offer.blocks(), prior)
        green = greens_function(cell, pilot.model)
        with recorded():
            rest = rested(cell, pilot.model, preconditioner=green)
        moved = float(np.linalg.norm(rest.displacement - rest.displacement.mean(axis=0), axis=1).max())
        if not rest.converged or moved > 2 * BASIN * cell.lattice.nearest_neighbour:
            why = f"the pilot does not hold the defect: an atom moves by {moved:.2f} A, {rest.message}"
            continue
        try:
            return Promise(offer, sensitivity(rest, richer.model, answer=answers(rest, pilot.model, green)), richer)
        except InputError as error:
            why = str(error)
    raise InputError(why)


def tried(spec: dict, perfect: Record, reference: Record, pool: Record, choices: Record) -> Record:
    """A fit to one choice, relaxed and compared. spec: material, defect, size, basis, full, fit, chosen_for, choice, budget."""
    if choices.values["refused"]:
        return Record({"refused": choices.values["refused"]})
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    key = tuple(repr(spec[name]) for name in ("material", "defect", "size", "basis", "full", "fit", "chosen_for"))
    offer = kept(("design data", *key), lambda: offer_of(spec, cell, pool))
    (own,) = (c for c in choices.values["choices"] if (c["choice"], c["budget"]) == (spec["choice"], spec["budget"]))
    found = assess(spec, cell, reference, lambda: fitted(spec, offer.blocks(own["numbers"])))
    about = {"kinds": by_kind(offer.kinds, own["numbers"]), "refused": ""}
    return Record({**found.values, **own, **about})


def harvest(outcome: list[tuple[Task, Record]]) -> Tables:
    """design_data.csv: every choice on every defect, with its error over that of the median random choice of the same cost."""
    lines = [_line(task, record.values) for task, record in outcome if task.function == TRIAL and record.ok]
    if not lines:
        return Tables()
    for line in lines:
        beside = [other for other in lines if other["choice"] == RANDOM and _place(other) == _place(line)]
        for what in ("geometry", "energy"):
            for name in ("error", "spread", "expected"):
                median = float(np.median([_or_worst(other[f"{what}_{name}"]) for other in beside]))
                own = line[f"{what}_{name}"]
                line[f"{what}_{name}_ratio"] = own / median if own is not None and 0 < median < np.inf else None
    return Tables(others={NAME: lines})


def _or_worst(error: float | None) -> float:
    """A fit that lost the defect counts as worse than all others."""
    return np.inf if error is None or not np.isfinite(error) else error


def _place(line: dict) -> tuple:
    return line["material"], line["defect"], line["chosen_for"], line["budget"]


def _line(task: Task, values: dict) -> dict:
    spec = task.spec
    good = not values["refused"] and values["converged"] and values["same_basin"]
    name, _, seed = spec["choice"].partition(f"{RANDOM} ")
    kinds = values.get("kinds", {})
    return {
        "material": spec["material"]["name"],
        "defect": spec["defect"],
        "chosen_for": spec["chosen_for"],
        "choice": RANDOM if seed else name,
        "seed": int(seed) if seed else None,
        "budget": spec["budget"],
        "cost": values.get("cost"),
        "configurations": sum(kinds.values()),
        **{kind.replace(" ", "_"): kinds.get(kind, 0) for kind in KINDS},
        "geometry_error": values["geometry_error"] if good else None,
        "energy_error": values["energy_error"] if good else None,
        **{name: values.get(name) for name in ("geometry_spread", "energy_spread", "geometry_expected", "energy_expected")},
        "rmse_forces": values.get("rmse_forces"),
        "trusted": bool(good),
        "refused": values["refused"],
    }
