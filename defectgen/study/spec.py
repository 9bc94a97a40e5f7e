"""The specification of a run: which crystals and defects, what is trained on, what is varied. A study file is this, as TOML."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError, model_serializer, model_validator

from .._input import InputError, did_you_mean, reading
from ..campaign.files import expanded
from .interface import Study
from .listing import embedded, text_of
from .materials import Material, material
from .registry import studies
from .settings import COPIES, Case, Shared, Strict, sentence, short, without_none

DEEPEST = 40
"""Levels of tables and lists in a study file."""
LONGEST = 10_000_000
"""Bytes of the longest study file."""


class RunSpec(Shared):
    """Everything a run depends on: what studies share, and the settings of each study that is requested."""

    @property
    def studies(self) -> list[tuple[Study[Any], Any]]:
        """The studies that are requested, each with its settings, in the order of the registry."""
        return [(study, self.tables[name]) for name, study in studies().items() if name in self.tables]

    def largest_degree(self, case: Case) -> float:
        """The degree that training rows are made for: that of the largest basis of any study, and of richer fits."""
        degrees = [degree for study, asked in self.studies for degree in study.degrees(asked)]
        more = max((study.richer(asked) for study, asked in self.studies), default=0.0)
        return max([case.basis.degree if case.basis is not None else 0.0, *degrees]) + more

    def varied(self, training: dict, fit: dict, basis: dict, where: str) -> "RunSpec":
        """The same run with keys of [training], [fit] and of every basis changed.

        Raises InputError for a key or value that makes no sense, naming `where` it was given.
        """
        content = self.model_dump(mode="json")
        for table, change in (("training", training), ("fit", fit)):
            content[table] |= change
        for case in content["cases"]:
            if case["basis"] is not None:
                case["basis"] |= basis
        try:
            return RunSpec(**content)
        except ValidationError as error:
            raise InputError(f"{where}: {sentence(error)}") from None

    @model_validator(mode="before")
    @classmethod
    def _tables_of_studies(cls, content: Any) -> Any:
        """Move the tables of studies to `tables`, each as the settings of its study."""
        if not isinstance(content, dict):
            return content
        known = studies()
        own = {name: content[name] for name in known if content.get(name) is not None}
        rest = {name: value for name, value in content.items() if name not in known}
        found = {name: _settings_of(name, value) for name, value in {**(content.get("tables") or {}), **own}.items()}
        if any(known[name].fits for name in found):
            found |= {name: study.settings() for name, study in known.items() if study.always and name not in found}
        return {**rest, "tables": found}

    @model_serializer(mode="wrap")
    def _as_file(self, handler) -> dict[str, Any]:
        content = handler(self)
        return {**content, **content.pop("tables")}

    @model_validator(mode="after")
    def _can_be_carried_out(self):
        asked = [study for study, _ in self.studies if not study.always]
        if not asked:
            known = ", ".join(f"[{name}]" for name, study in studies().items() if not study.always)
            raise ValueError(f"a run file needs the table of at least one study: {known}; see defectgen init")
        apart = [study for study in asked if not study.needs_cases]
        if not apart and not self.cases:
            raise ValueError("a study of defects needs at least one defect in a crystal, [[cases]]")
        if apart and (self.cases or len(asked) > len(apart)):
            raise ValueError(
                f"[{apart[0].name}] has structures of its own; give [[cases]] and the studies of defects a run file of their own"
            )
        if len(asked) > 1 and (lonely := [study for study in asked if study.alone]):
            raise ValueError(f"{lonely[0].alone}; give [{lonely[0].name}] a run file of its own")
        if any(study.fits for study in asked) and (bare := [case for case in self.cases if case.basis is None]):
            raise ValueError(
                f"the case {bare[0].material.name} {bare[0].defect} needs a basis to fit; give basis = {{ cutoff = 5.5 }}, or "
                "basis = {}, which follows the reference"
            )
        names = [f"{case.material.name} {case.defect}" for case in self.cases]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"the case {twice[0]} is there twice, and its results would have one name; give each a run file of its own"
            )
        for study, settings in self.studies:
            if fault := study.refuse(self, settings):
                raise ValueError(fault)
        return self


def _settings_of(name: str, value: Any) -> Strict:
    """The settings of one study. Raises InputError, naming the key that is wrong."""
    settings = studies()[name].settings
    if isinstance(value, settings):
        return value
    if not isinstance(value, (dict, list, tuple)):
        keys = ", ".join(list(settings.model_fields)[:3])
        raise InputError(f"{name} is a table, [{name}], with keys such as {keys}; got {value!r}")
    try:
        return settings.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{name}.{sentence(error, model=settings)}") from None


class _WithStudies:
    """The keys of a run file: what all runs have, and the tables of the studies."""

    @property
    def model_fields(self) -> dict[str, Any]:
        return {**{k: v for k, v in RunSpec.model_fields.items() if k != "tables"}, **dict.fromkeys(studies())}


def load(name_or_path: str | Path) -> RunSpec:
    """A study by name, or from a TOML file (materials and files named in it are relative to its folder).

    Raises InputError for an unknown study, a file that is no TOML, and keys or values that make no sense.
    """
    text = str(name_or_path)
    if text in embedded():
        return parse(text_of(text), Path.cwd())
    with reading(text, "a study", "see defectgen init for a template"):
        path = expanded(text)
        if not text.strip() or not path.exists():
            known = embedded()
            raise InputError(
                f"no study called {text!r}: give a TOML file, or one of {', '.join(known)}{did_you_mean(text, known)}"
            )
        if path.is_dir():
            raise InputError(
                f"{path} is a directory, and a study is a TOML file; give {path / 'spec.toml'} for the study of a run"
            )
        if path.stat().st_size > LONGEST:
            raise InputError(
                f"the study file {text!r} has {path.stat().st_size:.2g} bytes, more than any study; give a TOML file"
            )
        try:
            return parse(path.read_text(encoding="utf-8-sig"), path.parent)
        except UnicodeDecodeError as error:
            raise InputError(
                f"the study file {path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
            ) from None


def parse(text: str, folder: Path) -> RunSpec:
    """A study from TOML text. Raises InputError, naming the key that is wrong."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the study is not valid TOML: {error}") from None
    except RecursionError:
        raise InputError("the study is nested too deeply; see defectgen init for a template") from None
    return resolved(content, folder)


