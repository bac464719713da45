"""What a query announces to read, bounds of evaluations, and extensions."""

import numpy as np
import pytest
from tests.engines.promql.memory import Memory, every, series

from luna_serving.engines.promql.api import (
    ArgumentType,
    EvaluationError,
    Extension,
    ExtensionCall,
    ExtensionSeries,
    LimitExceeded,
    Limits,
    ParseError,
    Series,
    evaluate_instant,
    evaluate_range,
    parse,
)

MINUTE = 60_000


@pytest.mark.parametrize(
    ("text", "first_ms", "last_ms"),
    [
        ("x", 600_000 - 300_000 + 1, 900_000),
        ("x offset 1m", 540_000 - 300_000 + 1, 840_000),
        ("x @ 100", 100_000 - 300_000 + 1, 100_000),
        ("x @ end()", 900_000 - 300_000 + 1, 900_000),
        ("rate(x[2m])", 480_001, 900_000),
        ("rate(x[2m] @ start() offset 1m)", 420_001, 540_000),
        # Steps of the subquery: 420 s (the first multiple after 600 - 200 = 400) to 900 s.
        ("max_over_time(rate(x[2m])[200s:70s])", 420_000 - 120_000 + 1, 840_000 + 70_000 - 70_000),
        ("sum(abs(x)) + 1", 300_001, 900_000),
    ],
)
def test_a_selection_has_the_samples_that_the_steps_need(text: str, first_ms: int, last_ms: int) -> None:
    (selection,) = parse(text).selections(600_000, 900_000, 15_000)
    assert (selection.first_ms, selection.last_ms) == (first_ms, last_ms)


def test_each_selection_is_read_once() -> None:
    source = Memory(series("x", every(15, *range(100))), series("y", every(15, *range(100))))
    query = parse("x + x + y + rate(x[2m]) + rate(x[2m])")
    evaluate_range(query, source, 600_000, 900_000, 15_000, Limits())
    assert len(source.asked) == len(set(source.asked)) == 3
    assert set(source.asked) == set(query.selections(600_000, 900_000, 15_000))
    assert [matchers[0].value for matchers in query.selectors()] == ["x", "x", "y", "x", "x"]


def test_only_the_last_whole_step_is_read() -> None:
    (selection,) = parse("x").selections(0, 100_000, 30_000)
    assert selection.last_ms == 90_000


def test_too_many_points_and_samples_are_refused() -> None:
    source = Memory(series("x", every(1, *range(1000))))
    query = parse("x")
    with pytest.raises(LimitExceeded, match="exceeded maximum resolution of 11,000 points per timeseries") as refused:
        evaluate_range(query, source, 0, 11_001, 1, Limits())
    assert (refused.value.limit, refused.value.allowed) == ("points", 11_000)
    evaluate_range(query, source, 0, 11_000, 1, Limits())
    with pytest.raises(LimitExceeded, match="too many samples"):
        evaluate_instant(parse("sum_over_time(x[1h])"), source, 900_000, Limits(samples=800))
    evaluate_instant(parse("sum_over_time(x[1h])"), source, 900_000, Limits(samples=1000))
    with pytest.raises(LimitExceeded, match="too many samples"):
        # A subquery whose steps alone are too many is refused before they are made.
        evaluate_instant(parse("sum_over_time(vector(1)[1y:1ms])"), source, 900_000, Limits())


def test_the_deepest_query_that_is_accepted_can_be_evaluated() -> None:
    source = Memory(series("x", every(15, *range(100))))
    deep = "max_over_time((" * 49 + "x" + ")[1m:30s])" * 49
    wide = "+".join(["x"] * 100)
    for text in (deep, wide, "-" * 98 + "x", "(" * 98 + "x" + ")" * 98):
        evaluate_range(parse(text), source, 900_000, 960_000, 60_000, Limits())


def test_a_step_must_be_positive() -> None:
    with pytest.raises(EvaluationError, match="zero or negative query resolution step"):
        evaluate_range(parse("x"), Memory(), 0, 10, 0, Limits())


class Deadline(Exception):
    pass


@pytest.mark.parametrize("text", ["sum_over_time(x[10m])", "sum(x) + sum(x) + sum(x) + sum(x)", "topk(1, x)"])
def test_the_check_ends_an_evaluation(text: str) -> None:
    source = Memory(*(series(f"x,n={n}", every(1, *range(600))) for n in range(4)))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise Deadline

    with pytest.raises(Deadline):
        evaluate_range(parse(text), source, 600_000, 700_000, 1_000, Limits(check=check))


