"""Report: from the tables of a run, with holes in them, to figures and one page that needs nothing else."""

import csv
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.patches import Polygon
from matplotlib.path import Path as Outline

from defectgen._input import InputError
from defectgen.campaign import Event, Store
from defectgen.plot import typeset
from defectgen.plot.axes import curve, finish, fixed_layout, legend, panels
from defectgen.plot.narrow import WIDTH, narrowed
from defectgen.plot.slopes import _apart, slope_triangles
from defectgen.plot.style import RC, in_reading_order, marks
from defectgen.plot.triangles import Drawn, Panel, Slope, arrange, label_box
from defectgen.report import write
from defectgen.report.findings import BEFORE_FIGURES, comparisons, ranked
from defectgen.report.tables import shown
from defectgen.report.terms import THEORY, Explained
from defectgen.study import FAILURES, RATES, RESULTS, Cell, PageTable, gather, pages
from defectgen.study.remarks import gathered

SETS = {"E+F": -1.5, "E+F+V": -3.5, "E+F+FC": -4.5, "E+F+FC+V": -6.5}
CASES = [("Cu", "vacancy"), ("Si", "dumbbell<110> & more")]


def rows() -> list[dict]:
    """Power laws with a few holes: an unconverged point, one in another basin, an exact zero, a missing number."""
    found = []
    for material, defect in CASES:
        for observations, slope in SETS.items():
            for radius in (2.1, 3.3, 4.9, 6.4):
                row = {"study": "cell-size", "material": material, "defect": defect, "dimension": 3, "observations": observations}
                row |= {"training_radius": radius, "training_atoms": 100, "basis_functions": 85, "simulation_atoms": 4000}
                row |= {"geometry_error": radius**slope, "energy_error": -0.1 * radius ** (2 * slope), "seconds": 1.5}
                found.append(row | {"converged": True, "same_basin": True, "rmse_forces": 1e-3})
    found[0]["converged"] = False
    found[1]["same_basin"] = False
    found[2]["energy_error"] = 0.0
    found[5]["geometry_error"] = None
    common = found[0] | {"study": "fit-accuracy", "converged": True}
    for size, force in [(9, 0.08), (58, 0.007), (410, 7e-4)]:
        found.append(common | {"basis_functions": size, "rmse_forces": force, "geometry_error": 2 * force, "energy_error": force})
    return found


def rates() -> list[dict]:
    found = []
    for material, defect in CASES:
        for observations, slope in SETS.items():
            row = {"study": "cell-size", "material": material, "defect": defect, "dimension": 3, "observations": observations}
            row |= {"quantity": "geometry", "slope": slope + 0.1, "low": slope - 0.2, "high": slope + 0.4, "window": "3.3-6.4"}
            found.append(row | {"predicted": slope, "verdict": "agrees", "dropped": "2.1", "local_slopes": [slope, slope]})
    return found


def make(folder: Path) -> Path:
    store = Store(folder)
    store.claim("toy", 'name = "toy"\ntitle = "A <toy> title"\n')
    store.table("results.csv", rows(), RESULTS)
    store.table("rates.csv", rates(), RATES)
    store.table("failures.csv", [{"label": "Si L=4.9", "reason": "no minimum in 200 steps, residual > 1"}], FAILURES)
    command = {"command": "defectgen run toy --workers 2", "versions": {"jax": "0.10.2"}}
    for event in [
        Event("command", detail=command),
        Event("begin", total=4),
        Event("found", total=4),
        Event("end", seconds=200.0),
    ]:
        store.log(event)
    return store.directory


