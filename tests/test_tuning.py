"""Tuned losses: errors of the design defects fall, the held-out defects stop it, and the harm is reported."""

from functools import cache

import numpy as np
import pytest

import defectgen as dg
from defectgen._input import InputError
from defectgen.errors import tune_loss
from defectgen.fit import Loss, fit


@cache
def layer():
    truth = dg.reference.Morse("Cu")
    lattice = dg.equilibrate(dg.triangular("Cu", 2.6), truth)
    basis = dg.ACEBasis(["Cu"], cutoff=4.6, order=2, degree=4)
    cells = dg.training_cells(lattice, dg.vacancy(), 4, rattle=dg.Rattle(3, 0.05), strains=dg.Strains((0.01,), pairs=False))
    blocks = dg.label(cells, truth, basis, ["E", "F", "V"], subdivide=True)
    rests = [dg.relax(d.apply(dg.supercell(lattice, 6)), truth) for d in (dg.vacancy(), dg.divacancy())]
    return blocks, rests


def family(p):
    return Loss("E+F+V", {"E": float(10 ** p[0])}, weight=f"by_distance({p[1]})")


def error(model, exact):
    found = dg.compare(exact, dg.relax(exact.cell, model, start=exact.positions, eigenvalue=False))
    return np.array([found.geometry, found.energy])


@pytest.mark.parametrize("by", ["errors", "certificate"])
def test_a_tuned_loss_lowers_the_errors_of_its_defect_and_reports_the_harm(by):
    blocks, (one, other) = layer()
    found = tune_loss(blocks, family, [0.0, 0.0], [one], [other], by=by, evaluations=15)
    scores = [trial.design for trial in found.trials]
    assert scores == sorted(scores, reverse=True) and len(scores) >= 2
    assert found.chosen == np.argmin([trial.held_out for trial in found.trials])
    start = fit(blocks, family([0.0, 0.0])).model
    ratios = error(found.fit.model, other) / error(start, other)
    assert found.trials[found.chosen].ratios[0] == pytest.approx(tuple(ratios), rel=1e-4)
    assert found.harm == pytest.approx(max(ratios), rel=1e-4)
    if by == "errors":
        gain = np.exp(np.log(error(start, one) / error(found.fit.model, one)).mean())
        assert found.gain == pytest.approx(gain, rel=1e-4) and gain >= 1
    assert "for held-out ones, largest" in str(found) and found.loss.weights["E"] == 10 ** found.parameters[0]


def test_held_out_defects_stop_a_tuning():
    """With the patience of one the tuning ends at the first improvement that the held-out defect does not share."""
    blocks, (one, other) = layer()
    found = tune_loss(blocks, family, [0.0, 0.0], [one], [other], evaluations=15, patience=1)
    held = [trial.held_out for trial in found.trials]
    assert found.chosen in (len(held) - 1, len(held) - 2) and held[found.chosen] == min(held)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"design": []}, "one relaxed defect at least"),
        ({"held_out": [3]}, "results of dg.relax"),
        ({"held_out": "same"}, "is among the design defects and the held-out ones"),
        ({"by": "eye"}, "'errors' or 'certificate'"),
        ({"share": 2.0}, "the share of the energy"),
        ({"start": [np.nan]}, "list of finite numbers"),
        ({"family": lambda p: 3}, "gives a dg.Loss"),
    ],
)
def test_bad_tunings_are_one_sentence(change, said):
    blocks, (one, other) = layer()
    given = {"family": family, "start": [0.0, 0.0], "design": [one], "held_out": [other], **change}
    given["held_out"] = [one] if given["held_out"] == "same" else given["held_out"]
    with pytest.raises(InputError, match=said):
        tune_loss(blocks, **given)
