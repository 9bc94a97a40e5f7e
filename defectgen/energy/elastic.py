"""Elastic constants of any potential: from jets where there are some, else by differences of a black box's stress or energy."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from .._input import InputError, InputWarning
from .._typing import Float
from ..crystal.cell import primitive_cell
from ..crystal.lattice import Lattice
from ..units import EV_PER_A3_IN_GPA
from .blackbox import BlackBox, gives_stress
from .crystal_state import crystal_response
from .perfect import condensed, long_wave_elastic_constants, strain_modes
from .potential import Potential, check_potential

PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Voigt order xx yy zz yz xz xy."""

PLANE = (0, 1, 5)
"""Places of xx, yy and xy."""

STRESSED = 1e-3
"""Stress relative to the largest elastic constant from which a lattice is called stressed: the definitions of elastic constants
differ by as much."""

AT_REST = 0.02
"""eV/A: internal forces from which the sublattices are called off their places; relaxed structures in files stay below."""


class ElasticConstants(np.ndarray):
    """Elastic constants C, 6 x 6, Voigt order xx yy zz yz xz xy, eV/A^3 (eV/A^2 in two dimensions), and how they were found.

    They are the second derivatives of the energy per volume in the symmetric deformation 1 + e, internal coordinates relaxed.
    Without stress all definitions agree; with stress `stress_strain` gives the other usual one. What is computed from the array
    is a plain array.
    """

    stress: Float[np.ndarray, "3 3"]
    """Stress of the lattice, tensile positive, eV/A^3 (eV/A^2)."""
    route: str
    """"jets" (analytic), "stress differences" or "energy differences"."""
    step: float | None
    """Strain of the finite differences, if there are any: central ones at this strain and twice it, extrapolated."""
    error: float | None
    """Estimate of the largest error of an entry, eV/A^3: what the extrapolation changed. None for jets."""

    def __new__(
        cls, values: np.ndarray, stress: np.ndarray, route: str = "jets", step: float | None = None, error: float | None = None
    ):
        """The values with their origin."""
        made = np.array(values, dtype=float).view(cls)
        made.stress, made.route, made.step, made.error = np.array(stress, dtype=float), route, step, error
        return made

    def __array_finalize__(self, source: np.ndarray | None) -> None:
        """Views share the origin of what they were taken from."""
        for name, default in (("stress", np.zeros((3, 3))), ("route", ""), ("step", None), ("error", None)):
            setattr(self, name, getattr(source, name, default))

    def __repr__(self) -> str:
        if self.shape != (6, 6):
            return repr(np.asarray(self))
        unit = "eV/A^2" if not np.asarray(self)[2].any() else "eV/A^3"
        rows = "\n".join("    " + " ".join(f"{x:9.5f}" for x in row) for row in np.asarray(self) + 0.0)
        return (
            f"ElasticConstants({unit}, by {self.route}, Voigt order xx yy zz yz xz xy:\n{rows.replace('-0.00000', ' 0.00000')})"
        )

    def __str__(self) -> str:
        return repr(self) if self.shape == (6, 6) else str(np.asarray(self))

    def __array_wrap__(self, array, context=None, return_scalar=False):
        """Results of arithmetic are plain arrays and numbers."""
        return array[()] if return_scalar else np.asarray(array)

    def __reduce__(self):
        """Pickled with its origin."""
        return ElasticConstants, (np.asarray(self), self.stress, self.route, self.step, self.error)

    @property
    def pressure(self) -> float:
        """Minus the mean of the normal stresses, eV/A^3 (eV/A^2)."""
        planar = not np.asarray(self)[2].any()
        return -float(np.trace(self.stress)) / (2 if planar else 3)

    @property
    def stress_strain(self) -> Float[np.ndarray, "6 6"]:
        """Birch's coefficients B = d(Cauchy stress)/d(strain), which stability under load and other codes' fits refer to.

        B_ijkl = C_ijkl + (d_ik s_jl + d_il s_jk + d_jk s_il + d_jl s_ik)/4 - s_ij d_kl with the stress s; D. C. Wallace,
        Thermodynamics of Crystals (1972). Under a pressure p: B11 = C11, B12 = C12 + p, B44 = C44 - p/2.
        """
        values, s, one = np.array(self), self.stress, np.eye(3)
        live = np.flatnonzero(values.any(axis=1)) if values.any() else np.arange(6)
        for a in live:
            for b in live:
                (i, j), (k, m) = PAIRS[a], PAIRS[b]
                turn = one[i, k] * s[j, m] + one[i, m] * s[j, k] + one[j, k] * s[i, m] + one[j, m] * s[i, k]
                values[a, b] += turn / 4 - s[i, j] * one[k, m]
        return values

    @property
    def sentence(self) -> str:
        """Which constants these are, and how they were found."""
        how = "analytic" if self.step is None else f"by {self.route} at strain {self.step:.2g}, error about {self.error:.1g}"
        return f"second derivatives of the energy in the symmetric strain, internal coordinates relaxed, {how}"


