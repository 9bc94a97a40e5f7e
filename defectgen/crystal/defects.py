"""Vacancies, substitutions and their small clusters: defects as recipes that any cell of any crystal can follow."""

from collections.abc import Sequence
from functools import partial
from math import gcd

import numpy as np

from .._input import InputError, whole
from .edits import Defect, Edits, maker, sublattice_of
from .elements import element
from .lattice import Lattice, Site, neighbour_shells


@maker
def vacancy(site: int | str = 0) -> Defect:
    """A vacancy: one missing atom.

    Parameters
    ----------
    site : int or str
        A sublattice (row of the motif) or a species, whose first sublattice is meant.

    Returns
    -------
    Defect
        The recipe; `apply` makes the defect in a cell.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.vacancy().apply(dg.supercell(dg.fcc("Cu", 3.615), 3))
    Cell(fcc Cu, v_Cu, 107 atoms of Cu, radius 2.12 nearest-neighbour spacings)
    """
    return Defect(_name("vacancy", site), partial(_vacancy, site=site))


@maker
def divacancy(shell: int = 1, site: int | str = 0) -> Defect:
    """A divacancy: two missing atoms, the second in a neighbour shell of the first (largest x, then y, then z).

    Parameters
    ----------
    shell : int
        Neighbour shell of the second vacancy, 1 for nearest neighbours.
    site : int or str
        Sublattice or species of the first, as for `vacancy`.

    Returns
    -------
    Defect
        The recipe.

    Raises
    ------
    InputError
        For a shell that is no whole number from 1 to 100.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.divacancy().apply(dg.supercell(dg.fcc("Cu", 3.615), 3))
    Cell(fcc Cu, v2_Cu_1, 106 atoms of Cu, radius 2.12 nearest-neighbour spacings)
    """
    shell = whole(shell, "the neighbour shell of a divacancy", 1, 100)
    name = "divacancy" if (shell, site) == (1, 0) else _name(f"divacancy({shell})", site)
    return Defect(name, partial(_divacancy, shell=shell, site=site))


@maker
def microcrack(n: int, direction: str | Sequence[int] | None = None, site: int | str = 0) -> Defect:
    """A row of n vacancies, one lattice translation apart.

    Parameters
    ----------
    n : int
        Number of vacancies, at least 2.
    direction : str or sequence of int, optional
        Indices of the conventional cell ("110" or (1, 1, 0)); by default the shortest translation, which is the close-packed
        row
        (of several the one with largest x, then y, then z).
    site : int or str
        Sublattice or species, as for `vacancy`.

    Returns
    -------
    Defect
        The recipe.

    Raises
    ------
    InputError
        For a number below 2 and for indices that are no direction.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.microcrack(3).apply(dg.supercell(dg.triangular("Cu", 2.5), 8))
    Cell(triangular Cu, v3_Cu_row, 61 atoms of Cu, radius 4 nearest-neighbour spacings)
    """
    n = whole(n, "a microcrack is a row of two or more vacancies, and their number", 2, 10_000)
    indices = None if direction is None else direction_indices(direction)
    name = f"microcrack({n})" if indices is None else f"microcrack({n},{indices_text(indices)})"
    return Defect(_name(name, site), partial(_microcrack, n=n, indices=indices, site=site))


@maker
def substitution(site: int | str, symbol: str) -> Defect:
    """A substitution: an atom of another species on a site.

    Parameters
    ----------
    site : int or str
        Sublattice or species that is replaced, as for `vacancy`.
    symbol : str
        Chemical symbol of the new atom.

    Returns
    -------
    Defect
        The recipe.

    Raises
    ------
    InputError
        For an unknown symbol.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.substitution("Cu", "Ni").label(dg.fcc("Cu", 3.615))
    'Ni_Cu'
    """
    element(symbol)
    return Defect(
        f"substitution({symbol})" if site == 0 else f"substitution({site},{symbol})",
        partial(_substitution, site=site, symbol=symbol),
    )


@maker
def antisite(site: int | str = 0, symbol: str | None = None) -> Defect:
    """An antisite: the other species of a compound on a site.

    Parameters
    ----------
    site : int or str
        Sublattice or species that is replaced, as for `vacancy`.
    symbol : str, optional
        The species on it; needed where the crystal has several others.

    Returns
    -------
    Defect
        The recipe.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.antisite("Ni").apply(dg.supercell(dg.cscl("Ni", "Al", 2.88), 3))
    Cell(cscl NiAl, Al_Ni, 54 atoms (26 Ni, 28 Al), radius 1.73 nearest-neighbour spacings)
    """
    name = _name("antisite", site) if symbol is None else f"antisite({site},{symbol})"
    return Defect(name, partial(_antisite, site=site, symbol=symbol))


@maker
def antisite_pair(site: int | str = 0) -> Defect:
    """An antisite pair: a site and its nearest neighbour of another species, exchanged.

    Parameters
    ----------
    site : int or str
        Sublattice or species of the first, as for `vacancy`.

    Returns
    -------
    Defect
        The recipe.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.antisite_pair("Ni").apply(dg.supercell(dg.cscl("Ni", "Al", 2.88), 3))
    Cell(cscl NiAl, Al_Ni_Ni_Al, 54 atoms (27 Ni, 27 Al), radius 1.73 nearest-neighbour spacings)
    """
    return Defect(_name("antisite_pair", site), partial(_antisite_pair, site=site))


