"""Equilibria that another code computed: two structures and their energies as what `relax` returns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._input import InputError, came, check_finite, real
from .._typing import Float
from ..crystal.cell import Cell
from ..crystal.elements import checked_potentials
from ..crystal.lattice import Lattice
from ..crystal.mapping import Laid, check_not_swapped, lay_on, perfect_lattice
from ..crystal.snapshot import Snapshot
from ..energy.crystal_state import state_of
from .equilibrium import Equilibrium, check_reservoirs

TOLERANCE = 0.05
"""eV/A: forces that relaxations with electronic structure codes leave, usually 0.01 to 0.05."""

FAR_OFF, SMALL_CELL, EACH = 50.0, 5.0, 0.5
"""eV, eV and eV per atom: formation energies below the first are examined only if they exceed the second and the third times the
number of atoms, which a defect does not reach. An examined one is a mistake if both energies are of one size, or if it becomes a
hundred times smaller, in a small cell five times, with the bulk energy read as a total."""


def equilibrium(
    perfect: Any,
    relaxed: Any,
    energy: float | None = None,
    bulk_energy: float | None = None,
    forces: Float[np.ndarray, "atoms 3"] | None = None,
    stress: Float[np.ndarray, "*shape"] | None = None,
    bulk_stress: Float[np.ndarray, "*shape"] | None = None,
    chemical_potentials: Mapping[str, float] | None = None,
    tolerance: float = TOLERANCE,
    units: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
    energy_zero: str = "",
) -> Equilibrium:
    """A defect relaxed by another code, as the equilibrium that `relax` would return.

    Parameters
    ----------
    perfect : ase.Atoms, Snapshot, Lattice, Cell, str or Path
        The perfect crystal, in the orientation of the defect: its unit cell or any supercell. Of a file the last frame.
    relaxed : ase.Atoms, Snapshot, str or Path
        The relaxed structure with the defect, in any supercell of the crystal: atoms in any order, wrapped or not, the origin
        shifted by any vector. Of a file the last frame.
    energy : float, optional
        Of the whole relaxed structure, eV; by default the label that it carries.
    bulk_energy : float, optional
        Of the perfect crystal, eV per atom; by default the label of the perfect structure divided by its atoms.
    forces : array, (atoms, 3), optional
        Forces that the relaxation left, eV/A, in the order of `relaxed`; by default its label.
    stress, bulk_stress : array, (3, 3) or (6,), optional
        Of the relaxed structure and of the perfect crystal, eV/A^3, positive in tension, Voigt order xx yy zz yz xz xy; by
        default the labels. `elastic_dipole` takes both.
    chemical_potentials : mapping, optional
        eV per atom, by species, in the energy zero of the other code; as for `relax`.
    tolerance : float
        eV/A: the relaxation counts as converged if no force component is larger.
    units, keys : mapping, optional
        Of the labels, as for `dg.read_dataset`.
    energy_zero : str
        Name of what computed the energies. Energies of a fitted model have the same zero if the labels it was fitted to have this
        name (``fit.model.provenance["truth"]``).

    Returns
    -------
    Equilibrium
        Atoms in the order of `relaxed`. `cell` is the unrelaxed defect: ``dg.relax(result.cell, model)`` relaxes it with a
        potential, and ``dg.compare(result, ...)`` compares the two. `energy` is NaN where an energy is missing, and `residual`
        where forces are.

    Raises
    ------
    InputError
        For files that cannot be read, a perfect structure that is no crystal, a box that is no supercell of it, structures that
        do not differ, are unrelated or lie on each other in two ways, and numbers that are not finite or of the wrong shape.

    Warns
    -----
    InputWarning
        Of what `dg.read_dataset` warns of, and of chemical potentials that do not add up to the energy of the crystal.

    Notes
    -----
    The structure is laid on the crystal as `crystal.mapping.lay_on` explains. Displacements have no mean, as those of `relax`.
    Atoms that the defect moved off their site by more than 0.25 nearest-neighbour spacings, and interstitials, have their relaxed
    places as unrelaxed positions, so that their displacement is zero.

    Examples
    --------
    >>> import defectgen as dg
    >>> crystal = dg.fcc("Cu", 3.615)
    >>> structure = dg.to_ase(dg.vacancy().apply(dg.supercell(crystal, 2)))
    >>> found = dg.equilibrium(crystal, structure, energy=-107.0, bulk_energy=-3.5)
    >>> found.cell.defect, found.formation_energy
    ('v_Cu', 1.5)
    """
    tolerance = real(tolerance, "the tolerance of the forces of another code", 0, above=True, unit="eV/A")
    if not isinstance(energy_zero, str):
        raise InputError(f"the energy zero is named by a text; got {came(energy_zero)}")
    from ..bridge.one_structure import read_labelled  # the readers of ASE, which only this needs

    lattice, crystal = _crystal(perfect, units, keys)
    found = read_labelled(relaxed, "the relaxed structure", units, keys)
    check_not_swapped(lattice, found.vectors, found.positions, found.cell.symbols)
    if found.cell.periodic != lattice.periodic:
        raise InputError(
            f"the perfect and the relaxed structure must have the same boundary conditions; got pbc {list(lattice.periodic)} and "
            f"{list(found.cell.periodic)}: set atoms.pbc of both"
        )
    laid = lay_on(lattice, found.vectors, found.positions, found.cell.symbols, found.cell.free)
    cell, labels = laid.cell, found.labels or {}
    known = checked_potentials(chemical_potentials, cell)
    total = _number(energy, labels.get("energy"), "energy of the relaxed structure (eV)")
    atoms = len(crystal.cell) if crystal is not None else 0
    own = None if crystal is None or "energy" not in (crystal.labels or {}) else float((crystal.labels or {})["energy"]) / atoms
    each = _number(bulk_energy, own, "energy of the perfect crystal (eV per atom)")
    if total is not None and each is not None:
        _check_totals(total, each, len(cell), atoms)
    if each is not None:
        check_reservoirs(cell, each, known)
    left = _forces(forces, labels.get("forces"), cell)
    residual = float("nan") if left is None else float(np.abs(np.where(cell.free[:, None], left, 0.0)).max(initial=0.0))
    converged = left is None or residual <= tolerance
    notes = _notes(residual, tolerance, total, each)
    virial = _virial(stress, labels.get("virial"), laid, "stress of the relaxed structure")
    own_virial = None if crystal is None else (crystal.labels or {}).get("virial")
    scaled = None if own_virial is None else np.asarray(own_virial) * (len(cell.site_positions) / atoms)
    still = _virial(bulk_stress, scaled, laid, "stress of the perfect crystal")
    unrest = ""
    if still is not None:
        unrest = state_of(lattice, 0.0, None, still, len(cell.site_positions)).unrest(potential="code")
        notes += [unrest] if unrest else []
    return Equilibrium(
        cell=cell,
        positions=laid.positions,
        forces=np.full((len(cell), 3), np.nan) if left is None else np.where(cell.free[:, None], left, 0.0),
        energy=float("nan") if total is None or each is None else total - len(cell) * each,
        residual=residual,
        residuals=(residual,),
        converged=converged,
        eigenvalue=None,
        stability_constant=None,
        bulk_stable=None,
        newton_steps=0,
        energy_evaluations=0,
        hessian_products=0,
        eigenvalue_products=0,
        seconds=0.0,
        message="; ".join(notes),
        bulk_energy=each,
        chemical_potentials=known,
        energy_zero=energy_zero,
        unrest=unrest,
        residual_virial=None if virial is None or still is None else lattice.in_plane(virial - still),
    )


def _crystal(given: Any, units: Mapping[str, str] | None, keys: Mapping[str, str] | None) -> tuple[Lattice, Snapshot | None]:
    """The perfect crystal, and the structure with its labels where it came as one."""
    if isinstance(given, Lattice):
        return given, None
    if isinstance(given, Cell):
        if given.defect or len(given) != len(given.site_positions):
            raise InputError(f"the perfect crystal is a cell without a defect; got one with {given.defect!r}")
        return given.lattice, None
    from ..bridge.one_structure import read_labelled

    found = read_labelled(given, "the perfect structure", units, keys)
    return perfect_lattice(found.vectors, found.positions, found.cell.symbols, found.cell.periodic), found


def _number(given: Any, label: Any, what: str) -> float | None:
    """A number that was given, else the label; None where there is neither."""
    if given is not None:
        return real(given, f"the {what}")
    return None if label is None else float(label)


def _check_totals(total: float, each: float, atoms: int, perfect: int) -> None:
    """Raises InputError for an energy per atom in the place of a total, or the other way round."""
    formation = abs(total - atoms * each)
    if formation < min(FAR_OFF, max(SMALL_CELL, EACH * atoms)):
        return
    large = formation >= FAR_OFF
    if each and atoms > 3 and (0.5 < total / each < 2 if large else 0.7 < total / each < 1.4):
        raise InputError(
            f"energy is that of the whole relaxed structure ({atoms} atoms) and bulk_energy that of the perfect crystal per "
            f"atom; {total:.8g} and {each:.8g} eV are both per atom or both of whole structures"
        )
    if perfect > 1 and abs(total - atoms * each / perfect) < (0.01 if large else 0.2) * formation:
        raise InputError(
            f"bulk_energy is the energy of the perfect crystal per atom, and {each:.8g} eV seems to be that of all {perfect} "
            "atoms of the perfect structure; divide it by their number"
        )


def _forces(given: Any, label: Any, cell: Cell) -> np.ndarray | None:
    """Forces that were given, else those of the label, eV/A."""
    if given is None:
        return None if label is None else np.asarray(label, dtype=float)
    try:
        found = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (len(cell), 3):
        raise InputError(
            f"forces have one row for every atom of the relaxed structure, shape {(len(cell), 3)}; got "
            f"{came(given) if not found.size else f'shape {found.shape}'}"
        )
    check_finite(found, "forces of the relaxed structure")
    return found


def _virial(given: Any, label: Any, laid: Laid, what: str) -> np.ndarray | None:
    """-dE/d(strain) of the whole box, eV, from a stress (eV/A^3) that was given, else the label."""
    if given is None:
        return None if label is None else np.asarray(label, dtype=float)
    try:
        found = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape == (6,):
        xx, yy, zz, yz, xz, xy = found
        found = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if found.shape != (3, 3):
        raise InputError(
            f"the {what} is a (3, 3) array, or six numbers in Voigt order, eV/A^3; got "
            f"{came(given) if not found.size else f'shape {found.shape}'}"
        )
    check_finite(found, f"components of the {what}")
    return -(found + found.T) / 2 * abs(float(np.linalg.det(laid.cell.vectors)))


def _notes(residual: float, tolerance: float, total: float | None, each: float | None) -> list[str]:
    """What is known of the relaxation."""
    notes = ["relaxed elsewhere"]
    if np.isnan(residual):
        notes.append("no forces were given, so that it is taken as converged")
    elif residual > tolerance:
        notes.append(f"not converged: forces of {residual:.2g} eV/A remain (tolerance {tolerance:g} eV/A)")
    else:
        notes.append(f"forces of {residual:.2g} eV/A remain")
    if total is None or each is None:
        missing = " and ".join(n for n, v in (("energy", total), ("bulk_energy", each)) if v is None)
        notes.append(f"without an energy: {missing} not given")
    return notes
