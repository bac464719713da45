"""The frame of a chart: from values to pixels, with its axes, legend and words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, NewType

from luna_serving.jobs.report.numbers import labels, ticks

Svg = NewType("Svg", str)
"""Markup that is safe to put into a page."""
Number = float | None

WIDTH: Final = 440
HEIGHT: Final = 270
LEFT: Final = 62
RIGHT: Final = 14
TOP: Final = 30
BOTTOM: Final = 48
COLOURS: Final = ("#1f6fc5", "#b4540a", "#0f7b57", "#7a4fb5", "#a8324e", "#5d6b00")
# Horizontal positions at which a line is drawn at most; more points are drawn as the span of those that fall together.
COLUMNS: Final = 240
MOST_BARS: Final = 40
MOST_SERIES: Final = len(COLOURS)
GRID: Final = "var(--grid, #dde1e6)"
# Marks in a plane, and how many of them have room for their names.
MOST_MARKS: Final = 1_000
MOST_LABELS: Final = 24
# Characters of a name in the legend.
KEY_LENGTH: Final = 28


@dataclass(frozen=True, slots=True)
class Frame:
    """The plane of a chart: from values to pixels."""

    x: tuple[float, float]
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]

    @classmethod
    def of(cls, x: tuple[float, float], y: tuple[float, float]) -> "Frame":
        """For values in these ranges; a range without width is widened by a half on each side."""
        low, high = x if x[1] > x[0] else (x[0] - 0.5, x[0] + 0.5)
        marks = [each for each in ticks(low, high, 5) if low <= each <= high]
        return cls((low, high), tuple(marks), tuple(ticks(*y, 5)))

    @classmethod
    def of_bins(cls, bounds: Sequence[float], most: int) -> "Frame":
        """For counts of bins, whose bounds are the ticks, as many as have room."""
        every = math.ceil((len(bounds) - 1) / 6)
        counts = [each for each in ticks(0.0, float(max(1, most)), 5) if each == int(each)]
        return cls((bounds[0], bounds[-1]), tuple(bounds[::every]), tuple(counts))

    def across(self, value: float) -> float:
        """Pixels from the left of the picture."""
        low, high = self.x
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def down(self, value: float) -> float:
        """Pixels from the top of the picture."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def span(values: Sequence[Number]) -> tuple[float, float]:
    """The least and the largest value, without missing and infinite ones; 0 to 1 if there is none."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    return (min(known), max(known)) if known else (0.0, 1.0)


def columns(count: int) -> list[tuple[int, int]]:
    """Ranges of indices that are drawn together."""
    if count <= COLUMNS:
        return [(i, i + 1) for i in range(count)]
    return [(i * count // COLUMNS, (i + 1) * count // COLUMNS) for i in range(COLUMNS)]


def drawing(
    title: str,
    description: str,
    frame: Frame,
    drawn: Sequence[str],
    keys: Sequence[tuple[str, str, float]],
    x_label: str,
    y_label: str,
) -> Svg:
    """A chart: the frame's grid and ticks, what was drawn in it, labels of the axes, a legend.

    Args:
        title: what it shows.
        description: what a reader sees.
        frame: the plane.
        drawn: markup inside the plane.
        keys: of the legend: name, colour, opacity.
        x_label: of the horizontal axis.
        y_label: of the vertical one.
    """
    parts = []
    for mark, text in zip(frame.y_ticks, labels(frame.y_ticks), strict=True):
        y = frame.down(mark)
        parts.append(f'<path class="grid" stroke="{GRID}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for mark, text in zip(frame.x_ticks, labels(frame.x_ticks), strict=True):
        parts.append(
            f'<text x="{frame.across(mark):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{text}</text>'
        )
    parts += drawn
    if y_label:
        parts.append(f'<text class="label" x="4" y="14">{escape(y_label)}</text>')
    if x_label:
        parts.append(
            f'<text class="label" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(x_label)}</text>'
        )
    height = HEIGHT
    x = float(LEFT)
    for i, (name, colour, opacity) in enumerate(keys):
        text = name if len(name) <= KEY_LENGTH else name[: KEY_LENGTH - 1] + "…"
        width = 30 + 7.6 * len(text)
        if i == 0 or x + width > WIDTH:
            x, height = float(LEFT), height + 20
        parts.append(
            f'<rect x="{x:.0f}" y="{height - 16}" width="12" height="12" rx="2" fill="{colour}" '
            f'fill-opacity="{opacity:.2f}"/><text x="{x + 17:.0f}" y="{height - 6}">{escape(text)}</text>'
        )
        x += width
    return wrapped(title, description, height + (4 if keys else 0), "".join(parts))


def wrapped(title: str, description: str, height: int, parts: str) -> Svg:
    """An SVG element with a title and a description."""
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" font-size="13" '
        f'font-family="system-ui, sans-serif" fill="var(--ink, #1c2126)">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{parts}</svg>"
    )


def colour(i: int) -> str:
    """The colour of series i, from 0."""
    return f"var(--series-{i + 1}, {COLOURS[i]})"


def dashes(i: int) -> str:
    """The pattern of line i, from 0."""
    # Not by colour alone.
    return ("none", "6 3", "2 3", "8 3 2 3", "12 4", "1 4")[i]


def short(text: str, most: int) -> str:
    """Escaped text of at most so many characters."""
    return escape(text if len(text) <= most else text[: most - 1] + "…")
