"""A linear ACE potential as a `.yace` file, which LAMMPS' `pair_style pace` reads.

Radial functions: a polynomial of r that vanishes at the cutoff is a sum of ML-PACE's functions `ChebPow` of power 1,
g_k = (1 - T_k(2 r / cutoff - 1)) / 2, so R_n is given by its Chebyshev coefficients, as many as it takes to reach rounding. The
C++ evaluator tabulates these sums as cubic splines on a grid that the file sets; its spacing is chosen by the error that such
splines make in energies and forces.
Products: real harmonics are sums of two complex ones; products m and -m have the same real part and become one.
"""

import warnings
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.fft import dct

from .._input import InputError, InputWarning, save_whole
from .._typing import Float
from ..crystal.elements import element
from .harmonics import real_from_complex, real_harmonics
from .model import LinearACE
from .one_particle import SCALE
from .repulsion import ZBL, TabulatedPairs
from .yace import PACEModel

SPACINGS = (0.002, 0.001, 0.0005, 0.00025)
"""A: of the splines, the first that is fine enough is taken; 0.001 is the default of pacemaker."""
FORCE_ERROR = 1e-8
"""eV/A: what splines may change the derivative of one site energy along one bond; a force is the sum of some tens of these."""
RELATIVE = 1e-9
"""The same as a part of the largest such derivative: random environments have larger forces than crystals."""
ENVIRONMENTS, NEIGHBOURS = 16, 40
"""Random ones, in which the error of the splines is measured."""
MOST = 400
"""Chebyshev coefficients of one radial function; LAMMPS' work grows with their number."""
ROUNDING = 1e-14
"""Relative size of coefficients that are left out."""
NEAREST = 0.8
"""Of the distance of best resolution: neighbours in them are no nearer."""


@dataclass(frozen=True)
class Export:
    """What was written, and how far the C++ evaluator's splines are from the model."""

    path: Path
    lammps_input: Path
    functions: int
    spacing: float
    """Of the splines, A."""
    coefficients: int
    """Chebyshev coefficients of each radial function."""
    energy_error: float
    """Largest error of the splines in the energy of an atom, in random environments, eV."""
    force_error: float
    """The same in its derivative along one bond, eV/A."""


def export(model: LinearACE, path: str | Path) -> Export:
    """Write a model as a `.yace` potential for LAMMPS (`pair_style pace`), and a LAMMPS input that uses it.

    Parameters
    ----------
    model : LinearACE
        The model.
    path : str or Path
        The file, with the suffix `.yace`. The input is written next to it, with the suffix `.in`.

    Returns
    -------
    Export
        The paths, and the error of the splines by which the C++ evaluator tabulates the radial functions.

    Raises
    ------
    InputError
        If the model is no LinearACE or contains tabulated pair energies, the suffix is another one, or a file cannot be
        written.

    Warns
    -----
    InputWarning
        If the model contains a repulsion (ZBL), which a `.yace` file cannot hold: the LAMMPS input adds it by `pair_style zbl`.

    Notes
    -----
    The file has the radial functions as sums of `ChebPow` functions, exact to rounding. ML-PACE interpolates them by cubic
    splines; the spacing is the first of 0.002, 0.001, 0.0005 and 0.00025 A with which the derivative of a site energy along
    one bond is exact to 1e-8 eV/A, or to 1e-9 of the largest one, in 16 random environments of 40 neighbours.
    """
    if isinstance(model, PACEModel):
        raise InputError("this potential was read from a .yace file; copy that file")
    if not isinstance(model, LinearACE):
        advice = ": pass its model, fit.model" if hasattr(model, "model") else ""
        raise InputError(f"a LinearACE is exported, such as fit.model; got {type(model).__name__}{advice}")
    if not isinstance(path, str | Path):
        raise InputError(f"a model is exported to the path of a file; got {type(path).__name__}")
    path = Path(path)
    if path.suffix.lower() != ".yace":
        raise InputError(f"a potential for LAMMPS is written to a file with the suffix .yace; got {str(path)!r}")
    if isinstance(model.repulsion, TabulatedPairs):
        raise InputError(
            "this model contains tabulated pair energies, which neither a .yace file nor a pair style of LAMMPS can represent as "
            "they are; fit on top of 'zbl' to export it"
        )
    repulsion = model.repulsion
    if repulsion is not None and not isinstance(repulsion, ZBL):
        raise InputError(
            f"a repulsion of the kind {type(repulsion).__name__} cannot be written for LAMMPS; fit on top of 'zbl' to export it"
        )
    if repulsion is not None:
        warnings.warn(
            f"the repulsion (ZBL) of this model is not in {path.name}: use it with the lines of {path.with_suffix('.in').name}, "
            "which add pair_style zbl",
            InputWarning,
            stacklevel=2,
        )
    radial = _radial(model)
    spacing, energy_error, force_error = _spacing(model, radial)
    functions = [_functions(model, z, radial) for z in range(len(model.species))]
    text = _written(model, radial, spacing, functions)
    save_whole(path, text.encode(), "the potential")
    lammps = path.with_suffix(".in")
    save_whole(lammps, lammps_input(model.species, path.name, repulsion).encode(), "the input of LAMMPS")
    count = sum(map(len, functions))
    return Export(path, lammps, count, spacing, radial.many.shape[2], energy_error, force_error)


