"""A second evaluator of a part of PromQL, written to be obviously right: one step, one series, one sample at a time.

Queries are built as trees of this module and written as text for the engine, so that its parser is not shared. A vector
is a dictionary from labels (frozen sets of pairs) to values.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from luna_serving.engines.promql.api import Series, is_stale

Key = frozenset[tuple[str, str]]
Vector = dict[Key, float]
Data = list[tuple[Key, list[tuple[int, float]]]]

LOOKBACK = 300_000


class Refused(Exception):
    """The samples do not allow an answer."""


def data_of(stored: list[Series]) -> Data:
    """Plain samples; a staleness marker is None."""
    return [
        (
            frozenset(one.labels.items()),
            [
                (int(t), None if stale else float(v))
                for t, v, stale in zip(one.timestamps, one.values, is_stale(one.values), strict=True)
            ],
        )
        for one in stored
    ]


def unnamed(key: Key) -> Key:
    return frozenset(pair for pair in key if pair[0] != "__name__")


def put(vector: Vector, key: Key, value: float) -> None:
    if key in vector:
        raise Refused("same labels")
    vector[key] = value


@dataclass(frozen=True)
class Selector:
    name: str
    matcher: tuple[str, str, str] | None
    offset: int

    def text(self, middle: str = "") -> str:
        inside = "" if self.matcher is None else "{%s%s'%s'}" % self.matcher  # noqa: UP031
        return f"{self.name}{inside}{middle}" + (f" offset {self.offset}s" if self.offset else "")

    def found(self, data: Data) -> Data:
        def fits(key: Key) -> bool:
            labels = dict(key)
            if labels["__name__"] != self.name:
                return False
            if self.matcher is None:
                return True
            label, operator, value = self.matcher
            return (labels.get(label, "") == value) is (operator == "=")

        return [(key, samples) for key, samples in data if fits(key)]

    def at(self, data: Data, t: int) -> Vector:
        t -= self.offset * 1000
        vector: Vector = {}
        for key, samples in self.found(data):
            before = [(time, value) for time, value in samples if time <= t]
            if before and before[-1][0] > t - LOOKBACK and before[-1][1] is not None:
                vector[key] = before[-1][1]
        return vector


@dataclass(frozen=True)
class Over:
    """A function of the last `window` seconds of a selector, or of a subquery with a step in seconds."""

    function: str
    window: int
    inner: "Selector | Over | Aggregated | Operation"
    step: int | None = None

    def text(self) -> str:
        if isinstance(self.inner, Selector) and self.step is None:
            return f"{self.function}({self.inner.text(f'[{self.window}s]')})"
        return f"{self.function}(({self.inner.text()})[{self.window}s:{self.step}s])"

    def at(self, data: Data, t: int) -> Vector:
        result: Vector = {}
        for key, samples in self._samples(data, t).items():
            value = OVER[self.function](samples[0], samples[1], samples[2])
            if value is not None:
                put(result, key if self.function == "last_over_time" else unnamed(key), value)
        return result

    def _samples(self, data: Data, t: int) -> dict[Key, tuple[list[tuple[int, float]], int, int]]:
        if isinstance(self.inner, Selector) and self.step is None:
            end = t - self.inner.offset * 1000
            start = end - self.window * 1000
            table = {
                key: [(time, value) for time, value in samples if start < time <= end and value is not None]
                for key, samples in self.inner.found(data)
            }
        else:
            end, start, step = t, t - self.window * 1000, (self.step or 60) * 1000
            table = {}
            for time in range((start // step + 1) * step, end + 1, step):
                for key, value in self.inner.at(data, time).items():
                    table.setdefault(key, []).append((time, value))
        return {key: (samples, start, end) for key, samples in table.items() if samples}


def extrapolated(samples: list[tuple[int, float]], start: int, end: int, *, counter: bool) -> float | None:
    if len(samples) < 2:
        return None
    change = samples[-1][1] - samples[0][1]
    if counter:
        for (_, before), (_, after) in itertools.pairwise(samples):
            if after < before:
                change += before
    span = (samples[-1][0] - samples[0][0]) / 1000
    apart = span / (len(samples) - 1)
    left, right = (samples[0][0] - start) / 1000, (end - samples[-1][0]) / 1000
    if left >= apart * 1.1:
        left = apart / 2
    if counter and change > 0 and samples[0][1] >= 0:
        left = min(left, span * (samples[0][1] / change))
    if right >= apart * 1.1:
        right = apart / 2
    return change * (span + left + right) / span


def rate(samples: list[tuple[int, float]], start: int, end: int) -> float | None:
    increase = extrapolated(samples, start, end, counter=True)
    return None if increase is None else increase / ((end - start) / 1000)


def irate(samples: list[tuple[int, float]], start: int, end: int) -> float | None:
    if len(samples) < 2:
        return None
    (t0, before), (t1, after) = samples[-2:]
    return (after if after < before else after - before) / ((t1 - t0) / 1000)


def spread(samples: list[tuple[int, float]], start: int, end: int) -> float:
    numbers = [value for _, value in samples]
    mean = math.fsum(numbers) / len(numbers)
    return math.fsum((number - mean) ** 2 for number in numbers) / len(numbers)


OVER: dict[str, Callable[[list[tuple[int, float]], int, int], float | None]] = {
    "rate": rate,
    "increase": lambda samples, start, end: extrapolated(samples, start, end, counter=True),
    "delta": lambda samples, start, end: extrapolated(samples, start, end, counter=False),
    "irate": irate,
    "sum_over_time": lambda samples, *_: math.fsum(value for _, value in samples),
    "avg_over_time": lambda samples, *_: math.fsum(value for _, value in samples) / len(samples),
    "min_over_time": lambda samples, *_: min(value for _, value in samples),
    "max_over_time": lambda samples, *_: max(value for _, value in samples),
    "count_over_time": lambda samples, *_: float(len(samples)),
    "last_over_time": lambda samples, *_: samples[-1][1],
    "stdvar_over_time": spread,
    "changes": lambda samples, *_: float(sum(a != b for (_, a), (_, b) in itertools.pairwise(samples))),
    "resets": lambda samples, *_: float(sum(b < a for (_, a), (_, b) in itertools.pairwise(samples))),
}


@dataclass(frozen=True)
class Aggregated:
    operator: str
    labels: tuple[str, ...]
    without: bool
    inner: "Selector | Over | Aggregated | Operation"

    def text(self) -> str:
        clause = "without" if self.without else "by"
        return f"{self.operator} {clause} ({', '.join(self.labels)}) ({self.inner.text()})"

    def at(self, data: Data, t: int) -> Vector:
        groups: dict[Key, list[float]] = {}
        for key, value in self.inner.at(data, t).items():
            if self.without:
                group = frozenset(pair for pair in unnamed(key) if pair[0] not in self.labels)
            else:
                group = frozenset(pair for pair in key if pair[0] in self.labels)
            groups.setdefault(group, []).append(value)
        return {group: AGGREGATIONS[self.operator](numbers) for group, numbers in groups.items()}


AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": lambda numbers: math.fsum(numbers) / len(numbers),
    "min": min,
    "max": max,
    "count": lambda numbers: float(len(numbers)),
    "group": lambda _: 1.0,
}

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
}


@dataclass(frozen=True)
class Operation:
    """Between vectors. `matching` is `on` or `ignoring`; `group` is "", `group_left` or `group_right`."""

    operator: str
    left: "Selector | Over | Aggregated | Operation"
    right: "Selector | Over | Aggregated | Operation"
    matching: str
    labels: tuple[str, ...]
    group: str = ""
    include: tuple[str, ...] = ()
    return_bool: bool = False

    def text(self) -> str:
        group = f" {self.group} ({', '.join(self.include)})" if self.group else ""
        modifiers = f"{' bool' if self.return_bool else ''} {self.matching} ({', '.join(self.labels)}){group}"
        return f"({self.left.text()}) {self.operator}{modifiers} ({self.right.text()})"

    def _signature(self, key: Key) -> Key:
        if self.matching == "on":
            return frozenset(pair for pair in key if pair[0] in self.labels)
        return frozenset(pair for pair in unnamed(key) if pair[0] not in self.labels)

    def at(self, data: Data, t: int) -> Vector:
        left, right = self.left.at(data, t), self.right.at(data, t)
        if self.operator in ("and", "or", "unless"):
            return self._sets(left, right)
        if not left or not right:
            return {}
        many, one = (right, left) if self.group == "group_right" else (left, right)
        partners: dict[Key, Key] = {}
        for key in one:
            if self._signature(key) in partners:
                raise Refused("many-to-many")
            partners[self._signature(key)] = key
        result: Vector = {}
        taken: set[object] = set()
        for key, value in many.items():
            partner = partners.get(self._signature(key))
            if partner is None:
                continue
            other = one[partner]
            a, b = (other, value) if self.group == "group_right" else (value, other)
            labels = self._labels(key, partner)
            match = (self._signature(key), labels) if self.group else self._signature(key)
            if match in taken:
                raise Refused("multiple matches")
            taken.add(match)
            if self.operator in ARITHMETIC:
                put(result, labels, ARITHMETIC[self.operator](a, b))
            elif self.return_bool:
                put(result, labels, float(COMPARISONS[self.operator](a, b)))
            elif COMPARISONS[self.operator](a, b):
                put(result, labels, a)
        return result

    def _labels(self, key: Key, partner: Key) -> Key:
        labels = dict(key)
        if self.operator in ARITHMETIC or self.return_bool:
            labels.pop("__name__", None)
        if not self.group:
            kept = set(self.labels) if self.matching == "on" else set(labels) - set(self.labels)
            labels = {name: value for name, value in labels.items() if name in kept}
        for name in self.include:
            labels.pop(name, None)
            if name in dict(partner):
                labels[name] = dict(partner)[name]
        return frozenset(labels.items())

    def _sets(self, left: Vector, right: Vector) -> Vector:
        result: Vector = {}
        rights = {self._signature(key) for key in right}
        lefts = {self._signature(key) for key in left}
        for key, value in left.items():
            if self.operator == "or" or (self._signature(key) in rights) is (self.operator == "and"):
                put(result, key, value)
        if self.operator == "or":
            for key, value in right.items():
                if self._signature(key) not in lefts:
                    put(result, key, value)
        return result
