"""From configurations to blocks: each observation is applied to the reference (labels) and to the basis (rows)."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .._input import InputError, InputWarning, came, real, whole
from ..ace import ACEBasis, LinearACE, as_repulsion
from ..bridge import MeasuredForceConstants
from ..crystal.snapshot import BULK, DEFECT, STRAIN, Snapshot
from ..dataset import isolated_atoms
from ..energy.blackbox import BlackBox
from ..energy.bonds import check_species
from ..energy.crystal_state import crystal_force_constants, state_of
from ..energy.potential import Potential, check_potential, potential_name
from ..energy.site import SiteEnergy
from ..observe import (
    CoreForceConstants,
    ElasticConstants,
    Energy,
    EquilibriumStress,
    ForceConstants,
    Forces,
    FormationEnergy,
    InternalForces,
    Observation,
    Response,
    Virial,
    from_labels,
    is_basis,
    nearest_to_defect,
    pair_response,
    respond,
)
from ..reference import check_stable
from .about import About, stacked
from .baseline import parted
from .blocks import HELD, Block, Blocks, evenly
from .compress import Compressor, compressed
from .consistent import calculates, check_gradient, check_sizes
from .gram import condition
from .observations import ELASTIC, FORMATION, PERFECT, TARGETS, parse_observations
from .subdivide import BINS, ROWS, KeptRows, RowStack, as_subdivision, bins, describe, pieces


def label(
    cells: Sequence[Snapshot],
    truth: Potential | None,
    basis: ACEBasis,
    kinds: str | Iterable[str] = ("E", "F", "FC", "V"),
    *,
    force_distance_power: float = 0.0,
    force_constant_range_power: float = 0.0,
    core_atoms: int = 0,
    subdivide: bool | str = False,
    repulsion: Any = None,
    force_constants: MeasuredForceConstants | Iterable[MeasuredForceConstants] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Blocks:
    """Rows and labels of configurations, as compressed blocks; memory does not grow with their number.

    Parameters
    ----------
    cells : sequence of Snapshot
        From `dg.training_cells` or `dg.read_extxyz`. What is observed follows from the role of a cell; its group is a name for
        weights and tables only.
    truth : Potential or None
        The reference. None takes the labels that the configurations carry.
    basis : ACEBasis
        The functions whose coefficients are fitted.
    kinds : str or iterable of str
        E energies, F forces, FC force constants, V virials; also C (elastic constants, with relaxed sublattices) and Ef
        (formation energy of the relaxed cell). A fit holds C exactly where its set contains it, as in "E+F+C"; Ef is in no set.
    force_distance_power, force_constant_range_power : float
        Weights (1 + |l|)^power of forces and |rho|^power of force constants, l and rho in nearest-neighbour spacings.
    core_atoms : int
        Also observe the Hessian columns of that many atoms around the defect, in the first configuration of each defect cell.
    subdivide : bool, "bins" or "rows"
        Keep apart what a loss may weigh apart, so that it is chosen later (`dg.Loss`). True: configurations, shells around the
        defect (F), ranges (FC) and strains (V), for powers of the distance, strains and weights that are functions of these.
        "bins": no configurations, but forces by their length and element and energies in steps of 0.01 eV/atom as well; memory
        is bounded by the number of bins. "rows": every row, for any function and for losses of single residuals; m rows of p
        functions take 8 m (p + 1) bytes, 18 MB for 4500 rows of 500 functions.
    repulsion : None, "zbl", ZBL or TabulatedPairs
        Keep what a short-range repulsion says of every row next to the labels, so that `dg.fit(blocks, repulsion="zbl")` may be
        made on top of it. None: "zbl" for labels that configurations carry, nothing for those of a reference.
    force_constants : MeasuredForceConstants or several, optional
        FC rows from `dg.read_force_constants`, of any crystals, instead of those of the `truth`; also without a truth.
    progress : callable, optional
        Called with the number of cells done and of all cells.

    Returns
    -------
    Blocks
        One R factor of [A | y] for every kind and group.

    Raises
    ------
    InputError
        For labels that are missing, NaN, or not available from a calculator, for those of an ASE calculator that contradict each
        other (`dg.check_labels`: the energy per atom of the smallest perfect supercell, which is one more evaluation, and the
        work of the forces of rattled cells), for virials that only part of a group of training
        cells carries, for a perfect crystal that is not at equilibrium with `truth`, or (with FC) not stable, and for a basis
        that reaches no neighbour.

    Notes
    -----
    E and F are observed on every configuration except strained primitive cells (role `strain`), FC on the perfect crystal (role
    `bulk`), V on strained primitive cells (with their internal forces) and on every labelled configuration that carries a virial,
    V0 on the perfect crystal always (unless V is not among the kinds and the calculator has no stress).
    A configuration without a role (any that `dg.read_dataset` reads from another code) gives rows of the labels that it carries;
    training cells, which have a role, must carry all that is observed on them.
    `weight` and `atom_weights` of a configuration multiply its rows in the fit; errors in field units are without them.
    theory: fit/compression, crystal/linearity.
    """
    kinds, targets = _targets(kinds)
    cells = list(cells) if isinstance(cells, Iterable) else [cells]
    if any(not isinstance(c, Snapshot) for c in cells):
        raise InputError(
            "training cells are snapshots, from dg.training_cells or dg.read_extxyz; "
            f"got {', '.join(dict.fromkeys(type(c).__name__ for c in cells))}"
        )
    measured = _measured(force_constants, kinds)
    if not cells and not measured:
        raise InputError("there is nothing to label: the list of training cells is empty")
    if truth is None and cells and not any(c.labels for c in cells):
        raise InputError("without a reference every configuration must carry labels; give a reference or labelled structures")
    if not is_basis(basis):
        raise InputError(
            f"rows are made of the functions of a basis, such as dg.ACEBasis or model.basis; got {type(basis).__name__}"
        )
    if targets and truth is None:
        raise InputError(f"{' and '.join(targets)} need a reference; labels of configurations do not contain them")
    core_atoms = whole(core_atoms, "core_atoms counts the atoms around the defect whose Hessian is observed: it")
    force_distance_power = real(force_distance_power, "force_distance_power")
    force_constant_range_power = real(force_constant_range_power, "force_constant_range_power")
    subdivision = as_subdivision(subdivide)
    if subdivision and (force_distance_power or force_constant_range_power):
        raise InputError(
            "subdivided rows get distance and range weights late: give the powers to a loss, dg.Loss(force_distance_power=1)"
        )
    if truth is not None:
        check_potential(truth)
    _check_reach(cells, basis)
    pushed = as_repulsion("zbl" if repulsion is None and truth is None else repulsion, basis.species, basis.cutoff)
    gathered = _Gathered(basis.size, _name(truth), subdivision, pushed is not None)
    seen_core: set[tuple[str, int]] = set()
    stress = "V" in kinds or not isinstance(truth, BlackBox) or truth.has_stress
    if truth is None:
        _note_unlabelled(cells)
        if "V" in kinds:
            _check_virials(cells)
    if truth is not None and not isinstance(truth, LinearACE):  # a model is recovered by algebra, which needs no equilibrium
        for snapshot in cells:
            if snapshot.role == BULK:
                _check_at_rest(snapshot, respond(truth, snapshot, stress))
    compared: list[tuple[Snapshot, Response]] = []
    if truth is not None and calculates(truth) and "E" in kinds:
        check_sizes(cells, truth)
    offered = [_finite(snapshot, kinds, force_distance_power, truth is None, stress) for snapshot in cells]
    apart = _apart(cells, offered) if subdivision in ("", ROWS) else []
    for number, (snapshot, observations) in enumerate(zip(cells, offered, strict=True)):
        gathered.configuration, gathered.energy = number, None
        if observations:
            labels = from_labels(snapshot) if truth is None else respond(truth, snapshot, any(o.stress for o in observations))
            gathered.energy = None if labels.energy is None else float(labels.energy)
            if truth is not None and calculates(truth) and "E" in kinds and snapshot.role == DEFECT:
                compared.append((snapshot, labels))
            rows = respond(basis, snapshot)
            short = None if pushed is None else pair_response(pushed, snapshot)
            for observation in observations:
                read = observation.read(labels), observation.read(rows), None if short is None else observation.read(short)
                gathered.add(observation, *read)
                if number in apart:
                    gathered.hold(observation, *read)
        if "FC" in kinds and snapshot.role == BULK and truth is not None and not measured:
            _bulk_force_constants(gathered, snapshot, truth, basis, force_constant_range_power, pushed)
        if ELASTIC in targets and snapshot.role == BULK and truth is not None:
            constants = crystal_force_constants(snapshot.cell.lattice, truth)
            elastic = replace(ElasticConstants.of(snapshot.cell.lattice, constants), group=snapshot.group)
            gathered.add(elastic, elastic(truth), elastic(basis), None if pushed is None else elastic(pushed))
        if FORMATION in targets and truth is not None and (snapshot.role, snapshot.amplitude) == (DEFECT, 0.0):
            formation = FormationEnergy(snapshot)
            gathered.add(formation, formation(truth), formation(basis), None if pushed is None else formation(pushed))
        defect = snapshot.cell.defect, len(snapshot.cell)
        if "FC" in kinds and core_atoms and defect[0] and defect not in seen_core and truth is not None:
            seen_core.add(defect)
            core = CoreForceConstants(snapshot, nearest_to_defect(snapshot, core_atoms))
            gathered.add(core, core(truth), core(basis), None if pushed is None else core(pushed))
        if progress is not None:
            progress(number + 1, len(cells))
    gathered.energy = None
    if truth is not None and compared:
        check_gradient(compared, truth)
    for one in measured:
        _measured_force_constants(gathered, one, basis, force_constant_range_power, pushed)
    held = tuple(tuple(parts) for parts in gathered.held.values())
    notes: dict[str, Any] = {"force_distance_power": force_distance_power}
    if truth is None and (free := isolated_atoms(cells)):
        notes["isolated_atoms"] = free
    blocks = Blocks(basis, gathered.blocks(), _name(truth), notes, held, pushed)
    missing = [kind for kind in (*kinds, *targets) if kind not in blocks.kinds]
    if missing:
        raise InputError(
            f"no configuration gave rows for {', '.join(missing)}: FC needs a reference and a cell of role {BULK!r} (or "
            "force_constants=, from dg.read_force_constants), "
            f"V strained primitive cells (role {STRAIN!r}) or virial labels, C the perfect crystal, Ef a relaxed defect cell; "
            "dg.training_cells makes them all"
        )
    return blocks


LABEL_OF = {"E": "energy", "F": "forces", "V": "virial"}
"""The label that rows of a kind are read from."""


def _targets(kinds: str | Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The kinds of a set, and what is labelled in addition to be held exactly (C, Ef)."""
    if isinstance(kinds, bytes) or not isinstance(kinds, Iterable):
        raise InputError(f"kinds of observations are written like E+F+FC+V, or as a list; got {kinds!r}")
    named = [str(kind).strip() for kind in (kinds.split("+") if isinstance(kinds, str) else kinds)]
    kinds = parse_observations(k for k in named if k != FORMATION)
    if kinds == (ELASTIC,):
        raise InputError("elastic constants (C) are held together with other observations; label them together, as in E+F+C")
    targets = tuple(k for k in TARGETS if k in (*kinds, *named))
    return tuple(k for k in kinds if k not in TARGETS), targets


