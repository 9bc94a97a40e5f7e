"""Settings that studies share: a case, how training cells are made, the basis, the fit; each is converted in one place, here."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from .._input import InputError, closest
from ..ace import ACEBasis, check_count, followed
from ..crystal import Cell, defect_from_name, supercell
from ..crystal.elements import checked_potentials, numbers_by_species
from ..fit import as_prior, as_solver, check_weights
from ..training import Rattle, Strains
from ..training.observations import spell_observations
from .materials import Material, build_lattice, build_reference

REACH = 50.0
"""A: no cutoff is larger; a sphere of this radius holds some 40000 atoms."""
COPIES = 10_000
"""Configurations of one kind, repetitions and the like: no count of a study is larger."""

Settings = TypeVar("Settings", bound="Strict")


class Strict(BaseModel):
    """A table without room for misspelt keys and for numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Basis(Strict):
    """The ACE basis.

    A case whose basis leaves the cutoff out follows its reference in all that is left out of cutoff, order, degree and
    pair_degree (theory: fit/defaults); the specification that a run writes back has the resulting values.
    """

    cutoff: float = Field(gt=0, le=REACH)
    """Cutoff radius of the basis, A."""
    order: int = Field(3, ge=1, le=4)
    """Correlation order: number of neighbours in one function, one less than the body order."""
    degree: float = Field(10, gt=0)
    """Largest total degree of a function: n + w_l l summed over its neighbours."""
    w_l: float = Field(1.5, gt=0)
    """Weight of the angular momentum l in the total degree."""
    pair_degree: int | None = Field(None, ge=0)
    """Number of pair functions for each pair of species, independent of the degree; equal to the degree if not given."""
    envelope: int = Field(4, ge=2, le=100)
    """Power with which the functions vanish at the cutoff."""

    @model_validator(mode="after")
    def _holds_functions(self):
        if not self.order <= self.degree < math.inf:
            raise ValueError(f"degree {self.degree:g} has no function of order {self.order}; give at least the order")
        check_count(1, self.order, self.degree, self.w_l, self.pairs)
        return self

    @property
    def pairs(self) -> int:
        """Pair functions of each pair of species."""
        return int(self.degree) if self.pair_degree is None else self.pair_degree

    def widened(self, degrees: float) -> "Basis":
        """The basis with so many degrees more, and at least as many pair functions; a part of that of the rows."""
        pairs = max(self.pairs, int(self.degree) + int(degrees))
        return self.model_copy(update={"degree": self.degree + degrees, "pair_degree": pairs})

    def build(self, cell: Cell) -> ACEBasis:
        """The basis for all species of the crystal of a cell, then those that its defect brings."""
        species = tuple(dict.fromkeys((*cell.lattice.species, *cell.symbols)))
        return _basis(species, tuple(self.model_dump(mode="json").items()))


