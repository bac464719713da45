"""How many rules a core evaluates per second: `python -m benchmarks.metrics.rules [RULES]`.

Everything but the network: questions are answered by the PromQL engine in this process over samples in memory, states
are read from and written to a real Postgres. CPU seconds are those of this process and of Postgres together. In the
last part a tenth of the rules changes at every evaluation.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.alerts.evaluation.batch import Batches
from luna_serving.capabilities.alerts.evaluation.evaluator import Evaluator
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.models.scoring import Scoring
from luna_serving.capabilities.alerts.store.records import to_instant
from luna_serving.capabilities.alerts.store.rules import Rules
from luna_serving.engines.promql import api as promql
from luna_serving.engines.promql.api import Limits, Matcher, Series
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.samples.requests import InstantQuery
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import Peppers
from luna_store.audit.actors import Actor
from luna_store.platform.leases import acquire
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate

START_MS = 1_795_300_800_000
INTERVAL_MS = 15_000
ROUNDS = 6


class OneSeriesPerHost:
    """A source with an index by host, as a shard has one."""

    def __init__(self, hosts: int) -> None:
        self.values = dict.fromkeys((f"h{i}" for i in range(hosts)), 0.5)
        self.at_ms = START_MS
        self._parsed: dict[str, promql.Query] = {}

    def select(self, matchers: tuple[Matcher, ...], first_ms: int, last_ms: int) -> Sequence[Series]:
        """The series of the host."""
        del first_ms, last_ms
        (host,) = (each.value for each in matchers if each.name == "host")
        labels = {"__name__": "cpu", "host": host, "job": "node"}
        return [Series(labels, np.array([self.at_ms], dtype=np.int64), np.array([self.values[host]]))]

    async def instant(
        self, account_id: int, queries: Sequence[InstantQuery], *, most_samples: int = 0
    ) -> Sequence[Any]:
        """Evaluate; queries are parsed once, as in a shard."""
        del account_id, most_samples
        for each in queries:
            if each.text not in self._parsed:
                self._parsed[each.text] = promql.parse(each.text)
        return [promql.evaluate_instant(self._parsed[each.text], self, each.at_ms, Limits()) for each in queries]

    async def range(self, *_: object, **__: object) -> Any:  # noqa: ANN401
        """Not asked."""
        raise AssertionError


def cpu_s(server: psutil.Process) -> float:
    """CPU seconds of this process and of Postgres."""
    total = time.process_time()
    for process in (server, *server.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
    return total


async def measure(url: str, server: psutil.Process, count: int) -> None:
    """Create the rules, evaluate them some times, print."""
    engine = async_engine(url)
    account_id, _ = await Accounts(engine, Peppers.parse("bench:" + "p" * 32)).create(AccountSpec(account_name="b/b"))
    source = OneSeriesPerHost(count)

    async def keep(_connection: object, _stored: object) -> None:
        return None

    async def announce(_account: int, _committed: object) -> None:
        return None

    for i in range(count):
        document = {
            "name": f"hot{i}",
            "expr": f'cpu{{host="h{i}"}} > 0.9',
            "interval": "15s",
            "labels": {"severity": "page"},
            "annotations": {"summary": "{{ $labels.host }} is at {{ $value | humanizePercentage }}"},
        }
        await Rules(engine).create(
            account_id, document, None, lambda _, __: to_instant(START_MS), keep, most=10**6, by=Actor("key:bench")
        )
    lease = await acquire(engine, "loop:bench", "bench", lasts_s=3600)
    assert lease is not None
    telling = Telling("", 10**9, 60_000, announces=False)
    batches = Batches(engine, source, Scoring(engine, source), telling, most_alerts=1_000, most_waiting=1_000)
    metrics = AlertMetrics(CollectorRegistry())
    evaluator = Evaluator(engine, batches, metrics, announce, at_once=10**6, batch_rules=250, slow_s=60.0)
    now_ms = START_MS
    for what, share in (("warm-up", 0.0), ("quiet", 0.0), ("a tenth changes", 0.1)):
        began, before, done = time.perf_counter(), cpu_s(server), 0
        for round_ in range(ROUNDS):
            now_ms += INTERVAL_MS
            source.at_ms = now_ms
            value = 0.95 if round_ % 2 == 0 else 0.5
            source.values |= {f"h{i}": value for i in range(int(count * share))}
            done += await evaluator.look(lease, to_instant(now_ms).isoformat())
            await evaluator.finished()
        cpu, wall = cpu_s(server) - before, time.perf_counter() - began
        print(f"{what}: {done} evaluations, {done / cpu:.0f} per core-second, {done / wall:.0f} per second")
    await engine.dispose()


def main(count: int) -> None:
    """Run it on a Postgres of its own."""
    with tempfile.TemporaryDirectory() as folder, PostgresServer(Path(folder) / "data", Path(folder)) as server:
        migrate(server.url)
        asyncio.run(measure(server.url, psutil.Process(server.pid), count))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
