"""A study file carried out task by task in this process."""

from pathlib import Path

from defectgen.campaign import Record, Task
from defectgen.campaign.workers import execute
from defectgen.study import dump, parse, plan, tables
from defectgen.study.interface import Tables


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
