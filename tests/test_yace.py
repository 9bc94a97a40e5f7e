"""Potentials of ML-PACE: what is written for LAMMPS and what is read, against the C++ evaluator and against the model itself."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk

import defectgen as dg
from defectgen.ace.yace_radial import FAMILIES, radial_base
from defectgen.energy.site import Stencil

ENERGY, FORCE = 1e-8, 1e-7
"""eV/atom and eV/A: what the splines of the C++ evaluator may change."""


def toy(species, order, degree) -> dg.LinearACE:
    """A model with forces of 5 eV/A: coefficients that fall with the roughness of their functions."""
    basis = dg.ACEBasis(species, 4.5, order, degree, pair_degree=8)
    theta = np.random.default_rng(0).normal(size=basis.size) / (1 + basis.smoothness(2))
    _, forces = told(dg.Calculator(dg.LinearACE(basis, theta)), crystal(species, 0))
    return dg.LinearACE(basis, 5.0 / np.abs(forces).max() * theta)


def crystal(species, seed, a=3.7, rattle=0.15):
    """Eight cubic cells with the species at random, as ASE atoms."""
    atoms = bulk("Cu", "fcc", a, cubic=True) * (2, 2, 2)
    atoms.rattle(rattle, seed=seed)
    atoms.symbols[:] = np.random.default_rng(seed).choice(species, size=len(atoms))
    return atoms


def told(potential, atoms) -> tuple[float, np.ndarray]:
    """Energy per atom (eV) and forces (eV/A)."""
    atoms.calc = potential
    return atoms.get_potential_energy() / len(atoms), atoms.get_forces()


@pytest.mark.parametrize(
    ("species", "order", "degree"),
    [(["Cu"], 1, 8), (["Cu"], 2, 9), (["Ni", "Al"], 3, 6), (["Si"], 4, 8)],
    ids=["one species, order 1", "order 2", "two species, order 3", "order 4"],
)
def test_the_c_plus_plus_evaluator_finds_the_energies_of_the_model(tmp_path, species, order, degree):
    asecalc = pytest.importorskip("pyace.asecalc")
    model = toy(species, order, degree)
    written = dg.export(model, tmp_path / "m.yace")
    assert 0 < written.force_error < 1e-7
    for seed in range(2):
        atoms = crystal(species, seed)
        theirs, ours = told(asecalc.PyACECalculator(str(written.path)), atoms), told(dg.Calculator(model), atoms.copy())
        assert np.abs(ours[1]).max() > 1.0
        assert abs(theirs[0] - ours[0]) < ENERGY
        assert np.abs(theirs[1] - ours[1]).max() < FORCE


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A model of two species and its file."""
    model = toy(["Ni", "Al"], 3, 6)
    return model, dg.export(model, tmp_path_factory.mktemp("yace") / "m.yace")


def test_a_file_gives_the_model_back(pair):
    """Import does not go through splines of the evaluator: energies, forces and Hessians agree to rounding."""
    model, written = pair
    again = dg.load_model(written.path)
    assert again.species == ("Ni", "Al") and again.correlation_order == 3 and again.cutoff == 4.5
    atoms = crystal(["Ni", "Al"], 3)
    ours, theirs = told(dg.Calculator(model), atoms), told(dg.Calculator(again), atoms)
    assert abs(theirs[0] - ours[0]) < 1e-11
    assert np.abs(theirs[1] - ours[1]).max() < 1e-10
    stencil, direction = environment(2), jnp.asarray(np.random.default_rng(2).normal(size=(1, 1, 7, 3)))
    bent, own = (np.asarray(m.hessian_products(stencil, direction)) for m in (again, model))
    assert np.abs(own).max() > 0.01
    np.testing.assert_allclose(bent, own, atol=1e-9)


