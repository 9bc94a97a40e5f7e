"""`defectgen audit`: the commands of its page, its numbers against other codes, and potentials that cannot be audited."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from small_study import carried_out

import defectgen as dg
from defectgen.bridge import band_path, lammps_reference
from defectgen.cli import main
from defectgen.energy.blackbox import own_force_constant
from defectgen.study import parse, potential_from_spec
from defectgen.study.audit.steps import roughness
from defectgen.study.potentials import located

PAGE = Path(__file__).parent.parent / "docs" / "audit.md"
SMALL = ["--sizes", "2", "--mesh", "4", "--workers", "1"]
"""What makes the command of the page a matter of seconds."""


def call(*arguments) -> int:
    """The exit status of the command line."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def silicon(tmp_path_factory):
    """The folder of the first audit of the page: Tersoff's silicon against that of Stillinger and Weber."""
    command = re.findall(r"^defectgen (audit .*--model \"Tersoff\(Si\)\".*)$", PAGE.read_text(encoding="utf-8"), flags=re.M)[0]
    folder = tmp_path_factory.mktemp("audit")
    arguments = shlex.split(command)
    arguments[arguments.index("--out") + 1] = str(folder / "si")
    assert call(*arguments, *SMALL) == 0
    return folder / "si"


def numbers(folder: Path) -> dict[tuple[str, str], dict]:
    """The scorecard by quantity and case."""
    (found,) = json.loads((folder / "scorecard.json").read_text(encoding="utf-8"))["materials"]
    return {(row["quantity"], row["case"]): row for row in found["quantities"]}


# ------ The audit of the page


def test_everything_is_written(silicon):
    names = ("report.html", "scorecard.json", "results.csv", "spec.toml", "audit.csv", "figures/audit-si-phonons.svg")
    assert all((silicon / name).stat().st_size > 100 for name in names)
    (found,) = json.loads((silicon / "scorecard.json").read_text())["materials"]
    page = (silicon / "report.html").read_text(encoding="utf-8")
    lead = re.search(r'<p class="lead">(.*?)</p>', page)[1]
    assert lead == found["answer"] and lead.startswith("Tersoff(Si) differs from StillingerWeber(Si) by −0.6")
    assert "largest term of the bound" in lead and "training radius" not in page
    results = pd.read_csv(silicon / "results.csv")
    assert list(results["study"]) == ["audit: reference lattice", "audit: own lattice"] and (results["energy_error"] > 0.5).all()


def test_numbers_of_the_page_are_those_of_matscipy(silicon):
    """Lattice constants, cohesive energies, elastic constants and vacancies of both potentials, relaxed by ASE with matscipy."""
    pytest.importorskip("matscipy")
    from ase.build import bulk
    from ase.optimize import FIRE
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms import StillingerWeber, TersoffBrenner
    from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si
    from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import Tersoff_PRB_39_5566_Si_C
    from matscipy.elasticity import fit_elastic_constants

    found = numbers(silicon)
    peers = {
        "reference": Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si)),
        "model": Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C)),
    }
    for which, calculator in peers.items():
        lattice = found["lattice constant a", ""][which]
        crystal = bulk("Si", "diamond", a=lattice, cubic=True)
        crystal.calc = calculator
        assert np.abs(crystal.get_stress()).max() < 1e-6  # eV/A^3: the lattice constant is theirs
        energy = crystal.get_potential_energy() / 8
        assert found["cohesive energy", ""][which] == pytest.approx(-energy, abs=2e-6)
        constants, _ = fit_elastic_constants(
            crystal,
            symmetry="cubic",
            N_steps=5,
            delta=2e-3,
            optimizer=FIRE,
            fmax=1e-5,
            logfile=None,
            verbose=False,
            graphics=False,
        )
        for name, value in (("C11", constants[0, 0]), ("C12", constants[0, 1]), ("C44", constants[3, 3])):
            assert found[name, ""][which] == pytest.approx(value * 160.21766, rel=2e-3)
        defect = crystal.repeat(2)
        del defect[0]
        defect.calc = calculator
        FIRE(defect, logfile=None).run(fmax=1e-4, steps=500)
        formation = defect.get_potential_energy() - 63 * energy
        row = found["formation energy, each on its own lattice", "vacancy, 63 atoms"]
        assert row[which] == pytest.approx(formation, abs=1e-4)


