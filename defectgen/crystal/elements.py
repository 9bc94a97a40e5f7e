"""The elements: what a chemical symbol stands for, from the tables of ASE.

Masses: J. Meija et al., Pure Appl. Chem. 88, 265 (2016). Radii: B. Cordero et al., Dalton Trans. 2008, 2832
(C sp3; Mn, Fe, Co low spin).
"""

from dataclasses import dataclass

from ase.data import atomic_masses, chemical_symbols, covalent_radii

from .._input import InputError, did_you_mean


@dataclass(frozen=True)
class Element:
    """One chemical element."""

    symbol: str
    number: int
    mass: float
    """Standard atomic weight, u (the longest-lived isotope's mass where there is none)."""
    covalent_radius: float
    """A."""


LAST = "Cm"
"""The radii of Cordero et al. end with curium."""

ELEMENTS: dict[str, Element] = {
    symbol: Element(symbol, number, float(atomic_masses[number]), float(covalent_radii[number]))
    for number, symbol in enumerate(chemical_symbols[: chemical_symbols.index(LAST) + 1])
    if number > 0  # 0 is ASE's symbol X for no element
}
"""Hydrogen to curium by symbol."""


def element(symbol: str) -> Element:
    """The element with this symbol.

    Raises InputError for a symbol that is none.
    """
    if not isinstance(symbol, str) or symbol not in ELEMENTS:
        meant = did_you_mean(symbol, ELEMENTS) if isinstance(symbol, str) and len(symbol) < 4 else ""
        raise InputError(f"a chemical symbol is wanted, such as Cu or Si (H to Cm, capital first letter); got {symbol!r}{meant}")
    return ELEMENTS[symbol]


def element_of_number(number: int) -> Element:
    """The element with this atomic number.

    Raises InputError for a number that no element in the table has.
    """
    if not 1 <= number <= len(ELEMENTS):
        raise InputError(f"atomic numbers go from 1 (H) to {len(ELEMENTS)} ({list(ELEMENTS)[-1]}) here; got {number}")
    return list(ELEMENTS.values())[number - 1]
