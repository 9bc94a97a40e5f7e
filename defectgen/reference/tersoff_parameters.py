"""Published parameters of bond-order potentials, written as the triplets of LAMMPS `.tersoff` files.

Two notations: that of Tersoff (A, B, lambda, mu for pairs; beta, n, c, d, h for the central atom; chi and omega for pairs), and
that of Brenner and Albe (well depth D0, bond length r0, S, beta; gamma, c, d, h and mu for the bond to the third atom), in which
lambda1 = beta sqrt(2 S), lambda2 = beta sqrt(2 / S), A = D0 / (S - 1) exp(lambda1 r0), B = S D0 / (S - 1) exp(lambda2 r0).
"""

from itertools import combinations_with_replacement, product
from math import exp, sqrt

FIELDS: tuple[str, ...] = (*("m", "gamma", "lambda3", "c", "d", "cos0", "n", "beta", "lambda2", "B", "R", "D", "lambda1", "A"),)
"""The fourteen numbers of one `.tersoff` entry, in file order."""

Triplets = dict[tuple[str, ...], dict[str, float]]
"""Numbers by (centre, neighbour, third atom); `power` is that of the bond order, 1 / (2 n) where it is left out."""


def tersoff_style(el: str, *, pairs: dict, atoms: dict, chi=None, omega=None) -> Triplets:
    """Triplets of a set in the notation of Tersoff: `pairs` maps "C Si" to (A, B, lambda, mu, r1, r2), all of them given.

    `atoms` maps a symbol to (beta, n, c, d, h).
    """
    species = el.split()
    both = _both_ways(pairs)
    chi, omega = _both_ways(chi or {}), _both_ways(omega or {})
    found: Triplets = {}
    for i, j, k in product(species, repeat=3):
        a, b, lam, mu, _, _ = both[i, j]
        r1, r2 = both[i, k][4:]
        beta, n, c, d, h = atoms[i]
        found[i, j, k] = dict(
            zip(
                FIELDS,
                (1.0, omega.get((i, k), 1.0), 0.0, c, d, h, n, beta, mu, b * chi.get((i, j), 1.0), *_window(r1, r2), lam, a),
                strict=True,
            )
        )
    return found


def mixed(pairs: dict) -> dict:
    """Pairs of unlike species by Tersoff's rules: geometric means of A, B and the radii, arithmetic ones of lambda and mu."""
    found = dict(pairs)
    for first, second in combinations_with_replacement([key.split()[0] for key in pairs if len(set(key.split())) == 1], 2):
        if first != second and f"{first} {second}" not in pairs and f"{second} {first}" not in pairs:
            both = list(zip(pairs[f"{first} {first}"], pairs[f"{second} {second}"], strict=True))
            found[f"{first} {second}"] = tuple((x + y) / 2 if k in (2, 3) else sqrt(x * y) for k, (x, y) in enumerate(both))
    return found


def brenner_style(el: str, pairs: dict, *, power=None, alpha=None, omega=None) -> Triplets:
    """Triplets of a set in the notation of Brenner: `pairs` maps "C Si" to (D0, r0, S, beta, gamma, c, d, h, mu, r1, r2).

    `alpha` and `omega` are exponents (1/A) and factors of triplets where those are not 2 mu of the bond to the third atom and 1.
    """
    species = el.split()
    both = _both_ways(pairs)
    found: Triplets = {}
    for i, j, k in product(species, repeat=3):
        d0, r0, s, beta, *_ = both[i, j]
        *_, gamma, c, d, h, mu, r1, r2 = both[i, k]
        lam, bond = beta * sqrt(2 * s), beta * sqrt(2 / s)
        gamma = gamma * (omega or {}).get((i, j, k), 1.0)
        decay = 2 * mu if alpha is None else alpha.get((i, j, k), 0.0)
        wells = s * d0 / (s - 1) * exp(bond * r0), d0 / (s - 1) * exp(lam * r0)
        found[i, j, k] = dict(
            zip(FIELDS, (1.0, gamma, decay, c, d, -h, 1.0, 1.0, bond, wells[0], *_window(r1, r2), lam, wells[1]), strict=True)
        )
        if power is not None:
            found[i, j, k]["power"] = power
    return found


def _window(r1: float, r2: float) -> tuple[float, float]:
    """Middle and half width of the cutoff, A."""
    return (r1 + r2) / 2, (r2 - r1) / 2


def _both_ways(pairs: dict) -> dict:
    result = {}
    for key, value in pairs.items():
        first, second = key.split()
        result[first, second] = result[second, first] = value
    return result


