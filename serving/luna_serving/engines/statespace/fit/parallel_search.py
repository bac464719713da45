"""Run many searches side by side: each round evaluates every point that one of them waits for."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from luna_serving.engines.statespace.fit.layout import TimeIsUp
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation, Floats, Outcome, Point, Search

# What a deadline loses at most of a round: a few engine calls' worth.
POINTS_AT_A_TIME: Final = 64

Points = Sequence[tuple[int, Floats]]


Evaluate = Callable[[Points], Sequence[Evaluation]]
"""The function: (search's number, x) of each point to what it is worth, in order; raises TimeIsUp."""


@dataclass(slots=True, eq=False)
class Trace:
    """A search so far."""

    outcome: Outcome | None = None
    """None: it was cut short, or never began."""
    best: Evaluation | None = None
    evaluations: int = 0
    waiting: Point | None = field(default=None, repr=False)
    """None: ended, or not begun."""
    iterations: int = 0


@dataclass(frozen=True, slots=True)
class Elimination:
    """After `rounds` rounds, only the searches whose numbers `keep` returns go on."""

    rounds: int
    keep: Callable[[Sequence[Trace]], Collection[int]]


def run_in_parallel(
    searches: Sequence[Search], evaluate: Evaluate, elimination: Elimination | None = None
) -> list[Trace]:
    """Advance all searches until each has ended or time is out; those that were cut short hold their best."""
    traces = [Trace() for _ in searches]
    for trace, search in zip(traces, searches, strict=True):
        trace.waiting = next(search)
    for turn in count():
        if elimination is not None and turn == elimination.rounds:
            kept = elimination.keep(traces)
            for number, trace in enumerate(traces):
                trace.waiting = trace.waiting if number in kept else None
        waiting = [(i, trace.waiting.x) for i, trace in enumerate(traces) if trace.waiting is not None]
        if not waiting:
            break
        for some in _slices(waiting):
            try:
                answers = evaluate(some)
            except TimeIsUp:
                return traces
            for (i, _), there in zip(some, answers, strict=True):
                _advance(traces[i], searches[i], there)
    return traces


def _advance(trace: Trace, search: Search, there: Evaluation) -> None:
    trace.evaluations += 1
    if there.defined and (trace.best is None or there.value < trace.best.value):
        trace.best = there
    try:
        trace.waiting = search.send(there)
        trace.iterations = trace.waiting.iteration
    except StopIteration as ended:
        trace.outcome, trace.waiting = ended.value, None
        trace.iterations = ended.value.iterations
        if trace.outcome.best.defined:
            trace.best = trace.outcome.best


def _slices(points: Points) -> Iterator[Points]:
    for first in range(0, len(points), POINTS_AT_A_TIME):
        yield points[first : first + POINTS_AT_A_TIME]
