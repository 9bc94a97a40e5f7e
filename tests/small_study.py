"""A study file carried out task by task in this process."""

from pathlib import Path

from defectgen.campaign import Record, Task, execute
from defectgen.study import Tables, dump, parse, plan, tables


def carried_out(text: str, folder: Path) -> tuple[Tables, list[tuple[Task, Record]]]:
    """Tables and records of a study that resolves to itself and of which no task fails."""
    spec = parse(text, folder)
    assert parse(dump(spec), folder) == spec
    records: dict[str, Record] = {}
    outcome = []
    for task in plan(spec):
        records[task.key] = execute(task, records)
        assert records[task.key].ok, records[task.key].failed
        outcome.append((task, records[task.key]))
    return tables(spec, outcome), outcome