def pair_lines(species: tuple[str, ...], name: str, repulsion: ZBL | None) -> str:
    """The pair style of LAMMPS for a `.yace` file of this name, alone or on top of a repulsion."""
    pace = f"{name} {' '.join(species)}"
    if repulsion is None:
        return f"pair_style      pace\npair_coeff      * * {pace}"
    return "\n".join(
        [
            f"pair_style      hybrid/overlay pace {zbl_styles(repulsion)}",
            f"pair_coeff      * * pace {pace}",
            *zbl_coefficients(repulsion),
        ]
    )


def _switches(repulsion: ZBL) -> list[tuple[float, float]]:
    """The different pairs of radii: each is a pair style of its own."""
    inner, outer = np.asarray(repulsion.inner), np.asarray(repulsion.outer)
    upper = np.triu_indices(len(inner))
    return list(dict.fromkeys(zip(inner[upper].tolist(), outer[upper].tolist(), strict=True)))


def zbl_styles(repulsion: ZBL) -> str:
    """Arguments of `pair_style hybrid/overlay` for a repulsion."""
    return " ".join(f"zbl {inner!r} {outer!r}" for inner, outer in _switches(repulsion))


def zbl_coefficients(repulsion: ZBL) -> list[str]:
    """The `pair_coeff` lines of a repulsion."""
    switches, charges = _switches(repulsion), np.asarray(repulsion.charges)
    found = []
    for i in range(len(charges)):
        for j in range(i, len(charges)):
            place = switches.index((float(repulsion.inner[i, j]), float(repulsion.outer[i, j]))) + 1
            style = "zbl" if len(switches) == 1 else f"zbl {place}"
            found.append(f"pair_coeff      {i + 1} {j + 1} {style} {charges[i]:g} {charges[j]:g}")
    return found


def lammps_input(species: tuple[str, ...], name: str, repulsion: ZBL | None = None) -> str:
    """A LAMMPS input that uses a `.yace` file of this name."""
    masses = "\n".join(f"mass            {k} {element(s).mass:.6g}" for k, s in enumerate(species, start=1))
    return f"""# Potential: {name}. Energies in eV, lengths in Angstrom. Replace 'structure.data' by your own data file,
# whose atom types are, in this order: {" ".join(species)}.
units           metal
atom_style      atomic
boundary        p p p
read_data       structure.data
{masses}
{pair_lines(species, name, repulsion)}
thermo_style    custom step pe pxx pyy pzz pyz pxz pxy
thermo_modify   format float %.10g
min_style       fire
minimize        0.0 1.0e-6 1000 10000
"""


