"""Blocks: what was observed, one R factor per kind of observation, configuration group and cell size; weights come later."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import h5py
import numpy as np

from .._display import brief, shown
from .._input import InputError
from .._typing import Float
from ..ace import ACEBasis, LinearACE, Repulsion, repulsion_from_description, same_repulsion
from ..campaign.files import replaced
from .about import NUMBERS, About, stacked
from .baseline import extended, joined, parted, subtracted
from .compress import Reduction, residual_sum, triangle
from .observations import PARTS, parse_observations, parts_of

FORMAT = "defectgen blocks 1"

ROWS = "rows"
"""What the keys of blocks with every row kept have more."""

HELD = 3
"""Configurations whose rows are kept apart to be left out in turn; each takes the memory of one more block at most."""


def evenly(count: int, most: int) -> list[int]:
    """At most `most` numbers below `count`, evenly spread."""
    taken = min(count, most)
    return [int((k + 0.5) * count / taken) for k in range(taken)]


@dataclass(frozen=True, eq=False)
class Block:
    """All rows of one kind, group and cell size, in field units: E eV/atom, F and VF eV/A, FC eV/A^2, V and V0 eV/atom."""

    kind: str
    group: str
    atoms: int
    """Atoms per configuration; 0 if they vary, as in a data set of molecules."""
    scale: float
    """Natural factor of the rows in the loss, e.g. sqrt(atoms) for E: rows in eV/atom enter as dE / sqrt(atoms)."""
    rows: int
    factor: Float[np.ndarray, "k columns_plus_one"]
    """Upper-triangular R of [A | y]; may carry the distance or range weights of its rows."""
    plain: Float[np.ndarray, "j columns_plus_one"] | None = None
    """The same without distance or range weights: what errors in field units are computed from. None if there are none."""
    source: str = ""
    """Where the labels came from."""
    reduction: Reduction = field(default_factory=Reduction)
    """How `factor` was reduced from the rows, and their condition; zero rows if that was not recorded."""
    part: str = ""
    """What is kept apart within a group: a configuration by its number, or a strain ("strain 0.01 pair"); see `subdivide`."""
    distance: float | None = None
    """Nearest-neighbour spacings, if these rows have one: the shell around the defect of F, the range |rho| of FC."""
    baseline: Float[np.ndarray, " i"] | None = None
    """What may be subtracted from the labels, in the rows of `factor` (see `baseline`); None where that is zero."""
    plain_baseline: Float[np.ndarray, " h"] | None = None
    """The same in the rows of `plain`."""
    about: About | None = None
    """What a weight may be a function of: one entry for all rows, or one for each (`kept`). None: kind, group and atoms only."""
    kept: bool = False
    """Whether `factor` holds the rows as they are, in the order of `about`, and not their triangle."""

    __repr__ = brief

    def __post_init__(self):
        if self.kind not in PARTS:
            raise InputError(f"the rows of a block are of one of the kinds {', '.join(PARTS)}; got {self.kind!r}")
        if self.about is not None and len(self.about) != (len(self.factor) if self.kept else 1):
            raise InputError(f"the {len(self.factor)} rows of a block of {self.kind} have {len(self.about)} descriptions")

    @property
    def key(self) -> tuple:
        """What blocks are merged by: kind, group and atoms, and of subdivided rows part and distance."""
        whole = (self.kind, self.group, self.atoms, *((ROWS,) if self.kept else ()))
        return whole if not self.part and self.distance is None else (*whole, self.part, self.distance)

    def squared_error(self, theta: Float[np.ndarray, " columns"]) -> float:
        """Sum of the squared errors of a model on these rows, without any weight.

        Parameters
        ----------
        theta : array (columns,)
            Its coefficients.

        Returns
        -------
        float
            Square of the field unit of the kind.
        """
        return residual_sum(self.factor if self.plain is None else self.plain, theta)

    def restricted(self, columns: np.ndarray) -> "Block":
        """The block of a sub-basis: the chosen columns and the labels."""
        keep = np.append(columns, self.factor.shape[1] - 1)

        def chosen(factor: np.ndarray, baseline: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
            if self.kept:
                return factor[:, keep], baseline
            if baseline is None:
                return triangle(factor[:, keep]), None
            return parted(triangle(extended(factor, baseline)[:, np.append(keep, factor.shape[1])]))

        plain, of_plain = (None, None) if self.plain is None else chosen(self.plain, self.plain_baseline)
        factor, baseline = chosen(self.factor, self.baseline)
        return replace(self, factor=factor, baseline=baseline, plain=plain, plain_baseline=of_plain)

    def without_baseline(self) -> "Block":
        """The block of the labels less their baseline."""
        less = _less if self.kept else subtracted
        plain = None if self.plain is None else less(self.plain, self.plain_baseline)
        factor = less(self.factor, self.baseline)
        return replace(self, factor=factor, plain=plain, baseline=None, plain_baseline=None)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Everything observed for one basis by one reference."""

    basis: Any
    """The basis whose functions are the columns, or None if only coefficients are wanted."""
    items: tuple[Block, ...]
    truth: str = ""
    """Name of the reference that gave the labels."""
    notes: dict = field(default_factory=dict)
    held: tuple[tuple[Block, ...], ...] = ()
    """Energy and force rows of a few single configurations, which are in `items` too: what `Fit.held_out` leaves out."""
    repulsion: Repulsion | None = None
    """The short-range repulsion whose response is the baseline of the blocks; None if none was computed."""
    subtracted: bool = False
    """Whether the labels are those less the repulsion, which models of these blocks then carry."""

    def __post_init__(self):
        widths = {b.factor.shape[1] for b in self.items} | {b.plain.shape[1] for b in self.items if b.plain is not None}
        if self.basis is not None:
            widths.add(int(self.basis.size) + 1)
        if len(widths) > 1:
            raise InputError(
                f"all blocks must have one column per basis function and one for the label; got widths {sorted(widths)}: "
                "label every cell with the same basis"
            )
        object.__setattr__(self, "items", _merge(self.items))

    def __repr__(self) -> str:
        return shown(
            self,
            f"{self.columns:,} functions",
            f"labels of {self.truth}" if self.truth else "",
            *(f"{kind} {self.rows(kind):,} rows" for kind in self.kinds),
            f"groups {', '.join(self.groups)}" if len(self.groups) <= 8 else f"{len(self.groups)} groups",
        )

    @property
    def columns(self) -> int:
        """Number of basis functions."""
        return self.items[0].factor.shape[1] - 1 if self.items else int(self.basis.size) if self.basis is not None else 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that have rows, in the fixed order E F FC V, then the parts VF and V0."""
        present = {b.kind for b in self.items if b.rows}
        return tuple(kind for kind in PARTS if kind in present)

    @property
    def groups(self) -> tuple[str, ...]:
        """Configuration groups, in order of appearance."""
        return tuple(dict.fromkeys(b.group for b in self.items))

    def rows(self, kind: str | None = None) -> int:
        """Number of rows of one kind, or of all."""
        return sum(b.rows for b in self.items if kind in (None, b.kind))

    def select(self, kinds: str | Iterable[str]) -> "Blocks":
        """The blocks of some kinds, "E+F" or ["E", "F"]; V brings the internal forces (VF), every set the perfect crystal (V0).

        "E+F+C" takes the rows of the elastic constants along, which a fit holds exactly.

        Raises InputError for a kind that is unknown or has no rows.
        """
        wanted = parse_observations(kinds)
        for kind in wanted:
            if self.rows(kind) == 0:
                raise InputError(
                    f"observations {'+'.join(wanted)} need {kind} rows, and there are none (only {', '.join(self.kinds)}): "
                    f"label the cells with {kind} as well"
                )
        return replace(self, items=tuple(b for b in self.items if b.kind in parts_of(wanted)))

    def without_repulsion(self) -> "Blocks":
        """The blocks of the labels less their repulsion: fits to them are models on top of it.

        Raises InputError for blocks that were labelled without one.
        """
        if self.subtracted:
            return self
        if self.repulsion is None:
            raise InputError(
                "these blocks were labelled without a repulsion, so none can be subtracted; label with repulsion='zbl'"
            )
        held = tuple(tuple(b.without_baseline() for b in parts) for parts in self.held)
        return replace(self, items=tuple(b.without_baseline() for b in self.items), held=held, subtracted=True)

    def model(self, coefficients: Float[np.ndarray, " columns"], provenance: dict | None = None) -> LinearACE | None:
        """The potential with these coefficients, on top of what was subtracted; None for blocks without a basis."""
        if self.basis is None:
            return None
        return LinearACE(self.basis, coefficients, provenance, self.repulsion if self.subtracted else None)

    def restrict(self, columns: Sequence[int] | np.ndarray, basis: Any = None) -> "Blocks":
        """The blocks of a sub-basis made of some of the columns, without labelling again; `basis` is that sub-basis.

        Raises InputError for columns that do not exist, repeat, or do not match `basis`.
        """
        chosen = np.asarray(columns, dtype=int)
        if chosen.ndim != 1 or len(set(chosen.tolist())) != len(chosen) or not np.all((chosen >= 0) & (chosen < self.columns)):
            raise InputError(f"a sub-basis needs different column numbers from 0 to {self.columns - 1}; got {columns!r}")
        held = tuple(tuple(b.restricted(chosen) for b in parts) for parts in self.held)
        return replace(self, basis=basis, items=tuple(b.restricted(chosen) for b in self.items), held=held)

    def __add__(self, other: "Blocks") -> "Blocks":
        """All rows of both; blocks of equal kind, group and size become one.

        Raises InputError if the two belong to different bases or references.
        """
        if self.truth and other.truth and self.truth != other.truth:
            raise InputError(f"blocks to be joined must come from one reference; got {self.truth!r} and {other.truth!r}")
        if self.basis is not None and other.basis is not None and not _same(self.basis, other.basis):
            raise InputError("blocks to be joined must come from one basis; label both with the same ACEBasis")
        alike = same_repulsion(self.repulsion, other.repulsion)
        if self.subtracted != other.subtracted or (self.subtracted and not alike):
            raise InputError(
                "blocks to be joined must have the same repulsion subtracted, or none; subtract it after joining them"
            )
        basis = other.basis if self.basis is None else self.basis
        other = _renumbered(other, self)
        one, two = (self, other) if alike else (_bare(self), _bare(other))
        both = one.held + two.held
        held = tuple(both[k] for k in evenly(len(both), HELD))
        notes, truth = {**other.notes, **self.notes}, self.truth or other.truth
        return Blocks(basis, one.items + two.items, truth, notes, held, one.repulsion, self.subtracted)

    def save(self, path: str | Path) -> None:
        """Write all blocks and the description of the basis to an HDF5 file, completely or not at all."""
        path = Path(path)
        with replaced(path, folders=False) as partial:
            with h5py.File(partial, "w") as file:
                file.attrs.update(format=FORMAT, truth=self.truth, notes=json.dumps(self.notes))
                if self.repulsion is not None:
                    file.attrs.update(repulsion=json.dumps(self.repulsion.describe()), subtracted=int(self.subtracted))
                if self.basis is not None:
                    file.attrs["basis"] = json.dumps(self.basis.describe())
                for number, block in enumerate(self.items):
                    _write(file.create_group(f"{number:06d}"), block)
                for place, parts in enumerate(self.held):
                    for number, block in enumerate(parts):
                        _write(file.create_group(f"held/{place:06d}/{number:06d}"), block)

    @staticmethod
    def load(path: str | Path, basis: Any = None) -> "Blocks":
        """Read blocks written by `save`; the basis is built again from its description, or `basis` is checked against it.

        Raises InputError if the file holds no blocks or those of another basis.
        """
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(f"{path} is an HDF5 file but holds no blocks; write them with blocks.save(path)")
                items = tuple(_read(file[number]) for number in sorted(file) if number != "held")
                apart: Any = file.get("held", {})
                held = tuple(tuple(_read(apart[place][number]) for number in sorted(apart[place])) for place in sorted(apart))
                attributes = {name: str(value) for name, value in file.attrs.items()}
        except OSError as error:
            raise InputError(f"blocks are read from a file of blocks.save(path); {path} cannot be read: {error}") from error
        if "basis" in attributes:
            described = json.loads(attributes["basis"])
            basis = ACEBasis(**{name: _frozen(value) for name, value in described.items()}) if basis is None else basis
            if json.loads(json.dumps(basis.describe())) != described:
                raise InputError(f"{path} was labelled for the basis {described}; got {basis.describe()}: label again")
        repulsion = repulsion_from_description(json.loads(attributes.get("repulsion", "null")))
        subtracted = attributes.get("subtracted") == "1"
        return Blocks(basis, items, attributes["truth"], json.loads(attributes["notes"]), held, repulsion, subtracted)


def _less(rows: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    """Kept rows [A | y - b]."""
    if baseline is None:
        return rows
    found = rows.copy()
    found[:, -1] -= baseline
    return found


def _frozen(value: Any) -> Any:
    """JSON has lists only; settings are tuples."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _write(group: Any, block: Block) -> None:
    """One block into a file."""
    for name in ("kind", "group", "atoms", "scale", "rows", "source", "part"):
        group.attrs[name] = getattr(block, name)
    if block.distance is not None:
        group.attrs["distance"] = block.distance
    group.attrs["route"] = astuple(block.reduction)
    group["factor"] = block.factor
    for name in ("plain", "baseline", "plain_baseline"):
        if getattr(block, name) is not None:
            group[name] = getattr(block, name)
    if (about := block.about) is not None:
        store = group.create_group("about")
        store.attrs.update(
            kept=int(block.kept), level=about.level, names=json.dumps(about.names), formulas=json.dumps(about.formulas)
        )
        for name in _ABOUT:
            store[name] = getattr(about, name)
        for number, (name, values) in enumerate(about.columns.items()):
            store[f"column {number}"] = values
            store[f"column {number}"].attrs["name"] = name


