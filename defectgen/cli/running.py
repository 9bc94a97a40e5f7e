"""``defectgen run``: load, plan, compute, tabulate, report."""

import math
import os
import shlex
import shutil
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from .. import campaign, report, study
from .._input import InputError
from ..campaign import Event, Record, Store, Task
from ..campaign.files import utf8
from ..campaign.provenance import versions
from ..campaign.stop import STATUS
from ..campaign.store import Damaged, Outdated
from ..study.remarks import gathered
from .live import Live, brief
from .speak import answer, console, say


def scheduler_of(
    address: str | None, file: Path | None, tls_ca_file: Path | None, tls_cert: Path | None, tls_key: Path | None
) -> campaign.Scheduler | None:
    """The scheduler that options name; None if they name none.

    Raises
    ------
    InputError
        Both an address and a file are given, or files of TLS without a scheduler.
    """
    if address is not None and file is not None:
        raise InputError("give --scheduler or --scheduler-file, not both")
    if address is None and file is None:
        if tls_ca_file or tls_cert or tls_key:
            raise InputError("--tls-ca-file, --tls-cert and --tls-key need --scheduler or --scheduler-file")
        return None
    return campaign.Scheduler(address, file, tls_ca_file, tls_cert, tls_key)


def run_study(
    name: str,
    out: Path | None,
    workers: int | None,
    scheduler: campaign.Scheduler | None,
    dry_run: bool,
    reuse_old: bool = False,
    timeout: float | None = None,
    retry_failed: bool = True,
) -> int:
    """Exit status of the run: 0 done, 1 finished with failed tasks or without its scheduler, 130 when it was stopped.

    Raises
    ------
    InputError
        The study, the directory or an option cannot be used.
    """
    if workers is not None and scheduler is not None:
        raise InputError("give --workers or a scheduler, not both")
    if scheduler is not None:
        scheduler.located()  # before the study is planned
    spec = study.load(name)
    where = out if out is not None else Path("runs") / spec.name
    return carry_out(spec, where, workers, scheduler, dry_run, reuse_old, timeout, retry_failed)


def carry_out(
    spec: Any,
    out: Path,
    workers: int | None,
    scheduler: campaign.Scheduler | None,
    dry_run: bool,
    reuse_old: bool = False,
    timeout: float | None = None,
    retry_failed: bool = True,
) -> int:
    """Plan, compute, tabulate and report a specification; the exit status is that of `run_study`."""
    start = time.perf_counter()
    if workers is not None and workers < 0:
        raise InputError(f"--workers must be 0 or more; got {workers}: use 1 to compute in one process")
    tasks = campaign.in_order(study.plan(spec))
    store = Store(out, reuse_old)
    directory = store.directory
    if dry_run:
        _show_plan(tasks, store)
        return 0
    if scheduler is not None:
        scheduler.check()  # before a file is written
    with store.lock():
        store.claim(spec.name, _with_versions(study.dump(spec)))
        store.log(Event("command", detail={"command": _command(), "versions": versions(), "title": getattr(spec, "title", None)}))
        say(f"{spec.name}: output in {directory}")
        hands = workers if workers is not None else min(_processors(), len(tasks))
        try:
            with Live(console()) as live, campaign.scratch_folder(directory / "scratch"):
                records = campaign.run(tasks, store, hands, scheduler, live, timeout, retry_failed)
        except campaign.SchedulerLost as lost:
            say(f"error: {lost}", error=True)
            return 1
        except campaign.Interrupted as stop:
            say(str(stop), error=True)
            return STATUS
        try:
            tables = _tabulate(spec, tasks, records, store)
        except (KeyError, TypeError) as error:
            if not reuse_old:
                raise
            raise InputError(
                f"old records do not hold all that this version tabulates ({error}); run without --reuse-old"
            ) from None
        page = report.write(directory)
        shutil.rmtree(directory / report.INTERIM, ignore_errors=True)
    failed, idle = _lost(tasks, records)
    fate = f"{len(failed) or 'none'} failed" + (f", {len(idle)} not run because they need what failed" if idle else "")
    seconds = time.perf_counter() - start
    summary = {
        "study": spec.name,
        "directory": directory.absolute(),
        "report": page.absolute(),
        "tasks": len(tasks),
        "failed": sorted(failed),
        "not_run": sorted(idle),
        "seconds": round(seconds, 1),
        "rates": tables.rates,
    }
    answer("\n".join([f"report: {page}", *tables.answers]), summary | tables.documents)
    say(f"{len(tasks)} tasks, {fate}; took {brief(seconds)}")
    return 1 if failed else 0


