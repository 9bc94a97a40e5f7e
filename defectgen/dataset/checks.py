"""What is usually wrong with data sets that others made, said before anything is fitted to them."""

import numpy as np
from scipy.spatial import KDTree

from .._input import InputError
from .._typing import Float
from .dataset import Configuration, Dataset, labelled

SAME = 1e-4
"""A: two configurations whose distances agree to this, each with each, are one. Files round to about 1e-5."""

FACTORS = {"eV and hartree": 27.211386, "hartree and kcal/mol": 627.5095, "eV and kcal/mol": 23.060548, "eV and kJ/mol": 96.48533}
"""Ratios of energy units, and the units that they betray."""

NEAR = 0.01
"""Whole energies of one structure differ by less than this, relatively: in mixed units they form two groups."""


def check_dataset(dataset: Dataset, forces: bool = True, duplicates: bool = True) -> None:
    """Raises InputError for structures without a name, missing labels, units that are mixed, and configurations that occur twice.

    A duplicate is a configuration of the same structure with the same distances between the same elements, so it may be
    moved, turned or reflected (all of which an energy cannot see); periodic ones are compared atom by atom.
    """
    if len(dataset) == 0:
        raise InputError("the data set is empty; check the file and what was chosen from it")
    for c in dataset.configurations:
        if not c.structure:
            raise InputError(
                f"configuration {c.conformation} ({c.source or 'no source given'}) has no structure id: name the key that "
                "holds it; without it new structures and new conformations cannot be distinguished"
            )
        labelled(c, "energy")
        if forces:
            labelled(c, "forces")
    for structure in dataset.structures:
        members = [dataset.configurations[n] for n in dataset.where(structure)]
        _check_units(structure, np.array([c.energy for c in members], dtype=float))
        if duplicates:
            _check_twice(structure, members)


def _check_units(structure: str, energies: Float[np.ndarray, " members"]) -> None:
    """Energies of one structure whose ratio is that of two units."""
    size = np.abs(energies)
    low, high = size.min(), size.max()
    if low == 0 or not np.all((size < low * (1 + NEAR)) | (size > high * (1 - NEAR))):  # relative energies, of any ratio
        return
    ratio = high / low
    for units, factor in FACTORS.items():
        if abs(ratio / factor - 1) < 2 * NEAR:
            raise InputError(
                f"energies of structure {structure!r} differ by a factor of {ratio:.1f}, which is that of {units}: some have "
                "another unit; read files of different units apart, each with its own"
            )


def _check_twice(structure: str, members: list[Configuration]) -> None:
    """Two members with one fingerprint."""
    alike: dict[tuple, list[int]] = {}
    for number, c in enumerate(members):
        alike.setdefault((any(c.periodic), c.symbols if any(c.periodic) else len(c)), []).append(number)
    for numbers in (n for n in alike.values() if len(n) > 1):
        prints = np.array([_fingerprint(members[n]) for n in numbers])
        if prints.shape[1] == 0:
            raise InputError(f"structure {structure!r} is one atom and has {len(numbers)} configurations; keep one")
        pairs = KDTree(prints).query_pairs(SAME, p=np.inf)
        if pairs:
            first, second = (members[numbers[k]] for k in min(pairs))
            raise InputError(
                f"structure {structure!r} has the same configuration twice, numbers {first.conformation} "
                f"({first.law or 'no law'}) and {second.conformation} ({second.law or 'no law'}), and {len(pairs)} such pairs "
                "in all; keep one of each"
            )


def _fingerprint(c: Configuration) -> Float[np.ndarray, " numbers"]:
    """Sorted distances between each two elements; positions and cell vectors of what is periodic."""
    if any(c.periodic):
        assert c.vectors is not None  # a configuration has seen to it
        return np.concatenate([(c.positions - c.positions[0]).ravel(), c.vectors.ravel()])
    order = np.argsort(np.array(c.symbols), kind="stable")
    symbols, x = np.array(c.symbols)[order], c.positions[order]
    i, j = np.triu_indices(len(c), 1)
    distance = np.linalg.norm(x[i] - x[j], axis=1)
    kinds = np.char.add(np.char.add(symbols[i], "-"), symbols[j])
    return distance[np.lexsort((distance, kinds))]
