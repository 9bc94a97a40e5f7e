"""A large data set of an alloy: from a file of labelled frames to the coefficients of a linear ACE of order 4, streamed.

Why this case: design rows of ten thousand frames do not fit into memory (31 GB at 2,000 functions), so they are reduced as they
are made; time must grow linearly with the frames and memory not at all. The peers do the same work with fixed weights and without
a search for hyperparameters: ace-jax streams its rows into R factors (`linear_qr_statistics`, what `aj fit` does before it looks
for hyperparameters) or into Gram matrices, which takes fewer operations and squares the condition number; python-ace's
`LinearACEFit` keeps all rows in memory, has no virials, and solves with scikit-learn's ridge regression.

What limits it: bases cannot be made equal. All have four species, order 4 and a cutoff of 5.5 A; the smallest that ace-jax offers
there has 1,448 functions and is compared with our 1,450. Every fit runs in a process of its own, for two numbers of frames; their
difference is the time a frame, and the rest is imports and compilation. A number of frames that was not run is stated as an
extrapolation. The error is that of the forces in training (root mean square, eV/A), with labels of ASE's effective medium theory.

`bench_large_set.py FRAMES` makes a set of that many frames and fits it (632 functions) instead: 1,000 take less than a minute,
10,000 about ten times as long.
"""

from timing import machine, skipped, summary  # isort: skip  (first: it pins the threads)

import json
import subprocess
import sys
import warnings
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

SPECIES = ("Cu", "Ag", "Au", "Ni")
CUTOFF = 5.5
FRAMES = (20, 80)
MANY = 10_000
OURS = {632: dict(degree=4), 1450: dict(degree=5), 1994: dict(degree=5, w_l=1.0, pair_degree=37)}
"""Number of functions -> basis."""
WEIGHTS = {"E": 30.0, "F": 1.0, "V": 1.0}
NOISE = 0.01
"""Of the weighted rows, next to ace-jax's prior, eV/A."""


def write(path: Path, frames: int) -> None:
    """Rattled and strained cells of 64 atoms of a random alloy, labelled by effective medium theory."""
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write as write_frames

    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for _ in range(frames):
            atoms = bulk("Cu", cubic=True, a=3.95) * (4, 2, 2)
            atoms.symbols = rng.choice(SPECIES, len(atoms))
            atoms.set_cell(atoms.cell @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))), scale_atoms=True)
            atoms.rattle(stdev=0.08, rng=rng)
            atoms.calc = EMT()
            labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
            atoms.calc = SinglePointCalculator(atoms, **labels)
            write_frames(file, atoms, format="extxyz")


def ours(path: Path, functions: int) -> dict[str, float]:
    import defectgen as dg

    basis = dg.ACEBasis(SPECIES, CUTOFF, order=4, **OURS[functions])
    assert basis.size == functions
    times = [process_time()]
    data = dg.read_dataset(path)
    times.append(process_time())
    blocks = dg.label(data, None, basis, ["E", "F", "V"])
    times.append(process_time())
    fit = dg.fit(blocks, "E+F+V", WEIGHTS)
    times.append(process_time())
    reading, rows, solving = np.diff(times)
    return {"reading": reading, "rows": rows, "solving": solving, "functions": functions, "error": fit.rmse["F"]}


