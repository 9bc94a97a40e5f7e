"""Combinations of energies as rows: differences to a configuration of the same composition, and reactions.

Energies are linear in the coefficients, so a combination sum_c a_c E_c is a row and a label like any other. It has the kind Ef
(eV), which takes part in a fit where it is given a weight, {"Ef:differences": 30}, or held exactly by
constraints=["Ef:differences"].
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .._input import InputError, real, takes
from .._typing import Float
from .about import About
from .blocks import Block, Blocks
from .observations import FORMATION

DIFFERENCES = "differences"
"""Group of the rows of `energy_differences`."""
LOWEST = "lowest"


class _Energies:
    """Total energies of the configurations as rows [A | y | b], eV, with b what a repulsion says of them."""

    def __init__(self, blocks: Blocks):
        self.rows: dict[int, Float[np.ndarray, " columns_plus_two"]] = {}
        self.formula: dict[int, dict[str, int]] = {}
        self.group: dict[int, str] = {}
        for block in blocks.items:
            if block.kind != "E" or block.about is None or not block.atoms:
                continue
            factor = block.factor if block.plain is None else block.plain
            for place, number in enumerate(block.about.configuration.tolist()):
                if number < 0 or len(factor) != len(block.about):
                    continue
                own = block.baseline if block.plain is None else block.plain_baseline
                self.rows[number] = np.append(factor[place], 0.0 if own is None else own[place]) * block.atoms
                self.formula[number] = _counts(block.about, place)
                self.group[number] = block.group
        if not self.rows:
            raise InputError(
                "differences of energies are made of the energy rows of single configurations, and these blocks have none; label "
                "E with subdivide=True or 'rows'"
            )

    def composition(self, number: int) -> tuple[tuple[str, float], ...]:
        """Shares of the elements."""
        counts = self.formula[number]
        total = sum(counts.values())
        return tuple((s, round(n / total, 9)) for s, n in sorted(counts.items()))

    def label(self, number: int) -> float:
        """eV/atom, of the label, whatever sign the row has."""
        return float(self.rows[number][-2]) / sum(self.formula[number].values())


def _counts(about: About, place: int) -> dict[str, int]:
    parts = about.formulas[about.formula[place]].split()
    return {p.rstrip("0123456789"): int(p[len(p.rstrip("0123456789")) :]) for p in parts}


@takes(blocks=(Blocks, "rows and labels, as dg.label returns them"))
def combine_energies(blocks: Blocks, terms: Mapping[int, Any], group: str) -> Blocks:
    """Blocks with a further row: a combination of total energies, such as a reaction energy or an energy of solution.

    Parameters
    ----------
    blocks : Blocks
        With energy rows of single configurations (``subdivide=True`` or ``"rows"``).
    terms : mapping
        Factor of the total energy of every configuration that takes part, by its number among those that were labelled:
        {4: 1, 0: -1, 1: 31 / 32}.
    group : str
        Of the new row, which has the kind Ef (eV): its weight is {"Ef:group": 30}.

    Returns
    -------
    Blocks

    Raises
    ------
    InputError
        For numbers without an energy row, no terms, factors that are no numbers, and a group that exists.
    """
    energies = _Energies(blocks)
    if not isinstance(terms, Mapping) or not terms:
        raise InputError(f"a combination has factors by the number of the configuration, like {{4: 1, 0: -1}}; got {terms!r}")
    if missing := [number for number in terms if number not in energies.rows]:
        known = ", ".join(map(str, list(energies.rows)[:12]))
        raise InputError(f"configuration {missing[0]!r} has no energy row; those with one are {known}")
    _check_new(blocks, group)
    row = sum(real(a, f"the factor of configuration {k}") * energies.rows[k] for k, a in terms.items())
    return _with(blocks, [np.asarray(row)], group)


@takes(blocks=(Blocks, "rows and labels, as dg.label returns them"))
def energy_differences(blocks: Blocks, reference: int | str = LOWEST, group: str = DIFFERENCES) -> Blocks:
    """The blocks with the energy of every configuration relative to one of the same composition, as formation energies are.

    Parameters
    ----------
    blocks : Blocks
        With energy rows of single configurations (``subdivide=True`` or ``"rows"``).
    reference : int or str
        "lowest": of every composition the configuration of lowest energy per atom. A number: this configuration. A group: its
        only configuration of the composition.
    group : str
        Of the new rows, which have the kind Ef (eV) and one row for each difference: E_c - (N_c / N_ref) E_ref.

    Returns
    -------
    Blocks
        The energies stay; give them no weight, {"E": 0}, to fit differences only.

    Raises
    ------
    InputError
        For a reference that does not exist or is not unique, and if no two configurations have one composition.
    """
    energies = _Energies(blocks)
    _check_new(blocks, group)
    alike: dict[tuple, list[int]] = {}
    for number in energies.rows:
        alike.setdefault(energies.composition(number), []).append(number)
    rows = []
    for numbers in alike.values():
        base = _reference(energies, numbers, reference)
        if base is None:
            continue
        for number in numbers:
            if number != base:
                share = sum(energies.formula[number].values()) / sum(energies.formula[base].values())
                rows.append(energies.rows[number] - share * energies.rows[base])
    if not rows:
        raise InputError(
            f"no configuration has the composition of a reference {reference!r}, so there are no differences; a combination with "
            "several references is made by combine_energies"
        )
    return _with(blocks, rows, group)


def _reference(energies: _Energies, numbers: list[int], reference: int | str) -> int | None:
    """The reference among configurations of one composition; None if it is not there."""
    if reference == LOWEST:
        return min(numbers, key=energies.label)
    if isinstance(reference, str):
        own = [n for n in numbers if energies.group[n] == reference]
        if not own and reference not in energies.group.values():
            known = ", ".join(dict.fromkeys(energies.group.values()))
            raise InputError(f"a reference is 'lowest', a number or one of the groups {known}; got {reference!r}")
        if len(own) > 1:
            raise InputError(
                f"group {reference!r} has {len(own)} configurations of one composition; give the number of one of them"
            )
        return own[0] if own else None
    if reference not in energies.rows:
        raise InputError(
            f"configuration {reference!r} has no energy row; those with one are {', '.join(map(str, energies.rows))}"
        )
    return reference if reference in numbers else None


def _check_new(blocks: Blocks, group: str) -> None:
    if not isinstance(group, str) or not group:
        raise InputError(f"the group of combined energies is a name; got {group!r}")
    if any(b.kind == FORMATION and b.group == group for b in blocks.items):
        raise InputError(f"there are rows of Ef in a group {group!r} already; give the new rows another name")


def _with(blocks: Blocks, rows: list[np.ndarray], group: str) -> Blocks:
    made = tuple(
        Block(
            kind=FORMATION,
            group=group,
            atoms=0,
            scale=1.0,
            rows=1,
            factor=row[None, :-1],
            source=blocks.truth,
            part=f"combination {k}",
            baseline=row[-1:] if row[-1] else None,
        )
        for k, row in enumerate(rows)
    )
    return replace(blocks, items=(*blocks.items, *made))
