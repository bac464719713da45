"""The parts of a running Luna: databases, settlement and Ray Serve, started in order and stopped in reverse."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from luna_serving.local.data_folder.caches import cache_folder, keep_bytecode, keep_compiled_shapes
from luna_serving.local.data_folder.errors import BinaryMissingError, ServerDiedError
from luna_serving.local.data_folder.ports import LOOPBACK
from luna_serving.local.data_folder.run_folder import MARK, RunFolder
from luna_serving.local.loopback.ray_environment import choose_proxy, haproxy_binary, install_haproxy, ray_environment
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.process import ServerProcess
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.local.servers.settlement_process import SettlementProcess
from luna_serving.local.servers.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from luna_serving.local.data_folder.folder import DataFolder
    from luna_serving.local.loopback.ray_environment import Proxy

# Together below the 10 s in which `luna up` promises to end; the servers need tenths of a second.
_SERVE_STOP_S = 5.0
_SETTLE_STOP_S = 2.0
_OBJECTS_JOIN_S = 1.0
_DEMO_PRICES_S = 60.0
# The file in the run's folder with the variables that the process of Ray and Serve waits for.
_REST = "environment"
S3 = ("S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "S3_BUCKET", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
STORES = ("DATABASE_URL", "REDIS_URL", *S3)


class Parts:
    """Owns every process of this Luna. `stop` ends all that were started, also after a partial start."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self.logs = folder.path / "logs"
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None
        self._objects: SeaweedServer | None = None
        self._objects_start: Future[dict[str, str]] | None = None
        self._objects_thread: threading.Thread | None = None
        self._settlement: SettlementProcess | None = None
        self._demo_prices: ServerProcess | None = None
        self._serve: ServerProcess | None = None
        self._run = RunFolder.create(folder)
        self._environment = {**os.environ, MARK: str(self._run.path)}
        cache = cache_folder(self._environment) or folder.path / "cache"
        keep_bytecode(cache / "bytecode", self._environment)
        keep_compiled_shapes(cache / "xla", self._environment)

    @property
    def database_url(self) -> str:
        """The URL of Postgres, embedded or external."""
        return self._environment["DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        """The URL of Redis or Valkey, embedded or external."""
        return self._environment["REDIS_URL"]

    @property
    def objects(self) -> dict[str, str]:
        """The S3_ variables of the object store, embedded or external; empty without one."""
        return {name: self._environment[name] for name in S3 if self._environment.get(name)}

    @property
    def started(self) -> bool:
        """Whether any part was started."""
        return any((self._postgres, self._valkey, self._objects, self._settlement, self._serve))

    def start_postgres(self) -> None:
        """Start the embedded one."""
        self._postgres = PostgresServer(self._folder.path / "postgres", self.logs)
        self._environment["DATABASE_URL"] = self._postgres.start()

    def start_valkey(self) -> None:
        """Start the embedded one."""
        self._valkey = ValkeyServer(self._folder.path / "valkey", self.logs)
        self._environment["REDIS_URL"] = self._valkey.start()

    def begin_objects(self) -> None:
        """Start the embedded object store in a thread: it takes as long as Postgres and migrations together."""
        self._objects = SeaweedServer(self._folder.path / "objects", self.logs)
        self._objects_start = Future()
        self._objects_thread = threading.Thread(
            target=_start_into, args=(self._objects, self._objects_start), name="luna-objects", daemon=True
        )
        self._objects_thread.start()

    def finish_objects(self) -> None:
        """Wait for the object store that `begin_objects` started; no effect if it started none.

        Raises:
            BinaryMissingError: there is none for this platform; Luna runs without it.
            LocalServerError: it cannot start.
        """
        if self._objects_start is not None:
            try:
                self._environment |= self._objects_start.result()
            except BinaryMissingError:
                self._objects = None
                raise

    def start_settlement(self) -> None:
        """Start `luna settle`."""
        self._settlement = SettlementProcess(self.logs / "settlement.log", self._environment)
        self._settlement.start()

    def begin_demo_prices(self) -> None:
        """Start the import of the demo prices, which ends before Ray Serve is ready."""
        command = [sys.executable, "-P", "-m", "luna_serving.local.demo_prices"]
        self._demo_prices = ServerProcess(command, log_file=self.logs / "demo-prices.log", env=self._environment)

    def finish_demo_prices(self) -> str:
        """Wait for the import; returns a line for people, empty if nothing was to be done."""
        if self._demo_prices is None:
            return ""
        try:
            if not self._demo_prices.wait(_DEMO_PRICES_S):
                return self._demo_prices.log_tail(1)
        except ServerDiedError:
            self._demo_prices.kill()
        return f"Without demo prices: their import failed. See {self._demo_prices.log_file}"

    def begin_serve(self, port: int, app: str) -> Proxy:
        """Start the process of Ray and Serve, which imports a module's application while the databases start."""
        run_dir = self._run.path
        token = os.open(run_dir / "token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(token, "w") as file:
            file.write(secrets.token_hex(32))
        proxy = choose_proxy(os.environ)
        binary = haproxy_binary() if proxy == "haproxy" else None
        environment = ray_environment(
            {
                "LUNA_EDGE_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
                **self._environment,
                "LUNA_DATA_DIR": str(self._folder.path.absolute()),
            },
            run_dir,
            proxy,
            install_haproxy(run_dir, binary) if binary else None,
            os.cpu_count() or 1,
        )
        command = [
            sys.executable,
            "-P",
            "-m",
            "luna_serving.local.loopback.serve_process",
            str(port),
            str(self._run.ray),
            app,
            str(run_dir / _REST),
        ]
        self._serve = ServerProcess(command, log_file=self.logs / "serve.log", env=environment)
        return proxy

    def start_serve(self, peppers: str) -> None:
        """Let it start Ray and the application, without waiting; `serve_died` reports an early end."""
        rest = {name: self._environment[name] for name in STORES if self._environment.get(name)}
        whole = self._run.path / f"{_REST}.part"
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(rest | {"LUNA_PEPPERS": peppers}, file)
        whole.rename(self._run.path / _REST)

    def serve_died(self) -> Exception | None:
        """The error if the process of Ray and Serve has ended; None while it runs."""
        if self._serve is None or (status := self._serve.poll()) is None:
            return None
        return self._serve.died(f"Ray Serve ended with status {status}.")

    def serve_silent(self, seconds: float) -> Exception:
        """The error if the application did not answer for `seconds`."""
        assert self._serve is not None  # noqa: S101  called only after begin_serve
        return self._serve.died(f"The application was not ready within {seconds:g} s.")

    def dead(self) -> str | None:
        """A message about a part that died and is not restarted; None while all run."""
        for name, server in (
            ("Postgres", self._postgres),
            ("Valkey", self._valkey),
            ("The object store", self._objects),
        ):
            if server is self._objects and not self._objects_ready():
                continue  # `finish_objects` says what became of it
            if server is not None and (status := server.poll()) is not None:
                return f"{name} ended with status {status}. See {server.log_file}"
        died = self.serve_died()
        return str(died) if died else None

    def _objects_ready(self) -> bool:
        return self._objects_start is not None and self._objects_start.done()

    def keep_alive(self, tell: Callable[[str], object]) -> None:
        """Restart settlement if it died."""
        if self._settlement is not None and (news := self._settlement.keep_alive()):
            tell(news)

    def stop(self, hurry: threading.Event, *, keep_ray_logs: bool) -> Path | None:
        """Stop all parts and wait until they have ended.

        Args:
            hurry: once set, do not wait for calls in flight.
            keep_ray_logs: copy Ray's logs into the log folder, after an error.

        Returns:
            Where Ray's logs are; None if there are none.
        """
        if self._demo_prices is not None:
            self._demo_prices.kill()  # what it has not published, retention removes
        if self._serve is not None:
            _end(self._serve, _SERVE_STOP_S, hurry)
        stops = [
            threading.Thread(target=s.stop) for s in (self._objects, self._valkey, self._postgres) if s is not None
        ]
        if self._objects is not None:
            stops[0].start()  # nothing but Serve uses it
        if self._settlement is not None:
            # After Serve: it books the debits of the last calls.
            self._settlement.stop(0.0 if hurry.is_set() else _SETTLE_STOP_S)
        self._run.end_processes()
        kept = self._run.keep_logs(self.logs / "ray") if keep_ray_logs else None
        self._run.remove()
        for stop in stops:
            if stop.ident is None:
                stop.start()
        for stop in stops:
            stop.join()
        if self._objects_thread is not None:
            self._objects_thread.join(_OBJECTS_JOIN_S)
        return kept


def _start_into(server: SeaweedServer, outcome: Future[dict[str, str]]) -> None:
    try:
        outcome.set_result(server.start())
    except BaseException as error:  # noqa: BLE001  raised where the start is waited for
        outcome.set_exception(error)


def _end(process: ServerProcess, grace_s: float, hurry: threading.Event) -> None:
    deadline = time.monotonic() + grace_s
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    while process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
        time.sleep(0.02)
    process.kill()
