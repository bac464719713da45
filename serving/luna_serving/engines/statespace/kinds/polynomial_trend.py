"""A deterministic polynomial of time, the sum of b_k t^k over some powers k: regressors that the caller need not send.

Time counts the periods from the first one, t = 0, 1, 2, ... Each coefficient is a state of its own that never moves.
States that carry the polynomial along instead (level, slope, ..., with a constant transition) would need no length,
but a smoother loses the digits that they exchange: for t³ all of them after 60 periods.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from luna_serving.engines.statespace.kinds.blocks import Block
from luna_serving.engines.statespace.model.checks import ModelError

# A million periods to this power are 1e30; higher ones are hardly ever meant.
LARGEST_POWER: Final = 5


def polynomial_trend(powers: Sequence[int], differences: int, periods: int) -> tuple[Block, ...]:
    """The trend's block; none where there are no powers.

    Args:
        powers: of t, each once, from 0 to `LARGEST_POWER`.
        differences: how many powers the rest of the model explains already: d + D of an ARIMA model.
        periods: how many the trend covers.
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
    design = np.arange(periods, dtype=np.float64)[:, None] ** np.array(chosen, dtype=np.float64)
    return (Block("/trend", tuple(f"trend.{power}" for power in chosen), np.eye(len(chosen)), design),)


def _power(i: int, value: float) -> int:
    if value != int(value) or not 0 <= value <= LARGEST_POWER:
        raise ModelError(f"/trend/{i}", f"must be a whole number from 0 to {LARGEST_POWER}; got {value:g}")
    return int(value)
