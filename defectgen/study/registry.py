"""Which studies there are: those of this package, then those of installed packages, found by their entry points."""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from .._input import InputError
from .interface import Study

GROUP = "defectgen.studies"
"""Entry-point group of studies; the name of an entry is the name of the study."""

BUILT_IN: tuple[str, ...] = (
    "cell_size",
    "fit_accuracy",
    "choices",
    "fits",
    "transfer",
    "bounds",
    "certificates",
    "design",
    "loss",
    "loss_bench",
    "surrogates",
    "dislocations",
    "barriers",
    "boundary",
    "diversity",
    "audit",
)
"""Folders of this package that hold a study each, in the order of the page. A folder that is not there is passed over."""


@cache
def studies() -> dict[str, Study[Any]]:
    """Every study by name.

    Raises
    ------
    InputError
        An installed package registers a study that cannot be imported, is no `Study`, or takes the name of another one.
    """
    found: dict[str, Study[Any]] = {}
    for folder in BUILT_IN:
        module = _built_in(folder)
        for study in () if module is None else module.STUDIES:
            found[study.name] = study()
    for entry in entry_points(group=GROUP):
        study = _installed(entry)
        if study.name in found:
            raise InputError(f"the package of {entry.value!r} registers a study {study.name!r}, but there is one of this name")
        found[study.name] = study
    return found


def _built_in(folder: str) -> Any:
    name = f"{__package__}.{folder}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise


def _installed(entry: Any) -> Study[Any]:  # an entry point, of the class of whatever finds packages here
    try:
        made = entry.load()()
    except Exception as error:
        raise InputError(
            f"the study {entry.name!r} of an installed package ({entry.value}) cannot be loaded "
            f"({type(error).__name__}: {error}); repair or uninstall that package"
        ) from None
    if not isinstance(made, Study):
        raise InputError(f"{entry.value} is registered as the study {entry.name!r}, but it is no subclass of defectgen's Study")
    return made
