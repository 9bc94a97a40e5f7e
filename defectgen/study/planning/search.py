"""The requirements of a plan, and the grid of plans that is searched."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import tomli_w
from pydantic import Field, ValidationError

from ..._input import InputError
from ...crystal import defect_from_name, supercell
from ...fit import DEFAULT_WEIGHTS
from ...training import Cost, Rattle, spell_observations
from ...training.observations import ELASTIC
from .. import check
from ..cell_size import CellSize
from ..certificates.settings import Certificates
from ..fit_accuracy import FitAccuracy
from ..materials import Material, build_lattice, material
from ..settings import Basis, Case, FitSettings, Strict, Training, sentence, with_potentials, without_none
from ..spec import RunSpec

LARGEST = 256
"""Atoms of the largest training cells of a grid whose sizes are not given."""

WEIGHTS = {kind: DEFAULT_WEIGHTS[kind] for kind in ("E", "V0")}
"""Of the fits: the default ones, spelled out in the file of a plan."""


class Search(Strict):
    """The target errors, and the grid of plans that is searched."""

    material: Material
    defect: str
    target_energy: float | None = Field(None, gt=0)
    """eV, error of the formation energy."""
    target_geometry: float | None = Field(None, gt=0)
    """A, l2 norm of the error of the strain."""
    by: Literal["measured", "certified"] = "measured"
    """Errors against the cheap reference in the simulation cell, or certificates, which do not need it there."""
    sizes: tuple[int, ...] = ()
    """Conventional cells along each side; those with up to LARGEST atoms if none are given."""
    configurations: tuple[int, ...] = (1, 3, 6)
    """Rattled copies besides the relaxed defect."""
    observations: tuple[str, ...] = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
    degrees: tuple[float, ...] = (6, 8, 10)
    order: int = 3
    cutoff: float | None = None
    """A; twice the nearest-neighbour distance if not given."""
    simulation_size: int | None = None
    """Of the cell in which errors are taken; two more than the largest training cell if not given."""
    rattle: float = Rattle.amplitude
    """A."""
    seed: int = 0
    step: float = Field(0.015, gt=0)
    """A; displacement behind the force constants."""
    cost: Cost = Cost()

    @property
    def name(self) -> str:
        """What the output directory is called."""
        return f"plan-{self.material.name}-{self.defect}"

    @property
    def targets(self) -> dict[str, float]:
        """The target of every quantity that has one."""
        given = {"energy": self.target_energy, "geometry": self.target_geometry}
        return {name: target for name, target in given.items() if target is not None}

    @property
    def training(self) -> Training:
        """How the cells of the pool are made."""
        given = {"configurations": max(self.configurations), "rattle": self.rattle, "seed": self.seed}
        return Training.model_validate(given)

    @cached_property
    def study(self) -> RunSpec:
        """The grid as a study; its tasks are those of every other study."""
        assert self.cutoff is not None and self.simulation_size is not None  # `completed` has seen to it
        basis = Basis.model_validate({"cutoff": self.cutoff, "order": self.order, "degree": max(self.degrees)})
        case = Case(material=self.material, defect=self.defect, simulation_size=self.simulation_size, basis=basis)
        tables = {
            "cell_size": CellSize(sizes=self.sizes),
            "fit_accuracy": FitAccuracy(size=max(self.sizes), degrees=self.degrees),
        }
        return RunSpec(
            name=self.name,
            observations=self.observations,
            cases=(case,),
            training=self.training,
            fit=FitSettings(weights=WEIGHTS),
            tables=tables | ({"certificates": Certificates.model_validate({})} if self.by == "certified" else {}),
        )

    def toml(self) -> str:
        """The search as a file."""
        return tomli_w.dumps({"name": self.name, "search": without_none(self.model_dump(mode="json"))})


def prepared(
    name: str | Material,
    defect: str,
    *,
    reference: str | None = None,
    chemical_potentials: Mapping[str, float] | None = None,
    **given,
) -> Search:
    """The search with what was not given filled in. Raises InputError for what cannot be searched."""
    if given.get("target_energy") is None and given.get("target_geometry") is None:
        raise InputError("a plan needs a target: the error of the formation energy in eV, of the geometry in A, or both")
    found = material(name, Path.cwd())
    if reference is not None:
        found = material(found.model_copy(update={"reference": reference, "digest": ""}), Path.cwd())
    found = with_potentials(found, defect, chemical_potentials)
    given = {key: value for key, value in given.items() if value is not None}
    if "observations" in given:
        given["observations"] = tuple(dict.fromkeys(spell_observations(o) for o in given["observations"]))
    if held := [o for o in given.get("observations", ()) if ELASTIC in o.split("+")]:
        raise InputError(
            f"a plan is made of labels that a code computes for structures, and elastic constants (C) are none; got {held[0]}: "
            "strained crystals with their virials, V, contain them"
        )
    try:
        search = Search(material=found, defect=defect, **given)
    except ValidationError as error:
        raise InputError(sentence(error, "the search")) from None
    for what, least in (("configurations", 0), ("observations", None), ("degrees", None), ("sizes", 1)):
        values = getattr(search, what)
        if (what != "sizes" and not values) or (least is not None and any(v < least for v in values)):
            wanted = f"numbers of at least {least}" if least is not None else "at least one"
            raise InputError(f"{what} of a grid of plans are {wanted}; got {list(values)}")
    search = _completed(search)
    try:
        check(search.study)
    except ValidationError as error:
        raise InputError(sentence(error, "the search")) from None
    return search


def _completed(search: Search) -> Search:
    """With sizes, cutoff and simulation size."""
    lattice = build_lattice(search.material)
    defect_from_name(search.defect)
    sizes = tuple(sorted(set(search.sizes)))
    if not sizes:
        atoms = lattice.sublattices * abs(round(np.linalg.det(lattice.conventional)))
        most = int((LARGEST / atoms) ** (1 / lattice.dimension) + 1e-9)
        sizes = tuple(range(2, max(most, 2) + 1))
    cutoff = round(2 * lattice.nearest_neighbour, 2) if search.cutoff is None else search.cutoff
    simulation = search.simulation_size
    if simulation is None:
        simulation = max(sizes) + 2
        while supercell(lattice, simulation).radius * lattice.nearest_neighbour < cutoff:
            simulation += 1
    if simulation <= max(sizes):
        raise InputError(
            f"errors are taken in a cell larger than those trained on; got simulation_size {simulation} and sizes up to "
            f"{max(sizes)}"
        )
    return search.model_copy(update={"sizes": sizes, "cutoff": cutoff, "simulation_size": simulation})
