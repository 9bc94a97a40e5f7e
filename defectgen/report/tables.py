"""Tables as the page shows them: which columns a narrow screen has, what a column is sorted by, what all rows have in common."""

import re
from dataclasses import dataclass

from ..plot.typeset import MINUS, NONE
from ..study.page import Cell, PageTable

QUANTITIES = 3
"""Columns of numbers that a narrow screen shows."""
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_NUMBER = re.compile(r"^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s*×\s*10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(?![\w.])")
_EMPTY = ("", NONE, "-")


@dataclass(frozen=True)
class ShownCell:
    """A cell with its classes and what it is sorted by."""

    text: str
    kind: str
    classes: str
    value: str = ""
    about: str = ""


@dataclass(frozen=True)
class ShownTable:
    """A table of the page."""

    header: tuple[ShownCell, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    cases: list[str]
    """What each row is about in one cell, which narrow screens have instead of several columns of names."""
    common: str
    """What all rows have in common."""
    detailed: bool
    """Whether some columns are shown only where all columns are asked for."""
    wide: bool
    """Whether a narrow screen leaves columns out."""


def shown(table: PageTable) -> ShownTable:
    """The table with the classes of its columns."""
    table, common = _without_constants(table)
    columns = list(zip(*table.rows, strict=True)) if table.rows else [() for _ in table.header]
    quantities = [_are_numbers(head, column) for head, column in zip(table.header, columns, strict=True)]
    kept = _kept(table.header, quantities)
    classes = [
        " ".join(
            name
            for name, true in (
                ("quantity", quantity),
                ("number", head.kind == "number"),
                ("prose", head.kind == "prose"),
                ("detail", head.role == "detail"),
                ("wide", k not in kept and head.role != "detail"),
            )
            if true
        )
        for k, (head, quantity) in enumerate(zip(table.header, quantities, strict=True))
    ]
    names = [k for k, h in enumerate(table.header) if not quantities[k] and h.kind != "prose" and h.role != "detail"]
    joined = len(names) > 1 and any(quantities)
    for k in names if joined else ():
        classes[k] = f"{classes[k]} name".strip()
    header = (ShownCell(head.text, head.kind, own, about=head.about) for head, own in zip(table.header, classes, strict=True))
    rows = [
        tuple(
            ShownCell(cell.text, cell.kind, own, _value(cell.text) if quantity else "")
            for cell, own, quantity in zip(row, classes, quantities, strict=True)
        )
        for row in table.rows
    ]
    return ShownTable(
        tuple(header),
        tuple(rows),
        [" · ".join(row[k].text for k in names if row[k].text not in _EMPTY) for row in table.rows] if joined else [],
        common,
        any("detail" in own for own in classes),
        any("wide" in own for own in classes),
    )


def _kept(header: tuple[Cell, ...], quantities: list[bool]) -> set[int]:
    """Columns of a narrow screen: names, and the main quantities or else the first."""
    names = {
        k for k, head in enumerate(header) if not quantities[k] and (head.kind != "prose" or head.role or not any(quantities))
    }
    numbers = [k for k, quantity in enumerate(quantities) if quantity and header[k].role != "detail"]
    main = sorted(numbers, key=lambda k: header[k].role != "main")  # those first, in the order of the table
    return names | set(main[:QUANTITIES])


def _without_constants(table: PageTable) -> tuple[PageTable, str]:
    """The table without columns of names that say one thing, and what they say."""
    if len(table.rows) < 3:
        return table, ""
    constant = [
        k
        for k, head in enumerate(table.header)
        if head.kind in ("text", "set") and k and len({row[k].text for row in table.rows}) == 1
    ]
    told = "; ".join(f"{table.header[k].text}: {table.rows[0][k].text}" for k in constant if table.rows[0][k].text not in _EMPTY)
    kept = [k for k in range(len(table.header)) if k not in constant]
    return (
        PageTable(
            tuple(table.header[k] for k in kept),
            tuple(tuple(row[k] for k in kept) for row in table.rows),
        ),
        f"All rows: {told}." if told else "",
    )


def _are_numbers(head: Cell, column: tuple[Cell, ...]) -> bool:
    known = [cell.text for cell in column if cell.text not in _EMPTY]
    return head.kind == "number" or (head.kind == "text" and bool(known) and all(_value(text) for text in known))


def _value(text: str) -> str:
    """The number that a text begins with; empty without one."""
    found = _NUMBER.match(text.replace(MINUS, "-").replace("\N{NO-BREAK SPACE}", " ").strip())
    if found is None:
        return ""
    return found[1] + (f"e{found[2].translate(_RAISED)}" if found[2] else "")
