"""What a study file may name; nothing is imported that computes."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from .._input import InputError, did_you_mean
from ..crystal.naming import DEFECTS
from ..reference.descriptions import descriptions
from .materials import MATERIALS
from .potentials import ABOUT, LAMMPS


def embedded() -> dict[str, str]:
    """Studies that come with the package: name -> title."""
    return {name: content["title"] for name, content in _contents().items()}


def _contents() -> dict[str, dict[str, Any]]:
    return {name: tomllib.loads(entry.read_text(encoding="utf-8")) for name, entry in _run_files().items()}


def _lasting(content: Mapping[str, Any]) -> str:
    """The title of a study, and how long it takes on two cores where that is known."""
    return content["title"] + (f" ({content['duration']})" if "duration" in content else "")


def text_of(name: str) -> str:
    """The text of an embedded study. Raises InputError for an unknown name."""
    known = _run_files()
    if name not in known:
        raise InputError(f"study {name!r} is not known; embedded studies are {', '.join(known)}{did_you_mean(name, known)}")
    return known[name].read_text(encoding="utf-8")


def _run_files() -> dict[str, Traversable]:
    """The run files in the folders of studies, by name; a run file with several studies is in the folder of any of them."""
    folders = [folder for folder in files("defectgen.study").iterdir() if folder.is_dir()]
    found = {e.name.removesuffix(".toml"): e for folder in folders for e in folder.iterdir() if e.name.endswith(".toml")}
    return dict(sorted(found.items()))


def catalogue() -> dict[str, dict[str, str]]:
    """What a study file may name: materials, defects, references and embedded studies, each with one line."""
    return {
        "materials": {name: m.description for name, m in MATERIALS.items()},
        "defects": dict(DEFECTS),
        "references": descriptions() | {LAMMPS: ABOUT},
        "studies": {name: _lasting(content) for name, content in _contents().items()},
    }
