"""The table at the end of `make bench`: one line for every hot path that a case reported by `timing.summary`.

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


def main(path: str):
    rows = [cells(json.loads(text)) for text in Path(path).read_text().splitlines()]
    widths = [max(len(r[k]) for r in (HEADER, *rows)) for k in range(len(HEADER))]
    for row in (HEADER, ["-" * w for w in widths], *rows):
        print("| " + " | ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) + " |")


if __name__ == "__main__":
    main(sys.argv[1])
