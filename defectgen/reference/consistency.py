"""Whether labels of another code can be fitted together: one energy per atom in all cells, forces that are its gradient."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError, InputWarning, real
from .._typing import Float
from ..crystal.cell import Cell, check_lattice, primitive_cell, supercell
from ..crystal.lattice import Lattice
from ..energy.blackbox import BlackBox, Evaluation
from ..energy.functional import evaluate
from ..energy.potential import Potential, check_potential, potential_name
from ..units import EV_PER_A3_IN_GPA

ENERGY = 2e-3
"""eV per atom: cells of k-points that are equivalent, or dense enough, agree to it; 63 atoms then shift a formation energy by
0.13 eV at most."""

WORK = 0.03
"""Part of the change of the energy: Simpson's rule leaves 1e-4 of it at the displacements below, and converged forces 1e-3."""

LEAST = 1e-5
"""eV per atom: changes of the energy below it are the threshold of a self-consistent calculation."""

RATTLE = 0.03
"""A: standard deviation of the displacements between whose single and double the energy is compared with the work of forces."""

STRETCH = 0.02
"""Isotropic strain over which the energy is compared with the work of the stress."""

STRESS = 1.0
"""GPa: a Pulay stress above it is worth a warning."""

FAR = (0.6, 1.6)
"""Work of the stress over the change of the energy: outside, sign or unit is wrong; a Pulay stress stays inside."""


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """How well the labels of a reference agree with each other."""

    energies: tuple[tuple[int, float], ...]
    """Atoms of every cell, and energy per atom of the perfect crystal in it, eV."""
    energy_spread: float
    """Largest difference of these, eV per atom."""
    work: float
    """Work of the forces between two rattled configurations, eV."""
    energy_change: float
    """What the energy changes between them, eV; minus the work if forces are minus its gradient."""
    net_force: float
    """Largest component of the sum of the forces of a rattled cell over the number of atoms, eV/A."""
    stress_difference: float | None
    """Pressure from differences of energies minus that from the stress, mean over an expansion by 2 %, GPa: the Pulay stress of a
    plane-wave code. None without a stress."""
    evaluations: int

    @property
    def force_error(self) -> float:
        """Part of the change of the energy that the work of the forces misses."""
        return abs(self.work + self.energy_change) / max(abs(self.energy_change), 1e-300)

    def __str__(self) -> str:
        cells = ", ".join(f"{count}: {energy:.6f}" for count, energy in self.energies)
        lines = [
            f"perfect crystal, eV per atom by atoms of the cell: {cells}; spread {1e3 * self.energy_spread:.3g} meV",
            f"work of forces {self.work:.5f} eV, change of energy {self.energy_change:.5f} eV: off by {self.force_error:.2%}",
            f"net force {self.net_force:.1e} eV/A per atom",
        ]
        if self.stress_difference is not None:
            lines.append(f"pressure of energies minus that of stresses: {self.stress_difference:+.3g} GPa")
        return "\n".join(lines)


def check_labels(
    reference: Potential,
    lattice: Lattice,
    sizes: Sequence[int | tuple[int, ...] | np.ndarray] = (1,),
    *,
    energy_tolerance: float = ENERGY,
    work_tolerance: float = WORK,
    stress: bool = True,
    seed: int = 0,
) -> LabelCheck:
    """Check that labels of a reference are consistent, before many of them are computed.

    Parameters
    ----------
    reference : BlackBox or SiteEnergy
        What labels are computed with, such as ``dg.ASEReference(calculator)``.
    lattice : Lattice
        The perfect crystal, near equilibrium.
    sizes : sequence
        Supercells, as `dg.supercell` takes them, that will be labelled or simulated; the primitive cell is always compared too.
        Forces are checked in the first of them.
    energy_tolerance : float
        Largest difference of the energy per atom of the perfect crystal between the cells, eV.
    work_tolerance : float
        Largest difference between the work of the forces and the change of the energy, as a part of the latter.
    stress : bool
        Whether the stress is compared with the energy too, where the reference has one.
    seed : int
        Of the displacements.

    Returns
    -------
    LabelCheck

    Raises
    ------
    InputError
        If the energy per atom depends on the cell, if forces are not minus the gradient of the energy, or if the stress has
        another sign or unit.

    Warns
    -----
    InputWarning
        If pressures from stresses and from energies differ by more than 1 GPa: the Pulay stress of a low cutoff.

    Notes
    -----
    With displacements u of 0.03 A the energies at x + u and x + 2u are compared with the work of the forces by Simpson's rule,
    E(2) - E(1) = -(f(1) + 4 f(1.5) + f(2)) . u / 6, which is exact for a harmonic crystal and for cubic terms. The same holds
    for the virial between no strain and 2 %.

    Examples
    --------
    >>> import defectgen as dg
    >>> copper = dg.equilibrate(dg.fcc("Cu", 3.6), dg.reference.CleriRosato("Cu"))
    >>> check = dg.check_labels(dg.reference.CleriRosato("Cu"), copper, (1, 2))
    >>> check.energy_spread < 1e-9, check.force_error < 1e-3
    (True, True)
    """
    check_potential(reference)
    check_lattice(lattice)
    real(energy_tolerance, "the tolerance of energies per atom", 0, above=True, unit="(eV)")
    real(work_tolerance, "the tolerance of the work of forces", 0, above=True)
    if not isinstance(sizes, Sequence) or not len(sizes):
        raise InputError(f"sizes are a list of supercells, such as (1, 2); got {sizes!r}")
    name = potential_name(reference)
    cells = [primitive_cell(lattice), *(supercell(lattice, size) for size in sizes)]  # pyright: ignore[reportArgumentType]
    stressed = stress and all(lattice.periodic) and (not isinstance(reference, BlackBox) or reference.has_stress)
    found = [evaluate(reference, cell, stress=stressed and k == 0) for k, cell in enumerate(cells)]
    energies = [(len(cell), result.energy / len(cell)) for cell, result in zip(cells, found, strict=True)]
    spread = compare_sizes(energies, name, energy_tolerance)
    work, change, net = _work_of_forces(reference, cells[1], seed)
    _judge_forces(work, change, len(cells[1]), name, work_tolerance)
    pulay = _work_of_stress(reference, cells[0], found[0], name) if stressed else None
    return LabelCheck(tuple(energies), spread, work, change, net, pulay, len(cells) + 3 + (2 if stressed else 0))


