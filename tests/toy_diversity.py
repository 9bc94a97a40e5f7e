"""A source of diversity for tests: molecules of ASE's collection, rattled, labelled by a Morse potential; a metric of its own."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.morse import MorsePotential

from defectgen.campaign import Step
from defectgen.dataset import Configuration, Dataset, one_body
from defectgen.study.diversity.source import PackedPool, Pool, Source

NAMES = (
    *(
        "CH4",
        "C2H6",
        "C2H4",
        "C2H2",
        "CH3OH",
        "CH3CH2OH",
        "H2CO",
        "HCOOH",
        "H2O",
        "CH3CHO",
        "CH3OCH3",
        "C3H8",
        "C6H6",
        "C3H4_C3v",
    ),
    *("CH3COCH3", "CH3COOH", "cyclobutane", "isobutane", "C3H6_D3h", "trans-butane", "C4H4O"),
)


class Toy(Source):
    name: ClassVar[str] = "toy"

    configurations: int = 8

    def pool(self):
        return ToyPool(count=self.configurations)

    def counts(self):
        return len(NAMES) - 1, self.configurations

    def metrics(self, model, trial, given):
        """Energy of a stretched H2, as a metric that no test set has."""
        from defectgen.bridge import Calculator

        atoms = Atoms("H2", [[0, 0, 0], [0, 0, 1.3]], calculator=Calculator(model))
        exact = Atoms("H2", atoms.positions, calculator=MorsePotential(epsilon=1.0, r0=1.2, rho0=4.0))
        error = abs(atoms.get_potential_energy() - exact.get_potential_energy())
        return [{"test": "stretched H2", "stretch_error": error}]


@dataclass(frozen=True, eq=False, kw_only=True)
class ToyPool(Step[PackedPool]):
    count: int

    @property
    def label(self):
        return "toy pool"

    def run(self, given):
        return PackedPool.of(made(self.count))


@cache
def made(count: int, apart: str = "C6H6") -> Pool:
    """Every molecule with `count` mild and two wide configurations; benzene only tests."""
    found = []
    for name in NAMES:
        for law, size, amplitude in (("mild", count, 0.04), ("wide", 2, 0.1)):
            for number in range(size):
                atoms = molecule(name)
                rng = np.random.default_rng([NAMES.index(name), number, size])
                atoms.positions += amplitude * rng.normal(size=(len(atoms), 3))
                atoms.calc = MorsePotential(epsilon=1.0, r0=1.2, rho0=4.0)
                e, f = float(atoms.get_potential_energy()), atoms.get_forces()
                found.append(Configuration(name, number, tuple(atoms.symbols), atoms.positions.copy(), law, e, f))
    data = Dataset(tuple(found), "Morse")
    families = {
        name: "ring" if name in ("C6H6", "C3H4_C3v", "cyclobutane", "C3H6_D3h", "C4H4O") else f"chain {len(name)}"
        for name in NAMES
    }
    return Pool(data, families, "mild", one_body(data), ("wide",), {"benzene": (apart,)}, {"CH4": ("a run broke a bond",)})
