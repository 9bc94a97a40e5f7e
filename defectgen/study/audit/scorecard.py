"""The numbers of an audit: rows of quantity, unit, reference, model and difference, made of the results of the steps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._typing import Float
from ...errors.bound_terms import KINDS
from ...units import EV_PER_A3_IN_GPA
from ..bounds.steps import Measured
from ..materials import Material
from .steps import MODES, BulkFound, ComparedFound, ConstantsError, StrainedFound, VibrationsFound

SAME = 1e-4
"""Relative: elastic constants of symmetric directions that differ by less are one number."""

FAMILIES = (((0, 0), (1, 1), (2, 2)), ((3, 3), (4, 4), (5, 5)), ((0, 1), (0, 2), (1, 2)))
"""Elastic constants that symmetry may make equal."""


@dataclass(frozen=True)
class Number:
    """One row of the scorecard."""

    group: str
    quantity: str
    unit: str
    reference: float | None
    model: float | None
    difference: float | None
    """Model minus reference; of quantities that are differences themselves, the value."""
    case: str = ""
    """The defect and its cell, or the strain."""

    def row(self, material: str) -> dict[str, Any]:
        """As a line of audit.csv."""
        relative = self.difference / abs(self.reference) if self.reference and self.difference is not None else None
        return {
            "material": material,
            "group": self.group,
            "quantity": self.quantity,
            "case": self.case,
            "unit": self.unit,
            "reference": self.reference,
            "model": self.model,
            "difference": self.difference,
            "relative": relative,
        }


def pair(group: str, quantity: str, unit: str, both: Iterable[float | None], case: str = "") -> Number:
    """A quantity of both potentials."""
    one, other = (None if value is None or not np.isfinite(value) else float(value) for value in both)
    return Number(group, quantity, unit, one, other, None if one is None or other is None else other - one, case)


def apart(group: str, quantity: str, unit: str, difference: float, case: str = "") -> Number:
    """A quantity that is a difference."""
    return Number(group, quantity, unit, None, None, float(difference) if np.isfinite(difference) else None, case)


# ------ The perfect crystal


def bulk_numbers(material: Material, reference: BulkFound, model: BulkFound) -> Iterator[Number]:
    """Lattice constants, volume, energies, elastic constants."""
    both = [found.lattice(material) for found in (reference, model)]
    lengths = [np.linalg.norm(lattice.conventional @ lattice.vectors, axis=1) for lattice in both]
    named: list[int] = []
    for axis, name in enumerate("abc"):
        if not any(all(np.isclose(each[axis], each[k], rtol=1e-6) for each in lengths) for k in named):
            named.append(axis)
            yield pair("crystal", f"lattice constant {name}", "A", (each[axis] for each in lengths))
    yield pair("crystal", "volume", "A^3/atom", (lattice.volume / lattice.sublattices for lattice in both))
    yield pair("crystal", "energy", "eV/atom", (reference.energy, model.energy))
    bound = [None if found.alone is None else found.alone - found.energy for found in (reference, model)]
    yield pair("crystal", "cohesive energy", "eV/atom", bound)
    yield from elastic_numbers(reference.elastic, model.elastic)


def elastic_numbers(reference: Float[np.ndarray, "6 6"], model: Float[np.ndarray, "6 6"]) -> Iterator[Number]:
    """Independent elastic constants and the bulk modulus, GPa."""
    both = [np.asarray(c) * EV_PER_A3_IN_GPA for c in (reference, model)]
    scale = [np.abs(c).max() for c in both]
    seen: list[tuple[int, int]] = []
    for i in range(6):
        for j in range(i, 6):
            if all(abs(c[i, j]) <= SAME * s for c, s in zip(both, scale, strict=True)):
                continue
            family = next((f for f in FAMILIES if (i, j) in f), ())
            equal = [
                place
                for place in seen
                if place in family and all(abs(c[place] - c[i, j]) <= SAME * s for c, s in zip(both, scale, strict=True))
            ]
            seen.append((i, j))
            if not equal:
                yield pair("elasticity", f"C{i + 1}{j + 1}", "GPa", (c[i, j] for c in both))
    yield pair("elasticity", "bulk modulus", "GPa", (1.0 / np.linalg.inv(c)[:3, :3].sum() for c in both))


def phonon_numbers(reference: VibrationsFound, model: VibrationsFound) -> Iterator[Number]:
    """Largest frequency, lowest one if it is unstable, and the difference over all waves."""
    every = [np.concatenate([found.bands, found.mesh]) for found in (reference, model)]
    yield pair("phonons", "highest frequency", "THz", (each.max() for each in every))
    if min(each.min() for each in every) < -0.05:  # the rounding of acoustic waves at the centre stays far below
        yield pair("phonons", "lowest frequency (negative: unstable)", "THz", (each.min() for each in every))
    yield pair("phonons", "mean frequency", "THz", (found.mesh.mean() for found in (reference, model)))
    yield apart("phonons", "largest difference over all waves", "THz", np.abs(every[1] - every[0]).max())
    square = (model.mesh - reference.mesh) ** 2
    yield apart("phonons", "root mean square difference", "THz", np.sqrt(square.mean()))


def constants_numbers(found: ConstantsError) -> Iterator[Number]:
    """Norms of the difference of force constants on one lattice."""
    case = "on the reference's lattice"
    yield apart("force constants", "root of the sum of squares", "eV/A^2", found.l2, case)
    yield apart("force constants", "largest over all waves, per bond strain", "eV/A^2", found.dual, case)
    yield apart("force constants", "long acoustic waves", "eV/atom", found.long_wave, case)


STRESSES = {"volume": (0, 0), "uniaxial": (0, 0), "shear": (0, 1)}
"""The component of the stress that is reported of every mode."""


def strain_numbers(reference: StrainedFound, model: StrainedFound) -> Iterator[Number]:
    """Stresses at the largest strains, GPa; energies where there is no stress."""
    for m, name in enumerate(MODES):
        i, j = STRESSES[name]
        for a in (0, -1) if name != "shear" else (-1,):
            amplitude = reference.amplitudes[a]
            both = [found.stresses[m, a, i, j] * EV_PER_A3_IN_GPA for found in (reference, model)]
            case = f"{name} {amplitude * 100:+g} %"
            if np.all(np.isfinite(both)):
                yield pair("strain", f"stress {'xy' if name == 'shear' else 'xx'}", "GPa", both, case=case)
            else:
                yield pair("strain", "energy", "eV/atom", (found.energies[m, a] for found in (reference, model)), case=case)


# ------ Defects


def defect_numbers(defect: str, found: ComparedFound) -> Iterator[Number]:
    """Formation energies in both conventions, and geometry errors."""
    case, name = f"{defect}, {found.atoms} atoms", "formation energy" if found.formation else "energy"
    reference, held, own = found.energies
    own_row = pair("defects", f"{name}, each on its own lattice", "eV", (reference, own), case)
    held_row = pair("defects", f"{name}, both on the reference's lattice", "eV", (reference, held), case)
    if not found.formation:  # the zeros of the energies of single atoms differ: only what `compare` says is defined
        own_row = apart("defects", f"{name}, each on its own lattice", "eV", found.own, case)
        held_row = apart("defects", f"{name}, both on the reference's lattice", "eV", found.held, case)
    yield own_row
    yield held_row
    yield apart("defects", "geometry, each on its own lattice", "A", found.own_geometry, case)
    yield apart("defects", "geometry, both on the reference's lattice", "A", found.held_geometry, case)
    yield apart("defects", "pressure of the model on the reference's lattice", "GPa", found.pressure, case)


TINY = 1e-12
"""A and eV: terms of the bound below it are rounding."""


def bound_numbers(defect: str, found: Measured) -> Iterator[Number]:
    """Terms of the bound that have a number, and their sums."""
    what = {kind.name: kind.what for kind in KINDS}
    for term in found.terms:
        name = f"{term.symbol} ({what.get(term.term, term.term)})"
        if (term.geometry_response or 0.0) > TINY:
            yield apart("bound", f"{name}: response", "A", float(term.geometry_response or 0.0), defect)
        if (term.energy_contribution or 0.0) > TINY:
            yield apart("bound", f"{name}: energy", "eV", float(term.energy_contribution or 0.0), defect)
    yield apart("bound", "estimate of the geometry error", "A", found.geometry_estimate, defect)
    yield apart("bound", "estimate of the energy error", "eV", found.energy_estimate, defect)
    for quantity, value, unit in (("geometry", found.geometry_bound, "A"), ("energy", found.energy_bound, "eV")):
        if value is not None:
            yield apart("bound", f"bound of the {quantity} error", unit, value, defect)