def test_bands_are_those_of_phonopy(silicon):
    """The bands of both potentials against displacements of phonopy with this package's forces, at the corners of the path."""
    phonopy = pytest.importorskip("phonopy")
    from phonopy.structure.atoms import PhonopyAtoms

    bands = pd.read_csv(silicon / "audit_bands.csv")
    spec = numbers(silicon)
    for which, potential in (("reference", dg.reference.StillingerWeber("Si")), ("model", dg.reference.Tersoff("Si"))):
        lattice = dg.diamond("Si", spec["lattice constant a", ""][which])
        unit = dg.to_ase(dg.primitive_cell(lattice))
        phonon = phonopy.Phonopy(
            PhonopyAtoms(symbols=["Si", "Si"], cell=unit.cell, scaled_positions=unit.get_scaled_positions()), np.eye(3) * 4
        )
        phonon.generate_displacements(distance=1e-3)
        forces = []
        for cell in phonon.supercells_with_displacements:
            atoms = unit.__class__(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
            atoms.calc = dg.Calculator(potential)
            forces.append(atoms.get_forces())
        phonon.forces = forces
        phonon.produce_force_constants()
        phonon.symmetrize_force_constants()
        path = band_path(lattice)
        shown = np.flatnonzero(np.isin(np.round(path.axis, 9), np.round(path.ticks, 9)))
        phonon.run_qpoints(path.points[shown])
        ours = bands.pivot_table(which, "path", "band")
        for k, theirs in zip(shown, phonon.qpoints.frequencies, strict=True):
            np.testing.assert_allclose(ours.iloc[_row(ours, path.axis[k])], np.sort(theirs), atol=5e-3)  # THz
    assert np.abs(bands["reference"] - bands["model"]).max() > 1.0


def _row(table: pd.DataFrame, place: float) -> int:
    return int(np.argmin(np.abs(table.index.to_numpy() - place)))


def test_stresses_are_derivatives_of_energies(silicon):
    """The strained crystals: the slope of the energy along each strain is the stress times the volume."""
    rows, volume = pd.read_csv(silicon / "audit_strains.csv"), numbers(silicon)["volume", ""]
    for which in ("reference", "model"):
        for mode, own in rows.groupby("mode"):
            e, energy, stress = (own[name].to_numpy() for name in ("strain", f"{which}_energy", f"{which}_stress"))
            slope = np.polynomial.Polynomial.fit(e, energy, 8).deriv()(e)
            change = {"volume": (1 + e) ** 2 * 3, "uniaxial": np.ones_like(e), "shear": np.ones_like(e)}[mode]
            np.testing.assert_allclose(slope / volume[which] * 160.21766, stress * change, atol=0.15)
            assert np.abs(stress).max() > 3


def test_a_run_is_resumed_and_drawn_again(silicon, capsys):
    assert call("run", silicon / "spec.toml", "--out", silicon, "--workers", "1") == 0
    assert "tasks were finished before and are kept" in capsys.readouterr().out


# ------ Laws


SELF = """
name = "self"
[[cases]]
material = "Cu"
defect = "vacancy"
simulation_size = 2
[materials.Cu]
crystal = "fcc"
species = ["Cu"]
a = 3.6
reference = "CleriRosato(Cu, cutoff=4.2)"
[audit]
model = "CleriRosato(Cu, cutoff=4.2)"
mesh = 2
"""


def test_a_potential_differs_from_itself_by_nothing(tmp_path):
    found = carried_out(SELF, tmp_path)[0]
    rows = found.others["audit"]
    assert {row["group"] for row in rows} >= {
        "crystal",
        "elasticity",
        "phonons",
        "force constants",
        "strain",
        "defects",
        "barrier",
    }
    values = [abs(row["difference"]) for row in rows if row["quantity"] != "pressure of the model on the reference's lattice"]
    assert len(values) > 25 and max(values) < 1e-9
    assert "agree for Cu in all" in found.others["audit_about"][0]["answer"]
    barrier = next(row for row in rows if row["group"] == "barrier")
    assert 0.5 < barrier["reference"] < 1.5 and barrier["reference"] == barrier["model"]


# ------ Potentials by text


def test_a_pair_style_of_lammps_is_the_same_potential(tmp_path):
    """The Lennard-Jones pair of LAMMPS against the sum over pairs, and its text with another spelling."""
    pytest.importorskip("lammps")
    found = potential_from_spec('LAMMPS(pair_style="lj/cut 6.0", pair_coeff="1 1 0.1 2.3", species=Cu)')
    cell = dg.supercell(dg.fcc("Cu", 3.4), 2)
    x = cell.positions + np.random.default_rng(0).normal(0, 0.1, cell.positions.shape)
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3) @ cell.vectors
    separations = x[None, :, None] - x[:, None, None] + shifts
    r = np.linalg.norm(separations, axis=-1)
    r = r[(r > 1e-9) & (r < 6.0)]
    energy = float(np.sum(0.5 * 4 * 0.1 * ((2.3 / r) ** 12 - (2.3 / r) ** 6)))
    result = dg.evaluate(found, cell, x)
    assert result.energy == pytest.approx(energy, abs=1e-9)
    other = dg.evaluate(lammps_reference("lj/cut 6.0", ["1 1 0.1 2.3"], species=["Cu"]), cell, x)
    np.testing.assert_array_equal(other.forces, result.forces)
    with pytest.raises(dg.InputError, match="not to Ni"):
        dg.evaluate(found, dg.primitive_cell(dg.fcc("Ni", 3.5)))
    with pytest.raises(dg.InputError, match="Unrecognized pair style"):
        dg.evaluate(lammps_reference("nothing", "* * Cu"), cell)