def running_mean(call: ExtensionCall) -> list[ExtensionSeries]:
    """The mean of all samples up to each step, times a factor."""
    factor = call.arguments[0]
    if np.any(np.asarray(factor) < 0):
        raise ValueError("the factor must not be negative")
    answer = []
    for one, live in zip(call.series, call.live, strict=True):
        count = np.searchsorted(one.timestamps, call.times_ms, side="right")
        means = np.cumsum(one.values)[np.maximum(count - 1, 0)] / np.maximum(count, 1)
        labels = {name: value for name, value in one.labels.items() if name != "__name__"}
        answer.append(ExtensionSeries(labels, means * factor, live & (count > 0)))
    return answer


MEAN = Extension(
    "luna_mean", (ArgumentType.SELECTOR, ArgumentType.SCALAR, ArgumentType.STRING), lambda _start: 0, running_mean, 1
)


def test_an_extension_gets_the_whole_history() -> None:
    source = Memory(series("x,a=1", every(60, *range(30))), series("y,a=1", every(60, *range(30))))
    query = parse("sum(luna_mean(x offset 1m, 2)) + 1", {"luna_mean": MEAN})
    (selection,) = query.selections(10 * MINUTE, 20 * MINUTE, MINUTE)
    assert (selection.first_ms, selection.last_ms) == (0, 19 * MINUTE)
    (row,) = evaluate_range(query, source, 10 * MINUTE, 20 * MINUTE, MINUTE, Limits()).series
    # The mean of 0..n is n / 2; one minute earlier, twice, plus one.
    assert row.values.tolist() == [float(n) for n in range(10, 21)]
    assert source.asked == [selection]


def test_an_extension_is_silent_where_the_selector_is() -> None:
    source = Memory(Series({"__name__": "x"}, np.array([0, 60_000]), np.array([1.0, 3.0])))
    query = parse("luna_mean(x, 1)", {"luna_mean": MEAN})
    (row,) = evaluate_range(query, source, 0, 600_000, 60_000, Limits()).series
    assert row.timestamps.tolist() == [0, 60_000, 120_000, 180_000, 240_000, 300_000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("luna_mean(x)", "expected at least 2 argument(s) in call to \"luna_mean\", got 1"),
        ("luna_mean(x, 1, 'a', 2)", "expected at most 3 argument(s) in call to \"luna_mean\", got 4"),
        ("luna_mean(sum(x), 1)", "expected an instant vector selector in call to function \"luna_mean\""),
        ("luna_mean(x[5m], 1)", "expected type instant vector in call to function \"luna_mean\", got range vector"),
        ("luna_mean(x, 'a')", "expected type scalar in call to function \"luna_mean\", got string"),
    ],
)  # fmt: skip
def test_arguments_of_an_extension_are_checked(text: str, message: str) -> None:
    with pytest.raises(ParseError) as refused:
        parse(text, {"luna_mean": MEAN})
    assert refused.value.message == message


def test_an_argument_out_of_range_is_an_error_of_the_evaluation() -> None:
    query = parse("luna_mean(x, -1)", {"luna_mean": MEAN})
    with pytest.raises(EvaluationError, match=r"luna_mean\(\): the factor must not be negative"):
        evaluate_instant(query, Memory(series("x", [(0, 1)])), 0, Limits())


@pytest.mark.parametrize(
    "call", ['label_replace({}, "a", "$1$1$1$1", "a", "(.*)")', 'label_join({}, "a", "", "a", "a", "a", "a")']
)
def test_nested_calls_do_not_multiply_a_label_beyond_bounds(call: str) -> None:
    source = Memory(series("x,a=0123456789", [(0, 1)]))
    text = "x"
    for _ in range(4):
        text = call.format(text)
    (labels,) = evaluate_instant(parse(text), source, 0, Limits()).labels
    assert len(dict(labels)["a"]) == 10 * 4**4
    for _ in range(40):
        text = call.format(text)
    with pytest.raises(EvaluationError, match="more than 4096 characters"):
        evaluate_instant(parse(text), source, 0, Limits())


def test_the_look_back_is_that_of_the_evaluation() -> None:
    source = Memory(series("x", [(0, 1.0), (100, 2.0)]))

    def at(text: str, seconds: float, lookback_s: float) -> list[float]:
        result = evaluate_instant(parse(text), source, round(seconds * 1000), Limits(), round(lookback_s * 1000))
        return result.values.tolist()

    assert at("x", 130, 30) == []
    assert at("x", 129.999, 30) == [2.0]
    assert at("timestamp(x)", 700, 700) == [100.0]
    assert at("timestamp(x)", 700, 600) == []
    assert at("count_over_time(x[100s:10s])", 100, 30) == [3.0], "at 10, 20 and 100 s"
    query = parse("x offset 1m")
    (selection,) = query.selections(600_000, 900_000, 15_000, 42_000)
    assert (selection.first_ms, selection.last_ms) == (540_000 - 42_000 + 1, 840_000)
    source.asked.clear()
    evaluate_range(query, source, 600_000, 900_000, 15_000, Limits(), 42_000)
    assert source.asked == [selection]
