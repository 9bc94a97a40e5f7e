"""What the settings of a fit to a data set give: the set, its parts, the fit and its errors."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..._input import InputError, InputWarning
from ...ace import ZBL, ACEBasis
from ...bridge import read_dataset
from ...crystal.elements import element
from ...dataset import LabelledSnapshots, Split
from ...errors import LabelErrors, label_errors
from ...fit import Fit, FitWarning, fit
from ...training import label
from .settings import NONE, LabelledFit

LOOKED_AT = 200
"""Snapshots whose nearest distances are looked at for the default cutoff."""

CUTOFF = 2.1
"""Default cutoff over the median distance of nearest neighbours: the second and third shell of close-packed crystals."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A fit to a data set."""

    settings: LabelledFit
    """With everything that was left out resolved."""
    data: LabelledSnapshots
    split: Split
    """The test part may be empty."""
    fit: Fit
    errors: LabelErrors
    notes: tuple[str, ...]
    """Warnings, a sentence each."""
    seconds: float
    """Processor time of labelling, fit and errors."""


def fit_labelled(settings: LabelledFit, progress: Callable[[str, int, int], None] | None = None) -> Outcome:
    """Read, split, label, fit, and compare with all labels; `progress` is called with what is done, how much of how much.

    Raises InputError for data that cannot be read or fitted with these settings.
    """
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = read_dataset(settings.data, settings.units or None, settings.keys or None, settings.columns)
        settings = resolved(settings, data)
        split = _split(settings, data)
        basis = _basis(settings, data)
        repulsion = _repulsion(settings, data)
        assert settings.observations is not None  # `resolved` has seen to it
        kinds = settings.observations.split("+")
        blocks = label(
            split.training,
            None,
            basis,
            kinds,
            subdivide=settings.kept,
            repulsion=repulsion,
            progress=_told(progress, "rows of the training part"),
        )
        found = fit(
            blocks,
            settings.observations,
            weights=_weights(settings, kinds),
            prior=settings.chosen_prior,
            solver=settings.solver,
            one_body=settings.one_body,
            repulsion=repulsion,
            weight=settings.weight,
            residual=settings.residual,
        )
        parts = {"training": split.training, **({"test": split.test} if len(split.test) else {})}
        errors = label_errors(found.model, parts, progress=_told(progress, "errors"))
    for each in caught:  # others than those about the input are passed on
        if not issubclass(each.category, InputWarning | FitWarning):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, InputWarning | FitWarning)))
    return Outcome(settings, data, split, found, errors, notes, time.process_time() - start)


def _weights(settings: LabelledFit, kinds: list[str]) -> dict[str, float]:
    """The weights without defaults of kinds that are not fitted."""
    usual = LabelledFit.model_fields["weights"].default
    return {key: weight for key, weight in settings.weights.items() if key in kinds or usual.get(key) != weight}


def resolved(settings: LabelledFit, data: LabelledSnapshots) -> LabelledFit:
    """With the observations that the data carry, a cutoff, and radii of the repulsion where they are one number."""
    present = [kind for kind, name in (("E", "energy"), ("F", "forces"), ("V", "virial")) if data.carries(name).any()]
    observations = settings.observations or "+".join(present)
    if missing := [kind for kind in observations.split("+") if kind not in present]:
        raise InputError(
            f"observations = {observations!r} needs labels of kind {missing[0]}, and the data carry {'+'.join(present)}; leave "
            "it out"
        )
    cutoff = settings.basis.cutoff
    if cutoff is None:
        cutoff = round(CUTOFF * nearest_distance(data), 2)
    basis = settings.basis.model_copy(update={"cutoff": cutoff})
    return settings.model_copy(update={"observations": observations, "basis": basis})


def nearest_distance(data: LabelledSnapshots) -> float:
    """Median distance of nearest neighbours over atoms of evenly chosen snapshots, A."""
    found = []
    chosen = [s for s in data if len(s.cell) > 1]
    for k in np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), LOOKED_AT)).astype(int)) if chosen else ():
        s = chosen[k]
        span = [np.arange(-1, 2) if p else np.array([0]) for p in s.cell.periodic]
        images = np.stack(np.meshgrid(*span, indexing="ij"), -1).reshape(-1, 3) @ s.vectors
        everywhere = (s.positions[None] + images[:, None]).reshape(-1, 3)
        found.append(KDTree(everywhere).query(s.positions, k=2)[0][:, 1])
    if not found:
        raise InputError(
            "the data set contains single atoms only, so it has no default cutoff; add configurations of several atoms"
        )
    return float(np.median(np.concatenate(found)))


def _split(settings: LabelledFit, data: LabelledSnapshots) -> Split:
    """Training and test part."""
    chosen = settings.split
    if chosen.groups:
        return data.split(chosen.groups, "group", chosen.seed)
    if chosen.test == 0:
        return Split(data, data[:0])
    return data.split(chosen.test, chosen.by, chosen.seed)


def _basis(settings: LabelledFit, data: LabelledSnapshots) -> ACEBasis:
    b = settings.basis
    assert b.cutoff is not None  # `resolved` has seen to it
    return ACEBasis(data.species, b.cutoff, b.order, b.degree, w_l=b.w_l, pair_degree=b.pair_degree, envelope=b.envelope)


def _repulsion(settings: LabelledFit, data: LabelledSnapshots) -> ZBL | None:
    """The repulsion of the settings; its default radii as `ZBL` has them, but not beyond the cutoff."""
    if settings.repulsion == NONE:
        return None
    radii = np.array([element(s).covalent_radius for s in data.species])
    assert settings.basis.cutoff is not None  # `resolved` has seen to it
    outer = np.minimum(radii[:, None] + radii[None, :], settings.basis.cutoff)
    if settings.repulsion_outer is not None:
        outer = np.full_like(outer, settings.repulsion_outer)
    return ZBL(data.species, settings.repulsion_inner, outer)


def _told(progress: Callable[[str, int, int], None] | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)
