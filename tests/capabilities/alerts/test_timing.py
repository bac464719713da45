"""When rules are evaluated, and durations."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_serving.capabilities.alerts.evaluation.timing import last_until, missed_between, next_after, offset_of
from luna_serving.capabilities.alerts.rules.durations import milliseconds, written

ids, intervals, times = st.uuids(), st.integers(1_000, 86_400_000), st.integers(0, 2**42)


@given(ids, intervals, times)
def test_instants_are_those_of_the_rule(rule_id: uuid.UUID, interval: int, now: int) -> None:
    after, until = next_after(rule_id, interval, now), last_until(rule_id, interval, now)
    assert until <= now < after == until + interval
    assert after % interval == offset_of(rule_id, interval)


def test_rules_are_spread_over_their_interval() -> None:
    offsets = [offset_of(uuid.UUID(int=i), 15_000) for i in range(1_500)]
    per_second = [sum(offset // 1_000 == second for offset in offsets) for second in range(15)]
    assert min(per_second) > 50


def test_missed_evaluations_are_counted() -> None:
    assert missed_between(10_000, 10_000, 5_000) == 0
    assert missed_between(10_000, 25_000, 5_000) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15s", 15_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("100ms", 100),
        ("5m10ms", 300_010),
        (1.5, 1_500),
        ("0", 0),
    ],
)
def test_durations(text: str | float, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "m5", "5m1h", "-1s", "2y", -1, 1e300, float("nan"), "1 s", "99999999999999y"]
)
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="duration"):
        milliseconds(text)


@given(st.integers(0, 31_536_000_000))
def test_a_duration_is_read_as_it_is_written(duration: int) -> None:
    assert milliseconds(written(duration)) == duration
