"""The engine against the evaluator of `naive`, on random series and queries."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.promql.memory import Memory
from tests.engines.promql.naive import (
    AGGREGATIONS,
    COMPARISONS,
    OVER,
    Aggregated,
    Operation,
    Over,
    Refused,
    Selector,
    data_of,
)

from luna_serving.engines.promql.api import (
    STALE,
    EvaluationError,
    Limits,
    Series,
    evaluate_instant,
    evaluate_range,
    parse,
)

START, END, STEP = 600_000, 1_500_000, 45_000
LABELS = ("host", "cpu")


@st.composite
def stored(draw: st.DrawFn) -> list[Series]:
    found = []
    for name in ("a_total", "b"):
        for host in ("x", "y"):
            for cpu in ("0", "1"):
                if draw(st.integers(0, 3)) == 0:
                    continue
                gaps = draw(st.lists(st.sampled_from([15_000, 15_000, 15_000, 14_321, 61_007, 400_000]), max_size=60))
                times = np.cumsum(np.array(gaps, dtype=np.int64))
                kinds = draw(st.lists(st.integers(-3, 9), min_size=len(times), max_size=len(times)))
                values = np.array([STALE if kind == 9 and name == "b" else kind * 0.7 for kind in kinds])
                if name == "a_total":
                    # Mostly a counter, with resets.
                    values = np.abs(np.array(kinds, dtype=np.float64)).cumsum() % 50
                found.append(Series({"__name__": name, "host": host, "cpu": cpu}, times, values.astype(np.float64)))
    return found


names = st.sampled_from(["a_total", "b"])
subsets = st.sampled_from([(), ("host",), ("cpu",), ("host", "cpu")])


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    matcher = draw(
        st.none() | st.tuples(st.sampled_from(LABELS), st.sampled_from(["=", "!="]), st.sampled_from("xy01"))
    )
    return Selector(draw(names), matcher, draw(st.sampled_from([0, 0, 30, -20])))


@st.composite
def overs(draw: st.DrawFn) -> Over:
    function = draw(st.sampled_from(sorted(OVER)))
    window = draw(st.sampled_from([15, 60, 150, 400]))
    if draw(st.booleans()):
        return Over(function, window, draw(selectors()))
    # One metric only: series of several names would become alike.
    inner = draw(selectors() | st.builds(Over, st.sampled_from(["rate", "max_over_time"]), st.just(60), selectors()))
    return Over(function, window, inner, draw(st.sampled_from([10, 60])))


def deeper(inner: st.SearchStrategy) -> st.SearchStrategy:
    aggregated = st.builds(Aggregated, st.sampled_from(sorted(AGGREGATIONS)), subsets, st.booleans(), inner)
    plain = st.builds(
        Operation,
        st.sampled_from(["+", "-", "*", "and", "or", "unless", *COMPARISONS]),
        inner,
        inner,
        st.sampled_from(["on", "ignoring"]),
        subsets,
    )
    compared = st.builds(
        Operation,
        st.sampled_from(sorted(COMPARISONS)),
        inner,
        inner,
        st.sampled_from(["on", "ignoring"]),
        subsets,
        st.just(""),
        st.just(()),
        st.just(True),
    )
    grouped = st.builds(
        Operation,
        st.sampled_from(["+", "*", ">"]),
        inner,
        inner,
        st.just("on"),
        st.sampled_from([("host",), ()]),
        st.sampled_from(["group_left", "group_right"]),
        st.sampled_from([(), ("cpu",)]),
        st.booleans(),
    ).filter(lambda node: node.operator == ">" or not node.return_bool)
    return aggregated | plain | compared | grouped


queries = st.recursive(selectors() | overs(), deeper, max_leaves=4)


def close(found: float, expected: float) -> bool:
    if math.isnan(expected):
        return math.isnan(found)
    return found == expected or math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def compare(found: dict, expected: dict, text: str) -> None:
    assert set(found) == set(expected), text
    for key, value in expected.items():
        assert close(found[key], value), (text, key, found[key], value)


@given(stored(), queries)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_query_gives_what_the_naive_evaluator_gives_at_each_step(series: list[Series], tree: Operation) -> None:
    text, data, source = tree.text(), data_of(series), Memory(*series)
    query = parse(text)
    expected = {}
    refused = False
    for t in range(START, END + 1, STEP):
        try:
            expected[t] = tree.at(data, t)
        except Refused:
            refused = True
    if refused:
        with pytest.raises(EvaluationError):
            evaluate_range(query, source, START, END, STEP, Limits())
        return
    matrix = evaluate_range(query, source, START, END, STEP, Limits())
    found: dict = {t: {} for t in expected}
    for one in matrix.series:
        key = frozenset(one.labels.items())
        for t, value in zip(one.timestamps.tolist(), one.values.tolist(), strict=True):
            found[t][key] = value
    for t, vector in expected.items():
        compare(found[t], vector, f"{text} at {t}")
    at = START + 7 * STEP
    answer = evaluate_instant(query, source, at, Limits())
    single = {frozenset(k.items()): float(v) for k, v in zip(answer.labels, answer.values, strict=True)}
    compare(single, expected[at], f"{text} at {at} alone")
    # What was read was announced.
    announced = {*query.selections(START, END, STEP), *query.selections(at, at, 1)}
    assert set(source.asked) <= announced
