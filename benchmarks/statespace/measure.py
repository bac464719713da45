"""One cell of the table: everybody checked against Luna, then timed in turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from .timing import timed
from .workload import Contender, Floats, Prepared, Size, Task, WrongAnswerError, check, series

# A slice is as many calls as take this long: one alone, of microseconds, would time the clock.
SLICE_S: Final = 0.01
# Below these a shorter call would show the costs of a call, not of a step.
FEWEST_PERIODS: Final = 8
FEWEST_PERIODS_OF_ONE: Final = 100
# What takes longer than this in one call has one turn a round, not one before every peer.
LONG_S: Final = 0.5
SMALL: Final = Size(5, 120)


@dataclass(frozen=True)
class Timed:
    """One contender in one cell."""

    name: str
    measured: Size
    """The whole cell, or the smaller call measured in its place."""
    seconds: list[float] = field(default_factory=list)
    """Of one call, a round."""

    @property
    def seconds_a_step(self) -> list[float]:
        """One step is one period of one series; one figure a round."""
        return [each / self.measured.steps for each in self.seconds]

    @property
    def steps_per_s(self) -> float:
        """The median over the rounds."""
        return 1 / median(self.seconds_a_step)


@dataclass(frozen=True)
class Cell:
    """All contenders at one task and size."""

    task: Task
    size: Size
    luna: list[Timed]
    peers: list[Timed]


@dataclass(frozen=True)
class _Turn:
    """A contender that is ready."""

    timed: Timed
    prepared: Prepared
    call_s: float

    def take(self) -> None:
        repeats = max(1, math.ceil(SLICE_S / self.call_s))

        def calls() -> None:
            for _ in range(repeats):
                self.prepared.run()

        self.timed.seconds.append(timed(calls) / repeats)


def check_all(luna: Sequence[Contender], peers: Sequence[Contender]) -> None:
    """Compare every series of a small case, at every task, with Luna's first way.

    Raises:
        WrongAnswerError: a contender computes something else.
    """
    for task in Task:
        y = series(task, SMALL)
        reference = _answers(luna[0], task, y)
        for contender in (*luna[1:], *peers):
            if prepared := contender.prepare(task, y):
                _agree(contender.name, task, (prepared, prepared.run()), range(SMALL.series), reference)


def measure(
    task: Task, size: Size, luna: Sequence[Contender], peers: Sequence[Contender], rounds: int, call_s: float
) -> Cell:
    """Check and time one cell; a peer whose whole call takes longer than `call_s` answers a part of it.

    Raises:
        WrongAnswerError: a contender computes something else.
    """
    y = series(task, size)
    reference = _answers(luna[0], task, y)
    turns: list[list[_Turn]] = []
    for group in (luna, peers):
        ready = [_ready(contender, task, y, reference, call_s) for contender in group]
        turns.append([turn for turn in ready if turn is not None])
    del reference
    order = _interleaved(*turns)
    for _ in range(rounds):
        for turn in order:
            turn.take()
    ours, theirs = ([turn.timed for turn in group] for group in turns)
    return Cell(task, size, ours, theirs)


def _answers(contender: Contender, task: Task, y: Floats) -> tuple[Prepared, object]:
    prepared = contender.prepare(task, y)
    if prepared is None:
        raise ValueError(f"{contender.name} must do every task: the others are compared with it")
    return prepared, prepared.run()


def _agree(
    name: str, task: Task, answers: tuple[Prepared, object], places: Sequence[int], reference: tuple[Prepared, object]
) -> None:
    (prepared, found), (expected, all_expected) = answers, reference
    for place in places:
        try:
            check(name, prepared.one(found, place), expected.one(all_expected, place))
        except WrongAnswerError as error:
            raise WrongAnswerError(f"{error} ({task.title}; series {place})") from None


def _ready(
    contender: Contender, task: Task, y: Floats, reference: tuple[Prepared, object], call_s: float
) -> _Turn | None:
    """Find its size, check its first and its last series at that size, which also warms it up, and time a call."""
    whole = Size(*y.shape)
    size = shortened(contender, whole, 0)
    while True:
        prepared = contender.prepare(task, y[: size.series, : size.periods])
        if prepared is None:
            return None
        found = prepared.run()
        seconds = timed(prepared.run)
        larger = shortened(contender, whole, int(size.steps * call_s / seconds))
        # Half of what is wanted is enough: a compiled peer compiles for every size.
        if larger.steps <= 2 * size.steps:
            break
        size = larger
    _agree(contender.name, task, (prepared, found), sorted({0, size.series - 1}), reference)
    return _Turn(Timed(contender.name, size), prepared, seconds)


def shortened(contender: Contender, whole: Size, steps: int) -> Size:
    """About so many steps of a cell, or the fewest that stand for it."""
    if contender.shortens is None or steps >= whole.steps:
        return whole
    if contender.shortens == "periods":
        return Size(whole.series, min(whole.periods, max(FEWEST_PERIODS, steps // whole.series)))
    if steps >= whole.periods:
        return Size(steps // whole.periods, whole.periods)
    return Size(1, min(whole.periods, max(FEWEST_PERIODS_OF_ONE, steps)))


def _interleaved(luna: list[_Turn], peers: list[_Turn]) -> list[_Turn]:
    """Luna's ways in turn between the peers: luna, peer, luna, peer, .. A long call has one turn."""
    order = []
    for place in range(max(len(luna), len(peers))):
        way = luna[place % len(luna)]
        if place < len(luna) or way.call_s <= LONG_S:
            order.append(way)
        order += peers[place : place + 1]
    return order
