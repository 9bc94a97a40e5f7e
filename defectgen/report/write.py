"""Write the report of a run: figures with their data, and one page."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from defectgen.campaign.files import write_whole
from defectgen.plot.style import RC
from defectgen.report.bound_figure import bound_pictures
from defectgen.report.certificate_figure import certificate_pictures
from defectgen.report.choices_figure import choices_pictures
from defectgen.report.design_data_figure import design_data_pictures
from defectgen.report.design_figure import design_pictures
from defectgen.report.figures import Picture, pictures
from defectgen.report.loss_figure import loss_pictures
from defectgen.report.page import render
from defectgen.study import pages
from defectgen.study.run import gather


def write(directory: str | Path) -> Path:
    """Write ``figures/*.svg|png|csv`` and ``report.html`` into a run directory; the same tables give the same files.

    Args:
        directory: the output directory of a run (spec.toml, results.csv, rates.csv, failures.csv, events.jsonl).

    Returns:
        The path of the page.

    Raises:
        InputError: the directory is no finished run.
        StorageError: it cannot be written.
    """
    run = gather(directory)
    with rc_context(RC):
        page = pages(run)
        drawn = [*pictures(run.results, run.rates), *bound_pictures(run.others.get("bounds"))]
        drawn += certificate_pictures(run.others.get("certificates"))
        drawn += design_pictures(run.others.get("design"))
        drawn += design_data_pictures(run.others.get("design_data"))
        drawn += choices_pictures(run.others.get("choices"))
        drawn += loss_pictures(run.others.get("losses"), run.others.get("loss_sensitivity"))
        drawn += page.pictures
        images = [(picture, draw(picture, run.directory / "figures")) for picture in drawn]
    path = run.directory / "report.html"
    write_whole(path, render(run, page, images).encode())
    return path


def draw(picture: Picture, folder: Path) -> bytes:
    """Write one figure three ways; its SVG."""
    FigureCanvasAgg(picture.figure)
    svg, png = io.BytesIO(), io.BytesIO()
    picture.figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    picture.figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
    write_whole(folder / f"{picture.name}.svg", svg.getvalue())
    write_whole(folder / f"{picture.name}.png", png.getvalue())
    write_whole(folder / f"{picture.name}.csv", picture.data.to_csv(index=False).encode())
    return svg.getvalue()
