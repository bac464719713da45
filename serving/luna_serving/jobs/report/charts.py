"""Charts as SVG: pure functions from numbers to markup, whose size does not grow with the data.

Colours are variables of the page (`page.css`) with values of their own for an SVG that stands alone. Every chart has a
title and a description, which screen readers say; the latter should tell what a reader sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from luna_serving.jobs.report.frame import (
    BOTTOM,
    HEIGHT,
    MOST_BARS,
    MOST_LABELS,
    MOST_MARKS,
    MOST_SERIES,
    TOP,
    WIDTH,
    Frame,
    Number,
    Svg,
    colour,
    columns,
    dashes,
    drawing,
    short,
    span,
    wrapped,
)
from luna_serving.jobs.report.numbers import labels, number, ticks


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
    frame = Frame.of(span(x), span(values))
    drawn = [
        f'<path class="band" fill="{colour(0)}" fill-opacity="{0.16 + 0.14 * i:.2f}" d="{_area(frame, x, band)}"/>'
        for i, band in enumerate(bands)
    ]
    drawn += [
        f'<path fill="none" stroke="{colour(i)}" stroke-width="2" stroke-linejoin="round" '
        f'stroke-dasharray="{dashes(i)}" d="{_line(frame, x, each.y)}"/>'
        for i, each in enumerate(shown)
    ]
    keys = [(each.name, colour(i), 1.0) for i, each in enumerate(shown)]
    through = 1.0
    for i, each in enumerate(bands):
        # A band lies over the wider ones.
        through *= 1.0 - (0.16 + 0.14 * i)
        keys.append((each.name, colour(0), 1.0 - through))
    return drawing(title, description, frame, drawn, keys if len(keys) > 1 else [], x_label, y_label)


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
    across = span([v for each in shown for v in each.x])
    frame = Frame.of(across, span([v for each in shown for v in each.y]))
    drawn = []
    for i, each in enumerate(shown):
        spots = [(frame.across(x), frame.down(y)) for x, y in zip(each.x, each.y, strict=True)]
        if each.joined and spots:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
            drawn.append(f'<path fill="none" stroke="{colour(i)}" stroke-width="2" d="{path}"/>')
            continue
        for place, (x, y) in enumerate(spots[:MOST_MARKS]):
            name = each.names[place] if place < len(each.names) else each.name
            drawn.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour(i)}"><title>{escape(name)}</title></circle>'
            )
            if each.names and len(spots) <= MOST_LABELS:
                anchor, by = ("end", -7) if x > WIDTH / 2 else ("start", 7)
                drawn.append(f'<text x="{x + by:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{short(name, 16)}</text>')
    keys = [(each.name, colour(i), 1.0) for i, each in enumerate(shown)]
    return drawing(title, description, frame, drawn, keys if len(keys) > 1 else [], x_label, y_label)


def histogram(
    title: str, description: str, values: Sequence[Number], *, x_label: str = "", y_label: str = "count"
) -> Svg:
    """How often values fall into bins of equal width with round bounds (about as many as Sturges' rule says)."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    low, high = span(known)
    bounds = ticks(low, high, min(MOST_BARS, 1 + math.ceil(math.log2(max(1, len(known))))))
    step = bounds[1] - bounds[0]
    counts = [0] * (len(bounds) - 1)
    for value in known:
        counts[min(len(counts) - 1, max(0, math.floor((value - bounds[0]) / step)))] += 1
    frame = Frame.of_bins(bounds, max(counts))
    edges = labels(bounds)
    bars = [
        _bar(frame, bounds[i], bounds[i + 1], float(count), f"{edges[i]} to {edges[i + 1]}: {number(count)}")
        for i, count in enumerate(counts)
        if count
    ]
    return drawing(title, description, frame, bars, [], x_label, y_label)


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
    across = span([bounds[0], bounds[-1], *(each.at for each in shown)])
    frame = Frame.of(across, (0.0, max(1.0, *counts)))
    drawn = [
        _bar(frame, bounds[i], bounds[i + 1], float(count), f"{number(bounds[i], 4)} to {number(bounds[i + 1], 4)}")
        for i, count in enumerate(counts)
        if count
    ]
    for i, each in enumerate(shown, 1):
        x = frame.across(each.at)
        drawn.append(
            f'<path stroke="{colour(i)}" stroke-width="2" stroke-dasharray="{dashes(i)}" '
            f'd="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        )
    keys = [(f"{each.name}: {number(each.at, 4)}", colour(i), 1.0) for i, each in enumerate(shown, 1)]
    return drawing(title, description, frame, drawn, keys, x_label, y_label)


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
            f'<text x="{left}" y="{y + 15}">{short(name, 54)}</text>'
            f'<rect x="{left}" y="{y + 20}" width="{width:.1f}" height="16" rx="2" fill="{colour(0)}"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 33}">{number(value)}</text>'
        )
    if x_label:
        parts.append(f'<text x="{left}" y="{height - 6}" class="label">{escape(x_label)}</text>')
    return wrapped(title, description, height, "".join(parts))


def _line(frame: Frame, x: Sequence[float], y: Sequence[Number]) -> str:
    path, broken = [], True
    for begin, end in columns(min(len(x), len(y))):
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


def _area(frame: Frame, x: Sequence[float], band: Band) -> str:
    upper, lower = [], []
    for begin, end in columns(min(len(x), len(band.low), len(band.high))):
        pairs = list(zip(band.low[begin:end], band.high[begin:end], strict=True))
        known = [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
        if known:
            across = f"{frame.across(x[begin]):.1f}"
            lower.append(f"{across} {frame.down(min(a for a, _ in known)):.1f}")
            upper.append(f"{across} {frame.down(max(b for _, b in known)):.1f}")
    return f"M{'L'.join(upper + lower[::-1])}Z" if upper else ""


def _bar(frame: Frame, low: float, high: float, value: float, text: str) -> str:
    x, top, bottom = frame.across(low), frame.down(value), frame.down(0.0)
    width = max(1.0, frame.across(high) - x - 1.5)
    return (
        f'<rect x="{x + 0.75:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" fill="{colour(0)}">'
        f"<title>{escape(text)}</title></rect>"
    )
