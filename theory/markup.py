r"""Markdown to HTML, as the pages of theory/ are written: formulae become MathML, identifiers and citations become links.

`$...$` and `$$...$$` are LaTeX, rendered by math-core, which refuses what it does not know. A backticked identifier such as
`bounds/rates` leads to that page, a citation such as [Kanzaki 1957] to the references. Whatever leads nowhere is refused as well.
"""

import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path, PurePosixPath
from posixpath import normpath

from bibliography import Reference, key_of
from ledger import STATUSES
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup
from math_core import LatexError, LatexToMathML
from mdit_py_plugins.dollarmath import dollarmath_plugin

LATEX = LatexToMathML(fancy_error=False)
CITATION = re.compile(r"\[([A-Z][^\]$]*\d{4}[^\]$]*)\]")  # [Names 2023], with or without words after the year
NAMES_YEAR = re.compile(r"[A-Z][^\d;]*\d{4}")
GLUED = re.compile(r"[(\[]*<math>.*?</math>[^\s<]*", re.DOTALL)  # a formula with the marks beside it
BREAKS = re.compile(r"(?<=\w)(::|[_/.:])(?=\w)")  # where a long name may go on in the next line
# A prime is drawn raised in mathematical fonts: as a superscript it would be raised and made small twice. It is lowered by
# what TeX's fonts raise a superscript by, and book.css gives it the size of the text.
PRIMES = re.compile("<mo>([\u2032-\u2034\u2057])</mo>")
GROUP_STYLE = "\ufe00"  # a variation selector that many mathematical fonts show as an empty box


@dataclass(frozen=True)
class Place:
    """Where a text stands and what it may refer to."""

    page: str  # "bounds/rates": the path in theory/ without its ending
    pages: frozenset[str]
    references: dict[str, Reference]

    @property
    def root(self) -> str:
        """The way from this page up to the folder of the book."""
        return "../" * self.page.count("/")


@dataclass(frozen=True)
class Rendered:
    """A text as HTML, the keys of the references that it cites and the files of its figures, by their paths from theory/."""

    body: str
    cited: frozenset[str]
    images: frozenset[Path]


def formula(latex: str, page: str, display: bool = False) -> str:
    """MathML of one formula; raises ValueError, one sentence that names the page and the formula, for what cannot be rendered."""
    try:
        mathml = LATEX.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        raise ValueError(f"theory/{page}.md: the formula ${latex}$ cannot be rendered: {' '.join(str(error).split())}") from None
    return PRIMES.sub(r'<mpadded class="prime" voffset="-0.36em"><mo>\1</mo></mpadded>', mathml.replace(GROUP_STYLE, ""))


def render(text: str, place: Place) -> Rendered:
    """The text as HTML; raises ValueError, one sentence, for a formula, a link or a citation that makes no sense."""
    env = {"place": place, "cited": set(), "images": set()}
    body = GLUED.sub(lambda found: f'<span class="glued">{found.group()}</span>', MARKDOWN.render(text, env))
    return Rendered(body, frozenset(env["cited"]), frozenset(env["images"]))


def code(name: str) -> Markup:
    """A name in the code, which may break after a mark if the line is too short for it."""
    return Markup("<code>" + BREAKS.sub(r"\1<wbr>", escape(name)) + "</code>")


def math_inline(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """A formula in the line."""
    return formula(tokens[i].content, env["place"].page)


def math_display(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """A formula on a line of its own, which scrolls where the window is narrower."""
    return f'<span class="display">{formula(tokens[i].content.strip(), env["place"].page, display=True)}</span>'


def code_inline(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """A name in the code, or a link if it is the name of a page, or a badge if it is a status."""
    name, place = tokens[i].content, env["place"]
    shown = code(name)
    if name in STATUSES:
        return f'<span class="status {name}">{name}</span>'
    if name == "refs.bib":
        return f'<a href="{place.root}references.html">{shown}</a>'
    return f'<a href="{place.root}{name}.html"><code>{name}</code></a>' if name in place.pages else shown


def link_open(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """A link to a Markdown file leads to its page; one that leaves theory/ must be an address."""
    place, href = env["place"], str(tokens[i].attrs["href"])
    if not href.startswith("https://"):
        target = normpath(PurePosixPath(place.page).parent / href).removesuffix(".md")
        if target not in place.pages:
            raise ValueError(f"theory/{place.page}.md links to {href}, which is no page of theory/")
        href = f"{place.root}{'index' if target == 'README' else target}.html"
    return f'<a href="{escape(href)}">'


def image(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """A figure with its caption; the book keeps a copy of its file in figures/."""
    place, source = env["place"], Path(str(tokens[i].attrs["src"]))
    env["images"].add(Path(place.page).parent / source)
    caption = escape(tokens[i].content)
    return (
        f'<span class="figure"><img src="{place.root}figures/{source.name}" alt=""><span class="caption">{caption}</span></span>'
    )


def table_open(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """A table stands in a box that scrolls."""
    return '<div class="table"><table>\n'


def table_close(self: RendererHTML, tokens: list[Token], i: int, options: object, env: dict) -> str:
    """The end of the table and of its box."""
    return "</table></div>\n"


def citation(state: StateInline, silent: bool) -> bool:
    """An inline rule: [Names 2023, words] with every "Names 2023" linked to its entry."""
    match = CITATION.match(state.src, state.pos, state.posMax)
    if match and not silent:
        state.pending += "["
        end = match.start(1)
        for one in NAMES_YEAR.finditer(state.src, *match.span(1)):
            state.pending += state.src[end : one.start()]
            address = f"{state.env['place'].root}references.html#{cite(one.group(), state.env)}"
            state.push("citation_open", "a", 1).attrs = {"href": address}
            state.pending += one.group()
            state.push("citation_close", "a", -1)
            end = one.end()
        state.pending += state.src[end : match.end()]
    state.pos = match.end() if match else state.pos
    return match is not None


def cite(names_year: str, env: MutableMapping) -> str:
    """The key of a citation, which is noted."""
    try:
        key = key_of(names_year, env["place"].references)
    except ValueError as error:
        raise ValueError(f"theory/{env['place'].page}.md cites what is not there: {error}") from None
    env["cited"].add(key)
    return key


def badges(state: StateCore) -> None:
    """A core rule: a table cell that is nothing but a status becomes a badge."""
    for before, inline in pairwise(state.tokens):
        if before.type == "td_open" and inline.content in STATUSES:
            inline.children = [Token("code_inline", "code", 0, content=inline.content)]


def parser() -> MarkdownIt:
    """Markdown with tables, formulae, citations and links between pages."""
    markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, double_inline=True)
    markdown.inline.ruler.before("link", "citation", citation)
    markdown.core.ruler.push("badges", badges)
    for rule in (math_inline, code_inline, link_open, image, table_open, table_close):
        markdown.add_render_rule(rule.__name__, rule)
    for token in ("math_inline_double", "math_block"):
        markdown.add_render_rule(token, math_display)
    return markdown


MARKDOWN = parser()
