"""The page of a run in a headless Chromium: no complaint, every figure loads, tables sort, narrow and dark screens, print."""

import re
import shutil

import pytest
from browser import CHROMIUM, WIDTHS, browser
from test_report import make

from defectgen.report import write

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

FIGURES = "[...document.images].map(i => [i.alt, i.complete && i.naturalWidth > 0, i.currentSrc.length])"
COLUMN = """(name, column) => [...document.querySelectorAll(`#${name} tbody tr`)].map(r => r.cells[column].textContent.trim())"""
SHOWN = """[...document.querySelectorAll('table')].map(t => [...t.tHead.rows[0].cells].filter(
  c => c.offsetWidth && c.classList.contains('quantity')).length)"""


@pytest.fixture(scope="module")
def tab():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write(make(tmp_path_factory.mktemp("browser") / "run"))


def faults(tab, page, width, dark=False) -> list[str]:
    """What is wrong with a page at a width."""
    tab.open(page, width, dark=dark)
    found = list(tab.complaints)
    found += [f"the figure '{name}' does not load" for name, there, _ in tab.ask(FIGURES) if not there]
    if (wide := tab.ask("document.documentElement.scrollWidth")) > width:
        found.append(f"the page is {wide} px wide on a screen of {width} px")
    if width < 600:
        found += [f"a table shows {count} quantities" for count in tab.ask(SHOWN) if count > 3]
    return found


def order(tab, section: str, column: int) -> list[str]:
    return tab.ask(f"({COLUMN})('{section}', {column})")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_has_no_fault(tab, page, width):
    assert faults(tab, page, width) == [] and len(tab.ask(FIGURES)) == 4
    wide = [length for _, _, length in tab.ask(FIGURES)]
    tab.open(page, 400)
    assert ([length for _, _, length in tab.ask(FIGURES)] == wide) == (width == 400)  # panels one under the other


def test_tables_sort_by_mouse_and_keyboard(tab, page):
    tab.open(page)
    heads = tab.ask("[...document.querySelectorAll('#rates th .head')].map(h => h.textContent)")
    column = heads.index("slope")
    given = order(tab, "rates", column)
    value = [float(text.replace("−", "-")) for text in given]
    assert sorted(value) != value
    tab.ask(f"document.querySelectorAll('#rates th .head')[{column}].click()")
    up = [float(text.replace("−", "-")) for text in order(tab, "rates", column)]
    assert up == sorted(value)
    tab.ask(f"document.querySelectorAll('#rates th .head')[{column}].focus()")
    tab.press("Enter", 13)
    assert [float(text.replace("−", "-")) for text in order(tab, "rates", column)] == up[::-1]
    assert tab.ask("document.querySelectorAll('#rates [aria-sort=descending]').length") == 1
    tab.press("Enter", 13)
    assert order(tab, "rates", column) == given
    tab.ask("document.querySelectorAll('#results details').forEach(d => d.open = true)")
    column = tab.ask("[...document.querySelectorAll('#results th .head')].findIndex(h => h.textContent.startsWith('geometry'))")
    for _ in range(2):  # the missing number comes last both ways
        tab.ask(f"document.querySelectorAll('#results th .head')[{column}].click()")
        assert order(tab, "results", column)[-1] == "–"


def test_terms_are_explained_on_focus_and_all_columns_on_demand(tab, page):
    tab.open(page, 400)
    tip = "getComputedStyle(document.querySelector('.lead .term'), '::after').content"
    assert tab.ask(tip) in ("none", "normal")
    tab.ask("document.querySelector('.lead .term').focus()")
    assert re.match(r'"[a-z ]+: ', tab.ask(tip))
    before = tab.ask(SHOWN)
    tab.ask("document.querySelectorAll('.all input').forEach(box => box.click())")
    assert max(before) == 3 < max(tab.ask(SHOWN))


def test_dark_screens_and_print(tab, page):
    paper = "getComputedStyle(document.body).backgroundColor"
    tab.open(page)
    light = tab.ask(paper)
    assert faults(tab, page, 900, dark=True) == []
    assert light == "rgb(255, 255, 255)" and tab.ask(paper) == "rgb(20, 20, 20)"
    assert "invert" in tab.ask("getComputedStyle(document.images[0]).filter")
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", tab.printed()))
    assert 2 <= pages <= 7, pages


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("base64,PD94", "base64,AAAA", "does not load"),
        ("for (const table of", "missing(); for (const table of", "missing is not defined"),
        ("figure img { display: block; width: 100%;", "figure img { display: block; width: 900px;", "px wide on a screen"),
        (":is(.wide, .name) { display: none; }", ":is(.wid, .name) { display: none; }", "a table shows"),
        ("<h2>Findings</h2>", '<h2>Findings</h2><img src="figures/none.svg" alt="none">', "'none' does not load"),
    ],
    ids=["damaged figure", "script", "wide figure", "many columns", "missing file"],
)
def test_a_planted_fault_is_found(tab, page, tmp_path, old, new, complaint):
    text = page.read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "report.html"
    broken.write_text(text.replace(old, new), encoding="utf-8")
    shutil.copytree(page.parent / "figures", tmp_path / "figures")
    assert any(complaint in fault for fault in faults(tab, broken, 400))