def _finite(snapshot: Snapshot, kinds: tuple[str, ...], distance_power: float, labelled: bool, stress: bool):
    """The energy, force and virial observations of one configuration; what is needed and not labelled fails when it is read."""
    has = set(snapshot.labels or {}) if labelled else {"energy", "forces", "virial"}
    if labelled and not snapshot.role:
        kinds = tuple(kind for kind in kinds if LABEL_OF.get(kind) in has)
    if snapshot.role == STRAIN and "virial" in has:
        parts: list = [Virial(snapshot)]
        if len(snapshot.cell) > 1:
            parts.append(InternalForces(snapshot))
        return parts if "V" in kinds else []
    found: list = []
    if "E" in kinds:
        found.append(Energy(snapshot))
    if "F" in kinds and (len(snapshot.cell) > 1 or snapshot.role != BULK):
        found.append(Forces(snapshot, distance_power))
    if snapshot.role == BULK and (stress if not labelled else "virial" in has):
        found.append(EquilibriumStress(snapshot))
    elif labelled and "V" in kinds and "virial" in has:
        found.append(Virial(snapshot))
    return found


def _apart(cells: Sequence[Snapshot], offered: Sequence[list]) -> list[int]:
    """Numbers of the configurations that `Fit.held_out` leaves out: some whose atoms are moved and whose forces are labelled."""
    moved = [
        number
        for number, (snapshot, observations) in enumerate(zip(cells, offered, strict=True))
        if "F" in (observed := {o.kind for o in observations}) and PERFECT not in observed and snapshot.amplitude != 0.0
    ]
    return [moved[k] for k in evenly(len(moved), HELD)]


