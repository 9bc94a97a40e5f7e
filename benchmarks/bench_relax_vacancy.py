"""Relaxing a vacancy: the Newton-Krylov method with the lattice Green's function, beside ASE's optimisers on the same energy.

Why this case: the package relaxes every defect twice, to residuals far below those of everyday work, in cells that grow. Its
claim is that the number of evaluations does not grow with the cell and hardly with the accuracy. The peers are ASE's
preconditioned L-BFGS (Packwood et al., J. Chem. Phys. 144, 164109 (2016), Exp preconditioner, as it comes but for the line
search, see below) and FIRE, fed by `dg.Calculator` with the very same energy.

What limits it: one defect at rest near its perfect sites, where Newton's method is at its best; the peers also serve far from
a minimum. ASE pays for its Python bookkeeping, ours for building the Green's function; both are part of the time. The
stability check of `dg.relax` is left out, because the peers have none.
"""

from timing import in_turns, machine  # first: it pins the threads

from dataclasses import dataclass

import numpy as np
from ase.optimize import FIRE
from ase.optimize.precon import Exp, PreconLBFGS

import defectgen as dg

TOLERANCES = (1e-6, 1e-8)
MOST_STEPS = 1000


@dataclass
class Counting:
    """Counts the evaluations that reach the calculator."""

    calculator: dg.Calculator
    evaluations: int = 0

    def __post_init__(self):
        evaluate = self.calculator.calculate

        def calculate(*args, **kwargs):
            self.evaluations += 1
            return evaluate(*args, **kwargs)

        self.calculator.calculate = calculate


def precon_lbfgs(atoms):
    # force-based step acceptance: the default Armijo search compares energies, whose rounding stops it near 1e-6 eV/A
    return PreconLBFGS(atoms, precon=Exp(A=3), use_armijo=False, logfile=None)


def fire(atoms):
    return FIRE(atoms, logfile=None)


def by_ase(optimiser, cell, truth, tolerance):
    """Relaxed positions, evaluations and whether ASE's criterion (largest force, eV/A) was met."""
    counting = Counting(dg.Calculator(truth))
    atoms = dg.to_ase(cell)
    atoms.calc = counting.calculator
    done = optimiser(atoms).run(fmax=tolerance, steps=MOST_STEPS)
    return atoms.positions, counting.evaluations, bool(done)


def by_us(cell, truth, tolerance):
    # a component bound of tolerance / sqrt(3) implies ASE's bound on the length of every force
    return dg.relax(cell, truth, tolerance=tolerance / np.sqrt(3), eigenvalue=False)


def difference(cell, first, second):
    """Largest difference of two sets of positions without the rigid translation, A."""
    shift = first - second
    return np.abs(shift - shift.mean(axis=0)).max()


def row(name, cell, truth, tolerance, peer, label, turns):
    """One line: both times, their ratio, the work of both, how far apart they end."""
    results = {}
    for side, call in (("us", lambda: by_us(cell, truth, tolerance)), ("ase", lambda: by_ase(peer, cell, truth, tolerance))):
        results[side] = call()  # warm-up: compilation is paid here
    ours, (positions, evaluations, done) = results["us"], results["ase"]
    pair = in_turns(lambda: by_us(cell, truth, tolerance), lambda: by_ase(peer, cell, truth, tolerance), turns)
    work = f"{ours.energy_evaluations} + {ours.hessian_products} Hv"
    reached = "" if ours.converged and done else f"  NOT CONVERGED ({'ASE' if ours.converged else 'ours'})"
    print(
        f"{name:<24}{len(cell):>6}{tolerance:>8.0e}  {label:<12}{pair.ours:>8.2f}{pair.theirs:>9.2f}   {pair!s:<26}"
        f"{work:>12}{evaluations:>7}{difference(cell, ours.positions, positions):>10.1e}{reached}"
    )


def crystals():
    yield "Cu, second moment", dg.fcc("Cu", 3.615), dg.reference.CleriRosato("Cu"), ((4, 3), (8, 1))
    yield "W, Finnis-Sinclair", dg.bcc("W", 3.165), dg.reference.FinnisSinclair("W"), ((5, 3), (10, 1))


def main():
    print(machine("ase", "scipy"))
    print("vacancy; time in s; work: evaluations + Hessian products of ours, evaluations of ASE; difference: largest, A")
    print(f"{'crystal':<24}{'atoms':>6}{'fmax':>8}  {'peer':<12}{'ours':>8}{'peer':>9}   {'':<26}{'work':>12}{'':>7}{'diff.':>10}")
    for name, lattice, truth, sizes in crystals():
        lattice = dg.equilibrate(lattice, truth)
        for size, turns in sizes:
            cell = dg.vacancy().apply(dg.supercell(lattice, size))
            for tolerance in TOLERANCES:
                for label, peer in (("PreconLBFGS", precon_lbfgs), ("FIRE", fire)):
                    row(name, cell, truth, tolerance, peer, label, turns)


if __name__ == "__main__":
    main()
