"""The README and docs/: code runs in order and prints what the pages show, commands and links exist, nothing is left out."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import pages
import pytest
import typer

import defectgen as dg
from defectgen.cli import app

ROOT, DOCS = pages.ROOT, pages.DOCS
README = ROOT / "README.md"
ALL = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
ELSEWHERE = {"extending.md", "labels.md", "defects-from-elsewhere.md", "dft.md", "audit.md", "cluster.md"}
"""Pages that need packages or files, with tests of their own: test_extending, test_pages, test_dft, test_audit, test_cluster."""
RUN = [page for page in ALL if "```python" in page.read_text(encoding="utf-8") and page.name not in ELSEWHERE]
NAMED = pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def ready() -> dict[Path, dict]:
    """Names that the blocks of a page leave behind, for the pages that continue it."""
    return {}


def executed(page: Path, ready: dict[Path, dict], folder: Path) -> list[str]:
    """Run a page, after the page that it continues; what its blocks printed."""
    before = pages.continued(page)
    if before is not None and before not in ready:
        executed(before, ready, folder)
    names = dict(ready[before]) if before is not None else {}
    here = Path.cwd()
    os.chdir(folder)
    try:
        printed = pages.run(page, names)
    finally:
        os.chdir(here)
    ready[page] = names
    return printed


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_blocks_run_in_order_and_print_what_the_page_shows(page, ready, tmp_path):
    printed = executed(page, ready, tmp_path)
    for block, output in zip(pages.blocks(page.read_text(encoding="utf-8")), printed, strict=True):
        if not block.excuse:
            assert pages.alike(block.shown, output), f"{page.name}:{block.line} prints\n{output}"


def test_another_word_or_number_is_noticed():
    assert pages.alike("error 0.0123 A,  3 atoms", "error 0.01231 A, 3 atoms")
    assert not pages.alike("error 0.0123 A", "error 0.0133 A")
    assert not pages.alike("error 0.0123 A", "error 0.0123 eV")
    assert not pages.alike("", "error 0.0123 A")


def test_a_block_that_fails_names_page_and_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\n```\n\n```python\nx + y\n```\n")
    with pytest.raises(NameError) as failed:
        pages.run(page, {})
    assert (failed.traceback[-1].path, failed.traceback[-1].lineno + 1) == (page, 8)


def commands(text: str) -> list[list[str]]:
    """Calls of defectgen in the shell blocks of a page, and in its lines that begin with a dollar."""
    found = []
    for block in re.findall(r"```(?:sh|console|)\n(.*?)```", text, re.S):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s&&\s|\s\|\s", line.removeprefix("$ ")):
                if part.startswith("defectgen "):
                    found.append(shlex.split(part, comments=True)[1:])
    return found


def unknown(words: list[str]) -> list[str]:
    """The verb or the options of a call that the program does not have."""
    program = typer.main.get_command(app)
    if words[0].startswith("-"):
        return [word for word in words if not any(word in option.opts for option in [*program.params])]
    if words[0] not in program.commands:
        return words[:1]
    known = {name for option in program.commands[words[0]].params for name in (*option.opts, *option.secondary_opts)}
    return [word for word in words if word.startswith("-") and word.split("=")[0] not in known | {"--help", "-h"}]


@NAMED
def test_commands_and_their_options_exist(page):
    for words in commands(page.read_text(encoding="utf-8")):
        assert unknown(words) == [], " ".join(words)


def test_a_command_that_does_not_exist_is_noticed():
    assert commands("```sh\nmake run\ndefectgen runs quickstart --worker 2  # a comment\n```") == [
        ["runs", "quickstart", "--worker", "2"]
    ]
    assert unknown(["runs", "quickstart"]) == ["runs"] and unknown(["run", "x", "--worker", "2"]) == ["--worker"]


@NAMED
def test_links_to_files_arrive(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("https://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


@NAMED
def test_toml_blocks_are_toml(page):
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        tomllib.loads(block)


def test_every_page_is_in_the_table_of_contents_once():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    tables = re.findall(r"```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)```", text, re.S)
    listed = [name.rpartition("<")[2].rstrip(">") for table in tables for name in table.splitlines() if name]
    assert sorted(listed) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_every_public_name_is_in_the_reference_once():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = " ".join(re.findall(r"```\{public\}\n(?!:)(.*?)```", text, re.S)).split()
    assert sorted(listed) == sorted(dg.__all__)


def test_the_readme_fits_on_a_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150