def test_texts_name_their_files(tmp_path, monkeypatch):
    """Paths are made absolute and the content is digested, whatever form names the file; code is a file too."""
    for name in ("m.json", "Cu.eam.alloy", "Si.tersoff"):
        (tmp_path / name).write_text(name)
    (tmp_path / "toymodule.py").write_text("make = 3\n")
    monkeypatch.chdir(tmp_path)
    for text, name, short in (
        ("m.json", "m.json", "m.json"),
        ("Cu.eam.alloy", "Cu.eam.alloy", "EAM(Cu.eam.alloy)"),
        ("EAM(Cu.eam.alloy, interpolation=lammps)", "Cu.eam.alloy", "EAM(Cu.eam.alloy, interpolation=lammps)"),
        (
            'LAMMPS(pair_style="eam/alloy", pair_coeff="* * ./Cu.eam.alloy Cu")',
            "Cu.eam.alloy",
            "LAMMPS(pair_style=eam/alloy, pair_coeff=* * Cu.eam.alloy Cu)",
        ),
        ("toymodule:make", "toymodule.py", "toymodule:make"),
    ):
        found = located(text, tmp_path, code=True)
        assert found.short == short and list(found.files) == [str(tmp_path / name)]
        assert located(found.text, Path("/"), code=True) == found
    assert located("Tersoff(SiC)", tmp_path).files == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Tersoff(Sx)", r"parameters for Si, C, SiC,.* 'Sx' is neither one of these nor a file in '.*'; name a set or a file"),
        ("Tersoff(SiCe)", "did you mean 'SiC'"),
        ("StillingerWeber(Ge)", r"parameters for Si, GaN, and 'Ge' is neither"),
        ("Tersoff(there/Si.tersoff)", "names the file 'there/Si.tersoff', which is not there"),
        ("EAM(Cu)", "names the file 'Cu', which is not there"),
    ],
)
def test_a_set_of_parameters_that_is_not_there_is_named_with_those_that_are(tmp_path, text, said):
    with pytest.raises(dg.InputError, match=said):
        located(text, tmp_path)


