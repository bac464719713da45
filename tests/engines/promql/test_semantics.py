"""What is easily got wrong: bounds, staleness, matching, sums, names. Values are worked out by hand."""

import math

import numpy as np
import pytest
from tests.engines.promql.memory import Memory, every, instant, ranged, series, values

from luna_serving.engines.promql.api import STALE, EvaluationError, Matrix, Scalar, String, Vector

NAN = float("nan")


def test_the_look_back_is_five_minutes_without_its_start() -> None:
    source = Memory(series("x", [(0, 1)]))
    assert values("x", source, 299.999) == {"x{}": 1}
    assert values("x", source, 300) == {}


def test_a_range_excludes_its_start_and_includes_its_end() -> None:
    source = Memory(series("x", every(60, 1, 2, 3, 4)))
    assert values("count_over_time(x[2m])", source, 180) == {"{}": 2}
    result = instant("x[2m]", source, 180)
    assert isinstance(result, Matrix)
    assert result.series[0].timestamps.tolist() == [120_000, 180_000]


def test_a_staleness_marker_ends_a_series_for_selectors_and_is_no_sample_for_ranges() -> None:
    source = Memory(series("x", [(0, 1), (60, STALE), (120, 3)]))
    assert values("x", source, 90) == {}
    assert values("x", source, 130) == {"x{}": 3}
    assert values("count_over_time(x[5m])", source, 130) == {"{}": 2}


def test_a_nan_that_is_no_marker_is_a_value() -> None:
    source = Memory(series("x", [(0, 1), (60, NAN)]))
    assert math.isnan(values("x", source, 90)["x{}"])
    assert values("max_over_time(x[5m])", source, 90) == {"{}": 1}
    assert values("count_over_time(x[5m])", source, 90) == {"{}": 2}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # 4 samples in the window, 45 s apart in all; both bounds are within 1.1 intervals.
        ("rate(x_total[1m])", 3 * (45 + 15 + 0) / 45 / 60),
        ("increase(x_total[1m])", 3 * (45 + 15 + 0) / 45),
        ("delta(x_total[1m])", 3 * (45 + 15 + 0) / 45),
        ("irate(x_total[1m])", 1 / 15),
        ("idelta(x_total[1m])", 1),
        ("deriv(x_total[1m])", 1 / 15),
        ("predict_linear(x_total[1m], 60)", 44),
    ],
)
def test_rates_of_a_steady_counter(query: str, expected: float) -> None:
    source = Memory(series("x_total", every(15, *range(100))))
    assert values(query, source, 600)["{}"] == pytest.approx(expected, rel=1e-12)


def test_a_counter_is_not_extrapolated_below_zero() -> None:
    source = Memory(series("x_total", [(100, 1), (110, 11)]))
    # Zero was one second before the first sample.
    assert values("increase(x_total[1m])", source, 110)["{}"] == pytest.approx(10 * (10 + 1) / 10)


def test_resets_of_a_counter_are_added_up() -> None:
    source = Memory(series("x_total", every(10, 5, 8, 2, 4, 1, 3)))
    # 3 - 5, plus 8 at the first reset and 4 at the second.
    span, left = 50, 50 * 5 / 10
    assert values("increase(x_total[1m])", source, 50)["{}"] == pytest.approx(10 * (span + min(left, 10)) / span)
    assert values("resets(x_total[1m])", source, 50) == {"{}": 2}
    assert values("changes(x_total[1m])", source, 50) == {"{}": 5}


def test_sums_are_compensated_and_means_do_not_overflow() -> None:
    source = Memory(
        series("x,n=1", every(10, 1e16, 1, -1e16, 1)),
        series("big,n=1", every(10, 1.7e308, 1.7e308, 1.7e308)),
        series("many,n=0", [(0, 1e16)]),
        series("many,n=1", [(0, 1)]),
        series("many,n=2", [(0, -1e16)]),
    )
    assert values("sum_over_time(x[1m])", source, 30) == {"{n=1}": 2}
    assert values("avg_over_time(x[1m])", source, 30) == {"{n=1}": 0.5}
    assert values("avg_over_time(big[1m])", source, 20)["{n=1}"] == pytest.approx(1.7e308)
    assert values("sum_over_time(big[1m])", source, 20) == {"{n=1}": math.inf}
    assert values("sum(many)", source, 0) == {"{}": 1}


