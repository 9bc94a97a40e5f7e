"""The specification of a run: which crystals and defects, what is trained on, what is varied. A study file is this, as TOML."""

import math
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from .._input import InputError, closest, did_you_mean, reading
from ..ace import check_count, followed
from ..campaign.files import expanded
from ..fit import as_prior, as_solver, check_weights, losses
from ..training import Rattle, Strains
from ..training.observations import spell_observations
from .materials import Material, build_reference, material

REACH = 50.0
"""A: no cutoff is larger; a sphere of this radius holds some 40000 atoms."""
COPIES = 10_000
"""Configurations of one kind, repetitions and the like: no count of a study is larger."""
DEEPEST = 40
"""Levels of tables and lists in a study file."""
LONGEST = 10_000_000
"""Bytes of the longest study file."""


class Strict(BaseModel):
    """A table without room for misspelt keys and for numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Basis(Strict):
    """The ACE basis; the degree is what the fit-accuracy study varies.

    A case whose basis leaves the cutoff out follows its reference in all that is left out of cutoff, order, degree and
    pair_degree (theory: fit/defaults); the specification that a run writes back says what that comes to.
    """

    cutoff: float = Field(gt=0, le=REACH)
    """A."""
    order: int = Field(3, ge=1, le=4)
    degree: float = Field(10, gt=0)
    w_l: float = Field(1.5, gt=0)
    pair_degree: int | None = Field(None, ge=0)
    """Pair functions of each pair of species, whatever the degree; as many as the degree if not given."""
    envelope: int = Field(4, ge=2, le=100)

    @model_validator(mode="after")
    def _holds_functions(self):
        if not self.order <= self.degree < math.inf:
            raise ValueError(f"degree {self.degree:g} holds no function of order {self.order}; give at least the order")
        pairs = self.degree if self.pair_degree is None else self.pair_degree
        check_count(1, self.order, self.degree, self.w_l, pairs)
        return self


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


class Training(Strict):
    """How training cells are made; the defaults are those of `Rattle` and `Strains`."""

    relaxed: bool = True
    """Whether training cells rest at the reference's equilibrium (else on lattice sites)."""
    configurations: int = Field(Rattle.configurations, ge=0, le=COPIES)
    rattle: float = Field(Rattle.amplitude, ge=0)
    """A."""
    rattle_radius: float | None = Field(None, gt=0)
    """Nearest-neighbour spacings around the defect that are rattled; all atoms if there is none."""
    strain: float = Field(Rattle.strain, ge=0)
    virial_strains: tuple[float, ...] = Strains.amplitudes
    virial_pairs: bool = Strains.pairs
    shift: float = Field(Strains.shift, ge=0)
    """A; sublattice displacements of strained primitive cells."""
    core_atoms: int = Field(0, ge=0, le=COPIES)
    force_distance_power: float = 0.0
    force_constant_range_power: float = 0.0
    seed: int = Field(0, ge=0)


class FitSettings(Strict):
    """How a model is fitted; the defaults are those of `dg.fit`."""

    weights: dict[str, float] = {}
    """By kind ("E") or kind and group ("E:bulk"); what is not named has its default, `defectgen.fit.DEFAULT_WEIGHTS`."""
    solver: str = "qr"
    prior: str | float | None = None

    @model_validator(mode="after")
    def _can_be_used(self):
        as_solver(self.solver, {})
        as_prior(self.prior)
        check_weights(self.weights)
        return self


class CellSize(Strict):
    """Error against training-cell size."""

    sizes: tuple[int, ...] = Field(min_length=1)
    """Conventional cells along each side of the training cell."""


class FitAccuracy(Strict):
    """Error against the accuracy of the fit: basis sizes at one training cell."""

    size: int = Field(ge=1)
    degrees: tuple[float, ...] = Field(min_length=1)


class Variant(Strict):
    """What one variant does otherwise: keys of [training], [fit] and of the basis, with their other values."""

    training: dict[str, Any] = {}
    fit: dict[str, Any] = {}
    basis: dict[str, Any] = {}


