"""``defectgen design``: weights of a loss for one defect."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from defectgen._input import InputError
from defectgen.campaign.files import write_whole
from defectgen.cli.speak import console, say
from defectgen.errors.certificate import Certificate
from defectgen.study.designing import Designed, design_for


def design(out: Path, material: str, defect: str, **settings) -> int:
    """Print weights and what they promise, and write a run file that uses them; 0.

    Raises:
        InputError: something given makes no sense, or the file is there already.
    """
    if out.exists():
        raise InputError(f"{out} is there already and would be lost; give another --out, or delete it")
    found = design_for(material, defect, progress=say, **settings)
    _show(found)
    write_whole(out, found.study.encode())
    say(f"wrote {out}; try it: defectgen run {out}")
    return 0


def _show(found: Designed) -> None:
    """The weights beside those of the pilot, then the estimates before and after."""
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
    if len(loss.rounds) < 2:
        say("no weights within a factor of a thousand promise less: the default loss stays")


def _promise(certificate: Certificate) -> str:
    return (
        f"expected geometry error {certificate.geometry.estimate:.2g} A (bound {certificate.geometry.bound:.2g}), "
        f"energy error {certificate.energy.estimate:.2g} eV (bound {certificate.energy.bound:.2g})"
    )
