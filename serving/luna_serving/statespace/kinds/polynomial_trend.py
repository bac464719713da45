"""A deterministic polynomial of time, sum of b_k t^k over some powers k, as states whose transition is constant.

The states are its coefficients around the period that is at hand: p(t + h) = trend.0 + trend.1 h + trend.2 h² + ...
One step moves them by Pascal's triangle, so no number grows with the length of the series, and a forecast needs no
more rows. In the first period, t = 0, they are the coefficients b_k themselves.
"""

from collections.abc import Sequence
from math import comb
from typing import Final

import numpy as np

from luna_serving.statespace.checks import ModelError
from luna_serving.statespace.initial import Blocks, Diffuse, Known
from luna_serving.statespace.kinds.blocks import Block

# Monthly data of a lifetime to this power fill float64.
LARGEST_POWER: Final = 5


def polynomial_trend(powers: Sequence[int], differences: int) -> tuple[Block, ...]:
    """The trend's block; none where there are no powers.

    Args:
        powers: of t, each once, from 0 to `LARGEST_POWER`.
        differences: how many powers the rest of the model explains already: d + D of an ARIMA model.
    """
    chosen = [_power(i, power) for i, power in enumerate(powers)]
    for i, power in enumerate(chosen):
        if power in chosen[:i]:
            raise ModelError(f"/trend/{i}", f"repeats the power {power}")
        if power < differences:
            raise ModelError(
                f"/trend/{i}",
                f"must be at least {differences}: the differences already allow any polynomial of a lower power",
            )
    if not chosen:
        return ()
    n = max(chosen) + 1
    transition = np.array([[comb(k, i) for k in range(n)] for i in range(n)], dtype=np.float64)
    absent = [power for power in range(n) if power not in chosen]
    # A power that was not chosen has a coefficient of zero, in the first period.
    zero = Known(np.zeros(len(absent)), np.zeros((len(absent), len(absent))))
    start = Blocks(((sorted(chosen), Diffuse()), (absent, zero))) if absent else Diffuse()
    return (Block("/trend", tuple(f"trend.{i}" for i in range(n)), transition, np.eye(1, n)[0], start=start),)


def _power(i: int, value: float) -> int:
    if value != int(value) or not 0 <= value <= LARGEST_POWER:
        raise ModelError(f"/trend/{i}", f"must be a whole number from 0 to {LARGEST_POWER}; got {value:g}")
    return int(value)
