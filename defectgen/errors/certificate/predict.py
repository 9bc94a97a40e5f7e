"""Predictions with their uncertainty: coefficients drawn from what the rows allow, carried through the relaxed defect."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from ..._input import InputError, InputWarning, did_you_mean, takes, whole
from ..._typing import Float
from ...ace import LinearACE
from ...fit import Fit
from ...relax import Equilibrium, relax
from .certificate import Certificate
from .quantity import Rows

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
        """Central interval of the formation energy, eV, from quantiles of the committee. Raises InputError for no level."""
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
    """A committee of `members` draws of the coefficients and what each says of the defect.

    `law` "posterior": theta + N(0, noise^2 (R'R)^-1), what independent errors of the labels allow; "misfit": the same shape,
    scaled so that the draws change the weighted predictions by as much as the residual is, whatever the number of rows. More
    rows narrow the first and not the second: a basis that cannot represent the reference does not learn it from more rows.
    To first order by the derivatives of the `certificate`; with `relaxed` every member is relaxed by itself.
    The chemical potentials that `rest` was relaxed with are those of every member.
    Raises InputError for a law that does not exist, for fewer than two members (that converge), for the certificate of another
    equilibrium, and where the formation energy needs chemical potentials that `rest` does not have.
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
            member = LinearACE(fit.model.basis, theta)
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
