"""Intervals: when a bar ends, and which interval a spacing is."""

from datetime import UTC, datetime, timedelta

import pytest

from luna_serving.prices.intervals import Interval, closed, of_spacing


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1m", "2024-02-29T23:59", "2024-03-01T00:00"),
        ("4h", "2024-02-29T20:00", "2024-03-01T00:00"),
        ("1d", "2024-02-28T00:00", "2024-02-29T00:00"),
        ("1w", "2024-12-30T00:00", "2025-01-06T00:00"),
        ("1mo", "2024-01-31T00:00", "2024-02-01T00:00"),
        ("1mo", "2024-12-01T00:00", "2025-01-01T00:00"),
    ],
)
def test_a_bar_ends_when_the_next_begins(interval: str, start: str, end: str) -> None:
    begun, over = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, end))
    assert Interval(interval).end(begun) == over
    assert closed(Interval(interval), begun, over)
    assert not closed(Interval(interval), begun, over - timedelta(microseconds=1))


@pytest.mark.parametrize("interval", ["1d", "1w", "1mo"])
def test_a_bar_that_ends_after_the_last_year_is_open(interval: str) -> None:
    assert not closed(Interval(interval), datetime(9999, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    ("spacing", "interval"),
    [
        (timedelta(seconds=1), "1m"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=7), "5m"),
        (timedelta(hours=1), "1h"),
        (timedelta(days=1), "1d"),
        (timedelta(days=3), "1d"),
        (timedelta(days=7), "1w"),
        (timedelta(days=31), "1mo"),
        (timedelta(days=92), "1mo"),
    ],
)
def test_a_spacing_is_the_longest_interval_that_fits(spacing: timedelta, interval: str) -> None:
    assert of_spacing(spacing) == Interval(interval)
