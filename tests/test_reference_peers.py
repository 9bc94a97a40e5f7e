"""Reference potentials against other people's calculators, and tables against the functions they were made from."""

import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones as ASELennardJones
from ase.calculators.morse import MorsePotential
from matscipy.calculators.eam import EAM as MatscipyEAM
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si as MATSCIPY_SI
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import StillingerWeber as matscipy_forms
from scipy.interpolate import InterpolatedUnivariateSpline
from toy_potentials import REACH, ClosedForm, cluster, jets_at, rattled, some_stencil, write_tables

import defectgen  # noqa: F401 - float64
from defectgen.crystal import cscl, diamond
from defectgen.energy import Stencil, evaluate, hessian
from defectgen.reference import EAM, LennardJones, Morse, StillingerWeber


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("tables"))


def matscipy_cell(cell):
    return Atoms(cell.symbols, positions=cell.positions, cell=cell.vectors, pbc=True)


def test_silicon_agrees_with_matscipy_to_its_hessian():
    silicon = StillingerWeber("Si")
    cell = rattled(diamond("Si", 5.3), 1, 0.15, seed=5)  # 8 atoms, narrower than twice the cutoff: images count
    atoms = matscipy_cell(cell)
    atoms.calc = Manybody(**matscipy_forms({**MATSCIPY_SI, "costheta0": 1 / 3}))  # it stores 0.333333333333
    ours = evaluate(silicon, cell)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert np.abs(ours.forces).max() > 1.0
    assert np.allclose(ours.forces, atoms.get_forces(), atol=1e-9)
    assert np.allclose(ours.virial, -atoms.get_stress(voigt=False) * atoms.get_volume(), atol=1e-8)
    theirs = atoms.calc.get_hessian(atoms, format="sparse").toarray()
    assert np.allclose(hessian(silicon, cell).reshape(theirs.shape), theirs, atol=1e-8)  # rounding of entries up to 30


def test_tabulated_alloy_agrees_with_matscipy_to_its_hessian(tables):
    """matscipy reads the file itself; its splines are made quintic, like ours, from SciPy's other (FITPACK) implementation."""
    cell = rattled(cscl("Cu", "Ni", 2.9), 2, 0.1, seed=1)
    atoms = matscipy_cell(cell)
    calculator = MatscipyEAM(str(tables["setfl"]), kind="eam/alloy")

    def quintic(old):
        return [quintic(o) for o in old] if isinstance(old, list) else InterpolatedUnivariateSpline(*old._data[:2], k=5)

    atoms.calc = MatscipyEAM(
        atomic_numbers=calculator._db_atomic_numbers,
        F=quintic(calculator.F),
        f=quintic(calculator.f),
        rep=quintic(calculator.rep),
        cutoff=calculator._db_cutoff,
    )
    potential = EAM.from_file(tables["setfl"])
    ours = evaluate(potential, cell)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
    assert np.abs(ours.forces).max() > 0.1
    assert np.allclose(ours.forces, atoms.get_forces(), atol=1e-9)
    theirs = atoms.calc.get_hessian(atoms, format="sparse").toarray()
    assert np.allclose(hessian(potential, cell).reshape(theirs.shape), theirs, atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "interpolation", "precision"),
    [
        # grid step h = 2.5e-3 A, K = k-th derivative of the functions: the quintic is off by h^(6-k) V^(6) / 1000 and
        # rounding 1e-15 / h^k, the cubic of LAMMPS by h^(4-k) V^(4) / 100
        ("setfl", "quintic", (1e-11, 1e-9, 1e-7, 1e-4)),
        ("fs", "quintic", (1e-11, 1e-9, 1e-7, 1e-4)),
        ("funcfl", "quintic", (1e-11, 1e-9, 1e-7, 1e-4)),
        ("setfl", "lammps", (1e-7, 1e-5, 1e-2, 10.0)),
    ],
    ids=["setfl", "eam.fs", "funcfl", "setfl as LAMMPS"],
)
def test_tables_reproduce_the_function_they_were_made_from(tables, kind, interpolation, precision):
    potential = EAM.from_file(tables[kind], interpolation=interpolation)
    exact = ClosedForm(per_pair=kind == "fs", species=potential.species)
    stencil = some_stencil(potential, seed=8)
    direction = np.random.default_rng(4).standard_normal(stencil.g.shape)
    ours, truth = (jets_at(p, stencil, direction, 0.0)[:, 0] for p in (potential, exact))
    assert np.all(np.abs(truth) > 1e-2)
    assert np.all(np.abs(ours - truth) < precision)


