"""The list of neighbours: vesin, which the package uses, compared with matscipy, which it used before.

Why this case: every evaluation of a new geometry begins with this list. It would notice a release of vesin that is slower or finds
other bonds. Expected: both grow linearly with atoms and like the cube of the cutoff; small cells are dominated by the call.

The error is the number of bonds that one finds and the other does not, and the largest difference of their lengths.
"""

from timing import in_turns, machine, skipped, summary  # isort: skip  (first: it pins the threads)

import numpy as np
from vesin import NeighborList

import defectgen as dg

SKEWED = np.array([[1.0, 0.35, -0.2], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]])
CASES = (  # name, cells along an edge, cutoff (A), shear
    ("4 atoms", 1, 5.5, None),
    ("108 atoms", 3, 5.5, None),
    ("864 atoms", 6, 5.5, None),
    ("864 atoms, longer cutoff", 6, 7.5, None),
    ("864 atoms, sheared", 6, 5.5, SKEWED),
    ("4,000 atoms", 10, 5.5, None),
    ("32,000 atoms", 20, 5.5, None),
)


def crystal(cells: int, shear: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Positions and vectors (A) of rattled copper."""
    lattice = dg.fcc("Cu", 3.615)
    cell = dg.supercell(lattice, cells)
    positions = cell.positions + 0.05 * np.random.default_rng(0).normal(size=cell.positions.shape)
    turn = np.eye(3) if shear is None else shear
    return positions @ turn, cell.vectors @ turn


def bonds(i, j, d, s) -> dict[tuple, float]:
    """Length (A) by (atom, atom, image)."""
    return dict(zip(map(tuple, np.column_stack([i, j, s]).astype(int).tolist()), d.tolist(), strict=True))


def main() -> None:
    print(machine("vesin", "matscipy"))
    if skipped("matscipy"):
        return
    from matscipy.neighbours import neighbour_list

    print(f"{'cell':26s} {'bonds':>9s} {'vesin ms':>9s} {'matscipy ms':>12s}  ratio")
    for name, cells, cutoff, shear in CASES:
        positions, vectors = crystal(cells, shear)
        search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)

        def ours(search=search, positions=positions, vectors=vectors):
            return search.compute(points=positions, box=vectors, periodic=True, quantities="ijdS")

        def theirs(positions=positions, vectors=vectors, cutoff=cutoff):
            return neighbour_list("ijdS", positions=positions, cell=vectors, pbc=[True] * 3, cutoff=cutoff)

        a, b = bonds(*ours()), bonds(*theirs())
        apart = len(a.keys() ^ b.keys())
        worst = max(abs(a[bond] - b[bond]) for bond in a.keys() & b.keys())
        pair = in_turns(ours, theirs, turns=9)
        found = f"{apart} bonds differ, lengths to {worst:.0e} A"
        print(f"{name:26s} {len(a):9d} {pair.ours * 1e3:9.2f} {pair.theirs * 1e3:12.2f}  {pair}; {found}", flush=True)
        summary(f"neighbours, {name}", "ms", pair.ours * 1e3, "matscipy", pair.theirs * 1e3, error=found)


if __name__ == "__main__":
    main()
