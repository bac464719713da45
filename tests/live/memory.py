"""The ports in memory, and what changes them: a shard and a log of alerts reduced to what live updates see of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from redis.asyncio import Redis

from luna_serving.engines.promql.api import match_all
from luna_serving.live.ports import AlertHead, LoggedAlert, PortUnavailable
from luna_serving.live.publishing import Publisher, publish_alert
from luna_serving.live.selectors import compiled
from luna_serving.samples.answers import LatestSamples
from luna_serving.samples.identity import NAME_LABEL, read_key, series_key


class MemoryShard:
    """Present values of accounts; changes go to a publisher."""

    def __init__(self, publisher: Publisher | None = None) -> None:
        self.publisher = publisher
        self.last: dict[int, dict[bytes, tuple[int, float]]] = {}
        self.asked = 0
        self.out_of_reach = False

    def write(self, account_id: int, *samples: tuple[str, dict[str, str], int, float]) -> None:
        """Keep samples and publish them."""
        known = self.last.setdefault(account_id, {})
        keys = []
        for name, labels, at, value in samples:
            key = series_key(name, labels)
            keys.append(key)
            if key not in known or known[key][0] <= at:
                known[key] = (at, value)
        if self.publisher is not None:
            times, values = [s[2] for s in samples], [s[3] for s in samples]
            self.publisher.changed(account_id, keys, np.array(times, np.int64), np.array(values, np.float64))

    async def latest(self, account_id: int, selectors: Sequence[str], *, most_series: int) -> LatestSamples:
        self.asked += 1
        if self.out_of_reach:
            raise PortUnavailable("The shard of the metrics")
        matchers = [compiled(text, "") for text in selectors]
        known = self.last.get(account_id, {})
        found, selected = [], [[] for _ in selectors]
        for key, (at, value) in known.items():
            name, labels = read_key(key)
            which = [i for i, each in enumerate(matchers) if match_all(each, {**labels, NAME_LABEL: name})]
            if which and value == value:
                for i in which:
                    selected[i].append(len(found))
                found.append((key, at, value))
        found = found[:most_series]
        return LatestSamples(
            [key for key, _, _ in found],
            np.array([at for _, at, _ in found], np.int64),
            np.array([value for _, _, value in found], np.float64),
            [np.array(each, np.int64) for each in selected],
        )


class MemoryAlerts:
    """The log of alerts of accounts."""

    def __init__(self, redis: Redis | None = None, epoch: str = "e1") -> None:
        self.redis = redis
        self.epoch = epoch
        self.entries: dict[int, list[LoggedAlert]] = {}
        self.out_of_reach = False

    async def fire(self, account_id: int, *, publish: bool = True) -> int:
        """Log an alert, and publish it."""
        entries = self.entries.setdefault(account_id, [])
        seq = len(entries) + 1
        alert = f'{{"name":"hot","number":{seq}}}'
        entries.append(LoggedAlert(seq, alert))
        if publish and self.redis is not None:
            await publish_alert(self.redis, account_id, self.epoch, seq, alert)
        return seq

    async def heads(self, account_ids: Sequence[int]) -> Mapping[int, AlertHead]:
        if self.out_of_reach:
            raise PortUnavailable("Postgres")
        return {each: AlertHead(self.epoch, len(self.entries.get(each, ()))) for each in account_ids}

    async def missed(self, account_id: int, after_seq: int, most: int) -> Sequence[LoggedAlert]:
        if self.out_of_reach:
            raise PortUnavailable("Postgres")
        return self.entries.get(account_id, [])[after_seq:][:most]
