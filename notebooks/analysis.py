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
# # Use single analysis routines in your own script
#
# **Question.** I have results of my own: relaxed structures, errors at several sizes, scores of atoms, a calculator. Which
# routines of defectgen can I apply to them without fitting anything?
#
# Each section takes plain arrays, ASE atoms or files, calls one or two functions, and prints the result. The structures are
# made with ASE's effective-medium potential (EMT), which takes the place of your own code. The notebook takes about half a
# minute. Units are eV and Angstrom.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("defectgen") is None:  # install the package: it is the folder above this notebook
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".."], check=True)

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from IPython.display import display

import defectgen as dg

# %% [markdown]
# ## A relaxed defect of another code
#
# `dg.equilibrium` reads the perfect crystal and the relaxed defect: paths of files (OUTCAR, vasprun.xml, extended XYZ and what
# else ASE reads) or `ase.Atoms`. It finds the defect by itself. `dg.strain_decay` gives the decay of the strain with the
# distance from the defect.

# %%
unit = bulk("Cu", a=3.58977)
vacancy = bulk("Cu", a=3.58977, cubic=True).repeat(3)
del vacancy[13]
for atoms in (unit, vacancy):
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-4)

mine = dg.equilibrium(unit, vacancy)
print(mine.cell.defect, f"formation energy {mine.formation_energy:.3f} eV")
print(dg.strain_decay(mine))

# %% [markdown]
# ## Another potential for the same defect
#
# `dg.relax` relaxes the unrelaxed defect in the same cell with any potential; `dg.ASEReference(calculator)` wraps an ASE
# calculator. `dg.compare` returns the errors of geometry and energy, and `dg.displacement_figure` draws both.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at the lattice constant of EMT the second potential is under pressure
    other = dg.relax(mine.cell, dg.reference.CleriRosato("Cu"))
print(dg.compare(mine, other))
display(dg.displacement_figure(mine, other, names=("EMT", "Cleri-Rosato")))

# %% [markdown]
# ## Errors at several sizes
#
# `dg.estimate_rate` estimates the slope of the logarithm of an error against that of a size. Rows of `errors` are repeats.
# `dg.verdict` compares the slope with a prediction. The errors are made up here: they fall like L^-3 with 3 % noise.

# %%
sizes = np.array([4, 5, 6, 8, 10, 12])
noise = np.random.default_rng(0).normal(scale=0.03, size=(4, len(sizes)))
errors = 0.2 * sizes**-3.0 * np.exp(noise)
rate = dg.estimate_rate(sizes, errors, window=None)
predicted = dg.predicted_rate("E+F", dimension=3, quantity="energy")
print(rate)
print(f"predicted {predicted:g}: {dg.verdict(rate, predicted)}")
assert rate.low < -3 < rate.high

figure, axis = plt.subplots(figsize=(4.2, 3), layout="constrained")
axis.loglog(sizes, errors.T, ".", color="grey")
axis.loglog(sizes, rate.predict(sizes), label=f"slope {rate.slope:.2f}")
axis.set_xticks(sizes, [f"{size}" for size in sizes])
axis.minorticks_off()
axis.set(xlabel="radius of the training cell L", ylabel="error (eV)")
axis.legend()
plt.show()

# %% [markdown]
# ## Scores that should indicate errors
#
# A score per atom (an extrapolation grade, the deviation of a committee) should be large where the error is large. `dg.auroc`
# is the probability that a wrong atom has a larger score than a correct one. `dg.conformal_quantile` is a threshold that the
# score of a new case exceeds with probability at most alpha. The scores are made up here.

# %%
rng = np.random.default_rng(1)
score = rng.lognormal(size=10000)
error = 0.01 * score * rng.lognormal(sigma=0.7, size=10000)
print(f"AUROC {dg.auroc(score, error > 0.03):.3f}")
threshold = dg.conformal_quantile(score[:5000], alpha=0.05)
print(f"threshold {threshold:.2f}; {np.mean(score[5000:] > threshold):.1%} of the new scores are above it")

# %% [markdown]
# ## Are the labels of a calculator consistent?
#
# `dg.check_labels` compares the energy per atom in several cells, the work of the forces with the change of the energy, and the
# stress with the derivative of the energy. It raises an error if they disagree.

# %%
crystal = dg.fcc("Cu", 3.58977)
print(dg.check_labels(dg.ASEReference(EMT()), crystal, sizes=[2, 3]))

# %% [markdown]
# ## Repeated experiments
#
# `dg.geometric_mean` averages errors of repetitions and gives an interval. `dg.tradeoff` finds the best split of a budget of
# labels into structures and configurations (see the notebook `diversity`).

# %%
print(dg.geometric_mean(np.array([0.010, 0.012, 0.009, 0.011])))

# %% [markdown]
# ## Answer
#
# | you have | function |
# |---|---|
# | a relaxed defect of another code | `dg.equilibrium`, `dg.strain_decay`, `dg.elastic_dipole`, `dg.displacement_figure` |
# | a second potential or calculator | `dg.relax`, `dg.compare`, `dg.force_constant_error`, `dg.elastic_constant_error` |
# | errors at several sizes | `dg.estimate_rate`, `dg.predicted_rate`, `dg.verdict` |
# | scores and errors of atoms | `dg.auroc`, `dg.conformal_quantile` |
# | a calculator that makes labels | `dg.check_labels` |
# | errors of repeated experiments | `dg.geometric_mean`, `dg.tradeoff` |
#
# All of them take and return plain values; nothing has to be fitted with defectgen first.
