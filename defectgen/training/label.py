"""From configurations to blocks: each observation is applied to the reference (labels) and to the basis (rows)."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .._input import InputError
from ..ace import ACEBasis, LinearACE
from ..crystal.snapshot import Snapshot
from ..energy.blackbox import BlackBox
from ..energy.functional import Potential, check_potential, crystal_force_constants
from ..energy.site import SiteEnergy
from ..observe import (
    CoreForceConstants,
    Energy,
    EquilibriumStress,
    ForceConstants,
    Forces,
    InternalForces,
    Observation,
    Response,
    Virial,
    from_labels,
    is_basis,
    nearest_to_defect,
    respond,
)
from ..reference import check_stable
from .blocks import Block, Blocks
from .cells import BULK, STRAIN
from .compress import Compressor
from .observations import parse_observations

AT_REST = 0.01
"""eV per atom and eV/A: a crystal beyond it is not at equilibrium. It is a stress of 0.1 GPa on an atom of 16 A^3, and about the
force that relaxations with other codes leave; whoever forgets to equilibrate is usually far above."""


def label(
    cells: Sequence[Snapshot],
    truth: Potential | None,
    basis: ACEBasis,
    kinds: str | Iterable[str] = ("E", "F", "FC", "V"),
    *,
    force_distance_power: float = 0.0,
    force_constant_range_power: float = 0.0,
    core_atoms: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Blocks:
    """Blocks of rows and labels for the configurations; memory does not grow with their number.

    E and F are observed on every configuration except strained primitive cells, FC on the perfect crystal (group `bulk`), V
    on strained primitive cells (with their internal forces) and on every labelled configuration that carries a virial, V0 on
    the perfect crystal always (unless V is not asked and the calculator has no stress). `truth` None takes the labels that
    the configurations carry. `core_atoms` > 0 also observes the Hessian columns of that many atoms around the defect, in the
    first configuration of each defect cell.
    Raises InputError for labels that are missing, NaN, or asked of a calculator that does not have them, for virials that only
    part of a group carries, for a perfect crystal that is not at equilibrium with `truth`, or (with FC) not stable, and for a
    basis that reaches no neighbour in it.
    """
    kinds = parse_observations(kinds)
    cells = list(cells) if isinstance(cells, Iterable) else [cells]
    if any(not isinstance(c, Snapshot) for c in cells):
        raise InputError(
            "training cells are snapshots, from dg.training_cells or dg.read_extxyz; "
            f"got {', '.join(dict.fromkeys(type(c).__name__ for c in cells))}"
        )
    if not cells:
        raise InputError("there is nothing to label: the list of training cells is empty")
    if truth is None and not any(c.labels for c in cells):
        raise InputError("without a reference every configuration must carry labels; give a reference or labelled structures")
    if not is_basis(basis):
        raise InputError(
            f"rows are made of the functions of a basis, such as dg.ACEBasis or model.basis; got {type(basis).__name__}"
        )
    if core_atoms < 0:
        raise InputError(f"core_atoms counts the atoms around the defect whose Hessian is observed; got {core_atoms}")
    if truth is not None:
        check_potential(truth)
    _check_reach(cells, basis)
    gathered = _Gathered(basis.size, _name(truth))
    seen_core: set[tuple[str, int]] = set()
    stress = "V" in kinds or not isinstance(truth, BlackBox) or truth.has_stress
    if truth is None and "V" in kinds:
        _check_virials(cells)
    if truth is not None and not isinstance(truth, LinearACE):  # a model is recovered by algebra, which needs no equilibrium
        for snapshot in cells:
            if snapshot.group == BULK:
                _check_at_rest(snapshot, respond(truth, snapshot, stress))
    for number, snapshot in enumerate(cells):
        observations = _finite(snapshot, kinds, force_distance_power, truth is None, stress)
        if observations:
            labels = from_labels(snapshot) if truth is None else respond(truth, snapshot, any(o.stress for o in observations))
            rows = respond(basis, snapshot)
            for observation in observations:
                gathered.add(observation, observation.read(labels), observation.read(rows))
        if "FC" in kinds and snapshot.group == BULK and truth is not None:
            _bulk_force_constants(gathered, snapshot, truth, basis, force_constant_range_power)
        defect = snapshot.cell.defect, len(snapshot.cell)
        if "FC" in kinds and core_atoms and defect[0] and defect not in seen_core and truth is not None:
            seen_core.add(defect)
            core = CoreForceConstants(snapshot, nearest_to_defect(snapshot, core_atoms))
            gathered.add(core, core(truth), core(basis))
        if progress is not None:
            progress(number + 1, len(cells))
    blocks = Blocks(basis, gathered.blocks(), _name(truth), {"force_distance_power": force_distance_power})
    missing = [kind for kind in kinds if kind not in blocks.kinds]
    if missing:
        raise InputError(
            f"no configuration gave rows for {', '.join(missing)}: FC needs a reference and a cell of group {BULK!r}, "
            f"V strained primitive cells (group {STRAIN!r}) or virial labels; dg.training_cells makes both"
        )
    return blocks


def _finite(snapshot: Snapshot, kinds: tuple[str, ...], distance_power: float, labelled: bool, stress: bool):
    """The energy, force and virial observations of one configuration; what is asked and not labelled fails when it is read."""
    has = set(snapshot.labels or {}) if labelled else {"energy", "forces", "virial"}
    if snapshot.group == STRAIN and "virial" in has:
        parts: list = [Virial(snapshot)]
        if len(snapshot.cell) > 1:
            parts.append(InternalForces(snapshot))
        return parts if "V" in kinds else []
    found: list = []
    if "E" in kinds:
        found.append(Energy(snapshot))
    if "F" in kinds and (len(snapshot.cell) > 1 or snapshot.group != BULK):
        found.append(Forces(snapshot, distance_power))
    if snapshot.group == BULK and (stress if not labelled else "virial" in has):
        found.append(EquilibriumStress(snapshot))
    elif labelled and "V" in kinds and "virial" in has:
        found.append(Virial(snapshot))
    return found


def _check_reach(cells: Sequence[Snapshot], basis: ACEBasis) -> None:
    """Raise InputError if the basis sees no neighbour in a perfect crystal: its rows would be zero."""
    for lattice in (c.cell.lattice for c in cells if c.group == BULK):
        if basis.cutoff <= lattice.nearest_neighbour:
            raise InputError(
                f"the cutoff of the basis, {basis.cutoff:g} A, reaches no neighbour in {lattice.name}, the nearest is "
                f"{lattice.nearest_neighbour:.2f} A away; use about {2 * lattice.nearest_neighbour:.1f} A"
            )


def _check_virials(cells: Sequence[Snapshot]) -> None:
    """Virials may be known for some groups only (defect cells often lack them), but not for part of a group."""
    groups: dict[str, set[bool]] = {}
    for snapshot in cells:
        groups.setdefault(snapshot.group, set()).add("virial" in (snapshot.labels or {}))
    for group, carried in groups.items():
        if len(carried) > 1 or (group in (BULK, STRAIN) and carried == {False}):
            raise InputError(
                f"V is asked for, and {'some' if len(carried) > 1 else 'all'} configurations of group {group!r} carry no virial: "
                "compute it, leave V out, or give those without it a group of their own"
            )


def _check_at_rest(snapshot: Snapshot, response: Response) -> None:
    """Raise InputError unless the perfect crystal is free of stress and internal forces, as far as its potential can tell."""
    lattice = snapshot.cell.lattice
    d, forces, virial = lattice.dimension, response.forces, response.virial
    force = 0.0 if forces is None else float(np.abs(forces[:, :d]).max())
    stress = 0.0 if virial is None else float(np.abs(virial[:d, :d]).max()) / len(snapshot.cell)
    if max(force, stress) > AT_REST:
        raise InputError(
            f"the perfect crystal {lattice.name} is not at equilibrium with this reference: virial {stress:.2g} eV per atom, "
            f"internal forces {force:.2g} eV/A; call dg.equilibrate(lattice, truth) first and train on its result"
        )


def _bulk_force_constants(gathered: "_Gathered", snapshot: Snapshot, truth: Potential, basis: ACEBasis, range_power: float):
    lattice = snapshot.cell.lattice
    constants = crystal_force_constants(lattice, truth)
    if isinstance(truth, SiteEnergy) and not isinstance(truth, LinearACE):  # folded constants of a supercell are no proof
        check_stable(lattice, truth, constants=constants)
    reach = 2 * max(basis.cutoff, getattr(truth, "cutoff", basis.cutoff))
    if isinstance(truth, BlackBox):
        reach = min(reach, float(np.linalg.norm(constants.separations, axis=1).max()) + 1e-6)
    observation = ForceConstants(lattice, reach, range_power, constants.supercell)
    gathered.add(observation, observation.read(constants), observation(basis))


class _Gathered:
    """Compressors by (kind, group, atoms), filled as rows arrive."""

    def __init__(self, columns: int, source: str):
        self.columns, self.source = columns, source
        self._weighted: dict = {}
        self._plain: dict = {}
        self._scale: dict = {}
        self._rows: dict = {}

    def add(self, observation: Observation, labels: np.ndarray, rows: np.ndarray) -> None:
        key = (observation.kind, observation.group, observation.atoms)
        name = f"{observation.kind} of group {observation.group!r}"
        weights = observation.row_weights
        weighted = self._weighted.setdefault(key, Compressor(self.columns, name))
        if weights is None:
            weighted.add(rows, labels)
            if key in self._plain:
                self._plain[key].add(rows, labels)
        else:
            if key not in self._plain:  # rows that came before without weights count here too
                self._plain[key] = Compressor(self.columns, name)
                self._plain[key].add_factor(weighted.factor(), self._rows.get(key, 0))
            self._plain[key].add(rows, labels)
            weighted.add(rows * weights[:, None], labels * weights)
        self._scale[key] = observation.scale
        self._rows[key] = self._rows.get(key, 0) + len(labels)

    def blocks(self) -> tuple[Block, ...]:
        return tuple(
            Block(
                kind=kind,
                group=group,
                atoms=atoms,
                scale=self._scale[kind, group, atoms],
                rows=self._rows[kind, group, atoms],
                factor=compressor.factor(),
                plain=self._plain[kind, group, atoms].factor() if (kind, group, atoms) in self._plain else None,
                source=self.source,
                route=compressor.route(),
            )
            for (kind, group, atoms), compressor in self._weighted.items()
        )


def _name(truth: Potential | None) -> str:
    if truth is None:
        return "labels of the configurations"
    return str(getattr(truth, "name", "") or type(truth).__name__)
