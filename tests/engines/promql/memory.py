"""A source of samples in memory, and short ways to evaluate."""

from collections.abc import Sequence

import numpy as np

from luna_serving.engines.promql.api import (
    InstantResult,
    Limits,
    Matcher,
    Matrix,
    Selection,
    Series,
    evaluate_instant,
    evaluate_range,
    match_all,
    parse,
)


def series(labels: str, samples: Sequence[tuple[float, float]]) -> Series:
    """A series from `name,label=value,...` and pairs of seconds and values."""
    name, *pairs = labels.split(",")
    table = dict(pair.split("=") for pair in pairs) | {"__name__": name}
    times = np.array([round(time * 1000) for time, _ in samples], dtype=np.int64)
    return Series(table, times, np.array([value for _, value in samples], dtype=np.float64))


def every(seconds: float, *values: float) -> list[tuple[float, float]]:
    """Samples at multiples of an interval, from 0."""
    return [(index * seconds, value) for index, value in enumerate(values)]


class Memory:
    """Answers selections from series, and remembers what was asked."""

    def __init__(self, *stored: Series) -> None:
        self.stored = stored
        self.asked: list[Selection] = []

    def select(self, matchers: tuple[Matcher, ...], first_ms: int, last_ms: int) -> list[Series]:
        self.asked.append(Selection(matchers, first_ms, last_ms))
        found = []
        for one in self.stored:
            if match_all(matchers, one.labels):
                inside = (one.timestamps >= first_ms) & (one.timestamps <= last_ms)
                found.append(Series(one.labels, one.timestamps[inside], one.values[inside]))
        return found


def instant(text: str, source: Memory, at_s: float = 600) -> InstantResult:
    """The answer at a time in seconds."""
    return evaluate_instant(parse(text), source, round(at_s * 1000), Limits())


def values(text: str, source: Memory, at_s: float = 600) -> dict[str, float]:
    """The values of an instant vector by their labels, written `name{a=b,c=d}` without quotes."""
    result = instant(text, source, at_s)
    return {written(labels): float(value) for labels, value in zip(result.labels, result.values, strict=True)}


def written(labels: dict[str, str]) -> str:
    rest = ",".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__")
    return labels.get("__name__", "") + "{" + rest + "}"


def ranged(text: str, source: Memory, start_s: float, end_s: float, step_s: float) -> Matrix:
    """The answer over a range in seconds."""
    return evaluate_range(
        parse(text), source, round(start_s * 1000), round(end_s * 1000), round(step_s * 1000), Limits()
    )
