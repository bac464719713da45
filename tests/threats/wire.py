"""Bytes to Luna's port and back: what no HTTP client would send."""

import re
import socket
import time
from dataclasses import dataclass
from typing import Final

from tests.threats.running import LocalLuna

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back on a connection."""

    raw: bytes
    closed: bool
    """Whether the server closed the connection."""

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in _STATUS.findall(self.raw)]


def send(luna: LocalLuna, *parts: bytes, quiet_s: float = 1.0, pause_s: float = 0.02) -> Answers:
    """Send bytes, and read until nothing came for `quiet_s` seconds after the first answer, or the end."""
    with luna.connect() as connection:
        try:
            for i, part in enumerate(parts):
                if i:
                    time.sleep(pause_s)
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end; the answer may be there
        return read(connection, quiet_s)


def read(connection: socket.socket, quiet_s: float = 1.0, first_s: float = 20.0) -> Answers:
    """Read until nothing came for `quiet_s` seconds after the first answer, or the end."""
    raw = b""
    while True:
        connection.settimeout(quiet_s if raw else first_s)
        try:
            piece = connection.recv(65_536)
        except TimeoutError:
            return Answers(raw, closed=False)
        except ConnectionResetError:
            return Answers(raw, closed=True)
        if not piece:
            return Answers(raw, closed=True)
        raw += piece


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def fields(*pairs: tuple[bytes, bytes]) -> bytes:
    """A header block of literal fields without indexing (RFC 7541, section 6.2.2), each below 127 bytes."""
    return b"".join(b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value for name, value in pairs)


PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
