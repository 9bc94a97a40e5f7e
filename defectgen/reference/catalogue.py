"""The list of references, and a reference from its name: "CleriRosato(Cu)"."""

import re
from collections.abc import Callable
from typing import NamedTuple

from .._input import InputError
from ..energy.site import SiteEnergy
from . import cleri_rosato, finnis_sinclair, pair, stillinger_weber
from .cleri_rosato import CleriRosato
from .eam import EAM
from .finnis_sinclair import FinnisSinclair
from .pair import LennardJones, Morse
from .stillinger_weber import StillingerWeber


class Reference(NamedTuple):
    """One line of the list."""

    make: Callable[..., SiteEnergy]
    description: str
    species: tuple[str, ...]
    """Symbols with published parameters; empty if the potential comes from a file."""


REFERENCES: dict[str, Reference] = {
    "CleriRosato": Reference(CleriRosato, "second-moment tight binding, fcc metals (1993)", tuple(cleri_rosato.PARAMETERS)),
    "StillingerWeber": Reference(
        StillingerWeber, "angular potential of silicon (1985), or any LAMMPS .sw file", tuple(stillinger_weber.PUBLISHED)
    ),
    "FinnisSinclair": Reference(
        FinnisSinclair, "N-body potential of bcc metals (1984) with rounded ends", tuple(finnis_sinclair.PARAMETERS)
    ),
    "EAM": Reference(EAM, "embedded atom from a funcfl, setfl or eam.fs file", ()),
    "LennardJones": Reference(LennardJones, "12-6 pair potential of the noble gases, smooth end", tuple(pair.LENNARD_JONES)),
    "Morse": Reference(Morse, "Morse pair potential (1959), two or three dimensions, smooth end", tuple(pair.MORSE)),
}
"""Every reference potential by name."""


def reference_from_name(text: str) -> SiteEnergy:
    """The potential that `text` names: a name, or a name with one argument (a symbol or a path), as "EAM(Cu.eam.alloy)".

    Raises InputError for an unknown name or argument, saying which are known.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*(.*?)\s*\))?\s*", text)
    if match is None or match[1] not in REFERENCES:
        known = ", ".join(REFERENCES)
        raise InputError(f"a reference is one of {known}, with a symbol or a path as in CleriRosato(Cu); got {text!r}")
    name, argument = match[1], (match[2] or "").strip("'\"")
    if not argument and not REFERENCES[name].species:
        raise InputError(f"{name} reads a file: write {name}(path); got {text!r}")
    return REFERENCES[name].make(argument) if argument else REFERENCES[name].make()
