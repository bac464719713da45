"""The operator as a process forked from one that has imported it: the same program, there in a fraction of the time.

Twenty restarts would spend most of a test's minutes on imports. What is forked has no connection, loop or thread yet.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from ctypes import CDLL
from typing import TYPE_CHECKING

from tests.operator.operating import Operator

from luna_serving.local.data_folder.errors import ServerDiedError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

PR_SET_PDEATHSIG = 1


class ForkedProcess:
    """What `Operator` needs of a process."""

    name = "luna-operator"

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["luna_operator.main", "tests.operator.resilience.forked"])
        self._child: ForkServerProcess = context.Process(target=_run, args=(environment, str(log)), daemon=True)
        self._child.start()
        self._log = log

    @property
    def pid(self) -> int:
        return self._child.pid

    def poll(self) -> int | None:
        return self._child.exitcode

    def stop(self, *steps: tuple[signal.Signals, float]) -> int:
        """Send each signal and wait so many seconds; SIGKILL at last."""
        for number, seconds in (*steps, (signal.SIGKILL, 10.0)):
            if self._child.exitcode is None:
                os.kill(self._child.pid, number)
                self._child.join(seconds)
        return self._child.exitcode

    def died(self, what: str) -> ServerDiedError:
        text = self._log.read_text() if self._log.exists() else ""
        return ServerDiedError(what, self._log, text[-4000:])


class ForkedOperator(Operator):
    """As `Operator`."""

    def _start(self, environment: dict[str, str]) -> ForkedProcess:
        return ForkedProcess(environment, self.log)


def _run(environment: dict[str, str], log: str) -> None:
    from kubernetes.config import kube_config

    from luna_operator.main import main

    if sys.platform == "linux":
        CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    # The package reads the variable once, when it is imported.
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = environment["KUBECONFIG"]
    # As from a shell: the fork server ignores SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main([]))