def _read(group: Any) -> Block:
    """One block of a file."""
    a = group.attrs
    arrays = {name: group[name][()] for name in ("plain", "baseline", "plain_baseline") if name in group}
    reduction = Reduction(*map(int, a["route"][:3]), condition=float(a["route"][3])) if "route" in a else Reduction()
    counts = {"atoms": int(a["atoms"]), "rows": int(a["rows"]), "scale": float(a["scale"])}
    words = {"kind": a["kind"], "group": a["group"], "source": a["source"], "part": a.get("part", "")}
    distance = float(a["distance"]) if "distance" in a else None
    about, kept = (None, False) if "about" not in group else (_read_about(group["about"]), bool(group["about"].attrs["kept"]))
    factor = group["factor"][()]
    return Block(**words, factor=factor, **arrays, reduction=reduction, distance=distance, **counts, about=about, kept=kept)


_ABOUT = ("rows", "configuration", "species", "formula", *NUMBERS)


def _read_about(group: Any) -> About:
    """The description of the rows of a block of a file."""
    columns = {str(group[name].attrs["name"]): group[name][()] for name in group if name.startswith("column ")}
    names, formulas = (tuple(json.loads(group.attrs[name])) for name in ("names", "formulas"))
    arrays = {name: group[name][()] for name in _ABOUT}
    return About(**arrays, names=names, formulas=formulas, level=str(group.attrs["level"]), columns=columns)


