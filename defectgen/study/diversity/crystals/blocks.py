"""What a fit of crystals is shown beside energies and forces: virials of its configurations, force constants of its phases.

Force constants are shown of the phases that a design has seen and that are stable at rest: of an unstable phase they exist (it is
stationary) but belong to no crystal that anybody would compute phonons of, and the package refuses them elsewhere too.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from ...._input import InputError
from ....ace import ACEBasis
from ....campaign import Record
from ....campaign.task import canonical
from ....observe import Response
from ....training import Blocks
from ....training.blocks import Block
from ....training.crystal_rows import force_constant_block, response_rows, virial_block, voigt
from ..selection import RANDOM
from ..source import Pool, basis_of, unpack
from ..split import division, structures_of
from .settings import parsed
from .steps import lattice_of, truth_of


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
