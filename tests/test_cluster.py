"""Campaigns on a dask cluster of real processes: whatever happens to them, the records are those of a local run."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
from clusters import Processes, free_port, until

from defectgen._input import InputError
from defectgen.campaign import Event, Patience, PlainTask, Record, Scheduler, SchedulerLost, Store, run

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


def same(one: Record, two: Record) -> bool:
    """Bit by bit, up to the wall time."""
    arrays = all(one.arrays[name].tobytes() == two.arrays[name].tobytes() for name in one.arrays)
    return arrays and list(one.arrays) == list(two.arrays) and repr(one.values) == repr(two.values) and one.failed == two.failed


def plan(numbers: int, seconds: float = 0.0) -> list[PlainTask]:
    """Draws, pauses of a stated time, and totals that need them."""
    draws = [PlainTask("toy_tasks:draw", {"n": n}, label=f"draw {n}") for n in range(numbers)]
    slow = [PlainTask("toy_tasks:slow", {"n": n, "seconds": seconds}, (draws[n],), f"slow {n}") for n in range(numbers)]
    totals = [PlainTask("toy_tasks:total", {"n": n}, tuple(draws[n : n + 3]), f"total {n}") for n in range(0, numbers, 3)]
    return [*slow, *totals]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Watched:
    """Events of a run in another thread, and its end."""

    def __init__(self, tasks, store: Store, scheduler, **options) -> None:
        self.events: list[Event] = []
        self.records: dict[str, Record] = {}
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._go, args=(tasks, store, scheduler, options), daemon=True)
        self._thread.start()

    def _go(self, tasks, store, scheduler, options) -> None:
        try:
            self.records = run(tasks, store, scheduler=scheduler, progress=self.events.append, **options)
        except BaseException as error:
            self.error = error

    def told(self, text: str, kind: str = "worker") -> bool:
        return any(event.event == kind and text in str(event.detail) for event in self.events)

    def done(self) -> int:
        return sum(event.event == "done" for event in self.events)

    def finished(self, seconds: float = 120.0) -> dict[str, Record]:
        """The records; raises what the run raised."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), [(event.event, event.label, event.detail) for event in self.events[-5:]]
        if self.error is not None:
            raise self.error
        return self.records


def test_workers_come_late_are_killed_and_differ(tmp_path):
    """A run begins without a worker, takes those that join, refuses one of another version, loses one, and ends as locally."""
    tasks = plan(24, 0.1)
    here = run(tasks, Store(tmp_path / "here"))
    other = tmp_path / "other"  # the same package under another version, which is what is installed there
    (other / "defectgen-9.9.dist-info").mkdir(parents=True)
    (other / "defectgen-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: defectgen\nVersion: 9.9\n")
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        found = Watched(tasks, Store(tmp_path / "there"), cluster.address)
        time.sleep(1)
        assert found.done() == 0
        first = cluster.worker()
        cluster.worker(FIRST=str(other))
        until(lambda: found.told("worker w2 refused: it has defectgen 9.9, and this run has"), "the refusal")
        until(lambda: found.done() > 3, "some tasks on the first worker")
        cluster.worker()
        until(lambda: found.told("worker w3 joined with 1 thread"), "the third worker")
        os.killpg(first.pid, signal.SIGKILL)
        there = found.finished()
    assert here.keys() == there.keys() and all(same(here[key], there[key]) for key in here)
    assert found.told("worker w1 left") and found.told("is gone; trying once more", "retry")
    starts = [event.detail for event in found.events if event.event == "start"]
    assert {"w1", "w3"} == set(starts) and found.events[-1].event == "end"
    resumed = run(tasks, Store(tmp_path / "there"), scheduler="tcp://127.0.0.1:1")  # all is there: no scheduler is needed
    assert all(same(here[key], resumed[key]) for key in here)