def _renumbered(blocks: Blocks, after: Blocks) -> Blocks:
    """The blocks with numbers of configurations that others do not have, as far as rows are described."""
    last = max((int(b.about.configuration.max(initial=-1)) for b in after.items if b.about is not None), default=-1)
    if last < 0:
        return blocks

    def moved(block: Block) -> Block:
        if block.about is None:
            return block
        numbers = np.where(block.about.configuration >= 0, block.about.configuration + last + 1, -1)
        part = str(int(block.part) + last + 1) if block.part.isdigit() else block.part
        return replace(block, about=replace(block.about, configuration=numbers), part=part)

    held = tuple(tuple(moved(b) for b in parts) for parts in blocks.held)
    return replace(blocks, items=tuple(moved(b) for b in blocks.items), held=held)


def _bare(blocks: Blocks) -> Blocks:
    """Without baselines that can no longer be subtracted."""
    items = tuple(replace(b, baseline=None, plain_baseline=None) for b in blocks.items)
    held = tuple(tuple(replace(b, baseline=None, plain_baseline=None) for b in parts) for parts in blocks.held)
    return replace(blocks, items=items, held=held, repulsion=None)


def _merge(items: Iterable[Block]) -> tuple[Block, ...]:
    """One block per key, in order of first appearance."""
    alike: dict[tuple, list[Block]] = {}
    for block in items:
        alike.setdefault(block.key, []).append(block)
    return tuple(_joined(blocks) if len(blocks) > 1 else blocks[0] for blocks in alike.values())


