"""The source of molecules: thermal geometries of small organic molecules by MMFF94, labelled by GFN2-xTB. Optional extra."""

from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field, ValidationError

from ..._input import InputError
from ...campaign import PlainTask, Record
from ..spec import Strict, sentence
from .source import Pool, Source, pack

ALL = "defectgen.study.diversity.molecules:pool"


class Settings(Strict):
    """`[diversity.settings]` of a study with source = "molecules"."""

    elements: tuple[str, ...] = ("H", "C", "N", "O")
    heavy: tuple[int, int] = (3, 10)
    """Fewest and most atoms that are not hydrogen."""
    molecules: int | None = Field(None, ge=8)
    """So many of the list, evenly spread over it; all if not given."""
    temperature: float = Field(300.0, gt=0)
    """K, of the law that is trained on."""
    conformations: int = Field(28, ge=2)
    """Configurations of each molecule, those for tests included."""
    hot: float = Field(600.0, gt=0)
    """K, of the wider law."""
    hot_conformations: int = Field(3, ge=0)
    conformers: int = Field(5, ge=1)
    """Minima that geometries start from."""
    method: Literal["GFN2-xTB", "GFN1-xTB"] = "GFN2-xTB"
    seed: int = 0


def source(settings: dict[str, Any]) -> Source:
    """The source. Raises InputError where the optional extra is missing, and for settings that make no sense."""
    missing = [name for name in ("rdkit", "tblite") if find_spec(name) is None]
    if missing:
        raise InputError(f'a study of molecules needs {" and ".join(missing)}; pip install "defectgen[molecules]"')
    try:
        asked = Settings(**settings)
    except ValidationError as error:
        raise InputError(f"diversity.settings.{sentence(error)}") from None
    from ...bridge.molecules import Law, library, tasks

    found = library(asked.elements, asked.heavy)
    if asked.molecules is not None and asked.molecules > len(found):
        raise InputError(
            f"diversity.settings.molecules asks for {asked.molecules}, and the list has {len(found)} of these elements and "
            "sizes; ask for fewer, or allow more elements or sizes"
        )
    count = len(found) if asked.molecules is None else asked.molecules
    chosen = [found[round(k * (len(found) - 1) / max(count - 1, 1))] for k in range(count)]
    laws = [Law(asked.temperature, asked.conformations)]
    laws += [Law(asked.hot, asked.hot_conformations)] if asked.hot_conformations else []
    labels = tasks(chosen, laws, asked.seed, count=asked.conformers, method=asked.method)
    spec = {
        "smiles": {m.name: m.smiles for m in chosen},
        "law": laws[0].name,
        "wider": [law.name for law in laws[1:]],
        "wanted": {law.name: law.count for law in laws},
        "method": asked.method,
    }
    return Source(PlainTask(ALL, spec, labels, "all molecules", 2.0), count, asked.conformations)


def pool(spec: dict[str, Any], *labelled: Record) -> Record:
    """The pool of the records of all labelling tasks. spec: smiles (by name), law, wider, wanted (by law), method."""
    from ...bridge.molecules import free_atoms, gather, scaffold

    found = gather(labelled)
    present = set(found.dataset.structures)
    skipped = dict(found.failures)
    for name in spec["smiles"]:
        if name not in present:
            skipped[name] = (*skipped.get(name, ()), "no configuration was labelled: the molecule is left out")
    return pack(
        Pool(
            found.dataset,
            families={name: scaffold(smiles) or "no ring" for name, smiles in spec["smiles"].items() if name in present},
            law=spec["law"],
            offsets=free_atoms(found.dataset.species, spec["method"]),
            wider=tuple(spec["wider"]),
            skipped=skipped,
        )
    )