class Single(EMT):
    """EMT as a neural network gives it: energies, forces and stresses in single precision, from rounded positions."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        rounded = atoms.copy()
        rounded.positions = np.asarray(rounded.positions, dtype=np.float32)
        super().calculate(rounded, properties, system_changes)
        self.atoms = atoms.copy()
        noise = 1e-5 * np.sin(1e7 * np.asarray(rounded.positions))  # sums of many terms lose two digits more
        self.results["forces"] = np.asarray(self.results["forces"] + noise, dtype=np.float32)
        self.results["energy"] = self.results["free_energy"] = np.float32(self.results["energy"])


class Kinked(EMT):
    """EMT and a spring that softens at a thousandth of its length, as the inverse cosine of a straight angle does."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        away = (self.atoms.get_scaled_positions() * 2 + 0.25) % 0.5 - 0.25  # from the sites of the conventional cell
        self.results["forces"] = self.results["forces"] - 0.01 * np.tanh(1000 * away)


def test_force_constants_that_depend_on_the_displacement_are_named():
    lattice = dg.fcc("Cu", 3.6)
    for calculator in (EMT(), Single()):
        assert roughness(lattice, dg.ASEReference(calculator)) == ()
    (remark,) = roughness(lattice, dg.ASEReference(Kinked()))
    first, second = (own_force_constant(lattice, dg.ASEReference(Kinked()), step) for step in (0.01, 0.0025))
    assert second > 1.05 * first and f"{first:.3g} eV/A^2 with 0.01 A and {second:.3g} eV/A^2 with 0.0025 A" in remark


def test_a_potential_in_single_precision_is_compared_with_a_warning_that_names_its_noise():
    exact, single = dg.ASEReference(EMT()), dg.ASEReference(Single())
    with pytest.warns(dg.InputWarning, match=r"the model on .* is relaxed to .*e-0\d eV/A, the noise of its forces \(single"):
        found = dg.compare_on_both_lattices(dg.vacancy(), dg.fcc("Cu", 3.6), 2, exact, single)
    assert 1e-7 < found.on_reference.residual < 1e-3
    assert abs(found.held.energy_signed) < 1e-3 and found.held.geometry < 1e-2
    with pytest.raises(dg.InputError, match=r"noise floor: .* resolve no less, as in single precision .* larger tolerance"):
        dg.compare_on_both_lattices(dg.vacancy(), dg.fcc("Cu", 3.6), 2, exact, single, tolerance=1e-8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LAMMPS(pair_style=lj/cut 8)", "LAMMPS needs pair_coeff"),
        ("LAMMPS(pair_style=python 3, pair_coeff=* * a.b Cu)", "can run code"),
        ("LAMMPS(pair_style=lj/cut 8, pair_coeff=1 1 0.1 2.3)", "elements of the atom types"),
        ("LAMMPS(pair_style=lj/cut 8, pair_coeff=1 1 0.1 2.3, species=Qq)", "no element"),
        ("os:getcwd", "only the command line"),
        ("LAMPS(x)", "did you mean LAMMPS"),
    ],
)
def test_texts_that_name_no_potential(text, said):
    with pytest.raises(dg.InputError, match=said):
        potential_from_spec(text)


# ------ What cannot be audited