def test_a_lost_scheduler_is_one_sentence_and_the_run_resumes(tmp_path):
    tasks, store = plan(12, 0.2), Store(tmp_path / "run")
    with Processes(tmp_path / "cluster") as cluster:
        scheduler = cluster.scheduler()
        cluster.worker()
        found = Watched(tasks, store, Scheduler(file=cluster.file, patience=Patience(connect=2.0)))
        until(lambda: found.done() > 8, "some tasks")
        scheduler.kill()
        with pytest.raises(SchedulerLost, match=r"is gone with \d+ of 28 tasks done; start it again") as caught:
            found.finished()
    assert "\n" not in str(caught.value) and found.events[-1].event == "lost"
    kept = found.done()
    again: list[Event] = []
    here = run(tasks, store, progress=again.append)
    assert sum(event.event == "found" for event in again) == kept > 8 and all(record.ok for record in here.values())


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ("not an address", "no dask scheduler responds at 'not an address' (missing port number"),
        ("mpi://host:1", "unknown address scheme 'mpi'"),
        (Scheduler("tcp://127.0.0.1:1", patience=Patience(connect=1.0)), "no dask scheduler responds"),
        (Scheduler(), "an address or a scheduler file"),
        (Scheduler("tcp://x:1", file="y"), "one of the two"),
        (Scheduler(file="nowhere.json"), "no scheduler file 'nowhere.json'; start the scheduler with"),
        (Scheduler(file=__file__), "is no scheduler file"),
        (Scheduler("tls://127.0.0.1:1", tls_ca_file="x"), "needs three files"),
        (Scheduler("tls://127.0.0.1:1", tls_ca_file="x", tls_cert="x", tls_key="x"), "no file 'x' for TLS"),
    ],
)
def test_wrong_schedulers_are_refused(tmp_path, scheduler, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run([PlainTask("toy_tasks:draw", {"n": 1})], Store(tmp_path), scheduler=scheduler)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_wrong_limits_are_refused(tmp_path, timeout):
    with pytest.raises(InputError, match="positive number of seconds"):
        run([], Store(tmp_path), 2, timeout=timeout)
    with pytest.raises(InputError, match="use 2 workers or more"):
        run([], Store(tmp_path), 1, timeout=1.0)


def test_steps_of_a_script_are_refused(tmp_path):
    with pytest.raises(InputError, match="'__main__:f' is defined in a script"):
        run([PlainTask("__main__:f", {})], Store(tmp_path), scheduler="tcp://127.0.0.1:1")


def test_failed_tasks_can_be_kept(tmp_path):
    bad = PlainTask("toy_tasks:broken", {"until": str(tmp_path / "now")}, label="bad")
    user = PlainTask("toy_tasks:total", {}, (bad,), label="user")
    store, seen = Store(tmp_path / "run"), []
    run([user], store)
    (tmp_path / "now").touch()
    kept = run([user], store, retry_failed=False, progress=seen.append)
    assert kept[bad.key].failed == "the cell is too small; use size >= 4" and not kept[user.key].ok
    assert [event.event for event in seen] == ["begin", "found", "skipped", "end"]
    assert run([user], store)[user.key].ok


def test_a_local_task_that_hangs_is_ended(tmp_path):
    hangs = PlainTask("toy_tasks:slow", {"seconds": 600.0}, label="hangs")
    good = PlainTask("toy_tasks:draw", {"n": 1})
    records = run([hangs, good], Store(tmp_path), workers=2, timeout=2.0)
    assert records[good.key].ok
    assert records[hangs.key].failed == (
        "it took longer than the time limit of 2 s in 2 tries; its worker process was ended each time"
    )


# ------------------------------------------------------------------------------------------------ minutes
@pytest.mark.cluster
def test_tasks_that_kill_hang_or_take_memory_are_recorded(tmp_path):
    """Workers with a nanny, which starts them again; the run goes on, and says of each what happened."""
    kills = PlainTask("toy_tasks:dies", {}, label="kills")
    once = PlainTask("toy_tasks:dies", {"once": str(tmp_path / "once")}, label="once")
    hangs = PlainTask("toy_tasks:slow", {"seconds": 600.0}, label="hangs")
    fills = PlainTask("toy_tasks:fill", {"megabytes": 4000}, label="fills")
    good = plan(9)
    store = Store(tmp_path / "run")
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        for _ in range(2):
            cluster.worker(True, "--memory-limit", "600MB")
        records = Watched([kills, once, fills, *good], store, cluster.address).finished(400)
        late = Watched([hangs], store, cluster.address, timeout=2.0).finished(200)
    assert all(records[task.key].ok for task in [once, *good])
    assert records[kills.key].failed.startswith("its worker ended 3 times while computing it (killed, crashed, or out of memory")
    assert "its worker ended 3 times" in records[fills.key].failed and "of 0.56 GiB in use" in records[fills.key].failed
    assert late[hangs.key].failed.startswith("it took longer than the time limit of 2 s in 3 tries")


@pytest.mark.cluster
def test_a_stopped_worker_loses_its_task(tmp_path):
    tasks = plan(12, 0.3)
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        first = cluster.worker()
        found = Watched(tasks, Store(tmp_path / "run"), Scheduler(cluster.address, patience=Patience(grace=2.0)), timeout=2.0)
        until(lambda: found.done() > 2, "some tasks")
        os.kill(first.pid, signal.SIGSTOP)
        cluster.worker()
        assert all(record.ok for record in found.finished().values())
    assert found.told("trying once more", "retry")


@pytest.mark.cluster
def test_a_scheduler_that_comes_back_is_used_again(tmp_path):
    """Within the time in which the client connects again; workers end with their scheduler, and others take their place."""
    tasks, port = plan(24, 0.3), free_port()
    with Processes(tmp_path / "cluster") as cluster:
        scheduler = cluster.scheduler(port)
        cluster.worker()
        found = Watched(tasks, Store(tmp_path / "run"), cluster.address)
        until(lambda: found.done() > 5, "some tasks")
        scheduler.kill()
        scheduler.wait()
        cluster.scheduler(port)
        cluster.worker()
        assert all(record.ok for record in found.finished().values())
    assert not any(event.event == "failed" for event in found.events)


@pytest.mark.cluster
def test_other_sources_packages_and_pythons_are_refused(tmp_path):
    """A copy of the package with one changed line, and a Python without the package; a worker that can write nowhere works."""
    changed, broken = tmp_path / "changed", tmp_path / "broken"
    changed.mkdir()
    (changed / "toy_tasks.py").write_text((HERE / "toy_tasks.py").read_text() + "\nCHANGED = 1\n")
    (broken / "defectgen").mkdir(parents=True)
    (broken / "defectgen" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'defectgen'\")\n")
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        cluster.worker(FIRST=str(changed))
        cluster.worker(FIRST=str(broken))
        found = Watched(plan(3), Store(tmp_path / "run"), cluster.address)
        until(lambda: found.told("w1 refused: its code of 'toy_tasks:draw' is not that of this run"), "the first refusal")
        until(lambda: found.told("w2 refused: the package defectgen is not installed"), "the second refusal")
        assert found.done() == 0
        cluster.worker(TMPDIR="/dev/null/nowhere", HOME="/dev/null/nowhere")
        assert all(record.ok for record in found.finished().values())
    assert {event.detail for event in found.events if event.event == "start"} == {"w3"}
    assert found.told("w3 joined with 1 thread; no folder there can be written: it works without scratch space")


@pytest.mark.cluster
def test_no_worker_is_said(tmp_path):
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        found = Watched(plan(3), Store(tmp_path / "run"), Scheduler(cluster.address, patience=Patience(unstaffed=1.0)))
        until(lambda: found.told(f"start some with 'dask worker {cluster.address}'", "waiting"), "the sentence")
        cluster.worker()
        found.finished()
    waits = [event for event in found.events if event.event == "waiting"]
    assert waits[0].detail.startswith("no worker for ")


@pytest.mark.cluster
def test_other_versions_of_dask_and_other_servers_are_refused(tmp_path):
    patience = Patience(connect=4.0)
    script = tmp_path / "old.py"
    script.write_text(
        "from distributed import versions\nreal = versions.version\n"
        "versions.version = lambda name: '2020.1.0' if name == 'distributed' else real(name)\n"
        "from distributed.cli.dask_scheduler import main\nif __name__ == '__main__': main()\n"
    )
    task = PlainTask("toy_tasks:draw", {"n": 1})
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler(script=str(script))
        with pytest.raises(InputError, match=r"is of dask.distributed 2020.1.0, and this program uses"):
            run([task], Store(tmp_path / "run"), scheduler=Scheduler(cluster.address, patience=patience))
        port = free_port()
        cluster.start("http", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"])
        until(lambda: listens(port), "the server")
        with pytest.raises(InputError, match="no dask scheduler responds"):
            run([task], Store(tmp_path / "run"), scheduler=Scheduler(f"tcp://127.0.0.1:{port}", patience=patience))


def test_a_process_that_took_an_address_introduces_itself_first():
    """What a worker computes in a process that was not asked who it is."""
    script = (
        "from defectgen.campaign.remote import Stranger, compute, introduce\n"
        "import pickle; payload = pickle.dumps(([], {}))\n"
        "try: compute(payload, None, None)\n"
        "except Stranger: print('stranger')\n"
        "introduce([], None); print(pickle.loads(compute(payload, None, None)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "stranger\n{}\n", done.stderr


PAGE = (HERE.parent / "docs" / "cluster.md").read_text(encoding="utf-8")


@pytest.mark.cluster
def test_the_job_script_of_the_page_with_a_queue_that_starts_it_later(tmp_path):
    """A stand-in for sbatch takes the array of the script, and starts two of its jobs some seconds later."""
    script = next(block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) if block.startswith("#!/bin/bash\n#SBATCH"))
    (tmp_path / "worker.sh").write_text(script)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sbatch").write_text(
        '#!/bin/bash\necho "Submitted batch job 1"\n(sleep 4; for i in 1 2; do bash "${@: -1}" & done; wait) &\n'
    )
    (tools / "dask").write_text(f'#!/bin/bash\nexec {sys.executable} -m dask "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        found = Watched(plan(12, 0.2), Store(tmp_path / "run"), Scheduler(file=cluster.file))
        seen = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "SCHEDULER_FILE": str(cluster.file)}
        queue = cluster.start("queue", [str(tools / "sbatch"), "--export=ALL", str(tmp_path / "worker.sh")], **seen)
        until(lambda: queue.poll() == 0, "the submission")
        assert found.done() == 0
        assert all(record.ok for record in found.finished().values())
    assert sum(" joined with 1 thread" in str(event.detail) for event in found.events if event.event == "worker") == 2


@pytest.mark.cluster
def test_tls(tmp_path):
    """With certificates of an authority of its own the cluster accepts clients that have one and refuses all others."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority"]
    openssl(*new, "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=own", "-keyout", "own.key", "-out", "own.csr")
    openssl(
        "x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "own.pem"
    )
    ca, cert, key = (str(tmp_path / name) for name in ("ca.pem", "own.pem", "own.key"))
    with Processes(tmp_path / "cluster", ("--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key)) as cluster:
        cluster.scheduler()
        cluster.worker()
        tasks = plan(3)
        with pytest.raises(InputError, match="no dask scheduler responds at 'tls:"):
            run(tasks, Store(tmp_path / "none"), scheduler=cluster.address)
        with pytest.raises(InputError, match="no dask scheduler responds at 'tcp:"):
            run(tasks, Store(tmp_path / "none"), scheduler=cluster.address.replace("tls", "tcp"))
        found = Watched(tasks, Store(tmp_path / "run"), Scheduler(cluster.address, tls_ca_file=ca, tls_cert=cert, tls_key=key))
        assert all(record.ok for record in found.finished().values())


@pytest.mark.cluster
def test_the_script_of_the_page_with_a_local_cluster_in_place_of_jobs(tmp_path, monkeypatch):
    """dask-jobqueue is replaced by a cluster of this machine, and the study by three small tasks."""
    from dask.distributed import LocalCluster

    from defectgen import study

    block = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "SLURMCluster" in block)
    made = []

    def cluster(**options):
        assert options["processes"] == 1
        made.append(LocalCluster(n_workers=0, threads_per_worker=1, processes=True, dashboard_address=None))
        return made[-1]

    module = ModuleType("dask_jobqueue")
    vars(module)["SLURMCluster"] = cluster
    monkeypatch.setitem(sys.modules, "dask_jobqueue", module)
    monkeypatch.setattr(study, "load", lambda name: name)
    monkeypatch.setattr(study, "plan", lambda spec: plan(3))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
    monkeypatch.chdir(tmp_path)
    try:
        exec(block.replace("maximum_jobs=50", "minimum=1, maximum=1"), {})
    finally:
        for one in made:
            one.close()
    assert all(Store("runs/fits-3d").load(task) is not None for task in plan(3))


FITS = """
name = "fits-small"
observations = ["E+F", "E+F+FC+V"]
[materials.layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu, cutoff=4.2)"
[[cases]]
material = "layer"
defect = "divacancy"
simulation_size = 40
basis = { cutoff = 4.2, order = 2, degree = 8 }
[training]
configurations = 0
virial_strains = [0.005, 0.01]
[fit]
weights = { E = 1e5, V0 = 1000.0, FC = 100.0, V = 30.0 }
prior = "smoothness(1e-6)"
[fits]
radii = [5, 6.5, 8, 10]
degrees = [7, 8]
"""
"""The embedded study fits-2d with small cells and few functions."""


def cells(path: Path) -> list[dict[str, str]]:
    """A table of a run, without wall times."""
    with path.open(encoding="utf-8") as file:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.cluster
def test_a_study_of_fits_gives_the_same_tables(tmp_path):
    """By the command line: two workers, of which one is killed and another one comes, and the page of what is done meanwhile."""
    (tmp_path / "fits.toml").write_text(FITS)
    command = [sys.executable, "-m", "defectgen"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    options = {"cwd": tmp_path, "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    here = subprocess.run([*command, "run", "fits.toml", "--out", "here", "--workers", "1"], **options)
    assert here.returncode == 0, here.stdout
    records = tmp_path / "there" / "records"
    with Processes(tmp_path / "cluster") as cluster:
        cluster.scheduler()
        first = cluster.worker()
        cluster.worker()
        run = [*command, "run", "fits.toml", "--out", "there", "--scheduler-file", str(cluster.file)]
        process = subprocess.Popen(run, **options, start_new_session=True)
        cluster.all.append(process)
        until(lambda: len(list(records.glob("*.json"))) > 3, "some tasks")
        process.send_signal(signal.SIGSTOP)  # it shall not end before its page is written
        page = subprocess.run([*command, "report", "there", "--json"], **options)
        shown = (tmp_path / "there" / "interim" / "report.html").read_text()
        process.send_signal(signal.SIGCONT)
        os.killpg(first.pid, signal.SIGKILL)
        cluster.worker()
        out, _ = process.communicate(timeout=400)
    assert process.returncode == 0 and "worker w3 joined" in out, out
    told = json.loads(page.stdout)
    assert not told["complete"] and told["state"] == "running" and 3 < told["done"] < told["tasks"]
    assert f"Incomplete: {told['done']} of {told['tasks']} tasks are done; the run goes on" in shown
    assert not (tmp_path / "there" / "interim").exists()
    results = cells(tmp_path / "here" / "results.csv")
    assert len(results) == 16 and all(float(row["geometry_error"]) > 0 for row in results)
    for name in ("results.csv", "rates.csv", "failures.csv"):
        assert cells(tmp_path / "there" / name) == cells(tmp_path / "here" / name)
