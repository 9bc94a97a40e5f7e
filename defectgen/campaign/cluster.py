"""A supervised dask cluster: which workers are there, which may compute, what they compute, and the results.

Workers may join and leave at any time. Each is checked before it computes: a worker with another version of this package, other
sources or another Python would mix its results with those of the others. A batch is placed on one worker, so that what is lost
with a worker is known.
"""

import json
import logging
import pickle
import platform
import queue
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._input import InputError
from .board import Shape, shape
from .provenance import code, installed, libraries, named_plugins, own_version
from .record import Record
from .remote import Introduction, Stranger, compute, introduce
from .task import Task

_LOOK = 0.5
"""Seconds between two looks at who is there; a thousandth more for every worker."""


_MUCH = 0.6
"""Of the memory limit: from here on dask writes data to disk. The last look is up to a second before a worker ends."""


@dataclass(frozen=True)
class Patience:
    """How long a run waits for a cluster; all times in seconds.

    Attributes
    ----------
    connect : float
        In which a scheduler must answer at the beginning.
    lost : float
        Without an answer, after which a scheduler that was there counts as lost.
    unstaffed : float
        Without a worker, after which this is reported; then after twice as long, and so on, up to an hour.
    still : float
        In which no task was finished, after which this is reported; then after twice as long, and so on.
    grace : float
        Over the limit of a task, after which its worker, which should have ended itself, counts as stopped.
    """

    connect: float = 10.0
    lost: float = 30.0
    unstaffed: float = 30.0
    still: float = 600.0
    grace: float = 30.0


@dataclass(frozen=True)
class Scheduler:
    """Where a dask scheduler is, the certificates with which it is reached, and how long it is waited for.

    Attributes
    ----------
    address : str, optional
        Like ``tcp://host:8786`` or ``tls://host:8786``.
    file : Path or str, optional
        File that ``dask scheduler --scheduler-file`` writes, instead of an address.
    tls_ca_file, tls_cert, tls_key : Path or str, optional
        Certificate of the authority, own certificate and key (PEM). Without them dask's own configuration counts
        (``distributed.comm.tls``).
    patience : Patience
        Times after which something counts as lost, or after which it is reported as missing.
    """

    address: str | None = None
    file: Path | str | None = None
    tls_ca_file: Path | str | None = None
    tls_cert: Path | str | None = None
    tls_key: Path | str | None = None
    patience: Patience = Patience()

    def located(self) -> str:
        """The address.

        Raises
        ------
        InputError
            Neither or both of address and file are given, or the file is not there or holds no address.
        """
        if (self.address is None) == (self.file is None):
            raise InputError("a scheduler has an address or a scheduler file; give one of the two")
        if self.address is not None:
            return self.address
        path = Path(str(self.file))
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["address"])
        except FileNotFoundError:
            raise InputError(
                f"there is no scheduler file '{path}'; start the scheduler with 'dask scheduler --scheduler-file {path}'"
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(
                f"'{path}' is no scheduler file; 'dask scheduler --scheduler-file FILE' writes one with the address"
            ) from None

    def files(self) -> dict[str, str]:
        """The files of TLS by their names in dask.

        Raises
        ------
        InputError
            A file is not there, or a certificate comes without its key.
        """
        named = {"tls_ca_file": self.tls_ca_file, "tls_client_cert": self.tls_cert, "tls_client_key": self.tls_key}
        found = {name: str(path) for name, path in named.items() if path is not None}
        if not found:
            return {}
        if len(found) < 3:
            raise InputError("TLS needs three files: authority (tls_ca_file), certificate (tls_cert) and key (tls_key)")
        for path in found.values():
            if not Path(path).is_file():
                raise InputError(f"there is no file '{path}' for TLS")
        return found

    def check(self) -> None:
        """Connect once, before anything is written for a run.

        Raises
        ------
        InputError
            No scheduler responds, its version of dask is another, dask.distributed is not installed, or a file of TLS is missing.
        """
        with _client_of(self):
            pass


class SchedulerLost(Exception):
    """The scheduler does not answer any more. Every finished record is on disk."""


@dataclass
class Member:
    """A worker of the cluster.

    Attributes
    ----------
    address, name : str
        Of the process, as the scheduler knows it.
    threads : int
        Batches it may compute at a time.
    memory_limit, memory : int
        Bytes; 0 if there is no limit, or it is not known.
    introduction : Introduction or None
        None until it has introduced itself.
    refused : str or None
        Why it may not compute.
    """

    address: str
    name: str
    threads: int
    memory_limit: int = 0
    memory: int = 0
    status: str = "running"
    introduction: Introduction | None = None
    refused: str | None = None
    executor: Executor | None = None
    batches: dict[int, "Batch"] = field(default_factory=dict)
    last: Shape | None = None

    @property
    def hired(self) -> bool:
        """Whether it may compute."""
        return self.introduction is not None and self.refused is None

    @property
    def free(self) -> int:
        """Batches that it can take now."""
        return self.threads - len(self.batches) if self.hired and self.status == "running" else 0


@dataclass
class Batch:
    """Tasks that one worker computes one after the other.

    Attributes
    ----------
    number : int
        Counts batches.
    tasks : list of Task
        In the order in which they are computed.
    member : Member
        The worker.
    start : float
        When it was handed out (s, monotonic).
    given_up : bool
        Whether its tasks were given to others because it took too long.
    """

    number: int
    tasks: list[Task]
    member: Member
    start: float
    given_up: bool = False


@dataclass(frozen=True)
class Answer:
    """The outcome of a batch: its records; or that its worker, or the connection, was lost; or what was raised."""

    batch: Batch
    records: dict[str, Record] = field(default_factory=dict)
    lost: bool = False
    dropped: bool = False
    error: BaseException | None = None


@contextmanager
def connected(scheduler: Scheduler, tasks: Sequence[Task], limit: float | None, scratch: str | None) -> Iterator["Cluster"]:
    """The cluster for the time of the block; what it still computes at the end is dropped.

    Raises
    ------
    InputError
        What `Scheduler.check` raises.
    """
    functions = _functions(tasks)
    with _client_of(scheduler) as client:
        yield Cluster(client, scheduler.located(), functions, limit, scratch, scheduler.patience.lost)


@contextmanager
def _client_of(scheduler: Scheduler) -> Iterator[Any]:
    """A client of the scheduler for the time of the block."""
    try:
        from dask.distributed import Security
    except ImportError:
        raise InputError("--scheduler needs dask.distributed: pip install distributed") from None
    address, files = scheduler.located(), scheduler.files()
    security = Security(require_encryption=True, **files) if files else None
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # what matters is said in the run's own words
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of mismatched versions, which are checked here
            client = _client(address, security, scheduler.patience.connect)
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=2)
    finally:
        logger.setLevel(before)