def test_tables_of_acepotentials_are_read(pair, tmp_path):
    """The same model with its radial functions as values and slopes on a grid, in the form that ACEpotentials.jl writes."""
    model, written = pair
    text = written.path.read_text()
    bins, lines = 1500, []
    for line in text.splitlines():
        if "radcoefficients" not in line:
            lines.append(line)
            continue
        key = line.split(":")[0]
        rows = np.array(eval(re.search(r"radcoefficients: (\[.*\]), prehc", line)[1]))[:, 0]
        base = radial_base("ChebPow", np.linspace(0, 4.5, bins + 1), 4.5, rows.shape[1], 1.0)
        tables = base @ np.concatenate([np.eye(rows.shape[1]), rows]).T  # g_k, then R_n
        values, slopes = ("{" + ", ".join(f"{k}: {t.tolist()}" for k, t in enumerate(x.T)) + "}" for x in tables[:2])
        lines.append(
            f"{key}: {{radbasename: ACE.jl.base, rcut: 4.5, nradial: {len(tables[0].T)}, nbins: {bins}, "
            f"splinenodalvals: {values}, splinenodalderivs: {slopes}}}"
        )

    def moved(match):  # in these files n counts the tables, for products too
        ns = [int(n) + rows.shape[1] * (int(match[1]) > 1) for n in match[3].split(",")]
        return f"rank: {match[1]},{match[2]}ns: {ns}"

    text = re.sub(r"rank: (\d),(.*?)ns: \[(.*?)\]", moved, "\n".join(lines).replace("bonds:", "lmax: 3\nbonds:"))
    path = tmp_path / "tables.yace"
    path.write_text(text)
    again = dg.load_model(path)
    atoms = crystal(["Ni", "Al"], 4)
    ours, theirs = told(dg.Calculator(model), atoms), told(dg.Calculator(again), atoms)
    assert abs(theirs[0] - ours[0]) < 1e-9
    assert np.abs(theirs[1] - ours[1]).max() < 1e-8


def pacemaker_file(path: Path, radbase: str, embedding: str, powers: list, inner: str, core: list | None) -> Path:
    """A potential with random coefficients, written by pacemaker's library."""
    pyace = pytest.importorskip("pyace")
    bond = {"radbase": radbase, "radparameters": [5.25 if radbase == "ChebExpCos" else 2.0], "rcut": 4.5, "dcut": 0.5}
    bond |= {"r_in": 2.2, "delta_in": 0.4, "inner_cutoff_type": inner, "NameOfCutoffFunction": "cos"}
    bond |= {"core-repulsion": core} if core else {}
    settings = {
        "deltaSplineBins": 0.0005,
        "elements": ["Al", "Ni"],
        "embeddings": {
            "ALL": {
                "npot": embedding,
                "fs_parameters": powers,
                "ndensity": len(powers) // 2,
                "rho_core_cut": 5.0,
                "drho_core_cut": 3.0,
            }
        },
        "bonds": {"ALL": bond},
        "functions": {
            "ALL": {"nradmax_by_orders": [6, 2, 1], "lmax_by_orders": [0, 2, 1], "number_of_functions_per_element": 24}
        },
    }
    basis = pyace.ACEBBasisSet(pyace.create_multispecies_basis_config(settings))
    basis.all_coeffs = list(0.2 * np.random.default_rng(1).normal(size=len(basis.all_coeffs)))
    basis.to_ACECTildeBasisSet().save_yaml(str(path))
    return path


@pytest.mark.parametrize(
    ("radbase", "embedding", "powers", "inner", "core"),
    [
        ("ChebExpCos", "FinnisSinclairShiftedScaled", [1, 1, 1, 0.5], "distance", [60.0, 1.0]),
        ("ChebPow", "FinnisSinclair", [1, 1, 1, 0.75], "density", [60.0, 1.0]),
        ("SBessel", "FinnisSinclairShiftedScaled", [1, 1], "zbl", [1.0, 1.0]),
    ],
    ids=["ChebExpCos, two densities", "ChebPow, core by density", "SBessel, ZBL"],
)
def test_potentials_of_pacemaker_are_read_as_what_they_are(tmp_path, radbase, embedding, powers, inner, core):
    asecalc = pytest.importorskip("pyace.asecalc")
    path = pacemaker_file(tmp_path / "p.yace", radbase, embedding, powers, inner, core)
    ours, theirs = dg.Calculator(dg.load_model(path)), asecalc.PyACECalculator(str(path))
    atoms = crystal(["Al", "Ni"], 5, 3.1)  # compressed, so that the core acts
    expected, found = told(theirs, atoms), told(ours, atoms)
    assert abs(found[0] - expected[0]) < ENERGY
    assert np.abs(found[1] - expected[1]).max() < FORCE * max(1.0, np.abs(expected[1]).max() / 10)


