"""The settings of a data set of crystals in a study file, checked: phases, defects, cells, laws and tests."""

from __future__ import annotations

from functools import lru_cache

from pydantic import Field, field_validator, model_validator

from ....crystal import defect_from_name
from ....crystal.lattices import phase
from ....training.crystals import NONE, SURFACE, CrystalStructure, Law, crystal_structures
from ...materials import MATERIALS, Material, build_lattice
from ...settings import Size, Strict

Structures = tuple[dict[str, CrystalStructure], dict[str, str]]
"""Those that can be made by name, and why others cannot."""
Widths = tuple[float, float, float]
"""A, least distances between opposite faces of a cell."""


class Apart(Strict):
    """Structures that only test: those of these phases, defects, cells and dilations."""

    phases: tuple[str, ...] = Field(min_length=1)
    defects: tuple[str, ...] = (NONE,)
    cells: tuple[Widths, ...] = Field(min_length=1)
    dilations: tuple[float, ...] = (0.0,)


class Settings(Strict):
    """`[settings]` of a data set with source = "crystals"."""

    material: str
    """A known material of one element: it has the reference potential."""
    phases: tuple[str, ...] = Field(min_length=1)
    """Trained on; the first is the one that defects are relaxed in."""
    defects: tuple[str, ...] = (NONE, "vacancy", SURFACE)
    cells: tuple[Widths, ...] = Field(min_length=1)
    dilations: tuple[float, ...] = (-0.02, 0.02)
    """Changes of all lengths from each phase's own volume at zero pressure."""
    apart: dict[str, Apart] = Field(default_factory=dict)
    """Further test sets by name."""
    temperature: float = Field(gt=0)
    """K, of the law that is trained on."""
    strain: float = Field(0.01, ge=0)
    """Standard deviation of the strain of the box, in every law."""
    conformations: int = Field(34, ge=2)
    """Of every structure, those for tests included."""
    hot: float = Field(gt=0)
    """K, of a wider law."""
    wide_strain: float = Field(0.04, ge=0)
    """Of a wider law at the trained temperature."""
    rattle: float = Field(0.1, ge=0)
    """A, of independent displacements: the other generator."""
    every: int = Field(2, ge=1)
    """Of the pool's structures, sorted by name, every so many is in the tests of the wider laws."""
    relaxed: tuple[str, ...] = ()
    """Defects that every model relaxes in a large cell of the first phase."""
    simulation_size: Size = 4
    relaxed_from: int = Field(1, ge=1)
    """Labels: only models of at least so many relax defects."""
    seed: int = Field(0, ge=0)

    @field_validator("material")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in MATERIALS or len(set(MATERIALS[value].species)) != 1:
            single = [name for name, m in MATERIALS.items() if len(set(m.species)) == 1]
            raise ValueError(f"a data set of crystals is of a known element ({', '.join(single)}); got {value!r}")
        return value

    @model_validator(mode="after")
    def _can_be_made(self):
        twice = [name for name, a in self.apart.items() if set(self.names()) & set(self.names(a))]
        if twice:
            raise ValueError(f"the structures of apart.{twice[0]} are trained on as well; choose others")
        for name in self.relaxed:
            defect_from_name(name)
        return self

    @property
    def described(self) -> Material:
        """The material."""
        return MATERIALS[self.material]

    @property
    def law(self) -> Law:
        """The law that is trained on."""
        return Law(temperature=self.temperature, strain=self.strain)

    @property
    def wider(self) -> tuple[Law, ...]:
        """The laws of tests only, on the structures that were trained on."""
        return (
            Law(temperature=self.hot, strain=self.strain),
            Law(temperature=self.temperature, strain=self.wide_strain),
            Law(rattle=self.rattle, strain=self.strain),
        )

    def structures(self, asked: Apart | None = None) -> Structures:
        """Structures by name, of the pool or of a test set, and those that cannot be made; cells are chosen before the phases
        are relaxed, from the volume of the material, so that they are known when a run is planned."""
        given = self if asked is None else asked
        return _structures(self.material, given.phases, given.defects, given.cells, given.dilations)

    def names(self, asked: Apart | None = None) -> tuple[str, ...]:
        """Structures that can be made."""
        return tuple(self.structures(asked)[0])

    @property
    def all_phases(self) -> tuple[str, ...]:
        """Those of the pool, then those of the tests."""
        return tuple(dict.fromkeys((*self.phases, *(p for a in self.apart.values() for p in a.phases))))


@lru_cache(maxsize=64)
def _structures(material: str, phases: tuple, defects: tuple, cells: tuple, dilations: tuple) -> Structures:
    """Made once in a process: every trial needs them, and making a hundred cells takes longer than a fit."""
    start = build_lattice(MATERIALS[material])
    volume, symbol = start.volume / start.sublattices, start.species[0]
    return crystal_structures({name: phase(name, symbol, volume) for name in phases}, defects, cells, dilations)