class Choices(Strict):
    """What each choice of a design is worth: the study as it is, and variants that change one choice each."""

    sizes: tuple[int, ...] = Field(min_length=1)
    """Conventional cells along each side of the training cell."""
    variants: dict[str, Variant] = Field(min_length=1)
    varied_at: tuple[int, ...] | None = None
    """Those of the sizes at which the variants are carried out; all of them if not given."""

    @model_validator(mode="after")
    def _varies_what_is_there(self):
        if self.varied_at is not None and (not self.varied_at or set(self.varied_at) - set(self.sizes)):
            raise ValueError(f"varied_at wants some of the sizes {list(self.sizes)} of the design; got {list(self.varied_at)}")
        return self


class LossStudy(Strict):
    """What each loss is worth on the same labels: weights, powers, strains, robust losses, priors, solvers, constraints."""

    size: int = Field(ge=1)
    """Conventional cells along each side of the training cell."""
    grids: tuple[dict[str, Any], ...] = Field(min_length=1)
    """Settings of a loss (see `defectgen.fit.Loss`), each one value or a list of values: every combination is a loss. What a grid
    does not mention is as in [fit]; its observations are those of the study."""
    sensitivity: bool = True
    """Whether the answer of every error to every weight is measured too."""

    @model_validator(mode="after")
    def _can_be_used(self):
        if empty := [number for number, grid in enumerate(self.grids) if not grid]:
            raise ValueError(
                f"grid {empty[0] + 1} is empty, and a grid varies a setting; give it e.g. weights = {{ E = [30, 1000] }}"
            )
        for grid in self.grids:
            losses(**{key: value for key, value in grid.items() if key != "prior"})
        return self


class Beyond(Strict):
    """Which controlled surrogates stand for the fit beyond which radii (theory: bounds/surrogates)."""

    radii: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    """Nearest-neighbour spacings."""
    perturbations: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    """Seeds; the rate is that of the geometric mean of the errors of all perturbations and strengths."""
    strengths: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field((0.2,), min_length=1)
    """Largest relative change of the energy of a wave by the perturbation."""
    reach: float = Field(1.6, gt=1)
    """Cutoff of the perturbation, nearest-neighbour spacings."""


class Surrogates(Beyond):
    """Error of a point defect, or of the barrier of a hop, against the radius around it."""

    shifts: bool = True
    """Whether virials come with the forces on the sublattices."""


class Dislocations(Beyond):
    """Error of a straight dislocation against the radius around its line (theory: bounds/dislocations).

    The defects of the cases are "edge" or "screw", their simulation_size the radius of the free cylinder in nearest-neighbour
    spacings.
    """


class Boundary(Strict):
    """Error against the radius of the simulation cell, for several boundary conditions (theory: setting/boundary-conditions)."""

    fractions: tuple[Annotated[float, Field(gt=0, le=0.75)], ...] = Field(min_length=1)
    """Radii, in units of the radius of the cell of `simulation_size`, which is that of the truth's ball."""
    conditions: tuple[Literal["periodic", "corrected", "clamped", "dipole", "quadrupole"], ...] = Field(
        ("periodic", "corrected", "clamped", "dipole", "quadrupole"), min_length=1
    )
    """`corrected` is the energy of the periodic cell without its images."""


class Bounds(Strict):
    """For which fits every term of the bound is measured (theory: bounds/term-by-term)."""

    cell_size: bool = True
    choices: bool = True
    fit_accuracy: bool = False
    """Each degree wants compilations of its own, about as long as its fits take."""


class Certificates(Strict):
    """For which fits the certificate is taken and compared with the true error (theory: fit/certificate)."""

    cell_size: bool = True
    choices: bool = True
    fit_accuracy: bool = True
    richer: float = Field(2.0, gt=0, le=100)
    """Degrees that the basis of the richer fit has more; rows are made for it."""


