"""``defectgen status`` and ``defectgen report``: how far a run is, from another terminal, and its page."""

import shutil
from dataclasses import asdict
from pathlib import Path

from ..campaign import Status, StorageError, status
from .live import brief, remaining
from .speak import answer, say


def show_status(directory: Path) -> int:
    """Print how far a run is; status 1 if tasks failed, or the run ended before all was done."""
    found = status(directory)
    answer("\n".join(lines(directory, found)), asdict(found))
    return 0 if found.state in ("running", "finished") and not found.failed else 1


def write_report(directory: Path) -> None:
    """Write the page of a run, or that of what is done of a run that is not finished."""
    from .. import report

    if report.unfinished(directory):
        try:
            found = report.write_interim(directory)
        except StorageError:
            if report.unfinished(directory):
                raise
        else:
            if report.unfinished(directory):
                say(found.sentence)
                counts = {"done": found.done, "failed": found.failed, "not_run": found.not_run, "tasks": found.total}
                facts = {"report": found.page.absolute(), "complete": False, "state": found.state}
                return answer(f"report: {found.page}", facts | counts)
        shutil.rmtree(directory / report.INTERIM, ignore_errors=True)  # the run has ended meanwhile
    page = report.write(directory)
    answer(f"report: {page}", {"report": page.absolute(), "complete": True})


def lines(directory: Path, found: Status) -> list[str]:
    """The status in words."""
    where = f" on {found.scheduler}" if found.scheduler else ""
    how_long = {"running": "for", "finished": "after"}.get(found.state, "after")
    text = [f"{directory}: {found.state} {how_long} {brief(found.seconds)}{where}; last event {brief(found.quiet)} ago"]
    settled = found.done + found.found
    parts = [f"{settled} of {found.total} tasks done" + (f" ({found.found} of them before)" if found.found else "")]
    parts += [f"{count} {what}" for count, what in ((found.failed, "failed"), (found.skipped, "not run")) if count]
    parts += [f"{len(found.running)} running"] if found.state == "running" else []
    left = remaining(found.left) if found.state == "running" else ""
    text.append(f"{', '.join(parts)}{'; ' if left else ''}{left}")
    for one in found.running[:10]:
        text.append(f"running: {one.label} ({brief(one.seconds)}{f', worker {one.worker}' if one.worker else ''})")
    if len(found.running) > 10:
        text.append(f"running: and {len(found.running) - 10} more")
    text += [f"slowest: {label} ({brief(seconds)})" for label, seconds in found.slowest]
    text += [f"failed: {label}: {reason}" for label, reason in found.failures[:10]]
    if len(found.failures) > 10:
        text.append(f"failed: and {len(found.failures) - 10} more")
    text += list(found.notes)
    if found.state not in ("running", "finished"):
        text.append("give the same command again to go on from there")
    return text