def _check_reach(cells: Sequence[Snapshot], basis: ACEBasis) -> None:
    """Raise InputError if the basis reaches no neighbour in a perfect crystal: its rows would be zero."""
    for lattice in (c.cell.lattice for c in cells if c.role == BULK):
        if basis.cutoff <= lattice.nearest_neighbour:
            raise InputError(
                f"the cutoff of the basis, {basis.cutoff:g} A, reaches no neighbour in {lattice.name}, the nearest is "
                f"{lattice.nearest_neighbour:.2f} A away; use about {2 * lattice.nearest_neighbour:.1f} A"
            )


def _note_unlabelled(cells: Sequence[Snapshot]) -> None:
    """Warn (InputWarning) of configurations without a role that carry no label at all: they give no rows."""
    if bare := sum(not cell.labels for cell in cells if not cell.role):
        warnings.warn(
            f"{bare} of {len(cells)} configurations carry no label and give no rows; name the keys of their labels when the file "
            "is read, or leave them out",
            InputWarning,
            stacklevel=3,
        )


def _check_virials(cells: Sequence[Snapshot]) -> None:
    """Virials of training cells may be known for some groups only (often not for defect cells), but not for part of a group."""
    groups: dict[tuple[str, str], set[bool]] = {}
    for snapshot in (cell for cell in cells if cell.role):
        groups.setdefault((snapshot.group, snapshot.role), set()).add("virial" in (snapshot.labels or {}))
    for (group, role), carried in groups.items():
        if len(carried) > 1 or (role in (BULK, STRAIN) and carried == {False}):
            raise InputError(
                f"V is requested, and {'some' if len(carried) > 1 else 'all'} configurations of group {group!r} carry no virial: "
                "compute it, leave V out, or give those without it a group of their own"
            )


