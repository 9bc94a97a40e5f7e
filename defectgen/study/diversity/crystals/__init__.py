"""The source of crystals: phases with defects in small cells, thermal configurations, labels of an analytic reference."""

from typing import Any

from ....campaign import PlainTask
from ..source import Source
from .settings import parsed

STEPS = "defectgen.study.diversity.crystals.steps"
BLOCKS = "defectgen.study.diversity.crystals.blocks:blocks"
RELAXED = "defectgen.study.diversity.crystals.defects:relaxed"
WIDER = "defectgen.study.diversity.crystals.wider:wider"


def source(settings: dict[str, Any]) -> Source:
    """The source. Raises InputError for settings that make no sense."""
    asked = parsed(settings)
    name = asked.material
    own = {"settings": asked.model_dump(mode="json"), "digest": asked.described.digest}
    rest = {
        p: PlainTask(f"{STEPS}:at_rest", {**own, "settings": {"material": name}, "phase": p}, (), f"{name} {p} at rest", 3.0)
        for p in asked.all_phases
    }
    drawn = [
        PlainTask(f"{STEPS}:drawn", {**own, "phase": p}, (rest[p],), f"{name} {p} configurations", 20.0) for p in asked.all_phases
    ]
    pool = PlainTask(f"{STEPS}:pool", own, tuple(drawn), f"{name} pool", 2.0)
    exact = [
        PlainTask(f"{STEPS}:exact", {**own, "defect": d}, (rest[asked.phases[0]],), f"{name} {d} reference", 5.0)
        for d in asked.relaxed
    ]
    return Source(
        pool,
        len(asked.names()),
        asked.conformations,
        after=(pool, *(rest[p] for p in asked.phases), *exact),
        blocks=BLOCKS,
        metrics=(WIDER, *((RELAXED,) if asked.relaxed else ())),
    )