@dataclass(frozen=True)
class _Radial:
    """Chebyshev coefficients of g_k for each pair of species, counted through."""

    many: Float[np.ndarray, "pairs n k"]
    pair: Float[np.ndarray, "pairs k"]
    """Of the energy that the neighbour gives to the central atom, eV."""


def _radial(model: LinearACE) -> _Radial:
    """R_n of products, and the pair energy, as sums of g_k."""
    table, radial, kinds = model.basis.tables, model.basis.radial, len(model.species)
    samples = 2 * MOST
    x = np.cos(np.pi * (np.arange(samples) + 0.5) / samples)
    r = (x + 1) * model.cutoff / 2
    many_rows = np.setdiff1d(np.arange(len(table.one_particle)), table.pair)
    count = int(table.one_particle[many_rows, 1].max(initial=1))
    values = []
    for i, j in product(range(kinds), repeat=2):
        functions = np.asarray(radial(jnp.asarray(r), jnp.full(samples, i), jnp.full(samples, j)))
        theta = _pair_weights(model, i, j, radial.count)
        values.append(np.vstack([theta @ functions, functions[:count]]))
    every = np.array(values)
    cosine = dct(every, type=2, axis=2) / samples
    cosine[..., 0] /= 2
    size = np.abs(every).max(axis=2, keepdims=True)
    live = np.abs(cosine) > ROUNDING * np.where(size > 0, size, 1.0)
    last = int(np.flatnonzero(live.any(axis=(0, 1))).max(initial=1))
    if last > MOST:
        raise InputError(
            f"the radial functions of this model are no sum of {MOST} polynomials over {model.cutoff:g} A (r0 is short compared "
            "with the cutoff); fit a basis with a larger r0 or a shorter cutoff"
        )
    g = -2 * cosine[..., 1 : last + 1]  # sum_k a_k T_k = sum_k (-2 a_k) g_k, as sum_k a_k = 0 at the cutoff
    return _Radial(g[:, 1:], g[:, 0])


def _pair_weights(model: LinearACE, i: int, j: int, count: int) -> Float[np.ndarray, " count"]:
    """Coefficients of R_n in the pair energy of a neighbour j of an atom i, eV."""
    table, weights = model.basis.tables, np.asarray(model.weights)
    result = np.zeros(count)
    one = len(table.one_particle)
    for p in np.flatnonzero((table.monomials < one).sum(axis=1) == 1):
        mu, n, _, _ = table.one_particle[table.monomials[p].min()]
        if mu == j:
            result[n - 1] += weights[i, p]
    return result


def _spacing(model: LinearACE, radial: _Radial) -> tuple[float, float, float]:
    """The widest spacing of splines that is fine enough, and the largest errors that they make in the energy of an atom (eV)
    and in its derivative along a bond (eV/A), in random environments."""
    kinds, cutoff = len(model.species), model.cutoff
    rng = np.random.default_rng(0)
    environments = []
    for _ in range(ENVIRONMENTS):
        centre, neighbour = int(rng.integers(kinds)), rng.integers(kinds, size=NEIGHBOURS)
        nearest = np.minimum(NEAREST * np.asarray(model.basis.r0)[centre, neighbour], 0.9 * cutoff)
        r = np.cbrt(nearest**3 + rng.random(NEIGHBOURS) * (cutoff**3 - nearest**3))
        g = rng.normal(size=(3, NEIGHBOURS))
        environments.append((centre, neighbour, r, g / np.linalg.norm(g, axis=0)))
    found = []
    for spacing in SPACINGS:
        energy, force, largest = np.max([_spline_errors(model, radial, spacing, *e) for e in environments], axis=0)
        found.append((spacing, float(energy), float(force)))
        if force <= max(FORCE_ERROR, RELATIVE * largest):
            break
    return found[-1]


