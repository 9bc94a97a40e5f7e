"""The bibliography: reads refs.bib and finds the entry that a citation such as [Ortner and Wang 2023] means."""

import re
from dataclasses import dataclass
from pathlib import Path

from bibtexparser import middlewares
from bibtexparser.entrypoint import parse_file
from bibtexparser.model import Entry


@dataclass(frozen=True)
class Reference:
    """One entry, as a reader needs it: `where` names journal or publisher, `links` pairs a label with an address."""

    key: str
    authors: tuple[str, ...]
    year: str
    title: str
    where: str
    note: str
    links: tuple[tuple[str, str], ...]


def read(path: Path) -> dict[str, Reference]:
    """Every entry of a BibTeX file by its key, sorted by authors; raises ValueError for one that does not parse."""
    names = [middlewares.SeparateCoAuthors(), middlewares.SplitNameParts(), middlewares.MergeNameParts(style="first")]
    library = parse_file(str(path), append_middleware=[middlewares.LatexDecodingMiddleware(), *names])
    if library.failed_blocks:
        raise ValueError(f"{path.name} has an entry that does not parse, near line {library.failed_blocks[0].start_line}")
    return {entry.key: reference(entry) for entry in sorted(library.entries, key=lambda entry: entry.key)}


def reference(entry: Entry) -> Reference:
    """The entry with its fields put together; a field that is missing is an empty string."""
    field = {name: item.value for name, item in entry.fields_dict.items()}
    return Reference(
        key=entry.key,
        authors=tuple(field["author"]),
        year=field["year"],
        title=field.get("title", ""),
        where=published(field),
        note=field.get("note", ""),
        links=links(field),
    )


def published(field: dict[str, str]) -> str:
    """Journal, volume and pages, or publisher and edition: "Physical Review B 48, 22"."""
    volume = " ".join(filter(None, [field.get("journal"), field.get("volume")]))
    edition = f"edition {field['edition']}" if "edition" in field else ""
    return ", ".join(filter(None, [volume, field.get("pages", "").replace("--", "\u2013"), field.get("publisher"), edition]))


def links(field: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Where the work can be read: its DOI and its preprint, as far as the entry gives them."""
    addresses = {"doi": ("doi:", "https://doi.org/"), "eprint": ("arXiv:", "https://arxiv.org/abs/")}
    return tuple((label + field[name], base + field[name]) for name, (label, base) in addresses.items() if name in field)


def key_of(citation: str, keys: dict[str, Reference]) -> str:
    """The key that "Ehrlacher, Ortner, Shapeev 2016" stands for: the names and the year without what joins them."""
    wanted = re.sub(r"[^a-z0-9]", "", re.sub(r"\bet al\b|\band\b", "", citation.lower()))
    found = next((key for key in keys if key.lower() == wanted), None)
    if found is None:
        raise ValueError(f"[{citation}] is not in refs.bib")
    return found
