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
# A fitted interatomic potential is trained on small cells and used in large ones. This page takes one defect, the vacancy in
# copper, and follows the whole question once: label a small cell with a reference, fit, relax the same vacancy in a larger cell
# with the reference and with the fit, and measure what the fit got wrong. It does so for four sets of *observations*, because
# what the fit was shown matters more than how much of it.
#
# Everything is at toy size and runs in under a minute, most of it compilation. Units are eV and Angstrom throughout.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import defectgen as dg

# %% [markdown]
# ## A crystal and a reference
#
# The reference plays the part of the truth: here the second-moment potential of Cleri and Rosato (1993), which is quick and, for
# copper, quite good. `equilibrate` finds its own lattice constant; reference and fit will share it.

# %%
truth = dg.reference.CleriRosato("Cu")
lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
print(f"nearest neighbours {lattice.nearest_neighbour:.4f} A apart")

# %% [markdown]
# ## The defect
#
# `supercell(lattice, 4)` is a periodic box of 4 x 4 x 4 cubic cells. Take one atom out, let the others relax, and the energy left
# over is the formation energy: energy of the cell minus as many atoms of the perfect crystal.

# %%
defect = dg.vacancy()
cell = defect.apply(dg.supercell(lattice, 4))
exact = dg.relax(cell, truth)
print(f"{defect.name}: {len(cell)} atoms, {exact.newton_steps} Newton steps, residual {exact.residual:.0e} eV/A")
print(f"formation energy {exact.formation_energy:.3f} eV, a minimum: {exact.is_minimum}")

# %% [markdown]
# Experiments (positron annihilation) give 1.28 ± 0.05 eV. The reference was fitted to the cohesive energy, the lattice constant and
# the elastic constants, and to no vacancy, so this is a prediction:

# %%
assert abs(exact.formation_energy - 1.28) < 0.05  # the experimental uncertainty, eV

# %% [markdown]
# How far does the vacancy reach? Neighbours move by hundredths of an Angstrom, farther ones less, though not equally in all
# directions (close-packed rows push farthest). Theory says that the displacement dies out like the inverse square of the distance:
# a long tail, which a small training cell cannot hold.

# %%
away = np.linalg.norm(cell.positions - cell.centre, axis=1)
moved = np.linalg.norm(exact.displacement, axis=1)
shells = pd.DataFrame({"distance (A)": away.round(2), "displacement (A)": moved}).groupby("distance (A)").mean()
print(shells.head(5).to_string(float_format="{:.4f}".format))

# %% [markdown]
# ## Training cells, labels and four fits
#
# Training cells of one size: the vacancy in a box of 2 or 3 cubic cells a side, at rest where the reference puts it and slightly
# rattled; the perfect primitive cell; and strained primitive cells. Labels and design rows are computed once. Which of them a
# fit uses is decided afterwards, so four fits cost four small solves:
#
# * `E+F` energies and forces of the defect cells,
# * `E+F+V` also virials of the strained crystal (its elasticity, beyond the linear),
# * `E+F+FC` also force constants of the perfect crystal (its phonons),
# * `E+F+FC+V` everything.

# %%
SETS = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=2, degree=8)  # a toy: 32 functions


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
# `dg.relax` does not know what it relaxes: the reference and every model go through the same code. `dg.compare` then gives the error
# of the geometry (a norm of the differences of bond vectors), the error of the formation energy, and whether both ended in the same
# state at all, without which the numbers would mean nothing. Beside it stands the error of the elastic constants of the perfect
# crystal, on which the long tail of the displacement rides.

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
# The larger training cell wins clearly, and a fit that was shown virials or force constants knows the elastic constants better. The
# four sets, though, hardly differ in the geometry, and that is a result too: 32 functions cannot match everything they are
# shown, so the error ends on a floor that the basis sets. Observations tell fits apart once the fit is accurate enough to
# follow them, as in the study that `defectgen run` starts.
#
# ## What a rate would be
#
# Two training cells are no rate. With a basis that is large enough the error falls like a power of the size L of the training
# cell, and theory says which:

# %%
for observations in SETS:
    slopes = [dg.predicted_rate(observations, dimension=3, quantity=q) for q in ("geometry", "energy")]
    print(f"{observations:<9} geometry L^{slopes[0]:g}, energy L^{slopes[1]:g}")

# %% [markdown]
# `dg.estimate_rate(sizes, errors)` reads a slope from measured errors, with its window, its interval, and every point it left out.
# On made-up errors that fall like L^-3 and then meet a floor:

# %%
sizes = np.array([3, 4, 6, 8, 12, 16, 24])
rate = dg.estimate_rate(sizes, 0.2 * sizes**-3.0 + 4e-6, floor=4e-6)
print(f"slope {rate.slope:.2f} in [{rate.low:.2f}, {rate.high:.2f}] for L from {rate.window[0]:g} to {rate.window[1]:g}")
for size, reason in rate.dropped:
    print(f"left out L = {size:g}: {reason}")

# %% [markdown]
# ## Your own potential
#
# Any ASE calculator can stand in for either side. How good a copper is ASE's effective-medium potential, next to the reference above?

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