def _client(address: str, security: Any, seconds: float) -> Any:
    """A client of the scheduler, which must respond within this time (s); InputError without one, or for another version."""
    from dask.distributed import Client
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    ours = installed("distributed")

    def no_scheduler(reason: str) -> InputError:
        return InputError(f"no dask scheduler responds at {address!r} ({reason}); start one with 'dask scheduler'")

    try:
        kind, place = parse_address(address)
        get_backend(kind)
        if kind in ("tcp", "tls", "ws", "wss"):
            parse_host_port(place)
    except ValueError as error:
        raise no_scheduler(_line(error)) from None
    made: list[Any] = []  # a client, whose methods are coroutines or not as it is made, or what was raised

    def make() -> None:
        try:
            made.append(Client(address, timeout=seconds, security=security, set_as_default=False))
        except Exception as error:
            made.append(error)

    maker = threading.Thread(target=make, daemon=True)  # what answers in another protocol keeps a client waiting for ever
    maker.start()
    maker.join(1.5 * seconds)
    client = made[0] if made else TimeoutError("the program there does not use dask's protocol")
    if isinstance(client, ImportError):  # the scheduler refuses this version
        raise InputError(f"the scheduler at {address!r} refuses this client: {_line(client)}")
    if isinstance(client, Exception):
        raise no_scheduler(_line(client))
    try:
        about = client.sync(client.scheduler.identity, n_workers=0, callback_timeout=seconds)
        if about.get("type") != "Scheduler":
            raise no_scheduler(f"a dask {str(about.get('type')).lower()} is there")
        versions = client.sync(client.scheduler.versions, packages=[], callback_timeout=seconds)
        theirs = versions["packages"].get("distributed")
        if theirs != ours:
            raise InputError(
                f"the scheduler at {address!r} is of dask.distributed {theirs}, and this program uses {ours}; "
                "start scheduler, workers and run with one version"
            )
    except InputError:
        client.close(timeout=2)
        raise
    except Exception as error:
        client.close(timeout=2)
        raise no_scheduler(_line(error)) from None
    return client


