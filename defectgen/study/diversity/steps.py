"""Steps of a study of diversity: rows of everything that is used, then one fit a design, tested.

Every result is decided by the fields of its step and the results that it reads; rows are kept in the scratch folder of the run
only because they are large. The second model, a kernel ridge regression of the energies on the same descriptors, shows what
hangs on the model: a configuration is described by the mean of its site rows, functions weighed as the smoothness prior weighs
them; the kernel is a Gaussian of the distance, its width and the ridge chosen by cross validation over whole structures.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.spatial.distance import pdist

from ..._input import InputError
from ..._typing import Float, Int
from ...ace import ACEBasis
from ...campaign import Given, Step, scratch
from ...campaign.files import queued
from ...dataset import Division, relative
from ...fit import CONVENTION, Fit, FitWarning, fit
from ...training import DatasetErrors, DatasetRows, dataset_rows, with_offsets
from ...training.dataset_rows import digest
from ..settings import FitSettings
from .settings import DiversityBasis
from .source import PackedPool, Pool, Source
from .split import POWER, RANDOM, Split, division, ordered, structure_points, structures_of, tests_of, used

ACE, KERNEL = "linear ACE", "kernel ridge"
WIDTHS = (0.3, 1.0, 3.0)
"""Of the kernel, in units of the median distance between training configurations."""
RIDGES = (1e-6, 1e-4, 1e-2)
"""Relative to a kernel that is one on its diagonal."""
FOLDS = 3

Result = TypeVar("Result")
Own = TypeVar("Own", bound="OfDesign[Any]")


@dataclass(frozen=True, eq=False)
class Opened:
    """A pool with the rows of what is used of it."""

    pool: Pool
    basis: ACEBasis
    rows: DatasetRows
    used: Int[np.ndarray, " used"]

    def places(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Numbers of the pool's data set -> numbers of the rows."""
        return np.searchsorted(self.used, numbers)


@dataclass(frozen=True, eq=False)
class Used:
    """Which configurations are used, and in which order structures are chosen."""

    orders: dict[str, tuple[tuple[str, ...], ...]]
    """Selection other than at random -> for every repetition, structures in the order of choice."""
    functions: int
    """Of the basis."""
    used: Int[np.ndarray, " used"]
    """Numbers of configurations in the data set of the pool, ascending."""


@dataclass(frozen=True, eq=False, kw_only=True)
class UsedRows(Step[Used]):
    """What is used of a pool; its rows are computed and kept on the way."""

    pool: Step[PackedPool]
    basis: DiversityBasis
    split: Split
    seeds: int
    """Repetitions."""
    designs: tuple[tuple[int, int], ...]
    """Structures, and configurations of each."""
    selections: tuple[str, ...]
    called: str = ""
    """Name of the data set, for the label."""

    apart = ("study", "called")

    @property
    def label(self) -> str:
        return f"{self.called} rows"

    @property
    def weight(self) -> float:
        return 30.0

    def run(self, given: Given) -> Used:
        """Choose, and compute the rows."""
        pool = given[self.pool].unpack()
        basis = ACEBasis(pool.dataset.species, **self.basis.model_dump())
        most = max(structures for structures, _ in self.designs)
        orders: dict[str, tuple[tuple[str, ...], ...]] = {}
        chosen_ways = [selection for selection in self.selections if selection != RANDOM]
        if chosen_ways:
            inside = [name for name in pool.dataset.structures if len(pool.dataset.where(name, pool.law))]
            points = dict(zip(inside, structure_points(pool, basis, inside), strict=True))
            parts = [list(division(pool, self.split, seed).pool) for seed in range(self.seeds)]
            for selection in chosen_ways:
                orders[selection] = tuple(
                    tuple(ordered(selection, names, np.array([points[name] for name in names]), most)) for names in parts
                )
        chosen = used(pool, self.split, self.seeds, self.designs, orders)
        _rows_of(pool, basis, chosen)
        return Used(orders, basis.size, chosen)

    def opened(self, given: Given) -> Opened:
        """The pool with its rows, kept by the process: trials of one study share it, and reading it takes longer than a fit."""
        if self.key not in _OPENED:
            pool, chosen = given[self.pool].unpack(), given[self].used
            basis = ACEBasis(pool.dataset.species, **self.basis.model_dump())
            found = Opened(pool, basis, _rows_of(pool, basis, chosen), chosen)
            _OPENED.clear()
            _OPENED[self.key] = found
        return _OPENED[self.key]


