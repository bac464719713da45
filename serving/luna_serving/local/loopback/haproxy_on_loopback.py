"""Replaces this process by HAProxy, on loopback only.

Serve writes the configuration and starts `RAY_SERVE_HAPROXY_BINARY_PATH` with it; `luna up` points that here.

- Serve's statistics page and metrics listen on every address of the machine; here on 127.0.0.1.
- If Serve is killed, its HAProxy keeps running; here the kernel ends it with the process that started it.
- It takes as many connections as its open files allow: `haproxy_connections`. In a cluster, too.
- Calls end in time, whatever becomes of the replicas: `haproxy_deadlines`. In a cluster, too.
- Calls that got no answer are sent again, where that is right: `haproxy_retries`. In a cluster, too.
- HAProxy's own answers become problems: `haproxy_answers`, `haproxy_pages`. In a cluster, too (`haproxy_in_pod`).

`run` executes HAProxy under the id of this process, which Serve watches. It is called from `python -I -S` for a fast
start: these modules import no installed package.
"""

import ctypes
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from luna_serving.edge import proxy_peer
from luna_serving.local.loopback.haproxy_answers import with_problems, write_answers
from luna_serving.local.loopback.haproxy_connections import open_files, with_connections
from luna_serving.local.loopback.haproxy_deadlines import with_deadlines
from luna_serving.local.loopback.haproxy_pages import rewritten_copy
from luna_serving.local.loopback.haproxy_retries import with_retries

_PR_SET_PDEATHSIG = 1
_OPEN_BIND = re.compile(r"^(\s*bind )(?:\*)?:(\d+)", re.MULTILINE)
# Serve's default: a line with the query per request to whoever has UDP port 514, from a socket bound to every address.
_SYSLOG = re.compile(r"^ *log 127\.0\.0\.1:514 .*\n", re.MULTILINE)


def closed(configuration: str) -> str:
    """The configuration, with listeners that have no address bound to 127.0.0.1, and without Serve's default log."""
    return _OPEN_BIND.sub(r"\g<1>127.0.0.1:\2", _SYSLOG.sub("", configuration))


def run(binary: str, arguments: Sequence[str], *, loopback: bool) -> NoReturn:
    """Rewrite the configuration in the arguments, and execute HAProxy with it.

    Args:
        binary: the program.
        arguments: Serve's, with `-f <configuration>` among them.
        loopback: whether to bind listeners without an address to 127.0.0.1.
    """
    configuration = Path(arguments[arguments.index("-f") + 1]).absolute()
    folder = configuration.parent
    write_answers(folder)
    text = with_problems(configuration.read_text(), folder, os.environ)
    text = with_connections(text, open_files(), os.environ)
    text = with_deadlines(text, os.environ)
    text = with_retries(text, os.environ)
    configuration.write_text(closed(text) if loopback else text)
    program = rewritten_copy(Path(binary), folder)
    # Derived from a pepper, which HAProxy itself must not have. Without peppers replicas do not believe it.
    token, *_ = *proxy_peer.tokens(os.environ.pop("LUNA_PEPPERS", "")), b""
    os.environ[proxy_peer.TOKEN_VARIABLE] = token.decode()
    os.execv(program, [program.name, *arguments])  # noqa: S606  no shell is the point


def main(argv: list[str]) -> NoReturn:
    """Run HAProxy on loopback; it ends with the parent of this process.

    Args:
        argv: the program and its arguments.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        sys.exit("the process that started HAProxy is gone")
    binary, *arguments = argv
    run(binary, arguments, loopback=True)