@lru_cache(maxsize=8)
def _basis(species: tuple[str, ...], options: tuple[tuple[str, Any], ...]) -> ACEBasis:
    """One object for all steps of a process with this basis, since its couplings take time."""
    return ACEBasis(species, **dict(options))


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
    """A material by name (see defectgen list), or one of the tables [materials.NAME]."""
    defect: str
    """A defect as it is written in defectgen list, such as divacancy or interstitial(octahedral)."""
    simulation_size: Size
    """Size of the cell in which reference and model are compared: n or three numbers of conventional cells, or an integer matrix
    of conventional vectors."""
    basis: Basis | None = None
    """The basis that is fitted; a study of surrogates has none."""
    chemical_potentials: dict[str, float] | None = None
    """Chemical potentials for this defect by species, eV per atom; those of the material if none are given."""

    @model_validator(mode="before")
    @classmethod
    def _with_potentials(cls, given: Any) -> Any:
        """The material with the chemical potentials of the case: what the steps read."""
        if not isinstance(given, dict) or given.get("chemical_potentials") is None:
            return given
        own = given.get("material")
        if not isinstance(own, Material):
            return given
        known = numbers_by_species(given["chemical_potentials"], "Si")
        return {**given, "material": own.model_copy(update={"chemical_potentials": known})}

    @model_validator(mode="after")
    def _has_all_potentials(self):
        if self.material.chemical_potentials:
            cell = _example(self)
            checked_potentials(self.material.chemical_potentials, cell)
            known = {*cell.lattice.species, *cell.symbols}
            if foreign := [s for s in self.chemical_potentials or {} if s not in known]:
                raise ValueError(
                    f"a chemical potential of {foreign[0]} is given, and neither the crystal nor {self.defect} has such an atom; "
                    f"give those of {', '.join(sorted(known))}"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _follows_the_reference(cls, given: Any) -> Any:
        """A basis without a cutoff, completed."""
        if not isinstance(given, dict):
            return given
        basis, own = given.get("basis"), given.get("material")
        if not isinstance(basis, dict) or not isinstance(own, Material):
            return given
        if "cutoff" not in basis and set(basis) <= set(Basis.model_fields):
            return {**given, "basis": {**followed(build_reference(own), basis.get("order")), **basis}}
        return given


def with_potentials(material: Material, defect: str, potentials: Mapping[str, float] | None) -> Material:
    """The material with chemical potentials (eV per atom) for a defect, if there are any. Raises InputError as a case does."""
    if potentials is None:
        return material
    try:
        case = {"material": material, "defect": defect, "simulation_size": 4, "chemical_potentials": potentials}
        return Case.model_validate(case).material
    except ValidationError as error:
        raise InputError(sentence(error, "")) from None


def _example(case: Case) -> Cell:
    """The defect of a case in a small cell: which atoms it exchanges does not depend on the size."""
    lattice, defect = build_lattice(case.material), defect_from_name(case.defect)
    try:
        return defect.apply(supercell(lattice, 4))
    except InputError:  # too small for this defect
        return defect.apply(supercell(lattice, 12))


class Training(Strict):
    """How training cells are made; the defaults are those of `Rattle` and `Strains`."""

    relaxed: bool = True
    """Whether training cells are relaxed with the reference; otherwise atoms are on lattice sites."""
    configurations: int = Field(Rattle.configurations, ge=0, le=COPIES)
    """Number of rattled copies of the defect cell."""
    rattle: float = Field(Rattle.amplitude, ge=0)
    """Standard deviation of the displacements of a rattled copy, A."""
    rattle_radius: float | None = Field(None, gt=0)
    """Radius around the defect within which atoms are rattled, nearest-neighbour spacings; all atoms if not given."""
    strain: float = Field(Rattle.strain, ge=0)
    """Standard deviation of a random homogeneous strain of each rattled copy; 0 keeps the box of the crystal."""
    virial_strains: tuple[float, ...] = Strains.amplitudes
    """Amplitudes of the strained primitive cells whose virials are labelled (V)."""
    virial_pairs: bool = Strains.pairs
    """Whether strained cells also combine two strain modes."""
    shift: float = Field(Strains.shift, ge=0)
    """Displacement of the sublattices in strained primitive cells, A."""
    core_atoms: int = Field(0, ge=0, le=COPIES)
    """Number of atoms next to the defect whose force constants are labelled too."""
    force_distance_power: float = 0.0
    """Power p of the weights (1 + distance)^p of force rows, with the distance to the defect in nearest-neighbour spacings."""
    force_constant_range_power: float = 0.0
    """Power of the distance of the pair by which force constants are weighted."""
    seed: int = Field(0, ge=0)
    """Seed of the random displacements; equal seeds give equal cells."""

    def rattles(self) -> Rattle:
        """How defect cells are varied."""
        return Rattle(self.configurations, self.rattle, self.strain, self.rattle_radius)

    def strains(self) -> Strains:
        """How primitive cells are strained."""
        return Strains(self.virial_strains, self.virial_pairs, self.shift)


class FitSettings(Strict):
    """How a model is fitted; the defaults are those of `dg.fit`."""

    weights: dict[str, float] = {}
    """Weights by kind ("E") or kind and group ("E:bulk"); others have their defaults, `defectgen.fit.DEFAULT_WEIGHTS`."""
    solver: str = "qr"
    """Least-squares solver: qr, tsvd, ridge, lsmr or bayes."""
    prior: str | float | None = None
    """A ridge parameter or the name of a prior, such as "smoothness(1e-6)"; none if it is left out."""

    @model_validator(mode="after")
    def _can_be_used(self):
        as_solver(self.solver, {})
        as_prior(self.prior)
        check_weights(self.weights)
        return self


class Variant(Strict):
    """What one variant of a run changes: keys of [training], [fit] and of the basis, with their new values."""

    training: dict[str, Any] = {}
    """Keys of [training] with their values in this variant."""
    fit: dict[str, Any] = {}
    """Keys of [fit] with their values in this variant."""
    basis: dict[str, Any] = {}
    """Keys of the basis of every case with their values in this variant."""


class Shared(Strict, ABC):
    """What the studies of a run share, and the settings of each study that is requested."""

    name: str
    """Name of the run; also that of its output directory in runs/."""
    title: str = ""
    """Heading of the page of the run."""
    duration: str = ""
    """Time of the run on two cores, such as "5 min"; shown by defectgen list."""
    observations: tuple[str, ...] = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
    """Sets of observations that are fitted; each is a curve of the figures."""
    cases: tuple[Case, ...] = ()
    """The defects and crystals that are studied; a study of diversity has none."""
    training: Training = Field(default_factory=Training)  # pyright: ignore[reportArgumentType]  all its fields have defaults
    """How training cells are made (table [training])."""
    fit: FitSettings = Field(default_factory=FitSettings)
    """How models are fitted (table [fit])."""
    tables: dict[str, SerializeAsAny[Any]] = {}
    """Settings of the studies that are requested, by name; a run file has them as tables of these names."""

    def asked(self, settings: type[Settings]) -> Settings | None:
        """The settings of a study, by their class; None if it is not requested."""
        return next((each for each in self.tables.values() if type(each) is settings), None)

    @abstractmethod
    def largest_degree(self, case: Case) -> float:
        """The degree that training rows are made for."""

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, value):
        if not value.strip() or value[0] == "." or set(value) & set("/\\") or len(value) > 100 or not value.isprintable():
            raise ValueError(
                f"a study's name is a folder's: up to 100 characters, without slashes and dot in front; got {value!r}"
            )
        return value

    @field_validator("observations")
    @classmethod
    def _spelled(cls, value):
        return tuple(spell_observations(v) for v in value)


