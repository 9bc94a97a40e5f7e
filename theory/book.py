"""The book: every statement of theory/ as a page of HTML with its formulae drawn, to be read without a network (`make docs`)."""

import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import bibliography
import jinja2
from ledger import FIRMNESS, HERE, Statement, effective, statements
from markup import Place, Rendered, code, render

FOLDERS = {  # in the order in which a newcomer reads
    "setting": "The setting",
    "crystal": "The perfect crystal",
    "fit": "The fit",
    "domain": "Where a fit may be trusted",
    "diversity": "How a budget of labels is spent",
    "bounds": "Bounds and rates",
    "relax": "Relaxation",
}
PLAIN = ("README", "notation")  # pages that are no statements, each with its title in its first line
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
TEMPLATES.filters["code"] = code


@dataclass(frozen=True)
class Book:
    """What the pages are made of: statements in reading order, references by key, and every text by the path of its page."""

    statements: dict[str, Statement]
    references: dict[str, bibliography.Reference]
    texts: dict[str, Rendered]
    titles: dict[str, str]

    @property
    def folders(self) -> dict[str, list[str]]:
        """The statements of each folder under its heading, in reading order."""
        return {heading: [p for p in self.statements if p.startswith(f"{name}/")] for name, heading in FOLDERS.items()}

    @cached_property
    def firm(self) -> dict[str, str]:
        """The effective status of every statement."""
        return {path: status for path, (status, _) in effective(self.statements).items()}

    def rests_on(self, path: str) -> list[str]:
        """The statements, used directly or through others, that are weaker than proved or cited: what this one is due to."""
        found: dict[str, None] = {}

        def visit(other: str) -> None:
            for used in self.statements[other].uses:
                if used not in found and FIRMNESS[self.firm[used]]:
                    if FIRMNESS[self.statements[used].status]:
                        found[used] = None
                    visit(used)

        visit(path)
        return [other for other in self.statements if other in found]

    def used_by(self, path: str) -> list[str]:
        """The statements that use this one."""
        return [other for other, statement in self.statements.items() if path in statement.uses]

    def cited_by(self, key: str) -> list[str]:
        """The pages that cite this reference."""
        return [path for path, text in self.texts.items() if key in text.cited]

    def beside(self, path: str) -> tuple[str | None, str | None]:
        """The statements before and after this one in reading order."""
        order = [None, *self.statements, None]
        i = order.index(path)
        return order[i - 1], order[i + 1]


def read() -> Book:
    """The book of this folder; raises ValueError for a text that cannot be rendered or a folder without a heading."""
    found = statements()
    nameless = sorted({path.split("/")[0] for path in found} - set(FOLDERS))
    if nameless:
        raise ValueError(f"theory/{nameless[0]} has no heading in the book: add one to FOLDERS in theory/book.py")
    plain = {path: (HERE / f"{path}.md").read_text(encoding="utf-8").split("\n", 1) for path in PLAIN}
    sources = {path: body for path, (_, body) in plain.items()} | {path: s.text for path, s in found.items()}
    titles = {path: heading.removeprefix("# ") for path, (heading, _) in plain.items()} | {p: s.title for p, s in found.items()}
    references = bibliography.read(HERE / "refs.bib")
    texts = {path: render(text, Place(path, frozenset(sources), references)) for path, text in sources.items()}
    return Book(found, references, texts, titles)


def pages(book: Book, site: str = "") -> dict[str, str]:
    """Every page of the book by its name, "bounds/rates.html"; `site` leads from its folder to the site that it is a part of."""
    template = TEMPLATES.get_template("book.html.j2")
    titles = {**book.titles, "references": "References"}
    names = {path: "index" if path == "README" else path for path in titles}
    return {
        f"{names[path]}.html": template.render(book=book, path=path, title=title, root="../" * path.count("/"), site=site)
        for path, title in titles.items()
    }


def write(out: Path, site: str = "") -> Path:
    """Writes the book into a folder and returns the path of its first page; `site` as in `pages`."""
    book = read()
    for name, text in pages(book, site).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    shutil.copy(HERE / "book.css", out)
    (out / "figures").mkdir(exist_ok=True)
    for image in sorted({image for text in book.texts.values() for image in text.images}):
        shutil.copy(HERE / image, out / "figures")
    return out / "index.html"


if __name__ == "__main__":
    try:
        print(f"the book: {write(Path(sys.argv[1]), *sys.argv[2:])}")
    except ValueError as error:
        sys.exit(str(error))
