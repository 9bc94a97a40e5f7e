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
# # Design a loss in ten minutes
#
# Which observations, which weights? The labels are what costs; once they are there, every loss is a small solve. This page labels
# one set of training cells, tries some dozens of losses in a second, relaxes a defect with the best of them, and asks which weight
# each error answers to. Toy size: a vacancy in copper, 32 functions. Units are eV and Angstrom.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import defectgen as dg

truth = dg.reference.CleriRosato("Cu")
lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
defect = dg.vacancy()

# %% [markdown]
# ## Labels, once
#
# `subdivide=True` keeps apart what a loss may weigh apart: configurations, shells around the defect, ranges of force constants,
# strains. So even a weight that depends on the distance comes late. `C` and `Ef` add the elastic constants and the formation energy
# of the training cell: they are in no loss, but their errors are reported, and they may be held exactly.

# %%
rest = dg.relax(defect.apply(dg.supercell(lattice, 2)), truth).displacement
cells = dg.training_cells(lattice, defect, 2, displacement=rest, rattle=dg.Rattle(4, 0.01), strains=dg.Strains((0.005, 0.015)))
basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=2, degree=8)
blocks = dg.label(cells, truth, basis, ["E", "F", "FC", "V", "C", "Ef"], subdivide=True)

# %% [markdown]
# ## Many losses
#
# `dg.losses` makes every combination of the values it is given; `dg.refit` fits them all from shared factors.

# %%
grid = dg.losses(
    observations=["E+F", "E+F+FC", "E+F+FC+V"],
    weights={"E": [1, 30, 1000]},
    force_distance_power=[0, 1, 2],
    prior="smoothness",
)
grid += dg.losses(prior="smoothness", constraints=[["V0", "E:bulk"], ["V0", "E:bulk", "C", "Ef"]])
fits = dg.refit(blocks, grid)
table = fits.table()
print(f"{len(fits)} losses, {1e3 * table['seconds'].median():.1f} ms each")
print(table[["loss", "rmse F", "rmse FC", "rmse C", "rmse Ef"]].sort_values("rmse Ef").head(8).to_string(index=False))

# %% [markdown]
# ## The defect decides
#
# Training errors are what a loss was asked for. What it is worth is seen in a larger cell: relax the vacancy there with the reference
# and with every model, and compare.

# %%
cell = defect.apply(dg.supercell(lattice, 3))
exact = dg.relax(cell, truth)
rows = []
for number, each in enumerate(fits):
    error = dg.compare(exact, dg.relax(cell, fits.model(number), start=exact, eigenvalue=False))
    rows.append(
        {"loss": each.loss.label, "observations": each.loss.observations, "geometry": error.geometry, "energy": error.energy}
    )
measured = pd.DataFrame(rows)
print(measured.sort_values("energy").head(6)[["loss", "geometry", "energy"]].to_string(index=False, float_format="{:.2e}".format))

# %%
figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
for name, own in measured.groupby("observations"):
    axis.loglog(own["geometry"], own["energy"], "o", label=name)
axis.set(xlabel="geometry error (A)", ylabel="energy error (eV)")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Which weight matters?
#
# `dg.weight_response` differentiates the fit: how every training error answers to every weight, exactly, without a difference
# quotient. An error that goes like one over the square of a weight has the slope -2.

# %%
design = dg.fit(blocks, dg.Loss(prior="smoothness"))
answer = dg.weight_response(design)
slopes = pd.DataFrame(answer.rmse, index=list(answer.names)).T
print(slopes.to_string(float_format="{:.2f}".format))

# %% [markdown]
# ## Exactly, instead of by a weight
#
# A weight that is raised and raised is a constraint with rounding errors. What should be exact can be held exactly: here zero stress,
# the elastic constants and the energy of the crystal. The stiffness C44 of the model is then the reference's to every digit shown,
# while the fit by weights misses it.

# %%
held = dg.fit(blocks, dg.Loss(prior="smoothness", constraints=["V0", "C", "E:bulk"]))
GPA = 160.21766  # eV/A^3
stiff = [dg.elastic_constants(lattice, model)[3, 3] * GPA for model in (truth, design.model, held.model)]
print("C44 (GPa): reference {:.4f}, by weights {:.4f}, held {:.4f}".format(*stiff))
assert abs(stiff[2] - stiff[0]) < 1e-6 < abs(stiff[1] - stiff[0])
assert np.all(measured["geometry"] > 0)
