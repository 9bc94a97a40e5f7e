"""A study without physics: the interface of ``defectgen.study``, with toy tasks behind it."""

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # as the command line does, before its first import

from defectgen._input import InputError  # noqa: E402
from defectgen.campaign import PlainTask, Record, Task  # noqa: E402
from defectgen.study import Run, Tables, columns, gather, page, pages, studies  # noqa: E402, F401  (for the report, which shows pages of the real studies)

studies()  # found once, before this module takes the place of the room


@dataclass(frozen=True)
class ToySpec:
    """The resolved specification."""

    name: str
    title: str
    sizes: tuple[int, ...]
    until: str = ""
    seconds: float = 0.0
    needing: int = 0


def embedded() -> dict[str, str]:
    return {"quickstart": "A toy"}


def load(name: str) -> ToySpec:
    if name == "quickstart":
        return ToySpec("quickstart", "A toy", (2, 3))
    path = Path(name)
    if not path.is_file():
        raise InputError(f"there is no study {name!r}; choose quickstart or give a TOML file")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is no TOML file: {error}") from None
    table.pop("versions", None)
    return ToySpec(title="A toy", **{**table, "sizes": tuple(table["sizes"])})


def dump(spec: ToySpec) -> str:
    return f'name = "{spec.name}"\nsizes = {list(spec.sizes)}\nuntil = "{spec.until}"\nseconds = {spec.seconds}\n'


def plan(spec: ToySpec) -> list[Task]:
    parts = [PlainTask("toy_tasks:draw", {"n": n}, label=f"Cu vacancy L={n}") for n in spec.sizes]
    if spec.seconds:
        parts += [PlainTask("toy_tasks:slow", {"seconds": spec.seconds}, (parts[0],), label="slow")]
    if spec.until:
        parts.append(bad := PlainTask("toy_tasks:broken", {"until": spec.until}, label="bad"))
        parts += [PlainTask("toy_tasks:total", {"n": -n}, (bad,), label=f"needs bad {n}") for n in range(spec.needing)]
    return parts


def tables(spec: ToySpec, outcome: list[tuple[Task, Record]]) -> Tables:
    common = {"study": "cell-size", "material": "Cu", "defect": "vacancy", "dimension": 3, "observations": "E+F"}
    done = [task.spec["n"] for task, record in outcome if record.ok and task.spec.get("n", 0) > 0]
    results = [
        common
        | {"training_radius": float(n), "geometry_error": n**-1.5, "energy_error": n**-3.0, "converged": True, "same_basin": True}
        for n in done
    ]
    rate = {
        "quantity": "geometry",
        "slope": -1.5,
        "low": -1.6,
        "high": -1.4,
        "window": "2-3",
        "predicted": -1.5,
        "verdict": "agrees",
    }
    failures = [{"label": task.label, "reason": record.failed} for task, record in outcome if not record.ok]
    return Tables(results, [common | rate], failures, others={"sizes": [{"n": n} for n in done]})


def template(name: str) -> str:
    return dump(load(name))


def catalogue() -> dict[str, dict[str, str]]:
    return {"materials": {"Cu": "copper [fcc]"}, "defects": {}, "references": {}, "studies": embedded()}