def test_resolution_smooths_rounded_tables(tables, tmp_path):
    """A table printed with nine decimals: its spline's third derivatives are noise, a coarser least-squares spline's are not."""
    rough = tmp_path / "rough.setfl"
    lines = tables["setfl"].read_text().splitlines()
    rough.write_text("\n".join(lines[:5] + [f"{float(w):.9f}" if len(w.split()) == 1 else w for w in lines[5:]]))
    exact = ClosedForm(per_pair=False)
    stencil = some_stencil(exact, seed=8)
    direction = np.random.default_rng(4).standard_normal(stencil.g.shape)

    def error(potential):
        third = [jets_at(p, stencil, direction, 0.0)[3, 0] for p in (potential, exact)]
        return abs(third[0] - third[1])

    assert error(EAM.from_file(rough)) > 0.03  # 1e-9 / (2.5e-3)^3 a bond
    assert error(EAM.from_file(rough, resolution=0.05)) < 3e-4


def test_a_table_that_ends_with_a_jump_is_faded(tables, tmp_path):
    """The cutoff written into the file is moved inwards, where the functions are not zero."""
    cut = tmp_path / "cut.setfl"
    cut.write_text(tables["setfl"].read_text().replace(f" {REACH}\n", " 4.0\n", 1))
    pair = jnp.zeros(1, dtype=int), jnp.zeros((1, 1), dtype=int)

    def step(potential):
        near, far = (float(potential(Stencil(jnp.asarray([[[r, 0, 0]]]), *pair))[0]) for r in (4.0 - 1e-9, 4.0))
        return abs(near - far)

    assert step(EAM.from_file(cut, interpolation="lammps")) > 1e-6
    assert step(EAM.from_file(cut)) < 1e-15
    inner = Stencil(jnp.asarray([[[3.7, 0, 0]]]), *pair)
    assert float(EAM.from_file(cut)(inner)[0]) == float(EAM.from_file(tables["setfl"])(inner)[0])  # untouched before the tail


@pytest.mark.parametrize("form", ["Lennard-Jones", "Morse"])
def test_pair_potentials_agree_with_ase_before_the_window(form):
    """A cluster smaller than the onset; ASE's cutoff (and so its shift, 1e-13 eV) is put far away."""
    rng = np.random.default_rng(6)
    positions = bulk("Ar", cubic=True, a=5.3).repeat((2, 1, 1)).positions + 0.2 * rng.standard_normal((8, 3))
    if form == "Lennard-Jones":
        ours, theirs = LennardJones("Ar", cutoff=40.0), ASELennardJones(epsilon=0.0103235, sigma=3.405, rc=2000.0)
    else:
        ours = Morse("X", epsilon=0.3, alpha=1.2, r0=3.0, cutoff=40.0)
        theirs = MorsePotential(epsilon=0.3, rho0=1.2 * 3.0, r0=3.0, rcut1=500.0, rcut2=600.0)
    atoms = Atoms("Ar8", positions=positions, calculator=theirs)
    result = evaluate(ours, cluster(ours.species * 8, positions))
    assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert np.abs(result.forces).max() > 1e-3
    assert np.allclose(result.forces, atoms.get_forces(), atol=1e-10)
