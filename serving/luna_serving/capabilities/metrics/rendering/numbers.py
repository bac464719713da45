"""Numbers and times as Prometheus' JSON has them (util/jsonutil in its sources)."""

import math
from decimal import Decimal
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

# Between these orjson writes no exponent, and neither does Prometheus.
_PLAIN_FROM: Final = 1e-5
_PLAIN_BELOW: Final = 1e16
# Outside these Prometheus writes an exponent.
_EXPONENT_BELOW: Final = 1e-6
_EXPONENT_FROM: Final = 1e21


def float_text(value: float) -> str:
    """The shortest text that reads back as the number; with an exponent below 1e-6 and from 1e21 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    size = abs(value)
    if size and not _EXPONENT_BELOW <= size < _EXPONENT_FROM:
        mantissa, _, exponent = repr(value).partition("e")
        # Python writes 1e-07 and 1e+21, as Go does.
        return f"{mantissa}e{exponent}"
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text.removesuffix(".0")


def float_texts(values: NDArray[np.float64]) -> list[bytes]:
    """`float_text` of each value."""
    if not len(values):
        return []
    size = np.abs(values)
    plain = ((size >= _PLAIN_FROM) & (size < _PLAIN_BELOW)) | (size == 0)
    # orjson writes the shortest digits, in C. Only whole numbers end in ".0".
    listed = orjson.dumps(np.where(plain, values, 0.0), option=orjson.OPT_SERIALIZE_NUMPY)
    texts = (listed[1:-1] + b",").replace(b".0,", b",").split(b",")
    texts.pop()
    for place in np.flatnonzero(~plain).tolist():
        texts[place] = float_text(float(values[place])).encode()
    return texts


def time_text(milliseconds: int) -> str:
    """Milliseconds since 1970 as seconds: 1, 1.050, -0.500."""
    sign = "-" if milliseconds < 0 else ""
    seconds, rest = divmod(abs(milliseconds), 1_000)
    return f"{sign}{seconds}.{rest:03}" if rest else f"{sign}{seconds}"
