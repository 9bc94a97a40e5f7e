"""Quantum ESPRESSO as a reference: pw.x through ASE, with the same k-points in every cell of a crystal."""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.espresso import Espresso, EspressoProfile

from .._input import InputError, real
from ..crystal.lattice import Lattice
from .kpoints import common_kpoints, irreducible_kpoints
from .reference import PROGRAMS, ASEReference

PSEUDOPOTENTIALS = "/usr/share/espresso/pseudo"
"""Where Debian's package quantum-espresso-data puts them."""


def espresso(
    lattice: Lattice,
    pseudopotentials: Mapping[str, str],
    cutoff: float,
    grid: Sequence[int],
    *,
    folder: str | Path = "pw",
    command: str = "pw.x",
    pseudo_folder: str | Path = PSEUDOPOTENTIALS,
    smearing: float = 0.01,
    threshold: float = 1e-9,
    step: float = 0.02,
    system: Mapping[str, Any] | None = None,
) -> ASEReference:
    """Density-functional theory by pw.x, of any cell of one crystal.

    Parameters
    ----------
    lattice : Lattice
        The crystal; only its conventional cell is used, for the mesh of k-points.
    pseudopotentials : mapping
        File of every element: {"Si": "Si.pz-vbc.UPF"}.
    cutoff : float
        Kinetic energy of the largest plane wave, Ry.
    grid : sequence of int
        Divisions of the reciprocal vectors of the conventional cell, shifted by half a division. Every cell has the k-points that
        are equivalent to this mesh, so its divisions are multiples of the repetitions of every supercell.
    folder : str or Path
        Where pw.x runs; its files are overwritten by each calculation.
    command : str
        How pw.x is started, such as "mpiexec -n 4 pw.x".
    pseudo_folder : str or Path
        Where the files of the pseudopotentials are.
    smearing : float
        Width of the Gaussian smearing of occupations, Ry; 0 for fixed occupations.
    threshold : float
        Convergence of the energy, Ry.
    step : float
        Displacement behind force constants, A.
    system : mapping, optional
        Further settings of the namelist SYSTEM.

    Returns
    -------
    ASEReference

    Raises
    ------
    InputError
        If pw.x or a pseudopotential is missing.

    Notes
    -----
    Forces are minus the gradient of the free energy at fixed box. The stress is the derivative of the energy with the number of
    plane waves fixed; it differs from differences of energies between boxes by the Pulay stress, which a higher cutoff reduces.
    """
    if missing := [word for word in shlex.split(command) if Path(word).name == "pw.x" and shutil.which(word) is None]:
        raise InputError(f"{missing[0]!r} is not installed: install {PROGRAMS['pw.x']}, or give its path in command")
    for element, name in pseudopotentials.items():
        if not (Path(pseudo_folder) / name).is_file():
            raise InputError(
                f"the pseudopotential {name!r} of {element} is not in {pseudo_folder}; apt-get install quantum-espresso-data, or "
                "give its folder"
            )
    cutoff = real(cutoff, "the cutoff of plane waves", 0, above=True, unit="(Ry)")
    electrons = {"occupations": "smearing", "smearing": "gaussian", "degauss": smearing} if smearing else {}
    profile = EspressoProfile(command=command, pseudo_dir=str(pseudo_folder))

    def pw(atoms: Atoms) -> Espresso:
        k = common_kpoints(lattice, np.asarray(atoms.cell), grid)
        chosen: dict[str, Any] = {"ecutwfc": cutoff, **electrons, **(system or {})}
        mesh: dict[str, Any] = {"kpts": k.grid, "koffset": k.offset}
        if k.grid is None:  # a list, which pw.x expands by the symmetry of the box as far as the atoms break it
            few = irreducible_kpoints(k, np.asarray(atoms.cell))
            if few is None:
                chosen["nosym"], few = True, k
            mesh = {"kpts": np.column_stack([few.points, few.weights])}
        return Espresso(
            profile=profile,
            directory=str(folder),
            pseudopotentials=dict(pseudopotentials),
            input_data={
                "control": {"tprnfor": True, "tstress": True, "disk_io": "none"},
                "system": chosen,
                "electrons": {"conv_thr": threshold, "mixing_beta": 0.7},
            },
            **mesh,
        )

    return ASEReference(pw, step=step, name="pw.x")
