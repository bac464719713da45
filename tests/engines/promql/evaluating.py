"""Evaluates a script's queries with our engine and compares the results with what the script expects."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from tests.engines.promql.promqltest import Evaluation, Grid, Labels, Samples, equal, labels_of

from luna_serving.engines.promql import api
from luna_serving.engines.promql.errors import PromqlError
from luna_serving.engines.promql.limits import Limits
from luna_serving.engines.promql.matchers import Matcher, match_all
from luna_serving.engines.promql.results import InstantResult, Matrix, Scalar, String, Vector
from luna_serving.engines.promql.series import Series
from luna_serving.engines.promql.source import Selection

#: The bounds of an instant query and of a range query differ.
_BOUNDS = re.compile(r"\b(?:start|end)\(\)")

Found = list[tuple[Labels, Samples]]
ResultT = TypeVar("ResultT", Vector | Matrix | Scalar | String, Matrix)


class Mismatch(AssertionError):
    """A result that is not what the script expects."""


class ScriptSource:
    """The series of a script. It gives exactly the samples of a selection, and only of one that was announced."""

    def __init__(self, data: Mapping[Labels, Samples], announced: Iterable[Selection]) -> None:
        self._series = [
            Series(dict(labels), np.array([*samples], np.int64), np.array([*samples.values()], np.float64))
            for labels, samples in data.items()
        ]
        self._announced = set(announced)

    def select(self, matchers: tuple[Matcher, ...], first_ms: int, last_ms: int) -> Sequence[Series]:
        """As `Source.select`."""
        if Selection(matchers, first_ms, last_ms) not in self._announced:
            raise Mismatch(f"not announced: {matchers} {first_ms} {last_ms}; announced: {self._announced}")
        chosen = []
        for series in self._series:
            first, last = np.searchsorted(series.timestamps, [first_ms, last_ms + 1])
            if first < last and match_all(matchers, series.labels):
                chosen.append(Series(series.labels, series.timestamps[first:last], series.values[first:last]))
        return chosen


def instant(query: str, data: Mapping[Labels, Samples], at: int) -> InstantResult:
    """The answer of our engine to an instant query."""
    parsed = api.parse(query)
    source = ScriptSource(data, parsed.selections(at, at, 1))
    return api.evaluate_instant(parsed, source, at, Limits())


def ranged(query: str, data: Mapping[Labels, Samples], grid: Grid) -> Matrix:
    """The answer of our engine to a range query."""
    parsed = api.parse(query)
    source = ScriptSource(data, parsed.selections(grid.start, grid.end, grid.step))
    return api.evaluate_range(parsed, source, grid.start, grid.end, grid.step, Limits())


def check(evaluation: Evaluation) -> None:
    """Evaluates and compares. An instant query is also evaluated as a step of a range query.

    Raises:
        Mismatch: says what was expected and what was found.
    """
    if "fail" in evaluation.notes:
        _check_failure(evaluation)
        return
    try:
        if evaluation.at is None:
            assert evaluation.grid is not None
            result = ranged(evaluation.query, evaluation.data, evaluation.grid)
            _check_series(evaluation, series_of(_noted(evaluation, result)))
            return
        _check_instant(evaluation, evaluation.at)
        excluded = evaluation.grid or evaluation.text or evaluation.ordered or _BOUNDS.search(evaluation.query)
        if not excluded:
            _check_middle_step(evaluation, evaluation.at)
    except PromqlError as error:
        raise Mismatch(f"{evaluation.query}\n  failed: {error}") from error


def _check_failure(evaluation: Evaluation) -> None:
    [pattern] = evaluation.notes["fail"]
    try:
        if evaluation.grid is not None:
            ranged(evaluation.query, evaluation.data, evaluation.grid)
        else:
            instant(evaluation.query, evaluation.data, evaluation.at or 0)
    except PromqlError as error:
        if re.search(pattern, str(error)) is None:
            raise Mismatch(f"{evaluation.query}\n  expected an error like {pattern}\n  got {error}") from error
    else:
        raise Mismatch(f"{evaluation.query}\n  expected an error, got none")


def _check_instant(evaluation: Evaluation, at: int) -> None:
    result = _noted(evaluation, instant(evaluation.query, evaluation.data, at))
    if isinstance(result, Scalar):
        if evaluation.number is None or not equal(evaluation.number, result.value):
            expected = evaluation.series if evaluation.number is None else evaluation.number
            raise Mismatch(f"{evaluation.query}\n  expected {expected}\n  got scalar {result.value}")
    elif isinstance(result, String):
        if result.value != evaluation.text:
            raise Mismatch(f"{evaluation.query}\n  expected {evaluation.text!r}\n  got string {result.value!r}")
    elif evaluation.number is not None or isinstance(result, Matrix) is not (evaluation.grid is not None):
        raise Mismatch(f"{evaluation.query}\n  expected another type\n  got {result}")
    else:
        _check_series(evaluation, series_of(result))


def _check_middle_step(evaluation: Evaluation, at: int) -> None:
    result = ranged(evaluation.query, evaluation.data, Grid(at - 60_000, at + 60_000, 60_000))
    found = [(labels, {t: v for t, v in samples.items() if t == at}) for labels, samples in series_of(result)]
    expected: dict[Labels, Samples] = evaluation.series
    if evaluation.number is not None:
        expected = {(): {at: evaluation.number}}
    _compare(f"{evaluation.query}\n  as a range query:", expected, [item for item in found if item[1]])


def _check_series(evaluation: Evaluation, found: Found) -> None:
    _compare(evaluation.query, evaluation.series, found)
    if evaluation.ordered and [labels for labels, _ in found] != list(evaluation.series):
        raise Mismatch(f"{evaluation.query}\n  expected the order {list(evaluation.series)}\n  got {found}")


def _compare(what: str, expected: Mapping[Labels, Samples], found: Found) -> None:
    actual = dict(found)
    if len(actual) != len(found):
        raise Mismatch(f"{what}\n  labels occur twice: {found}")
    same = actual.keys() == expected.keys() and all(
        samples.keys() == actual[labels].keys() and all(equal(value, actual[labels][t]) for t, value in samples.items())
        for labels, samples in expected.items()
    )
    if not same:
        raise Mismatch(f"{what}\n  expected {_shown(expected.items())}\n  got      {_shown(found)}")


def _noted(evaluation: Evaluation, result: ResultT) -> ResultT:
    """The result, after a check of its warnings and infos: each must be expected, and each expectation met."""
    for kind, notes in (("warn", result.warnings), ("info", result.infos)):
        patterns = evaluation.notes.get(kind)
        if f"no_{kind}" in evaluation.notes and notes:
            raise Mismatch(f"{evaluation.query}\n  expected no {kind}\n  got {notes}")
        if patterns is None:
            continue
        met = all(any(re.search(pattern, note) for note in notes) for pattern in patterns)
        if not met or not all(any(re.search(pattern, note) for pattern in patterns) for note in notes):
            raise Mismatch(f"{evaluation.query}\n  expected {kind} like {patterns}\n  got {notes}")
    return result


def series_of(result: InstantResult) -> Found:
    """Labels and samples of a result, in its order."""
    match result:
        case Vector():
            return [
                (labels_of(labels), {result.at_ms: float(value)})
                for labels, value in zip(result.labels, result.values, strict=True)
            ]
        case Matrix():
            return [
                (labels_of(s.labels), dict(zip(map(int, s.timestamps), map(float, s.values), strict=True)))
                for s in result.series
            ]
        case Scalar():
            return [((), {result.at_ms: result.value})]
        case String():
            return []


def _shown(found: Iterable[tuple[Labels, Samples]]) -> str:
    return "; ".join(f"{dict(labels)} {dict(samples)}" for labels, samples in sorted(found))
