"""Cells and references as studies name them: made from settings, and kept by a process that needs them for several steps."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from ...campaign.files import unchanged
from ...crystal import Cell, Lattice, defect_from_name, supercell
from ...energy.potential import Potential
from ...relax import GreensFunction, greens_function
from ..materials import Material, build_reference
from ..settings import Case

Scene = TypeVar("Scene")
Size = int | tuple[Any, ...]
"""n, three numbers of conventional cells, or the rows of an integer matrix."""


@lru_cache(maxsize=8)
def _reference(name: str, digest: str, files: tuple[tuple[str, str], ...]) -> Potential:
    unchanged(dict(files))
    return build_reference(Material(name="", reference=name, digest=digest))


def truth_of(material: Material) -> Potential:
    """The reference of a material: one object in a process, since a tabulated potential takes time to build."""
    return _reference(material.reference, material.digest, tuple(material.files.items()))


_latest_green: list[tuple[Cell, Potential, GreensFunction]] = []


def green_of(cell: Cell, truth: Potential) -> GreensFunction:
    """The Green's function of a reference on the waves of a cell, kept by the process for the next fit that is tried there."""
    if not _latest_green or _latest_green[0][0] is not cell or _latest_green[0][1] is not truth:
        _latest_green[:] = [(cell, truth, greens_function(cell, truth))]
    return _latest_green[0][2]


def box(lattice: Lattice, size: Any) -> Cell:
    """The periodic cell of a size as a study writes it: n, three numbers, or the rows of a matrix."""
    if not isinstance(size, int):
        size = tuple(size) if isinstance(size[0], int) else np.array(size)
    return supercell(lattice, size)


@dataclass(frozen=True)
class _Same:
    """A lattice that equals every other one with the same content."""

    lattice: Lattice = field(compare=False)
    content: tuple[Any, ...]

    @classmethod
    def of(cls, lattice: Lattice) -> "_Same":
        values = (getattr(lattice, f.name) for f in fields(lattice))
        return cls(lattice, tuple((v.shape, v.dtype.str, v.tobytes()) if isinstance(v, np.ndarray) else v for v in values))


@lru_cache(maxsize=8)
def _defect_cell(same: _Same, defect: str, size: str) -> Cell:
    return defect_from_name(defect).apply(box(same.lattice, json.loads(size)))


def defect_cell(lattice: Lattice, defect: str, size: Any) -> Cell:
    """The unrelaxed defect in a periodic cell: one object for all steps in it, since symmetries and voids take time to find."""
    return _defect_cell(_Same.of(lattice), defect, json.dumps(np.asarray(size).tolist()))


def spelled(size: Any) -> str:
    """A size in words: 4, 4 x 4 x 6, or the rows of a matrix."""
    if isinstance(size, int):
        return str(size)
    return " x ".join(map(str, size)) if isinstance(size[0], int) else " ".join(str(tuple(row)) for row in size)


def called(case: Case) -> str:
    """The name of a case: its material and its defect."""
    return f"{case.material.name} {case.defect}"


_latest: list[tuple[str, Any]] = []


def kept(key: tuple, make: Callable[[], Scene]) -> Scene:
    """What `make` gives, kept by the process for the next step with this key: steps of one defect follow each other."""
    name = json.dumps(key)
    if not _latest or _latest[0][0] != name:
        _latest.clear()
        _latest.append((name, make()))
    return _latest[0][1]