@pytest.fixture
def run(tmp_path) -> Path:
    """A run without its report."""
    return make(tmp_path / "run")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A run with its report; not to be changed."""
    folder = make(tmp_path_factory.mktemp("report") / "run")
    write(folder)
    return folder


def told(folder: Path) -> str:
    """All findings of a run."""
    run = gather(folder)
    page = pages(run)
    first, more = ranked(run, page, comparisons(run.results, page.compared))
    assert 0 < len(first) <= BEFORE_FIGURES == 5 and len({*first, *more}) == len(first) + len(more)
    return " ".join([*first, *more])


class Page(HTMLParser):
    """Checks that tags are balanced and collects what a test asks about."""

    VOID = ("meta", "img", "link", "br", "hr", "source", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.links, self.text = [], Counter(), [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.links += [value for key, value in attributes if key in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_is_whole_and_alone(written):
    text = (written / "report.html").read_text()
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>") and page.tags["h1"] == page.tags["main"] == page.tags["script"] == 1
    anchors = re.findall(r'id="([^"]+)"', text)
    assert len(set(anchors)) == len(anchors)
    inside = [link for link in page.links if not link.startswith("data:image/svg+xml;base64,")]
    assert all(link[1:] in anchors if link.startswith("#") else (written / link).is_file() for link in inside), inside
    assert {"#rates", "#terms", "#term-training-radius", "results.csv", "figures/cell-size-cu-vacancy.pdf"} <= set(inside)
    outside = re.sub(r"data:[^\"]*", "", text)
    assert not re.search(r"https?://|//[a-z]|@import|url\(|<script.+src|fetch\(", outside)
    for said in ["A <toy> title", "defectgen run toy --workers 2", "jax 0.10.2", "3 min 20 s", "Si dumbbell<110> & more"]:
        assert said in page.text
    assert "no minimum in 200 steps, residual > 1" in page.text
    assert str(written) not in text
    # largest radius, results, rates, failures; and a row of each
    assert page.tags["table"] == 4
    assert page.tags["tr"] == 4 + 2 * len(CASES) + len(rows()) + len(rates()) + 1
    assert not re.search(r"<h2>[^<]*</h2>\s*</section>", text)  # no section is empty


def test_terms_are_explained_where_they_are_used(written):
    text = (written / "report.html").read_text()
    uses = re.findall(r'<a class="term" href="#([^"]+)" aria-describedby="([^"]+)" data-tip="([^"]+)">', text)
    assert len(uses) > 10 and all(link == told and f'<dd id="{told}">' in text for link, told, _ in uses)
    for section in re.findall(r'<section id="(?!terms).*?</section>', text, flags=re.S):
        own = re.findall(r'<a class="term" href="#([^"]+)"', section)
        assert len(own) == len(set(own))  # once a section
    explained, heads = Explained(), "error of"
    assert str(explained("Slope of the upslope", "here")).count("<a") == 1  # no part of a word
    assert explained.about("geometry error (Å)").startswith("square root") and explained.about(heads) == ""
    assert str(explained("see <b> (theory: bounds/core)", "there")) == (
        'see &lt;b&gt; (theory: <a href="#theory-bounds-core">bounds/core</a>)'
    )
    assert all((Path(__file__).parent.parent / "theory" / f"{page}.md").is_file() for page in THEORY)


def test_a_narrow_screen_has_three_quantities_and_one_column_of_names():
    header = [Cell("set", "set"), Cell("defect"), *(Cell(f"n{k}", "number") for k in range(4)), Cell("L", "number", role="main")]
    table = shown(PageTable(tuple(header), tuple((Cell("E+F"), Cell(d), *[Cell("−1.5 × 10⁻³")] * 5) for d in "abc")))
    number, wide = "quantity number", "quantity number wide"
    assert [cell.classes for cell in table.header] == ["name", "name", number, number, wide, wide, number]
    assert table.common == "" and table.cases[0] == "E+F · a" and table.rows[0][2].value == "-1.5e-3"
    plain = shown(PageTable.plain(("case", "a", "b", "c", "d"), [("x", "1", "–", "2 of 3", "4 %"), ("y", "", "5", "6", "7")]))
    assert [cell.classes for cell in plain.header] == ["", *["quantity"] * 3, "quantity wide"]
    assert [cell.value for cell in plain.rows[0]] == ["", "1", "", "2", "4"]


def test_figures_of_narrow_screens_have_their_panels_one_under_the_other():
    with rc_context(RC):
        figure, axes = panels(2)
        for panel in axes:
            panel.plot([1, 2], [3, 4])
        legend(figure, marks(SETS))
        with fixed_layout(figure):
            before = [(tuple(a.get_position().bounds), a.get_window_extent().size.tolist()) for a in axes]
            size = tuple(figure.get_size_inches())
            with narrowed(figure) as changed:
                upper, lower = (a.get_window_extent() for a in axes)
                assert changed and 72 * figure.get_figwidth() <= WIDTH + 5
                assert upper.y0 > lower.y1 and abs(upper.x0 - lower.x0) < 20
                sizes = [a.get_window_extent().size / 72 for a in axes]
                box = figure.legends[0].get_window_extent()
                assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= upper.y1
            assert [(tuple(a.get_position().bounds), a.get_window_extent().size.tolist()) for a in axes] == before
            assert tuple(figure.get_size_inches()) == size and len(figure.legends) == 1
            np.testing.assert_allclose(sizes, [np.array(s) / figure.dpi for _, s in before], rtol=1e-9)  # what has room keeps it


def test_findings_come_from_the_numbers(run):
    text = told(run)
    assert "smallest error belongs to E+F+FC+V in 4 of 4, the largest to E+F in 4 of 4" in text
    assert "the slopes of 0 of 8 curves agree with the predicted rates (agrees 8)." in text
    assert "In no rate: 2 of 35 points (1 not converged, 1 in another basin than the reference)" in text
    table = (run / "results.csv").read_text().replace(",E+F,", ",swap,").replace(",E+F+FC+V,", ",E+F,")
    (run / "results.csv").write_text(table.replace(",swap,", ",E+F+FC+V,"))
    assert "smallest error belongs to E+F in 4 of 4, the largest to E+F+FC+V in 4 of 4" in told(run)


def test_figures_have_their_data_beside_them(written):
    stems = {path.stem for path in (written / "figures").iterdir()}
    assert len(stems) == 4 and all(
        (written / "figures" / f"{stem}{end}").stat().st_size for stem in stems for end in (".svg", ".png", ".csv")
    )
    with open(written / "figures" / "cell-size-cu-vacancy.csv") as file:
        shown = list(csv.DictReader(file))
    assert len(shown) == 16 and float(shown[3]["geometry_error"]) == rows()[3]["geometry_error"]  # to the last digit
    assert (written / "figures" / "cell-size-cu-vacancy.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("harm", ["no rates and no events", "no rows", "one radius", "nothing finite", "unknown sets"])
def test_poor_runs_still_get_a_page(run, harm):
    results = [row for row in rows() if row["material"] == "Cu"]
    if harm == "no rates and no events":
        (run / "rates.csv").unlink()
        (run / "events.jsonl").unlink()
    elif harm == "no rows":
        results = []
    elif harm == "one radius":
        results = [row | {"training_radius": 3.0} for row in results if row["study"] == "cell-size"]
    elif harm == "nothing finite":
        results = [row | {"geometry_error": math.nan, "energy_error": math.inf} for row in results]
    elif harm == "unknown sets":
        results = [row | {"observations": row["observations"].replace("V", "core")} for row in results]
    Store(run).table("results.csv", results, RESULTS)
    Page(write(run).read_text())


@pytest.mark.parametrize("name", ["spec.toml", "results.csv"])
def test_no_run_is_refused(run, name):
    (run / name).unlink()
    with pytest.raises(InputError, match=r"no spec.toml|has not finished"):
        write(run)


def test_tables_are_read_exactly(run):
    frame = gather(run).results
    expected = [math.nan if row["geometry_error"] is None else row["geometry_error"] for row in rows()]
    np.testing.assert_array_equal(frame["geometry_error"], expected)  # repr round trip: no tolerance
    assert frame["converged"].dtype == bool and frame["converged"].sum() == len(frame) - 1


def test_marks_are_the_same_everywhere():
    assert marks(["E+F"])["E+F"] == marks(["E+F+FC", "E+F", "F"])["E+F"]
    assert in_reading_order(["F", "E+F+FC+V", "E+F", "E+F+V"]) == ["E+F", "E+F+V", "E+F+FC+V", "F"]
    look = marks([*SETS, "F", "E"])
    assert len({mark.colour for mark in look.values()}) == len({mark.marker for mark in look.values()}) == 6


def test_labels_are_pushed_apart():
    places = _apart([0.5, 0.51, 0.2, 0.505], gap=0.06)
    assert sorted(places, key=lambda p: p) == [places[2], places[0], places[3], places[1]]  # the order is kept
    assert min(np.diff(sorted(places))) > 0.06 - 1e-6  # the iteration stops within 1e-9 of an overlap a pair
    assert places[2] == 0.2


PANEL = Panel((4.5, 9.0), (1e-9, 1e-2), width=190.0, height=180.0)
LENGTHS = np.array([5.0, 5.9, 6.9, 8.0])


def power_law(slope: float, height: float) -> Slope:
    return Slope(LENGTHS, height * (LENGTHS / 8) ** slope, slope, typeset.slope(slope), "#0072B2")


def drawn(slopes: list[Slope]) -> list[Drawn]:
    return [Drawn(slope.x, slope.y, radius=3.0, joined=True) for slope in slopes]


@pytest.mark.parametrize("slope", [-13 / 2, -8.0, -1.0, -0.28, 0.0, 2.0], ids=lambda slope: f"slope {slope:g}")
def test_the_hypotenuse_has_the_predicted_slope(slope):
    wanted = [power_law(slope, 1e-5)]
    _, (found,) = arrange(PANEL, wanted, drawn(wanted))
    (start, end, right) = np.log(found.corners)
    # the corners went through exp and log once, and a triangle is at least 1/25 wide in log x: rounding is below 1e-13
    assert abs((end[1] - start[1]) / (end[0] - start[0]) - slope) < 1e-11
    assert min(abs(right[0] - start[0]), abs(right[0] - end[0])) < 1e-13
    assert min(abs(right[1] - start[1]), abs(right[1] - end[1])) < 1e-13
    assert LENGTHS[0] * (1 - 1e-12) <= found.corners[:, 0].min() and found.corners[:, 0].max() <= LENGTHS[-1] * (1 + 1e-12)


def overlap(panel: Panel, wanted: list[Slope], found) -> bool:
    """Whether an outline of a triangle or a label meets a curve or another one: matplotlib's test of intersection."""
    outlines = []
    for slope, triangle in zip(wanted, found, strict=True):
        corners = panel.points(*triangle.corners.T)
        width, height = label_box(slope.label)
        left = corners[2, 0] + (-2.5 - width if triangle.label_left else 2.5)
        low = corners[:2, 1].mean() - height / 2
        box = [(left, low), (left + width, low), (left + width, low + height), (left, low + height)]
        outlines += [Outline([*corners, corners[0]], closed=True), Outline([*box, box[0]], closed=True)]
    curves = [Outline(panel.points(slope.x, slope.y)) for slope in wanted]
    return any(
        any(one.intersects_path(other, filled=False) or one.contains_points(other.vertices).any() for other in curves)
        or any(one.intersects_path(other, filled=True) for other in outlines[:i])
        for i, one in enumerate(outlines)
    )


