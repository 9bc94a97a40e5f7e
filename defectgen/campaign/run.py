"""Run a plan: skip what is on disk, compute the rest in the order of dependencies, and store every result at once."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import replace

from .._input import InputError
from .board import Board, Shape, shape
from .cluster import Answer, Batch, Cluster, Member, Scheduler, SchedulerLost, connected, memory_of
from .provenance import origin
from .record import Record
from .remote import ENOUGH, execute_within
from .stop import NeverStopped, Stop, stoppable
from .store import Damaged, Event, Kind, Outdated, Store
from .task import Task
from .workers import Crew, crew, scratch, sentence

_DIED = (
    "the worker process died twice while computing it (killed, out of memory, or a script without "
    "an 'if __name__ == \"__main__\":' guard); try fewer workers"
)


TRIES = 3
"""How often a task is tried on a cluster whose workers end while they compute it."""
_LARGEST = 64
"""Tasks in a batch."""
_LOOK_UP = 0.2
"""Seconds between two looks at whether the run was stopped."""


class Interrupted(Exception):
    """The run was stopped from outside, by the signal ``signal``. Every finished record is on disk."""

    def __init__(self, signal_number: int, done: int, total: int) -> None:
        super().__init__(f"stopped with {done} of {total} tasks done; give the same command again to go on from there")
        self.signal = signal_number


def run(
    tasks: Sequence[Task],
    store: Store,
    workers: int = 1,
    scheduler: str | Scheduler | None = None,
    progress: Callable[[Event], None] | None = None,
    timeout: float | None = None,
    retry_failed: bool = True,
) -> dict[str, Record]:
    """The record of every task and of every task it needs, by key.

    Finished records are read back; failed and damaged ones are computed again, and so are those of other code, unless the
    store reuses them. A task that fails is recorded with its reason and the others go on; what needs it is skipped with that
    reason, also if it was finished before. A task whose worker dies is tried once more, alone; on a cluster, up to `TRIES`
    times.

    Parameters
    ----------
    tasks : sequence of Task
        The plan, in any order.
    store : Store
        Where records and events are kept; the caller holds its lock. This process is the only writer.
    workers : int
        Local processes; 0 or 1 computes in this process.
    scheduler : str or Scheduler, optional
        A dask scheduler, used instead of local processes. Workers may join and leave at any time.
    progress : callable, optional
        Called with every event after it is written.
    timeout : float, optional
        Seconds that a task may take. The worker process that takes longer ends, and the task counts as one whose worker died.
    retry_failed : bool
        Whether tasks that failed in an earlier run are computed again.

    Returns
    -------
    dict
        Key of the task -> its record.

    Raises
    ------
    InputError
        ``workers`` is negative, ``timeout`` is not positive or there is no worker process to end, or the scheduler cannot be
        reached.
    StorageError
        A record could not be written (full disk); those before it are safe.
    SchedulerLost
        The scheduler was there and is gone; a further run resumes.
    Interrupted
        Ctrl-C or SIGTERM.
    """
    if workers < 0:
        raise InputError(f"workers must be 0 or more; got {workers}: use 1 to compute in this process")
    if timeout is not None and not timeout > 0:
        raise InputError(f"timeout must be a positive number of seconds; got {timeout:g}")
    if timeout is not None and scheduler is None and workers < 2:
        raise InputError("a time limit of tasks (timeout) needs worker processes that can be ended; use 2 workers or more")
    told = progress or (lambda event: None)
    if scheduler is None:
        return _Local(Board(tasks), store, told, timeout, retry_failed, workers).go()
    where = Scheduler(scheduler) if isinstance(scheduler, str) else scheduler
    return _Spread(Board(tasks), store, told, timeout, retry_failed, where).go()


class _Run:
    """What a run does wherever its tasks are computed: read and store records, skip tasks, report events."""

    where: dict[str, object]

    def __init__(
        self, board: Board, store: Store, progress: Callable[[Event], None], timeout: float | None, retry_failed: bool
    ) -> None:
        self.board, self.store, self.progress = board, store, progress
        self.timeout, self.retry_failed = timeout, retry_failed
        self.start = time.perf_counter()
        self.hands = 1
        self.stop: Stop = NeverStopped()

    def go(self) -> dict[str, Record]:
        with stoppable(interruptible=False) as self.stop:
            self.stop.last_words = self.interrupted
            try:
                self.tell("begin", detail=self.where)
                self.recall()
                while len(self.board.records) < len(self.board.tasks):
                    self.work()
                self.heed()
            except KeyboardInterrupt:
                self.interrupted()
                raise Interrupted(self.stop.signal or signal.SIGINT, len(self.board.records), len(self.board.tasks)) from None
        self.tell("end", seconds=time.perf_counter() - self.start, detail=self.mixed() or None)
        return self.board.records

    def work(self) -> None:
        """Compute what is not settled, or a part of it."""
        raise NotImplementedError

    def heed(self) -> None:
        """Raises KeyboardInterrupt if a signal came."""
        if self.stop.signal is not None:
            raise KeyboardInterrupt

    def interrupted(self) -> None:
        """Report that the run was stopped."""
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
            if record is not None and (record.ok or not self.retry_failed):
                self.board.settle(task, record, fresh=False)
                self.tell("found", task, record.seconds, record.failed)

    def needed(self, task: Task) -> dict[str, Record]:
        """The records that a task reads, by key."""
        return {other.key: self.board.records[other.key] for other in task.after}

    def finish(self, task: Task, record: Record) -> None:
        """Store a record, then report it."""
        self.keep([(task, record, None)])

    def keep(self, outcome: Sequence[tuple[Task, Record, dict[str, str] | None]]) -> None:
        """Store records, then report them; with the libraries of each, if they are not those of this process."""
        stamped = []
        for task, record, libraries in outcome:
            stamps = [needed.origin.stamp if needed.origin is not None else "" for needed in self.needed(task).values()]
            source = origin(task, stamps)
            source = source if libraries is None else replace(source, libraries=libraries)
            stamped.append((task, replace(record, origin=source)))
        self.store.save_all(stamped)
        for task, record in stamped:
            self.board.settle(task, record)
            self.tell("done" if record.ok else "failed", task, record.seconds, record.failed)

    def late(self, seconds: float, tries: int) -> str | None:
        """Why a task failed whose worker ended after so many seconds, if that was for the time limit."""
        if self.timeout is None or seconds < self.timeout:
            return None
        return (
            f"it took longer than the time limit of {self.timeout:g} s in {tries} tries; its worker process was ended each time"
        )

    def skip(self) -> None:
        """Settle what can never start, or cannot be used, because something it needs failed."""
        while blocked := self.board.blocked():
            task, lost = blocked
            what = "not used, because its input" if task.key in self.board.records else "not run, because"
            reason = f"{what} {lost.label!r} failed: {self.board.records[lost.key].failed}"
            self.board.settle(task, Record(failed=reason), fresh=False)
            self.tell("skipped", task, detail=reason)

    def tell(self, kind: Kind, task: Task | None = None, seconds: float = 0.0, detail: object = None) -> None:
        """Log an event, then show it."""
        done, total = len(self.board.records), len(self.board.tasks)
        left = None if kind in ("begin", "interrupted", "lost") else self.board.left(self.hands)
        event = Event(kind, task.label if task else "", seconds, done, total, left, detail)
        self.store.log(event)
        self.progress(event)


class _Local(_Run):
    """Tasks are computed in this process or in local worker processes."""

    def __init__(
        self,
        board: Board,
        store: Store,
        progress: Callable[[Event], None],
        timeout: float | None,
        retry_failed: bool,
        workers: int,
    ) -> None:
        super().__init__(board, store, progress, timeout, retry_failed)
        self.workers, self.where = workers, {"workers": workers, "scheduler": None}
        self.futures: dict[Future[Record], Task] = {}
        self.suspects: dict[str, Task] = {}  # ran when a worker died: each is tried once more, alone
        self.started: dict[str, float] = {}

    def work(self) -> None:
        with crew(self.workers, self.stop) as hired:
            self.on(hired)

    def on(self, hired: Crew) -> None:
        """Until all is settled, or a worker dies (then a new pool is started)."""
        self.hands = hired.size
        while len(self.board.records) < len(self.board.tasks):
            self.heed()
            self.skip()
            if not self.fill(hired.executor, hired.size):
                self.heed()
                return self.pool_broken()
            if not self.futures:
                continue
            for future in wait(self.futures, _LOOK_UP, return_when=FIRST_COMPLETED).done:
                record = _result(future)
                if record is None:
                    self.heed()  # a signal to all processes ends the workers too
                    return self.pool_broken()
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
            self.started[task.key] = time.perf_counter()
            try:
                future = executor.submit(execute_within, task, needed, self.timeout)
            except BrokenExecutor:
                self.board.give_back(task)
                return False
            self.futures[future] = task
        return True

    def finish(self, task: Task, record: Record) -> None:
        self.suspects.pop(task.key, None)
        super().finish(task, record)

    def pool_broken(self) -> None:
        """A worker died and ended the pool: running tasks are suspects, and those that were suspects before have failed."""
        running, self.futures = self.futures, {}
        for future, task in running.items():
            record = _result(future) if future.done() else None
            if record is not None:
                self.finish(task, record)
            elif task.key in self.suspects:
                self.finish(task, Record(failed=self.late(time.perf_counter() - self.started[task.key], 2) or _DIED))
            else:
                self.suspects[task.key] = task
                self.board.give_back(task)
                self.tell("retry", task, detail="a worker process died; trying once more")


class _Spread(_Run):
    """Tasks are computed by the workers of a dask cluster, in batches of one shape."""

    def __init__(
        self,
        board: Board,
        store: Store,
        progress: Callable[[Event], None],
        timeout: float | None,
        retry_failed: bool,
        scheduler: Scheduler,
    ) -> None:
        super().__init__(board, store, progress, timeout, retry_failed)
        self.scheduler, self.patience = scheduler, scheduler.patience
        self.where = {"workers": None, "scheduler": scheduler.located()}
        self.deaths: dict[str, int] = {}  # key -> workers that ended while they computed it alone; 0 if it was with others
        self.memory: dict[str, str] = {}  # key -> what was known of the memory of a worker that ended while it computed it alone
        self.measured: dict[Shape, tuple[float, int]] = {}  # seconds, tasks
        now = time.monotonic()
        self.staffed = self.finished = self.reminded = now
        self.pause = self.patience.unstaffed

    def work(self) -> None:
        folder = scratch()
        with connected(self.scheduler, self.board.tasks, self.timeout, None if folder is None else str(folder)) as cluster:
            try:
                self.on(cluster)
            except SchedulerLost as error:
                done, total = len(self.board.records), len(self.board.tasks)
                reason = f"{error} with {done} of {total} tasks done; start it again and give the same command, it resumes"
                self.tell("lost", seconds=time.perf_counter() - self.start, detail=reason)
                raise SchedulerLost(reason) from None
            finally:
                cluster.close()

    def on(self, cluster: Cluster) -> None:
        """Until all is settled."""
        while len(self.board.records) < len(self.board.tasks):
            self.heed()
            self.skip()
            news, lost = cluster.look()
            self.report(news)
            self.hand_out(cluster)
            news, answers = cluster.answers(_LOOK_UP)
            self.report(news)
            self.collect([*lost, *answers])
            self.give_up(cluster)
            self.remark(cluster)
        self.skip()

    def report(self, news: list[tuple[Member, str]]) -> None:
        """Report which workers joined, left or were refused."""
        for member, text in news:
            self.tell("worker", detail=f"worker {member.name} {text}")

    def hand_out(self, cluster: Cluster) -> None:
        """Give batches to all free workers, those with most free threads first."""
        self.hands = max(1, cluster.size)
        for member in list(cluster.members.values()):
            while member.free > 0:
                batch = self.board.batch(self.batch_size, member.last, self.deaths)
                if not batch:
                    return
                self.heed()
                needed = {}
                for task in batch:
                    self.tell("start", task, detail=member.name)
                    needed.update(self.needed(task))
                    self.board.start(task)
                cluster.submit(member, batch, needed)

    def batch_size(self, kind: Shape, waiting: int) -> int:
        """As many tasks as are computed in `ENOUGH` seconds, and not more than leave work for all."""
        seconds, count = self.measured.get(kind, (0.0, 0))
        if not count:
            return 1
        return max(1, min(_LARGEST, -(-waiting // self.hands), int(ENOUGH * count / max(seconds, 1e-9))))

    def collect(self, answers: Sequence[Answer]) -> None:
        """Keep the records of batches, all together; what is missing starts again, or has failed."""
        now = time.monotonic()
        came: dict[str, tuple[Task, Record, dict[str, str] | None]] = {}
        for answer in answers:
            told = answer.batch.member.introduction
            for task in answer.batch.tasks:
                record = answer.records.get(task.key)
                if record is not None and task.key not in self.board.records:
                    came[task.key] = task, record, told.libraries if told is not None else None
        for task, record, _ in came.values():
            seconds, count = self.measured.get(shape(task), (0.0, 0))
            self.measured[shape(task)] = seconds + record.seconds, count + 1
            self.deaths.pop(task.key, None)
        if came:
            self.keep(list(came.values()))
            self.finished, self.pause = now, self.patience.unstaffed
        for answer in answers:
            self.go_on_without(answer, now)

    def go_on_without(self, answer: Answer, now: float) -> None:
        """What to do with the tasks of a batch of which there is no record."""
        for task in answer.batch.tasks:
            if task.key in self.board.records:
                continue
            if answer.lost:
                self.worker_lost(task, answer.batch, now - answer.batch.start)
            elif answer.error is not None and len(answer.batch.tasks) == 1:
                self.finish(task, Record(failed=sentence(answer.error)))
            else:
                if answer.error is not None:
                    self.deaths.setdefault(task.key, 0)  # alone, so that it is known whose fault it is
                self.board.give_back(task)

    def worker_lost(self, task: Task, batch: Batch, seconds: float) -> None:
        """A worker ended with this task: it starts again alone, unless it was alone too often."""
        alone = len(batch.tasks) == 1
        self.deaths[task.key] = self.deaths.get(task.key, 0) + alone
        self.memory[task.key] = (memory_of(batch.member) if alone else "") or self.memory.get(task.key, "")
        if self.deaths[task.key] < TRIES:
            self.board.give_back(task)
            self.tell("retry", task, seconds, f"its worker {batch.member.name} is gone; trying once more")
            return
        how = f"killed, crashed, or out of memory{self.memory[task.key]}"
        died = f"its worker ended {TRIES} times while computing it ({how}); the log of the worker has details"
        self.finish(task, Record(failed=self.late(seconds, TRIES) or died))

    def give_up(self, cluster: Cluster) -> None:
        """Take tasks back from workers that should have ended themselves for the time limit: they are stopped, or cannot end."""
        if self.timeout is None:
            return
        now = time.monotonic()
        for batch in cluster.batches:
            if not batch.given_up and now > batch.start + self.timeout + ENOUGH + self.patience.grace:
                cluster.give_up(batch)
                self.collect([Answer(batch, lost=True)])

    def remark(self, cluster: Cluster) -> None:
        """Report if there is no worker, or if nothing was finished for long."""
        now = time.monotonic()
        if cluster.size:
            self.staffed = now
        idle, still = now - self.staffed, now - self.finished
        if not cluster.size and idle > self.patience.unstaffed and now > self.reminded + self.pause:
            refused = sum(member.refused is not None for member in cluster.members.values())
            others = f" ({refused} refused)" if refused else ""
            text = f"no worker{others} for {idle:.0f} s; start some with 'dask worker {cluster.address}'"
        elif cluster.size and still > self.patience.still and now > self.reminded + max(self.pause, self.patience.still):
            slowest = min(cluster.batches, key=lambda batch: batch.start, default=None)
            longest = (
                ""
                if slowest is None
                else (f"; {slowest.tasks[0].label} has been on worker {slowest.member.name} for {now - slowest.start:.0f} s")
            )
            text = f"no task was finished for {still:.0f} s{longest}"
        else:
            return
        self.tell("waiting", detail=text)
        self.reminded, self.pause = now, min(2 * self.pause, 3600.0)


def _result(future: Future[Record]) -> Record | None:
    """The record of a future that is done; None if its worker died."""
    if future.cancelled():
        return Record(failed="the scheduler dropped it; give the same command again to compute it")
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return None
    return future.result() if error is None else Record(failed=sentence(error))