def without_none(value: Any) -> Any:
    """Plain data without the entries that are None, which TOML cannot write."""
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [without_none(v) for v in value]
    return value


def sentence(error: ValidationError, hint: str = "; see defectgen init for a template", model: Any = None) -> str:
    """The most informative of the faults: a key that is not known explains another one that is missing.

    Keys of `model`, the settings that were read, are offered where one of them may be meant.
    """
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    first = faults[0]
    place = ".".join(str(p) for p in first["loc"]) or "the study"
    if first["type"] == "extra_forbidden":
        known = keys_of(model, first["loc"][:-1])
        absent = [str(f["loc"][-1]) for f in faults if f["type"] == "missing" and f["loc"][:-1] == first["loc"][:-1]]
        meant = closest(first["loc"][-1], absent) or closest(first["loc"][-1], known)
        text = f": there is no such key{f', perhaps {meant} is meant' if meant else ''}"
    elif first["type"] == "missing":
        text = " is missing"
    elif first["type"] == "value_error":  # a sentence of ours, which says what came
        text = first["msg"].removeprefix("Value error, ")
        return f"{place}: {text}" if first["loc"] else text
    else:
        text = f": {first['msg']} (got {short(first.get('input'))})"
    return f"{place}{text}{hint}"


def keys_of(model: Any, place: tuple) -> list[str]:
    """The keys of the table at this place of settings."""
    for key in place:
        if isinstance(key, int):
            continue
        fields = getattr(model, "model_fields", {})
        if key not in fields:
            return []
        inner = [fields[key].annotation, *get_args(fields[key].annotation)]
        inner += [a for each in inner for a in get_args(each)]
        model = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return list(getattr(model, "model_fields", {}))


def short(value: Any) -> str:
    """A value as it is written in a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
