"""Samples in memory behind the same questions as the shard's: another source for the engine that shards have."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luna_serving.engines.promql import api as promql
from luna_serving.engines.promql.api import Limits, Matcher, Series
from luna_serving.samples.answers import QueryRefused, Refusal
from luna_serving.samples.requests import InstantQuery
from luna_serving.shards.client import ShardUnavailable

LIMITS = Limits()


class MemorySamples:
    """Keeps series, and answers as `Samples` does."""

    def __init__(self) -> None:
        self.series: dict[tuple[tuple[str, str], ...], dict[int, float]] = {}
        self.asked = 0
        self.gone = False
        self.slow: dict[str, float] = {}
        """Seconds that a query with this text takes."""

    def put(self, name: str, at_ms: int, value: float, **labels: str) -> None:
        key = tuple(sorted({"__name__": name, **labels}.items()))
        self.series.setdefault(key, {})[at_ms] = value

    def select(self, matchers: tuple[Matcher, ...], first_ms: int, last_ms: int) -> Sequence[Series]:
        found = []
        for key, samples in self.series.items():
            labels: Mapping[str, str] = dict(key)
            if not promql.match_all(matchers, labels):
                continue
            inside = sorted(at for at in samples if first_ms <= at <= last_ms)
            if inside:
                values = np.array([samples[at] for at in inside])
                found.append(Series(labels, np.array(inside, dtype=np.int64), values))
        return found

    async def instant(
        self, account_id: int, queries: Sequence[InstantQuery], *, most_samples: int = 0
    ) -> Sequence[Any]:
        self.asked += 1
        if self.gone:
            raise ShardUnavailable("The shard did not answer.")
        delay = max((self.slow.get(each.text, 0.0) for each in queries), default=0.0)
        if delay:
            await asyncio.sleep(delay)
        return [self._instant(each) for each in queries]

    def _instant(self, query: InstantQuery) -> Any:
        try:
            return promql.evaluate_instant(promql.parse(query.text), self, query.at_ms, LIMITS)
        except promql.PromqlError as e:
            return QueryRefused(Refusal.EVALUATION, str(e))

    async def range(
        self, account_id: int, text: str, start_ms: int, end_ms: int, step_ms: int, *, most_samples: int = 0
    ) -> Any:
        if self.gone:
            raise ShardUnavailable("The shard did not answer.")
        return promql.evaluate_range(promql.parse(text), self, start_ms, end_ms, step_ms, LIMITS)


def now_ms() -> int:
    return int(time.time() * 1000)
