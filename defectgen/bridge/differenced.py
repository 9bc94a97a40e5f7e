"""Force constants of another code by finite differences, in a supercell that it can afford."""

import numpy as np

from .._input import InputError, came
from ..crystal.cell import check_lattice, supercell
from ..crystal.lattice import Lattice
from ..energy.blackbox import BlackBox, blackbox_force_constants
from .measured_constants import MeasuredForceConstants


def finite_difference_force_constants(
    reference: BlackBox, lattice: Lattice, size: int | tuple[int, ...] | np.ndarray
) -> MeasuredForceConstants:
    """Force constants of the perfect crystal from forces of another code on displaced atoms.

    Parameters
    ----------
    reference : BlackBox
        Another code, such as ``dg.ASEReference(calculator)``; its `step` is the displacement. With a ``dg.StoredReference`` that
        has a crystal, displacements that are images of each other are computed once: one in all for a cubic element.
    lattice : Lattice
        The relaxed crystal.
    size : int, tuple of int or array (3, 3)
        The supercell, as `dg.supercell` takes it. Interactions beyond half of it are folded, in the rows of a fit too.

    Returns
    -------
    MeasuredForceConstants
        eV/A^2; FC rows for ``dg.label(..., force_constants=...)``.

    Raises
    ------
    InputError
        For something that is no black box, and what it raises.
    """
    if not isinstance(reference, BlackBox):
        raise InputError(
            f"finite differences are taken of another code, such as dg.ASEReference(calculator); got {came(reference)}"
        )
    check_lattice(lattice)
    constants = blackbox_force_constants(lattice, reference, size=size)
    cell = supercell(lattice, size)  # pyright: ignore[reportArgumentType]
    name = str(getattr(reference, "name", "") or type(reference).__name__)
    return MeasuredForceConstants(lattice, constants, cell.positions, cell.vectors, f"differences of forces of {name}")
