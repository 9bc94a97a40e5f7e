"""All cases, one after the other, each in a process of its own on one core; then one table: what `make bench` runs.

A case that fails is named and does not stop the others; the exit status is then 1. What a case reports (`timing.summary`) is
written to `build/bench.jsonl` as it is measured, and what it prints to `build/bench/NAME.txt`, so that an interrupted run keeps
what it has. `page.py` puts both into README.md. Cases that are named are measured again; the others keep what they have.

    python benchmarks/run.py                            all cases: 25 to 40 minutes of one core
    python benchmarks/run.py benchmarks/bench_refit.py  those that are named
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import summary

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"
LINES = BUILD / "bench.jsonl"
PRINTED = BUILD / "bench"


def pin() -> None:
    """This process, and those that it starts, stay on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def spent() -> float:
    """Processor seconds of all cases so far, with the processes that they started."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(case: Path) -> int:
    """Run a case, print its lines as they come, keep them in a file; the exit status."""
    environment = {**os.environ, "DEFECTGEN_BENCH_SUMMARY": str(LINES)}
    with (PRINTED / f"{case.stem}.txt").open("w") as kept:
        process = subprocess.Popen([sys.executable, "-u", case], env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            kept.write(line)
        return process.wait()


def forget(cases: set[str]) -> None:
    """Remove what earlier runs reported of these cases."""
    if LINES.exists():
        kept = [line for line in LINES.read_text().splitlines(keepends=True) if json.loads(line)["case"] not in cases]
        LINES.write_text("".join(kept))
    for case in cases:
        (PRINTED / f"{case}.txt").unlink(missing_ok=True)


def main(chosen: list[str]) -> int:
    every = sorted(HERE.glob("bench_*.py"))
    cases = [Path(name) for name in chosen] or every
    if missing := [str(case) for case in cases if not case.exists()]:
        print(f"there is no case {missing[0]}; those that there are: {', '.join(case.name for case in every)}")
        return 2
    PRINTED.mkdir(parents=True, exist_ok=True)
    forget({case.stem for case in cases})
    pin()
    begin, failed = time.time(), []
    for number, case in enumerate(cases, 1):
        start, used = time.time(), spent()
        print(f"\n== {case.name} ({number} of {len(cases)}, {time.strftime('%H:%M:%S')})", flush=True)
        status = show(case)
        took = f"{time.time() - start:.0f} s, of the processor {spent() - used:.0f} s"
        print(f"-- {case.name}: {took}" if status == 0 else f"-- {case.name} FAILED (status {status}) after {took}", flush=True)
        failed += [case.name] * (status != 0)
    print(f"\n{len(cases)} cases in {(time.time() - begin) / 60:.0f} minutes, of the processor {spent() / 60:.0f} minutes\n")
    print(summary.text(str(LINES)))
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
