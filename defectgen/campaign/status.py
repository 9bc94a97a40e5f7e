"""How far a run is, from its events: for another terminal, while the run goes on or after it ended."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .._input import InputError
from .files import held
from .store import Event, read

_SLOWEST = 5


@dataclass(frozen=True)
class Running:
    """A task that is being computed: its label, for how long (s), and the worker, if it has a name."""

    label: str
    seconds: float
    worker: str | None = None


@dataclass(frozen=True)
class Status:
    """How far the last run of a directory is.

    Attributes
    ----------
    state : str
        ``running``, ``finished``, ``interrupted``, ``scheduler lost``, or ``ended`` for a run that was killed or failed itself.
    total, done, found, failed, skipped : int
        Tasks: all, finished by this run, finished before and kept, failed, and not run because of these.
    running : tuple of Running
        Longest first; empty unless the run goes on.
    left : float or None
        Estimated time to the end (s); None if the run does not go on, or nothing is finished yet.
    seconds : float
        Since the run began, or from begin to end (s).
    quiet : float
        Since the last event (s).
    slowest : tuple of (str, float)
        Labels and wall times (s) of the slowest finished tasks.
    failures : tuple of (str, str)
        Labels and reasons.
    scheduler : str or None
        Address of the scheduler.
    notes : tuple of str
        The last sentences about workers.
    """

    state: str
    total: int = 0
    done: int = 0
    found: int = 0
    failed: int = 0
    skipped: int = 0
    running: tuple[Running, ...] = ()
    left: float | None = None
    seconds: float = 0.0
    quiet: float = 0.0
    slowest: tuple[tuple[str, float], ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    scheduler: str | None = None
    notes: tuple[str, ...] = field(default=())


_ENDS = {"end": "finished", "interrupted": "interrupted", "lost": "scheduler lost"}


def status(directory: str | Path, now: datetime | None = None) -> Status:
    """How far the last run in a directory is.

    Parameters
    ----------
    directory : path
        The output directory of a run.
    now : datetime, optional
        The present time, that of the clock if not given.

    Returns
    -------
    Status
        Of the run that began last.

    Raises
    ------
    InputError
        The directory has no events of a run.
    """
    directory = Path(directory)
    events = _last_run(directory / "events.jsonl")
    if not events:
        raise InputError(f"'{directory}' has no events of a run (events.jsonl); give the --out directory of 'defectgen run'")
    moment = datetime.now(UTC) if now is None else now
    started: dict[str, Event] = {}
    slow: dict[str, float] = {}
    failures: dict[str, str] = {}
    counts = dict.fromkeys(("done", "found", "reused", "failed", "skipped"), 0)
    notes: list[str] = []
    for event in events:
        if event.event == "start":
            started[event.label] = event
        elif event.event in ("worker", "waiting"):
            notes.append(str(event.detail))
        elif event.event in counts:
            counts[event.event] += 1
        if event.event in ("done", "failed", "retry", "skipped"):
            started.pop(event.label, None)
        if event.event == "done":
            slow[event.label] = event.seconds
        if event.event == "failed" or (event.event == "found" and event.detail):
            failures[event.label] = str(event.detail)
    last = events[-1]
    state = _ENDS.get(last.event) or ("ended" if held(directory / "records" / ".lock") is False else "running")
    goes_on = state == "running"
    running = [Running(e.label, _since(e, moment), e.detail if isinstance(e.detail, str) else None) for e in started.values()]
    quiet = _since(last, moment)
    begin = events[0]
    return Status(
        state,
        last.total,
        counts["done"],
        counts["found"] + counts["reused"],
        counts["failed"],
        counts["skipped"],
        tuple(sorted(running, key=lambda one: -one.seconds)) if goes_on else (),
        None if not goes_on or last.left is None else max(0.0, last.left - quiet),
        _since(begin, moment) - (0.0 if goes_on else quiet),
        quiet,
        tuple(sorted(slow.items(), key=lambda one: -one[1])[:_SLOWEST]),
        tuple(failures.items()),
        begin.detail.get("scheduler") if isinstance(begin.detail, dict) else None,
        tuple(notes[-_SLOWEST:]),
    )


def _last_run(path: Path) -> list[Event]:
    """The events from the last begin on."""
    found: list[Event] = []
    for event in read(path):
        if event.event == "begin":
            found = [event]
        elif found and event.event != "command":
            found.append(event)
    return found


def _since(event: Event, moment: datetime) -> float:
    """Seconds from an event to a moment; 0 if the clock was set back."""
    try:
        return max(0.0, (moment - datetime.fromisoformat(event.time)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
