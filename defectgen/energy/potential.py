"""What counts as a potential: a site energy or another code; its name, and the zero of its energies."""

from .._input import InputError, came
from .blackbox import BlackBox
from .site import SiteEnergy

Potential = SiteEnergy | BlackBox
"""Everything that computes energies: a site energy (reference or fitted model) or another code."""


def is_basis(given: object) -> bool:
    """Whether a site energy has one channel per basis function (and not one value per site).

    Parameters
    ----------
    given : object
        Anything.

    Returns
    -------
    bool
        True for a basis.
    """
    return isinstance(given, SiteEnergy) and hasattr(given, "size")


def check_potential(given: object, basis: bool = False) -> None:
    """Checks that something is a potential.

    Parameters
    ----------
    given : object
        Anything.
    basis : bool
        Whether a basis is accepted too.

    Raises
    ------
    InputError
        For something that is no potential, with `basis` False also for a basis.
    """
    if not isinstance(given, Potential):
        raise InputError(
            f"a potential is a reference, a fitted model or dg.ASEReference(calculator); got {came(given)}"
            + ("" if "fit.model" in came(given) else ": wrap an ASE calculator in dg.ASEReference")
        )
    if not basis and is_basis(given):
        raise InputError("a basis has many energies per site, and one is needed: give dg.LinearACE(basis, coefficients)")


def potential_name(potential: object) -> str:
    """What messages and provenance call a potential."""
    return str(getattr(potential, "name", "") or type(potential).__name__)


def energy_zero(potential: object) -> str:
    """The name of the potential that sets the zero of the energies of single atoms; empty if it is not known.

    Of a fitted model that is the reference whose energies it was fitted to, if these determine the zero of every species.
    """
    provenance = getattr(potential, "provenance", None)
    if provenance is None:
        return potential_name(potential)
    fitted = "E" in str(provenance.get("observations", "")).split("+") and not provenance.get("undetermined_one_body")
    return str(provenance.get("truth", "")) if fitted else ""
