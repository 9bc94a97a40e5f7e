"""Reference potentials: the truth that models are fitted to, and the perfect crystal at rest."""

from typing import TYPE_CHECKING

from .._door import door

if TYPE_CHECKING:
    from .catalogue import REFERENCES, NamedReference, Reference, parse_reference, reference_from_name, references
    from .cleri_rosato import CleriRosato
    from .eam import EAM
    from .equilibrate import equilibrate
    from .finnis_sinclair import FinnisSinclair
    from .pair import LennardJones, Morse
    from .stability import check_stable
    from .stillinger_weber import StillingerWeber

__all__ = [
    "EAM",
    "REFERENCES",
    "CleriRosato",
    "FinnisSinclair",
    "LennardJones",
    "Morse",
    "NamedReference",
    "Reference",
    "StillingerWeber",
    "check_stable",
    "equilibrate",
    "parse_reference",
    "reference_from_name",
    "references",
]

__getattr__, __dir__ = door(__name__)
