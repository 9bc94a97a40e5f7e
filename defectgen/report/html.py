"""Pages from templates: style and script inline, figures as data, nothing from outside the file."""

import base64
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ..plot.picture import Picture
from .tables import shown
from .terms import Explained


def page(template: str, **content: Any) -> str:
    """A page from a template that extends base.html.j2."""
    return (
        _environment()
        .get_template(template)
        .render(style=_file("page.css"), script=_file("page.js"), shown=shown, explain=Explained(), **content)
    )


def figure(picture: Picture, images: Mapping[str, bytes]) -> dict[str, str]:
    """What a template has of a figure: its SVG as it is, and as narrow screens show it, if that differs."""
    return {
        "name": picture.name,
        "heading": picture.heading,
        "caption": picture.caption,
        "source": _data(images["wide"]),
        "width": str(min(_width(images["wide"]), 960)),
        "narrow": _data(images["narrow"]) if "narrow" in images else "",
    }


def _width(svg: bytes) -> int:
    """Pixels up to which a figure is shown: letters of 9 points are then 16 pixels high at most."""
    found = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', svg)
    return round(1.75 * float(found[1])) if found else 960


def _data(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _file(name: str) -> str:
    return files("defectgen.report").joinpath(name).read_text(encoding="utf-8")
