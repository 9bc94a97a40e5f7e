"""The page of a run that goes on, or was stopped: what the records that are there say, in a folder of its own."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .. import study
from .._input import InputError
from ..campaign import Record, Store, Task, in_order, status
from ..campaign.files import held, write_whole
from ..campaign.store import Damaged, Outdated, read
from .write import write_page, write_tables

INTERIM = "interim"
"""Folder of the tables, figures and page of a run that is not finished; the run removes it at its end."""
_FATES = {
    "running": "the run goes on",
    "finished": "all tasks were computed, and the run has not written its tables",
    "interrupted": "the run was interrupted, and the same command goes on from there",
    "scheduler lost": "the run has lost its scheduler, and the same command goes on from there",
    "ended": "the run has ended early, and the same command goes on from there",
}


@dataclass(frozen=True)
class Interim:
    """What there is of a run that is not finished.

    Attributes
    ----------
    page : Path
        The page, ``interim/report.html``.
    sentence : str
        How far the run is.
    state : str
        As in `campaign.Status`; ``not begun`` for a run without events.
    done, failed, not_run, total : int
        Tasks: with a result, failed, not run because they need what failed, and all.
    """

    page: Path
    sentence: str
    state: str
    done: int
    failed: int
    not_run: int
    total: int


def unfinished(directory: str | Path) -> bool:
    """Whether a directory holds a run of which the last call has not ended, or has not written its tables."""
    folder = Path(directory)
    if not (folder / "spec.toml").is_file():
        return False
    if not (folder / "results.csv").is_file() or held(folder / "records" / ".lock"):
        return True
    return _state(folder) not in ("finished", "not begun")


def write_interim(directory: str | Path, now: datetime | None = None) -> Interim:
    """Write ``interim/``: tables, figures and page of the tasks that are done. The run may go on meanwhile.

    Parameters
    ----------
    directory : path
        The output directory of a run.
    now : datetime, optional
        The time on the page, that of the clock if not given.

    Returns
    -------
    Interim
        The page, and how far the run is.

    Raises
    ------
    InputError
        The directory holds no study, or its study cannot be planned.
    StorageError
        It cannot be written.

    Notes
    -----
    Records are read as they are; those that are half-written, damaged or of other code count as not done.
    """
    folder = Path(directory)
    spec = study.load(folder / "spec.toml")
    tasks = in_order(study.plan(spec))
    state = _state(folder)
    kept = {event.label for event in read(folder / "events.jsonl") if event.event == "reused"}
    found, other = _records(Store(folder), tasks, kept)
    idle = _idle(tasks, found)
    done = sum(record.ok for record in found.values())
    failed = len(found) - done
    moment = f"{now or datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    sentence = _sentence(done, failed, len(idle), len(tasks), other, state, moment)
    place = Store(folder / INTERIM)
    for old in place.directory.glob("*.csv"):  # of an earlier page
        old.unlink(missing_ok=True)
    write_tables(study.tables(spec, [(task, found[task.key]) for task in tasks if task.key in found]), place)
    write_whole(place.directory / "spec.toml", (folder / "spec.toml").read_bytes())
    page = write_page(study.gather(folder, place.directory, sentence))
    return Interim(page, sentence, state, done, failed, len(idle), len(tasks))


def _state(folder: Path) -> str:
    try:
        return status(folder).state
    except InputError:  # no events
        return "not begun"


def _records(store: Store, tasks: Sequence[Task], kept: Collection[str]) -> tuple[dict[str, Record], int]:
    """The records by key that a run would use, and how many are of other code; `kept` are labels of those that it uses anyway."""
    found: dict[str, Record] = {}
    other = 0
    for task in tasks:  # needed ones come first
        try:
            record = store.load(task)
        except Damaged:
            continue
        except Outdated as error:
            if task.label not in kept:
                other += 1
                continue
            record = error.record
        whole = all(needed.key in found and found[needed.key].ok for needed in task.after)
        if record is not None and (whole or not record.ok):
            found[task.key] = record
    return found, other


def _idle(tasks: Sequence[Task], found: dict[str, Record]) -> set[str]:
    """Keys of the tasks that cannot run, because they need one that failed."""
    lost = {key for key, record in found.items() if not record.ok}
    idle: set[str] = set()
    for task in tasks:
        if task.key not in found and any(needed.key in lost or needed.key in idle for needed in task.after):
            idle.add(task.key)
    return idle


def _sentence(done: int, failed: int, idle: int, total: int, other: int, state: str, moment: str) -> str:
    counts = [f"{done} of {total} tasks are done"]
    counts += [f"{failed} failed"] if failed else []
    counts += [f"{idle} are not run because they need what failed"] if idle else []
    counts += [f"records of other code, not used here: {other}"] if other else []
    fate = _FATES.get(state, "the run has not begun")
    return (
        f"Incomplete: {', '.join(counts)}; {fate} ({moment}). Tables, slopes and verdicts are those of the tasks that are done, "
        "and may change."
    )
