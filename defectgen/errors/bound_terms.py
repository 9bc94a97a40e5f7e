"""The terms of the bound: symbols, powers of L and units as data, and what a measurement of them returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._display import preformatted, shown
from .._input import InputError, did_you_mean
from .._typing import Float


@dataclass(frozen=True)
class Kind:
    """One term. Powers are (per dimension, constant) of L in the bounds of geometry and energy; None where it has none."""

    name: str
    symbol: str
    what: str
    unit: str
    geometry: tuple[float, float] | None = None
    energy: tuple[float, float] | None = None
    tail: str = ""
    """The norm of the exact displacement beyond L that the coefficient multiplies."""


KINDS = (
    Kind("E", "epsE", "energy of the defect and of anharmonic strain gradients", "eV"),
    Kind("F", "epsFw", "forces within L, weighted by 1 + distance", "eV/A"),
    Kind("K", "epsK", "forces beyond L that still reach the defect, weighted by 1 + distance", "eV/A"),
    Kind("C2", "epsC2", "elastic constants", "eV", (-0.5, 0.0), (-1.0, 0.0), "||Du||"),
    Kind("G2", "epsG2", "dispersion of the force constants", "eV A^2", (-0.5, -2.0), (-1.0, -2.0), "||D^3u||"),
    Kind("C3", "epsC3", "third-order elastic constants", "eV", (-1.5, 0.0), (-2.0, 0.0), "|| |Du|^2 ||"),
    Kind("G3", "epsG3", "anharmonic strain gradients", "", (-1.5, -2.0), (-2.0, -2.0), "|| |Du||D^3u| + |D^2u|^2 ||"),
    Kind("C4", "epsC4", "fourth-order elastic constants", "eV", (-2.5, 0.0), (-3.0, 0.0), "|| |Du|^3 ||"),
    Kind("R", "geometry^2", "relaxation in the model, the square of the geometry error", ""),
)
"""In the order of the bound. epsG3 has no single number: quadratic forces with two more derivatives come in several contractions
(Du D^4u, D^2u D^3u), so only its part of the force is measured; its energy depends on how a potential shares energy among the
sites and counts with E."""


@dataclass(frozen=True)
class Term:
    """One term of the bound."""

    name: str
    symbol: str
    what: str
    value: float
    """The coefficient, in `unit`; NaN where it has no single number."""
    unit: str
    geometry_power: float | None
    """Of L, in the bound of the geometry."""
    energy_power: float | None
    tail: float
    """Norm of the exact displacement beyond L that the coefficient multiplies (1 or 1/A^2); NaN for terms without one."""
    geometry: float
    """Contribution to the bound of the geometry: dual norm of its force over the stability constant, A."""
    response: float
    """||D w||, w the perfect crystal's response to its force, A: the contribution without the factors of the bound."""
    norms: float
    """What the coefficient and the tail alone allow, value * tail over the stability in the bond norm, A; NaN without."""
    energy: float
    """Contribution to the bound of the energy, eV; NaN where it has none that a partition of the energy does not change."""


CANCEL = 0.5
"""Terms belong together if they leave less than this fraction of the larger one: two that are independent leave more than it."""
SMALL = 1e-6
"""A term below this fraction of the largest is never the floor, and what it cancels may be rounding."""


@dataclass(frozen=True)
class Group:
    """Terms whose effects cancel, or one term that cancels with none."""

    names: tuple[str, ...]
    together: float
    """What they do together: A in the geometry (the response ||Dw|| of the perfect crystal), eV in the energy (absolute)."""
    apart: float
    """The sum of what each does alone."""

    @property
    def name(self) -> str:
        """ "C2", or "C2+G2" of terms that cancel."""
        return "+".join(self.names)


