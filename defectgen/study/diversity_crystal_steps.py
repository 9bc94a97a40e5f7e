"""Steps of a study of diversity in crystals: phases at rest, configurations of each, the pool; virials and force constants.

Force constants are shown of the phases that a design has seen and that are stable at rest: of an unstable phase they exist (it is
stationary) but belong to no crystal that anybody would compute phonons of, and the package refuses them elsewhere too.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from .._input import InputError
from ..ace import ACEBasis
from ..campaign import Record
from ..campaign.task import canonical
from ..crystal import defect_from_name
from ..crystal.lattice import Lattice
from ..crystal.polymorphs import phase
from ..dataset import Dataset
from ..energy.functional import Potential
from ..observe import Response
from ..reference import check_stable, equilibrate
from ..relax import relax
from ..training import Blocks
from ..training.blocks import Block
from ..training.crystal_conformations import configurations
from ..training.crystal_rows import force_constant_block, response_rows, virial_block, voigt
from .diversity_crystals import Settings, parsed
from .diversity_selection import RANDOM
from .diversity_source import Pool, basis_of, pack, unpack
from .diversity_split import division, structures_of
from .materials import MATERIALS, build_lattice, build_reference
from .steps import box, stored

STRAYED = 0.5
"""Nearest-neighbour spacings: an atom that is farther from its site has hopped, or its phase is falling apart."""


@lru_cache(maxsize=4)
def truth_of(name: str) -> Potential:
    """The reference of a material, one object a process."""
    return build_reference(MATERIALS[name])


def at_rest(spec: dict[str, Any]) -> Record:
    """One phase at zero pressure, and whether it is a minimum. spec: settings (material), phase."""
    name = spec["settings"]["material"]
    start, truth = build_lattice(MATERIALS[name]), truth_of(name)
    found = equilibrate(phase(spec["phase"], start.species[0], start.volume / start.sublattices), truth)
    try:
        lowest, why = float(check_stable(found, truth)), ""
    except InputError as error:
        lowest, why = None, str(error)
    return Record(
        {"stable": lowest is not None, "lowest_phonon": lowest, "why": why}, {"vectors": found.vectors, "motif": found.motif}
    )


def lattice_of(spec: dict[str, Any], name: str, rest: Record) -> Lattice:
    """A phase at rest, of the record of `at_rest`."""
    start = build_lattice(MATERIALS[spec["settings"]["material"]])
    return replace(phase(name, start.species[0], 1.0), vectors=rest.arrays["vectors"], motif=rest.arrays["motif"])


def drawn(spec: dict[str, Any], rest: Record) -> Record:
    """All configurations of the structures of one phase, trained on or tested. spec: settings, phase."""
    asked = parsed(spec["settings"])
    truth, lattice = truth_of(asked.material), lattice_of(spec, spec["phase"], rest)
    wanted: dict[str, list] = {}
    made, refused = asked.structures()
    skipped = dict(refused)
    sets = [(made, [(asked.law, asked.conformations), *((law, 1) for law in asked.wider)])]
    for apart in asked.apart.values():
        found, refused = asked.structures(apart)
        sets.append((found, [(asked.law, 2)]))
        skipped |= refused
    for structures, laws in sets:
        wanted |= {name: [one, laws] for name, one in structures.items() if one.phase == spec["phase"]}
    rows = []
    for name, (one, laws) in wanted.items():
        cell = one.cell(lattice)
        for law, count in laws:
            rows += configurations(name, cell, law, count, truth, asked.seed)
    own = {name: why for name, why in skipped.items() if name.startswith(f"{spec['phase']} ")}
    away = [float(c.source.split()[1]) for c in rows]  # "strayed 0.123 spacings"
    record = pack(_pool(asked, Dataset(tuple(rows), asked.described.reference), {name: (why,) for name, why in own.items()}))
    return Record(record.values, {**record.arrays, "virials": np.array([c.virial for c in rows]), "strayed": np.array(away)})


def pool(spec: dict[str, Any], *records: Record) -> Record:
    """The pool of all phases; beside what every pool has, the virials (eV) and how far atoms strayed. spec: settings."""
    asked = parsed(spec["settings"])
    parts = [unpack(record) for record in records]
    dataset = Dataset(tuple(c for part in parts for c in part.dataset.configurations), parts[0].dataset.truth)
    extra = {name: np.concatenate([record.arrays[name] for record in records]) for name in ("virials", "strayed")}
    skipped = {name: why for part in parts for name, why in part.skipped.items()}
    record = pack(_pool(asked, dataset, skipped))
    return Record({**record.values, "strayed": int((extra["strayed"] > STRAYED).sum())}, {**record.arrays, **extra})


def _pool(asked: Settings, dataset: Dataset, skipped: dict[str, tuple[str, ...]]) -> Pool:
    """The families of crystals are their phases; free atoms have no energy in an analytic reference."""
    present = set(dataset.structures)
    apart = {name: tuple(s for s in asked.names(one) if s in present) for name, one in asked.apart.items()}
    return Pool(
        dataset,
        families={name: name.split(" ", 1)[0] for name in dataset.structures},
        law=asked.law.name,
        offsets=dict.fromkeys(dataset.species, 0.0),
        apart=apart,
        skipped=skipped,
        sizes={c.structure: len(c) for c in dataset.configurations},
    )


def exact(spec: dict[str, Any], rest: Record) -> Record:
    """A defect relaxed with the reference in a large cell of the first phase. spec: settings, defect."""
    asked = parsed(spec["settings"])
    cell = defect_from_name(spec["defect"]).apply(box(lattice_of(spec, asked.phases[0], rest), asked.simulation_size))
    found = relax(cell, truth_of(asked.material))
    if not found.converged or found.is_saddle:
        raise InputError(
            f"{spec['defect']} in {asked.material} has no equilibrium with the reference ({found.message}); choose another defect"
        )
    return stored(found)


def blocks(spec: dict[str, Any], pool_record: Record, *records: Record) -> Blocks:
    """V of the configurations of a design and FC of its stable phases, those that are observed. spec: that of a trial."""
    kinds = spec["observations"].split("+")
    here = opened(spec, pool_record)
    chosen = chosen_of(spec, here.pool)
    items = [_virials(here, chosen)] if "V" in kinds else []
    if "FC" in kinds:
        stable = seen_phases(spec, here.pool, chosen, records)
        items += [_force_constants(spec, name, rest, here.basis) for name, rest in stable] or [_nothing(here.basis)]
    return Blocks(here.basis, tuple(items), here.pool.dataset.truth)


def chosen_of(spec: dict[str, Any], everything: Pool) -> np.ndarray:
    """Numbers of the configurations of a design. Raises InputError for structures that are not chosen at random."""
    if spec["selection"] != RANDOM:
        raise InputError("virials and force constants of crystals are observed where structures are chosen at random; use random")
    parts = division(everything, spec["split"], spec["seed"])
    return parts.design(spec["structures"], spec["conformations"])


def seen_phases(
    spec: dict[str, Any], everything: Pool, chosen: np.ndarray, records: tuple[Record, ...]
) -> list[tuple[str, Record]]:
    """The stable phases of the structures of a design, with their records at rest."""
    asked = parsed(spec["settings"])
    seen = {everything.families[name] for name in structures_of(everything, chosen)}
    return [(name, rest) for name, rest in zip(asked.phases, records, strict=False) if name in seen and rest.values["stable"]]


@dataclass(frozen=True, eq=False)
class Opened:
    """A pool, its virials, and the rows of the configurations that somebody asked for."""

    pool: Pool
    virials: np.ndarray
    basis: ACEBasis
    rows: dict[int, Response] = field(default_factory=dict)

    def response(self, number: int) -> Response:
        """Energy (eV), forces (eV/A) and virial (eV) rows of one configuration, computed when they are first asked for."""
        if number not in self.rows:
            self.rows[number] = response_rows(self.pool.dataset.configurations[number], self.basis)
        return self.rows[number]


_OPENED: dict[str, Opened] = {}
_CONSTANTS: dict[tuple[str, str, str], Block] = {}
"""What this process has computed: trials of one data set follow each other, and these rows cost more than a fit."""


def opened(spec: dict[str, Any], record: Record) -> Opened:
    """The pool of a record with the basis of a trial."""
    content = record.arrays["positions"].tobytes() + canonical(spec["basis"], "a basis").encode()
    key = sha256(content).hexdigest()
    if key not in _OPENED:
        found = unpack(record)
        _OPENED.clear()
        _OPENED[key] = Opened(found, record.arrays["virials"], basis_of(spec, found.dataset.species))
    return _OPENED[key]


def _virials(here: Opened, chosen: np.ndarray) -> Block:
    found = [here.response(n).virial for n in chosen.tolist()]
    rows = np.array([voigt(virial) for virial in found if virial is not None])  # a basis has them all
    return virial_block(rows, here.virials[chosen], here.pool.dataset.atoms[chosen], here.pool.law)


def _nothing(basis: ACEBasis) -> Block:
    """FC of a design that has seen no stable phase: a row that says 0 = 0, so that it is the same fit as without."""
    return Block("FC", "no stable phase", 0, 1.0, 1, np.zeros((1, basis.size + 1)))


def _force_constants(spec: dict[str, Any], name: str, rest: Record, basis: ACEBasis) -> Block:
    material = spec["settings"]["material"]
    key = material, name, str(basis.describe())
    if key not in _CONSTANTS:
        _CONSTANTS[key] = force_constant_block(lattice_of(spec, name, rest), truth_of(material), basis, name)
    return _CONSTANTS[key]
