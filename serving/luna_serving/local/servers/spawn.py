"""Starts children that cannot outlive this process, from a thread that lives as long as it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from pathlib import Path

# Runs between fork and the server. preexec_fn would run Python in a forked copy of a threaded process, which may
# deadlock; this runs in a fresh process. PR_SET_PDEATHSIG (1) survives exec but not a change of user, so it comes
# last, after unshare and setpriv. A parent that died before the call sends no signal: hence getppid. Python ignores
# SIGPIPE, and exec would inherit that.
_TIE_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(sys.argv[2]))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that started this server is gone")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(sys.argv[3], sys.argv[3:])
"""


def spawn(
    argv: Sequence[str],
    *,
    output: int,
    death_signal: signal.Signals,
    through: Sequence[str] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session; the result's `pid` is the program's.

    On Linux the kernel sends `death_signal` to the child when this process dies in any way, SIGKILL included.

    Args:
        argv: the program, by its absolute path, and its arguments.
        output: file descriptor for its standard output and error.
        death_signal: the signal for the child when this process dies.
        through: a command that changes the user and executes the rest in place, such as `unshare ...`.
        cwd: working directory of the child.
        env: its environment; this process's if None.

    Raises:
        OSError: the first program of the command cannot be executed.
    """
    tie: list[str] = []
    if sys.platform == "linux":
        tie = [sys.executable, "-I", "-S", "-c", _TIE_TO_PARENT, str(os.getpid()), str(int(death_signal))]
    return _spawner.call(
        lambda: subprocess.Popen(  # noqa: S603 - our own binaries, no shell
            [*through, *tie, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=cwd,
            env=env,
        )
    )


class _Spawner:
    """Starts children from a thread that lives as long as the process.

    PR_SET_PDEATHSIG fires when the *thread* that forked ends, so a server started from a worker thread
    (`asyncio.to_thread`, an executor) would stop with that thread.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def call(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        outcome: Future[subprocess.Popen[bytes]] = Future()

        def call() -> None:
            try:
                outcome.set_result(start())
            except BaseException as error:  # noqa: BLE001 - passed to the caller, which raises it
                outcome.set_exception(error)

        with self._starting:
            # A forked copy of this process inherits the object but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._calls = queue.SimpleQueue()
                self._thread = threading.Thread(
                    target=self._work, args=(self._calls,), name="luna-spawner", daemon=True
                )
                self._thread.start()
            self._calls.put(call)
        return outcome.result()

    @staticmethod
    def _work(calls: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            calls.get()()


_spawner = _Spawner()
