"""Numbers as Go prints and reads them."""

import math
import re
from typing import Final

import numpy as np

_FLOAT: Final = re.compile(r"[+-]?(?:inf|infinity|nan|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)", re.IGNORECASE)
#: Powers of ten between which `%g` writes no exponent.
_SMALLEST: Final = -4
_LARGE: Final = 6


def positional(value: float) -> str:
    """The shortest text without an exponent that reads back as the number (`FormatFloat(f, 'f', -1)`)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")


def general(value: float) -> str:
    """The shortest text that reads back as the number, with an exponent where it is large or small (`%g`)."""
    if not math.isfinite(value):
        return positional(value)
    digits, exponent = np.format_float_scientific(value, trim="-", exp_digits=2).split("e")
    short = _SMALLEST <= int(exponent) < _LARGE
    return positional(value) if short else f"{digits}e{exponent}"


def parse_float(text: str) -> float | None:
    """A number as Go's `ParseFloat` reads decimals; none if it is no number."""
    return float(text) if _FLOAT.fullmatch(text) else None