def _juslin(first: str, decay: float, metal: dict) -> Triplets:
    """A metal with carbon and hydrogen: the hydrocarbons of Juslin et al., with their factors of triplets."""
    hydrocarbons = {
        "C C": (6.0, 1.39, 1.22, 2.1, 0.00020813, 330.0, 3.5, 1.0, 0.0, 1.70, 2.00),
        "C H": (3.6422, 1.1199, 1.69077, 1.9583, 0.00020813, 330.0, 3.5, 1.0, 0.0, 1.30, 1.80),
        "H H": (4.7509, 0.74144, 2.3432, 1.9436, 12.33, 0.0, 1.0, 1.0, 0.0, 1.10, 1.70),
    }
    near = {("C", "C", "H"), ("C", "H", "C"), ("C", "H", "H"), ("H", "C", "C"), ("H", "C", "H"), ("H", "H", "C"), ("H", "H", "H")}
    alpha = dict.fromkeys(near, 4.0) | {(first, j, first): decay for j in (first, "C", "H")}
    omega = {("C", "H", "C"): 2.94586, ("C", "H", "H"): 4.54415, ("H", "C", "C"): 0.33946, ("H", "C", "H"): 0.22006}
    found = brenner_style(f"{first} C H", metal | hydrocarbons, alpha=alpha, omega=omega)
    swapped = dict(zip(("gamma", "c", "d", "cos0"), (12.33, 0.0, 1.0, -1.0), strict=True))
    for j in (first, "C", "H"):  # the angular function of H-C is not that of C-H
        found["H", j, "C"] |= swapped | {"gamma": 12.33 * omega.get(("H", j, "C"), 1.0)}
    return found


_SILICON_CARBON = {
    "C C": (1.3936e3, 3.4674e2, 3.4879, 2.2119, 1.80, 2.10),
    "Si Si": (1.8308e3, 4.7118e2, 2.4799, 1.7322, 2.70, 3.00),
}
_SILICON_CARBON_ATOMS = {
    "C": (1.5724e-7, 7.2751e-1, 3.8049e4, 4.3484, -5.7058e-1),
    "Si": (1.1000e-6, 7.8734e-1, 1.0039e5, 1.6217e1, -5.9825e-1),
}
_CARBON_II = (6.0, 1.39, 1.22, 2.1, 0.00020813, 330.0, 3.5, 1.0, 0.0, 1.70, 2.00)

