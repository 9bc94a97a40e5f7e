"""``defectgen fit``: a potential of a labelled data set, with its errors and one page; ``defectgen init fit``: its file."""

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import report
from .._input import InputError
from ..campaign.files import expanded, utf8, write_whole
from ..campaign.provenance import versions
from ..study.own_labels import TEMPLATE, LabelledFit, Outcome, fit_labelled, load
from ..study.own_labels.settings import made
from .speak import say

NAME = "fit"


def start_fit(path: Path = Path("fit.toml")) -> Path:
    """Write a commented file with every key. Raises InputError if it is there already."""
    if path.exists():
        raise InputError(f"{path} is there already; rename it, or start in another directory")
    write_whole(path, utf8(TEMPLATE.replace("{name}", path.name)))
    return path


def fit_files(files: Sequence[Path], out: Path, options: dict[str, Any], quiet: bool, as_json: bool) -> int:
    """Fit, and write everything to `out`. `files` are data, or one TOML file with settings, which options override."""
    settings = _settings(files, options)
    with _Told(quiet or as_json) as told:
        outcome = fit_labelled(settings, told)
    paths = {"data": tuple(os.path.relpath(name, out) for name in outcome.settings.data)}  # fit.toml stands next to the model
    outcome = replace(outcome, settings=outcome.settings.model_copy(update=paths))
    page = report.write_fit(outcome, out, versions(), shlex.join(["defectgen", *sys.argv[1:]]))
    if as_json:
        print(json.dumps({"page": str(page), "errors": list(outcome.errors.rows), "notes": list(outcome.notes)}))
        return 0
    for note in outcome.notes:
        say(f"warning: {' '.join(note.split())}", error=True)
    if not quiet:
        say(str(outcome.data))
        say("")
        say(str(outcome.errors))
        say("")
        say(_about(outcome))
    say(f"model: {out / 'model.json'}; errors: {out / 'errors.csv'}; settings: {out / 'fit.toml'}")
    say(f"report: {page}")
    return 0


def weights_of(text: str | None) -> dict[str, float]:
    """E=30,F=1,E:liquid=100 as a table. Raises InputError for anything else."""
    found: dict[str, float] = {}
    for key, value in pairs(text, "--weights", "E=30,F=1,E:liquid=100").items():
        try:
            found[key] = float(value)
        except ValueError:
            raise InputError(f"--weights takes numbers, like E=30,F=1,E:liquid=100; got {value!r} for {key!r}") from None
    return found


def prior_of(text: str | None) -> str | float | None:
    """A prior by name, or a number."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def residual_of(text: str | None) -> str | dict[str, str] | None:
    """A residual loss by name, or by kind: F=huber(0.01, absolute=True),E=l1."""
    if text is None or not re.match(r"\s*\w+\s*=", text):
        return text
    found: dict[str, str] = {}
    for part in re.split(r",\s*(?=\w+\s*=(?!\s*(?:True|False)\b))", text):
        kind, _, form = (piece.strip() for piece in part.partition("="))
        _once(kind, found, "--residual")
        found[kind] = form
    return found


def _once(name: str, found: dict[str, str], option: str) -> None:
    """Raises InputError for a name that an option has already."""
    if name in found:
        raise InputError(f"{option} has {name!r} twice; give it once")


def one_body_of(text: str | None) -> str | dict[str, float] | None:
    """A way by name, or energies by element. Raises InputError for energies that are no numbers."""
    if text is None or "=" not in text:
        return text
    found = pairs(text, "--one-body", "In=-0.1,P=-1.8")
    try:
        return {symbol: float(value) for symbol, value in found.items()}
    except ValueError:
        raise InputError(f"--one-body takes a name or energies in eV, like In=-0.1,P=-1.8; got {text!r}") from None


def pairs(text: str | None, option: str, example: str) -> dict[str, str]:
    """a=b,c=d as a table. Raises InputError for anything else."""
    found = {}
    for part in (p for p in (text or "").split(",") if p.strip()):
        key, equal, value = part.rpartition("=")
        if not equal or not key.strip():
            raise InputError(f"{option} takes names and values, like {example}; got {part!r}")
        _once(key.strip(), found, option)
        found[key.strip()] = value.strip()
    return found


def _settings(files: Sequence[Path], options: dict[str, Any]) -> LabelledFit:
    """Settings of a file or of none, with what the command line says."""
    files = [expanded(path) for path in files]
    tomls = [path for path in files if path.suffix.lower() == ".toml"]
    if tomls and len(files) > 1:
        raise InputError(
            f"give data files or one settings file, which names its data; got {tomls[0]} and {len(files) - 1} other files"
        )
    content: dict[str, Any] = load(files[0]).model_dump() if tomls else {"data": tuple(str(path) for path in files)}
    for place, value in options.items():
        if value is None or value == {}:
            continue
        table, _, key = place.rpartition(".")
        if not table:
            joined = isinstance(value, dict) and key not in ("one_body", "residual")
            content[key] = {**content.get(key, LabelledFit.model_fields[key].default), **value} if joined else value
        else:
            content[table] = {**content.get(table, {}), key: value}
    return made(content, str(files[0]) if tomls else "the options")


def _about(outcome: Outcome) -> str:
    """What was fitted, in a line."""
    fit = outcome.fit
    how = fit.model.provenance.get("prior_chosen_by")
    basis = outcome.settings.basis
    return (
        f"{len(fit.coefficients)} functions (order {basis.order}, degree {basis.degree:g}, cutoff {basis.cutoff:g} A) fitted to "
        f"{fit.rows} rows of {fit.observations}; prior {fit.prior}{f' by the {how}' if how else ''}; {outcome.seconds:.0f} s of "
        "processor time"
    )


class _Told:
    """Progress: a line that is written over in a terminal, a line every ten seconds elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._last, self._terminal = quiet, time.monotonic(), sys.stderr.isatty()

    def __enter__(self) -> "_Told":
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and not self._quiet:
            print(end="\r\033[K", file=sys.stderr, flush=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._quiet or now - self._last < (0.2 if self._terminal else 10.0):
            return
        self._last = now
        print(f"{what}: {done} of {total}", end="\r" if self._terminal else "\n", file=sys.stderr, flush=True)
