"""Shows live series: a table that moves in a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console, Group

BARS: Final = "▁▂▃▄▅▆▇█"
POINTS: Final = 40
MOST_ALERTS: Final = 8


class Lines:
    """A line per value and per alert."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, message: Mapping[str, Any]) -> None:
        """Show a message."""
        for series in message.get("series", ()):
            print(f"{instant(series['timestamp'])}  {identity(series)}  {number(series)}", flush=True)  # noqa: T201
        if message["type"] == "alert":
            print(alert_line(message["alert"]), flush=True)  # noqa: T201

    def lost(self, reason: str) -> None:
        """Say that the connection was lost."""
        print(f"luna: connecting again: {reason}", file=sys.stderr, flush=True)  # noqa: T201


class JsonLines(Lines):
    """The messages as they are."""

    def show(self, message: Mapping[str, Any]) -> None:
        """Show a message."""
        print(orjson.dumps(message).decode(), flush=True)  # noqa: T201


class Table(Lines):
    """A table of series with their last values and a sparkline, drawn in place."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._history: dict[str, deque[float]] = {}
        self._last: dict[str, Mapping[str, Any]] = {}
        self._alerts: deque[str] = deque(maxlen=MOST_ALERTS)
        self._status = "connecting"
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self._drawn)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, message: Mapping[str, Any]) -> None:
        """Show a message."""
        self._status = "live"
        for series in message.get("series", ()):
            key = identity(series)
            self._last[key] = series
            if series["value"] is not None:
                self._history.setdefault(key, deque(maxlen=POINTS)).append(series["value"])
        if message["type"] == "alert":
            self._alerts.append(alert_line(message["alert"]))
        self._live.refresh()

    def lost(self, reason: str) -> None:
        """Say that the connection was lost."""
        self._status = f"connecting again: {reason}"
        self._live.refresh()

    def _drawn(self) -> Group:
        from rich import box
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid("series", "", "value", "at", box=box.SIMPLE_HEAD)
        grid.columns[1].min_width = POINTS
        grid.columns[1].no_wrap = True
        grid.columns[2].justify = "right"
        rows = sorted(self._last)
        shown = rows[: max(1, self._console.size.height - 6 - len(self._alerts))]
        for key in shown:
            series = self._last[key]
            line = Text(sparkline(self._history.get(key, ())), "cyan")
            grid.add_row(Text(key), line, Text(number(series)), Text(instant(series["timestamp"])[11:19]))
        below = [Text(each, "yellow") for each in self._alerts]
        more = f", {len(rows) - len(shown)} more series" if len(rows) > len(shown) else ""
        return Group(grid, *below, Text(f"{self._status}{more}; Ctrl-C ends", "dim"))


def sparkline(values: Iterable[float]) -> str:
    """Values as bars between the least and the greatest of them."""
    known = list(values)
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in known)


def identity(series: Mapping[str, Any]) -> str:
    """A series as PromQL writes it: `cpu{host="a"}`."""
    labels = ",".join(f"{name}={orjson.dumps(value).decode()}" for name, value in series["labels"].items())
    return f"{series['name']}{{{labels}}}" if labels else str(series["name"])


def number(series: Mapping[str, Any]) -> str:
    """The value, in at most six digits."""
    value = series["value"]
    if value is None:
        return "ended" if series.get("stale") else "no number"
    return f"{value:.6g}"


def instant(milliseconds: int) -> str:
    """A time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def alert_line(alert: Mapping[str, Any]) -> str:
    """An alert in one line."""
    labels = identity({"name": alert.get("name", ""), "labels": alert.get("labels", {})})
    return f"{alert.get('state', 'alert'):<8} {labels}"
