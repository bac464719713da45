"""Finds free ports on loopback for the embedded servers."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Above Ray's worker ports (10002-19999), below HAProxy's direct port (30000) and below every kernel's range of
# ephemeral ports (Linux 32768+, macOS 49152+). A client that reconnects in a loop to a closed port in the ephemeral
# range can get that port as its source, connect to itself and keep the port busy.
_CANDIDATES = range(20_500, 29_900)


def is_free(port: int) -> bool:
    """Return whether a server could listen on 127.0.0.1:`port` now.

    Connections of an earlier server that are still in TIME_WAIT do not count: both servers set SO_REUSEADDR.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens.

    The port is not reserved: another process may take it before the caller binds it.

    Raises:
        OSError: no candidate is free.
    """
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if is_free(port):
            return port
    raise OSError(f"no free port on {LOOPBACK} between {_CANDIDATES.start} and {_CANDIDATES.stop - 1}")
