"""Labels and design rows of every configuration of a data set, computed once and kept.

Of every configuration one energy row and three force rows an atom are kept, and of these only the columns that its elements can
reach: a molecule of H, C and O uses about a sixth of a basis for six elements. Kept rows are reduced in two steps, first among
configurations of the same elements, in their own columns, then all together.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Array, Float, Int
from ..ace import ACEBasis, LinearACE
from ..campaign.files import write_whole
from ..dataset import Configuration, Dataset
from ..dataset.dataset import labelled
from ..dataset.offsets import offset_of
from ..energy.bonds import bonds, check_species, pad
from ..energy.total import channel_rows
from .blocks import Block, Blocks
from .compress import Compressor
from .dataset_errors import DatasetErrors
from .dynamics import BUCKET as PERIODIC_BUCKET

# ------ Where kept rows lie: one long array, in memory or in a folder, and a mark for every configuration that is done

FORMAT = "defectgen rows 1"


@dataclass(frozen=True, eq=False)
class RowStore:
    """Numbers in one piece and marks; both are written through to disk where there is a folder."""

    values: Float[np.ndarray, " numbers"]
    done: Int[np.ndarray, " configurations"]

    def put(self, number: int, start: int, rows: Float[np.ndarray, " part"]) -> None:
        """Write the rows of one configuration, then mark it."""
        self.values[start : start + len(rows)] = rows
        self.done[number] = 1


def allocate(numbers: int, configurations: int, digest: str, path: str | Path | None) -> RowStore:
    """Room for so many numbers; in a folder that was filled before with rows of the same digest, what was done there.

    A killed process loses nothing that it had marked (the pages belong to the system). Raises InputError for a folder with
    other rows, or one that cannot be written.
    """
    if path is None:
        return RowStore(np.empty(numbers), np.zeros(configurations, dtype=np.int8))
    folder = Path(path)
    header = {"format": FORMAT, "digest": digest, "numbers": numbers, "configurations": configurations}
    known = folder / "rows.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if links := [path for path in (known, folder / "rows.f64", folder / "done.i8") if path.is_symlink()]:
            raise InputError(f"{links[0]} is a symbolic link, and rows are not written through links; remove it")
        if known.exists():
            if json.loads(known.read_bytes()) != header:
                raise InputError(
                    f"{folder} holds the rows of other configurations or another basis; give another folder, or remove it first"
                )
            mode = "r+"
        else:
            mode = "w+"
        values = np.memmap(folder / "rows.f64", np.float64, mode, shape=(numbers,))
        done = np.memmap(folder / "done.i8", np.int8, mode, shape=(configurations,))
        write_whole(known, json.dumps(header).encode())
    except (OSError, ValueError) as error:
        raise InputError(f"rows cannot be kept in {folder} ({error}); give another folder") from None
    return RowStore(values, done)


# ------ Rows of a data set: computed once for every configuration, kept, and any choice of configurations is then a fast fit

BUCKET = 8
"""Atoms and slots are padded to multiples of this: molecules of 3 to 40 atoms make five compilations, some five seconds each."""


@dataclass(frozen=True, eq=False)
class DatasetRows:
    """Energy and force rows of every configuration of a data set, for the functions of one basis.

    `offsets` (eV, by species) in the methods below are subtracted from the labels and are to be added to the model again
    (`with_offsets`): with a prior, coefficients are then pulled towards these offsets and not towards no energy at all.
    """

    basis: ACEBasis
    dataset: Dataset
    columns: tuple[Int[np.ndarray, " _"], ...]
    """Of every configuration, the functions that its elements reach; one object for equal elements."""
    starts: Int[np.ndarray, " configurations"]
    values: Float[np.ndarray, " numbers"]
    """All rows in one piece, configuration after configuration; in memory or on disk."""

    def __repr__(self) -> str:
        size = f"{len(self.dataset):,} configurations"
        return shown(self, size, f"{self.basis.size:,} functions", f"{self.values.size:,} numbers")

    def of(self, number: int) -> Float[np.ndarray, "rows live"]:
        """The rows of one configuration, for its live columns.

        Parameters
        ----------
        number : int
            Of the configuration in the data set.

        Returns
        -------
        array (1 + 3 atoms, live)
            Energy (eV per unit coefficient), then forces (eV/A), atom by atom.
        """
        rows, live = 1 + 3 * int(self.dataset.atoms[number]), len(self.columns[number])
        start = int(self.starts[number])
        return np.asarray(self.values[start : start + rows * live]).reshape(rows, live)

    def blocks(self, numbers: Sequence[int] | Int[np.ndarray, " chosen"], offsets: Mapping[str, float] | None = None) -> Blocks:
        """E and F of the chosen configurations, to be fitted by `fit`: one block of each for every law.

        Parameters
        ----------
        numbers : sequence of int
            Of the configurations in the data set.
        offsets : mapping, optional
            One-body energies by species (eV), which are taken from the labels.

        Returns
        -------
        Blocks

        Raises
        ------
        InputError
            No or unknown numbers, repeated ones, missing labels, and species without an offset.
        """
        chosen = np.asarray(numbers)
        if chosen.size == 0 or len(np.unique(chosen)) != len(chosen):
            raise InputError(f"a fit needs different configurations, at least one; got {len(chosen)} numbers")
        laws: dict[str, dict[int, list[int]]] = {}
        for number, c in zip(chosen.tolist(), self.dataset[chosen].configurations, strict=True):
            laws.setdefault(c.law, {}).setdefault(id(self.columns[number]), []).append(number)
        items = [block for law, alike in laws.items() for block in self._blocks(law, alike.values(), offsets)]
        return Blocks(self.basis, tuple(items), self.dataset.truth)

    def errors(
        self,
        model: LinearACE | Float[Array | np.ndarray, " columns"],
        numbers: Sequence[int] | Int[np.ndarray, " chosen"],
        offsets: Mapping[str, float] | None = None,
    ) -> DatasetErrors:
        """Errors of a model with these coefficients on the chosen configurations, prediction minus label."""
        theta = np.asarray(model.coefficients if isinstance(model, LinearACE) else model)
        energy, squares, absolute = [], [], []
        for number, c in zip(np.asarray(numbers).tolist(), self.dataset[numbers].configurations, strict=True):
            predicted = self.of(number) @ theta[self.columns[number]]
            energy.append((predicted[0] - _energy(c, offsets)) / len(c))
            wrong = predicted[1:] - labelled(c, "forces").ravel()
            squares.append(np.mean(wrong**2))
            absolute.append(np.mean(np.abs(wrong)))
        names = tuple(self.dataset.configurations[n].structure for n in np.asarray(numbers).tolist())
        atoms = self.dataset.atoms[np.asarray(numbers, dtype=int)]
        found = (np.array(each, dtype=float) for each in (energy, np.sqrt(squares), absolute))
        return DatasetErrors(names, atoms, *found)

    def _blocks(self, law: str, alike: Collection[list[int]], offsets: Mapping[str, float] | None) -> tuple[Block, Block]:
        """Both blocks of one law; `alike` are lists of numbers with the same live columns."""
        size, width = self.basis.size, self.basis.size + 1
        joined = {name: Compressor(size, f"{name} of law {law!r}") for name in ("energies", "energies per atom", "forces")}
        count = {"E": 0, "F": 0}
        for numbers in alike:
            columns = self.columns[numbers[0]]
            stacked, atoms, own = [], [], Compressor(len(columns), f"forces of law {law!r}")
            for number in numbers:
                c, rows = self.dataset.configurations[number], self.of(number)
                own.add(rows[1:], labelled(c, "forces").ravel())
                stacked.append(np.append(rows[0], _energy(c, offsets)))
                atoms.append(len(c))
                count["E"], count["F"] = count["E"] + 1, count["F"] + 3 * len(c)
            each, per = np.array(stacked), np.array(atoms)[:, None]
            for name, part in (("energies", each / np.sqrt(per)), ("energies per atom", each / per), ("forces", own.factor())):
                full = np.zeros((len(part), width))
                full[:, np.append(columns, size)] = part
                joined[name].add_factor(full, len(part))
        factor = {name: compressor.factor() for name, compressor in joined.items()}
        source = self.dataset.truth
        return (
            Block("E", law, 0, 1.0, count["E"], factor["energies"], factor["energies per atom"], source),
            Block("F", law, 0, 1.0, count["F"], factor["forces"], source=source),
        )


def dataset_rows(
    dataset: Dataset, basis: ACEBasis, path: str | Path | None = None, progress: Callable[[int, int], None] | None = None
) -> DatasetRows:
    """The design rows of every configuration of a data set, each computed once.

    Parameters
    ----------
    dataset : Dataset
        The configurations.
    basis : ACEBasis
        The functions.
    path : str or Path, optional
        Folder in which rows are kept; what is there already, of the same configurations and basis, is not computed again. In
        memory if not given.
    progress : callable, optional
        Called with how many configurations are done and how many there are.

    Returns
    -------
    DatasetRows

    Raises
    ------
    InputError
        An empty data set, species that the basis does not know, and a folder with rows of something else.
    """
    if len(dataset) == 0:
        raise InputError("rows are made of configurations, and the data set is empty")
    check_species(basis, dataset.species)
    sets = [frozenset(c.symbols) for c in dataset.configurations]
    live = {symbols: live_columns(basis, symbols) for symbols in dict.fromkeys(sets)}
    columns = tuple(live[symbols] for symbols in sets)
    lengths = (1 + 3 * dataset.atoms) * np.array([len(k) for k in columns])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    store = allocate(int(lengths.sum()), len(dataset), digest(dataset, basis), path)
    for number, c in enumerate(dataset.configurations):
        if not store.done[number]:
            start, rows = int(starts[number]), _rows(c, basis)[:, columns[number]]
            store.put(number, start, rows.ravel())
        if progress is not None:
            progress(number + 1, len(dataset))
    return DatasetRows(basis, dataset, columns, starts, store.values)


def live_columns(basis: ACEBasis, symbols: Collection[str]) -> Int[np.ndarray, " live"]:
    """Functions of a basis that atoms of these elements alone can make different from zero, ascending."""
    kinds = [z for z, s in enumerate(basis.species) if s in symbols]
    reached = np.array([all(mu in kinds for mu, _, _ in f.factors) for f in basis.tables.functions])
    here = np.isin(np.arange(len(basis.species)), kinds)
    return np.unique(basis.channel[np.concatenate([here, (here[:, None] & reached).ravel()])])


def with_offsets(model: LinearACE, offsets: Mapping[str, float]) -> LinearACE:
    """The model with one-body energies added: fitted to energies without their offsets, it then predicts whole ones.

    Parameters
    ----------
    model : LinearACE
        The fitted model.
    offsets : mapping
        One-body energies by species, eV.

    Returns
    -------
    LinearACE
    """
    theta = np.array(model.coefficients)
    theta[: len(model.species)] += [offset_of(offsets, s) for s in model.species]
    return model.with_coefficients(theta, dict(model.provenance))


def _rows(c: Configuration, basis: ACEBasis) -> Float[np.ndarray, "rows columns"]:
    vectors = np.eye(3) if c.vectors is None else c.vectors
    bucket = PERIODIC_BUCKET if any(c.periodic) else BUCKET
    near = bonds(c.positions, vectors, c.periodic, c.symbols, basis, bucket=bucket)
    x = pad(c.positions, near.index.shape[0])
    energy, forces, _ = channel_rows(basis, x, vectors, near)
    return np.concatenate([np.asarray(energy)[None], np.asarray(forces)[: len(c)].reshape(3 * len(c), -1)])


def _energy(c: Configuration, offsets: Mapping[str, float] | None) -> float:
    """The labelled energy without its one-body part, eV."""
    whole = float(labelled(c, "energy"))
    return whole if offsets is None else whole - sum(offset_of(offsets, s) for s in c.symbols)


def digest(dataset: Dataset, basis: ACEBasis) -> str:
    """What rows depend on, and nothing else, as 64 hexadecimal digits: labels do not matter."""
    found = hashlib.sha256(json.dumps(basis.describe(), sort_keys=True).encode())
    for c in dataset.configurations:
        found.update(" ".join(c.symbols).encode() + np.ascontiguousarray(c.positions).tobytes())
        found.update(repr(c.periodic).encode() + (b"" if c.vectors is None else np.ascontiguousarray(c.vectors).tobytes()))
    return found.hexdigest()
