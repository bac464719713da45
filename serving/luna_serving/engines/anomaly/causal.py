"""Models and scores along a history, without look-ahead: what is known at each step of a range query.

A series' model is learnt at midnight UTC from the seven days before, and used until the next midnight. While a series
is too young for one at midnight, it is learnt at every full hour. The result at a step therefore depends on the
samples up to the step only, and not on where the query starts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.anomaly.memory import NAMES, Known, Memory, know
from luna_serving.engines.anomaly.model import Models, States
from luna_serving.engines.anomaly.panel import Floats, Ints, Series, pack
from luna_serving.engines.anomaly.running import run
from luna_serving.engines.anomaly.season import DAY_MS

HISTORY_MS: Final = 7 * DAY_MS
HOUR_MS: Final = 3_600_000
STATE_PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive steps at which all series keep their models; arrays of shape (series, steps)."""

    steps: slice
    """Of the steps asked for."""
    times: Ints
    """Shape (steps,): ms."""
    models: Models
    last: Ints
    """Time of the last sample up to the step, ms; meaningless where nothing is learnt."""
    scores: Floats
    """Of that sample."""
    means: Floats
    """Predicted for that sample from those before it, in units of the values."""
    deviations: Floats
    """Of that prediction."""
    state: Floats
    """Shape (5, series, steps): level, slope, P11, P12 and P22 after that sample, see `Filtered`."""


def history_start(first_step_ms: int) -> int:
    """The first millisecond whose samples a range query with this first step needs."""
    return first_step_ms - first_step_ms % DAY_MS - HISTORY_MS


def pieces(
    series: Sequence[Series], steps_ms: Ints, check: Callable[[], None], memory: Memory | None = None
) -> Iterator[Piece]:
    """Learns and replays series day by day.

    Args:
        series: samples from `history_start` of the first step on; later ones than the last step are ignored.
        steps_ms: ascending.
        check: called before each expensive part; may raise.
        memory: of what was learnt before; changes no answer.
    """
    days = steps_ms - steps_ms % DAY_MS
    for day in np.unique(days):
        first, last = np.searchsorted(days, [day, day + 1])
        yield from _of_day(series, int(day), steps_ms[first:last], int(first), check, memory)


def _of_day(
    series: Sequence[Series], day: int, steps: Ints, offset: int, check: Callable[[], None], memory: Memory | None
) -> Iterator[Piece]:
    check()
    known = know([_between(one, day - HISTORY_MS, day) for one in series], memory)
    models, states, before = known.models, known.states, known.last
    young = np.flatnonzero(~models.learnt)
    marks = [day] if len(young) == 0 else [*range(day, int(steps[-1]) + 1, HOUR_MS)]
    for mark, following in zip(marks, [*marks[1:], day + DAY_MS], strict=True):
        chosen = np.arange(*np.searchsorted(steps, [mark, following]))
        check()
        if mark > day and len(chosen):
            again = know([_between(series[i], day - HISTORY_MS, mark) for i in young.tolist()], memory)
            models, states, before = _replaced(models, states, before, again, young)
        until = min(following, int(steps[-1]) + 1)
        if until <= mark:
            return
        panel = pack([_between(one, mark, until) for one in series])
        trace = np.empty((len(panel.times) + 1, STATE_PARTS, len(series)))
        filtered = states.filtered
        trace[0] = filtered.level, filtered.slope, filtered.p11, filtered.p12, filtered.p22
        previous = states.time
        scored, states = run(models, states, panel, trace=trace[1:])
        rows = [np.concatenate([b[None], getattr(scored, name)]) for b, name in zip(before, NAMES, strict=True)]
        if len(chosen):
            times = steps[chosen]
            row = _rows(panel.times, panel.counts, times)
            lanes = np.arange(len(series))[:, None]
            stamps = np.concatenate([previous[None], panel.times])
            scores, means, deviations = (matrix[row, lanes] for matrix in rows)
            state = np.moveaxis(trace, 1, 0)[:, row, lanes]
            place = slice(offset + int(chosen[0]), offset + int(chosen[-1]) + 1)
            yield Piece(place, times, models, stamps[row, lanes], scores, means, deviations, state)
        before = [np.where(panel.counts > 0, matrix[-1], b) for matrix, b in zip(rows, before, strict=True)]


def _between(series: Series, first: int, end: int) -> Series:
    """The samples in [first, end)."""
    times, values = series
    low, high = np.searchsorted(times, [first, end])
    return times[low:high], values[low:high]


def _replaced(
    models: Models, states: States, before: list[Floats], again: Known, lanes: Ints
) -> tuple[Models, States, list[Floats]]:
    """Models and states of which some are learnt newly."""
    every = np.arange(len(models.learnt))
    models, states = models.chosen(every), states.chosen(every)
    for name in Models.__slots__:
        getattr(models, name)[lanes] = getattr(again.models, name)
    states.time[lanes] = again.states.time
    for name in states.filtered.__slots__:
        getattr(states.filtered, name)[lanes] = getattr(again.states.filtered, name)
    for name in states.sums.__slots__:
        getattr(states.sums, name)[lanes] = getattr(again.states.sums, name)
    before = [matrix.copy() for matrix in before]
    for matrix, last in zip(before, again.last, strict=True):
        matrix[lanes] = last
    return models, states, before


def _rows(times: Ints, counts: Ints, steps: Ints) -> Ints:
    """For each series and step the row of the last sample up to the step, plus one; 0 where it is an earlier one."""
    rows = len(times)
    result = np.zeros((len(counts), len(steps)), dtype=np.int64)
    for i, count in enumerate(counts):
        if count:
            seen = np.searchsorted(times[rows - count :, i], steps, side="right")
            result[i] = np.where(seen > 0, rows - count + seen, 0)
    return result