def _tabulate(spec: Any, tasks: Sequence[Task], records: Mapping[str, Record], store: Store) -> Any:
    """The tables of the run, written; shows the rates and the failures."""
    tables = study.tables(spec, [(task, records[task.key]) for task in tasks])
    report.write_tables(tables, store)
    if tables.rates:
        _show_rates(tables.rates)
    lost, idle = _lost(tasks, records)
    for row in gathered(tables.failures):  # a case that ran but proved nothing is there too, as a note
        if row["label"] not in idle:
            say(f"{'failed' if row['label'] in lost else 'note'}: {row['label']}: {row['reason']}", error=True)
    return tables


def _lost(tasks: Sequence[Task], records: Mapping[str, Record]) -> tuple[set[str], set[str]]:
    """Labels of the tasks that failed, and of those that were not run because they need one of them."""
    without = [task for task in tasks if not records[task.key].ok]
    idle = {task.label for task in without if any(not records[needed.key].ok for needed in task.after)}
    return {task.label for task in without} - idle, idle


def _show_rates(rates: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="rates: slope of log error against log training radius", title_justify="left", box=None, pad_edge=False)
    for heading in ("material", "defect", "observations", "error of"):
        table.add_column(heading)
    for heading in ("slope", "interval", "predicted"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for rate in rates:
        names = [str(rate[key]) for key in ("material", "defect", "observations", "quantity")]
        ends = _decimal(rate["low"]), _decimal(rate["high"])
        interval = " to ".join(ends) if all(ends) else ""
        numbers = [_decimal(rate["slope"]), interval, _decimal(rate["predicted"], 1)]
        table.add_row(*(Text(cell) for cell in [*names, *numbers, str(rate["verdict"])]))
    console().print(table)


def _show_plan(tasks: Sequence[Task], store: Store) -> None:
    """Every task, what it waits for, and how much of the work it is."""
    total = sum(task.weight for task in tasks) or 1.0
    table = Table(box=None, pad_edge=False)
    for heading in ("task", "function", "needs", "share", "on disk"):
        table.add_column(heading, justify="right" if heading in ("needs", "share") else "left")
    for task in tasks:
        function = task.function.rpartition(".")[2]
        share = f"{task.weight / total:.1%}"
        table.add_row(Text(task.label), Text(function), str(len(task.after) or ""), share, "yes" if _kept(store, task) else "")
    console().print(table)
    counts = Counter(task.function.rpartition(".")[2] for task in tasks)
    listing = ", ".join(f"{count} {function}" for function, count in counts.items())
    say(f"{len(tasks)} tasks ({listing}); nothing was computed; output would be in {store.directory}")


def _kept(store: Store, task: Task) -> bool:
    try:
        record = store.load(task)
    except Damaged:
        return False
    except Outdated as error:
        return store.reuse_old and error.record.ok
    return record is not None and record.ok


def _with_versions(text: str) -> str:
    """The specification with a table of versions at its end, unless it has one."""
    if "versions" in tomllib.loads(text):
        return text
    lines = [f'{name} = "{version}"' for name, version in versions().items()]
    return "\n".join([text.rstrip("\n"), "", "[versions]", *lines, ""])


def _command() -> str:
    return utf8(shlex.join(["defectgen", *sys.argv[1:]])).decode("utf-8", "replace")


def _processors() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decimal(value: Any, digits: int = 2) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
