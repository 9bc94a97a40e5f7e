"""Settings of a fit to a labelled data set: the file fit.toml."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from ..._input import InputError, reading
from ...fit import Loss, as_prior, as_solver, check_weights, weighting
from ...training import parse_observations, spell_observations
from ..settings import REACH, Strict, sentence, without_none

LONGEST = 10_000_000
"""Bytes of the longest file that is read."""

NONE = "none"

TEMPLATE = """\
# A fit to a labelled data set: defectgen fit {name}
# Every key is here with its default; a key that is left out has it too.

data = ["train.extxyz"]        # extended XYZ, OUTCAR, vasprun.xml, ASE's .db .json .traj, FitSNAP's .json or a folder of them;
                               # relative to this file
# observations = "E+F+V"       # kinds that are fitted; by default all that the data carry
prior = "auto"                 # smoothness prior whose strength held-out groups choose; or "none", "smoothness(1e-3)", a number
# weight = "relative_force(0.5) * by_column('trust')"  # functions of the rows that multiply their residuals; by_column reads a
                               # number of every frame or atom of the data
# residual = "huber(1.345)"    # what is summed over residuals: huber, l1, log_cosh, tukey or squared; a table [residual] by kind
# subdivide = "rows"           # what functions of rows are kept by: rows, bins or parts
solver = "qr"                  # qr, tsvd, ridge, lsmr or bayes
one_body = "fitted"            # fitted, isolated (atoms in the data), least-squares, or a table [one_body] with eV by element
repulsion = "zbl"              # short-range repulsion that the fit is made on top of; or "none"
# repulsion_inner = 1.2        # where its switch begins and ends, A; by default half the sum and the sum of the covalent radii
# repulsion_outer = 2.4

[units]                        # of extended XYZ files; eV and A unless stated
# energy = "eV"                # eV, meV, hartree, Ry, kcal/mol, kJ/mol
# length = "A"                 # A, bohr, nm
# stress = "GPa"               # GPa, kbar, bar, eV/A^3; "-kbar" has the sign of a pressure

[keys]                         # columns of the data; labels are looked for as REF_energy, dft_energy, energy and so on
# energy = "energy"
# forces = "forces"
# virial = "virial"
# stress = "stress"
# group = "config_type"        # group of a configuration
# weight = "weight"            # weight of a configuration; 1 unless named
# atom_weights = "weights"     # weights of the forces of atoms, one an atom; 1 unless named

[basis]
# cutoff = 5.5                 # A; by default 2.1 times the median distance of nearest neighbours in the data
order = 3                      # neighbours at once; one less than the body order
degree = 8.0                   # largest total degree, n + w_l l summed
w_l = 1.5                      # price of an angular momentum in degrees
# pair_degree = 8              # pair functions of each pair of elements; as the degree unless given
envelope = 4                   # power with which functions vanish at the cutoff

[split]
test = 0.2                     # share of the configurations that are tested and not fitted; 0 for none
by = "frame"                   # frame (within every group), structure, or group (whole groups)
# groups = ["liquid"]          # groups to be tested, instead of a share
seed = 0

