"""Durations as Kubernetes writes them."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_operator.resources.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("5m", 300),
        ("2160h", 7_776_000),
        ("1h30m", 5400),
        ("36h30m15s", 131_415),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1m250ms", 60.25),
        ("87600h", 315_360_000),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.integers(0, 99_999), st.integers(0, 9_999_999), st.integers(0, 999_999_999))
def test_whatever_the_schema_accepts_can_be_read(hours: int, minutes: int, seconds: int) -> None:
    expected = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == expected


@pytest.mark.parametrize("text", ["", "1", "h", "1d", "90 s", " 1h", "1h ", "-1h", "1h-5m", "1,5h", "1h30", "PT1H"])
def test_what_is_none_is_refused_with_an_example(text: str) -> None:
    message = f"{text!r} is no duration; write hours, minutes and seconds, as in 2160h, 1h30m or 0s."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_duration(text)
