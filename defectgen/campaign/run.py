"""Run a plan: skip what is on disk, compute the rest in order of need, keep every result the moment it exists."""

import heapq
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import replace

from .._input import InputError
from .provenance import origin
from .record import Record
from .stop import NeverStopped, Stop, stoppable
from .store import Damaged, Event, Kind, Outdated, Store
from .task import Task, in_order
from .workers import Crew, crew, execute, sentence


class Board:
    """Which tasks wait, are ready, run, or are settled; every step of the bookkeeping costs as much as a task has neighbours.

    ``records`` grows from what was found on disk to all tasks.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = in_order(tasks)
        self.records: dict[str, Record] = {}
        self.running: set[str] = set()
        self._place = {task.key: place for place, task in enumerate(self.tasks)}
        needed = [{other.key for other in task.after} for task in self.tasks]
        self._users: dict[str, list[int]] = {}  # key -> places of the tasks that need it
        for place, keys in enumerate(needed):
            for key in keys:
                self._users.setdefault(key, []).append(place)
        self._missing = [len(keys) for keys in needed]  # needed results that are not there
        self._ready = [
            place for place, count in enumerate(self._missing) if not count
        ]  # heaps of places, settled ones among them
        self._blocked: list[int] = []
        self._waiting, self._waiting_weight = len(self.tasks), sum(task.weight for task in self.tasks)
        self._seconds = 0.0
        self._weight = 0.0

    def ready(self) -> Task | None:
        """The first task of the plan that can start now."""
        while self._ready:
            task = self.tasks[self._ready[0]]
            if task.key not in self.records and task.key not in self.running:
                return task
            heapq.heappop(self._ready)
        return None

    def start(self, task: Task) -> None:
        """Note that ``task`` runs."""
        self.running.add(task.key)

    def give_back(self, task: Task) -> None:
        """Note that ``task`` was not finished, and can start again."""
        self.running.discard(task.key)
        heapq.heappush(self._ready, self._place[task.key])

    def blocked(self) -> tuple[Task, Task] | None:
        """(task, the needed one that failed) for a task that can never start, or whose result nobody can use any more.

        The latter was found on disk, while something it needs was lost and could not be computed again.
        """
        while self._blocked:
            task = self.tasks[heapq.heappop(self._blocked)]
            if task.key not in self.running and (task.key not in self.records or self._ok(task)):
                return task, next(needed for needed in task.after if needed.key in self.records and not self._ok(needed))
        return None

    def settle(self, task: Task, record: Record, fresh: bool = True) -> None:
        """Enter the record of ``task``; ``fresh`` ones teach the clock."""
        self.running.discard(task.key)
        before = self.records.get(task.key)
        if before is None:
            self._waiting -= 1
            self._waiting_weight -= task.weight
        self.records[task.key] = record
        change = int(record.ok) - int(before is not None and before.ok)
        for user in self._users.get(task.key, ()):
            self._missing[user] -= change
            if not record.ok:
                heapq.heappush(self._blocked, user)
            elif not self._missing[user]:
                heapq.heappush(self._ready, user)
        if record.ok and any(needed.key in self.records and not self._ok(needed) for needed in task.after):
            heapq.heappush(self._blocked, self._place[task.key])  # what it needs was lost while it ran
        if fresh and record.ok:
            self._seconds += record.seconds
            self._weight += task.weight

    def left(self, hands: int) -> float | None:
        """Estimated seconds to the end with ``hands`` workers; None before the first task is done.

        Seconds per weight of what is done, times the weight that is not settled, shared by as many workers as there are tasks.
        """
        if not self._waiting:
            return 0.0
        if not self._weight:
            return None
        return self._seconds / self._weight * self._waiting_weight / max(1, min(hands, self._waiting))

    def _ok(self, task: Task) -> bool:
        record = self.records.get(task.key)
        return record is not None and record.ok


_DIED = (
    "the worker process died twice while computing it (killed, out of memory, or a script without "
    "an 'if __name__ == \"__main__\":' guard); try fewer workers"
)


_LOOK_UP = 0.2
"""Seconds between two looks at whether the run was stopped."""


class Interrupted(Exception):
    """The run was stopped from outside; ``signal`` says how. Every finished record is on disk."""

    def __init__(self, signal_number: int, done: int, total: int) -> None:
        super().__init__(f"stopped with {done} of {total} tasks done; give the same command again to go on from there")
        self.signal = signal_number


def run(
    tasks: Sequence[Task],
    store: Store,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Record]:
    """The record of every task and of every task it needs, by key.

    Finished records are read back; failed and damaged ones are computed again, and so are those of other code, unless the
    store reuses them. A task that fails is recorded with its reason and the others go on; what needs it is skipped with that
    reason, also if it was finished before. A task whose worker dies is tried once more, alone.

    Parameters
    ----------
    tasks : sequence of Task
        The plan, in any order.
    store : Store
        Where records and events are kept; the caller holds its lock.
    workers : int
        Local processes; 0 or 1 computes in this process.
    scheduler : str, optional
        Address of a dask scheduler, used instead of local processes.
    progress : callable, optional
        Called with every event after it is written.

    Returns
    -------
    dict
        Key of the task -> its record.

    Raises
    ------
    InputError
        ``workers`` is negative, or the scheduler cannot be reached.
    StorageError
        A record could not be written (full disk); those before it are safe.
    Interrupted
        Ctrl-C or SIGTERM.
    """
    if workers < 0:
        raise InputError(f"workers must be 0 or more, but {workers} came; use 1 to compute in this process")
    return _Run(Board(tasks), store, progress or (lambda event: None)).go(workers, scheduler)


class _Run:
    def __init__(self, board: Board, store: Store, progress: Callable[[Event], None]) -> None:
        self.board, self.store, self.progress = board, store, progress
        self.start = time.perf_counter()
        self.hands = 1
        self.futures: dict[Future[Record], Task] = {}
        self.suspects: dict[str, Task] = {}  # ran when a worker died: each is tried once more, alone
        self.stop: Stop = NeverStopped()

    def go(self, workers: int, scheduler: str | None) -> dict[str, Record]:
        with stoppable(interruptible=False) as self.stop:
            self.stop.last_words = self.interrupted
            try:
                self.tell("begin", detail={"workers": workers, "scheduler": scheduler})
                self.recall()
                while len(self.board.records) < len(self.board.tasks):
                    with crew(workers, scheduler, self.stop) as hired:
                        self.work(hired)
                self.heed()
            except KeyboardInterrupt:
                self.interrupted()
                raise Interrupted(self.stop.signal or signal.SIGINT, len(self.board.records), len(self.board.tasks)) from None
        self.tell("end", seconds=time.perf_counter() - self.start, detail=self.mixed() or None)
        return self.board.records

    def heed(self) -> None:
        """Raises KeyboardInterrupt if a signal came."""
        if self.stop.signal is not None:
            raise KeyboardInterrupt

    def interrupted(self) -> None:
        """Say that the run was stopped."""
        self.tell("interrupted", seconds=time.perf_counter() - self.start)

    def mixed(self) -> dict[str, dict[str, int]]:
        """Libraries of which the records saw several versions: library -> version -> number of records."""
        found: dict[str, Counter[str]] = {}
        for record in self.board.records.values():
            for name, version in (record.origin.libraries if record.origin is not None else {}).items():
                found.setdefault(name, Counter())[version] += 1
        return {name: dict(counts) for name, counts in found.items() if len(counts) > 1}

    def recall(self) -> None:
        """Enter what earlier runs finished."""
        for task in self.board.tasks:
            self.heed()
            try:
                record = self.store.load(task)
            except Damaged as error:
                self.tell("damaged", task, detail=str(error))
                continue
            except Outdated as error:
                if self.store.reuse_old and error.record.ok:
                    self.board.settle(task, error.record, fresh=False)
                    self.tell("reused", task, error.record.seconds, str(error))
                elif error.record.ok:
                    self.tell("outdated", task, detail=str(error))
                continue
            if record is not None and record.ok:
                self.board.settle(task, record, fresh=False)
                self.tell("found", task, record.seconds)

    def work(self, hired: Crew) -> None:
        """Until all is settled, or a worker dies (then the caller hires a new crew)."""
        self.hands = hired.size
        while len(self.board.records) < len(self.board.tasks):
            self.heed()
            self.skip()
            if not self.fill(hired.executor, hired.size):
                self.heed()
                return self.bury()
            if not self.futures:
                continue
            for future in wait(self.futures, _LOOK_UP, return_when=FIRST_COMPLETED).done:
                record = _result(future)
                if record is None:
                    self.heed()  # a signal to all processes ends the workers too
                    return self.bury()
                self.finish(self.futures.pop(future), record)
        self.skip()

    def fill(self, executor: Executor, size: int) -> bool:
        """Hand out ready tasks while hands are free; False when the crew is broken. Suspects go first and alone."""
        while len(self.futures) < (1 if self.suspects else size):
            task = next(iter(self.suspects.values()), None) or self.board.ready()
            if task is None:
                break
            self.heed()
            self.tell("start", task)
            needed = self.needed(task)
            self.board.start(task)
            try:
                future = executor.submit(execute, task, needed)
            except BrokenExecutor:
                self.board.give_back(task)
                return False
            self.futures[future] = task
        return True

    def needed(self, task: Task) -> dict[str, Record]:
        """The records that a task reads, by key."""
        return {other.key: self.board.records[other.key] for other in task.after}

    def finish(self, task: Task, record: Record) -> None:
        """Keep a record, then say so."""
        self.suspects.pop(task.key, None)
        stamps = [needed.origin.stamp if needed.origin is not None else "" for needed in self.needed(task).values()]
        record = replace(record, origin=origin(task, stamps))
        self.store.save(task, record)
        self.board.settle(task, record)
        self.tell("done" if record.ok else "failed", task, record.seconds, record.failed)

    def skip(self) -> None:
        """Settle what can never start, or cannot be used, because something it needs failed."""
        while blocked := self.board.blocked():
            task, lost = blocked
            what = "not used, because its input" if task.key in self.board.records else "not run, because"
            reason = f"{what} {lost.label!r} failed: {self.board.records[lost.key].failed}"
            self.board.settle(task, Record(failed=reason), fresh=False)
            self.tell("skipped", task, detail=reason)

    def bury(self) -> None:
        """A worker died and took the pool with it; who was running is a suspect, who was one already has failed."""
        running, self.futures = self.futures, {}
        for future, task in running.items():
            record = _result(future) if future.done() else None
            if record is not None:
                self.finish(task, record)
            elif task.key in self.suspects:
                self.finish(task, Record(failed=_DIED))
            else:
                self.suspects[task.key] = task
                self.board.give_back(task)
                self.tell("retry", task, detail="a worker process died; trying once more")

    def tell(self, kind: Kind, task: Task | None = None, seconds: float = 0.0, detail: object = None) -> None:
        """Log an event, then show it."""
        done, total = len(self.board.records), len(self.board.tasks)
        left = None if kind in ("begin", "interrupted") else self.board.left(self.hands)
        event = Event(kind, task.label if task else "", seconds, done, total, left, detail)
        self.store.log(event)
        self.progress(event)


def _result(future: Future[Record]) -> Record | None:
    """The record of a future that is done; None if its worker died."""
    if future.cancelled():
        return Record(failed="the scheduler dropped it; give the same command again to compute it")
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return None
    return future.result() if error is None else Record(failed=sentence(error))
