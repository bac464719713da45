"""Warnings and infos of an evaluation, as Prometheus words and merges them."""

import datetime as dt
from dataclasses import dataclass

from luna_serving.engines.promql.errors import Position
from luna_serving.engines.promql.functions.numbers import general
from luna_serving.engines.promql.syntax.tokens import go_quote

_INFO = "PromQL info: "
_WARNING = "PromQL warning: "
_COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


@dataclass(frozen=True, slots=True)
class _Forced:
    """Buckets that were made monotonic, over all steps so far."""

    low: float
    high: float
    difference: float
    samples: int
    first_ms: int
    last_ms: int


class Notes:
    """Collects warnings and infos; the same text is kept once, with the last position."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._warnings: dict[str, int] = {}
        self._infos: dict[str, int] = {}
        self._forced: tuple[_Forced, int] | None = None

    def invalid_quantile(self, q: float, start: int) -> None:
        """A quantile that is not between 0 and 1."""
        self._warn(f"quantile value should be between 0 and 1, got {general(q)}", start)

    def bad_bucket(self, label: str, start: int) -> None:
        """A bucket whose bound is no number."""
        self._warn(f'bucket label "le" is missing or has a malformed value of {go_quote(label)}', start)

    def sort_in_range(self, start: int) -> None:
        """`sort` in a range query."""
        self._warn("sort is ineffective for range queries since results are always ordered by labels", start)

    def possible_gauge(self, name: str, start: int) -> None:
        """A rate of a metric whose name is not that of a counter; nothing if it is, or if there is no name."""
        if name and not name.endswith(_COUNTER_SUFFIXES):
            what = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket"
            self._infos[f"{_INFO}{what}: {go_quote(name)}"] = start

    def forced_monotonicity(
        self, low: float, high: float, difference: float, samples: int, first_ms: int, last_ms: int, start: int
    ) -> None:
        """Counts of buckets that fell were raised."""
        now = _Forced(low, high, difference, samples, first_ms, last_ms)
        if self._forced is not None:
            old, start = self._forced
            now = _Forced(
                min(old.low, low),
                max(old.high, high),
                max(old.difference, difference),
                old.samples + samples,
                min(old.first_ms, first_ms),
                max(old.last_ms, last_ms),
            )
        self._forced = now, start

    def _warn(self, what: str, start: int) -> None:
        self._warnings[_WARNING + what] = start

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, with positions."""
        return self._placed(self._warnings)

    @property
    def infos(self) -> tuple[str, ...]:
        """The infos, with positions."""
        infos = self._placed(self._infos)
        if self._forced is None:
            return infos
        forced, start = self._forced
        url = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"
        text = (
            f"{_INFO}input to histogram_quantile needed to be fixed for monotonicity (see {url}), "
            f"from buckets {general(forced.low)} to {general(forced.high)}, "
            f"with a max diff of {_two_digits(forced.difference)}, over "
            f"{forced.samples} samples from {_time(forced.first_ms)} to {_time(forced.last_ms)}"
        )
        return (*infos, f"{text} ({Position.of(self._text, start)})")

    def _placed(self, table: dict[str, int]) -> tuple[str, ...]:
        return tuple(f"{message} ({Position.of(self._text, start)})" for message, start in table.items())


def _two_digits(value: float) -> str:
    """As Go's %.2g."""
    return f"{value:.2g}".replace("inf", "+Inf").replace("nan", "NaN")


def _time(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms // 1000, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
