"""Settings of an audit: which potential is compared with the references of the cases, and how."""

from pydantic import Field

from ..settings import Size, Strict


class Audit(Strict):
    """A potential is compared with the reference of every case: perfect crystal, defects, a barrier, terms of the bound."""

    model: str
    """The potential that is audited, as text: `CleriRosato(Cu)`, `model.json`, `model.yace`, a potential file, `LAMMPS(...)`."""
    sizes: tuple[Size, ...] = ()
    """Further cell sizes of the defects, besides that of each case."""
    radius: float = Field(2.5, gt=0, le=1000)
    """Radius of the core in the bound, nearest-neighbour spacings: errors of forces within it are one term."""
    strain: float = Field(0.05, gt=0, le=0.3)
    """Largest strain of the strained crystals."""
    mesh: int = Field(16, ge=2, le=60)
    """Number of wave vectors along each reciprocal vector for the density of states."""
    barrier: bool = True
    """Whether the barrier of a hop is computed, for vacancies in elements."""
    bound: bool = True
    """Whether the terms of the bound are computed; both potentials must have site energies."""
    chemical_potentials: dict[str, float] = {}
    """Chemical potentials of the reference, eV per atom in its zero of energy, for defects that exchange atoms."""
    chemical_potentials_model: dict[str, float] = {}
    """Chemical potentials of the model, eV per atom in its zero of energy."""
    files: dict[str, str] = {}
    """Path -> digest of the files that the model's text names; filled in when the run file is read."""
