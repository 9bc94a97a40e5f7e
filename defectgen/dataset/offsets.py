"""One-body offsets: the part of an energy that counts atoms. Without it energies are small, and differences remain."""

from collections.abc import Mapping

import numpy as np

from .._input import InputError
from .._typing import Float
from .dataset import Dataset


def composition(dataset: Dataset, species: tuple[str, ...] | None = None) -> Float[np.ndarray, "configurations species"]:
    """How many atoms of each species every configuration has."""
    species = dataset.species if species is None else species
    unknown = [s for s in dataset.species if s not in species]
    if unknown:
        raise InputError(f"atoms are counted for {', '.join(species)}, and the data set also has {', '.join(unknown)}; add them")
    return np.array([[c.symbols.count(s) for s in species] for c in dataset.configurations], dtype=float).reshape(
        -1, len(species)
    )


def one_body(dataset: Dataset) -> dict[str, float]:
    """Energy of one atom of each species, eV: the shortest least-squares solution of E = sum over atoms of e(species).

    Shortest, because compositions that do not vary independently leave directions open; these cancel in `relative`.
    """
    if len(dataset) == 0:
        raise InputError("one-body offsets are fitted to energies, and the data set is empty")
    offsets = np.linalg.lstsq(composition(dataset), dataset.energies, rcond=None)[0]
    return dict(zip(dataset.species, offsets.tolist(), strict=True))


def relative(dataset: Dataset, offsets: Mapping[str, float]) -> Float[np.ndarray, " configurations"]:
    """Energies without their one-body part, eV: like energies of atomisation, with the opposite sign.

    Raises InputError for a species without an offset.
    """
    return dataset.energies - composition(dataset) @ np.array([offset_of(offsets, s) for s in dataset.species])


def offset_of(offsets: Mapping[str, float], species: str) -> float:
    """The offset of a species, or the sentence that says it is missing."""
    if species not in offsets:
        raise InputError(
            f"there is no one-body offset of {species}, only of {', '.join(offsets)}; fit offsets to data that contain it, "
            "or give the energy of the free atom"
        )
    return float(offsets[species])
