"""Charts: well-formed, of bounded size, honest about gaps and peaks."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from luna_serving.jobs.report.charts import Band, Series, bar_chart, histogram, line_chart
from luna_serving.jobs.report.frame import Svg
from luna_serving.jobs.report.numbers import MINUS, MISSING, labels, number, seconds, size, ticks

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: Svg) -> ET.Element:
    root = ET.fromstring(svg)
    assert [child.tag for child in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert root.attrib["role"] == "img"
    for each in root.iter():
        assert not {"style", "onload", "href"} & set(each.attrib)
        for value in each.attrib.values():
            assert "nan" not in value
            assert "inf" not in value
    return root


@pytest.mark.parametrize("y", [[], [None], [1.0], [1.0, None, math.nan, math.inf, 2.0], [3.0] * 50, [0.0, 1e300]])
def test_any_series_can_be_drawn(y: list[float | None]) -> None:
    x = [float(i) for i in range(len(y))]
    parsed(line_chart("t", "d", x, [Series("a", y)], bands=[Band("b", y, y)]))
    parsed(histogram("t", "d", y))


def test_text_cannot_leave_its_place() -> None:
    evil = '</svg><script>alert("x")</script>&'
    for svg in (
        line_chart(evil, evil, [1, 2], [Series(evil, [1, 2]), Series("b", [1, 2])], x_label=evil, y_label=evil),
        histogram(evil, evil, [1, 2], x_label=evil),
        bar_chart(evil, evil, [(evil, 1)], x_label=evil),
    ):
        assert parsed(svg)[0].text == evil
        assert "<script" not in svg


def test_a_million_points_are_as_small_as_a_thousand_and_keep_their_peak() -> None:
    y = [0.0] * 1_000_000
    y[777_777] = 5.0
    svg = line_chart("t", "d", range(len(y)), [Series("a", y)], bands=[Band("b", y, y)])
    assert len(svg) < 40_000
    heights = [float(each) for each in re.findall(r"L[\d.]+ ([\d.]+)", svg)]
    assert min(heights) < 40 < max(heights), "the peak reaches the top"


def test_a_gap_is_not_bridged() -> None:
    svg = line_chart("t", "d", [1, 2, 3, 4, 5], [Series("a", [1, 2, None, 4, 5])])
    (path,) = [p.attrib["d"] for p in parsed(svg).iter(f"{SVG}path") if p.attrib.get("fill") == "none"]
    assert path.count("M") == 2


def test_a_histogram_counts_every_known_value_once() -> None:
    values = [0, 1, 1, 2.5, 10, 10, None, math.nan]
    bars = list(parsed(histogram("t", "d", values)).iter(f"{SVG}rect"))
    counts = [int(bar[0].text.rpartition(": ")[2]) for bar in bars]
    assert sum(counts) == 6


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-1, 1, [-1, -0.5, 0, 0.5, 1]), (3, 3, [1, 2, 3, 4, 5]), (1e6, 2e6, None)],
)
def test_ticks_are_round_and_cover_the_span(low: float, high: float, expected: list[float] | None) -> None:
    marks = ticks(low, high, 5)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert expected is None or marks == pytest.approx(expected)
    assert len(set(labels(marks))) == len(marks)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, MISSING),
        (math.nan, MISSING),
        (0, "0"),
        (1234567, "1,234,567"),
        (-12, f"{MINUS}12"),
        (3.14159, "3.142"),
        (-0.05, f"{MINUS}0.05"),
        (123456.7, "123,457"),
        (1.5e-7, f"1.5e{MINUS}7"),
        (2e12, "2e12"),
    ],
)
def test_numbers_are_written_as_people_read_them(value: float | None, written: str) -> None:
    assert number(value) == written


def test_durations_and_sizes_have_units() -> None:
    assert [seconds(each) for each in (None, 0.0123, 5.25, 75, 7260)] == [
        MISSING,
        "12 ms",
        "5.2 s",
        "1 min 15 s",
        "2 h 1 min",
    ]
    assert [size(each) for each in (12, 1500, 2_500_000)] == ["12 B", "1.5 kB", "2.5 MB"]