PUBLISHED: dict[str, tuple[str, Triplets]] = {
    # J. Tersoff, Phys. Rev. B 39, 5566 (1989)
    **{
        name: (
            "Tersoff 1989",
            tersoff_style(el, pairs=mixed(_SILICON_CARBON), atoms=_SILICON_CARBON_ATOMS, chi={"C Si": 0.9776}),
        )
        for name, el in {"Si": "Si", "C": "C", "SiC": "Si C"}.items()
    },
    "BCN": (
        "Matsunaga, Fisher and Matsubara, Jpn. J. Appl. Phys. 39, 48 (2000)",
        tersoff_style(
            "B C N",
            pairs=mixed(
                {
                    "C C": (1.3936e3, 3.4674e2, 3.4879, 2.2119, 1.80, 2.10),
                    "N N": (1.1e4, 2.1945e2, 5.7708, 2.5115, 2.0, 2.3),
                    "B B": (2.7702e2, 1.8349e2, 1.9922, 1.5856, 1.8, 2.1),
                }
            ),
            atoms={
                "C": (1.5724e-7, 7.2751e-1, 3.8049e4, 4.3484, -5.7058e-1),
                "N": (1.0562e-1, 12.4498, 7.9934e4, 1.3432e2, -0.9973),
                "B": (1.6e-6, 3.9929, 5.2629e-1, 1.5870e-3, 0.5),
            },
            chi={"C N": 0.9685, "C B": 1.0025, "N B": 1.1593},
            omega={"C N": 0.6381},
        ),
    ),
    "AlN-GoumriSaid": (
        "Goumri-Said et al., Chem. Phys. 302, 135 (2004)",
        tersoff_style(
            "Al N",
            pairs={
                "Al Al": (746.698, 40.451, 2.4647, 0.9683, 3.20, 3.60),
                "Al N": (3000.214, 298.81, 3.53051, 1.99995, 2.185, 2.485),
                "N N": (636.814, 511.76, 5.43673, 2.7, 1.60, 2.00),
            },
            atoms={
                "Al": (1.094932, 6.085605, 0.074836, 19.569127, -0.659266),
                "N": (5.2938e-3, 1.33041, 2.0312e4, 20.312, -0.56239),
            },
        ),
    ),
    "SiC-Erhart": (
        "Erhart and Albe, Phys. Rev. B 71, 035211 (2005)",
        brenner_style(
            "Si C",
            {
                "C C": (6.00, 1.4276, 2.167, 2.0099, 0.11233, 181.910, 6.28433, 0.5556, 0.0, 1.85, 2.15),
                "C Si": (4.36, 1.79, 1.847, 1.6991, 0.011877, 273987.0, 180.314, 0.68, 0.0, 2.20, 2.60),
                "Si Si": (3.24, 2.232, 1.842, 1.4761, 0.114354, 2.00494, 0.81472, 0.259, 0.0, 2.68, 2.96),
            },
        ),
    ),
    "Si-Erhart": (
        "Erhart and Albe, Phys. Rev. B 71, 035211 (2005), the set of pure silicon",
        brenner_style("Si", {"Si Si": (3.24, 2.222, 1.57, 1.4760, 0.09253, 1.13681, 0.63397, 0.335, 0.0, 2.75, 3.05)}),
    ),
    "PtC": (
        "Albe, Nordlund and Averback, Phys. Rev. B 65, 195124 (2002)",
        brenner_style(
            "Pt C",
            {
                "Pt Pt": (3.683, 2.384, 2.24297, 1.64249, 8.542e-4, 34.0, 1.1, 1.0, 1.335, 2.9, 3.3),
                "Pt C": (5.3, 1.84, 1.1965, 1.836, 9.7e-3, 1.23, 0.36, 1.0, 0.0, 2.5, 2.8),
                "C C": (6.0, 1.39, 1.22, 2.1, 2.0813e-4, 330.0, 3.5, 1.0, 0.0, 1.7, 2.0),
            },
        ),
    ),
    "FeC": (
        "Henriksson and Nordlund, Phys. Rev. B 79, 144107 (2009)",
        brenner_style(
            "Fe C",
            {
                "Fe Fe": (1.5, 2.29, 2.0693109, 1.4, 0.0115751, 1.2898716, 0.3413219, -0.26, 0.0, 2.95, 3.35),
                "Fe C": (
                    4.82645134,
                    1.47736510,
                    1.43134755,
                    1.63208170,
                    0.00205862,
                    8.95583221,
                    0.72062047,
                    0.87099874,
                    0.0,
                    2.3,
                    2.7,
                ),
                "C C": _CARBON_II,
            },
        ),
    ),
    "AlN": (
        "Kioseoglou, Komninou and Karakostas, Phys. Status Solidi B 245, 1118 (2008)",
        brenner_style(
            "Al N",
            {
                "N N": (9.9100, 1.1100, 1.4922, 2.05945, 0.76612, 0.178493, 0.20172, 0.045238, 0.0, 2.00, 2.40),
                "N Al": (3.3407, 1.8616, 1.7269, 1.7219, 1.1e-6, 100390.0, 16.2170, 0.5980, 0.0, 2.19, 2.49),
                "Al Al": (1.5000, 2.4660, 2.7876, 1.0949, 0.3168, 0.0748, 19.5691, 0.6593, 0.0, 3.40, 3.60),
            },
        ),
    ),
    "C-Brenner1": (
        "Brenner, Phys. Rev. B 42, 9458 (1990), potential I, without its terms of conjugation",
        brenner_style("C", {"C C": (6.325, 1.315, 1.29, 1.5, 0.011304, 19.0, 2.5, 1.0, 0.0, 1.70, 2.00)}, power=0.80469),
    ),
    "C-Brenner2": (
        "Brenner, Phys. Rev. B 42, 9458 (1990), potential II, without its terms of conjugation",
        brenner_style("C", {"C C": _CARBON_II}, power=0.5),
    ),
    "WCH": (
        "Juslin et al., J. Appl. Phys. 98, 123520 (2005)",
        _juslin(
            "W",
            0.45876,
            {
                "W W": (5.41861, 2.34095, 1.92708, 1.38528, 0.00188227, 2.14969, 0.17126, -0.27780, 0.0, 3.20, 3.80),
                "W C": (6.64, 1.90547, 2.96149, 1.80370, 0.072855, 1.10304, 0.33018, 0.75107, 0.0, 2.60, 3.00),
                "W H": (2.748, 1.727, 1.2489, 1.52328, 0.0054, 1.788, 0.8255, 0.38912, 0.0, 2.68, 2.96),
            },
        ),
    ),
    "FeCH": (
        "Kuopanportti et al., Comput. Mater. Sci. 111, 525 (2016)",
        _juslin(
            "Fe",
            0.0,
            {
                "Fe Fe": (1.5, 2.29, 2.0693, 1.4, 0.01158, 1.2899, 0.3413, -0.26, 0.0, 2.95, 3.35),
                "Fe C": (
                    4.82645134,
                    1.47736510,
                    1.43134755,
                    1.63208170,
                    0.00205862,
                    8.95583221,
                    0.72062047,
                    0.87099874,
                    0.0,
                    2.3,
                    2.7,
                ),
                "Fe H": (1.630, 1.589, 4.000, 1.875, 0.01332, 424.5, 7.282, -0.1091, 0.0, 2.2974, 2.6966),
            },
        ),
    ),
}
"""Sets of parameters by name: where they were published, and their triplets."""
