"""Formulae as MathML, which browsers draw without a script: the renderer of the theory book, math-core."""

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.errors import SphinxError

LATEX = LatexToMathML(fancy_error=False)


def converted(node: nodes.Element, display: bool) -> str:
    """MathML of a formula. Raises SphinxError, naming the formula, for what cannot be drawn."""
    try:
        return LATEX.convert_with_local_state(node.astext(), displaystyle=display).replace("\ufe00", "")
    except LatexError as error:
        raise SphinxError(f"the formula {node.astext()!r} cannot be drawn: {error}") from None


def inline(self, node: nodes.Element) -> None:
    """A formula in the line."""
    self.body.append(converted(node, display=False))
    raise nodes.SkipNode


def block(self, node: nodes.Element) -> None:
    """A formula on a line of its own."""
    self.body.append(f'<div class="math">{converted(node, display=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True}