@pytest.mark.parametrize(
    "slopes",
    [
        [(-1.5, 1e-3), (-3.5, 1e-5), (-4.5, 4e-6), (-6.5, 1e-7)],
        [(-3.0, 1e-5), (-3.0, 1.2e-5), (-3.0, 0.8e-5)],
        [(0.0, 1e-4), (-13 / 2, 1e-5), (1.5, 1e-5), (-8.0, 4e-6)],
    ],
    ids=["apart", "one on the other", "crossing"],
)
def test_triangles_and_labels_stay_clear_of_everything(slopes):
    wanted = [power_law(*one) for one in slopes]
    panel, found = arrange(PANEL, wanted, drawn(wanted))
    assert None not in found and not overlap(panel, wanted, found)
    ends = np.concatenate([panel.points(*triangle.corners.T) for triangle in found])
    assert (ends > 0).all() and (ends < [panel.width, panel.height]).all()


def test_triangles_placed_without_regard_to_others_overlap():
    """The test above can fail."""
    wanted = [power_law(-3.0, height) for height in (1e-5, 1.2e-5, 0.8e-5)]
    assert overlap(PANEL, wanted, [arrange(PANEL, [slope], drawn([slope]))[1][0] for slope in wanted])


def test_a_panel_without_room_gets_dashed_guides():
    """Marks all over a panel leave no place for a triangle; one that covers half of it does."""
    with rc_context(RC):
        outcomes = []
        for top in (1.0, 1e-6):
            figure, (axes,) = panels(1)
            slope = power_law(-2.0, 1e-3)
            curve(axes, slope.x, slope.y, np.ones(4, dtype=bool), marks(["E+F"])["E+F"])
            x, y = (grid.ravel() for grid in np.meshgrid(np.geomspace(4.5, 9, 25), np.geomspace(1e-12, top, 60)))
            axes.plot(x, y, ls="none", marker="o")
            finish(axes, np.array([4.5, 9.0]), np.array([1e-8, 1.0]), ticks_at_values=False)
            before = len(axes.lines)
            dashed = slope_triangles(figure, [(axes, [slope])])
            triangles = [patch for patch in axes.patches if isinstance(patch, Polygon)]
            outcomes.append((dashed, len(axes.lines) - before, len(triangles), [text.get_text() for text in axes.texts]))
    label = typeset.slope(-2.0)
    assert outcomes == [(True, 1, 0, [label]), (False, 0, 1, [label])]


