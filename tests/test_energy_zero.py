"""Energies that depend on the zero of each species name it: formation energies, comparisons, certificates and fits."""

import warnings
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

import defectgen as dg
from defectgen._input import InputError, InputWarning
from defectgen.campaign import Given, execute
from defectgen.cli.planning import potentials_of
from defectgen.crystal import composition_change, exchanged_species
from defectgen.fit import FitWarning, fit
from defectgen.study import dump, parse, plan
from defectgen.study.planning import prepared
from defectgen.study.tasks import Crystal, Exact

SHIFT = 100.0


class Shifted(EMT):
    """EMT with another zero of the energy of Al: no force and no energy difference at equal composition changes."""

    def calculate(self, atoms=None, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        for key in ("energy", "free_energy"):
            self.results[key] += SHIFT * sum(s == "Al" for s in atoms.symbols)


@cache
def nial():
    """NiAl at rest with EMT, its two references, and chemical potentials of each: Al of fcc Al, Ni from the compound."""
    cell = dg.from_ase(Atoms("NiAl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.9] * 3, pbc=True))
    references = dg.ASEReference(EMT(), step=1e-4), dg.ASEReference(Shifted(), step=1e-4)
    lattice = dg.equilibrate(cell, references[0])
    atoms = dg.to_ase(dg.primitive_cell(lattice))
    atoms.calc = EMT()
    pure = bulk("Al")
    pure.calc = EMT()
    aluminium = pure.get_potential_energy()
    potentials = {"Al": aluminium, "Ni": atoms.get_potential_energy() - aluminium}
    return lattice, references, (potentials, {**potentials, "Al": aluminium + SHIFT})


def relaxed(defect, which, potentials=None):
    lattice, references, _ = nial()
    cell = defect.apply(dg.supercell(lattice, 2))
    return dg.relax(cell, references[which], eigenvalue=False, tolerance=1e-6, chemical_potentials=potentials)


def test_a_vacancy_of_a_compound_has_a_formation_energy_with_chemical_potentials_only():
    """Right value: E_def - E_perfect + mu_Al from ASE's own energies, the same whatever the zero of Al."""
    lattice, _, potentials = nial()
    bare = relaxed(dg.vacancy("Al"), 0)
    assert abs(bare.energy - relaxed(dg.vacancy("Al"), 1).energy) > 10.0  # what a silent number is off by
    with pytest.raises(InputError, match=r"v_Al .* energy zero .*-1 Al.* chemical_potentials=\{\"Al\": \.\.\.\}"):
        bare.formation_energy  # noqa: B018
    with pytest.raises(InputError, match="no chemical potential of Al"):
        relaxed(dg.vacancy("Al"), 0, {"Ni": 0.0}).formation_energy  # noqa: B018
    found = [relaxed(dg.vacancy("Al"), which, potentials[which]) for which in (0, 1)]
    perfect = dg.to_ase(dg.supercell(lattice, 2))
    defective = Atoms(found[0].cell.symbols, positions=found[0].positions, cell=found[0].cell.vectors, pbc=True)
    perfect.calc, defective.calc = EMT(), EMT()
    right = defective.get_potential_energy() - perfect.get_potential_energy() + potentials[0]["Al"]
    assert found[0].formation_energy == pytest.approx(right, abs=1e-9)
    assert found[1].formation_energy == pytest.approx(right, abs=1e-6)
    assert found[0].energy == bare.energy  # the relaxation does not depend on them


@pytest.mark.parametrize(
    ("defect", "exchanged"),
    [(dg.antisite_pair("Ni"), ()), (dg.divacancy(1, "Ni"), ()), (dg.antisite("Ni"), ("Ni", "Al")), (dg.vacancy("Ni"), ("Ni",))],
    ids=["exchanged pair", "a formula unit missing", "antisite", "vacancy"],
)
def test_defects_that_the_crystal_itself_fixes_need_none(defect, exchanged):
    lattice = nial()[0]
    cell = defect.apply(dg.supercell(lattice, 2))
    assert exchanged_species(cell) == exchanged
    if not exchanged:
        one, two = (relaxed(defect, which) for which in (0, 1))
        assert one.formation_energy == one.energy == pytest.approx(two.formation_energy, abs=1e-6)


def test_species_of_an_element_have_the_energy_of_their_crystal():
    truth = dg.ASEReference(EMT(), step=1e-4)
    copper = dg.equilibrate(dg.fcc("Cu", 3.6), truth)
    box = dg.supercell(copper, 2)
    vacancy, solute = dg.vacancy().apply(box), dg.substitution("Cu", "Ag").apply(box)
    assert composition_change(solute) == {"Ag": 1, "Cu": -1} and exchanged_species(solute) == ("Ag",)
    plain = dg.relax(vacancy, truth, eigenvalue=False, tolerance=1e-6)
    assert plain.formation_energy == plain.energy
    given = dg.relax(vacancy, truth, eigenvalue=False, tolerance=1e-6, chemical_potentials={"Cu": plain.bulk_energy})
    assert given.formation_energy == pytest.approx(plain.energy, abs=1e-12)
    bare = dg.relax(solute, truth, eigenvalue=False, tolerance=1e-6)
    with pytest.raises(InputError, match=r"Ag_Cu .*\+1 Ag"):
        bare.formation_energy  # noqa: B018
    found = dg.relax(solute, truth, eigenvalue=False, tolerance=1e-6, chemical_potentials={"Ag": 0.25})
    absolute = bare.energy + len(solute) * bare.bulk_energy
    right = absolute - (len(box) - 1) * bare.bulk_energy - 0.25
    assert found.formation_energy == pytest.approx(right, abs=1e-9)


def test_chemical_potentials_are_checked():
    lattice, (truth, _), (potentials, _) = nial()
    cell = dg.supercell(lattice, 1)
    for given, words in (
        ({"Tj": 1.0}, "chemical symbol"),
        ({"Al": np.nan}, "chemical potential of Al must be a finite"),
    ):
        with pytest.raises(InputError, match=words):
            dg.relax(cell, truth, eigenvalue=False, chemical_potentials=given)
    with pytest.warns(InputWarning, match=r"add up to \+0\.5 eV per atom more"):
        dg.relax(cell, truth, eigenvalue=False, chemical_potentials={"Al": potentials["Al"] + 1.0, "Ni": potentials["Ni"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        dg.relax(cell, truth, eigenvalue=False, chemical_potentials=potentials)


def test_a_comparison_of_potentials_with_other_zeros_says_so_or_uses_chemical_potentials():
    potentials = nial()[2]
    one, two = (relaxed(dg.vacancy("Al"), which) for which in (0, 1))
    with pytest.warns(InputWarning, match="v_Al exchanges atoms of Al, .* zeros are not known to agree"):
        assert dg.compare(one, two).energy > 10.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        named = [relaxed(dg.vacancy("Al"), which, potentials[which]) for which in (0, 1)]
        assert dg.compare(*named).energy < 1e-6
        assert dg.compare(one, relaxed(dg.vacancy("Al"), 0)).energy < 1e-12  # one potential, one zero
        pair = [relaxed(dg.antisite_pair("Ni"), which) for which in (0, 1)]
        assert dg.compare(*pair).energy < 1e-6


@cache
def fitted(which: int):
    """A fit to cells with and without the vacancy, labelled with one of the two zeros."""
    lattice, references, _ = nial()
    cells = dg.training_cells(
        lattice, dg.vacancy("Al"), 2, seed=0, rattle=dg.Rattle(3, 0.1), strains=dg.Strains((0.02,), pairs=False)
    )
    return fit(dg.label(cells, references[which], dg.ACEBasis(["Ni", "Al"], cutoff=4.0, order=2, degree=4), "E+F"), "E+F")


def test_a_certificate_does_not_depend_on_the_zero_of_the_labels():
    lattice, _, potentials = nial()
    cell = dg.vacancy("Al").apply(dg.supercell(lattice, 2))
    found = []
    for which in (0, 1):
        made = fitted(which)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # a rough fit has a pressure on this lattice
            rest = dg.relax(cell, made.model, eigenvalue=False, tolerance=1e-9)
            certificate = dg.certify(made, rest)
            with pytest.raises(InputError, match="no chemical potential of Al"):
                dg.predict(made, rest, certificate)
            named = dg.relax(cell, made.model, eigenvalue=False, tolerance=1e-9, chemical_potentials=potentials[which])
            prediction = dg.predict(made, named, dg.certify(made, named))
        assert "energy (E - N E_bulk): estimate" in certificate.summary()
        with warnings.catch_warnings():
            warnings.simplefilter("error", InputWarning)
            error = dg.compare(relaxed(dg.vacancy("Al"), which), rest)  # the model shares the zero of its labels
        found.append((certificate.energy.spread, certificate.energy.bound, error.energy, prediction.energy))
    assert np.all(np.array(found[0]) > 0) and found[0] == pytest.approx(found[1], rel=1e-5)


def test_one_body_energies_that_only_their_sum_determines_are_named():
    lattice, (truth, _), _ = nial()
    basis = dg.ACEBasis(["Ni", "Al"], cutoff=4.0, order=2, degree=4)
    cells = dg.training_cells(lattice, None, 1, seed=0, rattle=dg.Rattle(3, 0.1), strains=dg.Strains((0.02,), pairs=False))
    blocks = dg.label(cells, truth, basis, "E+F")
    with pytest.warns(FitWarning, match=r"composition never changes: only the sum of the one-body energies \(E0\) of Ni and Al"):
        made = fit(blocks, "E+F")
    null = np.zeros(basis.size)
    null[:2] = 1.0, -1.0  # the direction that is named is one that no row has
    assert all(np.abs(b.factor[:, :-1] @ null).max() < 1e-9 * np.abs(b.factor).max() for b in blocks.items if b.kind == "E")
    assert made.model.provenance["undetermined_one_body"]
    with pytest.warns(FitWarning, match="composition never changes"):
        fit(blocks, "E+F", prior=1e-3)  # the prior chooses, and the fit has full rank
    with pytest.warns(FitWarning, match="no energy has an atom of Cu"):
        fit(dg.label(cells, truth, dg.ACEBasis(["Ni", "Al", "Cu"], cutoff=4.0, order=1, degree=3), "E+F"), "E+F")
    assert "undetermined_one_body" not in fitted(0).model.provenance


RUN = """
name = "potentials"
[materials.NiAl]
crystal = "cscl"
species = ["Ni", "Al"]
a = 2.9
reference = "LennardJones(Ar)"
[[cases]]
material = "{material}"
defect = "{defect}"
simulation_size = 6
basis = {{ cutoff = 4.0 }}
chemical_potentials = {{ {potentials} }}
[cell_size]
sizes = [3]
"""


@pytest.mark.parametrize(
    ("potentials", "words"),
    [
        ("Ni = -4.0", r"Al_Ni .* no chemical potential of Al was given"),
        ("Ni = -4.0, Al = -3.0, Cu = 0.0", "of Cu is given, and neither the crystal nor antisite.* has such an atom"),
        ("Ni = -4.0, A1 = -3.0", "chemical symbol"),
        ("Ni = -4.0, Al = 'low'", "chemical potential of Al must be a finite energy"),
    ],
    ids=["missing", "foreign", "unknown", "no number"],
)
def test_chemical_potentials_of_a_run_file_are_checked_when_it_is_read(potentials, words, tmp_path):
    with pytest.raises(InputError, match=words):
        parse(RUN.format(material="NiAl", defect="antisite(Ni)", potentials=potentials), tmp_path)


def test_a_run_relaxes_with_its_chemical_potentials(tmp_path):
    """In an element they are not needed; given, they move the formation energy of a vacancy by mu - E_bulk."""
    text = RUN.format(material="triangular", defect="vacancy", potentials="Cu = -1.25")
    spec = parse(text, tmp_path)
    assert parse(dump(spec), tmp_path) == spec
    (case,) = spec.cases
    exact = Exact(crystal=Crystal(material=case.material), defect=case.defect, size=6, eigenvalue=True)
    records = {}
    for task in plan(spec):
        if task.key in (exact.crystal.key, exact.key):
            records[task.key] = execute(task, records)
    given = Given(records)
    found = given[exact].at(exact.cell(given))
    assert found.chemical_potentials == {"Cu": -1.25}
    assert found.formation_energy == pytest.approx(found.energy - 1.25 - found.bulk_energy, abs=1e-12)
    assert found.formation_energy != pytest.approx(found.energy, abs=1e-3)
    bare = parse(text.replace("chemical_potentials = { Cu = -1.25 }", ""), tmp_path)
    assert bare.cases[0].material.potentials is None


def test_the_planner_and_the_designer_take_chemical_potentials():
    search = prepared("Cu", "vacancy", target_energy=0.1, chemical_potentials={"Cu": -3.5}, sizes=(2,), cutoff=4.0)
    assert search.study.cases[0].material.potentials == {"Cu": -3.5}
    for defect, words in (("substitution(Cu,Ag)", "no chemical potential of Ag"), ("vacancy", "of Au is given, and neither")):
        with pytest.raises(InputError, match=words):
            prepared("Cu", defect, target_energy=0.1, chemical_potentials={"Au": -3.5}, sizes=(2,), cutoff=4.0)
    assert potentials_of("Ag=-2.95, Cu=-3.5") == {"Ag": -2.95, "Cu": -3.5} and potentials_of(None) is None
    for text in ("Ag", "Ag=low"):
        with pytest.raises(InputError, match="--chemical-potentials takes"):
            potentials_of(text)
