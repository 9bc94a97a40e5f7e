"""Priors: a diagonal penalty ||Gamma theta||^2 of the coefficients, added to the squares of the rows."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._input import InputError, did_you_mean
from .._typing import Float

SPELLED = re.compile(r"smoothness(?:\(\s*(?P<strength>[-+.\deE]+)\s*(?:,\s*(?P<power>[-+.\deE]+)\s*)?\))?")


class Prior(ABC):
    """A Gaussian belief theta_k ~ N(0, 1/Gamma_k^2), entering the least squares as the rows [diag(Gamma) | 0]."""

    @abstractmethod
    def diagonal(self, basis: Any, columns: int) -> Float[np.ndarray, " columns"]:
        """The penalty of every coefficient.

        Parameters
        ----------
        basis : ACEBasis or None
            Whose functions the coefficients belong to.
        columns : int
            How many coefficients there are.

        Returns
        -------
        array (columns,)
            Gamma, in units of weighted rows per coefficient.
        """


@dataclass(frozen=True)
class Ridge(Prior):
    """The same penalty on every coefficient: Gamma_k = strength."""

    strength: float | int

    def __post_init__(self):
        _check(self.strength)

    def diagonal(self, basis: Any, columns: int) -> Float[np.ndarray, " columns"]:
        """The strength, for every coefficient; see `Prior.diagonal`."""
        return np.full(columns, float(self.strength))


@dataclass(frozen=True)
class Smoothness(Prior):
    """Wiggly functions are penalised like derivatives of order `power`: Gamma_k = strength (1 + basis.smoothness(power)_k).

    The 1 keeps the prior proper: one-body constants have no derivative, yet evidence and ridge need a belief about everything.
    """

    power: float | int = 4  # of the ACE convention
    strength: float | int = 1e-6  # weak: it decides only directions that rows in eV/A hardly see

    def __post_init__(self):
        _check(self.strength)

    def diagonal(self, basis: Any, columns: int) -> Float[np.ndarray, " columns"]:
        """strength (1 + smoothness) of every function; see `Prior.diagonal`.

        Raises
        ------
        InputError
            There is no basis that could tell.
        """
        if basis is None:
            raise InputError(
                "a smoothness prior needs the functions of the basis, and these blocks have no basis; use Ridge(strength)"
            )
        return self.strength * (1.0 + np.asarray(basis.smoothness(float(self.power)), dtype=float))


@dataclass(frozen=True)
class Auto(Prior):
    """A smoothness prior whose strength is the one of least error on groups that are left out in turn (see `by_groups`).

    By itself it is the smoothness prior of strength one.
    """

    power: float | int = 4

    def diagonal(self, basis: Any, columns: int) -> Float[np.ndarray, " columns"]:
        return Smoothness(self.power, 1.0).diagonal(basis, columns)


def as_prior(prior: Any) -> Prior | None:
    """A prior from what users write.

    Parameters
    ----------
    prior : None, number, str or Prior
        A number is a ridge; "smoothness", "smoothness(1e-4)" with its strength, "smoothness(0.3, 2)" with strength and power;
        "auto" for the strength that held-out groups choose.

    Returns
    -------
    Prior or None

    Raises
    ------
    InputError
        Anything else.
    """
    if prior is None or isinstance(prior, Prior):
        return prior
    if isinstance(prior, int | float) and not isinstance(prior, bool):
        return Ridge(float(prior))
    if isinstance(prior, str) and prior.strip() == "auto":
        return Auto()
    if isinstance(prior, str) and (found := SPELLED.fullmatch(prior.strip())):
        try:
            return Smoothness(**{name: float(text) for name, text in found.groupdict().items() if text})
        except ValueError:
            pass
    raise InputError(
        "a prior is None, a number (ridge), 'auto', 'smoothness', 'smoothness(1e-4)', Ridge(...) or Smoothness(...); got "
        f"{prior!r}" + did_you_mean(prior, ["smoothness", "auto"])
    )


def _check(strength: float | int) -> None:
    if not np.isfinite(strength) or strength < 0:
        raise InputError(f"the strength of a prior must be zero or a positive number; got {strength!r}")
