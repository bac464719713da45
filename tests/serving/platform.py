"""The whole application for tests: `luna up`, on servers of its own that a test may kill, or on given ones.

The fixture `platform` is one for the whole run, and so is its Ray: a test elsewhere that needs a running ingress takes
the same fixture and writes to its databases (`database_url`, `redis_url`, `PEPPERS`). `luna_on` starts another Luna.
"""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import redis
from tests.store.stores import as_data

from luna_serving.local.data_folder.ports import free_port
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

PEPPERS = "test:" + "p" * 32
READY_S = 240
NO_OBJECTS: Mapping[str, str] = MappingProxyType({})


@dataclass
class Caller:
    """An account with a key."""

    id: int
    key: ApiKey
    base_url: str

    @property
    def url(self) -> str:
        return f"{self.base_url}/api/v1/{self.id}"

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"X-API-Key": self.key.secret} | headers,
            timeout=60,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
        )


@dataclass
class Luna:
    """A running Luna."""

    url: str
    database_url: str
    redis_url: str
    peppers: str
    process: subprocess.Popen[bytes]
    log: Path

    async def caller(self, **spec: Any) -> Caller:
        """A new account; by default with plenty of everything."""
        defaults = {"quota_limit": 1_000_000, "rate_per_second": 1e5, "rate_burst": 100_000}
        engine, client = async_engine(self.database_url), redis_client(self.redis_url)
        try:
            accounts = Accounts(engine, Peppers.parse(self.peppers))
            made = AccountSpec(account_name=f"test/{secrets.token_hex(6)}", **as_data(defaults | spec))
            account_id, key = await accounts.create(made)
            await AccountCache(engine, client).rebuild(account_id)
            return Caller(account_id, key, self.url)
        finally:
            await client.aclose()
            await engine.dispose()

    async def change(self, account_id: int, **changes: Any) -> None:
        engine, client = async_engine(self.database_url), redis_client(self.redis_url)
        try:
            await Accounts(engine, Peppers.parse(self.peppers)).update(account_id, **changes)
            await AccountCache(engine, client).rebuild(account_id)
        finally:
            await client.aclose()
            await engine.dispose()

    def used(self, account_id: int) -> int:
        """`quota_used` once settlement has come to rest."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            with redis.Redis.from_url(self.redis_url) as client:
                waiting = client.xlen(f"user:{{{account_id}}}:events")
            with psycopg.connect(self.database_url) as sql:
                row = sql.execute("SELECT quota_used, cache_stale FROM accounts WHERE id = %s", [account_id]).fetchone()
            assert row is not None
            if not waiting and not row[1]:
                return int(row[0])
            time.sleep(0.05)
        raise AssertionError(f"settlement does not come to rest; see {self.log}")

    def left(self, account_id: int) -> int:
        with redis.Redis.from_url(self.redis_url) as client:
            return int(client.get(f"user:{{{account_id}}}:quota") or 0)

    def settler(self) -> psutil.Process | None:
        """The process that settles, while there is one."""
        return self._descendant(r"luna_serving\.cli settle")

    def own_settler(self) -> psutil.Process:
        """A second settler, for as long as there is no first."""
        environment = os.environ | {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}
        command = [sys.executable, "-m", "luna_serving.cli", "settle"]
        with self.log.open("ab") as output:
            return psutil.Popen(command, env=environment, stdout=output, stderr=output)

    def kalman_replica(self) -> psutil.Process | None:
        return self._descendant(r"ServeReplica:luna:compute")

    def _descendant(self, pattern: str) -> psutil.Process | None:
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if re.search(pattern, " ".join(process.cmdline())):
                    return process
            except psutil.Error:
                continue
        return None


@dataclass
class Platform(Luna):
    """A running Luna and its servers."""

    postgres: PostgresServer
    valkey: ValkeyServer
    objects: SeaweedServer


@contextmanager
def luna_on(
    folder: Path,
    *,
    database_url: str,
    redis_url: str,
    peppers: str = PEPPERS,
    arguments: Sequence[str] = (),
    objects: Mapping[str, str] = NO_OBJECTS,
) -> Iterator[Luna]:
    """Start Luna on these servers, in a Ray of its own; stop it, whatever happened.

    Args:
        folder: where it keeps its data and its log; it exists.
        database_url: a database of any revision, an empty one too.
        redis_url: what it holds may be overwritten.
        peppers: as `LUNA_PEPPERS` has them.
        arguments: further arguments of `luna up`.
        objects: the S3_ variables of a store; by default Luna starts its own.
    """
    port, data, log = free_port(), folder / "luna", folder / "luna.log"
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "LUNA_PEPPERS": peppers,
        "LUNA_EDGE_REPLICAS_MIN": "2",
        "LUNA_EDGE_REPLICAS_MAX": "2",
        **objects,
    }
    command = [sys.executable, "-m", "luna_serving.cli", "up", "--port", str(port), "--data-dir", str(data), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + READY_S
        while not (data / "env").exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Luna(f"http://127.0.0.1:{port}", database_url, redis_url, peppers, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One Luna for all tests of the run; each test makes accounts of its own."""
    folder = tmp_path_factory.mktemp("platform")
    with (
        PostgresServer(folder / "postgres", folder, fsync=False) as postgres,
        ValkeyServer(folder / "valkey", folder) as valkey,
        SeaweedServer(folder / "objects", folder) as objects,
        luna_on(folder, database_url=postgres.url, redis_url=valkey.url, objects=objects.environment) as luna,
    ):
        yield Platform(**vars(luna), postgres=postgres, valkey=valkey, objects=objects)
