"""What one account's subscribers in this process watch: selectors, series, and the end of the log of alerts."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from luna_serving.engines.promql.api import Matcher
from luna_serving.live.ports import AlertHead, LoggedAlert
from luna_serving.live.selectors import Selector
from luna_serving.live.series import LiveSeries, is_stale
from luna_serving.live.subscribers import Subscriber, too_many_series
from luna_serving.samples.answers import LatestSamples
from luna_serving.samples.identity import NAME_LABEL, read_key

# Keys that are known to match nothing; about 100 bytes each.
MOST_MISSES: Final = 100_000


class WatchedAccount:
    """One account that has subscribers here."""

    def __init__(self, account_id: int, most_series: int) -> None:
        self.account_id = account_id
        self.subscribers: set[Subscriber] = set()
        self.selectors: dict[str, Selector] = {}
        self.head: AlertHead | None = None
        """The last alert that was delivered here; None before the log was read."""
        self.behind = False
        """Whether an alert came that could not be delivered yet."""
        self.reading = asyncio.Lock()
        """Held while alerts are read from the log."""
        self.loading = asyncio.Lock()
        """Held while present values are read."""
        self._most_series = most_series
        self._series: dict[bytes, LiveSeries] = {}
        self._misses: set[bytes] = set()

    def join(self, subscriber: Subscriber, wanted: Sequence[tuple[str, tuple[Matcher, ...]]]) -> None:
        """Have a subscriber watch selectors instead of those before."""
        before, subscriber.selectors = subscriber.selectors, ()
        subscriber.selectors = tuple(self._selector(text, matchers) for text, matchers in dict(wanted).items())
        for each in subscriber.selectors:
            each.subscribers.add(subscriber)
        self._leave(subscriber, [each for each in before if each not in subscriber.selectors])

    def part(self, subscriber: Subscriber) -> None:
        """Have a subscriber watch nothing."""
        before, subscriber.selectors = subscriber.selectors, ()
        self._leave(subscriber, before)

    def apply(self, keys: Iterable[bytes], timestamps: Iterable[int], values: Iterable[float], now: float) -> None:
        """Take samples; subscribers of series that have changed are notified."""
        known, misses = self._series, self._misses
        for key, timestamp, value in zip(keys, timestamps, values, strict=True):
            series = known.get(key)
            if series is not None:
                if series.take(timestamp, value, now):
                    notify(series)
                    if series.ended:
                        self._drop(series)
            elif key not in misses and not self._add(key, timestamp, value, now):
                if len(misses) >= MOST_MISSES:
                    misses.clear()
                misses.add(key)

    def apply_present(
        self, present: LatestSamples, asked: Sequence[Selector], asked_at: float, now: float, *, whole: bool
    ) -> None:
        """Take present values; series that are no longer among them have ended.

        Args:
            present: the answer.
            asked: the selectors of the question.
            asked_at: when; what has changed since is newer than the answer.
            now: the time, as `asked_at` by `time.monotonic`.
            whole: whether the answer has all series.
        """
        self.apply(present.keys, present.timestamps.tolist(), present.values.tolist(), now)
        if not whole:
            return
        there = set(present.keys)
        for selector in asked:
            selector.loaded = True
            for series in list(selector.series.values()):
                if series.key not in there and series.changed_at < asked_at and series.end(now):
                    notify(series)
                    self._drop(series)

    def deliver(self, alert: LoggedAlert) -> None:
        """Pass an alert on to the subscribers, unless it was before."""
        if self.head is None or alert.seq <= self.head.seq:
            return
        self.head = AlertHead(self.head.epoch, alert.seq)
        for each in list(self.subscribers):
            each.heard(alert)

    def _selector(self, text: str, matchers: tuple[Matcher, ...]) -> Selector:
        selector = self.selectors.get(text)
        if selector is None:
            selector = self.selectors[text] = Selector(text, matchers)
            self._misses.clear()
            for series in self._series.values():
                if selector.matches(series.labels):
                    series.selectors += (selector,)
                    selector.series[series.key] = series
        return selector

    def _leave(self, subscriber: Subscriber, selectors: Iterable[Selector]) -> None:
        for selector in selectors:
            selector.subscribers.discard(subscriber)
            if not selector.subscribers and self.selectors.get(selector.text) is selector:
                del self.selectors[selector.text]
                for series in selector.series.values():
                    series.selectors = tuple(each for each in series.selectors if each is not selector)
                    if not series.selectors:
                        del self._series[series.key]

    def _drop(self, series: LiveSeries) -> None:
        """Forget a series that has ended; subscribers that have not sent its end hold it."""
        del self._series[series.key]
        for each in series.selectors:
            del each.series[series.key]

    def _add(self, key: bytes, timestamp: int, value: float, now: float) -> bool:
        name, labels = read_key(key)
        labels[NAME_LABEL] = name
        matching = tuple(each for each in self.selectors.values() if each.matches(labels))
        if not matching:
            return False
        if is_stale(value):
            return True
        series = self._series[key] = LiveSeries(key, timestamp, value, now)
        series.selectors = matching
        for each in matching:
            each.series[key] = series
            # Where they are being read for the first time, the subscription is refused instead.
            if each.loaded and len(each.series) > self._most_series:
                for subscriber in list(each.subscribers):
                    subscriber.end(too_many_series(self._most_series))
        notify(series)
        return True


def notify(series: LiveSeries) -> None:
    """Tell the subscribers of a series that it has changed."""
    for selector in series.selectors:
        for subscriber in selector.subscribers:
            subscriber.note(series)
