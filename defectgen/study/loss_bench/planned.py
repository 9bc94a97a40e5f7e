"""The trials of the bench: every training set, basis and loss."""

from collections.abc import Iterator
from typing import Any

from ...fit import Loss, Weighting
from ..fitting import Fits
from ..spec import RunSpec
from .settings import LossBench, listed
from .steps import BenchTrial


def trials(spec: RunSpec, asked: LossBench) -> Iterator[BenchTrial]:
    """One trial per training set, basis and loss; those of one training set follow each other, the default first."""
    fits = Fits(spec)
    for case in spec.cases:
        if case.basis is None:
            continue
        cases = [other for other in spec.cases if other.material == case.material]
        for size in asked.sizes:
            for degree in asked.degrees:
                like = fits.trial(case, size, case.basis.degree + degree, "E+F")
                first = None
                for loss in listed(asked):
                    trial = BenchTrial(
                        crystal=like.crystal,
                        rows=fits.rows(case, size, subdivide="rows"),
                        exacts=tuple(fits.exact(other, other.simulation_size, True) for other in cases),
                        basis=like.basis,
                        waves=asked.waves,
                        loss=plain(loss),
                        first=first,
                    )
                    first = trial if first is None else first
                    yield trial


def plain(loss: Loss) -> dict[str, Any]:
    """Settings of a loss as a file holds them."""

    def value(each: Any) -> Any:
        if isinstance(each, Weighting):
            return str(each)
        if isinstance(each, tuple):
            return [value(one) for one in each]
        return {k: value(v) for k, v in each.items()} if isinstance(each, dict) else each

    return {key: value(each) for key, each in loss.settings.items()} | {"observations": loss.observations, "name": loss.name}
