"""Write the report of a run: figures with their data, and one page."""

import gc
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

from ..campaign import Store
from ..campaign.files import guarded, utf8, write_whole
from ..plot.axes import fixed_layout
from ..plot.narrow import narrowed
from ..plot.picture import Picture
from ..plot.style import RC
from ..study import FAILURES, RATES, RESULTS, Run, Tables, gather, pages
from .page import render


def write(directory: str | Path) -> Path:
    """Write ``figures/*.svg|pdf|png|csv`` and ``report.html`` into a run directory; the same tables give the same files.

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
    return write_page(gather(directory))


def write_page(run: Run) -> Path:
    """The figures and the page of a run, written into its directory."""
    with rc_context(RC), _formulas_once(), _no_collection():
        page = pages(run)
        images = {picture.name: draw(picture, run.directory / "figures") for picture in page.pictures}
    path = run.directory / "report.html"
    write_whole(path, utf8(render(run, page, images)))
    return path


def write_tables(tables: Tables, store: Store) -> None:
    """Write the tables of a run as CSV, and its documents as JSON."""
    store.table("results.csv", tables.results, RESULTS)
    store.table("rates.csv", tables.rates, RATES)
    store.table("failures.csv", tables.failures, FAILURES)
    for name, rows in tables.others.items():
        store.table(f"{name}.csv", rows, ())
    for name, content in tables.documents.items():
        write_whole(store.directory / f"{name}.json", utf8(json.dumps(content, indent=1, allow_nan=False) + "\n"))


def draw(picture: Picture, folder: Path) -> dict[str, bytes]:
    """Write one figure as SVG, PDF and PNG, and its data as CSV.

    Returns
    -------
    dict
        "wide": the SVG; "narrow": the SVG with one panel under the other, for a figure that is wider than a narrow screen.
    """
    with fixed_layout(picture.figure):
        png, pdf, svg = _png(picture.figure), _pdf(picture.figure), {"wide": _svg(picture.figure)}
        with narrowed(picture.figure) as other:
            if other:
                svg["narrow"] = _svg(picture.figure)
    write_whole(folder / f"{picture.name}.svg", svg["wide"])
    write_whole(folder / f"{picture.name}.png", png)
    write_whole(folder / f"{picture.name}.pdf", pdf)
    write_whole(folder / f"{picture.name}.csv", utf8(picture.data.map(guarded).to_csv(index=False)))
    return svg


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    with _at_resolution(figure, 72):
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _pdf(figure: Figure) -> bytes:
    content = io.BytesIO()
    with _at_resolution(figure, 72):
        FigureCanvasPdf(figure).print_pdf(content, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return content.getvalue()


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    with _at_resolution(figure, 200):
        FigureCanvasAgg(figure).print_png(content, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    return content.getvalue()


@contextmanager
def _at_resolution(figure: Figure, dpi: float) -> Iterator[None]:
    before = figure.dpi
    figure.set_dpi(dpi)
    try:
        yield
    finally:
        figure.set_dpi(before)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Within the block, reference cycles are not looked for: a figure makes tens of thousands of objects that all stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _formulas_once() -> Iterator[None]:
    """Within the block, formulas are parsed once for all figures; matplotlib parses them again for every renderer."""
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
