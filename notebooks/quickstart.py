# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How far can a fitted potential be trusted beyond its training data?
#
# A potential is fitted on small cells and used on large ones. Here is the whole question in one sitting, small enough for half
# a minute: a reference, a defect, four fits that differ only in *what they observed*, and the error each makes on a larger cell.
# Units are eV and Angstrom.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ase.calculators.emt import EMT

import defectgen as dg
from defectgen.units import EV_PER_A3_IN_GPA

# %% [markdown]
# ## A number to recognise
#
# Elastic constants come exactly from one primitive cell. Silicon in the Stillinger-Weber model has $C_{11} = 151.4$ GPa,
# known since Cowley (Phys. Rev. Lett. 60, 2379, 1988).

# %%
silicon = dg.reference.StillingerWeber("Si")
diamond = dg.equilibrate(dg.diamond("Si", 5.43), silicon)
c11 = dg.elastic_constants(diamond, silicon)[0, 0] * EV_PER_A3_IN_GPA
assert abs(c11 - 151.4) < 0.5, c11  # GPa
print(f"C11 of Stillinger-Weber silicon: {c11:.1f} GPa")

# %% [markdown]
# ## The truth, and a defect in it
#
# The reference plays the part of the expensive method. `equilibrate` finds its lattice constant; a cell is a supercell with the
# defect applied, and `relax` finds its equilibrium. Reference and fits share the lattice constant and the minimiser, so that
# what differs between their results is the potential.

# %%
truth = dg.reference.CleriRosato("Cu")
lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
defect = dg.vacancy()
cell = defect.apply(dg.supercell(lattice, 4))
exact = dg.relax(cell, truth)
print(f"{len(cell)} atoms, formation energy {exact.energy:.4f} eV, largest force {exact.residual:.1e} eV/A")

# %% [markdown]
# ## Four fits
#
# A small linear ACE basis is labelled once for each training size; every fit after that is a small solve. Observations: E energies and
# F forces of defect cells, FC force constants of the perfect crystal, V virials of the strained crystal. The weight makes
# energies count, which are few among thousands of forces.

# %%
basis = dg.ACEBasis(["Cu"], cutoff=5.0, order=3, degree=6)
sets = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
sizes = (2, 3)

fits = {}
for size in sizes:
    blocks = dg.label(dg.training_cells(lattice, defect, size=size, seed=0), truth, basis, ["E", "F", "FC", "V"])
    for observations in sets:
        fits[size, observations] = dg.fit(blocks, observations=observations, weights={"E": 100.0}, prior=1e-6)
print(f"{basis.size} coefficients")

# %% [markdown]
# ## What each fit gets wrong
#
# Each model relaxes the same cell, and `compare` says how far it ends from the truth: geometry is the norm of the difference of strains,
# energy that of formation energies. `same_basin` guards against comparing two different states.

# %%
errors = {key: dg.compare(exact, dg.relax(cell, fit.model)) for key, fit in fits.items()}
assert all(error.same_basin for error in errors.values())

table = pd.DataFrame(
    [
        {
            "trained on": f"{size} x {size} x {size}",
            "observations": observations,
            "geometry (A)": error.geometry,
            "energy (meV)": 1000 * error.energy,
            "FC, rmse (eV/A^2)": fits[size, observations].rmse["FC"],
            "V, rmse (meV/atom)": 1000 * fits[size, observations].rmse["V"],
        }
        for (size, observations), error in errors.items()
    ]
)
print(table.to_string(index=False, float_format="%.2g"))

# %%
fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for observations, marker in zip(sets, "os^D", strict=True):
    ax.loglog(sizes, [errors[size, observations].geometry for size in sizes], marker=marker, label=observations)
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.minorticks_off()
ax.set_xlabel("edge of the training cell (conventional cells)")
ax.set_ylabel("geometry error (A)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What a rate would be
#
# Theory bounds the error by a power of the size of the training cell, steeper the more is matched. Two sizes and a basis
# this small show no rate: what remains is the error of the fit itself, a plateau. A measured slope wants growing sizes, a fit
# accurate enough to stay below the bound, and an interval. That is what `defectgen run` does; here are the predictions and, for the
# sake of the example, the estimate that a pure power law with the predicted slope would give.

# %%
for observations in sets:
    predicted = dg.predicted_rate(observations, dimension=3, quantity="geometry")
    made_up = np.array([4, 6, 8, 12, 16])
    rate = dg.estimate_rate(made_up, 0.1 * made_up**predicted)
    print(f"{observations:<9} predicted {predicted:5.1f}, estimated {rate.slope:5.1f} in the window {rate.window}")
    assert abs(rate.slope - predicted) < 1e-9  # nothing but rounding

# %% [markdown]
# ## Your own calculator
#
# Any ASE calculator can be the reference, or the potential under audit. Here ASE's EMT is asked how well it reproduces
# the reference: its vacancy, the force constants and the elastic constants that its training would have had to match.

# %%
emt = dg.ASEReference(EMT(), step=1e-4)  # its forces are exact to rounding: a short step
small = defect.apply(dg.supercell(lattice, 3))
audit = dg.compare(dg.relax(small, truth), dg.relax(small, emt))
print(f"vacancy of EMT against the reference: geometry {audit.geometry:.3f} A, energy {audit.energy_signed:+.3f} eV")
assert audit.same_basin