def _spline_errors(
    model: LinearACE, radial: _Radial, spacing: float, centre: int, neighbour: np.ndarray, r: np.ndarray, unit: np.ndarray
) -> tuple[float, float, float]:
    """Errors of the energy (eV) and of its derivative along a bond (eV/A) in one environment, and the largest such derivative:
    errors of the radial functions times the derivative of the energy in the one-particle sums."""
    table, kinds = model.basis.tables, len(model.species)
    species, n, l, m = table.one_particle.T  # noqa: E741
    pairs = centre * kinds + neighbour
    rows = np.concatenate([radial.pair[:, None], radial.many], axis=1)[pairs]
    exact, slope = (_at(rows, r, model.cutoff, order) for order in (0, 1))
    h = model.cutoff / int(model.cutoff / spacing)
    left = np.floor(r / h) * h
    f0, d0, f1, d1 = (_at(rows, x, model.cutoff, order) for x in (left, left + h) for order in (0, 1))
    t = ((r - left) / h)[:, None]
    spline = f0 + h * d0 * t + (3 * (f1 - f0) - h * (d1 + 2 * d0)) * t**2 + (h * (d1 + d0) - 2 * (f1 - f0)) * t**3
    bend = d0 + 2 * (3 * (f1 - f0) / h - d1 - 2 * d0) * t + 3 * (d1 + d0 - 2 * (f1 - f0) / h) * t**2
    harmonics = SCALE * np.asarray(real_harmonics(jnp.asarray(unit), int(l.max(initial=0))))
    seen = harmonics[l * l + l + m] * (neighbour == species[:, None])  # one-particle functions but for their radial part
    many = np.setdiff1d(np.arange(len(n)), table.pair)
    column = np.minimum(n, rows.shape[1] - 1)
    a = np.append(np.einsum("vk,kv->v", seen, exact[:, column]), 1.0)
    slopes = np.zeros(len(a))
    weights = np.asarray(model.weights)[centre]
    live = (table.monomials < len(n)).sum(axis=1) > 1
    factors = table.monomials[live]
    for k in range(factors.shape[1]):
        np.add.at(slopes, factors[:, k], weights[live] * np.prod(np.delete(a[factors], k, axis=1), axis=1))
    energy, force, size = (
        x[:, 0] + slopes[many] @ (seen[many] * x[:, column[many]].T) for x in (spline - exact, bend - slope, slope)
    )
    return abs(float(energy.sum())), float(np.abs(force).max()), float(np.abs(size).max())


def _at(rows: Float[np.ndarray, "bonds functions k"], r: Float[np.ndarray, " bonds"], cutoff: float, order: int) -> np.ndarray:
    """Sums of g_k, or their derivative, at the distance of each bond."""
    series = np.concatenate([rows.sum(axis=2, keepdims=True) / 2, -rows / 2], axis=2)
    series = np.moveaxis(series, 2, 0)
    if order:
        series = np.polynomial.chebyshev.chebder(series, order) * (2 / cutoff) ** order
    return np.polynomial.chebyshev.chebval((2 * r / cutoff - 1)[:, None], series, tensor=False)


