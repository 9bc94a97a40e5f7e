"""Reference potentials, which define the exact result, and the relaxed perfect crystal."""

from typing import TYPE_CHECKING

from .._door import door

if TYPE_CHECKING:
    from .catalogue import REFERENCES, NamedReference, Reference, parse_call, parse_reference, reference_from_name, references
    from .consistency import LabelCheck, check_labels, compare_sizes
    from .eam import EAM
    from .equilibrate import check_stable, equilibrate
    from .pair import LennardJones, Morse
    from .radial import distances, fade, per_pair, ramp, safe_sqrt
    from .second_moment import CleriRosato, FinnisSinclair
    from .stillinger_weber import StillingerWeber
    from .tersoff import Tersoff

__all__ = [
    "EAM",
    "REFERENCES",
    "CleriRosato",
    "FinnisSinclair",
    "LabelCheck",
    "LennardJones",
    "Morse",
    "NamedReference",
    "Reference",
    "StillingerWeber",
    "Tersoff",
    "check_labels",
    "check_stable",
    "compare_sizes",
    "distances",
    "equilibrate",
    "fade",
    "parse_call",
    "parse_reference",
    "per_pair",
    "ramp",
    "reference_from_name",
    "references",
    "safe_sqrt",
]

__getattr__, __dir__ = door(__name__)