def test_captions_and_pictures_show_the_triangles(written):
    page = Page((written / "report.html").read_text()).text
    assert page.count("Triangles: slopes predicted by the theory") == len(CASES)
    assert "Dashed" not in page  # these curves leave room


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0234, "0.023"),
        (0.0201, "0.020"),
        (12.3, "12"),
        (99.7, "100"),
        (310.4, "310"),
        (4.14e-7, "4.1×10⁻⁷"),
        (-7300.0, "−7.3×10³"),
        (math.nan, "–"),
    ],
)
def test_numbers_read_well(value, text):
    assert re.sub(r"\s", "", typeset.number(value)) == text


def test_local_slopes_name_their_radius():
    assert typeset.local_slopes("1.73:-5.63 2.45:3.47") == "−5.63 at 1.73, 3.47 at 2.45"
    assert typeset.local_slopes("-1.50") == "−1.50" and typeset.local_slopes("") == ""


def test_few_sizes_are_no_evidence(run):
    """A rate that decides nothing is said to decide nothing, and no slope is called far from its prediction for it."""
    few = {"verdict": "inconclusive", "slope": 7.0, "remark": "2 sizes in the window: three are the least"}
    Store(run).table("rates.csv", [row | few for row in rates()], RATES)
    text = told(run)
    assert "the slopes of 0 of 8 curves agree with the predicted rates (inconclusive 8)." in text and "Farthest" not in text
    assert (
        "Inconclusive (8 of 8) speaks neither for nor against the theory" in text
        and "2 sizes in the window: three are the least (8)" in text
    )


