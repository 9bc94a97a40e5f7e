"""Density-functional theory in the loop: a vacancy in silicon, with labels of Quantum ESPRESSO on cells of up to 16 atoms.

python dft_silicon.py                     # with the labels of labels.extxyz, some seconds of fit and relaxation
python dft_silicon.py --compute FOLDER    # with pw.x: what FOLDER holds is not computed again
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import defectgen as dg
from defectgen.bridge import LabelledReference, espresso, read_extxyz
from defectgen.energy import BlackBox
from defectgen.fit import Fit
from defectgen.reference import LabelCheck
from defectgen.relax import Equilibrium, greens_function

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
"""What all labels are computed with."""

CELL, SMALL, LARGE = (
    np.diag([1, 1, 1]),
    np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
    np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]),
)
"""Cells of 8, 16 and 32 sites, in units of the conventional cubic vectors: simple, face- and body-centred cubic."""

TOLERANCE = 5e-3
"""eV/A: forces that the relaxation with pw.x leaves."""


@dataclass(frozen=True)
class Outcome:
    """What the study finds."""

    checked: LabelCheck
    fit: Fit
    certificate: dg.errors.Certificate
    sharpened: dg.errors.Certificate
    """With the fit of a larger basis to the same labels."""
    exact: Equilibrium
    approximate: Equilibrium
    errors: dg.errors.Comparison

    def __str__(self) -> str:
        c, s, e = self.certificate, self.sharpened, self.errors
        rows = (
            ("energy (eV)", c.energy, s.energy, e.energy),
            ("geometry (A)", c.geometry, s.geometry, e.geometry),
        )
        return "\n".join(
            [
                str(self.checked),
                str(self.fit),
                f"vacancy in {len(self.exact.cell)} atoms, formation energy: pw.x {self.exact.energy:.3f} eV, "
                f"model {self.approximate.energy:.3f} eV",
                "| | true error | posterior | estimate | estimate with a richer fit | bound |",
                "|---|---|---|---|---|---|",
                *(
                    f"| {n} | {e:.3g} | {q.deviation:.3g} | {q.estimate:.3g} | {r.estimate:.3g} | {q.bound:.3g} |"
                    for n, q, r, e in rows
                ),
            ]
        )


def training(lattice: dg.Lattice) -> list[dg.Snapshot]:
    """The perfect crystal, strained primitive cells, and vacancies in 15 atoms, at rest and distorted."""
    strains = dg.Strains((0.015,), pairs=False, shift=0.02)
    cells = dg.training_cells(lattice, dg.vacancy(), SMALL, seed=0, rattle=dg.Rattle(0), strains=strains)
    return [*distorted(cells[0]), *cells]


def distorted(rest: dg.Snapshot) -> list[dg.Snapshot]:
    """The vacancy with its four neighbours moved by 0.15 A in symmetric patterns, which need few k-points."""
    away = rest.cell.minimum_image(rest.positions - rest.cell.centre)
    near = np.argsort(np.linalg.norm(away, axis=1), kind="stable")[:4]
    radial = away[near] / np.linalg.norm(away[near], axis=1)[:, None]
    twofold = np.where(radial[:, 2:] * radial[0, 2] > 0, 1.0, -1.0) * [0.0, 0.0, 1.0]
    alone = np.zeros_like(radial)
    alone[0] = radial[0]
    found = []
    for name, pattern in (("breathing", radial), ("one neighbour", alone), ("twofold", twofold)):
        for sign in (1, -1):
            positions = np.array(rest.positions)
            positions[near] += 0.15 * sign * pattern
            found.append(replace(rest, positions=positions, source=f"{name} {sign * 0.15:+g} A"))
    return found


def fitted(reference: BlackBox, lattice: dg.Lattice) -> tuple[LabelCheck, Fit, Fit]:
    """Check the labels of the reference, and fit two bases to them: the model, and a larger one that sharpens the certificate."""
    checked = dg.check_labels(reference, lattice, (CELL,))
    constants = dg.finite_difference_force_constants(reference, lattice, SMALL)
    fits = []
    for degree in (8, 10):
        basis = dg.ACEBasis(["Si"], cutoff=5.5, order=3, degree=degree)
        blocks = dg.label(training(lattice), reference, basis, "E+F+FC+V", force_constants=constants, repulsion="zbl")
        fits.append(dg.fit(blocks, "E+F+FC+V", prior="auto", repulsion="zbl"))
    return checked, fits[0], fits[1]


def outcome(
    checked: LabelCheck, fit: Fit, richer: Fit, lattice: dg.Lattice, relaxed: Callable[[Equilibrium], Equilibrium]
) -> Outcome:
    """The vacancy in 31 atoms by the model, its certificate, and its errors; `relaxed` relaxes it with the reference."""
    rest = dg.relax(dg.vacancy().apply(dg.supercell(lattice, LARGE)), fit.model)
    certificate, sharpened = dg.certify(fit, rest), dg.certify(fit, rest, richer=richer)
    exact = relaxed(rest)
    return Outcome(checked, fit, certificate, sharpened, exact, rest, dg.compare(exact, rest))


def from_file(path: Path = HERE / "labels.extxyz") -> Outcome:
    """With the labels of a file."""
    frames = read_extxyz(path)
    bulk = next(f for f in frames if f.group == "perfect crystal")
    lattice = dg.diamond("Si", 2 * float(np.abs(bulk.vectors).max()))
    reference = LabelledReference(tuple(frames), lattice, step=SETTINGS["step"], name="labels of pw.x")
    checked, fit, richer = fitted(reference, lattice)
    vacancies = [f for f in frames if len(f.cell) == 31]
    best = min(vacancies, key=lambda f: np.abs(f.labels["forces"]).max())

    def relaxed(rest: Equilibrium) -> Equilibrium:
        green = greens_function(rest.cell, fit.model)
        return dg.relax(rest.cell, reference, start=best.positions, tolerance=TOLERANCE, preconditioner=green, eigenvalue=False)

    return outcome(checked, fit, richer, lattice, relaxed)


def computed(folder: Path, command: str) -> Outcome:
    """With pw.x; labels that the folder holds are not computed again. Writes labels.extxyz next to them."""
    start = dg.diamond("Si", 5.38)
    pw = espresso(
        start,
        {"Si": SETTINGS["pseudopotential"]},
        SETTINGS["cutoff"],
        SETTINGS["grid"],
        smearing=SETTINGS["smearing"],
        threshold=SETTINGS["threshold"],
        step=SETTINGS["step"],
        system=SETTINGS["system"],
        command=command,
        folder=folder / "pw",
    )
    lattice = dg.equilibrate(start, dg.StoredReference(pw, folder / "labels", SETTINGS), tolerance=1e-4)
    reference = dg.StoredReference(pw, folder / "labels", SETTINGS, crystal=lattice)
    checked, fit, richer = fitted(reference, lattice)
    print(fit, flush=True)
    found = outcome(
        checked, fit, richer, lattice, lambda rest: dg.relax_from(rest, fit.model, reference, TOLERANCE, progress=told)
    )
    dg.write_extxyz(folder / "labels.extxyz", kept(reference.labels, lattice))
    return found


def kept(labels: Iterable[dg.Snapshot], lattice: dg.Lattice) -> list[dg.Snapshot]:
    """The labels without those that only led to the lattice constant: of other volumes, or of nearly the same one."""
    found = []
    for frame in labels:
        volume = abs(np.linalg.det(frame.vectors)) / len(frame.cell) * lattice.sublattices / lattice.volume
        close = len(frame.cell) == 2 and 1e-9 < np.abs(frame.vectors - lattice.vectors).max() < 2e-3
        if 0.9 < volume < 1.4 and not close:
            found.append(named(frame, lattice))
    return found


def named(frame: dg.Snapshot, lattice: dg.Lattice) -> dg.Snapshot:
    """A label with a name that says what it is."""
    at_rest = len(frame.cell) == 2 and np.abs(frame.vectors - lattice.vectors).max() < 1e-9
    if at_rest and np.abs(frame.positions - dg.primitive_cell(lattice).positions).max() < 1e-9:
        return replace(frame, group="perfect crystal")
    return replace(frame, group=f"{'vacancy' if len(frame.cell) % 2 else 'crystal'}, {len(frame.cell)} atoms")


def told(evaluation: int, energy: float, residual: float) -> None:
    print(f"pw.x evaluation {evaluation}: formation energy {energy:.4f} eV, forces {residual:.1e} eV/A", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A vacancy in silicon: labels of pw.x, fit, certificate, comparison.")
    parser.add_argument("--compute", type=Path, metavar="FOLDER", help="compute with pw.x what this folder does not hold")
    parser.add_argument("--command", default="pw.x", help="how pw.x is started (pw.x)")
    given = parser.parse_args()
    try:
        print(computed(given.compute, given.command) if given.compute else from_file())
    except dg.InputError as error:
        sys.exit(f"dft_silicon: {error}")
