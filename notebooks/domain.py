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
# A fit is right where it was shown something, and says nothing of where that ends. A *domain of applicability* says it: one number an
# atom, and a threshold. This page fits copper on bulk cells only, asks the domain about a defect that no bulk cell taught, and checks that
# the atoms it warns of are those whose forces are wrong. Toy size, under a minute; units are eV and Angstrom.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import defectgen as dg
from defectgen.errors.domain import auroc
from defectgen.report import domain_figure

# %% [markdown]
# ## A fit to rattled bulk cells
#
# No vacancy, no surface: 32 atoms, rattled by 0.1 A and strained by one per cent.

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
# The *extrapolation grade* writes an environment as a combination of a few training environments, the ones that span the largest volume,
# and takes the largest coefficient. Up to 1 the model interpolates; a grade of 100 multiplies errors by up to 100. On the
# training cells it is 1, up to the tolerance at which the search for the largest volume stops.

# %%
domain = dg.domain(cells, fit)
print(domain)
assert abs(domain.thresholds["extrapolation"] - 1.0) <= 0.011  # the search stops when an exchange gains less than one per cent

# %% [markdown]
# ## A defect that was not taught
#
# The vacancy in the same crystal, relaxed with the fit: the atoms around the hole have a neighbour less than anything in training.

# %%
vacancy = dg.relax(dg.vacancy().apply(dg.supercell(lattice, 3)), fit.model)
check = domain.check(vacancy)
print(check)
display(domain_figure(check))

# %% [markdown]
# ## Does it warn of the right atoms?
#
# Vacancies and divacancies, rattled, beside new bulk cells: which atoms have force errors above three times the level of
# new bulk cells, and how often does such an atom have the larger grade? That probability (the area under the ROC curve, AUROC)
# is 1 at best and 0.5 by chance.

# %%
rng = np.random.default_rng(1)


def force_errors(cell, x):
    """Length of the error of the force on every atom, eV/A."""
    exact, model = (dg.evaluate(p, cell, x, stress=False).forces for p in (truth, fit.model))
    return np.linalg.norm(model - exact, axis=1)


def asked(cell, x, measure):
    return domain.grade(dg.Snapshot(cell, x, cell.vectors), measure)


bulk = [(c.cell, c.positions) for c in rattled(seed=5, count=4)]
defects = [defect.apply(dg.supercell(lattice, 3)) for defect in (dg.vacancy(), dg.divacancy())]
unseen = [(cell, cell.positions + 0.05 * rng.normal(size=cell.positions.shape)) for cell in defects]
level = np.sqrt(np.mean(np.concatenate([force_errors(*case) for case in bulk]) ** 2))
wrong = np.concatenate([force_errors(*case) for case in unseen])
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained", sharey=True)
found = {}
for axis, measure in zip(axes, ("extrapolation", "neighbours", "force_deviation"), strict=True):
    score = np.concatenate([asked(*case, measure) for case in unseen])
    found[measure] = auroc(score, wrong > 3 * level)
    axis.loglog(score, wrong, ".", ms=4)
    axis.axhline(3 * level, color="grey", lw=0.8)
    axis.axvline(domain.thresholds[measure], color="grey", lw=0.8)
    axis.set(xlabel=measure.replace("_", " "), title=f"AUROC {found[measure]:.3f}")
axes[0].set_ylabel("force error (eV/A)")
plt.show()
assert found["extrapolation"] > 0.9

# %% [markdown]
# The same question for hundreds of unseen molecules is part of `defectgen run diversity-molecules`. A domain is saved beside its model
# (`domain.save("model.domain.npz")`), `defectgen domain MODEL STRUCTURES` asks it from the command line, and
# `dg.Calculator(fit.model, domain=domain)` warns while a simulation runs.
