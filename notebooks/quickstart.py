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
# # Can this potential be trusted with a defect it has not seen?
#
# **Question.** A fitted interatomic potential is trained on small cells and used in large ones. How wrong are the geometry and
# the energy of a defect in the large cell?
#
# This notebook answers it for the vacancy in copper. Small cells are labelled with a reference potential and fitted. The same
# vacancy is relaxed in a larger cell with the reference and with the fit, and the two are compared. This is repeated for four
# sets of *observations* (kinds of labels).
#
# The example is small and takes under a minute, most of it compilation. Units are eV and Angstrom.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("defectgen") is None:  # install the package: it is the folder above this notebook
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".."], check=True)

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import defectgen as dg

# %% [markdown]
# ## A crystal and a reference
#
# The reference defines the exact result: here it is the second-moment potential of Cleri and Rosato (1993), which is fast and
# fairly accurate for copper. `equilibrate` finds its lattice constant, which reference and fit share.

# %%
truth = dg.reference.CleriRosato("Cu")
lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
print(f"nearest neighbours {lattice.nearest_neighbour:.4f} A apart")

# %% [markdown]
# ## The defect
#
# `supercell(lattice, 4)` is a periodic box of 4 x 4 x 4 cubic cells. One atom is removed and the others relax. The formation
# energy is the energy of this cell minus that of equally many atoms of the perfect crystal.

# %%
defect = dg.vacancy()
cell = defect.apply(dg.supercell(lattice, 4))
exact = dg.relax(cell, truth)
print(f"{defect.name}: {len(cell)} atoms, {exact.newton_steps} Newton steps, residual {exact.residual:.0e} eV/A")
print(f"formation energy {exact.formation_energy:.3f} eV, a minimum: {exact.is_minimum}")

# %% [markdown]
# Experiments (positron annihilation) give 1.28 ± 0.05 eV. The reference was fitted to the cohesive energy, the lattice constant and
# the elastic constants, but not to a vacancy. Its formation energy is therefore a prediction:

# %%
assert abs(exact.formation_energy - 1.28) < 0.05  # the experimental uncertainty, eV

# %% [markdown]
# Atoms next to the vacancy move by hundredths of an Angstrom, atoms farther away by less, and along close-packed rows more than
# in other directions. According to theory the displacement decays like the inverse square of the distance. A small training
# cell does not contain this long tail.

# %%
away = np.linalg.norm(cell.positions - cell.centre, axis=1)
moved = np.linalg.norm(exact.displacement, axis=1)
shells = pd.DataFrame({"distance (A)": away.round(2), "displacement (A)": moved}).groupby("distance (A)").mean()
print(shells.head(5).to_string(float_format="{:.4f}".format))

# %% [markdown]
# ## Training cells, labels and four fits
#
# The training cells of one size are: the vacancy in a box of 2 or 3 cubic cells a side, relaxed with the reference and slightly
# rattled; the perfect primitive cell; and strained primitive cells. Labels and design rows are computed once. Each fit then
# selects its observations and is a small least-squares problem:
#
# * `E+F` energies and forces of the defect cells,
# * `E+F+V` also virials of the strained crystal (its linear and nonlinear elasticity),
# * `E+F+FC` also force constants of the perfect crystal (its phonons),
# * `E+F+FC+V` everything.

# %%
SETS = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=2, degree=8)  # a small basis: 32 functions


def fits(size):
    """One fit for each set of observations, trained in cells of `size` cubic cells a side."""
    rest = dg.relax(defect.apply(dg.supercell(lattice, size)), truth).displacement
    cells = dg.training_cells(
        lattice, defect, size, seed=0, displacement=rest, rattle=dg.Rattle(4, 0.01), strains=dg.Strains((0.005, 0.015))
    )
    blocks = dg.label(cells, truth, basis, ["E", "F", "FC", "V"])
    return {observations: dg.fit(blocks, observations) for observations in SETS}


trained = {size: fits(size) for size in (2, 3)}
print(trained[3]["E+F+FC+V"].summary())

# %% [markdown]
# ## The same vacancy with the fits
#
# `dg.relax` relaxes the reference and every model with the same code. `dg.compare` returns the error of the geometry (a norm of
# the differences of bond vectors), the error of the formation energy, and whether both relaxations ended in the same state. The
# table also contains the error of the elastic constants of the perfect crystal, which determine the long tail of the
# displacement.

# %%
rows = []
for size, by_set in trained.items():
    for observations, fit in by_set.items():
        error = dg.compare(exact, dg.relax(cell, fit.model))
        rows.append(
            {
                "trained in": f"{size} x {size} x {size}",
                "observations": observations,
                "geometry (A)": error.geometry,
                "energy (meV)": 1e3 * error.energy,
                "elastic constants (GPa)": dg.elastic_constant_error(lattice, truth, fit.model).max_gpa,
                "same state": error.same_basin,
            }
        )
table = pd.DataFrame(rows)
print(table.to_string(index=False, float_format="{:.4f}".format))
assert table["same state"].all()

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for axis, error in zip(axes, ("geometry (A)", "elastic constants (GPa)"), strict=True):
    table.pivot(index="observations", columns="trained in", values=error).loc[list(SETS)].plot.bar(ax=axis, rot=20)
    axis.set(yscale="log", ylabel=f"error, {error}", xlabel="")
plt.show()

# %% [markdown]
# ## Answer
#
# The larger training cell gives smaller errors. Virials and force constants improve the elastic constants. The four sets of
# observations hardly differ in the geometry error: with 32 functions the basis limits the accuracy, and the error reaches a
# floor. The sets differ if the fit is accurate enough, as in the study that `defectgen run` computes.
#
# ## Rates
#
# Two training cells do not give a rate. For a model that is exact within the radius L of the training cell, the error falls like
# a power of L, and theory predicts the exponent (the notebook `convergence` measures it):

# %%
for observations in SETS:
    slopes = [dg.predicted_rate(observations, dimension=3, quantity=q) for q in ("geometry", "energy")]
    print(f"{observations:<9} geometry L^{slopes[0]:g}, energy L^{slopes[1]:g}")

# %% [markdown]
# `dg.estimate_rate(sizes, errors)` estimates the slope of measured errors. It returns its window, its interval and every point
# that was left out. The following errors are made up: they fall like L^-3 and then reach a floor.

# %%
sizes = np.array([3, 4, 6, 8, 12, 16, 24])
rate = dg.estimate_rate(sizes, 0.2 * sizes**-3.0 + 4e-6, floor=4e-6)
print(f"slope {rate.slope:.2f} in [{rate.low:.2f}, {rate.high:.2f}] for L from {rate.window[0]:g} to {rate.window[1]:g}")
for size, reason in rate.dropped:
    print(f"left out L = {size:g}: {reason}")

# %% [markdown]
# ## Your own potential
#
# Any ASE calculator can be the reference or the model. Here ASE's effective-medium potential is compared with the reference above.

# %%
from ase.calculators.emt import EMT  # noqa: E402

yours = dg.ASEReference(EMT(), step=1e-4)  # its forces are exact to rounding, so small differences are the best
both = dg.compare_on_both_lattices(defect, lattice, 3, truth, yours, tolerance=1e-6)
print(
    f"formation energy off by {both.held.energy_signed:+.3f} eV at the reference's lattice constant, where EMT is under pressure,"
)
print(
    f"and by {both.energy_own:+.3f} eV with each potential at its own; largest displacement off by {both.held.displacement_max:.3f} A"
)
print(f"force constants off by at most {dg.force_constant_error(lattice, truth, yours).max:.2f} eV/A^2")
