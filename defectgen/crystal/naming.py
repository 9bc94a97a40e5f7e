"""Defects by name: what a study file or a command line may say."""

import re

from .._input import InputError, came, did_you_mean
from .defects import antisite, antisite_pair, divacancy, microcrack, substitution, vacancy
from .edits import Defect
from .interstitials import dumbbell, interstitial

DEFECTS: dict[str, str] = {
    "vacancy": "one atom missing: vacancy, vacancy(Ga), vacancy(1)",
    "divacancy": "two atoms missing, a neighbour shell apart: divacancy, divacancy(2), divacancy(2,Ga)",
    "microcrack": "a row of missing atoms: microcrack(4), microcrack(4,110)",
    "substitution": "an atom of another species: substitution(Ni), substitution(Cu,Ni) puts Ni on a Cu site",
    "antisite": "the other species of a compound on a site: antisite, antisite(Ga), antisite(Ga,As)",
    "antisite_pair": "two unlike neighbours exchanged: antisite_pair, antisite_pair(Ga)",
    "interstitial": "an extra atom in a void: interstitial(octahedral), interstitial(tetrahedral,H), interstitial(0.5,0.5,0.25)",
    "dumbbell": "two atoms sharing a site: dumbbell(110), dumbbell(100,Ni)",
}
"""Every kind of defect with its forms, in one line."""


def defect_from_name(text: str) -> Defect:
    """The defect written as text.

    Parameters
    ----------
    text : str
        One of the forms of `DEFECTS`, such as "divacancy(2)".

    Returns
    -------
    Defect
        The recipe; `defect_from_name(defect.name)` is the same defect again.

    Raises
    ------
    InputError
        For anything else, listing the forms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.defect_from_name("interstitial(octahedral)").name
    'interstitial(octahedral)'
    """
    if not isinstance(text, str):
        raise InputError(f"a defect is named by text, such as 'vacancy'; got {came(text)}")
    match = re.fullmatch(r"\s*([a-z_]+)\s*(?:\(([^()]*)\))?\s*", text)
    if match is None or match[1] not in DEFECTS:
        stem = text.partition("(")[0]
        raise InputError(f"no defect is called {text!r}{did_you_mean(stem, DEFECTS)}; known are {'; '.join(DEFECTS.values())}")
    words = [word.strip() for word in (match[2] or "").split(",") if word.strip()]
    try:
        return _MAKERS[match[1]](*words)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{text!r} is not a form of {match[1]}, which is {DEFECTS[match[1]]}") from error


def _site(word: str) -> int | str:
    """A sublattice number or a species."""
    return int(word) if word.isdigit() else word


def _interstitial(place: str, *words: str) -> Defect:
    number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?")
    coordinates = [float(word) for word in (place, *words) if number.fullmatch(word)]
    if not coordinates:
        if len(words) > 1:
            raise ValueError(words)
        return interstitial(place, words[0] if words else None)
    (symbol,) = words[len(coordinates) - 1 :] or (None,)
    return interstitial(coordinates, symbol)


def _dumbbell(direction: str, *words: str) -> Defect:
    given = dict(word.split("=") for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    if len(plain) > 1 or not set(given) <= {"site", "separation"}:
        raise ValueError(words)
    separation = float(given["separation"]) if "separation" in given else None
    return dumbbell(direction, plain[0] if plain else None, _site(given.get("site", "0")), separation)


_MAKERS = {
    "vacancy": lambda site="0": vacancy(_site(site)),
    "divacancy": lambda shell="1", site="0": divacancy(int(shell), _site(site)),
    "microcrack": lambda n, *rest: microcrack(int(n), *_crack(*rest)),
    "substitution": lambda first, symbol=None: substitution(_site(first), symbol) if symbol else substitution(0, first),
    "antisite": lambda site="0", symbol=None: antisite(_site(site), symbol),
    "antisite_pair": lambda site="0": antisite_pair(_site(site)),
    "interstitial": _interstitial,
    "dumbbell": _dumbbell,
}


def _crack(*words: str) -> tuple[str | None, int | str]:
    """Direction and site of a microcrack: directions have two or three digits, sites one or none."""
    direction = next((w for w in words if len(re.findall(r"\d", w)) > 1), None)
    sites = [w for w in words if w != direction]
    if len(sites) > 1:
        raise ValueError(words)
    return direction, _site(sites[0]) if sites else 0
