"""The source of molecules: thermal geometries of small organic molecules by MMFF94, labelled by GFN2-xTB. Optional extra."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ..._input import InputError
from ...campaign import Given, Step
from .pool import PackedPool, Pool
from .source import Source

if TYPE_CHECKING:
    from ...bridge.molecules import Law, Molecule


class Molecules(Source):
    """`[diversity.settings]` of a study with source = "molecules"."""

    name: ClassVar[str] = "molecules"

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

    def check(self) -> None:
        """Raises InputError where the optional extra is missing, and for more molecules than there are."""
        missing = [name for name in ("rdkit", "tblite") if find_spec(name) is None]
        if missing:
            raise InputError(f'a study of molecules needs {" and ".join(missing)}; pip install "defectgen[molecules]"')
        found = self._library()
        if self.molecules is not None and self.molecules > len(found):
            raise InputError(
                f"diversity.settings.molecules is {self.molecules}, and the list has {len(found)} of these elements and "
                "sizes; use fewer, or allow more elements or sizes"
            )

    def pool(self) -> Step[PackedPool]:
        """All molecules, each drawn and labelled by steps of its own."""
        from ...bridge.molecules import tasks

        chosen, laws = self._chosen(), self._laws()
        return MoleculePool(
            labels=tasks(chosen, laws, self.seed, count=self.conformers, method=self.method),
            smiles={m.name: m.smiles for m in chosen},
            law=laws[0].name,
            wider=tuple(law.name for law in laws[1:]),
            method=self.method,
        )

    def counts(self) -> tuple[int, int]:
        """Molecules, and geometries of each."""
        return len(self._chosen()), self.conformations

    def _library(self) -> list[Molecule]:
        from ...bridge.molecules import library

        return list(library(self.elements, self.heavy))

    def _chosen(self) -> list[Molecule]:
        found = self._library()
        count = len(found) if self.molecules is None else self.molecules
        return [found[round(k * (len(found) - 1) / max(count - 1, 1))] for k in range(count)]

    def _laws(self) -> list[Law]:
        from ...bridge.molecules import Law

        hot = [Law(self.hot, self.hot_conformations)] if self.hot_conformations else []
        return [Law(self.temperature, self.conformations), *hot]


@dataclass(frozen=True, eq=False, kw_only=True)
class MoleculePool(Step[PackedPool]):
    """The pool of all labelled molecules; families are their Murcko scaffolds."""

    labels: tuple[Step[Any], ...]
    """Steps that give a `LabelledGeometries` each."""
    smiles: dict[str, str]
    """By the name of the molecule."""
    law: str
    """That is trained on."""
    wider: tuple[str, ...]
    method: str

    @property
    def label(self) -> str:
        return "all molecules"

    @property
    def weight(self) -> float:
        return 2.0

    def run(self, given: Given) -> PackedPool:
        """Gather what was labelled, and report what is missing."""
        from ...bridge.molecules import free_atoms, gather, scaffold

        found = gather(given[step] for step in self.labels)
        present = set(found.dataset.structures)
        skipped = dict(found.failures)
        for name in self.smiles:
            if name not in present:
                skipped[name] = (*skipped.get(name, ()), "no configuration was labelled: the molecule is left out")
        return PackedPool.of(
            Pool(
                found.dataset,
                families={name: scaffold(smiles) or "no ring" for name, smiles in self.smiles.items() if name in present},
                law=self.law,
                offsets=free_atoms(found.dataset.species, self.method),
                wider=self.wider,
                skipped=skipped,
            )
        )
