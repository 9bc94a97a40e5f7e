"""What an observation is: one linear map from the jets of a site energy to rows, and the response it is read from.

Applied to the reference it gives labels, applied to a basis it gives the rows of the design matrix, and the law
O(basis) @ theta == O(basis @ theta) holds for every kind.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Float
from ..crystal.snapshot import Snapshot
from ..energy.bonds import bonds, pad
from ..energy.functional import evaluate
from ..energy.potential import Potential, is_basis
from ..energy.site import SiteEnergy
from ..energy.total import channel_rows

# ------ What an observation is: one linear map from the jets of a site energy to rows


class Observation(ABC):
    """Rows in field units. `scale` and `row_weights` say how the rows enter a loss; neither is applied here."""

    kind: str
    """E, F, FC, V, or a part of a set that is always taken: V0, VF."""

    @property
    @abstractmethod
    def group(self) -> str:
        """Configuration group, for weights and residuals."""

    @property
    @abstractmethod
    def atoms(self) -> int:
        """Atoms of the configuration."""

    @property
    def scale(self) -> float:
        """Natural factor of all rows in the loss."""
        return 1.0

    @property
    def row_weights(self) -> Float[np.ndarray, " rows"] | None:
        """Distance or range weight of every row; None for one everywhere."""
        return None

    @abstractmethod
    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        """The rows of a potential (labels) or of a basis (one column per channel).

        Parameters
        ----------
        energy : SiteEnergy or BlackBox
            A reference, a fitted model, another code, or a basis.

        Returns
        -------
        array, (rows, ...)
            In field units.
        """


# ------ The first-order response of one configuration


@dataclass(frozen=True, eq=False)
class Response:
    """The response of a configuration; trailing channel axes for a basis. None if it was not computed."""

    energy: Float[np.ndarray, "*channels"] | None
    """eV."""
    forces: Float[np.ndarray, "atoms 3 *channels"] | None
    """eV/A."""
    virial: Float[np.ndarray, "3 3 *channels"] | None
    """-dE/d(strain), eV."""

    __repr__ = brief


def respond(energy: Potential, snapshot: Snapshot, stress: bool = True) -> Response:
    """Energy, forces and virial of a snapshot.

    Parameters
    ----------
    energy : SiteEnergy or BlackBox
        A reference, a fitted model, another code, or a basis, of which all functions respond.
    snapshot : Snapshot
        The configuration.
    stress : bool
        Whether the virial of a black box is needed.

    Returns
    -------
    Response
        With trailing channel axes for a basis.
    """
    if not isinstance(energy, SiteEnergy) or not is_basis(energy):
        result = evaluate(energy, snapshot.cell, snapshot.positions, snapshot.vectors, stress)
        return Response(np.asarray(result.energy), result.forces, result.virial)
    cell = snapshot.cell
    near = bonds(snapshot.positions, snapshot.vectors, cell.periodic, cell.symbols, energy)
    x = pad(snapshot.positions, near.index.shape[0])
    total, forces, virial = channel_rows(energy, x, snapshot.vectors, near)
    return Response(np.asarray(total), np.asarray(forces)[: len(cell)], np.asarray(virial))


def from_labels(snapshot: Snapshot) -> Response:
    """The response that was computed elsewhere and written with the configuration.

    Parameters
    ----------
    snapshot : Snapshot
        A configuration with labels.

    Returns
    -------
    Response
        None for labels that are not there.
    """
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