def ace_jax(path: Path, gram: bool) -> dict[str, float]:
    """Its own stages, in its own order."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from ace_jax.basis.model import BasisSpec
    from ace_jax.fit.objective import posterior, posterior_from_qr
    from ace_jax.fit.pipeline import FitConfig, load_fit_data
    from ace_jax.fit.pipeline.lstsq import lstsq_theta
    from ace_jax.fit.pipeline.problem import build_problem
    from ace_jax.fit.stats import linear_qr_statistics, linear_statistics

    spec = BasisSpec(order=4, max_degree=4, elements=SPECIES, rcut=CUTOFF, wL=2.0)
    settings = FitConfig(
        model=spec,
        arm="linear",
        weights={"default": WEIGHTS},
        stress_key="stress",
        e0="prefit",
        lml_solver="cholesky" if gram else "qr",
    ).validate()
    times = [process_time()]
    data = load_fit_data(settings, train=str(path), log=lambda *_: None)
    problem = build_problem(settings, data).prob
    times.append(process_time())
    if gram:
        found = jax.jit(lambda frames: linear_statistics(problem.model, problem.cfg, frames))(data.ds_train)
    else:
        found = linear_qr_statistics(problem.model, problem.cfg, data.ds_train)
    jax.block_until_ready(found)
    times.append(process_time())
    theta = lstsq_theta(problem)._replace(**{f"log_sigma_{kind}": float(np.log(NOISE)) for kind in "EFV"})
    x = np.asarray((posterior if gram else posterior_from_qr)(theta, found, problem)[0])
    times.append(process_time())
    squares = float(found.yy_F - 2 * x @ np.asarray(found.b_F) + x @ np.asarray(found.G_F) @ x)
    reading, rows, solving = np.diff(times)
    error = np.sqrt(max(squares, 0.0) / (3 * float(found.n_F)))
    return {"reading": reading, "rows": rows, "solving": solving, "functions": len(x), "error": error}


def python_ace(path: Path, functions: int) -> dict[str, float]:
    import pandas as pd
    from ase.io import iread
    from pyace import ACEBBasisSet, create_multispecies_basis_config
    from pyace.linearacefit import LinearACEDataset, LinearACEFit, generate_data

    every = {"nradmax_by_orders": [8, 4, 2, 2], "lmax_by_orders": [0, 3, 2, 2]}
    scheme = {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}
    bond = {"radbase": "SBessel", "radparameters": [5.25], "rcut": CUTOFF, "dcut": 0.01}
    basis = ACEBBasisSet(create_multispecies_basis_config({
        "deltaSplineBins": 0.001, "elements": sorted(SPECIES), "embeddings": {"ALL": scheme}, "bonds": {"ALL": bond},
        "functions": {"number_of_functions_per_element": functions // len(SPECIES), "ALL": every},
    }))  # fmt: skip
    times = [process_time()]
    frames = list(iread(path))
    table = {
        "ase_atoms": frames,
        "energy": [a.get_potential_energy() for a in frames],
        "forces": [a.get_forces() for a in frames],
    }
    data = LinearACEDataset(basis, pd.DataFrame(table))
    times.append(process_time())
    rows, atoms = len(frames), sum(map(len, frames))
    data.design_matrix = np.zeros((rows + 3 * atoms, data.nfunc))  # its own worker processes would not be counted
    arguments = data.df, basis, data.design_matrix, (0, rows), (0, atoms), data.cutoff, data.elements_mapper_dict
    generate_data(*arguments)
    times.append(process_time())
    fit = LinearACEFit(train_dataset=data)
    fit.fit()
    times.append(process_time())
    reading, making, solving = np.diff(times)
    error = fit.compute_errors()["f_comp_rmse"]
    return {"reading": reading, "rows": making, "solving": solving, "functions": data.nfunc, "error": error}


SIDES = {
    "ours": ours,
    "ace-jax, R factors": lambda path, _: ace_jax(path, gram=False),
    "ace-jax, Gram matrices": lambda path, _: ace_jax(path, gram=True),
    "python-ace": python_ace,
}
NEEDED = {"ace-jax, R factors": "ace-jax", "ace-jax, Gram matrices": "ace-jax", "python-ace": "python-ace"}
COMPARED = {
    1450: ("ours", "ace-jax, R factors", "ace-jax, Gram matrices"),
    632: ("ours", "python-ace"),
    1994: ("ours", "python-ace"),
}


def one(side: str, path: str, functions: int) -> None:
    """One fit in this process; the result goes to standard output."""
    warnings.simplefilter("ignore")
    found = SIDES[side](Path(path), functions)
    whole = {"whole": process_time(), "peak": getrusage(RUSAGE_SELF).ru_maxrss / 1024}
    print(json.dumps({key: float(value) for key, value in (found | whole).items()}))


def run(side: str, path: Path, functions: int) -> dict[str, float]:
    """One fit in a process of its own."""
    done = subprocess.run([sys.executable, __file__, side, path, str(functions)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{side} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def show(side: str, frames: int, found: dict[str, float], note: str = "") -> None:
    numbers = "".join(f"{found[key]:>9.1f}" for key in ("reading", "rows", "solving", "whole"))
    print(
        f"{side:<24}{found['functions']:>7.0f}{frames:>8}{numbers}{found['peak']:>9.0f}{found['error']:>10.4f}  {note}",
        flush=True,
    )


def head() -> None:
    print(machine("ace-jax", "python-ace", "scikit-learn"))
    print(
        "frames of 64 atoms, 4 species, order 4, cutoff 5.5 A; processor seconds, peak memory of the process, force error (eV/A)"
    )
    print(f"{'':<24}{'funcs':>7}{'frames':>8}{'read':>9}{'rows':>9}{'solve':>9}{'whole':>9}{'MB':>9}{'error':>10}")


def compared() -> None:
    """Every side for two numbers of frames: seconds a frame, and what that makes for many."""
    head()
    with TemporaryDirectory() as folder:
        paths = {frames: Path(folder) / f"{frames}.extxyz" for frames in FRAMES}
        for frames, path in paths.items():
            write(path, frames)
        for functions, sides in COMPARED.items():
            cost = {}
            for side in sides:
                if side in NEEDED and skipped(NEEDED[side]):
                    continue
                found = [run(side, path, functions) for path in paths.values()]
                for frames, line in zip(FRAMES, found, strict=True):
                    show(side, frames, line)
                few, many = found
                each = (many["whole"] - few["whole"]) / (FRAMES[1] - FRAMES[0])
                growth = (many["peak"] - few["peak"]) / (FRAMES[1] - FRAMES[0])
                cost[side] = each
                whole = few["whole"] + each * (MANY - FRAMES[0])
                print(
                    f"{'':<24}{1e3 * each:.0f} ms and {1e3 * growth:.0f} kB a frame; extrapolated to {MANY:,} frames: {whole:.0f} s, "
                    f"{(few['peak'] + growth * (MANY - FRAMES[0])) / 1024:.1f} GB"
                )
            name, peer = min(((side, c) for side, c in cost.items() if side != "ours"), key=lambda p: p[1], default=("", None))
            summary(
                f"fit of frames of 64 atoms, 4 species, {functions} functions",
                "ms/frame",
                1e3 * cost["ours"],
                name,
                None if peer is None else 1e3 * peer,
            )


def large(frames: int) -> None:
    head()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames.extxyz"
        write(path, frames)
        show("ours", frames, run("ours", path, 632))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [side, path, functions]:
            one(side, path, int(functions))
        case [frames]:
            large(int(frames))
        case _:
            compared()
