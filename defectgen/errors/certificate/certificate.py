"""The certificate of a fit: what it says about its own error for one defect, before and after relaxing it."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from ..._display import preformatted, shown
from ..._input import InputError, InputWarning, came, did_you_mean, takes, whole
from ..._typing import Float
from ...ace import LinearACE
from ...crystal.elements import exchanged_species
from ...energy.functional import cell_energy
from ...fit import Fit
from ...relax import Equilibrium, GreensFunction, relax
from ..domain import Check, Domain
from ..norms import strain_norm
from .quantity import Quantity, Rows
from .sensitivity import Sensitivity, sensitivity

# ------ The certificate of a fit for one defect


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
    """K and k, for further quantities."""
    outside: Check | None = None
    """Which atoms of the defect are outside the domain of the training data; None if no domain was given."""
    baseline: str = ""
    """The repulsion under the fit, whose error in places without rows no number here contains; empty without one."""

    def _repr_html_(self) -> str:
        return preformatted(self)

    def __repr__(self) -> str:
        return shown(
            self,
            f"geometry error {self.geometry.estimate:.3g} A, bound {self.geometry.bound:.3g} A",
            f"energy error {self.energy.estimate:.3g} eV, bound {self.energy.bound:.3g} eV",
            f"{self.rows:,} rows",
        )

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
        prior = [
            f"{q.prior:.2g} {unit} of the {n}" for n, unit, q in (("geometry", "A", self.geometry), (named, "eV", self.energy))
        ]
        if self.geometry.prior or self.energy.prior:
            lines.append(f"included to first order: the bias of the prior, {' and '.join(prior)}")
        if self.baseline:
            lines.append(f"not included: the error of the repulsion ({self.baseline}) at distances that no row has")
        if self.outside is not None:
            lines.append(_domain_in_words(self.outside))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()


def certify(
    fit: Fit,
    rest: Equilibrium,
    *,
    richer: Fit | None = None,
    preconditioner: GreensFunction | None = None,
    domain: Domain | None = None,
) -> Certificate:
    """Estimate and bound of the errors of a fit for one defect; no reference is evaluated.

    Parameters
    ----------
    fit : Fit
        The result of `dg.fit`.
    rest : Equilibrium
        The defect relaxed with ``fit.model``, converged. The chemical potentials that it was relaxed with are held fixed.
    richer : Fit, optional
        A fit of a larger basis to the same labels. The estimate is then the response to its forces, with a spread of its own.
    preconditioner : GreensFunction, optional
        From ``greens_function(cell, fit.model)``; saves time.
    domain : Domain, optional
        Of the training data, from `dg.domain`. The certificate then names the atoms outside, for which no row of the fit speaks.

    Returns
    -------
    Certificate
        Estimate, bound and posterior deviation of the geometry (A) and of the energy (eV).

    Warns
    -----
    InputWarning
        If the perfect crystal is not at equilibrium with the model: the certificate is that of a cell under pressure.

    Raises
    ------
    InputError
        For a fit without basis or residual, and for an equilibrium that is not a converged minimum of the model.

    Notes
    -----
    To first order a change dtheta of the coefficients moves the defect by K dtheta and its energy by k . dtheta. Of all changes
    with |W A dtheta| equal to the residual of the fit, the bound is the worst, |residual| * sigma_max(D K R^-1), and the spread
    their root mean square, |residual| * |D K R^-1|_F / sqrt(parameters): what the basis cannot represent is an error of the size
    of the residual in an unknown direction. A richer fit knows part of that direction. theory: fit/certificate.

    A prior pulls the coefficients of the reference by (R'R)^-1 Gamma^2 theta. Taken at the coefficients of the fit this is the
    bias that the estimate includes; in directions that only the prior determines it is zero, and the spread stands for the
    unknown coefficient there. The error of a repulsion under the fit is included where rows see it, as part of the residual.

    Without chemical potentials the energy of a defect that exchanges atoms is E - N E_bulk, in the zero of the labels: its error
    does not depend on that zero, but includes that of the bulk.
    """
    model = _model_of(fit)
    if not isinstance(rest, Equilibrium) or not rest.converged:
        what = rest.message if isinstance(rest, Equilibrium) else f"got {type(rest).__name__}"
        raise InputError(f"a certificate needs the defect relaxed with the fitted model, dg.relax(cell, fit.model): {what}")
    if rest.unrest:
        warnings.warn(f"{rest.unrest}: the certificate is that of a defect under this pressure", InputWarning, stacklevel=2)
    if domain is not None and not isinstance(domain, Domain):
        raise InputError(f"a domain is that of the training data, dg.domain(cells, fit); got {came(domain)}")
    found = judge(fit, sensitivity(rest, model, preconditioner))
    if domain is not None:
        found = replace(found, outside=domain.check(rest))
    return found if richer is None else _sharpened(found, richer, rest)


def judge(fit: Fit, sensitive: Sensitivity) -> Certificate:
    """The certificate from a sensitivity that is there already.

    Parameters
    ----------
    fit : Fit
        The fit.
    sensitive : Sensitivity
        Of the same model, or of one close to it.

    Returns
    -------
    Certificate

    Raises
    ------
    InputError
        A fit without any residual.
    """
    rows = Rows(fit)
    if not rows.residual > 0:
        raise InputError("the error of a fit without any residual cannot be estimated; give it more rows than parameters")
    return Certificate(
        geometry=rows.judge(sensitive.compact_strains()),
        energy=rows.judge(sensitive.energy[None]),
        residual=rows.residual,
        rows=fit.rows,
        parameters=rows.parameters,
        sensitivity=sensitive,
        baseline=_baseline(fit),
    )


def _domain_in_words(found: Check) -> str:
    """Whether the numbers hold for this defect."""
    if found.inside:
        return "all atoms are inside the domain of the training data"
    return (
        f"{found}: estimate and posterior are of errors that the training rows see, and do not hold outside their domain; "
        "label such atoms, or rely on the bound"
    )


def _baseline(fit: Fit) -> str:
    """The name of the repulsion that the model carries."""
    repulsion = getattr(fit.model, "repulsion", None)
    return "" if repulsion is None else type(repulsion).__name__


def _sharpened(found: Certificate, richer: Fit, rest: Equilibrium) -> Certificate:
    """With the response of the model to the forces of a richer fit, and the spread of that fit.

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
        geometry=replace(found.geometry, shift=strain_norm(rest.cell, answer), remainder=own.geometry.estimate),
        energy=replace(found.energy, shift=abs(shifted - rest.energy), remainder=own.energy.estimate),
    )


