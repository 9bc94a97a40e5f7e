"""How a relaxed defect answers to all coefficients of its model: one factorisation, beside Krylov and finite differences.

Why this case: the certificate, the design of losses and the planner all stand on K = du/dtheta, 500 columns for a defect cell
of 2,000 atoms. Nobody else has it, so the peer is what everybody would do: relax again with each coefficient moved up and down.
Of that a few columns are done, both signs, warm-started, and the cost of all is their mean times their number.

What limits it: the factorisation, n^3 / 3 operations for n = 3 atoms, and two triangular solves for every column; then the force
rows of the basis. Beyond 9,000 degrees of freedom conjugate gradients take over, whose time is a dozen Hessian products a column.
"""

from timing import dgemm_rate, machine, seconds, summary  # isort: skip  (first: it pins the threads)

import numpy as np

import defectgen as dg
from defectgen.errors.certificate import sensitivity
from defectgen.relax import greens_function

COLUMNS = 3
"""Coefficients that are moved by hand."""
STEP = 1e-3
"""A: how far the largest displacement of the defect is moved by it."""


def main():
    print(machine())
    truth = dg.reference.StillingerWeber("Si")
    lattice = dg.equilibrate(dg.diamond("Si", 5.431), truth)
    defect, basis = dg.defect_from_name("interstitial(tetrahedral)"), dg.ACEBasis(["Si"], cutoff=5.0, order=3, degree=15)
    small = defect.apply(dg.supercell(lattice, 2))
    cells = dg.training_cells(lattice, defect, 2, displacement=dg.relax(small, truth).displacement)
    fit = dg.fit(dg.label(cells, truth, basis), prior="smoothness(1e-4)")
    rate = dgemm_rate()
    print(f"{basis.size} functions, {rate / 1e9:.0f} GFLOP/s dgemm")
    for size in (3, 6):
        row(fit, defect.apply(dg.supercell(lattice, size)), rate)


def row(fit, cell, rate):
    """One cell: direct, Krylov where it is affordable, differences of relaxations."""
    green = greens_function(cell, fit.model)
    rest = dg.relax(cell, fit.model, tolerance=1e-10, preconditioner=green, eigenvalue=False)
    if not rest.converged:
        print(f"{len(cell)} atoms: the fit did not hold the defect: {rest.message}")
        return
    sensitivity(rest, fit.model, green)  # compiles
    found = []
    direct = seconds(lambda: found.append(sensitivity(rest, fit.model, green)))
    k = found[0].displacement
    n = 3 * len(cell)
    counted = (n**3 / 3 + 2 * n**2 * k.shape[2]) / rate
    chosen = np.argsort(np.abs(fit.coefficients) * np.abs(k).max(axis=(0, 1)))[-COLUMNS:]  # those that the defect feels
    errors, spent = [], 0.0
    for column in chosen:
        h = STEP / np.abs(k[:, :, column]).max()
        ends = []

        def moved(ends=ends, column=column, h=h):
            for sign in (1, -1):
                theta = fit.coefficients.copy()
                theta[column] += sign * h
                model = dg.LinearACE(fit.model.basis, theta)
                ends.append(dg.relax(cell, model, start=rest.positions, tolerance=1e-10, preconditioner=green, eigenvalue=False))

        spent += seconds(moved)
        by_hand = (ends[0].displacement - ends[1].displacement) / (2 * h)
        by_hand -= by_hand.mean(axis=0)
        errors.append(np.abs(by_hand - k[:, :, column]).max() / np.abs(by_hand).max())
    whole = spent / COLUMNS * k.shape[2]
    print(
        f"{len(cell)} atoms: K of {k.shape[2]} functions in {direct:.1f} s, counted limit {counted:.1f} s; by differences "
        f"{whole:.0f} s ({whole / direct:.0f} times), {COLUMNS} columns agree to {max(errors):.1e}"
    )
    work = f"derivative of a Si interstitial in {k.shape[2]} coefficients, {len(cell)} atoms"
    summary(work, "s", direct, "differences of relaxations", whole, counted, f"{max(errors):.0e}")


if __name__ == "__main__":
    main()
