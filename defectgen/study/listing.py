"""What a study file may name; nothing is imported that computes."""

import tomllib
from importlib.resources import files

from .._input import InputError, did_you_mean
from ..crystal.naming import DEFECTS
from ..reference.descriptions import descriptions
from .materials import MATERIALS


def embedded() -> dict[str, str]:
    """Studies that come with the package: name -> title."""
    found = {}
    for entry in sorted(files("defectgen.study").joinpath("embedded").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            found[entry.name.removesuffix(".toml")] = tomllib.loads(entry.read_text(encoding="utf-8"))["title"]
    return found


def template(name: str) -> str:
    """The text of an embedded study, to start an own one from. Raises InputError for an unknown name."""
    if name not in embedded():
        known = embedded()
        raise InputError(f"study {name!r} is not known; embedded studies are {', '.join(known)}{did_you_mean(name, known)}")
    return files("defectgen.study").joinpath("embedded", f"{name}.toml").read_text(encoding="utf-8")


def catalogue() -> dict[str, dict[str, str]]:
    """What a study file may name: materials, defects, references and embedded studies, each with one line."""
    return {
        "materials": {name: m.description for name, m in MATERIALS.items()},
        "defects": dict(DEFECTS),
        "references": descriptions(),
        "studies": embedded(),
    }
