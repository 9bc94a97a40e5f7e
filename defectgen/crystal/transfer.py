"""A defect found in one description of a crystal, transferred to another: other primitive vectors, origin or lattice constant."""

import numpy as np

from .._input import InputError
from .edits import Edits
from .lattice import Lattice
from .shells import Site, sites_within


def transferred(lattice: Lattice, edits: Edits, source: Lattice) -> Edits:
    """The edits of `source` as edits of `lattice`; offsets and interstitial positions follow the strain between the two.

    Raises InputError if the crystals have different vectors (rotated, say) or species.
    """
    if lattice is source:
        return edits
    ratio = lattice.vectors @ np.linalg.inv(source.vectors)
    whole = np.rint(ratio)
    if np.abs(ratio - whole).max() > 0.15 or abs(np.linalg.det(whole)) * source.sublattices != lattice.sublattices:
        raise InputError(
            f"the defect was found in {source.name}: its primitive vectors {np.round(source.vectors, 3).tolist()} are not those "
            f"of {lattice.name}, {np.round(lattice.vectors, 3).tolist()}; orient both alike, or build the cell from the same file"
        )
    strain = np.linalg.inv(whole @ source.vectors) @ lattice.vectors  # row vectors: x_target = x_source @ strain
    origin = _origin(lattice, source, strain)

    def there(site: Site) -> Site:
        _, found = sites_within(lattice, site.position(source) @ strain + origin, 0.3 * lattice.nearest_neighbour)[0]
        return found

    return Edits(
        edits.label,
        tuple(there(s) for s in edits.vacant),
        tuple((there(s), symbol) for s, symbol in edits.replaced),
        tuple((there(s), tuple((np.array(d) @ strain).tolist())) for s, d in edits.moved),
        tuple((tuple((np.array(x) @ strain + origin).tolist()), symbol) for x, symbol in edits.added),
    )


def _origin(lattice: Lattice, source: Lattice, strain: np.ndarray) -> np.ndarray:
    """The shift that puts every (strained) site of the source on a site of the lattice with the same species."""
    image = source.motif @ strain
    for b in range(lattice.sublattices):
        shift = lattice.motif[b] - image[0]
        near = [sites_within(lattice, x + shift, 0.2 * lattice.nearest_neighbour) for x in image]
        if all(n and lattice.species[n[0][1].sublattice] == s for n, s in zip(near, source.species, strict=True)):
            return shift
    raise InputError(
        f"the atoms of {source.name} do not lie on the sites of {lattice.name}; build the cell from the same structure"
    )
