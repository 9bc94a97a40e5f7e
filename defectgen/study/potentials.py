"""A potential from one line of text: a saved model, a `.yace` file, a reference with arguments, a potential file, or code."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .._input import InputError, one_line

if TYPE_CHECKING:
    from ..energy import Potential

FILES = {
    ".eam": "EAM",
    ".alloy": "EAM",
    ".fs": "EAM",
    ".setfl": "EAM",
    ".sw": "StillingerWeber",
    ".tersoff": "Tersoff",
}
"""References that read a file of this suffix."""

FORMS = "CleriRosato(Cu, cutoff=4.2), model.json, model.yace, a .eam, .alloy, .fs, .sw or .tersoff file"


def potential_from_spec(text: str, code: bool = False) -> "Potential":
    """The potential that a text names.

    Parameters
    ----------
    text : str
        A reference with arguments, as `CleriRosato(Cu, cutoff=4.2)` or `EAM(file.eam.alloy, interpolation=lammps)`; the path of
        a model (`.json`) or of a potential of ML-PACE (`.yace`); the path of a potential file, which stands for the reference
        that reads it; with `code`, `module:callable`, whose result is an ASE calculator or a potential.
    code : bool
        Whether `module:callable` is allowed. It runs code, so a text that comes from a data file must not be.

    Returns
    -------
    Potential
        A site energy, or `dg.ASEReference` around a calculator.

    Raises
    ------
    InputError
        If the text is none of these, a file cannot be read, or the code cannot be imported, fails or makes something else.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"a potential is {FORMS}; got {text!r}")
    text = text.strip()
    bare = "(" not in text or Path(text).is_file()
    if bare and Path(text).suffix.lower() in (".json", ".yace"):
        from ..ace import load_model

        return load_model(text)
    if bare and Path(text).suffix.lower() in FILES:
        from ..reference import NamedReference

        return NamedReference(FILES[Path(text).suffix.lower()], text).make()
    module, colon, name = text.partition(":")
    if colon and module.replace(".", "").replace("_", "").isalnum() and "(" not in module:
        if not code:
            raise InputError(f"{text!r} names code, which only the command line may do; give {FORMS}")
        return _made(module, name)
    from ..reference import reference_from_name

    return reference_from_name(text)


def _made(module: str, name: str) -> "Potential":
    """What a callable of a module makes, as a potential."""
    from ..bridge import ASEReference
    from ..energy.potential import check_potential

    where = f"{module}:{name}"
    sys.path.insert(0, str(Path.cwd()))
    try:
        make: Any = importlib.import_module(module)
        for part in name.split("."):
            make = getattr(make, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where} cannot be imported ({one_line(error, 200)}); give module:callable") from None
    finally:
        sys.path.pop(0)
    if not callable(make):
        raise InputError(f"{where} is no callable; it makes an ASE calculator or a potential when it is called")
    try:
        made = make()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{where}{'' if inspect.isclass(make) else '()'} failed ({type(error).__name__}: {one_line(error, 200)}); it must "
            "run without arguments"
        ) from error
    if callable(getattr(made, "get_property", None)):
        return ASEReference(made)
    check_potential(made)
    return cast("Potential", made)