def elastic_constants(lattice: Lattice, potential: Potential) -> ElasticConstants:
    """Relaxed-ion elastic constants of a crystal for any potential.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal, preferably relaxed (`dg.equilibrate`).
    potential : SiteEnergy or BlackBox
        A reference, a fitted model or `dg.ASEReference(calculator)`. A site energy gives them from its jets, by the method of
        long waves. A black box is differenced: its stress (its energy, if it has no stress) under six strains, its forces under
        the same strains and under shifts of every sublattice, by central differences at a strain of `potential.step` over the
        nearest-neighbour distance and at twice that, extrapolated.

    Returns
    -------
    ElasticConstants
        A 6 x 6 array, Voigt order xx yy zz yz xz xy, eV/A^3, with the fields `stress`, `route`, `step`, `error` and
        `stress_strain`. In two dimensions rows and columns zz, yz and xz are zero and the unit is eV/A^2.

    Raises
    ------
    InputError
        For something that is no potential, and where the black box fails.

    Notes
    -----
    A lattice under stress has several kinds of elastic constants; an InputWarning says which ones these are.
    theory: crystal/elastic-constants.
    """
    if not isinstance(lattice, Lattice):
        raise InputError(f"elastic constants are those of a lattice, such as dg.fcc('Cu', 3.615); got {type(lattice).__name__}")
    check_potential(potential)
    if isinstance(potential, BlackBox):
        found, forces = _differenced(lattice, potential)
    else:
        _, forces, virial = crystal_response(lattice, potential)
        found = ElasticConstants(
            long_wave_elastic_constants(lattice, potential), lattice.in_plane(-np.asarray(virial) / lattice.volume)
        )
    _warn_of_load(lattice, found, forces)
    return found


def _warn_of_load(lattice: Lattice, found: ElasticConstants, forces: np.ndarray) -> None:
    """One sentence if the lattice is not relaxed."""
    unit, factor = ("GPa", EV_PER_A3_IN_GPA) if lattice.dimension == 3 else ("eV/A^2", 1.0)
    load, largest = float(np.abs(found.stress).max()), float(np.abs(np.asarray(found)).max())
    push = float(np.abs(forces[:, : lattice.dimension]).max(initial=0.0))
    if push <= AT_REST and not load <= STRESSED * largest:
        warnings.warn(
            f"{lattice.name} is under a stress of up to {load * factor:.3g} {unit} (pressure {found.pressure * factor:.3g}); "
            "these elastic constants are second derivatives of the energy in the symmetric strain; .stress_strain has the "
            "coefficients of stress and strain, and dg.equilibrate the lattice without stress, where both agree",
            InputWarning,
            stacklevel=3,
        )
    if not push <= AT_REST:
        warnings.warn(
            f"the sublattices of {lattice.name} are not relaxed (forces up to {push:.2g} eV/A, stress up to {load * factor:.3g} "
            f"{unit}): its elastic constants are those of a structure that would relax; use dg.equilibrate first",
            InputWarning,
            stacklevel=3,
        )


@dataclass(frozen=True, eq=False)
class _Slopes:
    """First derivatives of the energy at one deformation of the primitive cell."""

    strain: Float[np.ndarray, " modes"]
    """dE/d(amplitude of each strain mode), eV; zero if the black box has no stress."""
    shift: Float[np.ndarray, " shifts"]
    """dE/d(shift of each sublattice along each axis), eV/A."""
    energy: float


