"""The table at the end of `make bench`: one line for every hot path that a case reported by `timing.summary`.

Above it: the machine, the days and loads of the measurements, and the versions of what was compared.

Usage: summary.py FILE, with the lines that the cases wrote.
"""

import json
import sys
from pathlib import Path

HEADER = ("work", "unit", "ours", "fastest peer", "its", "peer / ours", "limit", "ours / limit", "error")


def cells(line: dict) -> list[str]:
    """The columns of one line as text; empty where a case has no peer or counted no limit."""
    ours, theirs, limit = line["ours"], line["theirs"], line["limit"]
    return [
        line["work"],
        line["unit"],
        number(ours),
        line["peer"],
        number(theirs),
        number(theirs / ours if theirs is not None else None),
        number(limit),
        number(ours / limit if limit else None),
        line["error"],
    ]


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def circumstances(lines: list[dict]) -> list[str]:
    """What all numbers depend on, a few sentences: machine, dates, loads, versions."""
    machines = list(dict.fromkeys(line["machine"] for line in lines))
    dates, loads = sorted(line["time"] for line in lines), [line["load"] for line in lines]
    versions = {name: number for line in lines for name, number in line["versions"].items()}
    missing = sorted(name for name, number in versions.items() if number is None)
    return [
        f"Measured {dates[0]} to {dates[-1]} (UTC), load {min(loads):.1f} to {max(loads):.1f}, on {'; '.join(machines)}.",
        f"Versions: {', '.join(f'{name} {number}' for name, number in sorted(versions.items()) if number)}.",
        *([f"Not installed, so not compared: {', '.join(missing)}."] if missing else []),
    ]


def text(path: str) -> str:
    """Circumstances and table."""
    file = Path(path)
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if not lines:
        return "no case reported a time"
    rows = [cells(line) for line in sorted(lines, key=lambda line: line["case"])]
    widths = [max(len(r[k]) for r in (HEADER, *rows)) for k in range(len(HEADER))]
    table = [
        "| " + " | ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) + " |"
        for row in (HEADER, ["-" * w for w in widths], *rows)
    ]
    return "\n".join([*circumstances(lines), "", *table])


if __name__ == "__main__":
    print(text(sys.argv[1]))
