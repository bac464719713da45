"""Runs HAProxy in place of this process, with what Ray Serve's template leaves open closed.

Serve writes the configuration and starts `RAY_SERVE_HAPROXY_BINARY_PATH` with it; `luna up` points that here.

- The statistics page and the metrics listen on every address of the machine; here on 127.0.0.1.
- Killed hard, Serve leaves HAProxy behind for ever; here the kernel ends it with the process that started it.
- What HAProxy answers by itself becomes problems: `haproxy_answers`, `haproxy_pages`. In a cluster that is all
  (`haproxy_in_pod`).

`run` executes HAProxy under this process' id, by which Serve knows it. It is called from `python -I -S`, so that a
start takes no longer than it must: none of these modules imports anything that is installed.
"""

import ctypes
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from luna_serving.local.loopback.haproxy_answers import with_problems, write_answers
from luna_serving.local.loopback.haproxy_pages import rewritten_copy

_PR_SET_PDEATHSIG = 1
_OPEN_BIND = re.compile(r"^(\s*bind )(?:\*)?:(\d+)", re.MULTILINE)


def closed(configuration: str) -> str:
    """The configuration with every listener that had no address on 127.0.0.1."""
    return _OPEN_BIND.sub(r"\g<1>127.0.0.1:\2", configuration)


def run(binary: str, arguments: Sequence[str], *, loopback: bool) -> NoReturn:
    """Rewrite the configuration that the arguments name, and execute HAProxy with it.

    Args:
        binary: the program.
        arguments: Serve's, with `-f <configuration>` among them.
        loopback: whether to keep listeners without an address to this machine.
    """
    configuration = Path(arguments[arguments.index("-f") + 1]).absolute()
    folder = configuration.parent
    write_answers(folder)
    text = with_problems(configuration.read_text(), folder)
    configuration.write_text(closed(text) if loopback else text)
    program = rewritten_copy(Path(binary), folder)
    os.execv(program, [program.name, *arguments])  # noqa: S606  no shell is the point


def main(argv: list[str]) -> NoReturn:
    """Tie HAProxy's life to this process' parent, and run it on loopback.

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
