"""How a defect changes the numbers of atoms of every species, and whether the zero of the energy matters for it."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from .._input import InputError
from .cell import Cell
from .elements import element
from .lattice import Lattice


def composition_change(cell: Cell) -> dict[str, int]:
    """Atoms of every species that the cell has more than its perfect crystal; species without a change are left out."""
    species = cell.lattice.species
    perfect = Counter(species[b] for b in cell.perfect_sites.sublattices)
    perfect.subtract(Counter(cell.symbols))
    return {symbol: -count for symbol, count in sorted(perfect.items()) if count}


def exchanged_species(cell: Cell) -> tuple[str, ...]:
    """Species whose chemical potentials the formation energy of a defect needs; none where the crystal itself fixes them.

    The crystal fixes the sum of the chemical potentials of its formula unit. That is enough where atoms are only moved, where
    whole formula units come or go, and for the species of an element.
    """
    change, formula = composition_change(cell), Counter(cell.lattice.species)
    foreign = tuple(symbol for symbol in change if symbol not in formula)
    own = {symbol: change.get(symbol, 0) for symbol in formula}
    units = {count / formula[symbol] for symbol, count in own.items()}
    return foreign if len(units) == 1 else (*foreign, *(symbol for symbol, count in own.items() if count))


def checked_potentials(given: Mapping[str, float] | None, lattice: Lattice) -> dict[str, float] | None:
    """Chemical potentials by species, eV. Raises InputError for what is no species or no number."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InputError(
            f'chemical potentials are given by species in eV, such as {{"{lattice.species[0]}": -3.5}}; '
            f"got {type(given).__name__}"
        )
    for symbol, value in given.items():
        element(symbol)
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(float(value))
        if not number:
            raise InputError(f"the chemical potential of {symbol} must be a finite energy per atom in eV; got {value!r}")
    return {symbol: float(value) for symbol, value in given.items()}
