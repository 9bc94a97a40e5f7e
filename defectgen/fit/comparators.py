"""Losses in use elsewhere, by name, in the terms of this package, with the source of every number.

A multiplier of a residual is the square root of a weight of a square. Overall factors are dropped. Rows of E are dE / sqrt(N)
here, so a loss of energies per atom has a further factor N^(-1/2), which is `by_size(-0.5)`. All act on E+F+V: the virial of the
perfect crystal, which every set here contains, has the weight of V.
"""

from dataclasses import dataclass

from .._input import InputError, did_you_mean
from .loss import Loss

SEEN = "2026-12-01"
"""When the sources were read."""


@dataclass(frozen=True)
class Comparator:
    """A loss with its source."""

    name: str
    loss: Loss
    source: str
    """Code or documentation that says so."""
    note: str
    """How it was translated."""


def _weights(energy: float, virial: float) -> dict[str, float]:
    """Weights of E, V and V0 where that of F is one, as it is by default."""
    return {"E": energy, "V": virial, "V0": virial}


_MADE = (
    Comparator(
        "default",
        Loss("E+F+V", {}, name="default"),
        "this package, theory/fit/defaults.md",
        "E 1000, F 1, V 1, V0 1000; E and V with 1/sqrt(N)",
    ),
    Comparator(
        "ace",
        Loss("E+F+V", _weights(30.0, 1.0), name="ace"),
        "ACEpotentials.jl, tutorials (weights default E 30, F 1, V 1) and src/atoms_data.jl (w_E and w_V over sqrt(N))",
        "as it is",
    ),
    Comparator(
        "gap",
        Loss("E+F+V", _weights(0.2 / 0.002, 0.2 / 0.2), name="gap"),
        "gap_fit tutorial, default_sigma={0.002 0.2 0.2 0.0} (eV/atom, eV/A, eV/atom); gap_fit's sigma_per_atom multiplies the "
        "sigma of a total energy by sqrt(N)",
        "weight 1/sigma, F set to 1; noise levels are chosen by the user of GAP, these are the tutorial's for silicon",
    ),
    Comparator(
        "pacemaker",
        Loss("E+F+V", _weights(1.0, 1.0), weight="energy_based(DE=1.0, DF=1.0, kappa=0.5, DEup=10.0)", name="pacemaker"),
        "python-ace, pyace/preparedata.py, EnergyBasedWeightingPolicy: w_E = 1/(E + DE)^2, w_F = w_E/(|F|^2 + DF), each summing "
        "to one; docs/pacemaker/inputfile.md: DE 1, DF 1, DEup 10, energies above the convex hull, kappa the share of the forces",
        "kappa 0.5 (the documented default, 0, fits energies only); wlow, which rescales two tiers, and virials are not in it: V "
        "keeps the weight 1",
    ),
    Comparator(
        "mace",
        Loss(
            "E+F+V",
            _weights(0.1, 0.1),
            weight="by_size(-0.5) * balanced()",
            residual="huber(0.01, absolute=True)",
            name="mace",
        ),
        "MACE, mace/modules/loss.py, WeightedHuberEnergyForcesStressLoss (means over E/N, F and stress); "
        "mace/tools/arg_parser.py: energy_weight 1, forces_weight 100, stress_weight 1, huber_delta 0.01",
        "the square root of the weights, F set to 1; the stress (eV/A^3) is replaced by the virial per atom (eV/atom)",
    ),
    Comparator(
        "uniform",
        Loss("E+F+V", _weights(1.0, 1.0), name="uniform"),
        "pacemaker's UniformWeightingPolicy in spirit: equal weights of all rows",
        "E and V keep 1/sqrt(N)",
    ),
    Comparator(
        "theory",
        Loss(
            "E+F+V",
            {},
            weight="by_distance(1.0)",
            name="theory",
        ),
        "theory/fit/loss.md",
        "the default with forces weighted by 1 + |l|, which controls the term of the bound",
    ),
)

COMPARATORS: dict[str, Comparator] = {one.name: one for one in _MADE}


def comparator(name: str) -> Loss:
    """A loss of another code or paper, by name.

    Parameters
    ----------
    name : str
        One of "default", "ace", "gap", "pacemaker", "mace", "uniform", "theory".

    Returns
    -------
    Loss
        Needs rows that were labelled with ``subdivide="rows"`` ("mace"), "bins" ("pacemaker") or True ("theory").

    Raises
    ------
    InputError
        For another name.

    Examples
    --------
    >>> comparator("ace").weights["E"]
    30.0
    """
    if name not in COMPARATORS:
        raise InputError(f"named losses are {', '.join(COMPARATORS)}; got {name!r}{did_you_mean(name, COMPARATORS)}")
    return COMPARATORS[name].loss