def _check_at_rest(snapshot: Snapshot, response: Response) -> None:
    """Raise InputError unless the perfect crystal is free of stress and internal forces, as far as its potential can tell."""
    atoms, energy = len(snapshot.cell), response.energy
    lattice = snapshot.cell.lattice
    state = state_of(lattice, 0.0 if energy is None else float(energy), response.forces, response.virial, atoms)
    if words := state.unrest(potential="reference"):
        raise InputError(f"{words}; call dg.equilibrate(lattice, truth) first and train on its result")


def _bulk_force_constants(
    gathered: "_Gathered", snapshot: Snapshot, truth: Potential, basis: ACEBasis, range_power: float, pushed
):
    lattice = snapshot.cell.lattice
    constants = crystal_force_constants(lattice, truth)
    if isinstance(truth, SiteEnergy) and not isinstance(truth, LinearACE):  # folded constants of a supercell are no proof
        check_stable(lattice, truth, constants=constants)
    reach = 2 * max(basis.cutoff, getattr(truth, "cutoff", basis.cutoff))
    if isinstance(truth, BlackBox):
        reach = min(reach, float(np.linalg.norm(constants.separations, axis=1).max()) + 1e-6)
    observation = ForceConstants(lattice, reach, range_power, constants.supercell, snapshot.group)
    gathered.add(observation, observation.read(constants), observation(basis), None if pushed is None else observation(pushed))