MINIMAL = """
elements: [Cu]
E0: [-0.5]
deltaSplineBins: 0.001
embeddings:
  0: {ndensity: 2, FS_parameters: [1.0, 1.0, -1.0, 0.5], npoti: FinnisSinclairShiftedScaled,
      rho_core_cutoff: 9, drho_core_cutoff: 2}
bonds:
  [0, 0]: {nradmax: 1, lmax: 1, nradbasemax: 2, radbasename: ChebPow, radparameters: [2.0],
           radcoefficients: [[[0.3, 0.7], [0.2, -0.4]]], prehc: 0.0, lambdahc: 1.0, rcut: 4.0, dcut: 0.01,
           rcut_in: 0.0, dcut_in: 0.0, inner_cutoff_type: distance}
functions:
  0:
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [0], ns: [2], ls: [0], ms_combs: [0], ctildes: [0.5, 1.5]}
    - {mu0: 0, rank: 2, ndensity: 2, num_ms_combs: 2, mus: [0, 0], ns: [1, 1], ls: [1, 1],
       ms_combs: [-1, 1, 0, 0], ctildes: [-2.0, 0.4, 1.0, -0.2]}
"""


def environment(kinds: int, seed=0) -> Stencil:
    """Seven neighbours of one site."""
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(1, 7, 3))
    g *= (rng.uniform(2.2, 3.6, size=(1, 7)) / np.linalg.norm(g, axis=2))[..., None]
    return Stencil(jnp.asarray(g), jnp.zeros(1, dtype=int), jnp.asarray(rng.integers(kinds, size=(1, 7))))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.yace"
    path.write_text(MINIMAL)
    return dg.load_model(path)


def test_a_potential_by_hand(small):
    """The formula written out: sum_k c A, with g_2 = (1 - T_2) / 2 and p functions, sqrt(4 pi) Y_1m of a unit vector."""
    stencil = environment(1)
    g = np.asarray(stencil.g[0])
    r = np.linalg.norm(g, axis=1)
    x = 1 - 2 * (1 - r / 4.0) ** 2
    base = np.array([(1 - x) / 2, (1 - (2 * x * x - 1)) / 2])
    p = base.T @ [0.2, -0.4]
    a = np.sqrt(3) * p @ (g / r[:, None])  # real p functions: y, z, x of the direction
    products = np.array([-(a[0] ** 2 + a[1] ** 2) / 2, a[2] ** 2])  # A_1 A_-1 = -|A_1|^2
    rho = base[1].sum() * np.array([0.5, 1.5]) + products @ np.array([[-2.0, 0.4], [1.0, -0.2]])
    assert small(stencil)[0] == pytest.approx(-0.5 + rho[0] - shifted(rho[1], 0.5), abs=1e-12)
    assert small.correlation_order is None


def shifted(rho: float, power: float) -> float:
    """FinnisSinclairShiftedScaled: (|rho| + a e^-|rho|)^m - b e^-|rho|, where a and b make it zero, with slope 1, at zero."""
    nu = 1 / power
    e = np.exp(-abs(rho))
    return np.sign(rho) * ((abs(rho) + nu ** (nu / (1 - nu)) * e) ** power - nu ** (1 / (1 - nu)) * e)


def test_derivatives_are_those_of_the_energy(small):
    """A sweep of steps: errors of differences fall, then rounding grows; first and second derivatives."""
    stencil, rng = environment(1), np.random.default_rng(1)
    direction = rng.normal(size=stencil.g.shape)

    def along(h):
        moved = Stencil(stencil.g + h * direction, stencil.centre, stencil.neighbour)
        values, gradient = small.gradient(moved)
        return float(values[0]), float(np.sum(np.asarray(gradient) * direction))

    slope = along(0.0)[1]
    bend = float(np.einsum("sia,siajb,sjb->", direction, small.hessian(stencil), direction))
    for k, exact in enumerate((slope, bend)):
        errors = [abs((along(h)[k] - along(-h)[k]) / (2 * h) - exact) for h in 10.0 ** -np.arange(1, 6)]
        assert min(errors) < 1e-3 * max(errors) and max(errors) > 0
    assert float(small(environment(1))[0]) == pytest.approx(along(0.0)[0], abs=1e-14)