_OPENED: dict[str, Opened] = {}


def _rows_of(pool: Pool, basis: ACEBasis, chosen: np.ndarray) -> DatasetRows:
    """Kept in the scratch folder where there is one; two processes that need the same wait for each other."""
    folder, dataset = scratch(), pool.dataset[chosen]
    if folder is None:
        return dataset_rows(dataset, basis)
    own = folder / f"rows-{digest(dataset, basis)[:16]}"
    with queued(folder / "rows.lock"):
        return dataset_rows(dataset, basis, own)


@dataclass(frozen=True, eq=False)
class Trained:
    """The fit of one design, and who may test it."""

    fit: Fit
    chosen: Int[np.ndarray, " labels"]
    """Numbers of configurations in the data set of the pool."""
    seen: list[str]
    """Structures."""
    parts: Division


@dataclass(frozen=True, eq=False, kw_only=True)
class OfDesign(Step[Result], Generic[Result]):
    """A step about the fit of one design. Nothing in it names the experiment, so that equal designs are carried out once."""

    source: Source
    files: dict[str, str] = field(default_factory=dict)
    """Path -> digest of the files that the settings of the source name."""
    pool: Step[PackedPool]
    rows: UsedRows
    further: tuple[Step[Any], ...]
    """Of the source, which looks their results up."""
    seed: int
    """Of the repetition."""
    structures: int
    conformations: int
    """Configurations of each structure."""
    common: int
    """Structures that all splits of the budget have seen."""
    selection: str
    observations: str
    fit: FitSettings
    prefix: str = ""
    """Name of the data set, for the label."""

    apart = ("study", "prefix")

    @classmethod
    def like(cls: type[Own], other: OfDesign[Any], **more: Any) -> Own:
        """A step about the same fit."""
        return cls(**{f.name: getattr(other, f.name) for f in fields(OfDesign)}, **more)

    @property
    def about(self) -> str:
        """The design in words."""
        return f"{self.structures} x {self.conformations}, {self.selection}, {self.observations}, seed {self.seed}"

    @property
    def labels(self) -> int:
        """Configurations that are trained on."""
        return self.structures * self.conformations

    def opened(self, given: Given) -> Opened:
        """The pool with its rows."""
        return self.rows.opened(given)

    def parts(self, pool: Pool, given: Given) -> Division:
        """Who trains and who tests in the repetition of this design."""
        order = None if self.selection == RANDOM else given[self.rows].orders[self.selection][self.seed]
        return division(pool, self.rows.split, self.seed, order)

    def train(self, given: Given) -> Trained:
        """The fit."""
        here = self.opened(given)
        parts = self.parts(here.pool, given)
        chosen = parts.design(self.structures, self.conformations)
        blocks = here.rows.blocks(here.places(chosen), here.pool.offsets)
        if set(self.observations.split("+")) - {"E", "F"}:
            blocks = blocks + self.source.blocks(self, given, chosen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # the rank is in the result
            found = fit(blocks, self.observations, {**CONVENTION, **self.fit.weights}, self.fit.prior, self.fit.solver)
        return Trained(found, chosen, structures_of(here.pool, chosen), parts)

    def tests(self, trained: Trained, pool: Pool, each: int) -> dict[str, Int[np.ndarray, " _"]]:
        """Test sets, with at most `each` configurations of a structure."""
        return tests_of(pool, trained.parts, trained.seen, self.common, each)


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