Rows = Compressor | RowStack
"""What rows of a block are added to."""


def _measured(given: Any, kinds: tuple[str, ...]) -> list[MeasuredForceConstants]:
    """Force constants from files. Raises InputError for anything else, and if FC is not among the kinds."""
    if given is None:
        return []
    found = [given] if isinstance(given, MeasuredForceConstants) else list(given) if isinstance(given, list | tuple) else [given]
    if wrong := [one for one in found if not isinstance(one, MeasuredForceConstants)]:
        raise InputError(f"force_constants are those that dg.read_force_constants gives; got {came(wrong[0])}")
    if "FC" not in kinds:
        raise InputError(f"force_constants give rows of kind FC, which is not among the kinds {'+'.join(kinds)}; add it")
    return found


def _measured_force_constants(gathered: "_Gathered", one: MeasuredForceConstants, basis: ACEBasis, range_power: float, pushed):
    """FC rows of force constants of a file, folded into its supercell, up to where the basis or the supercell ends."""
    check_species(basis, one.lattice.species)
    reach = min(2 * basis.cutoff, float(np.linalg.norm(one.constants.separations, axis=1).max()) + 1e-6)
    observation = ForceConstants(one.lattice, reach, range_power, one.constants.supercell)
    gathered.add(
        observation, observation.read(one.constants), observation(basis), None if pushed is None else observation(pushed)
    )


