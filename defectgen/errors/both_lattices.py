"""Two potentials with two lattice constants: the error of a defect on the reference's lattice, and on the model's own."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .._display import shown
from .._input import InputError, InputWarning
from ..crystal import Defect, Lattice, supercell
from ..energy.crystal_state import crystal_state
from ..energy.potential import Potential
from ..reference import equilibrate
from ..relax import Equilibrium, relax
from .compare import Comparison, compare


@dataclass(frozen=True, eq=False)
class LatticeComparison:
    """Errors of a model for one defect in the two conventions that are in use."""

    held: Comparison
    """On the reference's lattice constant: one cell for both. What a model predicts in the reference's cell, its own pressure
    there included; what this package compares everywhere else."""
    energy_own: float
    """On its own lattice constant: formation energy of the model minus that of the reference, each at zero stress, eV."""
    geometry_own: float
    """The same for ||D(u_model - u)||_l2, A, each displacement measured from its own perfect crystal."""
    exact: Equilibrium
    on_reference: Equilibrium
    """The model on the reference's lattice."""
    on_own: Equilibrium
    """The model on its own lattice."""
    lengths: float
    """Nearest-neighbour spacing of the model's crystal over that of the reference's."""
    pressure: float
    """Of the model's perfect crystal on the reference's lattice, GPa (N/m in two dimensions)."""

    def __repr__(self) -> str:
        return shown(
            self,
            f"energy error {self.held.energy_signed:+.4g} eV on the reference's lattice constant",
            f"{self.energy_own:+.4g} eV each on its own",
            f"geometry error {self.held.geometry:.3g} A",
        )

    def summary(self) -> str:
        """Both conventions in words."""
        unit = "GPa" if self.exact.cell.lattice.dimension == 3 else "N/m"
        return (
            f"on the reference's lattice constant (model under {self.pressure:.3g} {unit}): energy error "
            f"{self.held.energy_signed:+.4f} eV, geometry error {self.held.geometry:.4f} A\n"
            f"each on its own lattice constant (ratio {self.lengths:.5f}): energy error {self.energy_own:+.4f} eV, "
            f"geometry error {self.geometry_own:.4f} A"
        )

    def __str__(self) -> str:
        return self.summary()


NOISY = 1e-3
"""eV/A: largest force that noise may leave. At a stiffness of 1 eV/A^2 it is a displacement of 1e-3 A and 1e-6 eV."""


def _relaxed(found: Equilibrium, what: str, forgiving: bool) -> Equilibrium:
    """The equilibrium, if it is one to the noise of the forces. Raises InputError for any other."""
    if found.converged:
        return found
    if not (forgiving and found.noisy and found.residual <= NOISY):
        raise InputError(f"{what} did not relax: {found.message}")
    warnings.warn(
        f"{what} is relaxed to {found.residual:.1e} eV/A, the noise of its forces (single precision, or a code that is not "
        "tightly converged); at a stiffness of 1 eV/A^2 displacements are known to about as many A",
        InputWarning,
        stacklevel=3,
    )
    return replace(found, converged=True)


def compare_on_both_lattices(
    defect: Defect,
    lattice: Lattice,
    size: int | tuple[int, ...] | np.ndarray,
    truth: Potential,
    model: Potential,
    *,
    tolerance: float | None = None,
    chemical_potentials: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
) -> LatticeComparison:
    """Error of a model for a defect, on the reference's lattice constant and on its own; for any two potentials.

    Parameters
    ----------
    defect
        Such as `dg.vacancy()`.
    lattice
        The crystal near equilibrium; its lattice constant is only a start.
    size
        Conventional cells of the periodic box, as in `dg.supercell`.
    truth, model
        Two potentials: references, fitted models or `dg.ASEReference(calculator)`.
    tolerance
        Largest force component of the relaxations, eV/A; that of `dg.relax` by default.
    chemical_potentials
        Those of `truth` and those of `model`, each in its own energy zero (eV per atom): for defects that exchange atoms of a
        compound.

    Returns
    -------
    LatticeComparison
        `held` (the model in the reference's cell), `energy_own` and `geometry_own` (each at its own zero stress).

    Raises
    ------
    InputError
        If one potential has no equilibrium near the lattice, or a relaxation did not converge.

    Warns
    -----
    InputWarning
        Of forces in single precision, or noisy for another reason, which end a relaxation early: without a tolerance up to 1e-3
        eV/A may be left.

    Notes
    -----
    A fit to data of the reference has nearly its lattice constant, and the two conventions agree. For other potentials they
    differ by the work of the pressure on the relaxation volume, p dV, to first order.
    """
    if not isinstance(defect, Defect):
        raise InputError(f"a defect is needed, such as dg.vacancy(); got {type(defect).__name__}")
    theirs, ours = (None, None) if chemical_potentials is None else chemical_potentials
    at_truth = equilibrate(lattice, truth)
    at_model = equilibrate(at_truth, model)
    cell, own_cell = (defect.apply(supercell(one, size)) for one in (at_truth, at_model))
    if own_cell.symbols != cell.symbols or not np.array_equal(own_cell.sites, cell.sites):
        raise InputError("the defect was placed on other sites in the model's crystal; give the supercell another shape")
    exact = relax(cell, truth, tolerance=tolerance, chemical_potentials=theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # the model's pressure is part of this convention, and in the result
        held = relax(cell, model, start=exact, tolerance=tolerance, eigenvalue=False, chemical_potentials=ours)
    deformation = np.linalg.solve(cell.vectors, own_cell.vectors)
    start = own_cell.positions + exact.displacement @ deformation
    own = relax(own_cell, model, start=start, tolerance=tolerance, eigenvalue=False, chemical_potentials=ours)
    exact, held, own = (
        _relaxed(one, f"the {name}", tolerance is None)
        for name, one in (("reference", exact), ("model on the reference's lattice", held), ("model on its own lattice", own))
    )
    with_own = compare(exact, replace(own, cell=cell, positions=cell.positions + own.displacement))
    return LatticeComparison(
        held=compare(exact, held),
        energy_own=with_own.energy_signed,
        geometry_own=with_own.geometry,
        exact=exact,
        on_reference=held,
        on_own=own,
        lengths=at_model.nearest_neighbour / at_truth.nearest_neighbour,
        pressure=crystal_state(at_truth, model).pressure,
    )