def test_many_windows_and_few_windows_give_the_same_bits() -> None:
    numbers = (np.sin(np.arange(400)) * 10.0 ** (np.arange(400) % 30)).tolist()
    source = Memory(series("x", every(15, *numbers)))
    for function in ("sum_over_time", "avg_over_time", "stdvar_over_time", "deriv"):
        side_by_side = ranged(f"{function}(x[5m])", source, 300, 5_900, 15).series[0]
        for time, value in list(zip(side_by_side.timestamps, side_by_side.values, strict=True))[::37]:
            assert values(f"{function}(x[5m])", source, time / 1000)["{}"] == value


def test_names_go_with_operations_and_stay_with_filters() -> None:
    source = Memory(series("x,a=1", [(0, 4)]), series("y,a=1", [(0, 2)]))
    assert values("x + 1", source, 0) == {"{a=1}": 5}
    assert values("x > 1", source, 0) == {"x{a=1}": 4}
    assert values("x > bool 1", source, 0) == {"{a=1}": 1}
    assert values("1 < x", source, 0) == {"x{a=1}": 4}
    assert values("x > y", source, 0) == {"x{a=1}": 4}
    assert values("x > on (a) y", source, 0) == {"{a=1}": 4}
    assert values("-x", source, 0) == {"{a=1}": -4}
    assert values("last_over_time(x[1m])", source, 0) == {"x{a=1}": 4}
    assert values("abs(x)", source, 0) == {"{a=1}": 4}


@pytest.mark.parametrize(
    "query", ["abs({a='1'})", "{a='1'} * 2", "rate({a='1'}[5m])", "label_replace({a='1'}, '__name__', '', '', '')"]
)
def test_elements_that_become_alike_are_refused(query: str) -> None:
    source = Memory(series("x,a=1", every(10, 1, 2)), series("y,a=1", every(10, 1, 2)))
    with pytest.raises(EvaluationError, match="vector cannot contain metrics with the same labelset"):
        instant(query, source, 10)


def test_many_to_many_names_the_elements() -> None:
    source = Memory(series("x,a=1", [(0, 1)]), series("y,a=1,b=1", [(0, 1)]), series("y,a=1,b=2", [(0, 1)]))
    with pytest.raises(EvaluationError) as refused:
        instant("x + on (a) y", source, 0)
    assert str(refused.value) == (
        'found duplicate series for the match group {a="1"} on the right hand-side of the operation: '
        '[{__name__="y", a="1", b="1"}, {__name__="y", a="1", b="2"}];many-to-many matching not allowed: '
        "matching labels must be unique on one side"
    )
    with pytest.raises(EvaluationError, match="many-to-one matching must be explicit"):
        instant("y + on (a) x", source, 0)
    assert values("y * on (a) group_left () x", source, 0) == {"{a=1,b=1}": 1, "{a=1,b=2}": 1}
    with pytest.raises(EvaluationError, match="grouping labels must ensure unique matches"):
        instant("y * on (a) group_left (b) x", source, 0)


def test_subqueries_are_aligned_to_multiples_of_their_step() -> None:
    source = Memory(series("x", every(1, *range(1000))))
    result = instant("x[2m:50s]", source, 610)
    assert isinstance(result, Matrix)
    assert result.series[0].timestamps.tolist() == [500_000, 550_000, 600_000]
    assert values("count_over_time(x[5m:])", source, 600) == {"{}": 5}
    # The start is excluded.
    assert values("min_over_time(x[100s:50s])", source, 600) == {"{}": 550}


