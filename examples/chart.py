"""A price chart as SVG: panels that share an axis of time. No library, no script; light and dark."""

import math
from collections.abc import Collection, Iterable, Sequence
from html import escape

WIDTH, LEFT, RIGHT, TOP, GAP, BOTTOM = 960, 12, 64, 40, 14, 28
STYLE = """
svg { background: #ffffff; font: 12px system-ui, sans-serif; }
text { fill: #57606a; } .title { fill: #1f2328; font-size: 15px; font-weight: 600; } .right { text-anchor: middle; }
.grid { stroke: #e8eaed; } .frame { stroke: #d0d4d9; fill: none; } .level { stroke: #9aa2ab; stroke-dasharray: 4 4; }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .band { fill: #6b7a90; fill-opacity: 0.13; }
.edge { fill: none; stroke: #6b7a90; stroke-opacity: 0.5; }
.up { fill: #15803d; stroke: #15803d; } .down { fill: #c2413a; stroke: #c2413a; }
.bar-up { fill: #15803d; fill-opacity: 0.4; } .bar-down { fill: #c2413a; fill-opacity: 0.4; }
.blue { stroke: #2563eb; } .orange { stroke: #d97706; } .purple { stroke: #7c3aed; }
text.blue { fill: #2563eb; stroke: none; } text.orange { fill: #b45309; stroke: none; }
text.purple { fill: #7c3aed; stroke: none; }
@media (prefers-color-scheme: dark) {
  svg { background: #16191d; } text { fill: #9aa4b0; } .title { fill: #e6e9ed; }
  .grid { stroke: #262b31; } .frame { stroke: #3a4149; } .band { fill: #93a3b8; }
}
"""
Line = Sequence[float | None]


class Chart:
    """Panels from top to bottom; each bar has its place on the axis of time, gaps between days have none."""

    def __init__(self, days: Sequence[str], title: str) -> None:
        self._days = days
        self._height = TOP
        self._step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
        self._title = title
        self._panels: list[Panel] = []

    def panel(self, height: int, lines: Iterable[Line], ticks: Collection[float] = ()) -> "Panel":
        """Add a panel that has room for these lines, with labels at `ticks` or at round numbers."""
        known = [value for line in lines for value in line if value is not None]
        panel = Panel(self._height, height, self._step, (min(known, default=0), max(known, default=1)), ticks)
        self._panels.append(panel)
        self._height += height + GAP
        return panel

    def svg(self) -> str:
        """The document."""
        bottom = self._height - GAP
        marks = []
        for i, day in enumerate(self._days):
            # The first bar of a month; the first month of a chart is rarely whole.
            if i and day[:7] != self._days[i - 1][:7]:
                x = LEFT + i * self._step
                marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
                marks.append(f'<text x="{x:.1f}" y="{bottom + 18}" class="right">{day[:7]}</text>')
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + BOTTOM}" role="img"'
        name = escape(self._title)
        parts = [
            f'{head} width="{WIDTH}" height="{bottom + BOTTOM}"><title>{name}</title><style>{STYLE}</style>',
            f'<text class="title" x="{LEFT}" y="25">{name}</text>',
            *marks,
            *(part for panel in self._panels for part in panel.parts()),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"


class Panel:
    """One axis of values."""

    def __init__(self, top: int, height: int, step: float, span: tuple[float, float], ticks: Collection[float]) -> None:
        low, high = span
        room = (high - low or 1.0) * 0.06
        self._top, self._height, self._step = top, height, step
        self._low, self._high = low - room, high + room
        self._ticks = ticks or _round_numbers(self._low, self._high, height / 45)
        self._drawn: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def line(self, values: Line, colour: str, name: str) -> None:
        """Draw a line that breaks where a value is missing."""
        self._drawn.append(f'<path class="line {colour}" d="{self._path(values)}"/>')
        self._legend.append((colour, name))

    def band(self, lower: Line, upper: Line, name: str) -> None:
        """Fill the space between two lines, where both are known."""
        known = [i for i, pair in enumerate(zip(lower, upper, strict=True)) if None not in pair]
        if not known:
            return
        corners = [self._point(i, upper[i]) for i in known] + [self._point(i, lower[i]) for i in reversed(known)]
        self._drawn.append(f'<polygon class="band" points="{" ".join(corners)}"/>')
        self._drawn += [f'<path class="edge" d="{self._path(edge)}"/>' for edge in (lower, upper)]
        self._legend.append(("", name))

    def candles(self, opened: Line, high: Line, low: Line, close: Line) -> None:
        """Draw a bar from open to close, and a line from low to high."""
        wide = max(self._step * 0.64, 1)
        for i, (o, h, l, c) in enumerate(zip(opened, high, low, close, strict=True)):  # noqa: E741
            if o is None or h is None or l is None or c is None:
                continue
            x, top = self._x(i), self._y(max(o, c))
            self._drawn.append(
                f'<g class="{"up" if c >= o else "down"}">'
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self._y(h):.1f}" y2="{self._y(l):.1f}"/>'
                f'<rect stroke="none" x="{x - wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" '
                f'height="{max(self._y(min(o, c)) - top, 1):.1f}"/></g>'
            )

    def bars(self, values: Line) -> None:
        """Draw bars from zero."""
        wide, zero = max(self._step * 0.64, 1), self._y(0)
        for i, value in enumerate(values):
            if value is not None:
                y = self._y(value)
                self._drawn.append(
                    f'<rect class="bar-{"up" if value >= 0 else "down"}" x="{self._x(i) - wide / 2:.1f}" '
                    f'y="{min(y, zero):.1f}" width="{wide:.1f}" height="{abs(y - zero):.1f}"/>'
                )

    def level(self, value: float) -> None:
        """Draw a dashed line."""
        y = self._y(value)
        self._drawn.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')

    def parts(self) -> Iterable[str]:
        """Grid, frame, what was drawn, labels and legend."""
        right = WIDTH - RIGHT
        for tick in self._ticks:
            y = self._y(tick)
            yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{right + 8}" y="{y + 4:.1f}">{tick:g}</text>'
        yield from self._drawn
        yield f'<rect class="frame" x="{LEFT}" y="{self._top}" width="{right - LEFT}" height="{self._height}"/>'
        x = LEFT + 8
        for colour, name in self._legend:
            yield f'<text class="{colour}" x="{x}" y="{self._top + 16}">{escape(name)}</text>'
            x += 7 * len(name) + 16

    def _path(self, values: Line) -> str:
        commands = []
        for i, value in enumerate(values):
            if value is not None:
                command = "L" if i and values[i - 1] is not None else "M"
                commands.append(command + self._point(i, value))
        return " ".join(commands)

    def _point(self, i: int, value: float | None) -> str:
        return f"{self._x(i):.1f},{self._y(value or 0.0):.1f}"

    def _x(self, i: int) -> float:
        return LEFT + (i + 0.5) * self._step

    def _y(self, value: float) -> float:
        return self._top + self._height * (self._high - value) / (self._high - self._low)


def _round_numbers(low: float, high: float, most: float) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten between the ends, about so many."""
    rough = (high - low) / max(most, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    return [round(i * step, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
