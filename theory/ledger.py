"""The ledger: reads the header of every statement and writes the index in theory/README.md (`make docs`)."""

from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
STATUSES = ("cited", "proved", "stated", "observed")
FIRMNESS = {"proved": 0, "cited": 0, "stated": 1, "observed": 2}
"""A statement is no firmer than what it uses: the larger number wins. The literature counts as proved."""
SECTIONS = ("Statement", "Assumptions", "Derivation", "What would refute it")
BEGIN, END = "<!-- index: written by `make docs` -->", "<!-- end of index -->"


@dataclass(frozen=True)
class Statement:
    """The header and the text of one file."""

    id: str
    title: str
    status: str
    uses: tuple[str, ...]
    rate: str
    code: tuple[str, ...]
    check: tuple[str, ...]
    text: str

    @property
    def sections(self) -> tuple[str, ...]:
        return tuple(line[3:].strip() for line in self.text.splitlines() if line.startswith("## "))


def read(path: Path) -> Statement:
    """One statement; raises ValueError for a header that is missing, has unknown keys or lacks a needed one."""
    parts = path.read_text(encoding="utf-8").split("---\n", 2)
    if len(parts) != 3 or parts[0]:
        raise ValueError(f"{path} needs a header between two lines of three dashes at its top")
    header = yaml.safe_load(parts[1])
    known = {"id", "title", "status", "uses", "rate", "code", "check"}
    if not isinstance(header, dict) or set(header) - known or not {"id", "title", "status"} <= set(header):
        raise ValueError(f"{path} needs a header with id, title, status and at most uses, rate, code, check")
    lists = {key: tuple(header.get(key) or ()) for key in ("uses", "code", "check")}
    return Statement(header["id"], header["title"], header["status"], rate=header.get("rate", ""), text=parts[2], **lists)


def statements() -> dict[str, Statement]:
    """Every statement of the folder by the path it lies at, in reading order: what is used comes before what uses it."""
    found = {str(p.relative_to(HERE).with_suffix("")): read(p) for p in sorted(HERE.glob("*/*.md"))}
    ordered: dict[str, Statement] = {}

    def visit(path: str, trail: tuple[str, ...]) -> None:
        if path in trail:
            raise ValueError(f"statements use each other in a circle: {' -> '.join((*trail, path))}")
        if path not in ordered:
            for other in found[path].uses:
                visit(other, (*trail, path))
            ordered[path] = found[path]

    for path in found:
        visit(path, ())
    return ordered


def effective(found: dict[str, Statement]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Of every statement the weakest status among its own and those of all that it uses, and the uses that it is due to.

    `found` is in reading order, as `statements` returns it. No uses are named where its own status is as weak.
    """
    firm: dict[str, tuple[str, tuple[str, ...]]] = {}
    for path, statement in found.items():
        weakest = max((firm[other][0] for other in statement.uses), key=FIRMNESS.__getitem__, default="proved")
        if FIRMNESS[weakest] <= FIRMNESS[statement.status]:
            firm[path] = statement.status, ()
        else:
            firm[path] = weakest, tuple(other for other in statement.uses if firm[other][0] == weakest)
    return firm


def index() -> str:
    """The table of theory/README.md."""
    lines = ["| statement | title | status | checked by |", "|---|---|---|---|"]
    found = statements()
    firm = effective(found)
    for path, s in found.items():
        checks = ", ".join(f"`{c.split('::')[1]}`" for c in s.check) or "-"
        lines.append(f"| [{s.id}]({path}.md) | {s.title} | {firm[path][0]} | {checks} |")
    return "\n".join(lines)


def page() -> str:
    """theory/README.md with a fresh index."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{index()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    (HERE / "README.md").write_text(page(), encoding="utf-8")
    print(f"theory/README.md lists {len(statements())} statements")
