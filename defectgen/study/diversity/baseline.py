"""A second, nonlinear model on the same descriptors: kernel ridge regression of the energies, to see what hangs on the model.

A configuration is described by the mean of its site rows, functions weighed as the smoothness prior weighs them; the kernel is a
Gaussian of the distance, its width and the ridge chosen by cross validation over whole structures.
"""

import numpy as np
from scipy.spatial.distance import pdist

from ..._input import InputError
from ..._typing import Float, Int
from ...dataset import relative
from ...training import DatasetErrors, DatasetRows

WIDTHS = (0.3, 1.0, 3.0)
"""Of the kernel, in units of the median distance between training configurations."""
RIDGES = (1e-6, 1e-4, 1e-2)
"""Relative to a kernel that is one on its diagonal."""
FOLDS = 3
POWER = 2.0
"""Of the smoothness by which functions are weighed."""


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