class DesignData(Strict):
    """Training data chosen from a pool within a budget, before they are labelled (theory: fit/design)."""

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field((2, 3), min_length=1)
    """Of the defect cells, conventional cells along each side."""
    crystal_sizes: tuple[Annotated[int, Field(ge=1)], ...] = (2,)
    """The same of rattled cells of the perfect crystal."""
    layers: int = Field(3, ge=0, le=COPIES)
    """Conventional cells in the depth of a slab, one across; 0 for no surfaces."""
    copies: int = Field(6, ge=1, le=COPIES)
    """Rattled cells of every kind and size."""
    rattle: float = Field(0.03, gt=0)
    """A."""
    strain: float = Field(0.01, ge=0)
    """Standard deviation of the strain of the boxes that are strained."""
    virial_strains: tuple[float, ...] = Field((0.01, 0.03), min_length=2)
    """Of primitive cells; the first is known from the start."""
    shift: float = Field(0.01, ge=0)
    """A; sublattice displacements of strained primitive cells."""
    budgets: tuple[Annotated[float, Field(gt=0)], ...] = Field((1.0,), min_length=1)
    """In calculations of the largest defect cell, beyond the start."""
    criteria: tuple[Literal["G", "A", "D", "M"], ...] = ("G", "A", "D", "M")
    """Optimal for the defect (G), for all coefficients (A, D), for the defect with the misfit of the basis (M)."""
    seeds: int = Field(5, ge=1, le=COPIES)
    """Random choices of the same cost to compare with."""
    exponent: float = Field(3.0, ge=0)
    """Of the number of atoms, in the cost of a calculation."""
    smallest: float = Field(8.0, ge=0)
    """Atoms: a smaller cell costs as much, because it wants more k-points."""
    prior: str = "smoothness(1e-6)"
    """Of all fits to chosen data, unless [fit] has one: small sets do not determine every function."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _can_be_used(self):
        as_prior(self.prior)
        return self


class Design(Strict):
    """Losses and data designed for some defects, and tried on all of them (theory: fit/design)."""

    size: int = Field(ge=1)
    """Conventional cells along each side of the training cell."""
    losses: dict[str, dict[str, float]] = {}
    """Other losses to compare with, name -> weights; "default" and "uniform" are always there."""
    share: float = Field(0.5, ge=0, le=1)
    """Of the energy in the mean of logarithms that is minimised."""
    richer: float = Field(2.0, gt=0, le=100)
    """Degrees that the basis of the richer fit has more."""
    data: DesignData | None = None
    """Which configurations are chosen from which pool; none if it is not given."""


Count = Annotated[int, Field(ge=1, le=10_000_000)]
Part = Annotated[float, Field(ge=0, lt=1)]


class DiversityBasis(Strict):
    """The basis of a study of diversity; its species are those of the data set."""

    cutoff: float = Field(4.0, gt=0, le=REACH)
    """A."""
    order: int = Field(2, ge=1, le=4)
    degree: float = Field(5, gt=0)
    w_l: float = Field(0.5, gt=0)
    pair_degree: int | None = Field(10, ge=0)
    envelope: int = Field(4, ge=2, le=100)


class FixedSet(Strict):
    """So many structures, and growing numbers of configurations of each."""

    structures: tuple[Count, ...] = ()
    conformations: tuple[Count, ...] = (1, 2, 4, 8, 16)


class Diversity(Strict):
    """How a budget of labels is best split into structures and configurations of each (theory: diversity/experiments)."""

    source: str = "molecules"
    """Where the data set comes from: molecules, or another source of study/diversity/source.py."""
    settings: dict[str, Any] = {}
    """Of the source."""
    basis: DiversityBasis = Field(default_factory=DiversityBasis)  # pyright: ignore[reportArgumentType]  all have defaults
    budgets: tuple[Annotated[int, Field(ge=4, le=10_000_000)], ...] = ()
    """Labels; each is split into S structures x C configurations in all ways of a geometric grid."""
    ratio: float = Field(2.0, gt=1.01)
    """Of neighbouring splits."""
    fixed_set: FixedSet = Field(default_factory=FixedSet)  # pyright: ignore[reportArgumentType]  all have defaults
    seeds: int = Field(5, ge=1, le=COPIES)
    """Repetitions: each divides and draws anew."""
    selections: tuple[Literal["random", "farthest", "d-optimal"], ...] = Field(("random",), min_length=1)
    """How training structures are chosen; ways other than random at the largest budget only."""
    reserve: int = Field(4, ge=1, le=COPIES)
    """Configurations of every pool structure that are kept for tests, and of test structures that are used."""
    structural: Part = 0.12
    scaffold: Part = 0.1
    size: Part = 0.1
    """Parts of all structures that are held out: at random, by whole scaffolds, the largest."""
    baseline: bool = True
    """Whether a kernel ridge regression of the energies is fitted too."""
    domain: bool = True
    """Whether the domain of applicability is measured, at the largest budget."""

    @model_validator(mode="after")
    def _asks_something(self):
        if not self.budgets and not self.fixed_set.structures:
            raise ValueError("a study of diversity wants budgets, or fixed_set.structures")
        if self.structural + self.scaffold + self.size >= 1:
            raise ValueError("the parts structural, scaffold and size leave nothing to train on; lower them")
        return self


class RunSpec(Strict):
    """Everything a run depends on."""

    name: str
    """Also names the output directory."""
    title: str = ""
    observations: tuple[str, ...] = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
    cases: tuple[Case, ...] = ()
    """Defects in crystals; a study of diversity has none."""
    training: Training = Field(default_factory=Training)  # pyright: ignore[reportArgumentType]  all its fields have defaults
    fit: FitSettings = Field(default_factory=FitSettings)
    cell_size: CellSize | None = None
    fit_accuracy: FitAccuracy | None = None
    surrogates: Surrogates | None = None
    choices: Choices | None = None
    loss: LossStudy | None = None
    boundary: Boundary | None = None
    dislocations: Dislocations | None = None
    barriers: Surrogates | None = None
    """Error of the barrier of a hop into a vacancy (theory: bounds/barriers)."""
    certificates: Certificates | None = None
    design: Design | None = None
    diversity: Diversity | None = None
    diversity_sets: tuple[Diversity, ...] = ()
    """Several data sets in one study, each with a table of its own."""
    bounds: Bounds = Field(default_factory=Bounds)  # pyright: ignore[reportArgumentType]  all its fields have defaults

    def varied(self, change: Variant) -> "RunSpec":
        """The same study with the keys of a variant changed. Raises InputError for a key or value that makes no sense."""
        content = self.model_dump(mode="json")
        for table in ("training", "fit"):
            content[table] |= getattr(change, table)
        for case in content["cases"]:
            if case["basis"] is not None:
                case["basis"] |= change.basis
        try:
            return RunSpec(**content)
        except ValidationError as error:
            raise InputError(f"choices.variants: {sentence(error)}") from None

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

    @model_validator(mode="after")
    def _asks_something(self):
        fits = any(asked is not None for asked in (self.cell_size, self.fit_accuracy, self.choices, self.design, self.loss))
        others = (self.surrogates, self.boundary, self.dislocations, self.barriers)
        about_defects = fits or any(asked is not None for asked in others)
        diverse = self.diversity is not None or bool(self.diversity_sets)
        if not diverse and not self.cases:
            raise ValueError("a study wants at least one defect in a crystal, [[cases]], or a table [diversity]")
        if diverse and (self.cases or about_defects):
            raise ValueError("a study of [diversity] chooses among structures of its own; give [[cases]] a study of their own")
        if not diverse and not about_defects:
            raise ValueError(
                "a study wants a table [cell_size] (sizes), [fit_accuracy] (size, degrees), [choices] (sizes, variants), "
                "[design] (size), [loss] (size, grids), [surrogates] (radii), [boundary] (fractions), [dislocations] (radii), "
                "[barriers] (radii) or [diversity] (budgets)"
            )
        if self.dislocations is not None and (fits or sum(asked is not None for asked in others) > 1):
            raise ValueError("a dislocation lies in a cylinder, other defects in a box; give [dislocations] a study of its own")
        if fits and (bare := [case for case in self.cases if case.basis is None]):
            raise ValueError(
                f"the case {bare[0].material.name} {bare[0].defect} wants a basis to fit; give basis = {{ cutoff = 5.5 }}, or "
                "basis = {}, which follows the reference"
            )
        names = [f"{case.material.name} {case.defect}" for case in self.cases]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"the case {twice[0]} is there twice, and its results could not be told apart; give each a study of its own"
            )
        lowest = min(self.fit_accuracy.degrees) if self.fit_accuracy is not None else math.inf
        if lowest < (order := max((case.basis.order for case in self.cases if case.basis is not None), default=0)):
            raise ValueError(f"fit_accuracy.degrees has {lowest:g}, which holds no function of order {order}; give at least that")
        return self


def embedded() -> dict[str, str]:
    """Studies that come with the package: name -> title."""
    found = {}
    for entry in sorted(files("defectgen.study").joinpath("embedded").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            found[entry.name.removesuffix(".toml")] = tomllib.loads(entry.read_text(encoding="utf-8"))["title"]
    return found


def template(name: str) -> str:
    """The text of an embedded study, to start an own one from. Raises InputError for an unknown name."""
    if name not in embedded():
        known = embedded()
        raise InputError(f"study {name!r} is not known; embedded studies are {', '.join(known)}{did_you_mean(name, known)}")
    return files("defectgen.study").joinpath("embedded", f"{name}.toml").read_text(encoding="utf-8")


def load(name_or_path: str | Path) -> RunSpec:
    """A study by name, or from a TOML file (materials and files named in it are relative to its folder).

    Raises InputError for an unknown study, a file that is no TOML, and keys or values that make no sense.
    """
    text = str(name_or_path)
    if text in embedded():
        return parse(template(text), Path.cwd())
    with reading(text, "a study", "see defectgen init for a template"):
        path = expanded(text)
        if not text.strip() or not path.exists():
            known = embedded()
            raise InputError(
                f"no study called {text!r}: give a TOML file, or one of {', '.join(known)}{did_you_mean(text, known)}"
            )
        if path.is_dir():
            raise InputError(
                f"{path} is a directory, and a study is a TOML file; give {path / 'spec.toml'} for the study of a run"
            )
        if path.stat().st_size > LONGEST:
            raise InputError(
                f"the study file {text!r} has {path.stat().st_size:.2g} bytes, more than any study; give a TOML file"
            )
        try:
            return parse(path.read_text(encoding="utf-8-sig"), path.parent)
        except UnicodeDecodeError as error:
            raise InputError(
                f"the study file {path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
            ) from None


def parse(text: str, folder: Path) -> RunSpec:
    """A study from TOML text. Raises InputError, naming the key that is wrong."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the study is not valid TOML: {error}") from None
    except RecursionError:
        raise InputError("the study is nested too deeply; see defectgen init for a template") from None
    content.pop("versions", None)  # written back by a run, for people to read
    own = content.pop("materials", {})
    cases = content.get("cases", [])
    if not isinstance(own, dict) or not isinstance(cases, list):
        raise InputError("a study file has tables [materials.NAME] and a list of [[cases]]; see defectgen init")
    _check_depth(content)
    for name, count in (("cases", cases), *((f"[{k}]", v) for k, v in content.items() if isinstance(v, list))):
        if len(count) > COPIES:
            raise InputError(f"{name} of a study has {len(count)} entries; at most {COPIES} are taken")
    try:
        for number, case in enumerate(cases):
            if not isinstance(case, dict):
                raise InputError(
                    f"case {number + 1} of a study is a table [[cases]] with material and defect; got {_short(case)}"
                )
            named = case.get("material")
            if isinstance(named, str) and named in own:
                named = _own(named, own[named])
            if named is not None:
                if not isinstance(named, str | dict | Material):
                    raise InputError(f"the material of case {number + 1} is a name or a table; got {_short(named)}")
                case["material"] = material(named, folder)
        return RunSpec(**content)
    except ValidationError as error:
        raise InputError(sentence(error)) from None
    except TypeError as error:
        raise InputError(f"a study file wants name, [[cases]] and [cell_size] or [fit_accuracy]: {error}") from None