def _joined(blocks: list[Block]) -> Block:
    """One block for the rows of several with one key."""
    first = blocks[0]
    plains = [b.plain for b in blocks if b.plain is not None]
    if any(b.scale != first.scale for b in blocks) or len(plains) not in (0, len(blocks)):
        raise InputError(
            f"blocks of {first.kind}:{first.group} with {first.atoms} atoms must have rows with one scale and weight; got scales "
            f"{sorted({b.scale for b in blocks})}: label all with the same settings or give them different groups"
        )
    name = f"{first.kind}:{first.group} rows"
    if first.kept:
        return _kept_together(blocks)
    factor, baseline = joined([(b.factor, b.baseline) for b in blocks], name)
    plain, of_plain = (
        joined([(b.plain, b.plain_baseline) for b in blocks if b.plain is not None], name) if plains else (None, None)
    )
    return replace(
        first,
        rows=sum(b.rows for b in blocks),
        factor=factor,
        plain=plain,
        baseline=baseline,
        plain_baseline=of_plain,
        source="; ".join(dict.fromkeys(b.source for b in blocks if b.source)),
        reduction=sum((b.reduction for b in blocks), Reduction()),
        about=_of_all([b.about for b in blocks]),
    )


def _of_all(parts: Sequence[About | None]) -> About | None:
    """One entry for the rows of several blocks; None if one of them is not described."""
    known = [part for part in parts if part is not None]
    return None if len(known) < len(parts) else stacked(known).summary(known[0].level)


def _kept_together(blocks: list[Block]) -> Block:
    """One block of all the rows of several, each as it is."""

    def column(name: str, of: str) -> np.ndarray | None:
        if all(getattr(b, name) is None for b in blocks):
            return None
        own = [(getattr(b, name), len(getattr(b, of))) for b in blocks]
        return np.concatenate([np.zeros(count) if values is None else values for values, count in own])

    plain = None
    if any(b.plain is not None for b in blocks):
        plain = np.concatenate([b.factor if b.plain is None else b.plain for b in blocks])
    return replace(
        blocks[0],
        rows=sum(b.rows for b in blocks),
        factor=np.concatenate([b.factor for b in blocks]),
        plain=plain,
        baseline=column("baseline", "factor"),
        plain_baseline=None if plain is None else column("plain_baseline", "factor"),
        source="; ".join(dict.fromkeys(b.source for b in blocks if b.source)),
        reduction=sum((b.reduction for b in blocks), Reduction()),
        about=stacked([b.about for b in blocks if b.about is not None]),
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two bases are equal: the same object, or equal trees of arrays and settings."""
    return one is other or bool(eqx.tree_equal(one, other))
