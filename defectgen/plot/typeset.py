"""Numbers in the formats of pages and tables."""

import math
from fractions import Fraction

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
_TIMES_TEN = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}10"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Two digits: 0.023, 310, or 4.1 times a power of ten outside 0.01 to 1000, on one line; a dash for what is no number."""
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if 1e-2 <= abs(value) < 1e3:
        text = f"{value:#.2g}".rstrip(".") if abs(value) < 99.5 else f"{value:.0f}"
        return text.replace("-", MINUS)
    mantissa, exponent = f"{value:.1e}".split("e")
    return mantissa.replace("-", MINUS) + _TIMES_TEN + str(int(exponent)).translate(_RAISED)


def slope(value: float) -> str:
    """A slope as in the table of predicted rates, -4.5 being -9/2, or with two digits after the point."""
    if not math.isfinite(value):
        return NONE
    fraction = Fraction(value).limit_denominator(4)
    text = str(fraction) if abs(float(fraction) - value) < 1e-9 else f"{value:.2f}"
    return text.replace("-", MINUS)


def decimal(value: float) -> str:
    """Two digits after the point."""
    return f"{value:.2f}".replace("-", MINUS) if math.isfinite(value) else NONE


def in_words(value: float, missing: str = "not known") -> str:
    """Two digits after the point, or words for a number that is missing: for sentences, where a dash reads as a mistake."""
    return decimal(value) if math.isfinite(value) else missing


def local_slopes(text: str) -> str:
    """``1.7:-5.6 2.4:-3.5`` (radius:slope) in words: -5.6 at 1.7, -3.5 at 2.4."""
    pairs = [part.rpartition(":") for part in text.split()]
    return ", ".join(value.replace("-", MINUS) + (f" at {radius}" if radius else "") for radius, _, value in pairs)


def duration(seconds: float | None) -> str:
    """``2 h 5 min``, ``3 min 20 s`` or ``12 s``; empty when unknown."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
