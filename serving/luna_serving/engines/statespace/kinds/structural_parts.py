"""The components of a structural model, one block of states each.

Matrices and their order are those of statsmodels' `UnobservedComponents`; the equations are Durbin & Koopman's (2012,
section 3.2). A component without "var" is fixed: it has no shock at all. With a variance of zero it has one that
never strikes, so that a variance can be estimated without the model changing its shape.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from flint import arb
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.arma_moments import lagged_covariance
from luna_serving.engines.statespace.kinds.blocks import Block
from luna_serving.engines.statespace.kinds.fields import optional_variance, refuse_more_states
from luna_serving.engines.statespace.kinds.lag_polynomials import LARGEST_ROOT, require_stationary
from luna_serving.engines.statespace.model.checks import ModelError, magnitude, variance
from luna_serving.engines.statespace.model.initial import Diffuse, Known

Floats = NDArray[np.float64]
Words = Mapping[str, Any]
# The parts of a wave's cosines and sines: 159 bits.
PARTS: Final = 3
# Numbers: 32 MB. A duration needs no rows in the request, which would bound it otherwise.
LARGEST_TRANSITIONS: Final = 4_000_000
TOO_LONG: Final = "a long season is better described by a few harmonics: freq_seasonal"


def level_and_trend(level: Words | None, trend: Words | None) -> Block:
    """A level, and a slope that is added to it (eq. 3.2). A trend needs a level."""
    if level is None:
        raise ModelError("/level", 'is needed by "trend": give {} for a level with no shocks of its own')
    n = 1 if trend is None else 2
    walks = [optional_variance("/level/var", level.get("var"))]
    if trend is not None:
        walks.append(optional_variance("/trend/var", trend.get("var")))
    transition = np.array([[1.0, 1.0], [0.0, 1.0]])[:n, :n]
    shocked = tuple(i for i, var in enumerate(walks) if var is not None)
    return Block("/level", ("level", "trend")[:n], transition, np.eye(1, n)[0], shocked, _given(walks))


def seasonal(words: Words, periods: int) -> Block:
    """Dummy seasonal: the effects of one period sum to the shock (eq. 3.3). `period` - 1 states.

    With a `duration` d each of the `period` seasons lasts d steps of the series, and the states move, and are shocked,
    only where one season ends: a day-of-week season of hourly data has a period of 7 and a duration of 24. That varies
    in time, for `periods` of the series; the first season begins with it.
    """
    period = _count("/seasonal/period", words["period"], 2)
    n = period - 1
    refuse_more_states("/seasonal/period", n, TOO_LONG)
    transition = np.eye(n, k=-1)
    transition[0] = -1.0
    var = optional_variance("/seasonal/var", words.get("var"))
    names = ("seasonal", *(f"seasonal.L{i}" for i in range(1, n)))
    duration = 1 if words.get("duration") is None else _count("/seasonal/duration", words["duration"], 1)
    if duration == 1:
        return Block("/seasonal/period", names, transition, np.eye(1, n)[0], *_first(var))
    refuse_more_periods(periods, n)
    ends = (np.arange(periods) + 1) % duration == 0
    moving = np.where(ends[:, None, None], transition, np.eye(n))
    return Block("/seasonal/period", names, moving, np.eye(1, n)[0], *_first(var), strikes=ends)


def refuse_more_periods(periods: int, states: int) -> None:
    """Refuse a seasonal with a duration whose transitions would not fit into memory.

    Raises:
        ModelError: they would not.
    """
    most = LARGEST_TRANSITIONS // states**2
    if periods > most:
        raise ModelError(
            "/seasonal/duration", f"covers {periods} periods of {states} states; at most {most} fit: split the series"
        )


def freq_seasonal(number: int, words: Words) -> Block:
    """Trigonometric seasonal, two states a harmonic that share a variance (eq. 3.7, 3.8).

    `harmonics` is at most `period` / 2, and that where it is not given. A harmonic of exactly half the period has one
    state: its second one moves nothing that is observed. statsmodels keeps it, and so never leaves the diffuse phase.
    """
    at = f"/freq_seasonal/{number}"
    period = magnitude(f"{at}/period", words["period"])
    if period < 2:
        raise ModelError(f"{at}/period", "must be at least 2 steps of the series")
    most = int(period // 2)
    harmonics = most if words.get("harmonics") is None else _count(f"{at}/harmonics", words["harmonics"], 1)
    if harmonics > most:
        raise ModelError(f"{at}/harmonics", f"must be at most {most}, half the period; got {harmonics}")
    n = 2 * harmonics - (2 * harmonics == period)
    refuse_more_states(f"{at}/harmonics", n, "use fewer harmonics")
    parts = np.zeros((PARTS, n, n))
    for j in range(harmonics):
        pair = slice(2 * j, min(2 * j + 2, n))
        size = pair.stop - pair.start
        parts[:, pair, pair] = _rotation(j + 1, period)[:, :size, :size]
    transition, *rest = parts
    var = optional_variance(f"{at}/var", words.get("var"))
    names = tuple(f"freq_seasonal.{number}.{i}" for i in range(n))
    return Block(
        f"{at}/harmonics",
        names,
        transition,
        np.tile([1.0, 0.0], harmonics)[:n],
        () if var is None else tuple(range(n)),
        () if var is None else (var,) * n,
        rest=tuple(rest),
    )


def cycle(words: Words) -> Block:
    """A cycle of `period` steps (section 3.2.4): a rotation times `damping`; below 1 it is stationary."""
    period = magnitude("/cycle/period", words["period"])
    if period < 2:
        raise ModelError("/cycle/period", "must be at least 2 steps of the series: nothing faster can be seen")
    damping = 1.0 if words.get("damping") is None else magnitude("/cycle/damping", words["damping"])
    if not 0 < damping <= 1:
        raise ModelError("/cycle/damping", f"must lie above 0 and at most 1 (undamped); got {damping:g}")
    if LARGEST_ROOT <= damping < 1:
        raise ModelError(
            "/cycle/damping", f"is too near to 1 for a stationary start; got {damping:.15g}: use 1, an undamped cycle"
        )
    transition, *rest = _rotation(1, period, damping)
    var = optional_variance("/cycle/var", words.get("var"))
    # A rotation keeps lengths: P = damping² P + var.
    start = (
        Diffuse() if damping == 1 else Known(np.zeros(2), (var or 0.0) / ((1 - damping) * (1 + damping)) * np.eye(2))
    )
    return Block(
        "/cycle/damping",
        ("cycle", "cycle.auxilliary"),
        transition,
        np.array([1.0, 0.0]),
        () if var is None else (0, 1),
        () if var is None else (var, var),
        start,
        scale="/cycle/var",
        rest=tuple(rest),
    )


def autoregression(words: Words, *, starts_stationary: bool) -> Block:
    """A stationary autoregression, next to the other components. State: its last values."""
    coefficients = _list("/ar/coefficients", words["coefficients"])
    n = len(coefficients)
    refuse_more_states("/ar/coefficients", n, "use fewer lags")
    start: Diffuse | Known = Diffuse()
    var = variance("/ar/var", words["var"])
    if starts_stationary:
        require_stationary("/ar/coefficients", coefficients)
        start = Known(np.zeros(n), var * lagged_covariance(coefficients.tolist()))
    transition = np.eye(n, k=-1)
    transition[0] = coefficients
    names = tuple(f"ar.L{i + 1}" for i in range(n))
    return Block("/ar/coefficients", names, transition, np.eye(1, n)[0], *_first(var), start, scale="/ar/var")


def _rotation(turns: int, period: float, damping: float = 1.0) -> Floats:
    """A rotation by `turns` turns in `period` steps, times `damping`, as parts that add up to it [PARTS, 2, 2].

    Slow waves differ in the 16th digit of their cosines and beyond: what is lost there cannot be recovered.
    """
    angle = 2 * arb(turns) / arb(period)
    left = [damping * angle.cos_pi(), damping * angle.sin_pi()]
    parts = np.empty((PARTS, 2, 2))
    for part in parts:
        cos, sin = (float(each) for each in left)
        part[:] = [[cos, sin], [-sin, cos]]
        left = [(each - value).mid() for each, value in zip(left, (cos, sin), strict=True)]
    return parts


def _given(walks: list[float | None]) -> tuple[float, ...]:
    return tuple(var for var in walks if var is not None)


def _first(var: float | None) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Shocks of a block whose first state alone is moved."""
    return ((), ()) if var is None else ((0,), (var,))


def _count(pointer: str, value: float, least: int) -> int:
    if value != int(value) or value < least:
        raise ModelError(pointer, f"must be a whole number of at least {least}; got {value:g}")
    return int(value)


def _list(pointer: str, values: Any) -> Floats:  # noqa: ANN401  JSON
    coefficients = np.array([magnitude(f"{pointer}/{i}", each) for i, each in enumerate(values)])
    if len(coefficients) == 0:
        raise ModelError(pointer, "must hold at least one coefficient")
    return coefficients
