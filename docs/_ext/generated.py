"""Parts of the reference that are made from the package: names, keys of run files, columns of tables, the command line.

Directives
----------
public TOPIC
    Names of `defectgen.__all__`, or of a room with the option `:room:`, documented by their docstrings. The build fails for a
    name of `defectgen.__all__` that no page documents.
run-file-keys, fit-file, columns, commands
    Tables made from the settings of the studies, the file of a fit, the columns of a run's tables, and the command line.
"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any, ClassVar

import typer
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import defectgen
from defectgen.cli import app as program
from defectgen.study import columns
from defectgen.study.keys import run_file_keys
from defectgen.study.own_labels import settings as fit_file

PAGES = Path(__file__).parents[1]
CODE = re.compile(r"^```python\n(.*?)^```", re.S | re.M)
LOGGER = logging.getLogger(__name__)
BAR = re.compile(r"(?<!\\)\|")


def row(*cells: object) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(BAR.sub(r"\\|", " ".join(str(cell).split())) for cell in cells) + " |"


def table(heading: tuple[str, ...], rows: list[str]) -> list[str]:
    """A Markdown table."""
    return [row(*heading), row(*["---"] * len(heading)), *rows, ""]


class Markdown(SphinxDirective):
    """A directive whose content is made as Markdown."""

    def made(self) -> list[str]:
        """Lines of Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The nodes of these lines."""
        return self.parse_text_to_nodes("\n".join(self.made()), allow_section_headings=True)


class Public(Markdown):
    """Documented names."""

    has_content = True
    option_spec: ClassVar = {"room": directives.unchanged}

    def made(self) -> list[str]:
        room = "defectgen" + (f".{self.options['room']}" if "room" in self.options else "")
        module = importlib.import_module(room)
        lines = ["```{eval-rst}"]
        for name in " ".join(self.content).split():
            value = getattr(module, name)
            if room == "defectgen":
                self.env.metadata[self.env.docname].setdefault("public", "")
                self.env.metadata[self.env.docname]["public"] += f" {name}"
            used = ", ".join(f":doc:`{page}`" for page in pages_with(f"dg.{name}")) if room == "defectgen" else ""
            if inspect.ismodule(value):
                lines += [f".. py:module:: {room}.{name}", "   :no-index:", ""]
            elif inspect.isclass(value):
                lines += [f".. autoclass:: {room}.{name}", "   :members:", ""]
            elif inspect.isroutine(value):
                lines += [f".. autofunction:: {room}.{name}", ""]
            else:
                lines += [f".. autodata:: {room}.{name}", "   :no-value:", ""]
            if used:
                lines += [f"   Examples in: {used}", ""]
        return [*lines, "```"]


def pages_with(name: str, most: int = 3) -> list[str]:
    """The pages whose code uses a name, the first ones in the order of their names."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    found = [page.stem for page in sorted(PAGES.glob("*.md")) if word.search("\n".join(CODE.findall(page.read_text("utf-8"))))]
    return found[:most]


class RunFileKeys(Markdown):
    """Every key of a run file, table by table."""

    def made(self) -> list[str]:
        tables: dict[str, list[str]] = {}
        for key in run_file_keys():
            default = "required" if key.default is None else f"`{key.default}`" if key.default else ""
            tables.setdefault(key.table, []).append(row(f"`{key.name}`", key.kind, default, key.meaning))
        lines = []
        for name, rows in tables.items():
            lines += [f"## `[{name}]`" if name else "## At the top of the file", ""]
            lines += table(("key", "type", "default", "meaning"), rows)
        return lines


class FitFile(Markdown):
    """The commented file that `defectgen init fit` writes."""

    def made(self) -> list[str]:
        return ["```toml", *fit_file.TEMPLATE.format(name="fit.toml").splitlines(), "```"]


class Columns(Markdown):
    """Every column of the tables that all runs write."""

    def made(self) -> list[str]:
        lines = []
        for name, found in (("results.csv", columns.RESULTS | columns.LATER), ("rates.csv", columns.RATES)):
            lines += [f"### `{name}`", ""]
            lines += table(
                ("column", "meaning", "unit"), [row(f"`{each.name}`", each.meaning, each.unit) for each in found.values()]
            )
        lines += ["### `failures.csv`", ""]
        return lines + table(("column", "meaning"), [row(f"`{each.name}`", each.meaning) for each in columns.FAILURES.values()])


class Commands(Markdown):
    """Every command with its arguments and options, as the program itself describes them."""

    def made(self) -> list[str]:
        group: Any = typer.main.get_command(program)
        lines = []
        for name, command in group.commands.items():
            if command.hidden:
                continue
            arguments = [each for each in command.params if each.param_type_name == "argument"]
            options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
            usage = " ".join(["defectgen", name, *map(self.argument, arguments), *(["[OPTIONS]"] * bool(options))])
            lines += [f"## `defectgen {name}`", "", f"`{usage}`", "", inspect.cleandoc(command.help or ""), ""]
            if command.epilog:
                lines += ["```text", *re.split(r"\s+\|\s+|\n", re.sub(r"^Examples?:\s*", "", command.epilog.strip())), "```", ""]
            if arguments:
                lines += table(("argument", "meaning"), [row(f"`{self.argument(each)}`", each.help or "") for each in arguments])
            if options:
                lines += table(("option", "meaning", "default"), [row(*self.option(each)) for each in options])
        return lines

    def argument(self, argument: Any) -> str:
        """As a usage line has it."""
        name = (argument.metavar or argument.name.upper()).removesuffix("...")
        name = name if argument.required else f"[{name}]"
        return f"{name}..." if argument.nargs == -1 else name

    def option(self, option: Any) -> tuple[str, str, str]:
        """Its names, meaning and default."""
        shown = option.show_default if isinstance(option.show_default, str) else option.default
        default = "" if shown in (None, False, True, "") or callable(shown) else str(shown)
        return ", ".join(f"`{each}`" for each in option.opts), option.help or "", default


def complete(app: Sphinx, env: Any) -> None:
    """A warning for every public name that no page documents."""
    documented = {name for data in env.metadata.values() for name in data.get("public", "").split()}
    for name in defectgen.__all__:
        if name not in documented:
            LOGGER.warning("dg.%s is public, and no page documents it: add it to docs/api.md", name)


def setup(app: Sphinx) -> dict:
    """Register the directives."""
    app.add_directive("public", Public)
    app.add_directive("run-file-keys", RunFileKeys)
    app.add_directive("fit-file", FitFile)
    app.add_directive("columns", Columns)
    app.add_directive("commands", Commands)
    app.connect("env-check-consistency", complete)
    return {"parallel_read_safe": True}
