"""The code blocks of a page of documentation: what they are, what they print, and how they are run in order.

``python tests/pages.py docs/first-fit.md`` runs a page and writes what its blocks print under them.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<excuse>.*?) -->\n)?^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.S | re.M
)
CONTINUES = re.compile(r"<!-- continues ([\w-]+\.md) -->")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A block of Python: its code, what the page shows that it prints, and why it is not run."""

    code: str
    shown: str
    excuse: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The Python blocks of a page, in order."""
    for found in BLOCK.finditer(text):
        yield Block(found["code"], found["shown"] or "", found["excuse"] or "", text.count("\n", 0, found.start("code")) + 1)


def run(page: Path, names: dict) -> list[str]:
    """Run the blocks of a page in one namespace; what each printed. An error names page and line."""
    printed = []
    for block in blocks(page.read_text(encoding="utf-8")):
        out = io.StringIO()
        if not block.excuse:
            code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
            with contextlib.redirect_stdout(out):
                exec(code, names)
        printed.append("\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n" if out.getvalue() else "")
    return printed


def continued(page: Path) -> Path | None:
    """The page that this one continues."""
    found = CONTINUES.search(page.read_text(encoding="utf-8"))
    return DOCS / found[1] if found else None


def alike(shown: str, printed: str, relative: float = 0.02, rounding: float = 1e-7) -> bool:
    """Whether two outputs have the same words and numbers that agree to some digits, or are rounding; spaces do not count."""
    texts = [re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip() for text in (shown, printed)]
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (shown, printed)]
    return texts[0] == texts[1] and all(abs(a - b) <= max(relative * abs(a), rounding) for a, b in zip(*numbers, strict=True))


def refreshed(text: str, printed: list[str]) -> str:
    """The page with what its blocks printed under them."""
    outputs = iter(printed)

    def block(found: re.Match) -> str:
        excuse = f"<!-- not run: {found['excuse']} -->\n" if found["excuse"] else ""
        output = next(outputs)
        shown = found["shown"] or "" if excuse else output
        return f"{excuse}```python\n{found['code']}```\n" + (f"\n```text\n{shown}```\n" if shown else "")

    return BLOCK.sub(block, text)


def refresh(page: Path, ready: dict[Path, dict]) -> None:
    """Run a page, after the page that it continues, and write what its blocks print under them."""
    before = continued(page)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        if before is not None and before not in ready:
            ready[before] = {}
            run(before, ready[before])
        names = {} if before is None else dict(ready[before])
        printed = run(page, names)
    page.write_text(refreshed(page.read_text(encoding="utf-8"), printed), encoding="utf-8")
    ready[page] = names


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    found: dict[Path, dict] = {}
    failed = False
    for each in [Path(argument).resolve() for argument in sys.argv[1:]]:
        try:
            refresh(each, found)
            print(each.name, flush=True)
        except Exception:
            traceback.print_exc()
            failed = True
    sys.exit(failed)
