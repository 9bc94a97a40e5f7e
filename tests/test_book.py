"""The book of theory/ (`make docs`): every formula is drawn, every link arrives, nothing is left as it was typed."""

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from posixpath import normpath

import pytest

THEORY = Path(__file__).parents[1] / "theory"
sys.path.append(str(THEORY))  # its scripts import each other as a script does
book, markup, bibliography = map(importlib.import_module, ("book", "markup", "bibliography"))
sys.path.remove(str(THEORY))

BOOK = book.read()
PAGES = book.pages(BOOK)
EVERY = pytest.mark.parametrize("name", list(PAGES))


class Seen(HTMLParser):
    """Reads a page: its text outside code and outside formulae, its formulae, its links and the places that can be linked to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.formulae, self.code, self.links, self.anchors = "", [], [], [], set()
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.links += [given[key] for key in ("href", "src") if key in given]
        self.anchors |= {given["id"]} if "id" in given else set()
        if tag in ("math", "code"):
            self.open.append(tag)
            (self.formulae if tag == "math" else self.code).append("")

    def handle_endtag(self, tag: str) -> None:
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open:
            self.text += data
        else:
            (self.formulae if self.open[-1] == "math" else self.code)[-1] += data


def left_over(html: str) -> list[str]:
    """What a reader must not see: LaTeX that was not rendered, in the text or within a formula, or an error of the renderer."""
    seen = Seen(html)
    typed = [found for part in (seen.text, *seen.formulae) for found in re.findall(r"\\\w*|\$|\ufe00", part)]
    return typed + re.findall(r"<merror|math-core-error", html)


def formulae_typed(text: str) -> int:
    """How many formulae a source has, counted without the Markdown parser: pairs of dollars outside of code."""
    plain = re.sub(r"`[^`]*`", "", text).replace("$$", "$")
    assert plain.count("$") % 2 == 0
    return plain.count("$") // 2


def place(page: str = "bounds/rates") -> object:
    return markup.Place(page, frozenset(BOOK.texts), BOOK.references)


@EVERY
def test_nothing_is_left_as_latex(name):
    assert left_over(PAGES[name]) == []


@pytest.mark.parametrize("path", list(BOOK.texts))
def test_every_formula_of_the_source_is_on_the_page(path):
    drawn = [formula.strip() for formula in Seen(BOOK.texts[path].body).formulae]
    assert len(drawn) == formulae_typed((THEORY / f"{path}.md").read_text(encoding="utf-8"))
    assert all(drawn), "a formula came out empty"


def test_the_book_has_formulae_at_all():
    assert sum(len(Seen(page).formulae) for page in PAGES.values()) > 500


@pytest.mark.parametrize("path", list(BOOK.texts))
def test_tables_keep_their_columns(path):
    """A bar within a formula would end its cell, or lose its backslash: a norm in a table is written \\lVert ... \\rVert."""
    for line in (THEORY / f"{path}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            assert not any("|" in formula for formula in re.findall(r"\$[^$]*\$", line)), line


@pytest.mark.parametrize(
    "html",
    [r"<p>a \le b</p>", r"<math><mi>\arg</mi></math>", "<p>costs $x$</p>", "<math><merror>x</merror></math>"],
    ids=["in-the-text", "in-a-formula", "dollars", "error-node"],
)
def test_latex_that_is_left_over_is_found(html):
    assert left_over(html)
    assert not left_over(f"<code>{html.replace('<', '&lt;')}</code>")


@pytest.mark.parametrize("latex", [r"\nonsense x", r"\frac{a}{b", "a}", "x_1_2"])
@pytest.mark.parametrize("mark", ["$", "$$"], ids=["inline", "display"])
def test_a_formula_that_cannot_be_drawn_is_refused_by_page_and_formula(latex, mark):
    with pytest.raises(ValueError, match=r"theory/bounds/rates\.md: the formula") as refused:
        markup.render(f"Let {mark}{latex}{mark} be.", place())
    assert latex in str(refused.value) and "\n" not in str(refused.value)


@EVERY
def test_every_link_arrives(name):
    """At a page of the book or a file beside it, and at its anchor; an address in the network is https."""
    beside = {"book.css", *(f"figures/{image.name}" for text in BOOK.texts.values() for image in text.images)}
    for link in Seen(PAGES[name]).links:
        target, _, anchor = link.partition("#")
        if not link.startswith("https://"):
            arrives = normpath(PurePosixPath(name).parent / target) if target else name
            assert arrives in PAGES or arrives in beside, link
            assert not anchor or anchor in Seen(PAGES[arrives]).anchors, link


def test_the_book_needs_no_network():
    """Addresses in the network are links to follow and nothing that a page loads."""
    for name, page in PAGES.items():
        assert "<script" not in page and not re.search(r"<(?:link|img)[^>]*(?:href|src)=\"\w+:", page), name
    assert not re.search(r"url\(|@import", (THEORY / "book.css").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", list(BOOK.statements))
def test_a_statement_shows_its_header_and_its_place(path):
    statement, seen = BOOK.statements[path], Seen(PAGES[f"{path}.html"])
    root = "../"
    assert {*statement.code, *statement.check} <= set(seen.code)
    assert {f"{root}{other}.html" for other in (*statement.uses, *BOOK.used_by(path))} <= set(seen.links)
    assert all(section in seen.text for section in statement.sections)
    assert f'<span class="status {statement.status}">' in PAGES[f"{path}.html"]


def test_following_next_reads_every_statement_after_what_it_uses():
    read, path = [], next(iter(BOOK.statements))
    while path:
        assert set(BOOK.statements[path].uses) <= set(read)
        read.append(path)
        path = BOOK.beside(path)[1]
    assert read == list(BOOK.statements)


def test_names_and_citations_become_links():
    rendered = markup.render("See `bounds/hardy`, `dg.fit` and [Braun, Ortner, Wang, Zhang 2022, for the idea].", place())
    assert Seen(rendered.body).links == ["../bounds/hardy.html", "../references.html#BraunOrtnerWangZhang2022"]
    assert rendered.cited == {"BraunOrtnerWangZhang2022"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[Nobody 1900]", r"\[Nobody 1900\] is not in refs.bib"), ("[a](nowhere.md)", "nowhere.md, which is no page")],
    ids=["citation", "page"],
)
def test_what_leads_nowhere_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        markup.render(text, place())


def test_a_bibliography_that_does_not_parse_is_refused(tmp_path):
    (tmp_path / "refs.bib").write_text("@book{Euler1744, author = {Euler, L.}, year = {1744}, year = {1745}}")
    with pytest.raises(ValueError, match="does not parse"):
        bibliography.read(tmp_path / "refs.bib")


def test_every_page_of_a_book_in_a_site_leads_to_the_site():
    for name, page in book.pages(BOOK, "../index.html").items():
        arrive = [normpath(PurePosixPath("theory") / PurePosixPath(name).parent / link) for link in Seen(page).links]
        assert arrive.count("index.html") == 1
        assert "index.html" not in [
            normpath(PurePosixPath("theory") / PurePosixPath(name).parent / link) for link in Seen(PAGES[name]).links
        ]


def test_the_book_is_written_with_its_figures(tmp_path):
    first = book.write(tmp_path / "book")
    written = {str(path.relative_to(first.parent)) for path in first.parent.rglob("*") if path.is_file()}
    figures = {f"figures/{image.name}" for text in BOOK.texts.values() for image in text.images}
    assert figures and written == {*PAGES, "book.css", *figures}
