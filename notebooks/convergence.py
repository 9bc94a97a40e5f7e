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
# # Reproduce the convergence plots
#
# **Question.** How does the error of a defect fall with the radius L up to which a potential is exact, and does the slope agree
# with the theory?
#
# The study `theory-2d` measures this in a two-dimensional crystal: within L the forces are those of the reference, and beyond L
# a controlled perturbation is added that leaves the named observations exact. This notebook runs the same study with a smaller
# cell and one perturbation, reads its tables, and draws the convergence plots. It takes under a minute.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("defectgen") is None:  # install the package: it is the folder above this notebook
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".."], check=True)

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import defectgen as dg

# %% [markdown]
# ## The run file
#
# `defectgen init theory-2d` writes the run file of the study with every key. This one is shorter. For the published figure use
# `simulation_size = 192`, `radii = [8, 10, 12, 15, 19]` and `perturbations = [0, 1, 2, 3]`, or just `defectgen run theory-2d`
# (two minutes on two cores).

# %%
RUN_FILE = """
name = "small-2d"
title = "Predicted rates in two dimensions, small"

[materials.Cu-layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu)"

[[cases]]
material = "Cu-layer"
defect = "divacancy"
simulation_size = 96

[surrogates]
radii = [7, 8, 10, 12, 15]
perturbations = [0]
"""

folder = Path(tempfile.mkdtemp())
(folder / "small.toml").write_text(RUN_FILE)
command = [sys.executable, "-m", "defectgen", "run", str(folder / "small.toml"), "--out", str(folder / "run"), "--workers", "1"]
finished = subprocess.run(command, capture_output=True, text=True)
assert finished.returncode == 0, finished.stderr
sorted(path.name for path in (folder / "run").iterdir())

# %% [markdown]
# ## The tables
#
# `results.csv` has one line for each radius, and `rates.csv` one line for each slope (docs/files.md explains the columns).

# %%
results = pd.read_csv(folder / "run" / "results.csv")
rates = pd.read_csv(folder / "run" / "rates.csv")
columns = ["observations", "quantity", "slope", "low", "high", "predicted", "verdict"]
print(rates[columns].to_string(index=False, float_format="{:.2f}".format))

# %% [markdown]
# ## The figure
#
# Dashed lines have the predicted slope and pass through the first point of their curve.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for axis, quantity, unit in zip(axes, ("geometry", "energy"), ("A", "eV"), strict=True):
    for number, (observations, curve) in enumerate(results.groupby("observations", sort=False)):
        radius, error = curve["training_radius"].to_numpy(), curve[f"{quantity}_error"].to_numpy()
        slope = dg.predicted_rate(observations, dimension=2, quantity=quantity)
        axis.loglog(radius, error, "o-", color=f"C{number}", label=observations)
        axis.loglog(radius, error[0] * (radius / radius[0]) ** slope, "--", color=f"C{number}", lw=0.8)
    axis.set_xticks([7, 8, 10, 12, 15], ["7", "8", "10", "12", "15"])
    axis.minorticks_off()
    axis.set(xlabel="radius L (nearest-neighbour spacings)", ylabel=f"{quantity} error ({unit})")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
plt.show()

# %% [markdown]
# ## Slopes from the errors
#
# The slopes of `rates.csv` come from `dg.estimate_rate`, with an interval that allows for a shift of L by half a spacing. The same
# function in a script, here without this allowance:

# %%
measured = {}
for observations, curve in results.groupby("observations", sort=False):
    rate = dg.estimate_rate(curve["training_radius"].to_numpy(), curve["geometry_error"].to_numpy(), window=None)
    measured[observations] = rate.slope
    print(f"{observations:9} geometry: slope {rate.slope:.2f}, predicted {dg.predicted_rate(observations, 2, 'geometry'):g}")
assert abs(measured["E+F"] + 1) < 0.5 and abs(measured["E+F+FC+V"] + 5) < 0.5

# %% [markdown]
# ## Answer
#
# Each kind of observation changes the slope: in two dimensions the geometry error falls like L^-1 for energies and forces, like
# L^-3 with virials or with force constants, and like L^-5 with both, as predicted. One perturbation and a small cell leave some
# verdicts inconclusive, and the energies of the steep sets flatten where the strain of the periodic images dominates. The
# committed study has four perturbations and four times as many atoms; docs/rates.md lists its slopes and verdicts.
