"""The runner of the scripts notices what it should."""

import math
import struct

import pytest
from tests.engines.promql.evaluating import Mismatch, check
from tests.engines.promql.promqltest import duration_ms, evaluations, parse_series

from luna_serving.engines.promql.series import STALE_BITS

LOAD = """load 1m
  a{x="1"} 1 2 3
  a{x="2"} 4 5 6
"""
RIGHT = """eval instant at 1m a
  a{x="1"} 2
  a{x="2"} 5

eval instant at 1m sort_desc(a)
  expect ordered
  a{x="2"} 5
  a{x="1"} 2

eval range from 0 to 2m step 1m sum(a)
  {} 5 7 9

eval instant at 1m scalar(sum(a))
  7

eval instant at 1m a{x="1"}[1m30s]
  expect range vector from 0 to 1m step 1m
  a{x="1"} 1 2

eval instant at 1m "text"
  expect string "text"

eval instant at 1m a + on () a
  expect fail regex: duplicate series

eval instant at 1m rate(a[2m])
  expect info regex: counter
  {x="1"} 0.0166666666666666
  {x="2"} 0.0166666666666666
"""
WRONG = [
    ('a{x="2"} 5\n\neval instant at 1m sort', 'a{x="2"} 5.00001\n\neval instant at 1m sort'),
    ('a{x="2"} 5\n\neval instant at 1m sort', "\neval instant at 1m sort"),
    ('a{x="1"} 2\n  a{x="2"} 5', 'a{x="1"} 2\n  a{x="2"} 5\n  a{x="3"} 5'),
    ('a{x="2"} 5\n  a{x="1"} 2', 'a{x="1"} 2\n  a{x="2"} 5'),
    ("{} 5 7 9", "{} 5 7"),
    ("{} 5 7 9", "{} 5 _ 9"),
    ("\n  7\n", "\n  8\n"),
    ("\n  7\n", "\n  {} 7\n"),
    ('"text"\n  expect', '"other text"\n  expect'),
    ('a{x="1"} 1 2', 'a{x="1"} 1 3'),
    ("regex: duplicate series", "regex: something else"),
    ("a + on () a", "a + a"),
    ("regex: counter", "regex: gauge"),
    ("expect info regex: counter", "expect no_info"),
    ("rate(a[2m])\n  expect info", "rate(a[2m])\n  expect warn"),
]


def run(script: str) -> None:
    for evaluation in evaluations(f"{LOAD}\n{script}", "script"):
        check(evaluation)


def test_a_right_script_passes() -> None:
    run(RIGHT)


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_a_wrong_expectation_fails(right: str, wrong: str) -> None:
    assert right in RIGHT
    with pytest.raises(Mismatch):
        run(RIGHT.replace(right, wrong, 1))


def test_points_of_a_series() -> None:
    labels, points = parse_series('a{b="c\\"d", "e f"="g"} 1 -2.5 1+2x3 _ 5x1 _x2 Inf 1-1x1 .5')
    assert labels == (("__name__", "a"), ("b", 'c"d'), ("e f", "g"))
    assert points == [1, -2.5, 1, 3, 5, 7, None, 5, 5, None, None, math.inf, 1, 0, 0.5]


def test_a_stale_point_is_the_marker() -> None:
    _, [point] = parse_series("a stale")
    assert point is not None
    assert math.isnan(point)
    assert struct.pack(">d", point) == STALE_BITS.to_bytes(8)


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("1h30m", 5_400_000), ("2d250ms", 172_800_250)])
def test_a_duration(text: str, expected: int) -> None:
    assert duration_ms(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m5", "1x", "1m 5s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_ms(text)
