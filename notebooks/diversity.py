# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How to spend a budget of labels
#
# **Question.** A quantum-mechanical calculation labels one configuration with an energy and forces. If N calculations can be
# afforded, how many different *structures* should be labelled, and how many *configurations* of each?
#
# The example is small: copper, where structures are crystal phases at several densities and configurations are rattled copies.
# The labels come from an analytic potential, so that they cost nothing. Units are eV and Angstrom. It takes about half a
# minute. The same experiment with hundreds of molecules is `defectgen run diversity-molecules`; for crystals it is
# `defectgen run diversity-crystals`.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("defectgen") is None:  # install the package: it is the folder above this notebook
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".."], check=True)

# %%
import matplotlib.pyplot as plt
import numpy as np

import defectgen as dg

# %% [markdown]
# ## A pool of configurations
#
# Four phases at eight densities give 32 structures. Each has ten configurations.

# %%
truth = dg.reference.CleriRosato("Cu")
PHASES = {"fcc": (dg.fcc, 3.62), "bcc": (dg.bcc, 2.88), "sc": (dg.sc, 2.42), "diamond": (dg.diamond, 5.4)}
DENSITIES = np.linspace(0.92, 1.08, 8)
rng = np.random.default_rng(0)

configurations = []
for phase, (make, a) in PHASES.items():
    for scale in DENSITIES:
        cell = dg.supercell(make("Cu", a * scale), 1 if phase == "diamond" else 2)
        for number in range(10):
            x = cell.positions + 0.08 * rng.normal(size=cell.positions.shape)
            label = dg.evaluate(truth, cell, x, stress=False)
            name, box = f"{phase} {scale:.3f}", {"vectors": cell.vectors, "periodic": cell.periodic}
            configurations.append(
                dg.dataset.Configuration(name, number, cell.symbols, x, "rattled", label.energy, label.forces, **box)
            )
data = dg.dataset.Dataset(tuple(configurations), truth="Cleri-Rosato")
phase_of = {name: name.split()[0] for name in data.structures}
print(f"{len(data)} configurations of {len(data.structures)} structures")

# %% [markdown]
# ## Training sets and tests
#
# `budget_grid` lists the splits of a budget, including both extremes. `divide` holds out some structures and one whole phase
# before any training set is drawn. All splits of one repetition are therefore tested on the same configurations. Design rows
# are computed once for all configurations; after that a fit is a small least-squares problem.

# %%
BUDGET, SEEDS = 16, 5
splits = dg.dataset.budget_grid(BUDGET, structures=16, conformations=8)
print("structures x configurations:", ", ".join(f"{s} x {c}" for s, c in splits))
assert all(s * c == BUDGET for s, c in splits)

basis = dg.ACEBasis(["Cu"], cutoff=4.5, order=2, degree=6)
rows = dg.dataset_rows(data, basis)
offsets = dg.dataset.one_body(data)
TESTS = {"new structures of known phases": "structural", "a new phase": "scaffold"}


def errors(seed):
    """Force error (mean absolute, eV/A) of every split on every test."""
    parts = dg.dataset.divide(
        data, phase_of, seed, law="rattled", reserve=2, configurations=8, structural=0.15, scaffold=0.25, size=0.0
    )
    found = {name: [] for name in TESTS}
    for structures, each in splits:
        fit = dg.fit(rows.blocks(parts.design(structures, each), offsets), "E+F", prior="smoothness(0.01, 2)")
        for name, key in TESTS.items():
            found[name].append(rows.errors(fit.model, parts.tests[key], offsets).mae_forces)
    return found


repeated = [errors(seed) for seed in range(SEEDS)]

# %% [markdown]
# ## The trade-off
#
# Every point is the geometric mean of the repetitions with its 95 % interval. `dg.tradeoff` returns the number of structures
# with the smallest error, its interval, and a verdict. The verdict is *balance* if both extremes are worse than the best split
# between them, where this split was chosen by the other repetitions.

# %%
structures = np.array([s for s, _ in splits], dtype=float)
figure, axis = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
for name in TESTS:
    matrix = np.array([each[name] for each in repeated])
    means = [dg.geometric_mean(column) for column in matrix.T]
    value = np.array([m.value for m in means])
    whiskers = [value - [m.low for m in means], np.array([m.high for m in means]) - value]
    axis.errorbar(structures, value, whiskers, marker="o", capsize=2, label=name)
    found = dg.tradeoff(structures, matrix)
    print(f"{name}: best with {found.best:.3g} structures ({found.low:.3g} to {found.high:.3g}), verdict: {found.verdict}")
axis.set(xscale="log", yscale="log", xlabel=f"structures S, with {BUDGET}/S configurations of each", ylabel="force error (eV/A)")
axis.set_xticks(structures, [f"{s:g}" for s in structures])
axis.minorticks_off()
axis.legend()
plt.show()

# %% [markdown]
# ## What to expect
#
# Suppose that the labels of one structure share a fraction rho of the variance of their errors. Then C labels of one structure
# are worth only C / (1 + (C - 1) rho) independent labels. Survey statistics calls this factor the *design effect*. At the same
# number of labels, new structures are then at least as good as more configurations of known ones. A best split in the middle
# needs another reason, such as an extra cost of every new structure (theory: diversity/fixed-budget). A simulation confirms the
# factor:

# %%
rho, S, C = 0.3, 4, 4
common = np.sqrt(rho) * rng.normal(size=(20000, S, 1))
own = np.sqrt(1 - rho) * rng.normal(size=(20000, S, C))
effect = np.mean((common + own).mean(axis=(1, 2)) ** 2) * S * C
print(f"design effect: simulated {effect:.2f}, predicted {1 + (C - 1) * rho:.2f}")
assert abs(effect - 1.9) < 0.08  # four standard deviations of 20000 squares

# %% [markdown]
# ## Answer
#
# For new structures, many structures with one configuration each are at least as good as any other split, if labels of one
# structure share their errors as in this simple model. In the small copper example the difference is not visible: both verdicts
# are undecided, because five repetitions with 16 labels differ more than the splits do. The studies with more labels decide:
# docs/diversity.md has their results. The best split depends on the test, so choose the test that resembles your application.