def resolved(content: dict[str, Any], folder: Path, code: bool = False) -> RunSpec:
    """A study from the tables of its file; paths are relative to the folder.

    `code` allows potentials that run code, as `module:callable` of a command line does. Raises InputError, naming the key that is
    wrong.
    """
    content.pop("versions", None)  # written back by a run, for people to read
    own = content.pop("materials", {})
    cases = content.get("cases", [])
    if not isinstance(own, dict) or not isinstance(cases, list):
        raise InputError("a study file has tables [materials.NAME] and a list of [[cases]]; see defectgen init")
    _check_depth(content)
    for name, count in (("cases", cases), *((f"[{k}]", v) for k, v in content.items() if isinstance(v, list))):
        if len(count) > COPIES:
            raise InputError(f"{name} of a study has {len(count)} entries; at most {COPIES} are taken")
    try:
        for number, case in enumerate(cases):
            if not isinstance(case, dict):
                raise InputError(f"case {number + 1} of a study is a table [[cases]] with material and defect; got {short(case)}")
            named = case.get("material")
            if isinstance(named, str) and named in own:
                named = _own(named, own[named])
            if named is not None:
                if not isinstance(named, str | dict | Material):
                    raise InputError(f"the material of case {number + 1} is a name or a table; got {short(named)}")
                case["material"] = material(named, folder, code)
        spec = RunSpec(**content)
    except ValidationError as error:
        raise InputError(sentence(error, model=_WithStudies())) from None
    except TypeError as error:
        raise InputError(f"a study file has a name, [[cases]] and the table of a study, such as [cell_size]: {error}") from None
    found = {study.name: study.located(asked, folder, code) for study, asked in spec.studies}
    return spec.model_copy(update={"tables": {**spec.tables, **found}})


def _check_depth(value: Any, depth: int = 0) -> None:
    """Raises InputError for tables and lists within each other that no study has."""
    if depth > DEEPEST:
        raise InputError(f"the study is nested more than {DEEPEST} levels deep; see defectgen init for a template")
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            _check_depth(below, depth + 1)


def _own(name: str, table: Any) -> Material:
    """The material of a table [materials.NAME]. Raises InputError, naming the key that is wrong."""
    if not isinstance(table, dict):
        raise InputError(f"materials.{name} is a table; got {short(table)}")
    try:
        return Material(**{"name": name, **table})
    except ValidationError as error:
        raise InputError(f"materials.{name}.{sentence(error, model=Material)}") from None


def dump(spec: RunSpec) -> str:
    """The resolved specification as TOML; `load` of it gives the same specification."""
    return tomli_w.dumps(without_none(spec.model_dump(mode="json")))
