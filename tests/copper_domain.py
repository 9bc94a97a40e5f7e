"""A fit to rattled copper and its domain of applicability, with the rows behind them written out."""

from functools import cache

import numpy as np

import defectgen as dg
from defectgen.crystal import Snapshot
from defectgen.errors.domain import posterior_members
from defectgen.observe import environments, respond
from defectgen.training import Block, Blocks, Compressor

RNG = np.random.default_rng
TRUTH = dg.reference.CleriRosato("Cu")
BASIS = dg.ACEBasis(["Cu"], cutoff=4.2, order=2, degree=5)
WEIGHT = 30.0
"""Of E: times sqrt(N) of a row in eV/atom."""


@cache
def lattice():
    return dg.equilibrate(dg.fcc("Cu", 3.615), TRUTH)


def rattled(seed, configurations=6, amplitude=0.1):
    rattle = {"configurations": configurations, "amplitude": amplitude, "strain": 0.01}
    return [c for c in dg.training_cells(lattice(), None, 2, seed, rattle=rattle) if c.group == "defect"]


@cache
def trained(prior=None):
    """A fit to rattled cells of the perfect crystal, and those cells."""
    cells = rattled(0)
    return dg.fit(dg.label(cells, TRUTH, BASIS, "E+F"), "E+F", {"E": WEIGHT}, prior=prior), cells


@cache
def domain():
    fit, cells = trained()
    return dg.domain(cells, fit, committee=posterior_members(fit, 8, seed=0))


def raw_rows(cells):
    """The weighted design matrix of E and F, written out row by row."""
    rows = []
    for c in cells:
        r = respond(BASIS, c)
        rows += [WEIGHT * r.energy[None] / np.sqrt(len(c.cell)), r.forces.reshape(-1, BASIS.size)]
    return np.concatenate(rows)


def here(snapshot):
    return environments(BASIS, snapshot.cell.symbols, snapshot.positions, snapshot.vectors, snapshot.cell.periodic)


def plain(cell):
    return Snapshot(cell, cell.positions, cell.vectors)


def invented(seed=0, rows=(60, 40, 30), columns=6, noise=0.1, groups=None):
    """A fit without a basis to made-up rows, one block a group; its rows and labels."""
    rng, theta, items, raw = RNG(seed), np.arange(1.0, columns + 1), [], []
    for k, count in enumerate(rows):
        a = rng.normal(size=(count, columns)) * np.geomspace(1, 1e-2, columns)
        y = a @ theta + noise * rng.normal(size=count)
        compressor = Compressor(columns)
        compressor.add(a, y)
        items.append(Block("F", f"group {k}" if groups is None else groups[k], 4 + k, 1.0, count, compressor.factor()))
        raw.append((a, y))
    return Blocks(None, tuple(items), "made up"), raw


def site_rows(cells):
    return np.concatenate([here(c).sites for c in cells])
