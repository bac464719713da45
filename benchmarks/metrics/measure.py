"""Measures one contender: ingest, bytes per sample, and the latency of queries."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from typing import Any, Self

import httpx
import psycopg
from rich.console import Console

from .contenders import Contender
from .load import JSON, REMOTE_WRITE, STEP_MS, Fleet, Sender, columns, names, remote_writes

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SETTLE_S = 90.0


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    fleet: Fleet = field(default_factory=lambda: Fleet(hosts=100, per_host=20))
    scrapes: int = 600
    """Requests with one sample of every series, as scrapes come."""
    column_samples: int = 1_500
    """Per series, as columns."""
    days: int = 30
    """Of history for 100 series."""
    queries: int = 200

    @classmethod
    def quick(cls) -> Self:
        """A tenth."""
        return replace(cls(), scrapes=60, column_samples=150, days=3, queries=50)


@dataclass
class Figures:
    """What was found; seconds and samples per second. NaN where a contender has no such call."""

    write_rate: float = float("nan")
    write_p99: float = float("nan")
    column_rate: float = float("nan")
    bytes_per_sample: float = float("nan")
    latest: tuple[float, float] = (float("nan"), float("nan"))
    instant: tuple[float, float] = (float("nan"), float("nan"))
    range: tuple[float, float] = (float("nan"), float("nan"))
    month: tuple[float, float] = (float("nan"), float("nan"))

    def rows(self) -> list[tuple[str, str]]:
        """For people."""
        return [
            ("remote write, 2,000 series a request, samples/s", f"{self.write_rate:,.0f}"),
            ("  p99 of a request, ms", _ms(self.write_p99)),
            ("JSON columns, samples/s", f"{self.column_rate:,.0f}"),
            ("bytes per sample on disk", f"{self.bytes_per_sample:.2f}"),
            ("latest values of a name (100 series), p50 and p99, ms", _pair(self.latest)),
            ("instant query over 100 series, p50 and p99, ms", _pair(self.instant)),
            ("range of 100 series, 1 h by 15 s, p50 and p95, ms", _pair(self.range)),
            ("a month of 100 series by the hour, p50 and p95, ms", _pair(self.month)),
        ]


def measure(contender: Contender, plan: Plan, say: Console) -> Figures:
    """All figures of one contender."""
    figures, fleet = Figures(), plan.fleet
    now = int(time.time() * 1000) // STEP_MS * STEP_MS
    writes = Sender(contender, contender.write, REMOTE_WRITE)
    first = now - plan.scrapes * STEP_MS
    requests = list(remote_writes(fleet, first, plan.scrapes, per_request=fleet.series))
    writes.send(requests[0])  # the series become known
    seconds, each = writes.all(requests[1:])
    figures.write_rate = sum(r.samples for r in requests[1:]) / seconds
    figures.write_p99 = _at(each, 99)
    say.print(f"  remote write {figures.write_rate:,.0f} samples/s")
    if contender.columns:
        sender = Sender(contender, contender.columns, JSON)
        older = first - plan.column_samples * STEP_MS
        bodies = list(columns(fleet, older, plan.column_samples, per_request=20))
        seconds, _ = sender.all(bodies)
        figures.column_rate = sum(r.samples for r in bodies) / seconds
        say.print(f"  columns {figures.column_rate:,.0f} samples/s")
    month = Fleet(hosts=100, per_host=1, seed=2, prefix="bench_month")
    start = now - plan.days * DAY_MS
    # Five minutes between samples: what matters is that an hour's bucket is made of many.
    _backfill(writes, month, start, plan.days)
    with httpx.Client(headers=contender.headers, params=contender.query, timeout=60, trust_env=False) as client:
        api, at = contender.api, now / 1000
        name = names(fleet)
        figures.instant = _latency(
            client, f"{api}/query", (lambda: {"query": f"avg by (zone) ({next(name)})", "time": at}), plan.queries, 99
        )
        if contender.columns:
            latest = contender.columns.replace("/batch", "/latest/")
            figures.latest = _latency_of(client, lambda: f"{latest}{next(name)}", plan.queries, 99)
        figures.range = _latency(
            client,
            f"{api}/query_range",
            _ranges(name, now),
            plan.queries,
            95,
        )
        figures.month = _month(client, contender, start, now, plan)
    total = _samples(plan)
    figures.bytes_per_sample = _bytes(contender, say) / total
    return figures


def _backfill(writes: Sender, fleet: Fleet, start: int, days: int) -> None:
    for day in range(days):
        requests = list(
            remote_writes(fleet, start + day * DAY_MS, DAY_MS // STEP_MS // 4, per_request=50, together=1440)
        )
        writes.all(requests)


def _samples(plan: Plan) -> int:
    return plan.fleet.series * (plan.scrapes + plan.column_samples) + 100 * plan.days * (DAY_MS // STEP_MS // 4)


def _ranges(name: Iterator[str], now: int) -> Callable[[], dict[str, Any]]:
    shift = iter(range(10_000))

    def next_range() -> dict[str, Any]:
        # Another minute each time, so that no cache of answers helps.
        end = (now - 60_000 * (next(shift) % 60)) / 1000
        return {"query": f"{next(name)}", "start": end - 3600, "end": end, "step": 15}

    return next_range


def _month(client: httpx.Client, contender: Contender, start: int, now: int, plan: Plan) -> tuple[float, float]:
    name = "bench_month_0"
    if contender.columns:
        url = contender.columns.replace("/batch", "/aggregated")
        asked = {"name": f'{name}{{job="bench",host=~"host-.*"}}', "interval": "1h", "start": start, "end": now}
        return _latency(client, url, lambda: asked, max(10, plan.queries // 10), 95)
    query = {"query": f"sum_over_time({name}[1h])", "start": start / 1000, "end": now / 1000, "step": 3600}
    return _latency(client, f"{contender.api}/query_range", lambda: query, max(10, plan.queries // 10), 95)


def _latency(
    client: httpx.Client, url: str, parameters: Callable[[], dict[str, Any]], count: int, high: int
) -> tuple[float, float]:
    def once() -> float:
        asked = parameters()
        began = time.perf_counter()
        answer = client.get(url, params=asked)
        took = time.perf_counter() - began
        if answer.is_error:
            raise RuntimeError(f"{url}: {answer.status_code} {answer.text[:300]}")
        return took

    once()
    found = [once() for _ in range(count)]
    return _at(found, 50), _at(found, high)


def _latency_of(client: httpx.Client, url: Callable[[], str], count: int, high: int) -> tuple[float, float]:
    found = []
    for _ in range(count + 1):
        began = time.perf_counter()
        answer = client.get(url())
        found.append(time.perf_counter() - began)
        answer.raise_for_status()
    return _at(found[1:], 50), _at(found[1:], high)


def _bytes(contender: Contender, say: Console) -> float:
    """Bytes of samples and their index, after what the server does on its own for a while."""
    if not contender.database:
        time.sleep(SETTLE_S)
        return float(sum(f.stat().st_size for f in Path(contender.data).rglob("*") if f.is_file()))
    query = """
        SELECT sum(pg_total_relation_size(oid)) FROM pg_class
        WHERE relkind IN ('r', 'p') AND relname LIKE 'metric\\_%' AND relname NOT LIKE 'metric\\_writes%'
    """
    waiting = "SELECT count(*) FROM metric_writes"
    with psycopg.connect(contender.database, autocommit=True) as connection:
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            (left,) = connection.execute(waiting).fetchone() or (0,)
            if not left:
                break
            time.sleep(2)
        else:
            say.print(f"  {left} writes are not in chunks yet")
        (size,) = connection.execute(query).fetchone() or (0,)
    return float(size)


def _at(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def _pair(two: tuple[float, float]) -> str:
    return f"{_ms(two[0])}  {_ms(two[1])}"
