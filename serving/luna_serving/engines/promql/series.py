"""Samples of one series, and the marker that ends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NAME_LABEL: Final = "__name__"

#: The NaN that says "the series ends here" (Prometheus, model/value: StaleNaN).
STALE_BITS: Final = 0x7FF0000000000002
STALE: Final = float(np.array([STALE_BITS], dtype=np.uint64).view(np.float64)[0])


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one series.

    Attributes:
        labels: with `__name__`; no empty values.
        timestamps: milliseconds since 1970, int64 [samples], strictly ascending.
        values: float64 [samples]. `STALE` marks the end of the series.
    """

    labels: Mapping[str, str]
    timestamps: Ints
    values: Floats


def is_stale(values: Floats) -> Bools:
    """Where values are staleness markers. NaN payloads survive as long as no arithmetic touches them."""
    bits: Bools = np.ascontiguousarray(values).view(np.uint64) == np.uint64(STALE_BITS)
    return bits
