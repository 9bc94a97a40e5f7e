"""``defectgen audit``: two potentials compared, as a run of the study `audit` that the options describe."""

import re
from pathlib import Path
from typing import Any

from .. import study
from .._input import InputError
from ..crystal import Lattice, supercell
from ..study import Material
from ..study.potentials import located
from .fitting import pairs
from .running import carry_out

FEWEST, MOST, CELLS = 30, 260, 3
"""Atoms of the cells that are chosen where no sizes are given, and how many cells."""


def audit(
    model: str,
    reference: str | None,
    material: str | None,
    lattice: Path | None,
    defects: str,
    sizes: str | None,
    out: Path | None,
    options: dict[str, Any],
    workers: int | None = None,
    dry_run: bool = False,
    reuse_old: bool = False,
) -> int:
    """Exit status of the audit: 0 done, 1 some cases failed, 130 it was stopped.

    Raises
    ------
    InputError
        A potential, the crystal, a defect or an option cannot be used.
    """
    named = _material(material, lattice, reference)
    start = study.build_lattice(study.material(named, Path.cwd(), code=True))
    cells = _sizes(sizes, start)
    short = located(model, Path.cwd(), code=True).short
    spec = study.resolved(
        {
            "name": _folder(f"audit-{named.name}-{short}"),
            "title": f"Audit of {short} for {named.name}",
            "cases": [
                {"material": named, "defect": defect, "simulation_size": cells[-1]}
                for defect in split_outside(defects, "--defects")
            ],
            "audit": {"model": model, "sizes": cells, **{key: value for key, value in options.items() if value is not None}},
        },
        Path.cwd(),
        code=True,
    )
    return carry_out(spec, out if out is not None else Path("audits") / spec.name, workers, None, dry_run, reuse_old)


def split_outside(text: str, option: str) -> list[str]:
    """A list with commas, those within parentheses left alone. Raises InputError for an empty entry."""
    found = [part.strip() for part in re.split(r",(?![^()]*\))", text)]
    if not all(found):
        raise InputError(f"{option} takes names with commas between them, like vacancy,dumbbell(100); got {text!r}")
    return list(dict.fromkeys(found))


def _material(name: str | None, lattice: Path | None, reference: str | None) -> Material:
    """A named material or the structure of a file, with the reference of the command line in the place of its own."""
    if (name is None) == (lattice is None):
        raise InputError(
            "an audit needs --material NAME (see defectgen list) or --lattice FILE, a structure file; give one of them"
        )
    if lattice is not None:
        if reference is None:
            raise InputError("with --lattice FILE an audit needs --reference, the potential that the model is compared with")
        return Material(name=lattice.stem, structure=str(lattice), reference=reference)
    found = study.material(str(name), Path.cwd())
    return found if reference is None else found.model_copy(update={"reference": reference})


def _sizes(text: str | None, lattice: Lattice) -> list[int]:
    """The sizes of an option, smallest first; without one, those with some 30 to 260 atoms."""
    if text is not None:
        try:
            found = sorted({int(part) for part in text.split(",")})
        except ValueError:
            found = []
        if not found or found[0] < 1:
            raise InputError(f"--sizes takes conventional cells along each side, like 2,3,4; got {text!r}")
        return found
    atoms = {n: n**3 * len(supercell(lattice, 1)) for n in range(1, 8)}
    fit = [n for n, count in atoms.items() if FEWEST <= count <= MOST]
    return (fit or [next((n for n, count in atoms.items() if count >= FEWEST), 7)])[-CELLS:]


def _folder(name: str) -> str:
    """A name that a folder can have."""
    return re.sub(r"[^A-Za-z0-9.+=-]+", "-", name).strip("-.")[:100]


def potentials_of(text: str | None, option: str) -> dict[str, float] | None:
    """Ga=-2.8,As=-4.6 as a table of numbers; None if nothing was given. Raises InputError for anything else."""
    found = pairs(text, option, "Ga=-2.8,As=-4.6")
    try:
        return {symbol: float(value) for symbol, value in found.items()} or None
    except ValueError:
        raise InputError(f"{option} takes energies in eV, like Ga=-2.8,As=-4.6; got {text!r}") from None
