"""Steps of the source of crystals: phases at rest, configurations of each, the pool, and defects relaxed with the reference."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ...._input import InputError
from ....campaign import Record
from ....crystal import defect_from_name
from ....crystal.lattice import Lattice
from ....crystal.polymorphs import phase
from ....dataset import Dataset
from ....energy.functional import Potential
from ....reference import check_stable, equilibrate
from ....relax import relax
from ....training.crystal_conformations import configurations
from ...materials import MATERIALS, build_lattice, build_reference
from ...steps import box, stored
from ..source import Pool, pack, unpack
from .settings import Settings, parsed

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
