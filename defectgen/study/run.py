"""Read the directory of a run into one value; nothing is computed here."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .._input import InputError
from ..campaign import Event
from ..campaign.files import unguarded
from ..campaign.store import read
from .columns import FAILURES, LATER, RATES, RESULTS, Column


@dataclass(frozen=True, eq=False)
class Run:
    """The content of a run directory.

    Attributes:
        directory: where it lies; the page names no path.
        name, title: of the study.
        specification: text of ``spec.toml``.
        results, rates, failures: the tables, with at least the columns of ``columns.py``.
        others: further tables of the run by name; columns are numbers where all their cells are.
        command: the command line, versions: package -> version, both of the latest call.
        started: ISO time of the latest call; seconds: its wall time (s); reused: records it found from earlier calls.
        old: label and reason of the records of other code that it kept.
        mixed: libraries of which the records saw several versions: name -> version -> number of records.
        tasks: number of tasks of the plan.
        unfinished: how far the run is, for one that is not finished; otherwise empty.
    """

    directory: Path
    name: str
    title: str
    specification: str
    results: pd.DataFrame
    rates: pd.DataFrame
    failures: pd.DataFrame
    others: dict[str, pd.DataFrame]
    command: str
    versions: dict[str, str]
    started: str
    seconds: float | None
    reused: int
    old: list[tuple[str, str]]
    mixed: dict[str, dict[str, int]]
    tasks: int
    unfinished: str = ""


def gather(directory: str | Path, tables: Path | None = None, unfinished: str = "") -> Run:
    """The run in ``directory``.

    Args:
        directory: of the run.
        tables: folder of its tables and of its page, if that is another one.
        unfinished: how far the run is, for one that is not finished.

    Raises:
        InputError: it is no run, or a run that has not finished, or one of its files cannot be read.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise InputError(f"there is no directory {folder}; give the --out directory of a run")
    if not (folder / "spec.toml").is_file():
        raise InputError(f"{folder} has no spec.toml, so it is no run; give the --out directory of a run")
    place = folder if tables is None else tables
    if not (place / "results.csv").is_file():
        raise InputError(f"the run in {folder} has not finished (no results.csv); give its run command again, it resumes")
    try:
        specification = (folder / "spec.toml").read_text(encoding="utf-8-sig")
        table = tomllib.loads(specification)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{folder / 'spec.toml'} cannot be read ({error}); run the study again") from None
    latest = _latest(list(read(folder / "events.jsonl")))
    name = str(table.get("name", folder.name))
    return Run(
        directory=place,
        name=name,
        title=str(table.get("title") or latest["about"].get("title") or name),
        specification=specification,
        results=_table(place / "results.csv", RESULTS),
        rates=_table(place / "rates.csv", RATES),
        failures=_table(place / "failures.csv", FAILURES),
        others={path.stem: frame for path in _others(place) if (frame := _other(path)) is not None},
        command=str(latest["about"].get("command", f"defectgen run {name}")),
        versions={str(key): str(value) for key, value in latest["about"].get("versions", {}).items()},
        started=latest["started"],
        seconds=latest["seconds"],
        reused=latest["reused"],
        old=latest["old"],
        mixed=latest["mixed"],
        tasks=latest["tasks"],
        unfinished=unfinished,
    )


def _others(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.csv") if path.stem not in ("results", "rates", "failures"))


def _other(path: Path) -> pd.DataFrame | None:
    """A further table, columns as numbers where all their cells are; None for one without lines, as if it was not there."""
    try:
        return pd.read_csv(path, encoding="utf-8").map(unguarded)
    except pd.errors.EmptyDataError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}); run the study again") from None


def _latest(events: list[Event]) -> dict[str, Any]:
    """Facts of the latest call of the program on this directory."""
    commands = [number for number, event in enumerate(events) if event.event == "command"]
    events = events[commands[-1] :] if commands else events
    about = events[0].detail if commands and isinstance(events[0].detail, dict) else {}
    last = [event.detail for event in events if event.event == "end"][-1:]
    mixed = last[0] if last and isinstance(last[0], dict) else {}
    ends = [event for event in events if event.event in ("end", "interrupted")]
    return {
        "about": about,
        "started": events[0].time if events else "",
        "seconds": ends[-1].seconds if ends else None,
        "reused": sum(event.event in ("found", "reused") for event in events),
        "old": [(str(event.label), str(event.detail)) for event in events if event.event == "reused"],
        "mixed": {str(k): dict(v) for k, v in mixed.items() if isinstance(v, dict)},
        "tasks": max((event.total for event in events), default=0),
    }


def _table(path: Path, columns: Mapping[str, Column]) -> pd.DataFrame:
    """A CSV with at least ``columns``: text as text, flags as booleans (missing is False), the rest as numbers where they are."""
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8") if path.is_file() else pd.DataFrame()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}); run the study again") from None
    missing = [column for column in columns if column not in raw.columns]
    if len(raw.columns) and missing:
        raise InputError(f"{path} has no column {', '.join(missing[:3])}, so it is damaged; run the study again")
    raw = raw.map(unguarded)
    frame = raw.reindex(columns=[*columns, *(column for column in raw.columns if column not in columns)])
    known = {**columns, **{name: column for name, column in LATER.items() if name in frame}}
    for column in known:
        if known[column].format == "flag":
            frame[column] = frame[column].astype(str).str.lower().isin(["true", "1"])
        elif not known[column].numeric:
            frame[column] = frame[column].fillna("").astype(str)
        else:
            frame[column] = [_number(cell) for cell in frame[column]]
            frame[column] = frame[column].astype(float)
    return frame


def _number(cell: Any) -> float:
    """The exact float that was written (pandas' fast parser may miss the last digit); nan for what is none."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")
