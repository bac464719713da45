"""A client that keeps requests in flight: HTTP/1.1 over raw sockets, so that it costs the servers' cores little.

wrk posts bodies (`benchmarks/http`); here a GET and a POST take turns under the same client, which must not need wrk.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """What each connection sends again and again."""

    name: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "GET"

    def encode(self) -> bytes:
        """The bytes on the wire."""
        where = urlsplit(self.url)
        target = where.path + (f"?{where.query}" if where.query else "")
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {where.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice of time saw."""

    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    answer_bytes: int
    """Of the last body."""
    faults: int
    """Answers that were not 200."""


class _Connection(asyncio.Protocol):
    """Sends, waits for the whole answer, sends again, until time is up."""

    def __init__(self, request: bytes, ends_at: float, done: asyncio.Future[None]) -> None:
        self._request = request
        self._ends_at = ends_at
        self._done = done
        self._received = bytearray()
        self._missing = -1  # bytes of the body; -1 before its head was read
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.faults = 0
        self.body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._missing = -1
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._missing >= 0:
            self._missing -= len(data)
        else:
            self._received += data
            end = self._received.find(_HEAD_END)
            if end < 0:
                return
            self._read_head(bytes(self._received[:end]))
            self._missing = self.body_bytes - (len(self._received) - end - len(_HEAD_END))
            self._received.clear()
        if self._missing <= 0:
            self._answered()

    def _read_head(self, head: bytes) -> None:
        lines = head.lower().split(b"\r\n")
        self.faults += b" 200 " not in lines[0] + b" "
        lengths = [line.split(b":", 1)[1] for line in lines if line.startswith(b"content-length:")]
        if not lengths:
            raise RuntimeError("an answer has no Content-Length")
        self.body_bytes = int(lengths[0])

    def _answered(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        if now < self._ends_at:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        # A connection that the server closed is a fault of the slice.
        self.faults += exc is not None or time.perf_counter() < self._ends_at
        self._done.set_result(None)


def measure(request: Request, connections: int, seconds: float) -> Slice:
    """Keep so many requests in flight for so long."""
    return asyncio.run(_measure(request, connections, seconds))


async def _measure(request: Request, connections: int, seconds: float) -> Slice:
    loop = asyncio.get_running_loop()
    where, encoded = urlsplit(request.url), request.encode()
    begun = time.perf_counter()
    ends = [loop.create_future() for _ in range(connections)]
    protocols = [_Connection(encoded, begun + seconds, end) for end in ends]
    for protocol in protocols:
        await loop.create_connection(lambda protocol=protocol: protocol, where.hostname, where.port)
    await asyncio.gather(*ends)
    took = time.perf_counter() - begun
    latencies = np.array([each for protocol in protocols for each in protocol.latencies])
    return Slice(
        requests=len(latencies),
        requests_per_s=len(latencies) / took,
        p50_ms=float(np.quantile(latencies, 0.5)) * 1e3 if len(latencies) else float("nan"),
        p99_ms=float(np.quantile(latencies, 0.99)) * 1e3 if len(latencies) else float("nan"),
        answer_bytes=max(protocol.body_bytes for protocol in protocols),
        faults=sum(protocol.faults for protocol in protocols),
    )
