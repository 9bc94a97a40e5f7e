"""Bad input, said in one sentence: what was expected, what came, and what to do."""

import functools
import inspect
import os
import sys
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

LONGEST = 1000
"""Characters of a message; a longer one, which repeats what a file or a caller gave, loses its middle."""
LONGEST_REASON = 200
"""Characters that the reason of another library may add to a message."""

UNREADABLE = (
    OSError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What parsers raise for content that they cannot use (RecursionError is a RuntimeError, a wrong encoding a ValueError)."""


class InputError(ValueError):
    """The error for input that cannot be used; the message is one sentence with what was expected, what came and what to do.

    It is one line of printable characters, of at most LONGEST of them, however long the input that it repeats.

    Examples
    --------
    >>> import defectgen as dg
    >>> try:
    ...     dg.supercell(dg.fcc("Cu", 3.615), 0)
    ... except dg.InputError as error:
    ...     print(error)
    supercell repeats must be at least 1; got 0
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(message, LONGEST))


class InputWarning(UserWarning):
    """The warning for input that can be used, but that changes the meaning of the result; the message is one sentence.

    Examples
    --------
    >>> import warnings
    >>> import defectgen as dg
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", dg.InputWarning)  # a script that expects a warning switches it off
    ...     crystal = dg.fcc("Cu", 3.615)
    """


def one_line(message: object, longest: int) -> str:
    """The text in one line, without control characters, and without its middle if it is longer than `longest` characters."""
    text = " ".join(str(message)[: 100 * longest].split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= longest else f"{text[: longest // 2 - 3]} ... {text[-(longest - longest // 2 - 2) :]}"


def reason(error: BaseException) -> str:
    """What another library says about its failure, in a few words."""
    if isinstance(error, MemoryError):
        return "it holds more than fits into memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return one_line(said, LONGEST_REASON) or type(error).__name__


@contextmanager
def reading(path: str | Path, what: str, advice: str = "check the file") -> Iterator[None]:
    """Around the parsing of a file: whatever a parser raises becomes one InputError, with the original chained to it.

    `what` names the kind of file with its article ("a model file"). Only parsing belongs into the block, no physics.
    """
    try:
        yield
    except InputError:
        raise
    except UNREADABLE as error:
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{str(path)!r} cannot be read: there is no file of this name; give the path of {what}") from error
        raise InputError(f"{str(path)!r} cannot be read as {what} ({reason(error)}); {advice}") from error


def file_of(path: object, what: str) -> Path:
    """The path of a file that holds `what` ("a model"). Raises InputError for anything but a path."""
    if not isinstance(path, str | Path):
        raise InputError(f"{what} is loaded from the path of its file; got {type(path).__name__}")
    try:
        Path(path).exists()
    except (OSError, ValueError) as error:  # a name that is too long, or a folder that must not be looked into
        raise InputError(f"{str(path)!r} cannot be read ({reason(error)}); give the path of {what}") from None
    return Path(path)


def closest(name: object, known: Iterable[str]) -> str:
    """The known name that is nearly this one, ignoring case; empty if there is none."""
    lower = {k.lower(): k for k in reversed(list(known))}
    text = str(name).strip().lower()[:100]
    if text in lower:
        return lower[text]
    near = get_close_matches(text, lower, 1)
    if not near and len(text) > 2:
        near = [k for k in lower if k.startswith(text) or text.startswith(k)][:1]
    return lower[near[0]] if near else ""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """'; did you mean "vacancy"?' for a name close to a known one, otherwise nothing."""
    near = closest(name, known)
    return f"; did you mean {near!r}?" if near and near != name else ""


def whole(value: Any, what: str, least: int = 0, most: float = np.inf) -> int:
    """The value as a whole number from `least` to `most`; 2.0 and NumPy's numbers are taken, text and truth values are not.

    `what` begins the message, as "the seed". Raises InputError for anything else.
    """
    number = value.item() if isinstance(value, np.generic | np.ndarray) and np.ndim(value) == 0 else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        upper = "" if most == np.inf else f" to {most:g}"
        raise InputError(f"{what} is a whole number from {least}{upper}{'' if upper else ' on'}; got {value!r}")
    return number


def real(value: Any, what: str, low: float = -np.inf, high: float = np.inf, *, above: bool = False, unit: str = "") -> float:
    """The value as a finite number from `low` to `high` (with `above`, greater than `low`); text and truth values are not taken.

    `what` begins the message, as "the cutoff". Raises InputError for anything else, NaN and infinity included.
    """
    number: Any = value.item() if isinstance(value, np.generic | np.ndarray) and np.ndim(value) == 0 else value
    good = isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= sys.float_info.max
    if not (good and (number > low if above else number >= low) and number <= high):
        if low == 0:
            limits = " that is positive" if above else " that is not negative"
        else:
            limits = f" greater than {low:g}" if above else f" of at least {low:g}" if low > -np.inf else ""
        limits += "" if high == np.inf else f"{' and' if limits else ' of'} at most {high:g}"
        raise InputError(f"{what} is a finite number{limits}{f' {unit}' if unit else ''}; got {value!r}")
    return float(number)


P = ParamSpec("P")
R = TypeVar("R")


def takes(**kinds: tuple[Any, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for public functions: the arguments of these names have these types, or an InputError says what was expected.

    `takes(cell=(Cell, "a cell, such as dg.supercell(lattice, 4)"))`; None is taken where it is the default.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:  # a wrong number or name of arguments: Python says it well
                return function(*args, **kwargs)
            for name, (kind, what) in kinds.items():
                if name in given and not isinstance(given[name], kind):
                    if given[name] is None and signature.parameters[name].default is None:
                        continue
                    raise InputError(f"{name} of {function.__name__} is {what}; got {came(given[name])}")
            return function(*args, **kwargs)

        return checked

    return decorated


def came(value: object) -> str:
    """The type of what came, and what to do about things that beginners pass."""
    kind = type(value).__name__
    if hasattr(value, "model") and hasattr(value, "coefficients"):
        return f"{kind}: pass its model, fit.model"
    if callable(value) and hasattr(value, "apply") and hasattr(value, "__name__"):
        return f"the function {value.__name__}: call it, as dg.{value.__name__}()"
    return f"{value!r}" if isinstance(value, str | int | float) else kind


OVERFLOWS = 1e100
"""Beyond this the square of a number, or a sum of such squares, may leave the range of double precision."""


def check_finite(numbers: Any, what: str) -> None:
    """Raises InputError for numbers of which some are NaN, infinite or so large that their squares overflow.

    `what` names them in the plural.
    """
    array = np.asarray(numbers)
    good = np.isfinite(array)
    if not np.all(good):
        raise InputError(f"{what} must be finite; {int(np.sum(~good))} of {array.size} numbers are not")
    if array.size and np.abs(array).max() > OVERFLOWS:
        raise InputError(f"{what} must be below {OVERFLOWS:.0e}, so that squares do not overflow; got {np.abs(array).max():.3g}")


def save_whole(path: Path, content: bytes, what: str) -> Path:
    """Write the content so that a reader finds the old file or the new one: a temporary file, then a move.

    Raises InputError if the file cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
        with open(handle, "wb") as stream:
            stream.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # a temporary file is made for its owner only
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise InputError(f"{what} cannot be written to {str(path)!r} ({reason(error)}); choose another folder") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
    return path