def test_without_a_slope_no_sentence_is_broken(run):
    none = {"verdict": "inconclusive", "slope": None, "low": None, "high": None}
    Store(run).table("rates.csv", [row | none for row in rates()], RATES)
    text = told(run)
    assert "No slope was measured: none of 8 curves has enough points in its window." in text
    assert "nan" not in text and " –" not in text and "None" not in text


def test_the_effect_of_the_fit_is_one_sentence_a_case(run):
    text = told(run)
    assert text.count("basis functions") == 1  # factors 0.08 / 7e-4 of both errors
    assert "from 9 to 410 basis functions" in text and "divided by 114 and the geometry error by 114." in text


def test_slopes_are_fractions_where_they_can_be():
    assert [typeset.slope(s).replace(typeset.MINUS, "-") for s in (-4.5, -6.0, -2.87)] == ["-9/2", "-6", "-2.87"]


def test_warnings_that_differ_in_numbers_are_one_line_for_each_set():
    """Rank warnings of a whole study: one line for each case and set, counted, with ranges; everything else stays."""
    text = "a fit with a warning: rank {} of {}: the rows of {} do not determine all coefficients; or degree 1.5e-3"
    lines = [
        {"label": f"Cu divacancy {name}, training size {size}", "reason": text.format(9 + size, 30, name)}
        for name in ("E+F", "E+F+V")
        for size in (5, 91)
    ]
    other = {"label": "Cu divacancy E+F, training size 5", "reason": "the model rests in another state: 2 atoms"}
    found = gathered([*lines, other, {**other, "label": "Cu divacancy E+F, training size 6"}])
    assert [line["label"] for line in found] == [
        "Cu divacancy E+F: 2 fits",
        "Cu divacancy E+F+V: 2 fits",
        "Cu divacancy E+F, training size 5",
        "Cu divacancy E+F, training size 6",
    ]
    assert found[1]["reason"] == text.format("14 to 100", 30, "E+F+V") and found[2] == other
    assert gathered(lines[:1]) == lines[:1]
