"""Which sources of data sets there are: those of this package, then those of installed packages, found by their entry points."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from ..._input import InputError
from ..settings import sentence
from .crystals import Crystals
from .file import File
from .molecules import Molecules
from .source import Source

GROUP = "defectgen.sources"
"""Entry-point group of sources; the name of an entry is the name of the source."""


@cache
def sources() -> dict[str, type[Source]]:
    """Every source by name: those of this package, then those of installed packages.

    Raises
    ------
    InputError
        An installed package registers a source that cannot be imported, is no `Source`, or takes the name of another one.
    """
    found: dict[str, type[Source]] = {source.name: source for source in (Molecules, Crystals, File)}
    for entry in entry_points(group=GROUP):
        source = _installed(entry)
        if source.name in found:
            raise InputError(f"the package of {entry.value!r} registers a source {source.name!r}, but there is one of this name")
        found[source.name] = source
    return found


def _installed(entry: Any) -> type[Source]:  # an entry point, of the class of whatever finds packages here
    try:
        source = entry.load()
    except Exception as error:
        raise InputError(
            f"the source {entry.name!r} of an installed package ({entry.value}) cannot be loaded "
            f"({type(error).__name__}: {error}); repair or uninstall that package"
        ) from None
    if not (isinstance(source, type) and issubclass(source, Source)):
        raise InputError(f"{entry.value} is registered as the source {entry.name!r}, but it is no subclass of defectgen's Source")
    return source


def find(name: str, settings: dict[str, Any]) -> Source:
    """The source of a data set.

    Raises
    ------
    InputError
        There is no source of this name, a setting makes no sense, or the source cannot be used.
    """
    known = sources()
    if name not in known:
        raise InputError(f"the sources of a study of diversity are {', '.join(known)}; got {name!r}")
    try:
        source = known[name].model_validate(settings)
    except ValidationError as error:
        raise InputError(f"diversity.settings.{sentence(error)}") from None
    source.check()
    return source