BROKEN = """
import numpy as np
from ase.calculators.emt import EMT

class Raises(EMT):
    def calculate(self, *a, **k):
        raise RuntimeError("no licence")

class Nan(EMT):
    def calculate(self, *a, **k):
        super().calculate(*a, **k)
        self.results["forces"] = self.results["forces"] * np.nan

class Moves(EMT):
    def get_property(self, name, atoms=None, allow_calculation=True):
        found = super().get_property(name, atoms, allow_calculation)
        atoms.positions += 0.1
        return found

class Wrong(EMT):
    def calculate(self, *a, **k):
        super().calculate(*a, **k)
        self.results["forces"] = 1.3 * self.results["forces"]
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    (tmp_path / "broken_calculators.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("broken_calculators", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "broken_calculators:Raises", "--material", "Cu"), "no licence"),
        (("--model", "broken_calculators:Nan", "--material", "Cu"), "NaN"),
        (("--model", "broken_calculators:Moves", "--material", "Cu"), "changed the atoms"),
        (("--model", "broken_calculators:Wrong", "--material", "Cu"), "not minus the gradient"),
        (("--model", "broken_calculators:Nothing", "--material", "Cu"), "cannot be imported"),
        (("--model", "missing.yace", "--material", "Cu"), "which is not there"),
        (("--model", "CleriRosato(Cu)", "--reference", "EAM(missing.alloy)", "--material", "Cu"), "which is not there"),
        (("--model", "CleriRosato(Ag)", "--material", "Cu"), "the potential is for Ag"),
        (("--model", "CleriRosato(Cu)", "--material", "Unobtainium"), "is not known"),
        (("--model", "CleriRosato(Cu)"), "--material NAME"),
        (("--model", "CleriRosato(Cu)", "--lattice", "POSCAR"), "needs --reference"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--defects", "vacancy,,"), "--defects takes names"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--defects", "vacuum"), "no defect is called"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--sizes", "0,2"), "--sizes takes"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--mu-model", "Cu=x"), "energies in eV"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--mu-model", "Al=3"), "neither the crystal nor the defects have"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--mu-reference", "Al=3"), "neither the crystal nor the defects"),
        (("--model", "Morse(Cu)", "--material", "triangular"), "three dimensions"),
        (("--model", "CleriRosato(Cu)", "--material", "Cu", "--strain", "3"), "strain"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_wrong_calls_are_one_sentence(arguments, said, broken, capsys):
    assert call("audit", *arguments, "--out", "out") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert not Path("out").exists()


def test_a_data_file_names_no_code(tmp_path):
    for line in ('model = "os:getcwd"', 'model = "LAMMPS(pair_style=python 3, pair_coeff=* * a.b Cu)"'):
        with pytest.raises(dg.InputError, match="only the command line"):
            parse(re.sub(r"model = .*", line, SELF), tmp_path)
    with pytest.raises(dg.InputError, match="only the command line"):
        parse(SELF.replace('reference = "CleriRosato(Cu, cutoff=4.2)"', 'reference = "os:getcwd"'), tmp_path)


def test_the_plan_of_other_commands_of_the_page(tmp_path, monkeypatch, capsys):
    """The fit of the page is made with a smaller basis, and every command is planned that needs no file of others."""
    text = PAGE.read_text(encoding="utf-8")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    blocks = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, flags=re.S))
    for name, code in blocks.items():
        Path(name).write_text(code, encoding="utf-8")
    fit = blocks["fit_copper.py"].replace("degree=8", "degree=4").replace("size=3", "size=2")
    exec(fit, {})
    assert Path("model.json").is_file() and Path("model.yace").is_file()
    commands = [c for c in re.findall(r"^defectgen (audit .*)$", text, flags=re.M) if not re.search("eam.alloy|networks", c)]
    assert len(commands) >= 3 and blocks
    for command in commands:
        assert call(*shlex.split(command), "--dry-run") == 0
        assert "nothing was computed" in capsys.readouterr().out
    for name in blocks:
        sys.modules.pop(name.removesuffix(".py"), None)
