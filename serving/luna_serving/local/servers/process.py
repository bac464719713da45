"""A server as a child process: detached from the terminal, and stopped reliably."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from luna_serving.local.data_folder.errors import ServerDiedError
from luna_serving.local.servers.process_tree import children, end
from luna_serving.local.servers.spawn import spawn


class ServerProcess:
    """One run of a child server.

    The child leads its own session, so Ctrl-C in the terminal reaches only Luna, which then stops its servers in order.
    On Linux the kernel sends `death_signal` to the child when this process dies in any way, SIGKILL included. On other
    systems the next start finds the left-over server (see `process_tree.stop_left_over`).
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log_file: Path,
        death_signal: signal.Signals = signal.SIGTERM,
        through: Sequence[str] = (),
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start `argv`; `argv[0]` is an absolute path.

        Args:
            argv: the program and its arguments.
            log_file: its standard output and error are appended here (mode 0600).
            death_signal: the signal for the child when this process dies.
            through: a command that changes the user and executes the rest in place, such as `unshare ...`.
            cwd: working directory of the child.
            env: its environment; this process's if None.

        Raises:
            OSError: the program cannot be executed.
        """
        self.name = Path(argv[0]).name
        self.log_file = log_file
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._log_start = os.fstat(log).st_size
            self._child = spawn(argv, output=log, death_signal=death_signal, through=through, cwd=cwd, env=env)
        finally:
            os.close(log)

    @property
    def pid(self) -> int:
        """The server's process id; wrappers execute the server in place."""
        return self._child.pid

    def poll(self) -> int | None:
        """Return the exit status, or None while the server runs."""
        return self._child.poll()

    def wait(self, timeout_s: float) -> int:
        """Wait for the server to end by itself.

        Raises:
            ServerDiedError: it runs for more than `timeout_s` seconds.
        """
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self.died(f"{self.name} was not done within {timeout_s:g} s.") from None

    def stop(self, *steps: tuple[signal.Signals, float]) -> int:
        """End the server and its descendants; return its exit status.

        Each step sends its signal and waits at most its seconds; the next step follows only if the server still runs,
        and SIGKILL follows the last one. Returns when the processes have ended.
        """
        status = self.poll()
        if status is not None:
            return status
        # Before the server ends: afterwards its children belong to init and cannot be found.
        family = children(self.pid)
        for number, grace_s in (*steps, (signal.SIGKILL, 10.0)):
            self._child.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace_s)
                break
        end(family, grace_s=0.5 if steps else 0.0)
        return self._child.wait()

    def kill(self) -> int:
        """End the server and its descendants with SIGKILL, as a crash of the machine would."""
        return self.stop()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of this run's output."""
        with self.log_file.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 16_384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def died(self, what: str) -> ServerDiedError:
        """Return an error with `what` happened and the end of the log."""
        return ServerDiedError(what, self.log_file, self.log_tail())


def wait_until(ready: Callable[[], bool], process: ServerProcess, timeout_s: float) -> None:
    """Poll `ready` until it is true, at growing intervals: Postgres logs each refusal while it recovers.

    Raises:
        ServerDiedError: the process ended, or `timeout_s` seconds passed; has the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = 0.02
    while not ready():
        status = process.poll()
        if status is not None:
            raise process.died(f"{process.name} ended at its start with status {status}.")
        if time.monotonic() > deadline:
            raise process.died(f"{process.name} gave no answer within {timeout_s:g} s.")
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.25)
