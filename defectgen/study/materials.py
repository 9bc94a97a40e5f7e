"""Materials: a crystal and the reference potential that is the truth for it, by name or described in a study file."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, field_validator

from .._input import InputError, did_you_mean
from ..campaign.files import digest as file_digest
from ..campaign.files import expanded
from ..crystal import bcc, cscl, diamond, fcc, hcp, l12, rocksalt, sc, square, triangular, zincblende
from ..crystal.elements import numbers_by_species
from ..crystal.lattice import Lattice
from .potentials import located, potential_from_spec

if TYPE_CHECKING:
    from ..energy.potential import Potential

CRYSTALS = {
    "fcc": fcc,
    "bcc": bcc,
    "sc": sc,
    "hcp": hcp,
    "diamond": diamond,
    "zincblende": zincblende,
    "rocksalt": rocksalt,
    "cscl": cscl,
    "l12": l12,
    "triangular": triangular,
    "square": square,
}
"""Crystal structures that a material may name."""


class Material(BaseModel):
    """A crystal and its reference. Either `crystal`, `species` and `a`, or a `structure` file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    name: str
    """Name of the material in run files and tables."""
    crystal: str | None = None
    """Crystal structure, such as "fcc", "bcc", "hcp", "diamond" or "zincblende"."""
    species: tuple[str, ...] = ()
    """Chemical symbol of each sublattice of the crystal."""
    a: float | None = None
    """Lattice constant to start from, A; equilibrated before use."""
    c: float | None = None
    """Height of a hexagonal cell, A."""
    structure: str | None = None
    """A structure file that ASE can read."""
    reference: str
    """Reference potential, such as "CleriRosato(Cu, cutoff=4.2)", "EAM(path, interpolation=lammps)" or "model.json"."""
    equilibrate: bool = True
    """Whether the lattice is brought to zero stress first; if not, a lattice under stress is refused."""
    chemical_potentials: dict[str, float] = {}
    """Chemical potentials by species, eV per atom, in the energy zero of the reference. With them energies of defects that
    exchange atoms are formation energies; without, E - N E_bulk."""
    digest: str = ""
    """Content of the files named here, so that a changed file is a changed material."""
    files: dict[str, str] = {}
    """Path -> digest of the files named here; in the key of a task the digest stands for the path, so that files may move."""
    description: str = ""
    """One line about the material, shown by defectgen list."""

    @field_validator("chemical_potentials")
    @classmethod
    def _of_species(cls, value):
        return numbers_by_species(value, "Si")

    @property
    def potentials(self) -> dict[str, float] | None:
        """The chemical potentials as `relax` takes them; None where none are given."""
        return self.chemical_potentials or None


MATERIALS: dict[str, Material] = {
    **{
        symbol: Material(
            name=symbol,
            crystal="fcc",
            species=(symbol,),
            a=a,
            reference=f"CleriRosato({symbol})",
            description="fcc, second-moment tight binding (Cleri and Rosato 1993)",
        )
        for symbol, a in {"Cu": 3.615, "Ag": 4.086, "Au": 4.078, "Ni": 3.524, "Al": 4.050, "Pd": 3.891, "Pt": 3.924}.items()
    },
    "Si": Material(
        name="Si",
        crystal="diamond",
        species=("Si",),
        a=5.431,
        reference="StillingerWeber(Si)",
        description="diamond, Stillinger-Weber 1985",
    ),
    "W": Material(
        name="W",
        crystal="bcc",
        species=("W",),
        a=3.165,
        reference="FinnisSinclair(W)",
        description="bcc, Finnis-Sinclair with rounded ends",
    ),
    "Ar": Material(
        name="Ar",
        crystal="fcc",
        species=("Ar",),
        a=5.26,
        reference="LennardJones(Ar)",
        description="fcc, Lennard-Jones, smooth end",
    ),
    "triangular": Material(
        name="triangular",
        crystal="triangular",
        species=("Cu",),
        a=2.6,
        reference="Morse(Cu)",
        description="two-dimensional triangular lattice, Morse pair potential",
    ),
}
"""Materials that a study may name; lattice constants at room temperature, only starting points."""


def material(given: "str | dict | Material", folder: Path, code: bool = False) -> Material:
    """The material of a name, or of a table in a study file; paths are taken relative to the file's folder.

    `code` allows a reference that runs code, as `module:callable` of a command line does. Raises InputError for an unknown name,
    a file that is not there, or a description with parts missing.
    """
    if isinstance(given, str):
        if given not in MATERIALS:
            raise InputError(
                f"material {given!r} is not known; known are {', '.join(MATERIALS)}{did_you_mean(given, MATERIALS)}; "
                f"or describe yours in a table [materials.{given}]"
            )
        return MATERIALS[given]
    found = given if isinstance(given, Material) else Material(**given)
    if (found.crystal is None) == (found.structure is None):
        raise InputError(
            f"material {found.name} needs either a crystal ({', '.join(CRYSTALS)}) or a structure file; give one of them"
        )
    if found.crystal is not None and found.crystal not in CRYSTALS:
        raise InputError(
            f"crystal {found.crystal!r} of material {found.name} is not known; known are "
            f"{', '.join(CRYSTALS)}{did_you_mean(found.crystal, CRYSTALS)}"
        )
    if found.crystal is not None and (not found.species or found.a is None):
        raise InputError(f"material {found.name} needs species and the lattice constant a (A) for its {found.crystal} crystal")
    digest, updates, files = hashlib.sha256(), {}, {}
    if found.structure:
        absolute = (folder / expanded(found.structure)).resolve()
        if not absolute.is_file():
            raise InputError(
                f"material {found.name} names the file {found.structure}, which is not there; give its path relative to the "
                "study file"
            )
        files[str(absolute)] = file_digest(absolute)
        updates["structure"] = str(absolute)
    try:
        reference = located(found.reference, folder, code)
    except InputError as error:
        raise InputError(f"material {found.name}: {error}") from None
    if reference.files:
        updates["reference"] = reference.text
    files |= reference.files
    for path in files:
        digest.update(Path(path).read_bytes())
    if files:
        updates["digest"] = digest.hexdigest()[:16]
    return found.model_copy(update={**updates, "files": files})


def build_lattice(spec: Material) -> Lattice:
    """The starting lattice of a material."""
    from ..bridge import from_ase

    if spec.structure is not None:
        return from_ase(spec.structure)
    assert spec.crystal is not None
    arguments: list = [*spec.species, spec.a]
    if spec.crystal == "hcp" and spec.c is not None:
        arguments.append(spec.c)
    try:
        return CRYSTALS[spec.crystal](*arguments)
    except TypeError:
        raise InputError(f"crystal {spec.crystal!r} of material {spec.name} does not take {len(spec.species)} species") from None


def build_reference(spec: Material) -> "Potential":
    """The reference potential of a material."""
    return potential_from_spec(spec.reference, code=True)  # `material` has decided whether code may be named


def centrosymmetric(lattice: Lattice) -> bool:
    """Whether every site of the crystal is a centre of inversion: x -> 2 m - x maps the crystal onto itself for each m."""
    species = np.array(lattice.species)
    for centre in lattice.motif:
        steps = (2 * centre - lattice.motif[:, None] - lattice.motif[None]) @ np.linalg.inv(lattice.vectors)
        meets = np.linalg.norm((steps - np.rint(steps)) @ lattice.vectors, axis=-1) < 1e-3  # A: starting motifs are rounded
        if not np.all(np.any(meets & (species[:, None] == species), axis=1)):
            return False
    return True
