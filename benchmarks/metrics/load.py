"""What is written: series as a fleet of servers sends them, in requests of remote write or of columns."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import cycle
from threading import local
from time import perf_counter
from urllib.parse import urlsplit

import cramjam
import numpy as np
import orjson

from .contenders import Contender
from .prometheus_messages import WriteRequest

STEP_MS = 15_000
SENDERS = 4


@dataclass(frozen=True)
class Fleet:
    """Hosts with counters and gauges, one sample each every 15 seconds, off by some milliseconds as scrapes are."""

    hosts: int
    per_host: int
    seed: int = 1
    prefix: str = "bench_metric"

    @property
    def series(self) -> int:
        """How many."""
        return self.hosts * self.per_host

    def labels(self, i: int) -> dict[str, str]:
        """The labels of series i."""
        host, metric = divmod(i, self.per_host)
        kind = "_total" if metric % 2 else ""
        return {
            "__name__": f"{self.prefix}_{metric}{kind}",
            "host": f"host-{host:04}",
            "job": "bench",
            "zone": "abc"[host % 3],
        }

    def times(self, first_ms: int, count: int) -> np.ndarray:
        """Timestamps of a series."""
        generator = np.random.default_rng((self.seed, first_ms // STEP_MS))
        return first_ms + STEP_MS * np.arange(count) + generator.integers(0, 5, count)

    def values(self, i: int, first_ms: int, count: int) -> np.ndarray:
        """Values of series i: a counter of whole steps, or a gauge with two digits behind the point."""
        generator = np.random.default_rng((self.seed, i, first_ms // STEP_MS))
        if (i % self.per_host) % 2:
            return 1e6 * (first_ms % 86_400_000) / 86_400_000 // 1 + np.cumsum(generator.poisson(20.0, count))
        return np.round(50.0 + np.cumsum(generator.normal(0.0, 0.4, count)), 2)


@dataclass(frozen=True)
class Request:
    """One request of a protocol."""

    body: bytes
    samples: int


def remote_writes(fleet: Fleet, first_ms: int, count: int, *, per_request: int, together: int = 1) -> Iterator[Request]:
    """Requests of remote write 1.0 in order of time.

    Args:
        fleet: the series.
        first_ms: the first time.
        count: samples of each series.
        per_request: series of a request.
        together: samples of a series in one request.
    """
    for begin in range(0, count, together):
        for start in range(0, fleet.series, per_request):
            message, many = WriteRequest(), min(together, count - begin)
            for i in range(start, min(start + per_request, fleet.series)):
                one = message.timeseries.add()
                for name, text in fleet.labels(i).items():
                    one.labels.add(name=name, value=text)
                at = first_ms + begin * STEP_MS
                for t, v in zip(fleet.times(at, many).tolist(), fleet.values(i, at, many).tolist(), strict=True):
                    one.samples.add(value=v, timestamp=t)
            raw = message.SerializeToString()
            yield Request(bytes(cramjam.snappy.compress_raw(raw)), len(message.timeseries) * many)


def columns(fleet: Fleet, first_ms: int, count: int, *, per_request: int) -> Iterator[Request]:
    """Requests of `POST /metrics/batch` with columns: all samples of some series each."""
    for start in range(0, fleet.series, per_request):
        series = []
        for i in range(start, min(start + per_request, fleet.series)):
            labels = fleet.labels(i)
            name = labels.pop("__name__")
            stamps, values = fleet.times(first_ms, count).tolist(), fleet.values(i, first_ms, count).tolist()
            series.append({"name": name, "labels": labels, "timestamps": stamps, "values": values})
        yield Request(orjson.dumps({"series": series}), len(series) * count)


class Sender:
    """Sends requests from some threads, each with a connection of its own."""

    def __init__(self, contender: Contender, url: str, headers: dict[str, str]) -> None:
        self._target = urlsplit(url)
        self._headers = headers | contender.headers
        self._own = local()

    def send(self, request: Request) -> float:
        """Send one; returns seconds. Raises RuntimeError for an answer that is no success."""
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = HTTPConnection(
                self._target.hostname or "", self._target.port, timeout=60
            )
        began = perf_counter()
        connection.request("POST", self._target.path, request.body, self._headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{self._target.geturl()}: {answer.status} {text[:300]!r}")
        return perf_counter() - began

    def all(self, requests: Sequence[Request]) -> tuple[float, list[float]]:
        """Send all, some at once; returns the seconds of all and of each."""
        began = perf_counter()
        with ThreadPoolExecutor(SENDERS) as threads:
            each = list(threads.map(self.send, requests))
        return perf_counter() - began, each


REMOTE_WRITE = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
JSON = {"Content-Type": "application/json"}


def names(fleet: Fleet) -> Iterator[str]:
    """Names of gauges, over and over."""
    return cycle([f"{fleet.prefix}_{metric}" for metric in range(0, fleet.per_host, 2)])
