"""What is shown during a run: a line for every task, and in a terminal a bar with the time left."""

from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..campaign import Event


class Live:
    """Call it with every event, inside a ``with`` block. Without a terminal it prints plain lines and nothing else."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._found = 0
        self._other: Counter[tuple[str, str]] = Counter()  # records of other code: what happens to them, and where they are from
        self._started = False
        columns = (BarColumn(28), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._bar = self._progress.add_task("", total=None) if self._progress else None
        self._running: dict[str, None] = {}

    def __enter__(self) -> "Live":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress:
            self._progress.stop()

    def __call__(self, event: Event) -> None:
        if event.event == "found":
            self._found += 1
        elif event.event in ("outdated", "reused"):
            self._other[event.event, str(event.detail)] += 1
        elif event.event not in ("damaged", "worker", "waiting"):
            self._recalled(event.total)
        if event.event == "start" and not self._started:
            self._started = True
            self._print(f"{event.total - event.done} tasks to do; the first ones compile their kernels and take longer")
        if text := line(event):
            self._print(text)
        self._move_bar(event)

    def _recalled(self, total: int) -> None:
        """Say once what was there from earlier runs."""
        if self._found:
            self._print(f"{self._found} of {total} tasks were finished before and are kept")
        for (what, reason), count in self._other.items():
            fate = "are kept, as --reuse-old says" if what == "reused" else "are computed again; --reuse-old would keep them"
            self._print(f"{count} of {total} records are {reason}: they {fate}")
        self._found = 0
        self._other.clear()

    def _move_bar(self, event: Event) -> None:
        if event.event == "start":
            self._running[event.label] = None
        else:
            self._running.pop(event.label, None)
        if self._progress and self._bar is not None:
            now = next(iter(self._running), "")
            more = f" and {len(self._running) - 1} more" if len(self._running) > 1 else ""
            text = escape(f"{remaining(event.left)}{'; ' if remaining(event.left) and now else ''}{now}{more}")
            self._progress.update(self._bar, completed=event.done, total=event.total, description=text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def line(event: Event) -> str:
    """The line of an event, or '' for those that need none: ``[ 3/24] Si vacancy L=2 (12 s); about 2 min left``."""
    count = f"[{event.done:>{len(str(event.total))}}/{event.total}]"
    match event.event:
        case "done":
            left = remaining(event.left) if event.done < event.total else ""
            return f"{count} {event.label} ({brief(event.seconds)}){'; ' if left else ''}{left}"
        case "failed":
            return f"{count} {event.label}: failed: {event.detail}"
        case "skipped":
            return f"{count} {event.label}: not run, it needs what failed"
        case "retry":
            return f"{event.label}: {event.detail}"
        case "damaged" | "worker" | "waiting":
            return str(event.detail)
    return ""


def remaining(seconds: float | None) -> str:
    """``about 2 min left``; '' when unknown."""
    if seconds is None:
        return ""
    return "less than a minute left" if seconds < 45 else f"about {_rough(seconds)} left"


def brief(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _rough(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"
