"""One writer of a directory, also on a file system without locks, as some network file systems are."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from defectgen.campaign.files import HOLDER

WITHOUT_LOCKS = "#include <errno.h>\nint flock(int handle, int how) { errno = ENOLCK; return -1; }\n"
"""In place of the function of the C library, as it is where the lock server of a network file system does not run."""
HOLD = """
import sys
from pathlib import Path
from defectgen.campaign.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""
TRY = """
import sys
from pathlib import Path
from defectgen._input import InputError
from defectgen.campaign.files import held, locked
path = Path(sys.argv[1])
print(held(path))
try:
    with locked(path):
        print("taken", held(path))
except InputError as error:
    print(error)
print(held(path))
"""
COUNT = """
import sys, time
from pathlib import Path
from defectgen._input import InputError
from defectgen.campaign.files import locked
path, counter = Path(sys.argv[1]), Path(sys.argv[1]).with_name("counter")
left = 40
while left:
    try:
        with locked(path):
            number = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(number + 1))
            left -= 1
    except InputError:
        time.sleep(0.001)
"""


@pytest.fixture(scope="module")
def without_locks(tmp_path_factory):
    """The environment of processes for which no file system offers locks."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(WITHOUT_LOCKS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c"], check=True)
    return {**os.environ, "LD_PRELOAD": str(folder / "shim.so")}


@pytest.fixture
def lock(tmp_path) -> Path:
    (tmp_path / "run" / "records").mkdir(parents=True)
    return tmp_path / "run" / "records" / ".lock"


def started(script: str, lock: Path, environment: dict) -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", script, str(lock)], env=environment, **pipes)


def tried(lock: Path, environment: dict) -> list[str]:
    done = subprocess.run([sys.executable, "-c", TRY, str(lock)], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_holder_is_named_where_there_are_no_locks(lock, without_locks):
    """Refused while another process lives, free when it ended or was killed, and not decided for another machine."""
    holder = started(HOLD, lock, without_locks)
    assert holder.stdout.readline() == "held\n"
    before, refusal, after = tried(lock, without_locks)
    assert before == after == "True" and f"is being written by process {holder.pid} on" in refusal and "remove" not in refusal
    holder.communicate("\n")
    assert tried(lock, without_locks) == ["False", "taken True", "False"]
    killed = started(HOLD, lock, without_locks)
    assert killed.stdout.readline() == "held\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    note = lock.with_name(lock.name + HOLDER)
    assert note.exists()
    assert tried(lock, without_locks) == ["False", "taken True", "False"] and not note.exists()
    note.write_text("process 7 on another-machine\nx\ny\n")
    before, refusal, _ = tried(lock, without_locks)
    assert (
        before == "None"
        and f"process 7 on another-machine; wait for it, or use another --out; if that process has ended, remove {note}"
        in refusal
    )
    note.unlink()
    assert sorted(path.name for path in lock.parent.iterdir()) == [".lock"]


def test_only_one_at_a_time_where_there_are_no_locks(lock, without_locks):
    """Three processes count in one file; one that was killed before them is no obstacle."""
    lock.with_name("counter").write_text("0")
    killed = started(HOLD, lock, without_locks)
    assert killed.stdout.readline() == "held\n"
    killed.kill()
    killed.wait()
    racers = [started(COUNT, lock, without_locks) for _ in range(3)]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    assert lock.with_name("counter").read_text() == "120"
