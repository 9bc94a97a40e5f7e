"""``defectgen design``: weights of a loss for one defect, and training data within a budget."""

import re
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from .._input import InputError
from ..campaign.files import utf8, write_whole
from ..errors.certificate import Certificate
from ..study.calculations import write_structures
from ..study.design.one_defect import Designed, design_for
from ..study.design.one_defect_data import Chosen, check, data_for
from ..study.design.pool import KINDS
from .speak import console, say


def design(
    out: Path, material: str, defect: str, budget: float | None = None, criterion: str = "G", size: int = 3, **settings
) -> int:
    """Print weights and what they promise, and write a run file that uses them; with a budget the same of training data; 0.

    Raises
    ------
    InputError
        Something given makes no sense, or a file is there already.
    """
    structures = out.with_suffix(".extxyz")
    for path in (out, structures) if budget is not None else (out,):
        if path.exists():
            raise InputError(f"{path} is there already and would be lost; give another --out, or delete it")
    if budget is not None:
        check(criterion, budget)
    found = design_for(material, defect, size=size, progress=say, **settings)
    _show(found)
    write_whole(out, utf8(found.study))
    say(f"wrote {out}; try it: defectgen run {out}")
    if budget is not None:
        chosen = data_for(found, defect, size, budget, criterion, say)
        _show_data(chosen, criterion)
        wanted = [calculation for one in chosen.data for calculation in one.calculations]
        write_structures(structures, wanted, found.lattice, defect)
        say(f"wrote {structures}: {len(wanted)} structures to compute, those of the start among them")
    return 0


def names_of(text: str | None) -> list[str] | None:
    """Names of defects, separated by commas that are not inside of brackets."""
    return None if text is None else [name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip()]


def _show(found: Designed) -> None:
    """The weights next to those of the pilot, then the estimates before and after."""
    loss = found.loss
    table = Table(box=None, pad_edge=False)
    for heading in ("rows", "default", "designed"):
        table.add_column(heading, justify="left" if heading == "rows" else "right")
    start = loss.pilot.weights
    for kind, groups in loss.weights.items():
        for group, weight in groups.items():
            table.add_row(*(Text(t) for t in (f"{kind}:{group}", f"{start[kind][group]:.3g}", f"{weight:.3g}")))
    console().print(table)
    for name, certificate in (("default", loss.before), ("designed", loss.after)):
        say(f"{name}: {_promise(certificate)}")
    say(f"{', '.join(found.held_out)}: {loss.harms()}")
    if len(loss.rounds) < 2:
        say("no weights within a factor of a thousand promise less: the default loss stays")


def _promise(certificate: Certificate) -> str:
    return (
        f"expected geometry error {certificate.geometry.estimate:.2g} A (bound {certificate.geometry.bound:.2g}), "
        f"energy error {certificate.energy.estimate:.2g} eV (bound {certificate.energy.bound:.2g})"
    )


def _show_data(found: Chosen, criterion: str) -> None:
    """How many of every kind and size were chosen, what that costs, and what it promises against chance."""
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "atoms", "chosen", "of"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    groups = sorted({(KINDS.index(one.kind), one.atoms) for one in found.pool})
    for kind, atoms in groups:
        own = {k for k, one in enumerate(found.pool) if (KINDS.index(one.kind), one.atoms) == (kind, atoms)}
        cells = (KINDS[kind], str(atoms), str(len(own & set(found.numbers))), str(len(own)))
        table.add_row(*(Text(c) for c in cells))
    console().print(table)
    say(
        f"data by {criterion}: {len(found.numbers)} of {len(found.pool)} candidates for {found.cost:.3g} calculations of the "
        f"training cell, in addition to a start of {found.start_cost:.2g}"
    )
    chance = np.array(found.chance)
    for name, own, others in zip(("geometry", "energy"), found.promise, chance.T, strict=True):
        low, middle, high = (float(f(others) / own) for f in (np.min, np.median, np.max))
        say(
            f"expected {name} error of {len(others)} random choices of the same cost, over that of this one: {middle:.2g} "
            f"({low:.2g} to {high:.2g})"
        )
