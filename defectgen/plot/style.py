"""How figures look: one colour and marker an observation set, everywhere; readable without colour and in print."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Okabe and Ito's palette (Color Universal Design, 2008), distinguishable with all common kinds of colour vision.
_KNOWN = {
    "E+F": ("#D55E00", "o"),
    "E+F+V": ("#CC79A7", "^"),
    "E+F+FC": ("#0072B2", "s"),
    "E+F+FC+V": ("#009E73", "D"),
}
_OTHERS = [("#E69F00", "v"), ("#56B4E9", "P"), ("#000000", "X"), ("#8A6D00", "<"), ("#7F7F7F", ">"), ("#5B3A8C", "h")]

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#444444",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.5,
    "mathtext.fontset": "dejavusans",
    "svg.fonttype": "path",
    "svg.hashsalt": "defectgen",
}


@dataclass(frozen=True)
class Mark:
    """Colour and marker of one observation set."""

    colour: str
    marker: str


def in_reading_order(sets: Iterable[str]) -> list[str]:
    """The known observation sets first, from fewest observations to most, then others by name."""
    known = list(_KNOWN)
    return sorted(set(sets), key=lambda name: (known.index(name), "") if name in _KNOWN else (len(known), name))


def marks(sets: Iterable[str]) -> dict[str, Mark]:
    """A mark for every set; the known ones always have theirs."""
    ordered = in_reading_order(sets)
    others = [name for name in ordered if name not in _KNOWN]
    return {name: Mark(*(_KNOWN.get(name) or _OTHERS[others.index(name) % len(_OTHERS)])) for name in ordered}


def variants(names: Iterable[str]) -> dict[str, Mark]:
    """Marks for names that are no observation sets, in their order; the first one is black. Marks repeat after ten names."""
    colours = [_OTHERS[2][0], *(colour for colour, _ in (*_KNOWN.values(), *_OTHERS) if colour != _OTHERS[2][0])]
    shapes = ["o", "v", "^", "s", "D", "P", "X", "<", ">", "h"]
    return {name: Mark(colours[k % 10], shapes[k % 10]) for k, name in enumerate(dict.fromkeys(names))}
