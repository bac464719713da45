"""The local level filter as plain arithmetic (Durbin & Koopman 2012, section 2.2), one point after the other."""

import math
from collections.abc import Sequence


def local_level(series: Sequence[float | None], obs_var: float = 1.0, level_var: float = 0.1) -> list[float | None]:
    """The filtered level after each point, from an exact diffuse start; None before the first observation."""
    level, variance = 0.0, math.inf
    filtered: list[float | None] = []
    for y in series:
        if y is not None:
            gain = 1.0 if math.isinf(variance) else variance / (variance + obs_var)
            level += gain * (y - level)
            variance = obs_var if math.isinf(variance) else variance * (1 - gain)
        filtered.append(None if math.isinf(variance) else level)
        variance += level_var
    return filtered
