"""Relaxing a vacancy: the Newton-Krylov method with the lattice Green's function, beside ASE's optimisers on the same energy.

Why this case: the package relaxes every defect twice, to residuals far below those of everyday work, in cells that grow. Its
claim is that the number of evaluations does not grow with the cell and hardly with the accuracy. The peers are ASE's
preconditioned L-BFGS (Packwood et al., J. Chem. Phys. 144, 164109 (2016)) with the Exp preconditioner, FIRE, and SciPy's
conjugate gradients, fed by `dg.Calculator` with the very same energy: two references and a fitted linear ACE.

What limits it: one defect at rest near its perfect sites, where Newton's method is at its best; the peers also serve far from
a minimum. ASE pays for its Python bookkeeping, ours for building the Green's function; both are part of the time. The
stability check of `dg.relax` is left out, because the peers have none. Without pyamg ASE factorises its preconditioner anew
in every step (tens of seconds at 2,000 atoms), which says nothing about the method: those rows are then left out.
"""

from timing import in_turns, installed, machine, summary  # isort: skip  (first: it pins the threads)

import numpy as np
from ase.optimize import FIRE
from ase.optimize.precon import Exp, PreconLBFGS
from ase.optimize.sciopt import OptimizerConvergenceError, SciPyFminCG

import defectgen as dg

TOLERANCES = (1e-6, 1e-8)
MOST_STEPS = 1000


class Counted:
    """A calculator's atoms with the number of its evaluations."""

    def __init__(self, cell, truth):
        self.evaluations = 0
        calculator = dg.Calculator(truth)
        evaluate = calculator.calculate

        def calculate(*args, **kwargs):
            self.evaluations += 1
            return evaluate(*args, **kwargs)

        calculator.calculate = calculate
        self.atoms = dg.to_ase(cell)
        self.atoms.calc = calculator


def precon_lbfgs(atoms):
    # the default Armijo search compares energies and gives up near 1e-7 eV/A, where their rounding hides every decrease
    return PreconLBFGS(atoms, precon=Exp(A=3), use_armijo=False, logfile=None)


def fire(atoms):
    return FIRE(atoms, logfile=None)


def conjugate_gradients(atoms):
    return SciPyFminCG(atoms, logfile=None)


def by_ase(optimiser, cell, truth, tolerance):
    """Relaxed positions (A), evaluations, and whether ASE's criterion on the largest force was met."""
    counted = Counted(cell, truth)
    try:
        done = optimiser(counted.atoms).run(fmax=tolerance, steps=MOST_STEPS)
    except OptimizerConvergenceError:  # its line search compares energies
        done = False
    return counted.atoms.positions, counted.evaluations, bool(done)


def by_us(cell, truth, tolerance):
    """The same by our method: a bound of tolerance / sqrt(3) on components implies ASE's bound on the length of every force."""
    return dg.relax(cell, truth, tolerance=tolerance / np.sqrt(3), eigenvalue=False)


def difference(first, second):
    """Largest difference of two sets of positions without the rigid translation, A."""
    shift = first - second
    return np.abs(shift - shift.mean(axis=0)).max()


def row(name, cell, truth, tolerance, label, peer, turns):
    """One line: both times, their ratio, the work of both, how far apart they end."""
    found = {}
    pair = in_turns(
        lambda: found.update(ours=by_us(cell, truth, tolerance)),
        lambda: found.update(theirs=by_ase(peer, cell, truth, tolerance)),
        turns,
    )
    ours, (positions, evaluations, done) = found["ours"], found["theirs"]
    work = f"{ours.energy_evaluations} + {ours.hessian_products} Hv"
    late = [side for side, good in (("ours", ours.converged), ("peer", done)) if not good]
    print(
        f"{name:<20}{len(cell):>6}{tolerance:>8.0e}  {label:<12}{pair.ours:>7.2f}{pair.theirs:>7.2f}  {pair!s:<28}"
        f"{work:>10}{evaluations:>6}{difference(ours.positions, positions):>10.1e}"
        f"{'  NOT CONVERGED: ' + ', '.join(late) if late else ''}",
        flush=True,
    )
    return pair


def fitted(lattice):
    """A linear ACE of 212 functions, fitted to Stillinger-Weber silicon with a vacancy; virials fix its lattice constant."""
    truth = dg.reference.StillingerWeber("Si")
    basis = dg.ACEBasis(["Si"], cutoff=5.5, order=3, degree=12)
    cells = dg.training_cells(lattice, dg.vacancy(), 2, rattle=dg.training.Rattle(6, 0.05), strains=dg.Strains((0.01,)))
    return dg.fit(dg.label(cells, truth, basis, ["E", "F", "V"]), prior="smoothness(1e-6)").model


def crystals():
    """Name, lattice at rest, potential, sizes in conventional cells, peers."""
    copper, tungsten = dg.reference.CleriRosato("Cu"), dg.reference.FinnisSinclair("W")
    yield "Cu, second moment", dg.equilibrate(dg.fcc("Cu", 3.615), copper), copper, (4, 8)
    yield "W, Finnis-Sinclair", dg.equilibrate(dg.bcc("W", 3.165), tungsten), tungsten, (5, 10)
    model = fitted(dg.equilibrate(dg.diamond("Si", 5.43), dg.reference.StillingerWeber("Si")))
    yield "Si, fitted ACE", dg.equilibrate(dg.diamond("Si", 5.43), model), model, (4,)


PEERS = {"PreconLBFGS": precon_lbfgs, "FIRE": fire, "CG": conjugate_gradients}


def main():
    print(machine("ase", "scipy", "pyamg"))
    print(
        "vacancy: seconds; work is evaluations + Hessian products of ours, evaluations of the peer; difference is the largest, A"
    )
    print(
        f"{'crystal':<20}{'atoms':>6}{'fmax':>8}  {'peer':<12}{'ours':>7}{'peer':>7}  {'peer / ours':<28}"
        f"{'ours':>10}{'peer':>6}{'diff.':>10}"
    )
    for name, lattice, truth, sizes in crystals():
        for size in sizes:
            cell = dg.vacancy().apply(dg.supercell(lattice, size))
            by_us(cell, truth, 1e-3)  # compilation of either side is paid here
            by_ase(fire, cell, truth, 0.1)
            for label, peer in PEERS.items():
                if label == "PreconLBFGS" and len(cell) > 1000 and not installed("pyamg"):
                    print(f"{name:<20}{len(cell):>6}          {label}: left out, pyamg is not installed")
                    continue
                for tolerance in TOLERANCES:
                    if label == "CG" and tolerance < 1e-6:
                        continue  # energies no longer tell points apart
                    pair = row(name, cell, truth, tolerance, label, peer, turns=3 if tolerance == TOLERANCES[-1] else 1)
                    if label == "PreconLBFGS" and size == sizes[-1] and tolerance == TOLERANCES[-1]:
                        summary(f"relaxing {name}, {len(cell)} atoms, {tolerance:.0e} eV/A", "s", pair.ours, label, pair.theirs)


if __name__ == "__main__":
    main()
