"""Every key of a run file with its type, default and meaning, read from the settings; a run file with all of them as comments."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .listing import text_of
from .materials import Material
from .registry import studies
from .spec import RunSpec

HEADING = re.compile(r"^\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(#.*)?$")
OWN = {"digest", "files", "tables"}
"""Fields that the program fills in, and that no file has."""
ROOM = 28
"""Characters of a key with its value; the meaning begins there."""


@dataclass(frozen=True)
class Key:
    """One key of a run file."""

    table: str
    """Such as "training" or "fits.beyond"; empty for keys at the top of the file."""
    name: str
    kind: str
    """Its type in words."""
    default: str | None
    """As a run file has it; None if the key must be given, empty if there is no value by default."""
    meaning: str
    inner: bool = False
    """Whether it is a table with keys of its own."""


def run_file_keys() -> Iterator[Key]:
    """All keys: those at the top, of the shared tables, of materials, and of every study that is installed.

    Yields
    ------
    Key
        Table by table.
    """
    yield from _keys(RunSpec, "")
    yield from _keys(Material, "materials.NAME")
    for name, study in studies().items():
        yield from _keys(study.settings, name)


def template(name: str) -> str:
    """An embedded study with all other keys as comments, as a start for a run file of your own.

    Parameters
    ----------
    name : str
        Of the study (see ``defectgen list``).

    Returns
    -------
    str
        A run file.

    Raises
    ------
    InputError
        For an unknown name.
    """
    return commented(text_of(name))


def commented(text: str) -> str:
    """A run file in which each table ends with its other keys, as comments with their defaults.

    Parameters
    ----------
    text : str
        The run file.

    Returns
    -------
    str
        It means the same.
    """
    content = tomllib.loads(text)
    blocks = _blocks(text)
    named = {path for path, _ in blocks}
    found = []
    for path, lines in blocks:
        model = _model(path)
        more = [] if model is None else _others(model, _at(content, path), named, path)
        kept = len(lines) - next((k for k, line in enumerate(reversed(lines)) if line.strip() and line[0] != "#"), len(lines))
        found += [*lines[:kept], *more, *lines[kept:]]
    absent = [path for path in (("training",), ("fit",)) if path not in named]
    for path in absent:
        found += ["", f"# [{path[0]}]", *_others(_model(path), {}, named, path)]
    return "\n".join(found).rstrip("\n") + "\n"


def _blocks(text: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """The tables of a file in their order: path, and lines with the heading; the first has no heading."""
    blocks: list[tuple[tuple[str, ...], list[str]]] = [((), [])]
    for line in text.splitlines():
        if heading := HEADING.match(line):
            path = tuple(part.strip(' "') for part in heading[1].split("."))
            blocks.append((path, [line]))
        else:
            blocks[-1][1].append(line)
    return blocks


def _at(content: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    """The table of a path; of several tables of one name what all of them have."""
    for part in path:
        content = content[part]
        if isinstance(content, list):
            content = {key: content[0][key] for key in content[0] if all(key in each for each in content)}
    return content


def _model(path: tuple[str, ...]) -> type[BaseModel] | None:
    """The settings behind the table of a path."""
    if not path:
        return RunSpec
    head, *rest = path
    if head == "materials":
        return Material
    if head in RunSpec.model_fields:
        model = _inner(RunSpec.model_fields[head])
    else:
        model = studies()[head].settings if head in studies() else None
    while rest and model is not None:
        field = model.model_fields.get(rest.pop(0))
        if field is not None and _origin(field) is dict and rest:
            rest.pop(0)  # the name of the entry
        model = None if field is None else _inner(field)
    return model


def _others(
    model: type[BaseModel] | None, given: Mapping[str, Any], named: set[tuple[str, ...]], path: tuple[str, ...]
) -> list[str]:
    """Comments for the keys that a table does not have."""
    lines: list[str] = []
    if model is None:
        return lines
    for key in _own(model, ".".join(path)):
        inside = given.get(key.name)
        if key.inner and isinstance(inside, Mapping) and (*path, key.name) not in named:
            field = _inner(model.model_fields[key.name])
            rest = [k for k in _own(field, "") if k.name not in inside and k.default] if field is not None else []
            if rest and _origin(model.model_fields[key.name]) is not dict:
                lines.append(f"# {key.name} also has: {', '.join(f'{k.name} = {k.default}' for k in rest)}")
        elif key.name not in given and not key.inner and not (path[:1] == ("materials",) and key.name == "name"):
            shown = f"# {key.name} = {key.default or '...'}"
            meaning = key.meaning + ("" if key.default else " (none by default)")
            lines.append(f"{shown:<{ROOM}}  # {meaning.strip()}" if meaning.strip() else shown)
    return lines


def _own(model: type[BaseModel], table: str) -> list[Key]:
    """The keys of one table."""
    found = []
    for name, field in model.model_fields.items():
        if name not in OWN:
            below = _inner(field)
            meaning = field.description or (below.__doc__ if below is not None else "") or ""
            found.append(
                Key(table, name, _words(field.annotation), _default(field), " ".join(meaning.split()), below is not None)
            )
    return found


def _keys(model: type[BaseModel], table: str) -> Iterator[Key]:
    """The keys of one table, then those of the tables in it."""
    yield from (own := _own(model, table))
    for key in own:
        field = model.model_fields[key.name]
        below = _inner(field)
        if below not in (None, Material) and table.count(".") < 3:  # settings may hold settings of their own kind
            entry = ".NAME" if _origin(field) is dict else ""
            yield from _keys(below, f"{table}.{key.name}{entry}".lstrip("."))


def _origin(field: FieldInfo) -> Any:
    return get_origin(field.annotation)


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    """The settings that a field holds, alone, in a list or by name."""

    def search(kind: Any) -> type[BaseModel] | None:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        return next((found for each in get_args(kind) if (found := search(each)) is not None), None)

    return search(field.annotation)


def _default(field: FieldInfo) -> str | None:
    """As a run file has it."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or isinstance(value, BaseModel):
        return ""
    return as_toml(value)


def as_toml(value: Any) -> str:
    """A value in one line of a run file: tables in braces, lists in brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {as_toml(each)}' for name, each in value.items())} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(as_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


_WORDS: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text", Any: "any value"}


def _words(kind: Any) -> str:
    """A type in words: "whole number", "list of text", "table"."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(inside[0])
    if origin is Literal:
        return " or ".join(f'"{each}"' for each in inside)
    if origin in (Union, UnionType):
        words = list(dict.fromkeys(_words(each) for each in inside if each is not NoneType))
        return " or ".join(words)
    if origin in (tuple, list):
        within = [each for each in inside if each is not Ellipsis]
        return f"list of {_words(within[0])}" if within else "list"
    if origin is dict:
        return f"table of {_words(inside[1])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "table"
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
