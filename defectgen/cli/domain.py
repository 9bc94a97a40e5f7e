"""``defectgen domain``: which structures of a file a model was trained for."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from .._input import InputError
from ..ace import load_model
from ..bridge import cell_from_ase, read_extxyz
from ..crystal import Snapshot
from ..errors import Check, Domain, load_domain
from .speak import answer, console

LONGEST = 30
"""Structures shown one by one; of more, those inside are only counted."""


def judge(model: Path, structures: Path, companion: Path | None, measure: str | None) -> int:
    """Print a verdict on every structure; 0 if all are inside, 1 if not.

    Raises
    ------
    InputError
        A file cannot be used, the domain belongs to another model, or it has no such measure.
    """
    domain = _domain(model, companion)
    domain = domain if measure is None else domain.by(measure)
    checks = [domain.check(snapshot) for snapshot in _snapshots(structures)]
    lost = sum(not check.inside for check in checks)
    _show(domain, checks)
    found = [
        {
            "structure": number,
            "crystal": check.cell.lattice.name,
            "atoms": len(check.cell),
            "inside": check.inside,
            "outside": check.outside.tolist(),
            "worst": check.worst,
        }
        for number, check in enumerate(checks)
    ]
    answer(
        f"{len(checks) - lost} of {len(checks)} structures inside the domain "
        f"({domain.measure}, threshold {domain.threshold:.4g})",
        {"measure": domain.measure, "unit": checks[0].unit, "threshold": domain.threshold, "structures": found},
    )
    return 1 if lost else 0


def _domain(model: Path, companion: Path | None) -> Domain:
    """The domain next to a model, ``model.domain.npz`` for ``model.json``, unless another file is named."""
    potential = load_model(model)
    path = model.with_suffix(".domain.npz") if companion is None else companion
    if companion is None and not path.is_file():
        raise InputError(
            f"the model {model} has no companion {path.name} with its training cells; write it where the model is fitted: "
            f"dg.domain(cells, fit).save({path.name!r})"
        )
    domain = load_domain(path)
    if not domain.belongs_to(potential):
        raise InputError(f"{path} was made for another model than {model}; write both from one fit")
    return domain


def _snapshots(path: Path) -> list[Snapshot]:
    """All frames of an extended XYZ file; of other formats the structure that ASE reads."""
    if path.suffix.lower() in (".xyz", ".extxyz"):
        return read_extxyz(path)
    cell = cell_from_ase(path)
    return [Snapshot(cell, cell.positions, cell.vectors, source=path.name)]


def _show(domain: Domain, checks: list[Check]) -> None:
    """One line a structure: how many atoms are outside and which is the worst."""
    table = Table(box=None, pad_edge=False)
    for heading in ("structure", "atoms", "outside", "worst atom", f"its {domain.measure.replace('_', ' ')}", "verdict"):
        table.add_column(heading, justify="left" if heading in ("structure", "verdict") else "right")
    for number, check in enumerate(checks):
        if check.inside and len(checks) > LONGEST:
            continue
        atom = int(check.grades.argmax()) if check.inside else int(check.outside[0])
        unit = f" {check.unit}" if check.unit else ""
        cells = [f"{number} {check.cell.lattice.name}", str(len(check.cell)), str(len(check.outside)), str(atom)]
        table.add_row(*(Text(t) for t in [*cells, f"{check.worst:.3g}{unit}", "inside" if check.inside else "outside"]))
    console().print(table)