def _check_depth(value: Any, depth: int = 0) -> None:
    """Raises InputError for tables and lists within each other that no study has."""
    if depth > DEEPEST:
        raise InputError(f"the study is nested more than {DEEPEST} levels deep; see defectgen init for a template")
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            _check_depth(below, depth + 1)


def _own(name: str, table: Any) -> Material:
    """The material of a table [materials.NAME]. Raises InputError, naming the key that is wrong."""
    if not isinstance(table, dict):
        raise InputError(f"materials.{name} is a table; got {_short(table)}")
    try:
        return Material(**{"name": name, **table})
    except ValidationError as error:
        raise InputError(f"materials.{name}.{sentence(error)}") from None


def dump(spec: RunSpec) -> str:
    """The resolved specification as TOML; `load` of it gives the same specification."""
    return tomli_w.dumps(without_none(spec.model_dump(mode="json")))


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
        meant = closest(first["loc"][-1], absent) or closest(first["loc"][-1], _keys(first["loc"][:-1]))
        text = f": there is no such key{f', perhaps {meant} is meant' if meant else ''}"
    elif first["type"] == "missing":
        text = " is missing"
    elif first["type"] == "value_error":  # a sentence of ours, which says what came
        return f"{place}: {first['msg'].removeprefix('Value error, ')}"
    else:
        text = f": {first['msg']} (got {_short(first.get('input'))})"
    return f"{place}{text}{hint}"


def _keys(place: tuple) -> list[str]:
    """The keys of the table of a study at this place."""
    model: Any = RunSpec
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


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
