"""Just enough of PromQL to evaluate alerts over made-up samples: selectors, rate, aggregation, comparison, and.

Semantics: https://prometheus.io/docs/prometheus/latest/querying/. `rate` is without extrapolation, which only matters
at the edges of a range; samples here are evenly spaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import promql_parser as promql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]

STEP_S = 60.0
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
}
AGGREGATE: dict[str, Callable[[Sequence[float]], float]] = {"max": max, "sum": sum}


@dataclass(frozen=True)
class Series:
    """One series: a metric's name, its labels and its value as a function of seconds."""

    name: str
    labels: Mapping[str, str]
    value: Callable[[float], float]


@dataclass(frozen=True)
class Evaluator:
    """Evaluates expressions over series that are sampled every 15 s."""

    series: Sequence[Series]

    def firing(self, rule: Mapping[str, Any], at: float) -> set[Labels]:
        """The label sets for which an alert fires at an instant: its expression held for all of `for`."""
        held = [self.vector(promql.parse(rule["expr"]), at - back) for back in steps(seconds(rule["for"]))]
        return set.intersection(*(set(vector) for vector in held))

    def vector(self, node: Any, at: float) -> Vector:
        """The value of an expression at an instant; of a scalar one the vector without labels."""
        match node:
            case promql.NumberLiteral():
                return {frozenset(): node.val}
            case promql.ParenExpr():
                return self.vector(node.expr, at)
            case promql.VectorSelector():
                return {labels(s): s.value(at) for s in self.matching(node)}
            case promql.Call() if node.func.name in {"rate", "increase"}:
                (range_,) = node.args
                width = range_.range.total_seconds()
                chosen = self.matching(range_.vector_selector)
                per = width if node.func.name == "rate" else 1.0
                return {labels(s): max(0.0, s.value(at) - s.value(at - width)) / per for s in chosen}
            case promql.AggregateExpr():
                return self._aggregated(node, at)
            case promql.BinaryExpr():
                return self._binary(node, at)
            case _:
                raise NotImplementedError(f"{type(node)}: {node}")

    def matching(self, selector: Any) -> list[Series]:
        return [s for s in self.series if s.name == selector.name and matches(s, selector)]

    def _aggregated(self, node: Any, at: float) -> Vector:
        groups: dict[Labels, list[float]] = {}
        by = set(node.modifier.labels) if node.modifier else set()
        for key, value in self.vector(node.expr, at).items():
            groups.setdefault(frozenset((n, v) for n, v in key if n in by), []).append(value)
        return {key: AGGREGATE[str(node.op)](values) for key, values in groups.items()}

    def _binary(self, node: Any, at: float) -> Vector:
        left, right = self.vector(node.lhs, at), self.vector(node.rhs, at)
        if str(node.op) == "and":
            return {key: value for key, value in left.items() if key in right}
        (bound,) = right.values()
        assert right.keys() == {frozenset()}, "vectors are compared with numbers here"
        return {key: value for key, value in left.items() if COMPARE[str(node.op)](value, bound)}


def labels(series: Series) -> Labels:
    return frozenset(series.labels.items())


def matches(series: Series, selector: Any) -> bool:
    for matcher in selector.matchers.matchers:
        value = series.labels.get(matcher.name, "")
        match str(matcher.op):
            case "MatchOp.Equal":
                fits = value == matcher.value
            case "MatchOp.Re":
                fits = re.fullmatch(matcher.value, value) is not None
            case other:
                raise NotImplementedError(other)
        if not fits:
            return False
    return True


def seconds(duration: str) -> float:
    unit = {"s": "seconds", "m": "minutes", "h": "hours"}[duration[-1]]
    return timedelta(**{unit: int(duration[:-1])}).total_seconds()


def steps(span: float) -> list[float]:
    return [STEP_S * i for i in range(int(span // STEP_S) + 1)]
