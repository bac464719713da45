"""Runs HAProxy in place of this process, with what Ray Serve's template leaves open closed.

Serve writes the configuration and starts `RAY_SERVE_HAPROXY_BINARY_PATH` with it; `luna up` points that here.

- The statistics page and the metrics listen on every address of the machine; here on 127.0.0.1.
- Killed hard, Serve leaves HAProxy behind for ever; here the kernel ends it with the process that started it.
- When no replica is left, HAProxy answers a plain-text 500; here a 503 problem with Retry-After.

Run as `python -I -S haproxy_on_loopback.py <haproxy> <its arguments>`: it imports nothing that is installed, and
executes HAProxy under its own process id, by which Serve knows it.
"""

import ctypes
import os
import re
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_OPEN_BIND = re.compile(r"^(\s*bind )(?:\*)?:(\d+)", re.MULTILINE)
_PROBLEM = (
    '{"type":"https://luna.dev/problems/overloaded","title":"The service is overloaded.","status":503,'
    '"detail":"No replica can take the call. Try again shortly."}'
)
UNAVAILABLE = (
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Type: application/problem+json\r\n"
    f"Content-Length: {len(_PROBLEM)}\r\n"
    "Retry-After: 1\r\n"
    "Cache-Control: no-store\r\n"
    "\r\n" + _PROBLEM
)


def closed(configuration: str) -> str:
    """The configuration with every listener that had no address on 127.0.0.1."""
    return _OPEN_BIND.sub(r"\g<1>127.0.0.1:\2", configuration)


def main(argv: list[str]) -> None:
    """Tie, rewrite, execute."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        sys.exit("the process that started HAProxy is gone")
    binary, *arguments = argv
    configuration = Path(arguments[arguments.index("-f") + 1])
    configuration.write_text(closed(configuration.read_text()))
    (configuration.parent / "500.http").write_text(UNAVAILABLE)
    os.execv(binary, [binary, *arguments])  # noqa: S606  no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
