"""The kinds of observation and how a set of them is spelled: `E+F+FC+V`, in that order wherever it is written."""

from collections.abc import Iterable

from .._input import InputError

KINDS = ("E", "F", "FC", "V")
"""Energies, forces, force constants of the perfect crystal, virials at finite strain."""

NOTHING = "none"
"""The set without observations, in tables of rates: a crystal of the right lattice constant and nothing else. It has no fit."""

PERFECT = "V0"
"""Virial of the perfect crystal at F = 1: reference and model share one lattice constant, so every set contains it."""

INTERNAL = "VF"
"""Forces on the sublattices of strained primitive cells: a part of V, without which virials do not pin a multilattice."""

ELASTIC, FORMATION = "C", "Ef"
"""Elastic constants of the perfect crystal, and the formation energy of the relaxed training cell."""

TARGETS = (ELASTIC, FORMATION)
"""Rows without a default weight: they enter a fit as constraints, or if they are given one. A set that contains C holds its rows
exactly; no set contains Ef."""

OF_SETS = (*KINDS, ELASTIC)
"""What a set is made of, in the order in which it is written: `E+F+C` takes E and F by their weights and holds C exactly."""

PARTS = (*KINDS, INTERNAL, PERFECT, *TARGETS)
"""All kinds that rows can have, in the order in which they are listed."""


def parse_observations(text: str | Iterable[str]) -> tuple[str, ...]:
    """The kinds named by "FC+E+F" or ["F", "E", "FC"], each once, in the fixed order: ("E", "F", "FC").

    C, the elastic constants, comes last: "E+F+C". Raises InputError for an unknown kind or an empty set.
    """
    if not isinstance(text, Iterable):
        raise InputError(f"observations are written like E+F+FC+V, or as a list of kinds; got {text!r}")
    named = text.split("+") if isinstance(text, str) else list(text)
    found = {str(kind).strip().upper() for kind in named}
    unknown = sorted(found - set(OF_SETS))
    if unknown == [NOTHING.upper()] and len(found) == 1:
        raise InputError(f"{NOTHING!r} is the set without observations: it has rates, but no rows to fit; take E+F at least")
    if unknown or not found:
        raise InputError(
            f"a set of observations is made of the kinds {', '.join(OF_SETS)}, written like E+F+FC+V; got {text!r}"
            + (f", where {unknown[0]!r} is none of them{_meant(unknown[0])}" if unknown else ", which is empty")
        )
    return tuple(kind for kind in OF_SETS if kind in found)


def _meant(kind: str) -> str:
    """What a kind that is written out, or separated otherwise, means."""
    words = {"ENERG": "E", "FORCE C": "FC", "FORCE_C": "FC", "HESS": "FC", "FORCE": "F", "VIR": "V", "STRESS": "V", "ELAST": "C"}
    if found := next((short for word, short in words.items() if kind.startswith(word)), ""):
        return f"; did you mean {found!r}?"
    return "; kinds are joined by +" if "," in kind or " " in kind else ""


def parts_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """The kinds of rows that a set takes: its own, internal forces with V, and always the virial of the perfect crystal."""
    wanted = parse_observations(kinds)
    return tuple(part for part in PARTS if part in wanted or part == PERFECT or (part == INTERNAL and "V" in wanted))


def spell_observations(kinds: Iterable[str]) -> str:
    """The one way to write a set of observations.

    Parameters
    ----------
    kinds : iterable of str
        Kinds, in any order.

    Returns
    -------
    str
        Such as "E+F+FC+V".
    """
    return "+".join(parse_observations(kinds))
