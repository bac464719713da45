"""Charts as SVG: pure functions from numbers to markup, whose size does not grow with the data.

Colours are variables of the page (`page.css`) with values of their own for an SVG that stands alone. Every chart has a
title and a description, which screen readers say; the latter should tell what a reader sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, NewType

from luna_serving.jobs.report.numbers import labels, number, ticks

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
class Series:
    """A line. Missing and infinite values leave gaps."""

    name: str
    y: Sequence[Number]


@dataclass(frozen=True, slots=True)
class Band:
    """An area between two lines, such as the middle 80 % of paths."""

    name: str
    low: Sequence[Number]
    high: Sequence[Number]


@dataclass(frozen=True, slots=True)
class Mark:
    """A value on the horizontal axis, drawn as an upright line."""

    name: str
    at: float


def line_chart(
    title: str,
    description: str,
    x: Sequence[float],
    series: Sequence[Series],
    *,
    bands: Sequence[Band] = (),
    x_label: str = "",
    y_label: str = "",
) -> Svg:
    """Lines over a common axis, with bands behind them: a fan chart if these are quantiles.

    Args:
        title: what is shown.
        description: what a reader sees in it.
        x: increasing.
        series: at most `MOST_SERIES` lines, each with a value per `x`.
        bands: the widest first.
        x_label: the quantity and unit of `x`.
        y_label: those of the values.
    """
    shown = series[:MOST_SERIES]
    values = [v for each in shown for v in each.y] + [v for each in bands for v in (*each.low, *each.high)]
    frame = _Frame.of(_span(x), _span(values))
    drawn = [
        f'<path class="band" fill="{_colour(0)}" fill-opacity="{0.16 + 0.14 * i:.2f}" d="{_area(frame, x, band)}"/>'
        for i, band in enumerate(bands)
    ]
    drawn += [
        f'<path fill="none" stroke="{_colour(i)}" stroke-width="2" stroke-linejoin="round" '
        f'stroke-dasharray="{_dashes(i)}" d="{_line(frame, x, each.y)}"/>'
        for i, each in enumerate(shown)
    ]
    keys = [(each.name, _colour(i), 1.0) for i, each in enumerate(shown)]
    through = 1.0
    for i, each in enumerate(bands):
        # A band lies over the wider ones.
        through *= 1.0 - (0.16 + 0.14 * i)
        keys.append((each.name, _colour(0), 1.0 - through))
    return _svg(title, description, frame, drawn, keys if len(keys) > 1 else [], x_label, y_label)


@dataclass(frozen=True, slots=True)
class Points:
    """Places in a plane: a curve through them if `joined`, else a mark each."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    names: Sequence[str] = ()
    """Of the places, which a reader sees beside the marks."""
    joined: bool = False


def plane_chart(title: str, description: str, places: Sequence[Points], *, x_label: str = "", y_label: str = "") -> Svg:
    """Curves and marks in a plane, such as an efficient frontier with the assets; at most `MOST_SERIES` of them."""
    shown = places[:MOST_SERIES]
    across = _span([v for each in shown for v in each.x])
    frame = _Frame.of(across, _span([v for each in shown for v in each.y]))
    drawn = []
    for i, each in enumerate(shown):
        spots = [(frame.across(x), frame.down(y)) for x, y in zip(each.x, each.y, strict=True)]
        if each.joined and spots:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
            drawn.append(f'<path fill="none" stroke="{_colour(i)}" stroke-width="2" d="{path}"/>')
            continue
        for place, (x, y) in enumerate(spots[:MOST_MARKS]):
            name = each.names[place] if place < len(each.names) else each.name
            drawn.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_colour(i)}"><title>{escape(name)}</title></circle>'
            )
            if each.names and len(spots) <= MOST_LABELS:
                anchor, by = ("end", -7) if x > WIDTH / 2 else ("start", 7)
                drawn.append(f'<text x="{x + by:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{_short(name, 16)}</text>')
    keys = [(each.name, _colour(i), 1.0) for i, each in enumerate(shown)]
    return _svg(title, description, frame, drawn, keys if len(keys) > 1 else [], x_label, y_label)