[weights]                      # by kind, or kind and group as "E:liquid"; E and V also carry 1/sqrt(atoms)
E = 30.0
F = 1.0
V = 1.0
"""
"""The file that `defectgen init fit` writes."""


class FitBasis(Strict):
    """The ACE basis."""

    cutoff: float | None = Field(None, gt=0, le=REACH)
    """A; 2.1 times the median distance of nearest neighbours in the data if not given."""
    order: int = Field(3, ge=1, le=4)
    degree: float = Field(8.0, gt=0)
    w_l: float = Field(1.5, gt=0)
    pair_degree: int | None = Field(None, ge=0)
    envelope: int = Field(4, ge=2, le=100)


class SplitSettings(Strict):
    """What is tested."""

    test: float = Field(0.2, ge=0, lt=1)
    by: Literal["frame", "structure", "group"] = "frame"
    groups: tuple[str, ...] = ()
    seed: int = Field(0, ge=0)


class LabelledFit(Strict):
    """Everything that a fit to a data set depends on."""

    data: tuple[str, ...]
    observations: str | None = None
    """By default the kinds that the data carry."""
    prior: str | float = "auto"
    weight: str | None = None
    """Weight functions by name, as `dg.Loss` takes them."""
    residual: str | dict[str, str] | None = None
    """A residual loss, for all kinds or by kind."""
    subdivide: Literal["rows", "bins", "parts"] | None = None
    """How rows are kept apart; "rows" if not given and a weight or residual loss needs it."""
    solver: str = "qr"
    one_body: str | dict[str, float] = "fitted"
    repulsion: Literal["zbl", "none"] = "zbl"
    repulsion_inner: float | None = Field(None, gt=0, le=REACH)
    repulsion_outer: float | None = Field(None, gt=0, le=REACH)
    units: dict[str, str] = {}
    keys: dict[str, str] = {}
    basis: FitBasis = Field(default_factory=FitBasis)  # pyright: ignore[reportArgumentType]  all its fields have defaults
    split: SplitSettings = Field(default_factory=SplitSettings)  # pyright: ignore[reportArgumentType]
    weights: dict[str, float] = {"E": 30.0, "F": 1.0, "V": 1.0}

    @field_validator("observations")
    @classmethod
    def _spelled(cls, value):
        if value is None:
            return None
        if "FC" in parse_observations(value):
            raise ValueError(
                "a data set carries E, F and V; force constants are fitted in Python, dg.label(..., force_constants=)"
            )
        return spell_observations(value)

    @field_validator("data", mode="before")
    @classmethod
    def _listed(cls, value):
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_be_used(self):
        as_solver(self.solver, {})
        as_prior(self.chosen_prior)
        check_weights(self.weights)
        if Loss(weight=self.weight, residual=self.residual).residuals and self.subdivide not in (None, "rows"):
            raise ValueError(f"a residual loss needs every row, and subdivide is {self.subdivide!r}; leave it out")
        if not self.data:
            raise ValueError("data names the files of the data set, at least one; got none")
        if self.repulsion == NONE and (self.repulsion_inner is not None or self.repulsion_outer is not None):
            raise ValueError(
                "repulsion_inner and repulsion_outer are those of repulsion = 'zbl', and it is 'none'; leave them out"
            )
        if self.split.groups and self.split.by != "group":
            raise ValueError("split.groups names whole groups; give split.by = 'group' with it")
        return self

    @property
    def kept(self) -> str | bool:
        """How rows are kept, as `dg.label` takes it."""
        needed = self.weight is not None or bool(Loss(residual=self.residual).residuals)
        return self.subdivide or ("rows" if needed else False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the weight reads."""
        return () if self.weight is None else weighting(self.weight).columns

    @property
    def chosen_prior(self) -> str | float | None:
        """As `dg.fit` takes it."""
        return None if self.prior == NONE else self.prior


def load(path: Path) -> LabelledFit:
    """Settings from a file; data files that it names are made relative to its folder.

    Raises InputError for a file that is missing or no TOML, and for keys or values that make no sense.
    """
    with reading(path, "a fit file, in TOML", "see defectgen init fit"):
        if path.stat().st_size > LONGEST:
            raise InputError(f"the fit file {path} has {path.stat().st_size:.2g} bytes, more than any; give a TOML file")
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path} is not valid TOML: {error}") from None
    content.pop("versions", None)  # written back for people to read
    found = made(content, str(path))
    return found.model_copy(update={"data": tuple(str(path.parent / name) for name in found.data)})


def made(content: dict[str, Any], where: str) -> LabelledFit:
    """Settings of a table. Raises InputError, naming the key that is wrong."""
    try:
        return LabelledFit(**content)
    except ValidationError as error:
        raise InputError(f"{where}: {sentence(error, '; see defectgen init fit', LabelledFit)}") from None
    except TypeError as error:
        raise InputError(f"{where}: a fit file has keys such as data and [basis]: {error}") from None


def dump(settings: LabelledFit, versions: dict[str, str]) -> str:
    """The settings as TOML; `load` of it gives the same."""
    return tomli_w.dumps({**without_none(settings.model_dump(mode="json")), "versions": versions})
