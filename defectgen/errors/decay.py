"""How the strain of a relaxed defect decays with the distance from it."""

from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import InputError, came
from .._typing import Float, Int
from ..relax import Equilibrium
from .norms import bonds_of

FIRST = 1.0
"""Nearest-neighbour spacings: where the first shell begins."""

RATIO = 1.25
"""Outer radius of a shell over its inner one: a few shells in cells of a hundred atoms, bonds in nearly all of them."""


@dataclass(frozen=True, eq=False)
class StrainDecay:
    """Root mean square of the displacement differences of nearest-neighbour bonds, by distance from the defect."""

    radius: Float[np.ndarray, " shells"]
    """Geometric middle of every shell, nearest-neighbour spacings."""
    strain: Float[np.ndarray, " shells"]
    """Root mean square of |u_j - u_i| over the bonds of the shell, A."""
    bonds: Int[np.ndarray, " shells"]
    """How many bonds there are in it."""
    dimension: int
    """d: the far field of a point defect decays like r^-d."""

    def __repr__(self) -> str:
        if not len(self.radius):
            return shown(self, "no shells")
        ends = f"{self.radius[0]:.3g} to {self.radius[-1]:.3g} spacings"
        return shown(self, f"{len(self.radius)} shells from {ends}", f"strain {self.strain[0]:.3g} to {self.strain[-1]:.3g} A")

    def __str__(self) -> str:
        rows = zip(self.radius, self.strain, self.bonds, strict=True)
        return "\n".join(["radius (spacings)  strain (A)  bonds", *(f"{r:17.2f}  {s:10.3g}  {n:5d}" for r, s, n in rows)])


def strain_decay(equilibrium: Equilibrium) -> StrainDecay:
    """The decay of the strain around a relaxed defect.

    Parameters
    ----------
    equilibrium : Equilibrium
        From `relax`, or of another code from `dg.equilibrium`.

    Returns
    -------
    StrainDecay
        Shells from one spacing up to half the distance of periodic images (or to the end of a ball); empty ones are left out.

    Raises
    ------
    InputError
        For what is no equilibrium, and for a cell that is too small for a shell.

    Notes
    -----
    The strain of the infinite crystal decays like r^-d. In a periodic cell the images add a field that is about uniform, so the
    outer shells lie above this line. theory: setting/decay.

    Examples
    --------
    >>> import defectgen as dg
    >>> crystal = dg.fcc("Cu", 3.615)
    >>> cell = dg.vacancy().apply(dg.supercell(crystal, 3))
    >>> found = dg.equilibrium(crystal, dg.to_ase(cell))
    >>> bool(dg.strain_decay(found).strain.max() < 1e-9)  # an unrelaxed vacancy strains nothing
    True
    """
    if not isinstance(equilibrium, Equilibrium):
        raise InputError(f"the decay is that of an equilibrium, from dg.relax or dg.equilibrium; got {came(equilibrium)}")
    cell = equilibrium.cell
    spacing, bonds = cell.lattice.nearest_neighbour, bonds_of(cell)
    steps = int(np.floor(np.log(cell.radius / FIRST) / np.log(RATIO) + 1e-9)) if cell.radius > 0 else 0
    if steps < 1:
        raise InputError(
            f"the decay needs a cell whose images are more than {2 * FIRST * RATIO:g} nearest-neighbour spacings apart; "
            f"they are {2 * cell.radius:.2g} apart here"
        )
    edges = FIRST * RATIO ** np.arange(steps + 1)
    distance = cell.distance_from_centre(cell.positions[bonds.first] + bonds.vectors / 2) / spacing
    square = np.sum(bonds.difference(equilibrium.displacement) ** 2, axis=1)
    shell = np.digitize(distance, edges) - 1
    inside = (shell >= 0) & (shell < steps)
    count = np.bincount(shell[inside], minlength=steps)
    total = np.bincount(shell[inside], weights=square[inside], minlength=steps)
    kept = count > 0
    radius = np.sqrt(edges[1:] * edges[:-1])
    return StrainDecay(radius[kept], np.sqrt(total[kept] / count[kept]), count[kept], cell.lattice.dimension)