class _Gathered:
    """Compressors by key of their block, filled as rows arrive."""

    def __init__(self, columns: int, source: str, subdivide: str = "", baseline: bool = False):
        self.columns, self.source, self.subdivide, self.baseline = columns, source, subdivide, baseline
        self.width = columns + baseline
        """Columns of the compressors: with a baseline, which takes the place of the label, the label is one of them."""
        self.configuration = 0
        """Number of the configuration whose rows arrive."""
        self.energy: float | None = None
        """Its labelled energy, eV, if it has one."""
        self._about: dict[tuple, list[About]] = {}
        self.held: dict[int, list[Block]] = {}
        """Rows of single configurations, by number."""
        self._weighted: dict = {}
        self._plain: dict = {}
        self._scale: dict = {}
        self._rows: dict = {}

    def add(self, observation: Observation, labels: np.ndarray, rows: np.ndarray, baseline: np.ndarray | None = None) -> None:
        key = (observation.kind, observation.group, observation.atoms)
        name, weights = f"{observation.kind} of group {observation.group!r}", observation.row_weights
        if baseline is not None:
            rows, labels = np.column_stack([rows, labels]), baseline
        if self.subdivide:
            truth = rows[:, -1] if baseline is not None else labels
            about = describe(observation, truth, self.energy, self.configuration)
            kind = KeptRows if self.subdivide == ROWS else RowStack
            for part, distance, own in self._pieces(observation, about):
                whole = (*key, part, distance)
                self._take(whole, kind(self.width, name), rows[own], labels[own], None if weights is None else weights[own])
                self._count(whole, observation.scale, len(own))
                self._about.setdefault(whole, []).append(about.take(own))
            return
        self._take((*key, "", None), Compressor(self.width, name), rows, labels, weights)
        self._count((*key, "", None), observation.scale, len(labels))

    def _pieces(self, observation: Observation, about: About):
        """The parts that the rows of an observation are kept in."""
        if self.subdivide == BINS:
            return bins(observation, about)
        if self.subdivide == ROWS:
            strain = observation.snapshot.strain if isinstance(observation, Virial | InternalForces) else ""
            return [(strain, None, np.arange(len(about)))]
        return pieces(observation, len(about), self.configuration)

    def _take(self, key: tuple, empty: Rows, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> None:
        """Into the block of this key; its rows are kept without weights too from the first that has some."""
        weighted = self._weighted.setdefault(key, empty)
        if weights is not None and key not in self._plain:
            self._plain[key] = type(empty)(self.width, empty.name)
            before = weighted.factor()
            self._plain[key].add(before[:, :-1], before[:, -1])
        if key in self._plain:
            self._plain[key].add(rows, labels)
        weighted.add(*((rows, labels) if weights is None else (rows * weights[:, None], labels * weights)))

    def hold(self, observation: Observation, labels: np.ndarray, rows: np.ndarray, baseline: np.ndarray | None = None) -> None:
        """Keep these rows apart as well."""
        weights, stacked = observation.row_weights, np.column_stack([rows, labels] + ([] if baseline is None else [baseline]))
        kept = self.subdivide == ROWS

        def reduced(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
            return self._parted(rows if kept else compressed(rows), kept)

        factor, own = reduced(stacked if weights is None else stacked * weights[:, None])
        plain, of_plain = (None, None) if weights is None else reduced(stacked)
        truth = stacked[:, self.columns]
        block = Block(
            kind=observation.kind,
            group=observation.group,
            atoms=observation.atoms,
            scale=observation.scale,
            rows=len(labels),
            factor=factor,
            plain=plain,
            source=self.source,
            baseline=own,
            plain_baseline=of_plain,
            about=describe(observation, truth, self.energy, self.configuration) if kept else None,
            kept=kept,
        )
        self.held.setdefault(self.configuration, []).append(block)

    def _parted(self, factor: np.ndarray, kept: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """The factor of [A | y], and the baseline if there is one."""
        if not self.baseline:
            return factor, None
        if kept:
            return factor[:, :-1].copy(), factor[:, -1].copy() if np.any(factor[:, -1]) else None
        return parted(factor)

    def _count(self, key: tuple, scale: float, rows: int) -> None:
        self._scale[key] = scale
        self._rows[key] = self._rows.get(key, 0) + rows

    def blocks(self) -> tuple[Block, ...]:
        return tuple(self._block(key, compressor) for key, compressor in self._weighted.items())

    def _block(self, key: tuple, compressor: Rows) -> Block:
        kind, group, atoms, part, distance = key
        kept = isinstance(compressor, KeptRows)
        factor, baseline = self._parted(compressor.factor(), kept)
        plain, of_plain = self._parted(self._plain[key].factor(), kept) if key in self._plain else (None, None)
        about = stacked(self._about[key]) if key in self._about else None
        if about is not None and not kept:
            about = about.summary(self.subdivide)
            if self.subdivide == BINS and kind == "F" and not np.isnan(about.distance[0]):
                distance = float(np.round(about.distance[0], 6))
        reduction = compressor.reduction()
        if self.baseline and not self.subdivide:  # a condition is that of the rows, and labels are none
            reduction = replace(reduction, condition=condition(factor))
        return Block(
            kind=kind,
            group=group,
            atoms=atoms,
            scale=self._scale[key],
            rows=self._rows[key],
            factor=factor,
            plain=plain,
            source=self.source,
            reduction=reduction,
            part=part,
            distance=distance,
            baseline=baseline,
            plain_baseline=of_plain,
            about=about,
            kept=kept,
        )


def _name(truth: Potential | None) -> str:
    return "labels of the configurations" if truth is None else potential_name(truth)
