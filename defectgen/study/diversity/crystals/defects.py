"""What a model of crystals is for: defects relaxed in a large cell, their geometry and formation energy."""

import math
from typing import Any

from ...._input import InputError
from ....ace import LinearACE
from ....campaign import Record
from ....crystal import defect_from_name
from ....errors import compare
from ....relax import greens_function
from ...steps import box, recorded, rested, restored
from .settings import parsed
from .steps import lattice_of


def relaxed(model: LinearACE, spec: dict[str, Any], pool: Record, *records: Record) -> list[dict[str, Any]]:
    """One line a defect: errors of the geometry (A) and of the formation energy (eV), and what went wrong, if something did.

    The model starts from the reference's equilibrium, so the question is how far its own is. A model that loses the basin, or the
    crystal, keeps the numbers of where it stopped and says so in `outcome`; one that cannot be relaxed at all has no numbers.
    Only splits of the largest budget are asked. spec: that of a trial.
    """
    asked = parsed(spec["settings"])
    if spec["structures"] * spec["conformations"] < asked.relaxed_from:
        return []
    rest, exact = records[0], records[len(asked.phases) :]
    perfect = box(lattice_of(spec, asked.phases[0], rest), asked.simulation_size)
    lines = []
    for name, record in zip(asked.relaxed, exact, strict=True):
        cell = defect_from_name(name).apply(perfect)
        lines.append({"test": f"relaxed {name}", "simulation_atoms": len(cell), **_judged(model, cell, record)})
    return lines


def _judged(model: LinearACE, cell, record: Record) -> dict[str, Any]:
    truth = restored(record, cell)
    try:
        green = greens_function(cell, model)
        with recorded():
            found = rested(cell, model, truth.positions, green)
    except InputError as error:
        return {"outcome": f"not relaxed: {error}"}
    with recorded():
        error = compare(truth, found)
    outcome = "" if error.same_basin else error.why_not
    if not found.bulk_stable:
        outcome = "the model does not hold the crystal together"
    numbers = {"geometry": error.geometry, "geometry_max": error.geometry_max, "formation_energy": error.energy}
    return {**{k: v for k, v in numbers.items() if math.isfinite(v)}, "outcome": outcome}
