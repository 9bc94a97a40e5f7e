"""One-body energies of a data set: given, of isolated atoms, or by least squares; and which of them no composition determines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError, did_you_mean, real
from .._typing import Float, Int

METHODS = ("isolated", "least-squares")
"""How one-body energies are found where they are not given."""

SEEN = 1e-9
"""Singular values of the counts of atoms below this times the largest are rounding."""


@dataclass(frozen=True, eq=False)
class OneBody(Mapping[str, float]):
    """Energy of one atom of each species, eV; a mapping from symbols to numbers."""

    energies: Mapping[str, float]
    method: str
    """given, isolated or least-squares."""
    undetermined: tuple[str, ...] = ()
    """Combinations that the compositions leave open, such as "In - P": any value fits the energies as well."""

    def __getitem__(self, species: str) -> float:
        return self.energies[species]

    def __iter__(self) -> Iterator[str]:
        return iter(self.energies)

    def __len__(self) -> int:
        return len(self.energies)

    def __str__(self) -> str:
        shown = ", ".join(f"{s} {e:.6f} eV" for s, e in self.energies.items())
        open_ = (
            f"; not determined: {', '.join(self.undetermined)} (the composition does not vary along it)"
            if self.undetermined
            else ""
        )
        return f"one-body energies ({self.method}): {shown}{open_}"


def one_body_energies(
    species: Sequence[str],
    composition: Int[np.ndarray, "snapshots species"],
    energies: Sequence[float | None],
    method: str | Mapping[str, float],
    isolated: Mapping[str, float],
) -> OneBody:
    """One-body energies.

    Parameters
    ----------
    species : sequence of str
        Chemical symbols.
    composition : (snapshots, species) array
        Atoms of each species in every snapshot.
    energies : sequence of float or None
        Whole energies, eV; None where there is no label.
    method : {"isolated", "least-squares"} or mapping
        "isolated": the energies of snapshots of one free atom. "least-squares": the shortest solution of
        E = sum over atoms of e(species). A mapping gives them, eV.
    isolated : mapping
        Energies of free atoms in the data, eV.

    Returns
    -------
    OneBody
        Energies of all species, and the combinations of them that the compositions leave open (least squares only).

    Raises
    ------
    InputError
        For a species without an energy, an isolated atom that is missing, no energies, and an unknown method.
    """
    if isinstance(method, Mapping):
        if missing := [s for s in species if s not in method]:
            raise InputError(
                f"the data set holds {', '.join(species)}, and there is no one-body energy of {missing[0]}, only of "
                f"{', '.join(method) or 'none'}; give one of every species, in eV"
            )
        given = {s: real(method[s], f"the one-body energy of {s}", unit="eV") for s in species}
        return OneBody(given, method.method if isinstance(method, OneBody) else "given")
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(
            f"one-body energies are {', '.join(map(repr, METHODS))}, or a table such as {{'Cu': -0.1}}; got {method!r}"
            f"{did_you_mean(method, METHODS)}"
        )
    if method == "isolated":
        if missing := [s for s in species if s not in isolated]:
            raise InputError(
                f"the data set has no isolated atom of {' or '.join(missing)}; add a snapshot of one such atom in an open or "
                "wide box with its energy, or take the one-body energies by 'least-squares'"
            )
        return OneBody({s: isolated[s] for s in species}, method)
    known = np.array([e is not None for e in energies], dtype=bool)
    if not known.any():
        raise InputError("one-body energies are fitted to energies, and no snapshot carries one; give them as a table")
    counts, values = composition[known].astype(float), np.array([e for e in energies if e is not None], dtype=float)
    per = 1.0 / counts.sum(axis=1)  # energies per atom: large cells count no more than small ones
    solution = np.linalg.lstsq(counts * per[:, None], values * per, rcond=SEEN)[0]
    return OneBody(dict(zip(species, solution.tolist(), strict=True)), method, undetermined(species, counts))


def undetermined(species: Sequence[str], counts: Float[np.ndarray, "rows species"]) -> tuple[str, ...]:
    """The combinations of one-body energies that counts of atoms leave open, in words; none if all are determined."""
    right, size = np.linalg.svd(counts, full_matrices=True)[2], np.linalg.svd(counts, compute_uv=False)
    rank = int(np.sum(size > SEEN * size[0])) if size.size and size[0] > 0 else 0
    return tuple(_combination(species, direction) for direction in _simple(right[rank:]))


def _simple(null: Float[np.ndarray, "open species"]) -> Float[np.ndarray, "open species"]:
    """A basis of the same space with as many zeros as elimination gives, each vector scaled to its largest entry."""
    rows = null.copy()
    for k in range(len(rows)):
        pivot = int(np.argmax(np.abs(rows[k])))
        rows[k] /= rows[k, pivot]
        for other in range(len(rows)):
            if other != k:
                rows[other] -= rows[other, pivot] * rows[k]
    return rows / np.abs(rows).max(axis=1, keepdims=True) if len(rows) else rows


def _combination(species: Sequence[str], direction: Float[np.ndarray, " species"]) -> str:
    """A direction as words, such as In - P."""
    sign = np.sign(direction[np.flatnonzero(np.abs(direction) > 1e-6)[0]])
    words = ""
    for symbol, factor in zip(species, sign * direction, strict=True):
        if abs(factor) > 1e-6:
            number = "" if abs(abs(factor) - 1) < 1e-6 else f"{abs(factor):.3g} "
            words += f"{' - ' if factor < 0 else ' + ' if words else ''}{number}{symbol}"
    return words
