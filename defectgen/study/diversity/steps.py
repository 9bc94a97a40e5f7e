"""The trial of a study of diversity: the fit of one design, tested.

The second model, a kernel ridge regression of the energies on the same descriptors, shows which results depend on the model.
A configuration is described by the mean of its site rows, functions weighed as the smoothness prior weighs them; the kernel
is a Gaussian of the distance, its width and the ridge chosen by cross validation over whole structures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from ..._input import InputError
from ..._typing import Float, Int
from ...campaign import Given
from ...dataset import relative
from ...training import DatasetErrors, DatasetRows, with_offsets
from .source import OfDesign
from .split import POWER

ACE, KERNEL = "linear ACE", "kernel ridge"
WIDTHS = (0.3, 1.0, 3.0)
"""Of the kernel, in units of the median distance between training configurations."""
RIDGES = (1e-6, 1e-4, 1e-2)
"""Relative to a kernel that is one on its diagonal."""
FOLDS = 3


@dataclass(frozen=True, eq=False)
class Tested:
    """The errors of one fit."""

    tests: tuple[dict[str, Any], ...]
    """One line a model and test set: energies eV/atom, forces eV/A, and what the source measures."""
    labels: int
    """Configurations that were trained on."""
    atoms: int
    """Of these."""
    rank: int | None
    rmse: dict[str, float]
    """Of the training data, in field units."""
    functions: int


@dataclass(frozen=True, eq=False, kw_only=True)
class DesignTrial(OfDesign[Tested]):
    """Fit one design and test it."""

    baseline: bool
    """Whether a kernel ridge regression is fitted too."""

    @property
    def label(self) -> str:
        return self.prefix + self.about

    @property
    def weight(self) -> float:
        return 1.0 + 1e-3 * self.labels

    def run(self, given: Given) -> Tested:
        """Fit and test."""
        here, trained = self.opened(given), self.train(given)
        offsets = here.pool.offsets
        tests = self.tests(trained, here.pool, self.rows.split.reserve)
        lines = [
            {"model": ACE, "test": name, **summary(here.rows.errors(trained.fit.model, here.places(numbers), offsets))}
            for name, numbers in tests.items()
        ]
        if self.baseline:
            places = {name: here.places(numbers) for name, numbers in tests.items()}
            found = kernel_ridge_errors(here.rows, here.places(trained.chosen), places, offsets)
            lines += [{"model": KERNEL, "test": name, **summary(errors)} for name, errors in found.items()]
        model = with_offsets(trained.fit.model, offsets)
        lines += [{"model": ACE, **line} for line in self.source.metrics(model, self, given)]
        return Tested(
            tests=tuple(lines),
            labels=len(trained.chosen),
            atoms=int(here.pool.dataset.atoms[trained.chosen].sum()),
            rank=trained.fit.rank,
            rmse=trained.fit.rmse,
            functions=here.basis.size,
        )


def summary(errors: DatasetErrors) -> dict[str, float | int | None]:
    """Means of the errors on one test set; forces may be unknown (a model of energies only)."""
    forces = {} if np.isnan(errors.forces).any() else {"forces": errors.mae_forces, "forces_rmse": errors.rmse_forces}
    several = len(set(errors.structures)) < len(errors.structures)
    shape = {"shape": errors.mae_within, "shape_rmse": errors.rmse_energy_within} if several else {}
    found = {"energy": errors.mae_energy, "energy_rmse": errors.rmse_energy, "offset": errors.mae_offset, **shape, **forces}
    return {"configurations": len(errors.structures), "test_structures": len(set(errors.structures)), **found}


def available() -> None:
    """Raises InputError where scikit-learn is missing."""
    try:
        import sklearn.kernel_ridge  # noqa: F401
    except ImportError:
        raise InputError(
            'the baseline is kernel ridge regression of scikit-learn, which is missing; pip install "defectgen[molecules]", or '
            "set diversity.baseline = false"
        ) from None


def kernel_ridge_errors(
    rows: DatasetRows,
    train: Int[np.ndarray, " labels"],
    tests: dict[str, Int[np.ndarray, " _"]],
    offsets: dict[str, float],
) -> dict[str, DatasetErrors]:
    """Errors of the energies on every test set; forces are not a number, the model has none."""
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.model_selection import GridSearchCV, GroupKFold, KFold

    x, y = _descriptors(rows, train), _targets(rows, train, offsets)
    mean = y.mean()
    squares = pdist(x[:: max(len(x) // 500, 1)], "sqeuclidean")
    median = float(np.median(squares[squares > 0])) if np.any(squares > 0) else 1.0
    grid = {"gamma": [0.5 / (median * w**2) for w in WIDTHS], "alpha": list(RIDGES)}
    names = np.array([rows.dataset.configurations[n].structure for n in train.tolist()])
    folds = min(FOLDS, len(train))
    grouped = len(set(names.tolist())) >= folds
    splitter = GroupKFold(folds) if grouped else KFold(folds, shuffle=True, random_state=0)
    search = GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=splitter, scoring="neg_mean_absolute_error")
    search.fit(x, y - mean, groups=names if grouped else None)
    return {name: _errors(rows, numbers, search, mean, offsets) for name, numbers in tests.items()}


def _errors(rows: DatasetRows, numbers: np.ndarray, search, mean: float, offsets: dict[str, float]) -> DatasetErrors:
    found = search.predict(_descriptors(rows, numbers)) + mean - _targets(rows, numbers, offsets)
    names = tuple(rows.dataset.configurations[n].structure for n in numbers.tolist())
    unknown = np.full(len(numbers), np.nan)
    return DatasetErrors(names, rows.dataset.atoms[numbers], found, unknown, unknown)


def _targets(rows: DatasetRows, numbers: np.ndarray, offsets: dict[str, float]) -> Float[np.ndarray, " n"]:
    """Energies per atom without their one-body part, eV."""
    return relative(rows.dataset[numbers], offsets) / rows.dataset.atoms[numbers]


def _descriptors(rows: DatasetRows, numbers: np.ndarray) -> Float[np.ndarray, "n size"]:
    """Energy rows per atom, weighed."""
    found = np.zeros((len(numbers), rows.basis.size))
    for k, number in enumerate(numbers.tolist()):
        found[k, rows.columns[number]] = rows.of(number)[0] / rows.dataset.atoms[number]
    return found / (1.0 + np.asarray(rows.basis.smoothness(POWER)))
