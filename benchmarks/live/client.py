"""The clients: many WebSockets in one process, as cheap as they can be, so that it measures Luna and not itself.

Reads one JSON object from standard input (host, port, path, key, active, quiet, groups, rate), connects, prints `ready`
with the seconds that took, measures between the lines `begin` and `end` of standard input, and prints the figures.
"""

import asyncio
import json
import os
import sys
import time
from array import array
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CONNECTING = 64
VALUE = b'"value":'
_TEXT, _CLOSE, _PING = 1, 8, 9


@dataclass
class Seen:
    """What all clients have seen."""

    delays: "array[float]" = field(default_factory=lambda: array("d"))
    messages: int = 0
    bytes: int = 0
    lost: int = 0
    """Connections that were closed."""
    measuring: bool = False


class Client(asyncio.Protocol):
    """One WebSocket (RFC 6455): frames of a server are short and unmasked."""

    def __init__(self, seen: Seen, head: bytes, subscription: bytes, opened: asyncio.Future[None]) -> None:
        self._seen = seen
        self._head = head
        self._subscription = subscription
        self._opened = opened
        self._rest = b""
        self._upgraded = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  a uvloop transport
        """Ask for the upgrade."""
        self._transport = transport
        transport.write(self._head)

    def connection_lost(self, _: Exception | None) -> None:
        """Count it."""
        self._seen.lost += 1
        if not self._opened.done():
            self._opened.set_exception(ConnectionError(repr(self._rest[:300])))

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        data = self._rest + data if self._rest else data
        if not self._upgraded:
            end = data.find(b"\r\n\r\n")
            if end < 0 or b" 101 " not in data[:20]:
                self._rest = data
                return
            data, self._upgraded = data[end + 4 :], True
            self._transport.write(frame(_TEXT, self._subscription))
        self._rest = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= 2:
            opcode, length, begin = data[at] & 0x0F, data[at + 1], at + 2
            if length >= 126:
                size = 2 if length == 126 else 8
                length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
            if len(data) < begin + length:
                break
            at = begin + length
            self._take(opcode, data[begin:at])
        return data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        seen = self._seen
        if opcode == _PING:
            self._transport.write(frame(10, payload))
        elif opcode == _CLOSE:
            self._transport.close()
        elif b'"update"' in payload[:20]:
            if seen.measuring:
                seen.messages += 1
                seen.bytes += len(payload)
                begin = payload.rfind(VALUE) + len(VALUE)
                seen.delays.append(time.time() - float(payload[begin : payload.index(b"}", begin)]))
        elif not self._opened.done():
            if b'"error"' in payload[:20]:
                self._opened.set_exception(ConnectionError(payload.decode()))
            else:
                self._opened.set_result(None)


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame of a client, with the mask zero."""
    short = len(payload) < 126
    size = bytes((0x80 | len(payload),)) if short else bytes((0xFE,)) + len(payload).to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + size + b"\0\0\0\0" + payload


async def run(asked: dict[str, Any]) -> None:
    """Connect, measure, print."""
    loop, seen, began = asyncio.get_running_loop(), Seen(), time.monotonic()
    head = (
        f"GET {asked['path']} HTTP/1.1\r\nHost: luna\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nX-API-Key: {asked['key']}\r\n"
        f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n\r\n"
    ).encode()
    gate = asyncio.Semaphore(CONNECTING)

    async def connect(selector: str) -> None:
        words = {"type": "subscribe", "selectors": [selector], "rate": asked["rate"], "alerts": True}
        async with gate:
            opened: asyncio.Future[None] = loop.create_future()
            subscription = json.dumps(words).encode()
            await loop.create_connection(lambda: Client(seen, head, subscription, opened), asked["host"], asked["port"])
            await opened

    selectors = [f'live{{group="{n % asked["groups"]}"}}' for n in range(asked["active"])]
    selectors += ["quiet"] * asked["quiet"]
    await asyncio.gather(*map(connect, selectors))
    say({"ready": time.monotonic() - began})
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await lines.readline()
    cpu = time.process_time()
    seen.measuring = True
    await lines.readline()
    seen.measuring = False
    delays = np.sort(np.frombuffer(seen.delays, dtype=np.float64)) if seen.delays else np.array([np.nan])
    at = {f"p{q:g}": float(np.quantile(delays, q / 100)) for q in (50, 99, 99.9)}
    say(
        {"messages": seen.messages, "bytes": seen.bytes, "lost": seen.lost, "cpu": time.process_time() - cpu}
        | at
        | {"max": float(delays[-1])}
    )


def say(words: dict[str, Any]) -> None:
    """Print a line."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(run(json.loads(sys.stdin.readline())))
