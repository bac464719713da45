"""The objective where float64 loses the digits of a series' first rows: those in multi-precision, the rest as usual.

The derivative of the head is a central difference, which multi-precision makes as exact as the matrices are; where
the head ends, the moments and their derivatives are the start of the lanes (`lanes.py`) of the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.layout import Lane, Tangent, TimeIsUp, difference, lane
from luna_serving.engines.statespace.fit.slopes import STEP
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.model.observations import collapsed_rows_of
from luna_serving.engines.statespace.process.deadline import Clock, OutOfTime
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.running.prepared import prepare

if TYPE_CHECKING:
    from luna_serving.engines.statespace.multiprecision.filter import Filtered

Floats = NDArray[np.float64]

# Periods between two looks whether float64 can go on; fewer left than the second are not worth lanes of their own.
LOOK_EVERY: Final = 8
WORTH: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A series up to where float64 can go on."""

    loglike: float
    periods: int
    met: int
    """Observations that resolved a diffuse direction."""
    mean: Floats
    cov: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Headed:
    """A point: its head, the head's derivatives by the coordinates, and lanes for the rest."""

    head: Head
    slopes: Floats
    lanes: list[tuple[Lane, Tangent | None]]
    """As many as coordinates, at least one; none if the head is the whole series."""


def headed(
    model: Callable[[Floats], Model], x: Floats, y: Floats, out_of_time: Clock, *, slopes: bool = True
) -> Headed:
    """Run the heads of a series y [T, m] at coordinates x, and near them for the derivatives.

    Args:
        model: the model at coordinates; raises ModelError where there is none.
        x: where to evaluate.
        y: the series.
        out_of_time: looked at before each row.
        slopes: whether derivatives are wanted.

    Raises:
        ModelError: no model has these parameters.
        TimeIsUp: before all were run.
    """
    own = model(x)
    head = _head(own, y, None, out_of_time)
    rest = len(y) - head.periods
    here = _lane(own, y, head) if rest else None
    found: list[tuple[Lane, Tangent | None]] = []
    slope = np.zeros(len(x))
    for i in range(len(x)) if slopes else ():
        step = np.zeros_like(x)
        step[i] = STEP * max(1.0, abs(x[i]))
        sides = [model(x + step), model(x - step)]
        heads = [_head(each, y, head.periods, out_of_time) for each in sides]
        slope[i] = (heads[0].loglike - heads[1].loglike) / (2 * step[i])
        if here is not None:
            plus, minus = (_lane(each, y, end) for each, end in zip(sides, heads, strict=True))
            found.append((here, difference(plus, minus, 2 * step[i])))
    if here is not None and not found:
        found = [(here, None)]
    return Headed(head, slope, found)


def _head(model: Model, y: Floats, periods: int | None, out_of_time: Clock) -> Head:
    """Filter that many periods, or until float64 can go on."""
    # Imported here: a process that needs no multi-precision need not load it.
    from luna_serving.engines.statespace.multiprecision.arithmetic import ZERO, nearest
    from luna_serving.engines.statespace.multiprecision.cancellation import is_sound
    from luna_serving.engines.statespace.multiprecision.filter import advance, begin
    from luna_serving.engines.statespace.multiprecision.system import ExactSystem

    rows = collapsed_rows_of(model, y, 0)
    system = ExactSystem(model, rows, 0)
    k = system.per_period
    filtered = begin(system, None, len(rows.y), 1, outputs=False)

    def enough(standing: "Filtered") -> bool:
        done = len(standing.rows)
        if periods is not None:
            return done == periods * k
        look = done and done % (k * LOOK_EVERY) == 0 and len(rows.y) - done >= WORTH * k
        return bool(look) and is_sound(standing.cov, standing.factor)

    try:
        advance(system, rows.y[:, None], filtered, out_of_time, enough)
    except OutOfTime as cause:
        raise TimeIsUp from cause
    done = len(filtered.rows) // k
    loglike = float(sum((row.loglike() for row in filtered.rows), start=ZERO))
    if rows.loglike is not None:
        loglike += float(rows.loglike[:done].sum())
    met = sum(row.met for row in filtered.rows)
    return Head(loglike, done, met, nearest(filtered.mean)[:, 0], nearest(filtered.cov))


def _lane(model: Model, y: Floats, head: Head) -> Lane:
    """The rest of a series, from where the head ends."""
    whole = lane(model, y)
    prepared = prepare(model)
    n = prepared.states
    inner = prepared.inward(
        Saved(head.mean, head.cov, np.zeros_like(head.cov), 0, head.periods, 0),
    )
    flat = whole.flat.copy()
    start = np.concatenate([inner.mean, inner.cov.ravel(), np.zeros(n * n)])
    flat[: len(start)] = start
    per_period = len(whole.table) // len(y)
    return replace(whole, rank=0, flat=flat, table=whole.table[head.periods * per_period :])
