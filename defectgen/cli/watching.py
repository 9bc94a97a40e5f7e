"""``defectgen status``: how far a run is, from another terminal."""

from dataclasses import asdict
from pathlib import Path

from ..campaign import Status, status
from .live import brief, remaining
from .speak import answer


def show_status(directory: Path) -> int:
    """Print how far a run is; status 1 if tasks failed, or the run ended before all was done."""
    found = status(directory)
    answer("\n".join(lines(directory, found)), asdict(found))
    return 0 if found.state in ("running", "finished") and not found.failed else 1


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