def _name(stem: str, site: int | str) -> str:
    """The stem with the site as its last argument; sublattice 0 goes without saying."""
    if site == 0:
        return stem
    return f"{stem[:-1]},{site})" if stem.endswith(")") else f"{stem}({site})"


def _vacancy(lattice: Lattice, site: int | str) -> Edits:
    b = sublattice_of(lattice, site)
    return Edits(f"v_{lattice.species[b]}", vacant=(Site(0, 0, 0, b),))


def _divacancy(lattice: Lattice, shell: int, site: int | str) -> Edits:
    first = Site(0, 0, 0, sublattice_of(lattice, site))
    second = neighbour_shells(lattice, first, shell)[-1][0]
    one, two = (lattice.species[s.sublattice] for s in (first, second))
    return Edits(f"v2_{one}_{shell}" if one == two else f"v_{one}_v_{two}_{shell}", vacant=(first, second))


def _microcrack(lattice: Lattice, n: int, indices: tuple[int, ...] | None, site: int | str) -> Edits:
    b = sublattice_of(lattice, site)
    if indices is None:
        bravais = Lattice(
            lattice.name, lattice.vectors, lattice.motif[:1], lattice.species[:1], lattice.conventional, lattice.dimension
        )
        step = np.array(neighbour_shells(bravais, Site(0, 0, 0, 0), 1)[0][0][:3])
    else:
        if lattice.dimension == 2 and indices[2]:
            raise InputError(f"a direction of a two-dimensional crystal lies in its plane; got {indices_text(indices)}")
        step = np.array(indices) @ lattice.conventional
        step = step // gcd(*step.tolist())
    row = tuple(Site.at(i * step, b) for i in range(n))
    return Edits(f"v{n}_{lattice.species[b]}_row", vacant=row)


def _substitution(lattice: Lattice, site: int | str, symbol: str) -> Edits:
    b = sublattice_of(lattice, site)
    if lattice.species[b] == symbol:
        raise InputError(f"the site of {lattice.name} holds {symbol} already; substitute another species")
    return Edits(f"{symbol}_{lattice.species[b]}", replaced=((Site(0, 0, 0, b), symbol),))


def _antisite(lattice: Lattice, site: int | str, symbol: str | None) -> Edits:
    b = sublattice_of(lattice, site)
    others = [s for s in dict.fromkeys(lattice.species) if s != lattice.species[b]]
    if symbol is None and len(others) == 1:
        symbol = others[0]
    if symbol not in others:
        choice = f"name one of {', '.join(others)}" if others else "an element has none; use substitution(site, symbol)"
        raise InputError(f"an antisite on {lattice.species[b]} in {lattice.name} needs another species of the crystal: {choice}")
    return _substitution(lattice, b, symbol)


def _antisite_pair(lattice: Lattice, site: int | str) -> Edits:
    first = Site(0, 0, 0, sublattice_of(lattice, site))
    own = lattice.species[first.sublattice]
    if len(set(lattice.species)) == 1:
        raise InputError(f"an antisite pair needs two species; {lattice.name} has {own} alone")
    for shell in range(1, 20):
        for second in neighbour_shells(lattice, first, shell)[-1]:
            other = lattice.species[second.sublattice]
            if other != own:
                return Edits(f"{other}_{own}_{own}_{other}", replaced=((first, other), (second, own)))
    raise InputError(f"no other species within 19 neighbour shells of {own} in {lattice.name}; choose another site")


def direction_indices(direction: str | Sequence[int]) -> tuple[int, ...]:
    """Direction indices from text or numbers.

    Parameters
    ----------
    direction : str or sequence of int
        "110", "1-10", "<110>", "[1 1 0]" or (1, 1, 0); two numbers in a plane.

    Returns
    -------
    tuple of int
        Three whole numbers along the conventional vectors.

    Raises
    ------
    InputError
        If they are not three (or two) whole numbers, not all zero.
    """
    listed = isinstance(direction, list | tuple | np.ndarray) and np.ndim(direction) == 1
    digits = _digits(direction) if isinstance(direction, str) else list(direction) if listed else []
    if len(digits) == 2:
        digits = [*digits, 0]
    numbers = all(isinstance(n, int | float | np.number) and abs(n) < 1000 and float(n) == int(n) for n in digits)
    if len(digits) != 3 or not numbers or not any(digits):
        raise InputError(
            f'a direction is three whole numbers, not all zero, such as "110", "1-10" or (1, 1, 0); got {direction!r}'
        )
    return tuple(int(n) for n in digits)


def indices_text(indices: tuple[int, ...]) -> str:
    """ "110" or "1-10"."""
    return "".join(str(n) for n in indices)


def _digits(text: str) -> list[int]:
    bare = text.strip().strip("<>[]").replace(" ", "").replace(",", "")
    signed = bare.replace("-", " -")
    digits: list[int] = []
    for run in signed.split():
        sign, rest = (-1, run[1:]) if run.startswith("-") else (1, run)
        if not rest.isdigit():
            return []
        digits += [sign * int(rest[0]), *(int(d) for d in rest[1:])]
    return digits
