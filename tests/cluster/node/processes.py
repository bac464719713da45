"""Processes of the node: started inside its namespaces, each with a log of its own; they outlive make."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from tests.cluster.node.shell import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cluster.node.namespaces import Namespaces

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LINES = 15
# A busy machine needs many times what an idle one does.
_START_S = 120.0


class Processes:
    """Those that one run of `make cluster-up` starts."""

    def __init__(self, inside: Namespaces, logs: Path) -> None:
        self._inside = inside
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, program: object, *flags: str) -> None:
        """Start a program under `name`."""
        with (self._logs / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                self._inside.command(program, *flags),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal ends make, not the node.
                start_new_session=True,
                # Programs of the packages call others: containerd calls runc, kube-router calls iptables.
                env={"PATH": _PATH, "HOME": os.environ.get("HOME", "/root")},
                cwd="/",
            )

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until `ready`.

        Raises:
            NodeError: a process ended, or the time is up; the message has the end of its log.
        """
        deadline = time.monotonic() + _START_S
        while not ready():
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                names = ended or list(self._running)[-1:]
                tails = "\n".join(f"{name}:\n{self._tail(name)}" for name in names)
                state = "ended" if ended else f"took more than {_START_S:.0f} s"
                raise NodeError(f"{what} does not come up: {', '.join(names)} {state}. Logs in {self._logs}:\n{tails}")
            time.sleep(0.2)

    def _tail(self, name: str) -> str:
        return "\n".join((self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-_LINES:])
