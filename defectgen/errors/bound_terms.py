"""The terms of the bound: symbols, powers of L and units as data, and what a measurement of them returns."""

from dataclasses import dataclass

import numpy as np

from .._input import InputError, did_you_mean


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
    Kind("E", "epsE", "energy of the defect, the far field's left out", "eV"),
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
(Du D^4u, D^2u D^3u), so only its part of the force and of the energy is measured."""


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
    """||D w||, w the perfect crystal's answer to its force, A: the contribution without the price of a guarantee."""
    norms: float
    """What the coefficient and the tail alone allow, value * tail over the stability in the bond norm, A; NaN without."""
    energy: float
    """Contribution to the bound of the energy, eV."""


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
    """||D w||, w the perfect crystal's answer to the whole force error: a sharp estimate of the geometry error, A."""
    energy_estimate: float
    """Signed sum of the energies less the relaxation in the perfect crystal, eV: a sharp estimate of the energy error."""
    long_wave: float
    """sup_k |dPhi(k)| / |k|^2 on acoustic waves, eV: epsC2 and epsG2 together."""

    @property
    def geometry(self) -> float:
        """Bound of ||D(u_model - u)||_l2, A."""
        return float(sum(term.geometry for term in self.terms))

    @property
    def energy(self) -> float:
        """Bound of |E_model - E|, eV."""
        return float(sum(term.energy for term in self.terms))

    @property
    def floor(self) -> str:
        """Name of the term that contributes most to the geometry."""
        return max(self.terms, key=lambda term: np.nan_to_num(term.response, nan=np.inf)).name

    @property
    def energy_floor(self) -> str:
        """Name of the term that contributes most to the energy."""
        return max(self.terms, key=lambda term: np.nan_to_num(term.energy, nan=np.inf)).name

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
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))


def _short(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2e}"