def _model_of(fit: Fit) -> LinearACE:
    if not isinstance(fit, Fit):
        raise InputError(f"a certificate is made of a fit, as dg.fit(...) returns it; got {type(fit).__name__}")
    if not isinstance(fit.model, LinearACE):
        raise InputError("a certificate needs the fitted model, and these blocks have no basis; label with an ACEBasis")
    return fit.model


# ------ Predictions with their uncertainty: coefficients drawn from what the rows allow, carried through the relaxed defect

LAWS = ("posterior", "misfit")


@dataclass(frozen=True, eq=False)
class Prediction:
    """Formation energy and displacement of a defect for a committee of coefficients."""

    energies: Float[np.ndarray, " members"]
    """Formation energies, eV; NaN for a member that was relaxed and did not converge."""
    displacements: Float[np.ndarray, "members atoms 3"] = field(repr=False)
    """From the unrelaxed cell, A, without rigid translation."""
    coefficients: Float[np.ndarray, "members columns"] = field(repr=False)
    law: str
    relaxed: bool
    """Whether each member was relaxed by itself, or carried along to first order."""

    def __repr__(self) -> str:
        low, high = self.interval()
        return shown(
            self,
            f"energy {self.energy:.5g} eV, 95 % interval {low:.5g} to {high:.5g} eV",
            f"{len(self.energies)} members",
            f"law {self.law}",
        )

    @property
    def energy(self) -> float:
        """Mean over the committee, eV."""
        return float(np.nanmean(self.energies))

    @property
    def energy_deviation(self) -> float:
        """Standard deviation over the committee, eV."""
        return float(np.nanstd(self.energies, ddof=1))

    @property
    def displacement_deviation(self) -> Float[np.ndarray, " atoms"]:
        """Root of the summed variances of the three components, A."""
        return np.sqrt(np.nansum(np.nanvar(self.displacements, axis=0, ddof=1), axis=1))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Central interval of the formation energy, from quantiles of the committee.

        Parameters
        ----------
        level : float
            Probability of the interval, between 0 and 1.

        Returns
        -------
        low, high : float
            eV.

        Raises
        ------
        InputError
            A level that is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise InputError(f"the level of an interval lies between 0 and 1, such as 0.95; got {level!r}")
        low, high = np.nanquantile(self.energies, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


@takes(fit=(Fit, "the result of dg.fit"), rest=(Equilibrium, "the result of dg.relax"))
def predict(
    fit: Fit,
    rest: Equilibrium,
    certificate: Certificate,
    *,
    law: str = "misfit",
    members: int = 40,
    seed: int = 0,
    relaxed: bool = False,
) -> Prediction:
    """Predictions for a defect with their uncertainty, from a committee of coefficients.

    Parameters
    ----------
    fit : Fit
        The result of `dg.fit`.
    rest : Equilibrium
        The defect relaxed with ``fit.model``; its chemical potentials are those of every member.
    certificate : Certificate
        That of the same fit and equilibrium, from `dg.certify`.
    law : {"misfit", "posterior"}
        "posterior": theta + N(0, noise^2 (R'R)^-1), what independent errors of the labels allow. "misfit": the same shape, scaled
        so that the draws change the weighted predictions by as much as the residual is, for any number of rows.
    members : int
        Number of draws, at least two.
    seed : int
        Equal seeds give equal draws.
    relaxed : bool
        Relax every member by itself, instead of first order by the derivatives of the certificate.

    Returns
    -------
    Prediction
        Formation energies (eV) and displacements (members, atoms, 3; A) of the committee, with their spread.

    Raises
    ------
    InputError
        For a law that does not exist, fewer than two members (that converge), the certificate of another equilibrium, and where
        the formation energy needs chemical potentials that `rest` does not have.

    Notes
    -----
    More rows narrow the posterior and not the misfit: a basis that cannot represent the reference does not learn it from more
    rows.
    theory: fit/certificate.
    """
    if law not in LAWS:
        raise InputError(f"coefficients are drawn by the law {' or '.join(LAWS)}; got {law!r}{did_you_mean(law, LAWS)}")
    members = whole(members, "a committee has at least two members: their number", 2, 1_000_000)
    sensitive = certificate.sensitivity
    if sensitive.rest is not rest and not (
        sensitive.rest.positions.shape == rest.positions.shape
        and np.allclose(sensitive.rest.positions, rest.positions, rtol=0, atol=1e-6)
        and sensitive.rest.exchanged == rest.exchanged
    ):
        raise InputError("the certificate is that of another equilibrium; give the one it was made of, or certify this one")
    formation = rest.formation_energy  # refuses where it is not defined
    rows = Rows(fit)
    normal = np.random.default_rng(seed).normal(size=(members, rows.parameters))
    scale = rows.noise if law == "posterior" else rows.residual / np.sqrt(rows.parameters)
    changes = scale * normal @ rows.leverage.root.T
    coefficients = fit.coefficients + changes
    if not relaxed:
        moved = np.moveaxis(sensitive.displacement @ changes.T, 2, 0)
        energies = formation + changes @ sensitive.energy
        return Prediction(energies, rest.displacement + moved, coefficients, law, relaxed)
    energies, displacements = np.full(members, np.nan), np.full((members, *rest.positions.shape), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # what there is to say of the crystal was said of `rest`
        for k, theta in enumerate(coefficients):
            member = fit.model.with_coefficients(theta)
            potentials = rest.chemical_potentials
            found = relax(rest.cell, member, start=rest.positions, eigenvalue=False, chemical_potentials=potentials)
            if found.converged:
                drift = (found.displacement - rest.displacement).mean(axis=0)
                energies[k], displacements[k] = found.formation_energy, found.displacement - drift
    if np.isfinite(energies).sum() < 2:
        raise InputError(
            f"{int(np.isfinite(energies).sum())} of {members} members of the committee relaxed; predict to first order "
            "(relaxed=False), or improve the fit"
        )
    return Prediction(energies, displacements, coefficients, law, relaxed)