def _differenced(lattice: Lattice, potential: BlackBox) -> tuple[ElasticConstants, np.ndarray]:
    """Elastic constants of a black box, and the forces on the sublattices, eV/A."""
    d, n = lattice.dimension, lattice.sublattices
    places = range(6) if d == 3 else PLANE
    modes = [strain_modes()[k] for k in places]
    count, shifts = len(modes), n * d if n > 1 else 0
    step = potential.step / lattice.nearest_neighbour
    has_stress = gives_stress(potential, primitive_cell(lattice))

    def slopes(deformation: np.ndarray, shift: np.ndarray) -> _Slopes:
        strained = lattice.deformed(np.eye(3) + deformation)
        cell = primitive_cell(strained.with_motif(strained.motif + shift))
        found = potential.evaluate(cell.symbols, cell.positions, cell.vectors, cell.periodic, has_stress)
        strain = np.zeros(count)
        if found.virial is not None:
            moved = -np.asarray(found.virial) @ np.linalg.inv(np.eye(3) + deformation)  # dE/dF, F = 1 + deformation
            strain = np.array([np.sum(moved * e) for e in modes])
        return _Slopes(strain, -np.asarray(found.forces)[:, :d].ravel()[:shifts], float(found.energy))

    still = np.zeros((n, 3))
    rest = slopes(np.zeros((3, 3)), still)

    def second(h: float) -> np.ndarray:
        """Second derivatives in the strains and shifts, eV, by central differences."""
        total = np.zeros((count + shifts, count + shifts))
        along = [[slopes(s * h * e, still) for s in (1, -1)] for e in modes]
        for m, (plus, minus) in enumerate(along):
            total[m, :count] = (plus.strain - minus.strain) / (2 * h)
            total[m, count:] = total[count:, m] = (plus.shift - minus.shift) / (2 * h)
            if not has_stress:
                total[m, m] = (plus.energy - 2 * rest.energy + minus.energy) / h**2
        if not has_stress:
            for m, k in combinations(range(count), 2):
                corner = {(s, t): slopes(h * (s * modes[m] + t * modes[k]), still).energy for s in (1, -1) for t in (1, -1)}
                mixed = corner[1, 1] - corner[1, -1] - corner[-1, 1] + corner[-1, -1]
                total[m, k] = total[k, m] = mixed / (4 * h**2)
        length = h * lattice.nearest_neighbour
        for c in range(shifts):
            move = np.zeros((n, 3))
            move[divmod(c, d)] = length
            plus, minus = (slopes(np.zeros((3, 3)), s * move) for s in (1, -1))
            total[count + c, count:] = (plus.shift - minus.shift) / (2 * length)
        return (total + total.T) / 2

    coarse, fine = second(2 * step), second(step)
    best = (4 * fine - coarse) / 3
    values, plain = (condensed(m, count, d) / lattice.volume for m in (best, fine))
    full = np.zeros((6, 6))
    full[np.ix_(list(places), list(places))] = values
    if has_stress:
        slope = rest.strain
    else:
        slope = np.array([_energy_slope(slopes, e, step, still) for e in modes])
    stress = np.zeros((3, 3))
    for k, value in zip(places, slope / lattice.volume, strict=True):
        i, j = PAIRS[k]
        stress[i, j] = stress[j, i] = value
    route = "stress differences" if has_stress else "energy differences"
    forces = np.zeros((n, 3))
    if shifts:
        forces[:, :d] = -rest.shift.reshape(n, d)
    return ElasticConstants(full, stress, route, step, float(np.abs(values - plain).max())), forces


def _energy_slope(slopes: Callable[..., Any], mode: np.ndarray, step: float, still: np.ndarray) -> float:
    """dE/d(amplitude) of a strain mode by central differences of energies at two steps, extrapolated, eV."""
    energy = {s: slopes(s * step * mode, still).energy for s in (1, -1, 2, -2)}
    return (8 * (energy[1] - energy[-1]) - (energy[2] - energy[-2])) / (12 * step)