def compare_sizes(energies: Sequence[tuple[int, float]], name: str, tolerance: float = ENERGY) -> float:
    """Largest difference of energies per atom of the perfect crystal.

    Parameters
    ----------
    energies : sequence of (int, float)
        Atoms of every cell, and eV per atom; cells of other shapes may have as many atoms.
    name : str
        What the message calls the reference.
    tolerance : float
        eV per atom.

    Returns
    -------
    float
        eV per atom.

    Raises
    ------
    InputError
        If it is above the tolerance.
    """
    (low, least), (high, most) = min(energies, key=lambda e: e[1]), max(energies, key=lambda e: e[1])
    spread = most - least
    if not spread <= tolerance:
        raise InputError(
            f"energies of {name} depend on the size of the cell: the perfect crystal has {least:.4f} eV per atom in the "
            f"cell of {low} atoms and {most:.4f} eV in that of {high}, a difference of {1e3 * spread:.3g} meV "
            f"(tolerance {1e3 * tolerance:g} meV), so labels of both cannot be fitted together; use equivalent k-points in all "
            "cells (dg.bridge.common_kpoints), a denser mesh, or a code that is not limited to the Gamma point"
        )
    return float(spread)


def _work_of_forces(reference: Potential, cell: Cell, seed: int) -> tuple[float, float, float]:
    """Work between a rattle and its double, change of the energy (eV), and the net force per atom (eV/A)."""
    inside = np.array([1.0, 1.0, 1.0 if cell.lattice.dimension == 3 else 0.0])
    u = RATTLE * np.random.default_rng(seed).normal(size=(len(cell), 3)) * inside
    results = [evaluate(reference, cell, cell.positions + s * u, stress=False) for s in (1.0, 1.5, 2.0)]
    push = [float(np.vdot(r.forces, u)) for r in results]
    net = float(np.abs(results[0].forces.sum(axis=0)).max()) / len(cell)
    return (push[0] + 4 * push[1] + push[2]) / 6, results[2].energy - results[0].energy, net


def _judge_forces(work: float, change: float, atoms: int, name: str, tolerance: float) -> None:
    if abs(work + change) <= tolerance * abs(change) + LEAST * atoms:
        return
    raise InputError(
        f"forces of {name} are not minus the gradient of its energy: between two rattled configurations of {atoms} atoms the "
        f"energy changes by {change:.5g} eV and the forces do a work of {work:.5g} eV, which should be {-change:.5g} eV "
        f"(tolerance {tolerance:.0%}); converge the self-consistency further, use the free energy where occupations are "
        "smeared, and check the units"
    )


def _work_of_stress(reference: Potential, cell: Cell, rest: Evaluation, name: str) -> float:
    """Pressure of the energies minus that of the stress over an expansion, GPa."""
    results = [rest]
    for strain in (STRETCH / 2, STRETCH):
        scale = np.exp(strain)
        results.append(evaluate(reference, cell, cell.positions * scale, cell.vectors * scale, stress=True))
    traces = [float(np.trace(_virial(r))) for r in results]
    work = STRETCH * (traces[0] + 4 * traces[1] + traces[2]) / 6
    change = results[2].energy - results[0].energy
    volume = abs(float(np.linalg.det(cell.vectors)))
    pulay = -(work + change) / (3 * STRETCH * volume) * EV_PER_A3_IN_GPA
    ratio = -work / change if change else np.inf
    if abs(pulay) > STRESS and not FAR[0] < ratio < FAR[1]:
        raise InputError(
            f"stresses of {name} are not the derivative of its energy: over an expansion by {STRETCH:.0%} the energy changes by "
            f"{change:.4g} eV, and the work of the stress gives {-work:.4g} eV; check its sign and unit, or raise the cutoff of "
            "the basis set"
        )
    if abs(pulay) > STRESS:
        warnings.warn(
            f"stresses of {name} differ from the derivative of its energy by {pulay:+.3g} GPa (Pulay stress of a basis set that "
            "changes with the box): elastic constants and the lattice constant belong to the stress; raise the cutoff for less",
            InputWarning,
            stacklevel=3,
        )
    return float(pulay)


def _virial(result: Evaluation) -> Float[np.ndarray, "3 3"]:
    assert result.virial is not None  # it was requested
    return np.asarray(result.virial)
