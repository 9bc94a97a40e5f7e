"""What `repr` and `print` show of public values: a few lines with units, whatever the size of their arrays."""

import html
import warnings
from dataclasses import replace

import numpy as np
import pytest

import defectgen as dg
from defectgen.crystal import copies


def _configuration(snapshot, number, found):
    cell = snapshot.cell
    name, box = f"cell {number}", {"vectors": snapshot.vectors, "periodic": cell.periodic}
    return dg.dataset.Configuration(name, 0, cell.symbols, snapshot.positions, "", found.energy, found.forces, **box)


@pytest.fixture(scope="module")
def values():
    """One of every kind that a script meets on the way from a lattice to an error."""
    truth = dg.reference.CleriRosato("Cu", cutoff=4.2)
    lattice, defect = dg.equilibrate(dg.fcc("Cu", 3.615), truth), dg.vacancy()
    basis = dg.ACEBasis.for_reference(truth, degree=4)
    cells = dg.training_cells(lattice, defect, size=2, rattle={"configurations": 2})
    blocks = dg.label(cells, truth, basis, ["E", "F", "V"])
    fit = dg.fit(blocks, observations="E+F+V", prior="smoothness(1e-6)")
    cell = defect.apply(dg.supercell(lattice, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact, approx = dg.relax(cell, truth), dg.relax(cell, fit.model)
    domain = dg.domain(cells, fit)
    labels = [dg.evaluate(truth, c.cell, c.positions) for c in cells[:2]]
    data = dg.dataset.Dataset(tuple(_configuration(c, n, found) for n, (c, found) in enumerate(zip(cells, labels, strict=False))))
    return {
        "evaluation": labels[0],
        "force constants": dg.crystal_force_constants(lattice, truth),
        "configuration": data.configurations[0],
        "data set": data,
        "rows of a data set": dg.dataset_rows(data, basis),
        "response to weights": dg.weight_response(fit),
        "phonons": dg.linear_phonons(lattice, basis, size=2),
        "decay": dg.strain_decay(dg.equilibrium(lattice, dg.to_ase(defect.apply(dg.supercell(lattice, 3))))),
        "error of elastic constants": dg.elastic_constant_error(lattice, truth, fit.model),
        "constraint": dg.Constraint("sum", np.ones((40, 60)), np.ones(40)),
        "mean": dg.geometric_mean(np.array([0.01, 0.02])),
        "trade-off": dg.tradeoff(np.array([1.0, 4.0, 16.0]), np.array([[2.0, 1.0, 2.0], [2.1, 1.1, 2.2]])),
        "reference": truth,
        "lattice": lattice,
        "defect": defect,
        "basis": basis,
        "snapshot": cells[0],
        "blocks": blocks,
        "fit": fit,
        "model": fit.model,
        "cell": cell,
        "ball": dg.ball(lattice, 6.0),
        "equilibrium": exact,
        "comparison": dg.compare(exact, approx),
        "certificate": dg.certify(fit, approx),
        "domain": domain,
        "check": domain.check(approx),
        "elastic constants": dg.elastic_constants(lattice, truth),
        "dipole": dg.elastic_dipole(exact, truth),
        "bound": dg.bound(exact, truth, fit.model, radius=1.5),
        "rate": dg.estimate_rate([3, 4, 5, 6, 8], [1, 0.5, 0.3, 0.2, 0.1]),
        "no rate": dg.estimate_rate([3, 4], [1, 0.5]),
        "diversity": dg.diversity(cells, basis),
        "calculator": dg.Calculator(fit.model, domain=domain),
        "repulsion": dg.ZBL(["Cu"]),
        "loss": dg.Loss("E+F"),
        "refits": (refits := dg.refit(blocks, dg.losses(observations="E+F", weights={"E": [1, 30]}))),
        "refit": refits[0],
        "rattle": dg.Rattle(),
        "cost": dg.Cost(),
    }


def test_every_value_is_shown_in_a_few_lines(values):
    long = {name: text for name, value in values.items() if len(text := repr(value)) > 500 or text.count("\n") > 6}
    assert long == {}
    assert {name: str(value) for name, value in values.items() if str(value).count("\n") > 30} == {}
    assert [name for name, value in values.items() if type(value).__name__ not in repr(value)] == []


def test_no_value_shows_an_address_or_an_array(values):
    assert [name for name, value in values.items() if " at 0x" in repr(value) or "array(" in repr(value)] == []


def test_numbers_have_units(values):
    assert "eV" in repr(values["equilibrium"]) and "a minimum" in repr(values["equilibrium"])
    assert repr(values["lattice"]) == "Lattice(fcc Cu, 1 atom of Cu in the primitive cell, nearest neighbours at 2.56263 A)"
    assert "31 atoms of Cu" in repr(values["snapshot"])
    assert "clamped" in repr(values["ball"])
    assert "no interval" in repr(values["no rate"])
    assert "eV/A^3" in str(values["elastic constants"])


def test_what_is_not_known_of_an_equilibrium_from_elsewhere_is_said(values):
    found = dg.equilibrium(values["lattice"], dg.to_ase(values["cell"]))
    assert "energy not given" in repr(found) and "forces not given" in repr(found) and "nan" not in repr(found)


def test_notebooks_show_tables_of_results(values):
    for name in ("fit", "bound", "certificate", "domain"):
        shown = values[name]._repr_html_()
        assert shown.startswith("<pre") and html.unescape(shown.split(">", 1)[1].removesuffix("</pre>")) == str(values[name])
    table = values["refits"]._repr_html_()
    assert table.startswith("<table") and table.count("<tr") == 1 + len(values["refits"].items)


def test_figures_are_shown_without_pyplot():
    crystal = dg.fcc("Cu", 3.615)
    atoms = dg.to_ase(dg.vacancy().apply(dg.supercell(crystal, 3)))
    with pytest.raises(dg.InputError, match="no atom is displaced"):
        dg.displacement_figure(dg.equilibrium(crystal, atoms))
    cell = dg.equilibrium(crystal, atoms).cell
    away = atoms.positions - cell.centre
    atoms.positions -= 0.3 * away / np.linalg.norm(away, axis=1)[:, None] ** 3
    assert dg.displacement_figure(dg.equilibrium(crystal, atoms))._repr_png_().startswith(b"\x89PNG")


def test_a_dipole_without_elastic_constants_and_one_of_a_layer_are_shown(values):
    dipole = values["dipole"]
    assert "A^3" in repr(dipole)
    assert "no relaxation volume" in repr(replace(dipole, relaxation_volume_tensor=None))
    flat = np.diag([1.0, 1.0, 0.0])
    assert "A^2" in repr(replace(dipole, dipole=flat, relaxation_volume_tensor=flat))


def test_a_part_of_the_elastic_constants_is_shown_as_the_numbers_it_is(values):
    part = values["elastic constants"][:2, :2]
    assert repr(part) == repr(np.asarray(part)) and str(part[0]) == str(np.asarray(part)[0])


def test_dir_lists_public_names_only():
    assert dir(dg) == sorted(dg.__all__)


def test_inner_values_show_shapes():
    found = repr(copies(dg.supercell(dg.fcc("Cu", 3.6), 2)))
    assert found == "Copies(rotations (48, 3, 3), images (48, 32), first (6))"
