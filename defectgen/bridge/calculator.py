"""An ASE calculator for any site energy: use a reference or a fitted model in ASE's optimisers, dynamics and tools."""

import warnings
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as Base
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from .._display import shown
from .._input import InputError, InputWarning
from .._typing import Float
from ..energy.applicability import Applicability, DomainWarning, above, outside_sentence
from ..energy.bonds import Bonds, bonds, pad
from ..energy.functional import SKIN
from ..energy.site import SiteEnergy, has_channels
from ..energy.total import energy_forces_virial
from .hessian import sparse_hessian
from .structures import boundaries, complete_cell, has_moments


@final
class Calculator(Base):
    """ASE calculator of a site energy: energy (eV), forces (eV/A), stress (eV/A^3, xx yy zz yz xz xy, tensile positive), Hessian.

    Molecules, slabs and wires may leave cell vectors out along open directions. The Hessian is asked as
    `calculator.get_property("hessian", atoms)` and is a scipy block-sparse matrix of shape (3N, 3N), as matscipy's is.

    With a `domain`, made for the model by `dg.domain`, the results also hold "grades", one number an atom, and a DomainWarning
    says in one sentence when an atom is outside; it is said again when the worst grade has doubled, not at every step.
    Open directions of `atoms.pbc` are open. Initial magnetic moments and charges do not count (InputWarning, once).
    `list_updates` counts the neighbour lists that were built.
    Raises InputError for anything but a scalar site energy, a domain that is none or another model's, and atoms it does not know.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "hessian", "grades"]  # noqa: RUF012 (ASE's protocol)

    def __init__(self, potential: Any, domain: Any = None):  # judged here, in words
        if not isinstance(potential, SiteEnergy):
            raise InputError(
                f"Calculator needs a site energy, that is a reference potential or a fitted model; got {type(potential).__name__}"
            )
        if has_channels(potential):
            raise InputError("Calculator needs one energy per site, and a basis has many: give it LinearACE(basis, coefficients)")
        if domain is not None and not isinstance(domain, Applicability):
            raise InputError(f"the domain of a Calculator is made by dg.domain(cells, fit) or None; got {type(domain).__name__}")
        if domain is not None and not domain.belongs_to(potential):
            raise InputError(
                "this domain was made for another model; make it with dg.domain(cells, fit) from the fit of this one"
            )
        super().__init__()
        self.potential, self.domain = potential, domain
        self.list_updates = 0
        self._said: float | None = None
        self._bonds: Bonds | None = None
        self._built_for: Atoms | None = None
        self._said_moments = False

    def __repr__(self) -> str:
        return shown(self, repr(self.potential), "" if self.domain is None else repr(self.domain))

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate energy, forces and stress at once, and the Hessian where it is among the properties; ASE calls this method.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            Atoms to evaluate; by default those that the calculator is attached to.
        properties : sequence of str
            What is needed, by ASE's names; also "hessian" (eV/A^2, sparse, 3 atoms x 3 atoms) and "grades".
        system_changes : sequence of str
            What has changed since the last call, by ASE's names.

        Raises
        ------
        InputError
            There are no atoms.
        PropertyNotImplementedError
            ASE's own: stress of a cell that is open in some direction, or grades without a domain.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise InputError("there are no atoms to evaluate; pass some, or attach the calculator to them")
        if not self._said_moments and has_moments(atoms):
            self._said_moments = True
            warnings.warn(
                f"{atoms.get_chemical_formula()} has initial magnetic moments or charges, which are ignored: this potential has "
                "no spin and no charge",
                InputWarning,
                stacklevel=3,
            )
        if "stress" in properties and not all(atoms.pbc):
            raise PropertyNotImplementedError(f"stress needs a cell periodic in all directions; this one has pbc {atoms.pbc}")
        if "grades" in properties and self.domain is None:
            raise PropertyNotImplementedError("grades need a domain: Calculator(model, domain=dg.domain(cells, fit))")
        x, box = atoms.positions, complete_cell(atoms)
        if system_changes:
            self.results = {}
        if "energy" not in self.results:
            near = self._neighbours(atoms, box)
            padded = pad(x, near.index.shape[0])
            values, forces, virial = energy_forces_virial(self.potential, padded, box, near)
            energies = np.array(values)[: len(x)]
            energy = float(energies.sum())
            self.results.update(energy=energy, free_energy=energy, energies=energies, forces=np.array(forces)[: len(x)])
            if all(atoms.pbc):
                self.results["stress"] = full_3x3_to_voigt_6_stress(-np.asarray(virial) / atoms.get_volume())
            self._judge(atoms, box)
        if "hessian" in properties:  # with its own list: a skin would make every site's Hessian larger
            near = bonds(x, box, boundaries(atoms), tuple(atoms.symbols), self.potential)
            self.results["hessian"] = sparse_hessian(self.potential, pad(x, near.index.shape[0]), box, near, len(x))

    def _judge(self, atoms: Atoms, box: Float[np.ndarray, "3 3"]) -> None:
        """The grades of the domain, and a warning if they are worse than what was warned of."""
        if self.domain is None:
            return
        grades = self.domain.levels(tuple(atoms.symbols), atoms.positions, box, boundaries(atoms))
        self.results["grades"] = grades
        worst = np.nan_to_num(grades, nan=np.inf).max(initial=-np.inf)
        if above(grades, self.domain.threshold).any() and (self._said is None or worst > self._said):
            warnings.warn(outside_sentence(grades, self.domain.threshold, self.domain.measure), DomainWarning, stacklevel=2)
            self._said = 2 * worst

    def _neighbours(self, atoms: Atoms, box: Float[np.ndarray, "3 3"]) -> Bonds:
        """The neighbour list with a skin; a new one if an atom moved by half the skin, or anything but positions changed."""
        old, near = self._built_for, self._bonds
        if (
            old is None
            or near is None
            or len(old) != len(atoms)
            or np.any(old.numbers != atoms.numbers)
            or np.any(old.pbc != atoms.pbc)
            or np.any(old.cell != atoms.cell)
            or not np.linalg.norm(atoms.positions - old.positions, axis=1).max() < SKIN / 2
        ):
            near = bonds(atoms.positions, box, boundaries(atoms), tuple(atoms.symbols), self.potential, SKIN)
            self._bonds, self._built_for = near, atoms.copy()
            self.list_updates += 1
        return near