@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives_of_radial_functions(family):
    r = np.linspace(0.02, 4.4, 23)
    exact = radial_base(family, r, 4.5, 9, 3.0)
    errors = []
    for h in (1e-1, 1e-2, 1e-3, 1e-4):
        ahead, behind = (radial_base(family, r + s * h, 4.5, 9, 3.0) for s in (0.5, -0.5))
        errors.append([np.abs((ahead - behind)[k] / h - exact[k + 1]).max() for k in (0, 1)])
    for column in np.array(errors).T:
        assert column.min() < 1e-3 * column.max()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ChebPow", "Wavelet", "radial functions 'Wavelet'; known are ChebExpCos"),
        ("ChebPow", "ACE.jl.base", "older ACEpotentials.jl"),
        ("FinnisSinclairShiftedScaled", "Tanh", "embedding function 'Tanh'"),
        ("inner_cutoff_type: distance", "inner_cutoff_type: gauss", "inner_cutoff_type"),
        ("E0: [-0.5]", "E0: [-0.5, 1.0]", "one energy for each of 1 elements"),
        ("E0: [-0.5]", "E0: [.nan]", "must be finite"),
        ("elements: [Cu]", "elements: [Qq]", "Qq"),
        ("rcut: 4.0", "rcut: -4.0", "must be positive"),
        ("nradmax: 1,", "nradmax: 3,", "radcoefficients have the shape"),
        ("ns: [2]", "ns: [7]", "n = 7, l = 0 that its bond does not have"),
        ("ms_combs: [-1, 1, 0, 0]", "ms_combs: [-1, 0, 0, 0]", "not invariant under rotation"),
        ("ctildes: [0.5, 1.5]", "ctildes: [0.5]", "lists whose lengths do not fit"),
        ("  [0, 0]:", "  [0, 1]:", "no entry \\[0, 0\\] in 'bonds'"),
        ("embeddings:", "settings:", "no 'embeddings'"),
        ("functions:", "functions: {", "not YAML"),
        ("E0:", "E0: [1.0]\nE0:", "the key 'E0' a second time"),
        (
            "E0:",
            "a: &a [0, 0]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: &d [*c, *c, *c, *c]\n"
            "e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f]\nE0:",
            "without references",
        ),
        ("E0:", "x: !!python/object/apply:os.getcwd []\nE0:", "not YAML, line 3"),
        ("rcut: 4.0", "rcut: 1e8", "0.1 to 100 A"),
        ("rcut: 4.0", "rcut: .nan", "rcut is a finite number"),
        ("ns: [2]", "ns: [2.5]", "whole numbers"),
        ("E0:", "summed_neighbour_A: true\nE0:", "summed_neighbour_A"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(tmp_path, old, new, said):
    assert old in MINIMAL
    path = tmp_path / "bad.yace"
    path.write_text(MINIMAL.replace(old, new, 1))
    with pytest.raises(dg.InputError, match=said):
        dg.load_model(path)


def test_what_cannot_be_exported(small, pair, tmp_path, unchecked):
    model, _ = pair
    for given, path, said in (
        (small, "a.yace", "copy that file"),
        (model, "a.json", "suffix .yace"),
        (model, "no/such/folder/a.yace", "cannot be written"),
        (model.basis, "a.yace", "a LinearACE is exported"),
    ):
        with pytest.raises(dg.InputError, match=said):
            dg.export(given, tmp_path / path)


def test_an_input_for_lammps_is_beside_it(pair):
    _, written = pair
    text = written.lammps_input.read_text()
    assert "units           metal" in text and "pair_coeff      * * m.yace Ni Al" in text and "mass            2 26.98" in text
