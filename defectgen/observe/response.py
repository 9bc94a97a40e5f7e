"""The first-order response of one configuration: energy, forces and virial, of a potential or of every basis function at once."""

from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.snapshot import Snapshot
from ..energy.bonds import bonds, pad
from ..energy.functional import Potential, evaluate, is_basis
from ..energy.site import SiteEnergy
from ..energy.total import channel_rows


@dataclass(frozen=True, eq=False)
class Response:
    """What a configuration answers; trailing channel axes for a basis. None where nobody computed it."""

    energy: Float[np.ndarray, "*channels"] | None
    """eV."""
    forces: Float[np.ndarray, "atoms 3 *channels"] | None
    """eV/A."""
    virial: Float[np.ndarray, "3 3 *channels"] | None
    """-dE/d(strain), eV."""


def respond(energy: Potential, snapshot: Snapshot, stress: bool = True) -> Response:
    """Energy, forces and virial of a snapshot, for a reference, a model, another code, or all functions of a basis."""
    if not isinstance(energy, SiteEnergy) or not is_basis(energy):
        result = evaluate(energy, snapshot.cell, snapshot.positions, snapshot.vectors, stress)
        return Response(np.asarray(result.energy), result.forces, result.virial)
    cell = snapshot.cell
    near = bonds(snapshot.positions, snapshot.vectors, cell.periodic, cell.symbols, energy)
    x = pad(snapshot.positions, near.index.shape[0])
    total, forces, virial = channel_rows(energy, x, snapshot.vectors, near)
    return Response(np.asarray(total), np.asarray(forces)[: len(cell)], np.asarray(virial))


def from_labels(snapshot: Snapshot) -> Response:
    """The response that somebody else computed and wrote beside the configuration."""
    labels = snapshot.labels or {}
    energy = np.asarray(labels["energy"], dtype=float) if "energy" in labels else None
    return Response(energy, labels.get("forces"), labels.get("virial"))


def wanted(response: Response, what: str, snapshot: Snapshot) -> np.ndarray:
    """One part of a response, or the sentence that says it is missing."""
    value = getattr(response, what)
    if value is None:
        raise InputError(
            f"a configuration of group {snapshot.group!r} ({snapshot.source or 'no source given'}) has no label {what}: "
            "compute it or leave this kind of observation out"
        )
    return np.asarray(value)
