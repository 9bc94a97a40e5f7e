"""A portrait for the page: a defect in a strained crystal, every atom with its grade, its force error and where it is."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ....campaign import Record
from ....dataset import Configuration
from ....errors.domain import Extrapolation
from ....observe import environments
from ....training.dynamics import BUCKET
from ..domain import LIMIT
from ..split import OWN, tests_of
from ..steps import Opened, opened, train
from .settings import parsed


def portrait(spec: dict[str, Any], pool_record: Record, rows_record: Record, *records: Record) -> Record:
    """The extrapolation grades of the most strained, largest cell of the tests apart. spec: that of a trial.

    Arrays by atom: positions (A), grade, force error (eV/A). The threshold of the grade is 1, the largest of the active set;
    that of the error is LIMIT times the root mean square on new configurations of the structures that were seen.
    """
    here = opened(spec, pool_record, rows_record)
    trained = train(spec, here, records)
    known = np.concatenate([_sites(here, n) for n in trained.chosen.tolist()])
    measure = Extrapolation.fitted(known)
    theta = np.asarray(trained.fit.coefficients)
    sets = tests_of(here.pool, trained.parts, trained.seen, spec["common"], 1)
    level = float(np.sqrt(np.mean(np.concatenate([_wrong(here, n, theta) for n in sets[OWN].tolist()]) ** 2)))
    asked = parsed(spec["settings"])
    shown = {
        key: (abs(one.dilation), name) for name, each in asked.apart.items() for key, one in asked.structures(each)[0].items()
    }
    candidates = [(shown[key][0], len(c), n) for n, key, c in _apart(here, sets, set(shown))]
    number = max(candidates)[2]
    name = shown[here.pool.dataset.configurations[number].structure][1]
    c = here.pool.dataset.configurations[number]
    assert c.vectors is not None  # a crystal
    values = {"test": name, "structure": c.structure, "law": c.law, "level": level, "limit": LIMIT * level}
    arrays = {"positions": c.positions, "vectors": c.vectors, "grade": measure.grade(_sites(here, number))}
    return Record(values, {**arrays, "error": _wrong(here, number, theta)})


def _apart(here: Opened, sets: dict[str, np.ndarray], names: set[str]) -> Iterator[tuple[int, str, Configuration]]:
    """Number, structure and configuration of what tests and is one of these structures."""
    for number in sorted({int(n) for numbers in sets.values() for n in numbers}):
        c = here.pool.dataset.configurations[number]
        if c.structure in names:
            yield number, c.structure, c


def _sites(here: Opened, number: int) -> np.ndarray:
    """Site rows of one configuration of the one element."""
    c = here.pool.dataset.configurations[number]
    vectors = np.eye(3) if c.vectors is None else c.vectors
    return environments(here.basis, c.symbols, c.positions, vectors, c.periodic, BUCKET).sites


def _wrong(here: Opened, number: int, theta: np.ndarray) -> np.ndarray:
    """Length of the force error of every atom, eV/A."""
    c, place = here.pool.dataset.configurations[number], int(here.places(np.array([number]))[0])
    rows = here.rows.of(place)[1:]
    assert c.forces is not None  # a pool has them all
    return np.linalg.norm((rows @ theta[here.rows.columns[place]]).reshape(-1, 3) - c.forces, axis=1)