def test_at_and_offset() -> None:
    source = Memory(series("x", every(10, *range(100))))
    assert values("x @ 100 offset 50s", source, 900) == {"x{}": 5}
    assert values("x offset -1m", source, 300) == {"x{}": 36}
    matrix = ranged("x @ start() + 0 * x", source, 100, 200, 50)
    assert matrix.series[0].values.tolist() == [10, 10, 10]
    matrix = ranged("sum(x @ end())", source, 100, 200, 50)
    assert matrix.series[0].values.tolist() == [20, 20, 20]
    assert values("timestamp(x offset 5s)", source, 300) == {"{}": 290}
    assert values("timestamp(x + 0)", source, 303) == {"{}": 303}


def test_topk_keeps_labels_and_orders_an_instant_vector() -> None:
    source = Memory(*(series(f"x,n={n}", [(0, value)]) for n, value in enumerate([3, NAN, 5, 1])))
    result = instant("topk(3, x)", source, 0)
    assert isinstance(result, Vector)
    assert result.values.tolist() == [5, 3, 1]
    assert [labels["n"] for labels in instant("bottomk(2, x)", source, 0).labels] == ["3", "0"]
    assert instant("topk(0, x)", source, 0).labels == ()
    with pytest.raises(EvaluationError, match="Parameter value is NaN"):
        instant("topk(NaN, x)", source, 0)


def test_topk_over_a_range_decides_ties_as_an_instant_does() -> None:
    numbers = [[1, 1, 2], [1, 2, 2], [2, 1, NAN], [2, 2, 2], [NAN, NAN, 1]]
    source = Memory(*(series(f"x,n={n}", every(10, *row)) for n, row in enumerate(numbers)))
    for operator in ("topk", "bottomk"):
        for k in (1, 2, 3):
            matrix = ranged(f"{operator}({k}, x)", source, 0, 20, 10)
            for time in (0, 10, 20):
                alone = {labels["n"] for labels in instant(f"{operator}({k}, x)", source, time).labels}
                together = {one.labels["n"] for one in matrix.series if time * 1000 in one.timestamps}
                assert together == alone


def test_quantiles_sort_nan_first_and_warn_outside_of_their_range() -> None:
    source = Memory(series("x", every(10, 3, NAN, 1, 2)))
    assert math.isnan(values("quantile_over_time(0, x[1m])", source, 30)["{}"])
    assert values("quantile_over_time(1, x[1m])", source, 30) == {"{}": 3}
    result = instant("quantile_over_time(2, x[1m])", source, 30)
    assert result.values.tolist() == [math.inf]
    assert result.warnings == ("PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)",)


def test_histogram_quantile_interpolates_and_repairs_counts() -> None:
    def buckets(*counts: float) -> Memory:
        bounds = ("0.1", "1", "+Inf")
        return Memory(*(series(f"h_bucket,le={b}", [(0, c)]) for b, c in zip(bounds, counts, strict=True)))

    assert values("histogram_quantile(0.5, h_bucket)", buckets(2, 6, 8), 0)["{}"] == pytest.approx(0.1 + 0.9 * 0.5)
    assert values("histogram_quantile(0.99, h_bucket)", buckets(2, 6, 8), 0) == {"{}": 1}
    assert values("histogram_fraction(0, 0.1, h_bucket)", buckets(2, 6, 8), 0) == {"{}": 0.25}
    result = instant("histogram_quantile(0.5, h_bucket)", buckets(6, 2, 8), 0)
    assert "".join(result.infos) == (
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), from buckets 1 to 1, "
        "with a max diff of 4, over 1 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z (1:25)"
    )


def test_a_rate_of_a_gauge_is_noted_with_its_place() -> None:
    source = Memory(series("temperature", every(10, 1, 2, 3)))
    result = instant("sum(\n  rate(temperature[1m]))", source, 20)
    assert "".join(result.infos) == (
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
        '"temperature" (2:8)'
    )


