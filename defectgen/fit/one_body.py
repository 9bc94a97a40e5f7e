"""Which one-body energies the rows determine: at one composition only their sum over the formula unit."""

from collections.abc import Sequence

import numpy as np

from .._typing import Float
from ..training.blocks import Blocks

SEEN = 1e-9
"""Singular values of the one-body columns (scaled to norm one) below this times the largest are the rounding of counts."""


def undetermined_one_body(blocks: Blocks, multipliers: Float[np.ndarray, " blocks"], held: Sequence[np.ndarray] = ()) -> str:
    """Which one-body energies weighted rows, and rows that are `held` exactly, leave open, in words; empty if none.

    One-body energies stand in the first columns, one for each species of the basis. They enter energies as counts of atoms, so
    the null space of these columns is that of the compositions.
    """
    species = getattr(blocks.basis, "species", ())
    count = len(species)
    weighted = [m * b.factor[:, :count] for b, m in zip(blocks.items, multipliers, strict=True) if m > 0]
    columns = np.concatenate([*weighted, *(rows[:, :count] for rows in held), np.zeros((1, count))])
    norm = np.linalg.norm(columns, axis=0)
    if not norm.any():
        return "no energy has a weight, so the one-body energies (E0) are not determined" if count else ""
    absent = [s for s, n in zip(species, norm, strict=True) if not n > SEEN * norm.max()]
    present = [s for s in species if s not in absent]
    words = [f"no energy has an atom of {' or '.join(absent)}, whose one-body energy (E0) is not determined"] if absent else []
    chosen = [species.index(s) for s in present]
    values = np.linalg.svd(columns[:, chosen] / norm[chosen], compute_uv=False)
    known = int(np.sum(values > SEEN * values[0]))
    if known < len(present):
        which = "the sum" if known == 1 else f"{known} combinations"
        words.append(
            f"the composition {'never changes' if known == 1 else 'changes too little'}: only {which} of the one-body energies "
            f"(E0) of {' and '.join(present)} is determined, and no energy of another composition; label cells of "
            "other compositions, such as the defect's"
        )
    return "; ".join(words)
