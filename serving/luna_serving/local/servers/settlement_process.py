"""`luna settle` as a child process, restarted if it dies."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

from luna_serving.local.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LONGEST_PAUSE_S = 30.0
# After a run of this many seconds the backoff starts again.
_GOOD_RUN_S = 60.0


class SettlementProcess:
    """Settles until stopped. While it is down, calls are served and their debits wait in Redis.

    Args:
        log_file: its output is appended here.
        environment: with DATABASE_URL and REDIS_URL.
        argv: the command.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        log_file: Path,
        environment: Mapping[str, str],
        argv: tuple[str, ...] = (sys.executable, "-P", "-m", "luna_serving.cli", "settle"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log_file = log_file
        self._environment = environment
        self._argv = argv
        self._clock = clock
        self._process: ServerProcess | None = None
        self._started_at = 0.0
        self._due_at: float | None = None
        self._deaths = 0

    def start(self) -> None:
        """Start it."""
        self._process = ServerProcess(self._argv, log_file=self._log_file, env=self._environment)
        self._started_at = self._clock()
        self._due_at = None

    def keep_alive(self) -> str | None:
        """Restart the process if it died and its pause has passed; call this often.

        Returns:
            A message, once per death; else None.
        """
        if self._process is None or (status := self._process.poll()) is None:
            return None
        now = self._clock()
        if self._due_at is None:
            self._deaths = 1 if now - self._started_at > _GOOD_RUN_S else self._deaths + 1
            pause = min(2.0 ** (self._deaths - 1), _LONGEST_PAUSE_S)
            self._due_at = now + pause
            return f"Settlement ended with status {status}; it starts again in {pause:g} s. See {self._log_file}"
        if now >= self._due_at:
            self.start()
        return None

    def stop(self, grace_s: float) -> None:
        """Stop the process after it settled the rest, within `grace_s` seconds."""
        if self._process is not None:
            self._process.stop((signal.SIGTERM, grace_s))

    @property
    def pid(self) -> int | None:
        """The process id of the current run."""
        return self._process.pid if self._process else None
