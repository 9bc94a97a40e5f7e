"""Write the report of a run: figures with their data, and one page."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from matplotlib import rc_context
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

from ..campaign.files import guarded, utf8, write_whole
from ..plot.picture import Picture
from ..plot.style import RC
from ..study import gather, pages
from .page import render

Canvas = TypeVar("Canvas", bound=FigureCanvasBase)


def write(directory: str | Path) -> Path:
    """Write ``figures/*.svg|png|csv`` and ``report.html`` into a run directory; the same tables give the same files.

    Parameters
    ----------
    directory : path
        The output directory of a run (spec.toml, results.csv, rates.csv, failures.csv, events.jsonl).

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    InputError
        The directory is no finished run.
    StorageError
        It cannot be written.
    """
    run = gather(directory)
    with rc_context(RC), _formulas_once():
        page = pages(run)
        images = {picture.name: draw(picture, run.directory / "figures") for picture in page.pictures}
    path = run.directory / "report.html"
    write_whole(path, utf8(render(run, page, images)))
    return path


def draw(picture: Picture, folder: Path) -> bytes:
    """Write one figure as SVG and PNG, and its data as CSV.

    Returns
    -------
    bytes
        The SVG.
    """
    svg = _svg(picture.figure)
    write_whole(folder / f"{picture.name}.svg", svg)
    write_whole(folder / f"{picture.name}.png", _png(picture.figure))
    write_whole(folder / f"{picture.name}.csv", utf8(picture.data.map(guarded).to_csv(index=False)))
    return svg


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    with _laid_out(FigureCanvasSVG(figure), 72) as canvas:
        canvas.print_svg(content, metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    with _laid_out(FigureCanvasAgg(figure), 200) as canvas:
        canvas.print_png(content, metadata={"Software": None})
    return content.getvalue()


@contextmanager
def _formulas_once() -> Iterator[None]:
    """Within the block, formulas are parsed once for all figures; matplotlib parses them anew for every renderer."""
    parse, known = MathTextParser.parse, {}

    def remembered(self: MathTextParser, s: str, dpi: float = 72, prop: FontProperties | None = None, **others: Any) -> Any:
        key = (*vars(self).values(), s, dpi, None if prop is None else prop.copy(), *others.items())
        if key not in known:
            known[key] = parse(self, s, dpi, prop, **others)
        return known[key]

    MathTextParser.parse = remembered
    try:
        yield
    finally:
        MathTextParser.parse = parse


@contextmanager
def _laid_out(canvas: Canvas, dpi: float) -> Iterator[Canvas]:
    """The canvas, its figure laid out for a resolution; `savefig` would draw all of it once more to have it laid out."""
    figure, engine, before = canvas.figure, canvas.figure.get_layout_engine(), canvas.figure.dpi
    figure.set_dpi(dpi)
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    try:
        yield canvas
    finally:
        figure.set_dpi(before)
        if engine is not None:
            figure.set_layout_engine(engine)
