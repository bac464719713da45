"""Computes indicators over whole histories. Blocks; safe to call from several threads."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.indicators.bars import Bars, Column
from luna_serving.engines.indicators.catalogue.entry import Indicator
from luna_serving.engines.indicators.formula import BatchFormula, Params, Work
from luna_serving.engines.indicators.gaps import Gaps, Part, histories

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
    computed = map(_alone, own) if pool is None else pool.map(_alone, own)
    for batch, places in batches.items():
        answers.update(zip(places, _together(batch, [tasks[place] for place in places]), strict=True))
    answers.update(zip(alone, computed, strict=True))
    return [answers[place] for place in range(len(tasks))]


def _alone(task: Task) -> Answer:
    parts, works = _works(task)
    return _joined(task, parts, [task.indicator.formula(*work) for work in works])


def _together(batch: BatchFormula, tasks: Sequence[Task]) -> list[Answer]:
    split = [_works(task) for task in tasks]
    outputs = iter(batch([work for _, works in split for work in works]))
    return [_joined(task, parts, [next(outputs) for _ in parts]) for task, (parts, _) in zip(tasks, split, strict=True)]


def _works(task: Task) -> tuple[list[Part], list[Work]]:
    """The parts of the bars after the anchor, and what the formula takes of each."""
    inputs = [column[_first(task) :] for column in _inputs(task)]
    parts = histories(inputs, task.gaps, recursive=task.indicator.stability.recursive)
    return parts, [([np.ascontiguousarray(column[part]) for column in inputs], task.params) for part in parts]


def _joined(task: Task, parts: Sequence[Part], outputs: Sequence[Sequence[Column]]) -> Answer:
    """The outputs of each part in one column each."""
    size = len(task.bars)
    names = task.indicator.outputs
    if outputs and len(outputs[0][0]) == size:
        return {name: _finite(column) for name, column in zip(names, outputs[0], strict=True)}
    answer = {name: np.full(size, np.nan) for name in names}
    first = _first(task)
    for part, columns in zip(parts, outputs, strict=True):
        for name, column in zip(names, columns, strict=True):
            answer[name][first:][part] = _finite(column)
    return answer


def _first(task: Task) -> int:
    """The bar at which the history begins."""
    if task.anchor is None or not task.indicator.takes_anchor:
        return 0
    return int(np.searchsorted(task.bars.timestamps, task.anchor))


def _inputs(task: Task) -> list[Column]:
    indicator = task.indicator
    own = _columns(indicator, task.bars)
    if not indicator.needs_benchmark:
        return own
    if task.benchmark is None:
        raise InputMissing("benchmark", f"{indicator.name} compares with a second instrument")
    return own + [_at(task.bars, task.benchmark, column) for column in _columns(indicator, task.benchmark)]


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


def _finite(column: Column) -> Column:
    """The column with infinities (a division by zero) as nulls."""
    infinite = np.isinf(column)
    return np.where(infinite, np.nan, column) if infinite.any() else column
