"""The elements, from the tables of ASE, and how a defect changes the numbers of their atoms.

Masses: J. Meija et al., Pure Appl. Chem. 88, 265 (2016). Radii: B. Cordero et al., Dalton Trans. 2008, 2832
(C sp3; Mn, Fe, Co low spin).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses, chemical_symbols, covalent_radii

from .._input import InputError, did_you_mean
from .cell import Cell


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

    Parameters
    ----------
    symbol : str
        Chemical symbol, H to Cm, with a capital first letter.

    Returns
    -------
    Element
        Its number, mass and covalent radius.

    Raises
    ------
    InputError
        For a symbol that is none.
    """
    if not isinstance(symbol, str) or symbol not in ELEMENTS:
        meant = did_you_mean(symbol, ELEMENTS) if isinstance(symbol, str) and len(symbol) < 4 else ""
        raise InputError(f"a chemical symbol is needed, such as Cu or Si (H to Cm, capital first letter); got {symbol!r}{meant}")
    return ELEMENTS[symbol]


def element_of_number(number: int) -> Element:
    """The element with this atomic number.

    Parameters
    ----------
    number : int
        1 (H) to 96 (Cm).

    Returns
    -------
    Element
        Its symbol, mass and covalent radius.

    Raises
    ------
    InputError
        For a number that no element in the table has.
    """
    if not 1 <= number <= len(ELEMENTS):
        raise InputError(f"atomic numbers go from 1 (H) to {len(ELEMENTS)} ({list(ELEMENTS)[-1]}) here; got {number}")
    return list(ELEMENTS.values())[number - 1]


def composition_change(cell: Cell) -> dict[str, int]:
    """Atoms of every species that the cell has more than its perfect crystal.

    Parameters
    ----------
    cell : Cell
        A cell with a defect.

    Returns
    -------
    dict
        Numbers by species, negative where atoms are missing; species without a change are left out.
    """
    species = cell.lattice.species
    perfect = Counter(species[b] for b in cell.perfect_sites.sublattices)
    perfect.subtract(Counter(cell.symbols))
    return {symbol: -count for symbol, count in sorted(perfect.items()) if count}


def exchanged_species(cell: Cell) -> tuple[str, ...]:
    """Species whose chemical potentials the formation energy of a defect needs; none where the crystal itself fixes them.

    Parameters
    ----------
    cell : Cell
        A cell with a defect.

    Returns
    -------
    tuple of str
        Chemical symbols.

    Notes
    -----
    The crystal fixes the sum of the chemical potentials of its formula unit. That is enough where atoms are only moved, where
    whole formula units come or go, and for the species of an element.
    """
    change, formula = composition_change(cell), Counter(cell.lattice.species)
    foreign = tuple(symbol for symbol in change if symbol not in formula)
    own = {symbol: change.get(symbol, 0) for symbol in formula}
    units = {count / formula[symbol] for symbol, count in own.items()}
    return foreign if len(units) == 1 else (*foreign, *(symbol for symbol, count in own.items() if count))


def missing_potentials(cell: Cell, known: Mapping[str, float]) -> list[str]:
    """Species whose chemical potentials the formation energy of a defect needs and that are not among the known ones.

    Parameters
    ----------
    cell : Cell
        A cell with a defect.
    known : mapping
        Chemical potentials by species, eV per atom.

    Returns
    -------
    list of str
        Chemical symbols; empty where nothing is missing.
    """
    return [symbol for symbol in exchanged_species(cell) if symbol not in known]


def formation_refusal(cell: Cell, missing: list[str]) -> str:
    """Why a formation energy is not defined without the chemical potentials of these species."""
    counts = ", ".join(f"{composition_change(cell)[symbol]:+d} {symbol}" for symbol in missing)
    spelled = ", ".join(f'"{symbol}": ...' for symbol in missing)
    return (
        f"the formation energy of {cell.defect or 'this defect'} in {cell.lattice.name} depends on the energy zero of each "
        f"species ({counts} atoms), and no chemical potential of {' and '.join(missing)} was given: use "
        f"chemical_potentials={{{spelled}}}, in eV per atom of the same potential"
    )


def checked_potentials(given: Mapping[str, float] | None, cell: Cell) -> dict[str, float] | None:
    """Chemical potentials by species, eV: the one check of every door that takes them.

    Parameters
    ----------
    given : mapping or None
        By species, eV per atom. Species that neither the crystal nor the defect has are kept: one table serves many defects.
    cell : Cell
        The cell with the defect.

    Returns
    -------
    dict or None
        None where none were given.

    Raises
    ------
    InputError
        For what is no species or no number, and where some are given but not all that the defect needs.
    """
    known = numbers_by_species(given, cell.lattice.species[0])
    if known and (missing := missing_potentials(cell, known)):
        raise InputError(formation_refusal(cell, missing))
    return known


def numbers_by_species(given: object, example: str) -> dict[str, float] | None:
    """Chemical potentials as a table. Raises InputError for what is no species or no number; `example` is a species."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InputError(
            f'chemical potentials are given by species in eV, such as {{"{example}": -3.5}}; got {type(given).__name__}'
        )
    for symbol, value in given.items():
        element(symbol)
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(float(value))
        if not number:
            raise InputError(f"the chemical potential of {symbol} must be a finite energy per atom in eV; got {value!r}")
    return {symbol: float(value) for symbol, value in given.items()}