def grouped(names: Sequence[str], products: Float[np.ndarray, "terms terms"]) -> tuple[Group, ...]:
    """Terms, joined two by two where they cancel, the pair that cancels most first; the largest joint effect first.

    `products` are scalar products of the effects, so that the norm of a sum is the root of a sum of products.
    """
    groups = [[k] for k in range(len(names)) if products[k, k] > 0]
    least = SMALL * np.sqrt(np.diag(products).max(initial=0.0))

    def size(group: list[int]) -> float:
        return float(np.sqrt(max(products[np.ix_(group, group)].sum(), 0.0)))

    while True:
        pairs = [
            (size(one + other) / max(size(one), size(other), least), place, later)
            for place, one in enumerate(groups)
            for later, other in enumerate(groups[:place])
            if min(size([k]) for k in one + other) > least
        ]
        left, place, later = min(pairs, default=(np.inf, 0, 0))
        if left >= CANCEL:
            break
        groups[later] = sorted(groups[later] + groups.pop(place))
    found = (Group(tuple(names[k] for k in g), size(g), sum(size([k]) for k in g)) for g in groups)
    return tuple(sorted(found, key=lambda group: -group.together))


@dataclass(frozen=True)
class Bound:
    """Bounds of geometry and energy error of a model for one defect. theory: bounds/term-by-term."""

    terms: tuple[Term, ...]
    radius: float
    """L, nearest-neighbour spacings."""
    stability: float
    """c of the model at the exact equilibrium, against the reference's crystal; bounds are infinite unless it is positive."""
    softness: float
    """Of the reference's crystal against the bond Laplacian, eV/A^2: stability * softness is the constant in the bond norm."""
    size: float
    """Dual norm ||df||_* of the whole force error, sqrt(eV)."""
    estimate: float
    """||D w||, w the perfect crystal's response to the whole force error: a sharp estimate of the geometry error, A."""
    energy_estimate: float
    """Signed sum of the energies less the relaxation in the perfect crystal, eV: a sharp estimate of the energy error."""
    groups: tuple[Group, ...]
    """Of the geometry: terms that cancel, as one; the largest joint effect first."""
    energy_groups: tuple[Group, ...]
    """The same of the energy."""
    long_wave: float
    """sup_k |dPhi(k)| / |k|^2 on acoustic waves, eV: epsC2 and epsG2 together."""

    def _repr_html_(self) -> str:
        return preformatted(self)

    def __repr__(self) -> str:
        return shown(
            self,
            f"geometry error {self.estimate:.3g} A (bound {self.geometry:.3g} A, largest term {self.floor})",
            f"energy error {self.energy_estimate:.3g} eV (bound {self.energy:.3g} eV, largest term {self.energy_floor})",
        )

    def __str__(self) -> str:
        return self.table()

    @property
    def geometry(self) -> float:
        """Bound of ||D(u_model - u)||_l2, A."""
        return float(sum(term.geometry for term in self.terms))

    @property
    def energy(self) -> float:
        """Bound of |E_model - E|, eV."""
        return float(np.nansum([term.energy for term in self.terms]))

    @property
    def floor(self) -> str:
        """What contributes most to the geometry: a term, "F", or terms that cancel by what they leave together, "C2+G2"."""
        return self.groups[0].name if self.groups else self.terms[0].name

    @property
    def energy_floor(self) -> str:
        """What contributes most to the energy, in the same way."""
        return self.energy_groups[0].name if self.energy_groups else self.terms[0].name

    def __getitem__(self, name: str) -> Term:
        """The term of that name. Raises InputError if there is none."""
        for term in self.terms:
            if term.name == name:
                return term
        known = [term.name for term in self.terms]
        raise InputError(f"the bound has the terms {', '.join(known)}; got {name!r}{did_you_mean(name, known)}")

    def table(self) -> str:
        """The terms as aligned text, the sums last."""
        head = ("term", "value", "unit", "power of L", "tail", "geometry (A)", "response (A)", "norms (A)", "energy (eV)")
        rows = [
            (
                t.symbol,
                _short(t.value),
                t.unit,
                "" if t.geometry_power is None else f"{t.geometry_power:g}",
                _short(t.tail),
                *map(_short, (t.geometry, t.response, t.norms, t.energy)),
            )
            for t in self.terms
        ]
        rows.append(("sum", "", "", "", "", _short(self.geometry), _short(self.estimate), "", _short(self.energy)))
        widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
        for what, groups, unit in (("geometry", self.groups, "A"), ("energy", self.energy_groups, "eV")):
            lines += [
                f"{what}: {g.name} cancel, {g.apart:.2e} {unit} one by one and {g.together:.2e} {unit} together"
                for g in groups
                if len(g.names) > 1
            ]
        return "\n".join(lines)


def _short(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2e}"
