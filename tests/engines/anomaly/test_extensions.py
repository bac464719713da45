"""The functions as they are written in PromQL."""

import numpy as np
import pytest

from luna_serving.engines.anomaly import api
from luna_serving.engines.anomaly.extensions import extensions
from luna_serving.engines.promql.api import (
    EvaluationError,
    Limits,
    ParseError,
    Series,
    evaluate_instant,
    evaluate_range,
    match_all,
    parse,
)

from .simulated import DAY, MINUTE, START, season, times

EXTENSIONS = extensions(api.Memory())


class Stored:
    """Series in memory; remembers the first time asked for."""

    def __init__(self, series):
        self.series = series
        self.first = None

    def select(self, matchers, first_ms, last_ms):
        self.first = first_ms
        found = []
        for one in self.series:
            if match_all(matchers, one.labels):
                low, high = np.searchsorted(one.timestamps, [first_ms, last_ms + 1])
                found.append(Series(one.labels, one.timestamps[low:high], one.values[low:high]))
        return found


@pytest.fixture(scope="module")
def stored():
    rng = np.random.default_rng(51)
    stamps = times(9 * DAY // 5, 5 * MINUTE)
    series = []
    for host in ("a", "b"):
        values = 30 + season(stamps) / 3 + rng.standard_normal(len(stamps))
        if host == "b":
            values[-3:] += 12
        series.append(Series({"__name__": "cpu", "host": host}, stamps, values))
    return Stored([*series, Series({"__name__": "other", "host": "a"}, stamps, stamps * 1.0)])


def at_the_end(text, stored):
    end = int(stored.series[0].timestamps[-1])
    result = evaluate_instant(parse(text, extensions=EXTENSIONS), stored, end, Limits())
    return {dict(labels)["host"]: value for labels, value in zip(result.labels, result.values, strict=True)}


def test_a_score_finds_the_host_that_jumped(stored):
    found = at_the_end("luna_score(cpu)", stored)
    assert abs(found["a"]) < 4
    assert found["b"] > 8
    assert set(at_the_end("abs(luna_score(cpu)) > 6", stored)) == {"b"}
    assert set(at_the_end("cpu > luna_band(cpu, 0.9999)", stored)) == {"b"}


def test_values_are_those_of_the_engine_and_seven_days_are_loaded(stored):
    end = int(stored.series[0].timestamps[-1])
    steps = np.arange(end - 3_600_000, end + 1, 600_000)
    query = parse('luna_forecast(cpu{host="a"}, 1h)', extensions=EXTENSIONS)
    matrix = evaluate_range(query, stored, int(steps[0]), end, 600_000, Limits())
    ours = api.forecast([(stored.series[0].timestamps, stored.series[0].values)], steps, 3600)
    np.testing.assert_allclose(matrix.series[0].values, ours[0])
    assert stored.first == api.history_start(int(steps[0])) >= START


def test_probabilities_are_between_zero_and_one(stored):
    assert at_the_end("luna_prob_cross(cpu, 0, 30m)", stored)["a"] == pytest.approx(1)
    assert at_the_end("luna_prob_cross(cpu, 1000, 30m)", stored)["a"] == pytest.approx(0)


def test_errors_are_those_of_the_language(stored):
    with pytest.raises(ParseError):
        parse("luna_band(cpu)", extensions=EXTENSIONS)
    with pytest.raises(EvaluationError, match="between 0 and 1"):
        at_the_end("luna_band(cpu, 2)", stored)
    with pytest.raises(EvaluationError, match="name one metric"):
        at_the_end('luna_score({host="a"})', stored)
