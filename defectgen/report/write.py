"""Write the report of a run: figures with their data, and one page."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from defectgen.campaign.cells import guarded
from defectgen.campaign.files import utf8, write_whole
from defectgen.report.bound_figure import bound_pictures
from defectgen.report.boundary_figure import boundary_pictures
from defectgen.report.certificate_figure import certificate_pictures
from defectgen.report.choices_figure import choices_pictures
from defectgen.report.design_data_figure import design_data_pictures
from defectgen.report.design_figure import design_pictures
from defectgen.report.diversity import diversity_pictures
from defectgen.report.figures import Picture, pictures
from defectgen.report.gather import gather
from defectgen.report.loss_figure import loss_pictures
from defectgen.report.page import render
from defectgen.report.style import RC


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
        drawn = [*pictures(run.results, run.rates), *bound_pictures(run.others.get("bounds"))]
        drawn += certificate_pictures(run.others.get("certificates"))
        drawn += design_pictures(run.others.get("design"))
        drawn += design_data_pictures(run.others.get("design_data"))
        drawn += choices_pictures(run.others.get("choices"))
        drawn += loss_pictures(run.others.get("losses"), run.others.get("loss_sensitivity"))
        drawn += boundary_pictures(run.others.get("boundary"), run.others.get("boundary_decay"), run.rates)
        drawn += diversity_pictures(run.others)
        images = [(picture, draw(picture, run.directory / "figures")) for picture in drawn]
    page = run.directory / "report.html"
    write_whole(page, utf8(render(run, images)))
    return page


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
