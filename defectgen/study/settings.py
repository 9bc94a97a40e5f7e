"""Settings that studies share: a case, how training cells are made, the basis, the fit; each is converted in one place, here."""

import math
from difflib import get_close_matches
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ..ace import ACEBasis
from ..crystal import Cell
from ..fit import as_prior, as_solver, check_weights
from ..training import Rattle, Strains
from .materials import Material


class Strict(BaseModel):
    """A table without room for misspelt keys and for numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Basis(Strict):
    """The ACE basis; the degree is what the fit-accuracy study varies."""

    cutoff: float = Field(gt=0)
    """A."""
    order: int = Field(3, ge=1, le=4)
    degree: float = Field(10, gt=0)
    w_l: float = Field(1.5, gt=0)
    pair_degree: int | None = None
    envelope: int = Field(4, ge=2)

    @model_validator(mode="after")
    def _holds_functions(self):
        if not self.order <= self.degree < math.inf:
            raise ValueError(f"degree {self.degree:g} holds no function of order {self.order}; give at least the order")
        return self

    def build(self, cell: Cell) -> ACEBasis:
        """The basis for all species of the crystal of a cell, then those that its defect brings."""
        return ACEBasis(tuple(dict.fromkeys((*cell.lattice.species, *cell.symbols))), **self.model_dump(mode="json"))


def _is_size(value: Any) -> Any:
    """n, three numbers, or three rows of three; the matrix is judged where a cell is made of it."""
    rows = np.asarray(value, dtype=object)
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in rows.ravel())
    if not whole or rows.shape not in ((), (3,), (3, 3)) or (rows.ndim < 2 and np.min(rows) < 1):
        raise ValueError(
            f"a size is a positive number of conventional cells, three of them, or a 3 x 3 integer matrix; got {value!r}"
        )
    return value


Vector = tuple[int, int, int]
Size = Annotated[int | Vector | tuple[Vector, Vector, Vector], BeforeValidator(_is_size)]


class Case(Strict):
    """One defect in one crystal."""

    material: Material
    defect: str
    simulation_size: Size
    """Of the cell in which reference and model are compared: n or three numbers of conventional cells, or an integer matrix of
    conventional vectors."""
    basis: Basis | None = None
    """What is fitted; a study of surrogates fits nothing."""


class Training(Strict):
    """How training cells are made."""

    relaxed: bool = True
    """Whether training cells rest at the reference's equilibrium (else on lattice sites)."""
    configurations: int = Field(6, ge=0)
    rattle: float = Field(0.03, ge=0)
    """A."""
    rattle_radius: float | None = Field(None, gt=0)
    """Nearest-neighbour spacings around the defect that are rattled; all atoms if there is none."""
    strain: float = Field(0.0, ge=0)
    virial_strains: tuple[float, ...] = (0.005, 0.015)
    virial_pairs: bool = True
    shift: float = Field(0.01, ge=0)
    """A; sublattice displacements of strained primitive cells."""
    core_atoms: int = Field(0, ge=0)
    force_distance_power: float = 0.0
    force_constant_range_power: float = 0.0
    seed: int = 0

    def rattles(self) -> Rattle:
        """How defect cells are varied."""
        return Rattle(self.configurations, self.rattle, self.strain, self.rattle_radius)

    def strains(self) -> Strains:
        """How primitive cells are strained."""
        return Strains(self.virial_strains, self.virial_pairs, self.shift)


class FitSettings(Strict):
    """How a model is fitted."""

    weights: dict[str, float] = {}
    solver: str = "qr"
    prior: str | float | None = None

    @model_validator(mode="after")
    def _can_be_used(self):
        as_solver(self.solver, {})
        as_prior(self.prior)
        check_weights(self.weights)
        return self


def without_none(value: Any) -> Any:
    """Plain data without the entries that are None, which TOML cannot write."""
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [without_none(v) for v in value]
    return value


def sentence(error: ValidationError, hint: str = "; see defectgen init for a template") -> str:
    """The most telling of the faults: a key that is not known explains another one that is missing."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    first = faults[0]
    place = ".".join(str(p) for p in first["loc"]) or "the study"
    if first["type"] == "extra_forbidden":
        absent = [str(f["loc"][-1]) for f in faults if f["type"] == "missing" and f["loc"][:-1] == first["loc"][:-1]]
        meant = get_close_matches(str(first["loc"][-1]), absent, 1)
        text = f": there is no such key{f', perhaps {meant[0]} is meant' if meant else ''}"
    elif first["type"] == "missing":
        text = " is missing"
    elif first["type"] == "value_error":  # a sentence of ours, which says what came
        text = first["msg"].removeprefix("Value error, ")
        return f"{place}: {text}" if first["loc"] else text
    else:
        text = f": {first['msg']} (got {_short(first.get('input'))})"
    return f"{place}{text}{hint}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