def test_absent_takes_labels_from_equality_matchers() -> None:
    source = Memory()
    assert values('absent(x{a="1", b=~"2", c="3", c="4"})', source) == {"{a=1}": 1}
    assert values("absent(sum(x))", source) == {"{}": 1}
    assert values('absent_over_time(x{a="1"}[5m])', source) == {"{a=1}": 1}
    assert values("absent(x)", Memory(series("x", [(600, 1)]))) == {}


def test_labels_are_replaced_and_joined() -> None:
    source = Memory(series("x,a=host-12,b=q", [(0, 1)]))
    replaced = 'label_replace(x, "c", "${n}/$1/$$", "a", "(?P<n>[a-z]+)-(.*)")'
    assert values(replaced, source, 0) == {"x{a=host-12,b=q,c=host/host/$}": 1}
    assert values('label_replace(x, "a", "", "a", ".*")', source, 0) == {"x{b=q}": 1}
    assert values('label_replace(x, "c", "no", "a", "host")', source, 0) == {"x{a=host-12,b=q}": 1}
    assert values('label_join(x, "c", "+", "a", "b", "missing")', source, 0) == {"x{a=host-12,b=q,c=host-12+q+}": 1}


def test_dates() -> None:
    # 29 February 2024, a Thursday, 13:45:10.
    at = 1_709_214_310
    source = Memory()
    parts = {
        "minute": 45, "hour": 13, "day_of_month": 29, "day_of_week": 4, "day_of_year": 60, "days_in_month": 29,
        "month": 2, "year": 2024,
    }  # fmt: skip
    for name, expected in parts.items():
        assert values(f"{name}()", source, at) == {"{}": expected}
        assert values(f"{name}(vector({at}))", source, 0) == {"{}": expected}
    assert values("year(vector(-1))", source, 0) == {"{}": 1969}


def test_scalars_and_strings() -> None:
    source = Memory(series("x,n=1", [(0, 1)]), series("x,n=2", [(0, 2)]))
    assert instant("2 ^ 3 ^ 2 - -1", source) == Scalar(600_000, 513.0)
    assert instant("(('a\\x62'))", source) == String(600_000, "ab")
    assert math.isnan(instant("scalar(x)", source, 0).value)
    assert instant('scalar(x{n="2"})', source, 0) == Scalar(0, 2.0)
    assert instant("1h30m", source) == Scalar(600_000, 5400.0)
    matrix = ranged("time() % 100", source, 0, 150, 50)
    assert matrix.series[0].labels == {}
    assert matrix.series[0].values.tolist() == [0, 50, 0, 50]


def test_a_range_query_of_a_range_vector_is_refused() -> None:
    with pytest.raises(EvaluationError, match="must be Scalar or instant Vector"):
        ranged("x[5m]", Memory(), 0, 60, 15)


def test_sort_is_for_instants() -> None:
    source = Memory(*(series(f"x,n={n}", [(0, value)]) for n, value in enumerate([2, NAN, 3, 1])))
    assert [labels["n"] for labels in instant("sort(x)", source, 0).labels] == ["3", "0", "2", "1"]
    assert [labels["n"] for labels in instant("sort_desc(x)", source, 0).labels] == ["2", "0", "3", "1"]
    assert "sort is ineffective" in ranged("sort(x)", source, 0, 30, 15).warnings[0]


def test_count_values_writes_numbers_as_go_does() -> None:
    source = Memory(*(series(f"x,n={n}", [(0, value)]) for n, value in enumerate([1, 1, 1e21, 0.5, NAN, math.inf])))
    assert values('count_values("v", x)', source, 0) == {
        "{v=1}": 2, "{v=1000000000000000000000}": 1, "{v=0.5}": 1, "{v=NaN}": 1, "{v=+Inf}": 1,
    }  # fmt: skip


def test_utf8_names() -> None:
    source = Memory(series("my.metric,dépôt=é", [(0, 1)]))
    assert values('{"my.metric"}', source, 0) == {"my.metric{dépôt=é}": 1}
    assert values('sum by ("dépôt") ({"my.metric", "dépôt"="é"})', source, 0) == {"{dépôt=é}": 1}
