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
# # Where may this potential be trusted?
#
# **Question.** A fitted potential is accurate for environments like those of its training data. Which atoms of a new structure
# lie outside?
#
# A *domain of applicability* answers with one number per atom and a threshold. This notebook fits copper to bulk cells only,
# applies the domain to a vacancy, and checks whether the atoms above the threshold are those with wrong forces. It takes under
# a minute. Units are eV and Angstrom.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("defectgen") is None:  # install the package: it is the folder above this notebook
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".."], check=True)

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import defectgen as dg

# %% [markdown]
# ## A fit to rattled bulk cells
#
# The training cells have 32 atoms, rattled by 0.1 A and strained by one per cent. None has a vacancy or a surface.

# %%
truth = dg.reference.CleriRosato("Cu")
lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
basis = dg.ACEBasis(["Cu"], cutoff=4.2, order=2, degree=5)


def rattled(seed, count):
    cells = dg.training_cells(lattice, None, 2, seed, rattle=dg.Rattle(count, 0.1, 0.01))
    return [cell for cell in cells if cell.group == "defect"]


cells = rattled(seed=0, count=8)
fit = dg.fit(dg.label(cells, truth, basis, ["E", "F"]), observations="E+F")
print(f"{basis.size} functions; force error in training {fit.rmse['F']:.4f} eV/A")

# %% [markdown]
# ## Its domain
#
# The *extrapolation grade* writes an environment as a linear combination of a few training environments, those that span the
# largest volume. The grade is the largest coefficient. Up to 1 the model interpolates; at a grade of 100 errors may be
# multiplied by up to 100. On the training cells the grade is 1, up to the tolerance of the search for the largest volume.

# %%
domain = dg.domain(cells, fit)
print(domain)
assert abs(domain.thresholds["extrapolation"] - 1.0) <= 0.011  # the search stops when an exchange gains less than one per cent

# %% [markdown]
# ## A defect without training data
#
# A vacancy in the same crystal is relaxed with the fit. The atoms around it have one neighbour fewer than any atom of the
# training cells.

# %%
vacancy = dg.relax(dg.vacancy().apply(dg.supercell(lattice, 3)), fit.model)
check = domain.check(vacancy)
print(check)
display(dg.domain_figure(check))

# %% [markdown]
# ## Are these the atoms with wrong forces?
#
# The test set has a rattled vacancy and a rattled divacancy. An atom counts as wrong if its force error exceeds three times the
# error level of new bulk cells. The AUROC (area under the ROC curve) is the probability that a wrong atom has a larger grade
# than a correct one: 1 is perfect, 0.5 is chance.

# %%
rng = np.random.default_rng(1)


def force_errors(cell, x):
    """Length of the error of the force on every atom, eV/A."""
    exact, model = (dg.evaluate(p, cell, x, stress=False).forces for p in (truth, fit.model))
    return np.linalg.norm(model - exact, axis=1)


def grades(cell, x, measure):
    """Grade of every atom by one of the measures."""
    return domain.grade(dg.Snapshot(cell, x, cell.vectors), measure)


bulk = [(c.cell, c.positions) for c in rattled(seed=5, count=4)]
defects = [defect.apply(dg.supercell(lattice, 3)) for defect in (dg.vacancy(), dg.divacancy())]
unseen = [(cell, cell.positions + 0.05 * rng.normal(size=cell.positions.shape)) for cell in defects]
level = np.sqrt(np.mean(np.concatenate([force_errors(*case) for case in bulk]) ** 2))
wrong = np.concatenate([force_errors(*case) for case in unseen])
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained", sharey=True)
found = {}
for axis, measure in zip(axes, ("extrapolation", "neighbours", "force_deviation"), strict=True):
    score = np.concatenate([grades(*case, measure) for case in unseen])
    found[measure] = dg.auroc(score, wrong > 3 * level)
    axis.loglog(score, wrong, ".", ms=4)
    axis.axhline(3 * level, color="grey", lw=0.8)
    axis.axvline(domain.thresholds[measure], color="grey", lw=0.8)
    axis.set(xlabel=measure.replace("_", " "), title=f"AUROC {found[measure]:.3f}")
axes[0].set_ylabel("force error (eV/A)")
plt.show()
assert found["extrapolation"] > 0.9

# %% [markdown]
# ## Answer
#
# Atoms with a grade above the threshold lie outside the domain; here they are the neighbours of the vacancy, and the AUROC
# shows that these are the atoms with wrong forces.
#
# Save the domain next to its model with `domain.save("model.domain.npz")`. Then `defectgen domain MODEL STRUCTURES` checks
# structures from the command line, and `dg.Calculator(fit.model, domain=domain)` warns during a simulation. The study
# `defectgen run diversity-molecules` includes the same test for hundreds of molecules.
