"""``defectgen export``: a model for LAMMPS, force constants for phonopy, structures labelled by a potential."""

from dataclasses import replace
from pathlib import Path

from .._input import InputError, save_whole
from ..ace import export as write_yace
from ..ace import load_model
from ..bridge import fold_force_constants, read_extxyz, to_ase, write_extxyz, write_force_constants
from ..crystal import supercell
from ..energy import crystal_force_constants, evaluate
from ..reference import equilibrate
from ..study import build_lattice
from ..study import material as material_named
from ..study.potentials import potential_from_spec
from .speak import say

FORMATS = ("yace", "phonopy", "extxyz")


def export(model: str, kind: str, out: Path, material: str | None, size: int, structures: Path | None) -> int:
    """Write a potential in another form; 0.

    Raises
    ------
    InputError
        The format is unknown, something that it needs is not given, or a file cannot be used or written.
    """
    if kind not in FORMATS:
        raise InputError(f"the format is {', '.join(FORMATS)}; got {kind!r}")
    if (material is not None) != (kind == "phonopy") or (structures is not None) != (kind == "extxyz"):
        needs = {"phonopy": "--material", "extxyz": "--structures", "yace": "neither --material nor --structures"}
        raise InputError(f"the format {kind} takes {needs[kind]}")
    if kind == "yace":
        return _yace(model, out)
    return _phonopy(model, out, str(material), size) if kind == "phonopy" else _extxyz(model, out, Path(str(structures)))


def _yace(model: str, out: Path) -> int:
    potential = load_model(model)
    written = write_yace(potential, out)  # type: ignore[arg-type] - refused in words there
    say(
        f"wrote {written.path}: {written.functions} functions; splines of {written.spacing:g} A change a site energy by "
        f"{written.energy_error:.1e} eV and its derivative along a bond by {written.force_error:.1e} eV/A at most"
    )
    say(f"wrote {written.lammps_input}: an input for LAMMPS (pair_style pace)")
    return 0


def _phonopy(model: str, out: Path, material: str, size: int) -> int:
    """SPOSCAR and FORCE_CONSTANTS of a supercell at zero stress of the potential, atoms in one order."""
    potential = potential_from_spec(model, code=True)
    lattice = equilibrate(build_lattice(material_named(material, Path.cwd())), potential)
    cell = supercell(lattice, size)
    phi = fold_force_constants(crystal_force_constants(lattice, potential), cell)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {str(out)!r} cannot be made ({error.strerror}); choose another one") from None
    write_force_constants(out / "FORCE_CONSTANTS", phi)
    save_whole(out / "SPOSCAR", _poscar(cell).encode(), "the supercell")
    say(f"wrote {out}/SPOSCAR and {out}/FORCE_CONSTANTS: {len(cell)} atoms, lattice at zero stress of the potential")
    say('bands: phonopy -c SPOSCAR --dim="1 1 1" --pa=auto --readfc --band=auto')
    return 0


def _poscar(cell) -> str:
    """The supercell in the format of VASP, every number to its last bit."""
    atoms = to_ase(cell)
    names: list[list] = []
    for symbol in cell.symbols:
        if names and names[-1][0] == symbol:
            names[-1][1] += 1
        else:
            names.append([symbol, 1])
    rows = [" ".join(repr(float(x)) for x in row) for row in [*atoms.cell.array, *atoms.positions]]
    head = [cell.lattice.name, "1.0", *rows[:3], " ".join(n for n, _ in names), " ".join(str(c) for _, c in names), "Cartesian"]
    return "\n".join([*head, *rows[3:]]) + "\n"


def _extxyz(model: str, out: Path, structures: Path) -> int:
    """The frames of a file with energies, forces and virials of the potential."""
    potential = potential_from_spec(model, code=True)
    labelled = []
    for snapshot in read_extxyz(structures):
        found = evaluate(potential, snapshot.cell, snapshot.positions, snapshot.vectors)
        labels = {"energy": found.energy, "forces": found.forces, "virial": found.virial}
        labelled.append(replace(snapshot, labels=labels))
    write_extxyz(out, labelled)
    say(f"wrote {out}: {len(labelled)} structures with REF_energy, REF_forces, REF_virial and REF_stress of {model}")
    return 0
