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
# # What does a force constant buy?
#
# Energies and forces of defect cells teach a potential the defect. Force constants teach it the crystal around, which is one
# primitive cell and costs next to nothing. This page fits the same potential with and without them, and looks at three things: the
# phonons, the elastic constants, and a defect in a cell larger than it was trained on. Toy size; units are eV and Angstrom.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import defectgen as dg

truth = dg.reference.CleriRosato("Cu")
lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
defect = dg.divacancy()
constants = dg.crystal_force_constants(lattice, truth)
reach = np.linalg.norm(constants.separations, axis=1)
size = np.linalg.norm(constants.phi, axis=(1, 2))
shells = pd.DataFrame({"range (A)": reach.round(3), "stiffness (eV/A^2)": size})[reach > 1].groupby("range (A)").mean()
print(shells.head(6).to_string(float_format="{:.4f}".format))

# %% [markdown]
# ## With and without
#
# The training cells are at rest: rattled ones would teach force constants in secret. Everything else is the same.

# %%
rest = dg.relax(defect.apply(dg.supercell(lattice, 2)), truth).displacement
cells = dg.training_cells(lattice, defect, 2, displacement=rest, rattle=dg.Rattle(0), strains=dg.Strains((0.01,)))
basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=2, degree=8)
blocks = dg.label(cells, truth, basis, ["E", "F", "FC", "V"], subdivide=True)
choices = {
    "E+F": dg.Loss("E+F", prior="smoothness"),
    "E+F, V": dg.Loss("E+F+V", prior="smoothness"),
    "E+F, nearest FC held": dg.Loss("E+F", prior="smoothness", constraints=["FC<1.1"]),
    "E+F, FC": dg.Loss("E+F+FC", prior="smoothness"),
    "E+F, FC by range squared": dg.Loss("E+F+FC", prior="smoothness", force_constant_range_power=2),
}
fits = {name: dg.fit(blocks, loss) for name, loss in choices.items()}

# %% [markdown]
# ## Crystal and defect

# %%
cell = defect.apply(dg.supercell(lattice, 3))
exact = dg.relax(cell, truth)
rows = []
for name, fit in fits.items():
    off = dg.force_constant_error(lattice, truth, fit.model)
    error = dg.compare(exact, dg.relax(cell, fit.model, start=exact, eigenvalue=False))
    stiff = dg.elastic_constant_error(lattice, truth, fit.model).max_gpa
    rows.append(
        {"loss": name, "FC (eV/A^2)": off.max, "C (GPa)": stiff, "geometry (A)": error.geometry, "energy (eV)": error.energy}
    )
table = pd.DataFrame(rows).set_index("loss")
print(table.to_string(float_format="{:.2e}".format))

# %%
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
(table / table.loc["E+F"]).T.plot.bar(ax=axis, rot=15, logy=True)
axis.set(ylabel="error / that of E+F")
axis.legend(frameon=False, fontsize=7)
plt.show()

# %% [markdown]
# Force constants buy the crystal: two numbers of it fall by

# %%
bare, taught = table.loc["E+F"], table.loc["E+F, FC"]
gain = bare["FC (eV/A^2)"] / taught["FC (eV/A^2)"]
print(f"factors of {gain:.0f} in the force constants and {bare['C (GPa)'] / taught['C (GPa)']:.0f} in the elastic constants")
assert gain > 100

# %% [markdown]
# They do not buy the core. With 32 functions nothing is free: what makes the crystal exact is taken from the defect, whose geometry error
# hardly moves and whose energy may get worse, unless energies are given more weight (`notebooks/loss.py`). The far field, which force constants
# determine, is also small in a cell of this size. How the two balance as the training cell grows is what theory says and
# `defectgen run cell-size` measures: without force constants the geometry error falls like L^-3/2, with them like L^-9/2, once
# the basis is large enough to follow.
