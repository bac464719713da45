"""Computes indicators over whole histories. Blocks; safe to call from several threads."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from luna_serving.engines.indicators.bars import Bars, Column
from luna_serving.engines.indicators.catalogue.entry import Indicator
from luna_serving.engines.indicators.formula import BatchFormula, Params
from luna_serving.engines.indicators.gaps import Gaps, Part, histories

TASKS_PER_JOB: Final = 64
Answer = Mapping[str, Column]
"""Outputs by their names, each [T], NaN where there is no value."""


class InputMissing(ValueError):
    """Bars without a column that the indicator needs, or no benchmark: `name` is the column or "benchmark"."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One indicator over one history; fields as the arguments of `compute`."""

    indicator: Indicator
    params: Params
    bars: Bars
    gaps: Gaps = Gaps.SKIP
    anchor: np.datetime64 | None = None
    benchmark: Bars | None = None


def compute(
    indicator: Indicator,
    params: Params,
    bars: Bars,
    *,
    gaps: Gaps = Gaps.SKIP,
    anchor: np.datetime64 | None = None,
    benchmark: Bars | None = None,
) -> Answer:
    """The indicator's outputs over all bars, each [T], NaN where there is no value; never an infinity.

    `params` are what `checked` returned. `anchor` is the time from which a cumulative indicator counts, None the first
    bar; other indicators ignore it. The benchmark's bars are taken at the instrument's timestamps; where it has none,
    the bar is a gap.

    Raises:
        InputMissing: the bars lack a column that the indicator needs, or it needs a benchmark.
    """
    return _alone(Task(indicator, params, bars, gaps, anchor, benchmark))


def columns(
    indicator: Indicator,
    params: Params,
    bars: Bars,
    *,
    gaps: Gaps = Gaps.SKIP,
    anchor: np.datetime64 | None = None,
    benchmark: Bars | None = None,
) -> Sequence[Column]:
    """As `compute`, in the order of the outputs; a formula that divides by zero may leave infinities.

    For callers that take all that is not finite for null: a third less work for a short history.

    Raises:
        InputMissing: as `compute`.
    """
    whole = len(bars) and not bars.gaps and not indicator.needs_benchmark
    if whole and (anchor is None or not indicator.takes_anchor):
        return indicator.formula([np.ascontiguousarray(each) for each in _columns(indicator, bars)], params)
    answer = compute(indicator, params, bars, gaps=gaps, anchor=anchor, benchmark=benchmark)
    return [answer[name] for name in indicator.outputs]


def compute_many(tasks: Sequence[Task], pool: Executor | None = None) -> list[Answer]:
    """Answers of many tasks, in their order: what `compute` answers to each.

    TA-Lib gives up the interpreter's lock, so threads of `pool` compute side by side; None is the caller's thread.
    Kalman filters of one kind run as one batch.

    Raises:
        InputMissing: as `compute`, if it holds for any task.
    """
    answers: dict[int, Answer] = {}
    batches: dict[BatchFormula, list[int]] = {}
    alone = []
    for place, task in enumerate(tasks):
        if task.indicator.batch is None:
            alone.append(place)
        else:
            batches.setdefault(task.indicator.batch, []).append(place)
    own = [tasks[place] for place in alone]
    # A job of one task would cost more than the task.
    jobs = [own[start : start + TASKS_PER_JOB] for start in range(0, len(own), TASKS_PER_JOB)]
    computed = map(_each, jobs) if pool is None else pool.map(_each, jobs)
    for batch, places in batches.items():
        answers.update(zip(places, _together(batch, [tasks[place] for place in places]), strict=True))
    answers.update(zip(alone, chain.from_iterable(computed), strict=True))
    return [answers[place] for place in range(len(tasks))]


def _each(tasks: Sequence[Task]) -> list[Answer]:
    return [_alone(task) for task in tasks]


def _alone(task: Task) -> Answer:
    history = _history(task)
    return _joined(task, history, [task.indicator.formula(columns, task.params) for columns in history.parts()])


def _together(batch: BatchFormula, tasks: Sequence[Task]) -> list[Answer]:
    split = [(task, _history(task)) for task in tasks]
    parts = [history.parts() for _, history in split]
    outputs = iter(batch([(columns, task.params) for task, own in zip(tasks, parts, strict=True) for columns in own]))
    return [
        _joined(task, history, [next(outputs) for _ in own]) for (task, history), own in zip(split, parts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _History:
    """A formula's inputs from bar `first` on, and the parts that it sees one by one."""

    first: int
    inputs: Sequence[Column]
    places: Sequence[Part] | None
    """None: there are no gaps."""

    def parts(self) -> list[Sequence[Column]]:
        """The inputs of each part, contiguous and without NaN."""
        if self.places is None:
            return [[np.ascontiguousarray(column) for column in self.inputs]] if len(self.inputs[0]) else []
        return [[np.ascontiguousarray(column[place]) for column in self.inputs] for place in self.places]


def _history(task: Task) -> _History:
    indicator, bars = task.indicator, task.bars
    first = 0
    if task.anchor is not None and indicator.takes_anchor:
        first = int(np.searchsorted(bars.timestamps, task.anchor))
    inputs = _columns(indicator, bars)
    missing = [gaps for name in indicator.inputs if (gaps := bars.gaps.get(name)) is not None]
    if indicator.needs_benchmark:
        if task.benchmark is None:
            raise InputMissing("benchmark", f"{indicator.name} compares with a second instrument")
        inputs += [_at(bars, task.benchmark, column) for column in _columns(indicator, task.benchmark)]
        missing += [np.isnan(column) for column in inputs[len(indicator.inputs) :]]
    if first:
        inputs = [column[first:] for column in inputs]
    if not missing:
        return _History(first, inputs, None)
    gaps = np.logical_or.reduce(missing)[first:]
    return _History(first, inputs, histories(gaps, task.gaps, recursive=indicator.stability.recursive))


def _columns(indicator: Indicator, bars: Bars) -> list[Column]:
    columns = []
    for name in indicator.inputs:
        column = bars.column(name)
        if column is None:
            raise InputMissing(name, f"{indicator.name} needs this column")
        columns.append(column)
    return columns


def _at(bars: Bars, benchmark: Bars, column: Column) -> Column:
    """The benchmark's column at the timestamps of the bars, NaN where it has no bar."""
    places = np.searchsorted(benchmark.timestamps, bars.timestamps)
    found = places < len(benchmark)
    found[found] = benchmark.timestamps[places[found]] == bars.timestamps[found]
    values = np.full(len(bars), np.nan)
    values[found] = column[places[found]]
    return values


def _joined(task: Task, history: _History, outputs: Sequence[Sequence[Column]]) -> Answer:
    """The outputs of each part in one column each."""
    names = task.indicator.outputs
    if outputs and history.places is None and not history.first:
        return {name: finite(column) for name, column in zip(names, outputs[0], strict=True)}
    answer = {name: np.full(len(task.bars), np.nan) for name in names}
    places = [slice(None)] if history.places is None else history.places
    for place, columns in zip(places, outputs, strict=bool(outputs)):
        for name, column in zip(names, columns, strict=True):
            answer[name][history.first :][place] = finite(column)
    return answer


def finite(column: Column) -> Column:
    """The column with infinities (a division by zero) as nulls: NaN."""
    infinite = np.isinf(column)
    return np.where(infinite, np.nan, column) if np.count_nonzero(infinite) else column
