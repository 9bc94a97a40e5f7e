"""From molecules to a labelled data set, as tasks of a campaign: kept one molecule at a time, found again when asked again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..._input import InputError
from ...campaign import Event, PlainTask, Record, Store, Task, run
from ...dataset import Configuration, Dataset
from .conformers import conformers
from .library import Molecule
from .thermal import Law, sample
from .tight_binding import TightBinding

HERE = "defectgen.bridge.molecules.labelling"


@dataclass(frozen=True, eq=False)
class Labelled:
    """What was labelled, and why something is missing."""

    dataset: Dataset
    failures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Sentences by structure. What failed is left out of the data set."""


def tasks(
    molecules: Iterable[Molecule],
    laws: Sequence[Law],
    seed: int = 0,
    *,
    count: int = 10,
    window: float = 0.4,
    distance: float = 0.3,
    method: str = "GFN2-xTB",
) -> tuple[Task, ...]:
    """One labelling task a molecule, each after the task that draws its geometries. `count`, `window` and `distance` are of
    `conformers`, `laws` what is drawn from these.

    Raises InputError for no molecules or laws, and for molecules or laws that share a name.
    """
    molecules, laws = tuple(molecules), tuple(laws)
    for what, names in (("molecules", [m.name for m in molecules]), ("laws", [law.name for law in laws])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise InputError(f"{what} to be labelled want names of their own; got {f'{twice[0]!r} twice' if twice else 'none'}")
    reference = TightBinding(method)
    found = []
    for m in molecules:
        spec = {
            "name": m.name,
            "smiles": m.smiles,
            "seed": seed,
            "conformers": {"count": count, "window": window, "distance": distance},
            "laws": [asdict(law) for law in laws],
        }
        draws = sum(law.count for law in laws)
        drawn = PlainTask(f"{HERE}:drawn", spec, (), f"{m.name} geometries", draws)
        how = {"method": reference.method, "accuracy": reference.accuracy}
        found.append(PlainTask(f"{HERE}:labelled", how, (drawn,), f"{m.name} labels", draws))
    return tuple(found)


def drawn(spec: dict) -> Record:
    """Geometries of one molecule under every law. spec: name, smiles, seed, conformers, laws.

    A molecule that cannot be read or embedded is a record without geometries: others are not to wait for it.
    """
    try:
        found = conformers(spec["smiles"], seed=spec["seed"], **spec["conformers"])
    except InputError as error:
        empty = {"name": spec["name"], "symbols": [], "laws": [], "conformations": [], "failures": [str(error)]}
        return Record(empty, {"positions": np.zeros((0, 0, 3))})
    failures, laws, numbers, positions = list(found.failures), [], [], [np.zeros((0, len(found.symbols), 3))]
    for law in (Law(**each) for each in spec["laws"]):
        draws = sample(found, law, spec["seed"])
        laws += [law.name] * len(draws.positions)
        numbers += range(len(draws.positions))
        positions.append(draws.positions)
        failures += draws.failures
    values = {"name": spec["name"], "symbols": found.symbols, "laws": laws, "conformations": numbers, "failures": failures}
    return Record(values, {"positions": np.concatenate(positions), "conformers": found.positions})


def given(spec: dict) -> Record:
    """Geometries that came from elsewhere. spec: name, symbols, laws, conformations, positions (as nested lists)."""
    positions = np.array(spec["positions"], dtype=float).reshape(-1, len(spec["symbols"]), 3)
    return Record({**{k: v for k, v in spec.items() if k != "positions"}, "failures": []}, {"positions": positions})


def labelled(spec: dict, geometries: Record) -> Record:
    """Energies (eV) and forces (eV/A) of the geometries of one molecule. spec: method, accuracy."""
    reference, values = TightBinding(**spec), geometries.values
    symbols = tuple(values["symbols"])
    kept, energies, forces, failures = [], [], [], list(values["failures"])
    for number, x in enumerate(geometries.arrays["positions"]):
        try:
            energy, force = reference.label(symbols, x)
        except InputError as error:
            failures.append(f"configuration {values['conformations'][number]} of {values['laws'][number]}: {error}")
            continue
        kept.append(number)
        energies.append(energy)
        forces.append(force)
    found = {
        **values,
        "laws": [values["laws"][k] for k in kept],
        "conformations": [values["conformations"][k] for k in kept],
        "failures": failures,
        "truth": reference.name,
    }
    arrays = {
        "positions": geometries.arrays["positions"][kept],
        "energies": np.array(energies, dtype=float),
        "forces": np.array(forces, dtype=float).reshape(len(kept), len(symbols), 3),
    }
    return Record(found, arrays)


def gather(records: Iterable[Record]) -> Labelled:
    """The data set of the records of labelling tasks, in their order."""
    configurations, failures, truths = [], {}, set()
    for record in (r for r in records if r.ok):
        values, symbols = record.values, tuple(record.values["symbols"])
        truths.add(values["truth"])
        if values["failures"]:
            failures[values["name"]] = tuple(values["failures"])
        arrays = (record.arrays[k] for k in ("positions", "energies", "forces"))
        for law, number, x, energy, forces in zip(values["laws"], values["conformations"], *arrays, strict=True):
            configurations.append(
                Configuration(values["name"], number, symbols, x, law, float(energy), forces, source=values["truth"])
            )
    return Labelled(Dataset(tuple(configurations), "; ".join(sorted(truths))), failures)


def label_molecules(
    molecules: Iterable[Molecule],
    laws: Sequence[Law],
    directory: str | Path,
    seed: int = 0,
    *,
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
    **settings,
) -> Labelled:
    """Draw and label; `directory` keeps every molecule that is done, and the same call finds it there. `settings` are of `tasks`.

    Raises InputError for a directory that cannot be written, and what `tasks` raises.
    """
    return _run(tasks(molecules, laws, seed, **settings), directory, workers, progress)


def label_dataset(
    dataset: Dataset,
    directory: str | Path,
    *,
    method: str = "GFN2-xTB",
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
) -> Labelled:
    """The molecules of a data set with labels of this method in the place of theirs, kept in `directory` likewise.

    Raises InputError for periodic configurations, and for structures whose configurations list their atoms in different orders.
    """
    reference, plan = TightBinding(method), []
    for name in dataset.structures:
        members = [dataset.configurations[n] for n in dataset.where(name)]
        if any(any(c.periodic) for c in members) or len({c.symbols for c in members}) > 1:
            raise InputError(f"labels want molecules whose atoms are in one order; {name!r} is periodic, or changes it")
        spec = {
            "name": name,
            "symbols": members[0].symbols,
            "laws": [c.law for c in members],
            "conformations": [c.conformation for c in members],
            "positions": [c.positions.tolist() for c in members],
        }
        before = PlainTask(f"{HERE}:given", spec, (), f"{name} geometries", 0.01)
        how = {"method": reference.method, "accuracy": reference.accuracy}
        plan.append(PlainTask(f"{HERE}:labelled", how, (before,), f"{name} labels", len(members)))
    return _run(plan, directory, workers, progress)


def _run(plan: Sequence[Task], directory: str | Path, workers: int, progress: Callable[[Event], None] | None) -> Labelled:
    store = Store(directory)
    with store.lock():
        records = run(plan, store, workers, progress=progress)
    found = gather(records[task.key] for task in plan)
    broken = {task.after[0].spec["name"]: (str(records[task.key].failed),) for task in plan if not records[task.key].ok}
    return Labelled(found.dataset, {**found.failures, **broken})
