"""Links to the theory, in pages and in docstrings.

A link to theory/PAGE.md, or "theory: PAGE" in a docstring, leads to that page of the book, which `make docs` puts into the folder
theory/ of the site. A page of theory/ that does not exist is a warning, and so an error of the build.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).parents[2]
MARK = "https://theory.invalid/"
LINK = re.compile(r"\]\((?:\.\./)+theory/([\w/-]+)\.md(#[\w-]+)?\)")
FILE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+([^)]+)\)")
NAMED = re.compile(r"theory(?:: |/)([a-z]+/[a-z-]+)")
INITIAL = re.compile(r"^(\s*)([A-Za-z]\.(?:\s|$))")
BAR = re.compile(r"(``.*?``)|(?<!\\)\|")
LOGGER = logging.getLogger(__name__)


def marked(app: Sphinx, name: str, source: list[str]) -> None:
    """Links to theory/*.md become addresses that the parser leaves alone; other files of the repository are named."""

    def address(found: re.Match) -> str:
        page = found[1]
        if not (ROOT / "theory" / f"{page}.md").is_file():
            LOGGER.warning("theory/%s.md does not exist", page, location=name)
        return f"]({MARK}{'index' if page == 'README' else page}.html{found[2] or ''})"

    source[0] = FILE.sub(lambda found: f"{found[1]} (`{found[2]}`)", LINK.sub(address, source[0]))


def resolved(app: Sphinx, tree: nodes.document, name: str) -> None:
    """These addresses become relative to the page that has them."""
    for link in tree.findall(nodes.reference):
        address = link.get("refuri", "")
        if address.startswith(MARK):
            link["refuri"] = "../" * name.count("/") + "theory/" + address.removeprefix(MARK)
            link["classes"] = ["reference", "internal"]
            link["internal"] = True


def as_written(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Before napoleon: a unit or an initial that begins a line is no number of a list, and text before a colon is no type."""
    for i, line in enumerate(lines):
        lines[i] = INITIAL.sub(r"\1\\\2", line)
    if kind in ("attribute", "data", "property"):
        lines.insert(0, "")


def documented(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Docstrings: bars are bars (absolute values, norms), and names of pages of the theory are links."""
    for i, line in enumerate(lines):
        text = BAR.sub(lambda found: found[1] or r"\|", line)
        lines[i] = NAMED.sub(lambda found: f"`theory: {found[1]} <{MARK}{found[1]}.html>`__", text)


def setup(app: Sphinx) -> dict:
    """Connect the steps."""
    app.connect("autodoc-process-docstring", as_written, priority=100)
    app.connect("autodoc-process-docstring", documented, priority=900)
    app.connect("source-read", marked)
    app.connect("doctree-resolved", resolved)
    return {"parallel_read_safe": True}
