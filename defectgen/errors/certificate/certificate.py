"""The certificate of a fit for one defect: estimates and bounds of its errors from the fit and the model-relaxed defect alone."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from ..._input import InputError, InputWarning
from ..._typing import Float
from ...ace import LinearACE
from ...crystal.composition import exchanged_species
from ...energy.functional import cell_energy
from ...fit import Fit
from ...relax import Equilibrium, GreensFunction
from ..norms import strain_norm
from .quantity import Quantity, Rows
from .sensitivity import Sensitivity, sensitivity


@dataclass(frozen=True, eq=False)
class Certificate:
    """Errors that a fit has to expect for one defect, to first order. theory: fit/certificate."""

    geometry: Quantity
    """Of ||D(u_model - u)||_l2, A."""
    energy: Quantity
    """Of the formation energy, eV. Where a defect exchanges atoms and has no chemical potentials, of E - N E_bulk with the energy
    zero of the labels, which the model shares."""
    residual: float
    """|W (A theta - y)|, the prior's rows included."""
    rows: int
    parameters: int
    """Independent directions that rows and prior determine."""
    sensitivity: Sensitivity = field(repr=False)
    """K and k, with which more can be asked."""

    def summary(self) -> str:
        """A few lines for people."""
        lines = [f"{self.rows} rows, {self.parameters} parameters, weighted residual {self.residual:.3g}"]
        rest = self.sensitivity.rest
        named = "energy (E - N E_bulk)" if exchanged_species(rest.cell) and not rest.exchanged else "energy"
        for name, unit, q in (("geometry", "A", self.geometry), (named, "eV", self.energy)):
            neediest = min(q.weights, key=q.weights.__getitem__)
            lines.append(
                f"{name}: estimate {q.estimate:.3g} {unit}, bound {q.bound:.3g} {unit}, posterior {q.deviation:.3g} {unit}"
                + (f"; more weight on {neediest} lowers it most" if q.weights[neediest] < 0 else "")
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()


def certify(
    fit: Fit, rest: Equilibrium, *, richer: Fit | None = None, preconditioner: GreensFunction | None = None
) -> Certificate:
    """Estimate and bound of the errors of `fit` for the defect `rest`, relaxed with `fit.model`; no reference is evaluated.

    To first order a change dtheta of the coefficients moves the defect by K dtheta and its energy by k . dtheta. Of all
    changes with |W A dtheta| equal to the residual of the fit, the bound is the worst, |residual| * sigma_max(D K R^-1), and the
    spread their root mean square, |residual| * |D K R^-1|_F / sqrt(parameters): what the basis cannot represent is an error
    of the size of the residual in a direction nobody knows. `richer`, a fit of a larger basis to the same labels, knows part
    of that direction: the estimate is then the answer to its forces, with its own spread beside. theory: fit/certificate.

    The chemical potentials that `rest` was relaxed with are held fixed. Without them the energy of a defect that exchanges atoms
    is E - N E_bulk, in the zero of the labels: its error does not depend on that zero, but includes that of the bulk.
    `preconditioner`, from greens_function(cell, fit.model), saves time.
    Warns (InputWarning) about a perfect crystal that is not at equilibrium with the model: the certificate is that of a cell
    under pressure.
    Raises InputError for a fit without basis or residual, and for an equilibrium that is not a converged minimum of the model.
    """
    model = _model_of(fit)
    if not isinstance(rest, Equilibrium) or not rest.converged:
        what = rest.message if isinstance(rest, Equilibrium) else f"got {type(rest).__name__}"
        raise InputError(f"a certificate wants the defect relaxed with the fitted model, dg.relax(cell, fit.model): {what}")
    if rest.unrest:
        warnings.warn(f"{rest.unrest}: the certificate is that of a defect under this pressure", InputWarning, stacklevel=2)
    found = judge(fit, sensitivity(rest, model, preconditioner))
    return found if richer is None else _sharpened(found, richer, rest)


def judge(fit: Fit, sensitive: Sensitivity) -> Certificate:
    """The certificate from a sensitivity that is there already: of the same model, or of one close to it."""
    rows = Rows(fit)
    if not rows.residual > 0:
        raise InputError("a fit without any residual says nothing of its error; give it more rows than parameters")
    return Certificate(
        geometry=rows.judge(_compact(sensitive.strains())),
        energy=rows.judge(sensitive.energy[None]),
        residual=rows.residual,
        rows=fit.rows,
        parameters=rows.parameters,
        sensitivity=sensitive,
    )


def _sharpened(found: Certificate, richer: Fit, rest: Equilibrium) -> Certificate:
    """With the answer of the model to the forces of a richer fit, and the spread of that fit.

    The energy is that of the richer fit where it would rest, to second order: E(u) - <f, H^-1 f> / 2.
    """
    model = _model_of(richer)
    functional = cell_energy(rest.cell, model)
    energy, force = functional.energy_forces(rest.positions)
    if rest.bulk_energy is not None:  # atoms from reservoirs of fixed chemical potentials
        energy += sum(rest.exchanged.values()) * (functional.crystal.energy - rest.bulk_energy)
    answer = found.sensitivity.answer(force)
    shifted = energy - float(np.vdot(force, answer)) / 2
    own = judge(richer, sensitivity(rest, model, answer=found.sensitivity.answer))
    return replace(
        found,
        geometry=replace(found.geometry, shift=strain_norm(rest.cell, answer), remainder=own.geometry.spread),
        energy=replace(found.energy, shift=abs(shifted - rest.energy), remainder=own.energy.spread),
    )


def _compact(rows: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "k columns"]:
    """A triangle with the same Gram matrix: many rows of strain become as many as there are columns."""
    return rows if len(rows) <= rows.shape[1] else np.linalg.qr(rows, mode="r")  # pyright: ignore[reportReturnType]


def _model_of(fit: Fit) -> LinearACE:
    if not isinstance(fit, Fit):
        raise InputError(f"a certificate is made of a fit, as dg.fit(...) returns it; got {type(fit).__name__}")
    if not isinstance(fit.model, LinearACE):
        raise InputError("a certificate needs the fitted model, and these blocks have no basis; label with an ACEBasis")
    return fit.model
