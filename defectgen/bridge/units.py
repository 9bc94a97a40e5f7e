"""Units of other people's files: what a file or its reader states, as factors to eV and A."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ase.units import Bohr, GPa, Hartree, Rydberg, bar, kcal, kJ, mol

from .._input import InputError

ENERGY = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": Hartree,
    "Ry": Rydberg,
    "mRy": Rydberg / 1000,
    "kcal/mol": kcal / mol,
    "kJ/mol": kJ / mol,
}
"""Units of energy, eV."""

LENGTH = {"A": 1.0, "bohr": Bohr, "nm": 10.0}
"""Units of length, A."""

PRESSURE = {"GPa": GPa, "kbar": 1000 * bar, "bar": bar, "MPa": GPa / 1000, "Pa": GPa / 1e9}
"""Units of stress beyond those of energy over volume, eV/A^3."""

ALIASES = {
    "ha": "hartree",
    "eh": "hartree",
    "a.u.": "hartree",
    "rydberg": "Ry",
    "mrydberg": "mRy",
    "angstrom": "A",
    "ang": "A",
    "å": "A",
    "au": "bohr",
    "a0": "bohr",
    "kb": "kbar",
}
"""Other spellings, in lower case."""

KINDS = ("energy", "length", "force", "stress", "virial")


@dataclass(frozen=True)
class Units:
    """Factors that turn the numbers of a file into eV, A, eV/A, eV/A^3 and eV."""

    energy: float = 1.0
    length: float = 1.0
    force: float = 1.0
    stress: float = 1.0
    virial: float = 1.0
    stated: frozenset[str] = frozenset()
    """Which of them the caller stated."""


def units_of(given: Mapping[str, str] | Units | None) -> Units:
    """The factors of stated units: {"energy": "hartree", "length": "bohr", "stress": "kbar"}.

    Forces follow from energy and length, stress from energy and volume, virials from energy, where they are not stated ("force",
    "stress", "virial"). A stress in "-kbar" has the sign of a pressure: positive where the crystal is compressed.
    Raises InputError for an unknown kind or unit.
    """
    if given is None:
        return Units()
    if isinstance(given, Units):
        return given
    wrong = [k for k in given if k not in KINDS] if isinstance(given, Mapping) else [given]
    if wrong or not isinstance(given, Mapping):
        shown = repr(wrong[0])
        raise InputError(f"units map {', '.join(KINDS)} to their units, like {{'energy': 'eV', 'stress': 'GPa'}}; got {shown}")
    energy = _simple("energy", given.get("energy", "eV"), ENERGY)
    length = _simple("length", given.get("length", "A"), LENGTH)
    force = _force(given["force"]) if "force" in given else energy / length
    stress = _stress(given["stress"]) if "stress" in given else energy / length**3
    virial = _simple("virial", given["virial"], ENERGY) if "virial" in given else energy
    return Units(energy, length, force, stress, virial, frozenset(given))


WORDS = ("unit", "units", "energy_unit", "energy_units")
"""Keys of a frame in which other programs name the unit of its energy, in lower case."""


def check_word(units: Units, keys: Mapping[str, object], where: str) -> None:
    """Raises InputError for a frame that names another unit of energy than the one it would be read in, if none was stated."""
    if "energy" in units.stated:
        return
    for key, word in keys.items():
        factor = _find(word, ENERGY) if isinstance(word, str) and key.lower() in WORDS else None
        if factor is not None and factor != units.energy:
            raise InputError(
                f"{where} names {word!r} as its unit, in {key!r}, and energies are read in eV: state the unit as "
                f"units={{'energy': {word!r}}}, or units={{'energy': 'eV'}} if they are in eV"
            )


def _simple(kind: str, word: str, known: Mapping[str, float]) -> float:
    """The factor of a unit by its name, ignoring case."""
    found = _find(word, known)
    if found is None:
        raise InputError(f"units of {kind} are {', '.join(known)}; got {word!r}")
    return found


def _find(word: str, known: Mapping[str, float]) -> float | None:
    name = str(word).strip().lower()
    name = ALIASES.get(name, name).lower()
    return next((factor for unit, factor in known.items() if unit.lower() == name), None)


def _force(word: str) -> float:
    energy, _, length = str(word).rpartition("/")
    top, bottom = _find(energy, ENERGY), _find(length, LENGTH)
    if top is None or bottom is None:
        raise InputError(f"a unit of force is one of energy over one of length, like 'eV/A' or 'hartree/bohr'; got {word!r}")
    return top / bottom


def _stress(word: str) -> float:
    text = str(word).strip()
    sign, text = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    plain = _find(text, PRESSURE)
    if plain is not None:
        return sign * plain
    energy, _, volume = text.rpartition("/")
    parts = re.fullmatch(r"(.+?)(?:\^|\*\*)?3", volume.strip())
    top, bottom = _find(energy, ENERGY), _find(parts[1], LENGTH) if parts else None
    if top is None or bottom is None:
        raise InputError(
            f"a unit of stress is eV/A^3, {', '.join(PRESSURE)}, or one of energy over one of volume like 'Ry/bohr^3' "
            f"('-kbar' has the sign of a pressure); got {word!r}"
        )
    return sign * top / bottom**3


def force_constant_unit(word: str) -> float | None:
    """eV/A^2 of a unit of force constants as phonopy spells it: Ry/au^2, eV/angstrom.au, hartree/au^2; None if unknown."""
    energy, _, area = str(word).strip().rpartition("/")
    square = re.fullmatch(r"(.+?)(?:\^|\*\*)2", area)
    lengths = [square[1]] * 2 if square else area.replace("*", ".").split(".")
    top, bottom = _find(energy, ENERGY), [_find(length, LENGTH) for length in lengths]
    if top is None or len(bottom) != 2 or bottom[0] is None or bottom[1] is None:
        return None
    return top / (bottom[0] * bottom[1])
