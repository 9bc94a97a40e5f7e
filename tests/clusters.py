"""Schedulers and workers of dask as real processes on loopback, for the tests of campaigns on a cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE), str(HERE.parent)])
QUIET = {"DASK_LOGGING__DISTRIBUTED": "warning"}


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Processes:
    """A scheduler and workers; leaving the block kills what is left of them.

    Parameters
    ----------
    folder : Path
        For the scheduler file, the logs and the folders of workers.
    options : sequence of str
        For scheduler and workers alike, as files of TLS.
    """

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.options, self.file, self.count = folder, options, folder / "scheduler.json", 0
        self.all: list[subprocess.Popen] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.all:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.all:
            process.wait()

    def start(self, name: str, command: list[str], **environment: str) -> subprocess.Popen:
        """A process of its own group, with its output in a file."""
        paths = os.pathsep.join(filter(None, [environment.pop("FIRST", ""), PATH]))
        everything = {**os.environ, "PYTHONPATH": paths, **QUIET, **environment}
        log = (self.folder / f"{name}.log").open("w")
        process = subprocess.Popen(command, env=everything, stdout=log, stderr=log, start_new_session=True, cwd=self.folder)
        self.all.append(process)
        return process

    def scheduler(self, port: int = 0, wait: bool = True, script: str = "distributed.cli.dask_scheduler") -> subprocess.Popen:
        """A scheduler that listens on loopback."""
        self.file.unlink(missing_ok=True)
        start = [script] if script.endswith(".py") else ["-m", script]
        where = ["--host", f"{'tls' if self.options else 'tcp'}://127.0.0.1:{port}", "--scheduler-file", str(self.file)]
        process = self.start("scheduler", [sys.executable, *start, *where, "--no-dashboard", *self.options])
        if wait:
            until(lambda: self.file.exists() and self.file.read_text().strip().endswith("}"), "the scheduler file")
        return process

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    def worker(self, nanny: bool = False, *options: str, **environment: str) -> subprocess.Popen:
        """A worker with one thread; ``FIRST`` is a folder in which its imports are looked up first."""
        self.count += 1
        name = f"w{self.count}"
        own = ["--name", name, "--nthreads", "1", "--no-dashboard", "--death-timeout", "60", "--host", "127.0.0.1"]
        limits = [] if "--memory-limit" in options else ["--memory-limit", "0"]
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(self.file), *own, *limits]
        nannied = "--nanny" if nanny else "--no-nanny"
        place = ["--local-directory", str(self.folder / name)]
        return self.start(name, [*command, *place, nannied, *self.options, *options], **environment)