def _functions(tasks: Sequence[Task]) -> list[str]:
    """What the workers must have the same code of."""
    found = sorted({name for task in tasks for name in (task.function, *task.modules, *named_plugins(task))})
    own = [name for name in found if name.partition(":")[0] == "__main__"]
    if own:
        raise InputError(f"{own[0]!r} is defined in a script, which workers cannot import; put it in a module of its own")
    return found


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines and lines[0].strip() else type(error).__name__


class Cluster:
    """Workers and batches of one run; every method returns at once but `answers`, which waits for a stated time."""

    def __init__(
        self,
        client: Any,
        address: str,
        functions: Sequence[str],
        limit: float | None,
        scratch: str | None,
        lost: float = Patience.lost,
    ) -> None:
        self.address = address
        self.members: dict[str, Member] = {}
        self._client, self._limit, self._scratch, self._lost = client, limit, scratch, lost
        self._functions = list(functions)
        self._code = {name: code(name) for name in functions}
        self._came: queue.SimpleQueue[tuple[Batch | Member, Future[Any]]] = queue.SimpleQueue()
        self._count = 0
        self._batches: dict[int, Batch] = {}
        self._seen: dict[str, Any] | None = None  # workers by address, as the scheduler describes them
        self._heard = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def size(self) -> int:
        """Batches that can be computed at the same time."""
        return sum(member.threads for member in self.members.values() if member.hired)

    @property
    def batches(self) -> list[Batch]:
        """Those that are being computed."""
        return list(self._batches.values())

    def close(self) -> None:
        """Drop what is being computed."""
        self._over.set()
        for member in self.members.values():
            if member.executor is not None:
                with suppress(Exception):
                    member.executor.shutdown(wait=False)

    def look(self) -> tuple[list[tuple[Member, str]], list[Answer]]:
        """Workers that joined, left or were refused since the last call, each with a sentence; and the lost batches.

        Raises
        ------
        SchedulerLost
            The scheduler is gone.
        """
        if self._client.status in ("closed", "closing") or time.monotonic() > self._heard + self._lost:
            raise SchedulerLost(f"the scheduler at {self.address!r} is gone")
        seen, self._seen = self._seen, None
        news: list[tuple[Member, str]] = []
        lost: list[Answer] = []
        if seen is None:
            return news, lost
        for address, member in list(self.members.items()):
            if address not in seen:
                del self.members[address]
                if member.refused is None:
                    how = "" if member.hired else " before it could be checked; its log has details"
                    news.append((member, f"left{how}{memory_of(member)}"))
                for batch in member.batches.values():
                    del self._batches[batch.number]
                    if not batch.given_up:
                        lost.append(Answer(batch, lost=True))
        for address, about in seen.items():
            member = self.members.get(address)
            if member is None:
                self._welcome(address, about)
            else:
                member.status, member.memory = about["status"], int(about.get("metrics", {}).get("memory", 0) or 0)
        return news, lost

    def _welcome(self, address: str, about: Mapping[str, Any]) -> None:
        """Enter a new worker, and let it introduce itself."""
        member = Member(
            address,
            str(about["name"]),
            int(about["nthreads"]),
            int(about.get("memory_limit") or 0),
            status=about["status"],
        )
        self.members[address] = member
        member.executor = self._client.get_executor(pure=False, workers=[address], allow_other_workers=False)
        self._submit(member, member, introduce, self._functions, self._scratch)

    def submit(self, member: Member, tasks: Sequence[Task], needed: Mapping[str, Record]) -> Batch:
        """Let a worker compute a batch."""
        self._count += 1
        batch = Batch(self._count, list(tasks), member, time.monotonic())
        member.batches[batch.number] = self._batches[batch.number] = batch
        member.last = shape(tasks[0])
        folder = member.introduction.scratch if member.introduction is not None else None
        self._submit(batch, member, compute, pickle.dumps((list(tasks), dict(needed)), protocol=5), self._limit, folder)
        return batch

    def _submit(self, what: Batch | Member, member: Member, function: Any, *arguments: Any) -> None:
        assert member.executor is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large payloads: the records that a batch needs
            try:
                future = member.executor.submit(pickle.loads, pickle.dumps(_Call(function, arguments), protocol=5))
            except Exception as error:  # the client was just closed
                future = Future()
                future.set_exception(CancelledError() if self._client.status != "running" else error)
        future.add_done_callback(lambda done: self._came.put((what, done)))

    def answers(self, seconds: float) -> tuple[list[tuple[Member, str]], list[Answer]]:
        """Workers that introduced themselves, with sentences, and outcomes of batches; waits at most ``seconds``."""
        news: list[tuple[Member, str]] = []
        found: list[Answer] = []
        wait = seconds
        while True:
            try:
                what, future = self._came.get(timeout=wait) if wait else self._came.get_nowait()
            except queue.Empty:
                return news, found
            wait = 0.0
            if isinstance(what, Member):
                if self.members.get(what.address) is what:
                    news += self._judged(what, future)
            elif self._batches.pop(what.number, None) is not None:  # else it was lost, or given up, before
                what.member.batches.pop(what.number, None)
                if not what.given_up:
                    found.append(self._outcome(what, future))

    def give_up(self, batch: Batch) -> None:
        """Its tasks go to others; its worker is not free before it answers or is gone."""
        batch.given_up = True

    def _outcome(self, batch: Batch, future: Future[bytes]) -> Answer:
        if future.cancelled():
            return Answer(batch, dropped=True)
        error = future.exception()
        if error is None:
            return Answer(batch, pickle.loads(future.result()))
        if isinstance(error, CancelledError) or type(error).__name__ == "FutureCancelledError":
            return Answer(batch, dropped=True)
        if type(error).__name__ in ("KilledWorker", "CommClosedError", "FutureLostError"):
            return Answer(batch, lost=True)
        if isinstance(error, Stranger):
            self.members.pop(batch.member.address, None)  # it is met again
            return Answer(batch, lost=True)
        return Answer(batch, error=error)

    def _judged(self, member: Member, future: Future[Introduction]) -> list[tuple[Member, str]]:
        """Accept or refuse a worker by the versions and code that it reports."""
        if future.cancelled():
            del self.members[member.address]  # the connection was lost: it is met again
            return []
        error = future.exception()
        if error is not None:
            if isinstance(error, CancelledError) or type(error).__name__ in ("FutureCancelledError", "KilledWorker"):
                self.members.pop(member.address, None)
                return []
            member.refused = _why_not(error)
            return [(member, f"refused: {member.refused}")]
        told = future.result()
        member.introduction = told
        member.refused = self._differs(told)
        if member.refused:
            return [(member, f"refused: {member.refused}")]
        noted = [] if told.scratch else ["no folder there can be written: it works without scratch space"]
        here = {name: version for name, version in libraries().items() if name != "python"}
        others = {name: told.libraries.get(name, "missing") for name in here if told.libraries.get(name) != here[name]}
        noted += [f"it has {name} {version}, and this run {here[name]}" for name, version in others.items()]
        threads = "1 thread" if member.threads == 1 else f"{member.threads} threads"
        return [(member, f"joined with {threads}{''.join(f'; {note}' for note in noted)}")]

    def _differs(self, told: Introduction) -> str | None:
        """Why the results of a worker would not be those of this program; None if they are."""
        here = platform.python_version()
        if told.python.split(".")[:2] != here.split(".")[:2]:
            return f"it has Python {told.python}, and this run has {here}; start it with the Python of the run"
        if told.version != own_version():
            return f"it has defectgen {told.version}, and this run has {own_version()}; install the same version there"
        wrong = [name for name in self._functions if told.code.get(name) != self._code[name]]
        if wrong:
            return f"its code of '{wrong[0]}' is not that of this run; install the same sources there"
        return None

    def _watch(self) -> None:
        """Read the list of workers from the scheduler repeatedly."""
        while not self._over.is_set():
            pause = _LOOK
            try:
                if self._client.status == "running":
                    about = self._client.sync(self._client.scheduler.identity, n_workers=-1, callback_timeout=self._lost / 3)
                    self._seen, self._heard = about["workers"], time.monotonic()
                    pause += 1e-3 * len(about["workers"])
            except Exception:  # it may come back; `look` decides when it is lost
                pass
            self._over.wait(pause)


class _Call:
    """Its unpickling is the call of a function: what is sent names nothing that a scheduler, or a worker, may be without."""

    def __init__(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self._function, self._arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._function, self._arguments


def _why_not(error: BaseException) -> str:
    """Why a worker could not even run the introduction."""
    if isinstance(error, ModuleNotFoundError) and "'defectgen'" in str(error):
        return "the package defectgen is not installed for its Python; install it there"
    if isinstance(error, (AttributeError, ImportError)):
        return f"it has another version of defectgen ({_line(error)}); install the same version there"
    return f"it could not introduce itself ({type(error).__name__}: {_line(error)})"


def memory_of(member: Member) -> str:
    """The last known memory of a worker that left, as a part of a sentence; empty if this was far from its limit."""
    if not member.memory_limit or member.memory < _MUCH * member.memory_limit:
        return ""
    return f", last seen with {member.memory / 2**30:.2g} of {member.memory_limit / 2**30:.2g} GiB in use"
