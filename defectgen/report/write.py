"""Write the report of a run: figures with their data, and one page."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ..campaign.cells import guarded
from ..campaign.files import utf8, write_whole
from ..plot.picture import Picture
from ..plot.style import RC
from ..study import gather, pages
from .page import render


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
    with rc_context(RC):
        page = pages(run)
        images = {picture.name: draw(picture, run.directory / "figures") for picture in page.pictures}
    path = run.directory / "report.html"
    write_whole(path, utf8(render(run, page, images)))
    return path


def draw(picture: Picture, folder: Path) -> bytes:
    """Write one figure three ways; its SVG."""
    FigureCanvasAgg(picture.figure)
    svg, png = io.BytesIO(), io.BytesIO()
    picture.figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    picture.figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
    write_whole(folder / f"{picture.name}.svg", svg.getvalue())
    write_whole(folder / f"{picture.name}.png", png.getvalue())
    write_whole(folder / f"{picture.name}.csv", utf8(picture.data.map(guarded).to_csv(index=False)))
    return svg.getvalue()