def _functions(model: LinearACE, z: int, radial: _Radial) -> list[dict[str, Any]]:
    """The functions of one central species."""
    table, kinds = model.basis.tables, len(model.species)
    weights = np.asarray(model.weights)[z]
    found: list[dict[str, Any]] = []
    for mu in range(kinds):
        for k, value in enumerate(radial.pair[z * kinds + mu], start=1):
            if value != 0.0:
                found.append(_entry(z, [mu], [k], [0], [[0]], [value]))
    one = len(table.one_particle)
    turned = {
        l: real_from_complex(l)
        for l in range(int(table.one_particle[:, 2].max(initial=0)) + 1)  # noqa: E741
    }
    labels = [tuple(row) for row in table.one_particle.tolist()]
    sums: dict[tuple, complex] = defaultdict(complex)
    for factors, weight in zip(table.monomials.tolist(), weights.tolist(), strict=True):
        factors = [f for f in factors if f < one]
        if len(factors) < 2 or weight == 0.0:
            continue
        options = []
        for f in factors:
            mu, n, l, m = labels[f]  # noqa: E741
            row = turned[l][l + m]
            options.append([((mu, n, l, k - l), row[k]) for k in np.flatnonzero(row)])
        for chosen in product(*options):
            value = weight
            for _, v in chosen:
                value = value * v
            sums[tuple(sorted(label for label, _ in chosen))] += value
    half: dict[tuple, float] = defaultdict(float)
    size = max((abs(v) for v in sums.values()), default=0.0)
    for key, value in sums.items():
        other = tuple(sorted((*label, -m) for *label, m in key))
        half[min(key, other)] += value.real
    groups: dict[tuple, list] = defaultdict(list)
    for key, value in half.items():
        if abs(value) > 1e-15 * size:
            groups[tuple(label[:3] for label in key)].append(([m for *_, m in key], value))
    for factors, entries in sorted(groups.items(), key=lambda item: (len(item[0]), item[0])):
        mus, ns, ls = (list(x) for x in zip(*factors, strict=True))
        entries.sort()
        found.append(_entry(z, mus, ns, ls, [ms for ms, _ in entries], [c for _, c in entries]))
    return found


def _entry(z: int, mus: list, ns: list, ls: list, ms: list, coefficients: list) -> dict[str, Any]:
    return {
        "mu0": z,
        "rank": len(mus),
        "ndensity": 1,
        "num_ms_combs": len(ms),
        "mus": mus,
        "ns": ns,
        "ls": ls,
        "ms_combs": [m for row in ms for m in row],
        "ctildes": [float(c) for c in coefficients],
    }


def _written(model: LinearACE, radial: _Radial, spacing: float, functions: list[list[dict[str, Any]]]) -> str:
    """The file."""
    kinds = len(model.species)
    basis = model.basis
    _, count, base = radial.many.shape
    lmax = int(basis.tables.one_particle[:, 2].max(initial=0))
    lines = [
        f"# Written by defectgen {version('defectgen')}: a linear ACE potential of order {basis.order}, degree {basis.degree:g}.",
        f"elements: {_flow(list(model.species))}",
        f"E0: {_flow(np.asarray(model.one_body).tolist())}",
        f"deltaSplineBins: {spacing}",
        "embeddings:",
    ]
    for z in range(kinds):
        lines.append(
            f"  {z}: {{ndensity: 1, FS_parameters: [1.0, 1.0], npoti: FinnisSinclair, rho_core_cutoff: 100000, "
            "drho_core_cutoff: 250}"
        )
    lines.append("bonds:")
    for pair, (i, j) in enumerate(product(range(kinds), repeat=2)):
        rows = [[row.tolist()] * (lmax + 1) for row in radial.many[pair]]
        lines.append(
            f"  [{i}, {j}]: {{nradmax: {count}, lmax: {lmax}, nradbasemax: {base}, radbasename: ChebPow, radparameters: [1.0], "
            f"radcoefficients: {_flow(rows)}, prehc: 0, lambdahc: 1, rcut: {basis.cutoff!r}, dcut: 0.01, rcut_in: 0, "
            "dcut_in: 0, inner_cutoff_type: distance}"
        )
    lines.append("functions:")
    for z in range(kinds):
        lines.append(f"  {z}:" + ("" if functions[z] else " []"))
        for entry in functions[z]:
            lines.append("    - {" + ", ".join(f"{key}: {_flow(value)}" for key, value in entry.items()) + "}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A number, a word or a list of them in YAML."""
    return f"[{', '.join(map(_flow, value))}]" if isinstance(value, list) else str(value)