def histogram(
    title: str, description: str, values: Sequence[Number], *, x_label: str = "", y_label: str = "count"
) -> Svg:
    """How often values fall into bins of equal width with round bounds (about as many as Sturges' rule says)."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    low, high = _span(known)
    bounds = ticks(low, high, min(MOST_BARS, 1 + math.ceil(math.log2(max(1, len(known))))))
    step = bounds[1] - bounds[0]
    counts = [0] * (len(bounds) - 1)
    for value in known:
        counts[min(len(counts) - 1, max(0, math.floor((value - bounds[0]) / step)))] += 1
    frame = _Frame.of_bins(bounds, max(counts))
    edges = labels(bounds)
    bars = [
        _bar(frame, bounds[i], bounds[i + 1], float(count), f"{edges[i]} to {edges[i + 1]}: {number(count)}")
        for i, count in enumerate(counts)
        if count
    ]
    return _svg(title, description, frame, bars, [], x_label, y_label)


def counted(
    title: str,
    description: str,
    bounds: Sequence[float],
    counts: Sequence[float],
    *,
    marks: Sequence[Mark] = (),
    x_label: str = "",
    y_label: str = "count",
) -> Svg:
    """Bars over bins that were counted elsewhere, and marks among them.

    Args:
        title: what is shown.
        description: what a reader sees in it.
        bounds: of the bins, increasing, one more than there are.
        counts: of each bin, not negative.
        marks: at most `MOST_SERIES` - 1.
        x_label: the quantity and unit of the bounds.
        y_label: what is counted.
    """
    shown = marks[: MOST_SERIES - 1]
    span = _span([bounds[0], bounds[-1], *(each.at for each in shown)])
    frame = _Frame.of(span, (0.0, max(1.0, *counts)))
    drawn = [
        _bar(frame, bounds[i], bounds[i + 1], float(count), f"{number(bounds[i], 4)} to {number(bounds[i + 1], 4)}")
        for i, count in enumerate(counts)
        if count
    ]
    for i, each in enumerate(shown, 1):
        x = frame.across(each.at)
        drawn.append(
            f'<path stroke="{_colour(i)}" stroke-width="2" stroke-dasharray="{_dashes(i)}" '
            f'd="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        )
    keys = [(f"{each.name}: {number(each.at, 4)}", _colour(i), 1.0) for i, each in enumerate(shown, 1)]
    return _svg(title, description, frame, drawn, keys, x_label, y_label)


def bar_chart(title: str, description: str, bars: Sequence[tuple[str, float]], *, x_label: str = "") -> Svg:
    """Horizontal bars with their names and values; at most `MOST_BARS`, not negative."""
    shown = [(name, max(0.0, value)) for name, value in bars[:MOST_BARS] if math.isfinite(value)]
    most = max((value for _, value in shown), default=0.0) or 1.0
    row, left, right = 42, 4, 70
    height = row * max(1, len(shown)) + (22 if x_label else 4)
    parts = []
    for i, (name, value) in enumerate(shown):
        y = i * row
        width = max(1.0, (WIDTH - left - right) * value / most)
        # The name above its bar: there it has room.
        parts.append(
            f'<text x="{left}" y="{y + 15}">{_short(name, 54)}</text>'
            f'<rect x="{left}" y="{y + 20}" width="{width:.1f}" height="16" rx="2" fill="{_colour(0)}"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 33}">{number(value)}</text>'
        )
    if x_label:
        parts.append(f'<text x="{left}" y="{height - 6}" class="label">{escape(x_label)}</text>')
    return _wrapped(title, description, height, "".join(parts))


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plane of a chart: from values to pixels."""

    x: tuple[float, float]
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]

    @classmethod
    def of(cls, x: tuple[float, float], y: tuple[float, float]) -> "_Frame":
        low, high = x if x[1] > x[0] else (x[0] - 0.5, x[0] + 0.5)
        marks = [each for each in ticks(low, high, 5) if low <= each <= high]
        return cls((low, high), tuple(marks), tuple(ticks(*y, 5)))

    @classmethod
    def of_bins(cls, bounds: Sequence[float], most: int) -> "_Frame":
        """For counts of bins, whose bounds are the ticks, as many as have room."""
        every = math.ceil((len(bounds) - 1) / 6)
        counts = [each for each in ticks(0.0, float(max(1, most)), 5) if each == int(each)]
        return cls((bounds[0], bounds[-1]), tuple(bounds[::every]), tuple(counts))

    def across(self, value: float) -> float:
        low, high = self.x
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def down(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def _span(values: Sequence[Number]) -> tuple[float, float]:
    known = [v for v in values if v is not None and math.isfinite(v)]
    return (min(known), max(known)) if known else (0.0, 1.0)


def _columns(count: int) -> list[tuple[int, int]]:
    """Ranges of indices that are drawn together."""
    if count <= COLUMNS:
        return [(i, i + 1) for i in range(count)]
    return [(i * count // COLUMNS, (i + 1) * count // COLUMNS) for i in range(COLUMNS)]


def _line(frame: _Frame, x: Sequence[float], y: Sequence[Number]) -> str:
    path, broken = [], True
    for begin, end in _columns(min(len(x), len(y))):
        known = [v for v in y[begin:end] if v is not None and math.isfinite(v)]
        if not known:
            broken = True
            continue
        across = frame.across(x[begin])
        # Where points fall together the line spans them, so that no peak is lost.
        points = [known[0]] if len(known) == 1 else [known[0], min(known), max(known), known[-1]]
        if broken:
            path.append(f"M{across:.1f} {frame.down(points[0]):.1f}h.1")
        path += [f"L{across:.1f} {frame.down(v):.1f}" for v in points[0 if not broken else 1 :]]
        broken = False
    return "".join(path)


def _area(frame: _Frame, x: Sequence[float], band: Band) -> str:
    upper, lower = [], []
    for begin, end in _columns(min(len(x), len(band.low), len(band.high))):
        pairs = list(zip(band.low[begin:end], band.high[begin:end], strict=True))
        known = [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
        if known:
            across = f"{frame.across(x[begin]):.1f}"
            lower.append(f"{across} {frame.down(min(a for a, _ in known)):.1f}")
            upper.append(f"{across} {frame.down(max(b for _, b in known)):.1f}")
    return f"M{'L'.join(upper + lower[::-1])}Z" if upper else ""


def _bar(frame: _Frame, low: float, high: float, value: float, text: str) -> str:
    x, top, bottom = frame.across(low), frame.down(value), frame.down(0.0)
    width = max(1.0, frame.across(high) - x - 1.5)
    return (
        f'<rect x="{x + 0.75:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" fill="{_colour(0)}">'
        f"<title>{escape(text)}</title></rect>"
    )


def _svg(
    title: str,
    description: str,
    frame: _Frame,
    drawn: Sequence[str],
    keys: Sequence[tuple[str, str, float]],
    x_label: str,
    y_label: str,
) -> Svg:
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
    return _wrapped(title, description, height + (4 if keys else 0), "".join(parts))


def _wrapped(title: str, description: str, height: int, parts: str) -> Svg:
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" font-size="13" '
        f'font-family="system-ui, sans-serif" fill="var(--ink, #1c2126)">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{parts}</svg>"
    )


def _colour(i: int) -> str:
    return f"var(--series-{i + 1}, {COLOURS[i]})"


def _dashes(i: int) -> str:
    # Not by colour alone.
    return ("none", "6 3", "2 3", "8 3 2 3", "12 4", "1 4")[i]


def _short(text: str, most: int) -> str:
    return escape(text if len(text) <= most else text[: most - 1] + "…")
