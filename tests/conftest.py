"""Servers for every test: real Postgres, Valkey and SeaweedFS, started once for a run.

`LUNA_TEST_DATABASE_URL` (a role that may create databases) and `LUNA_TEST_REDIS_URL` (a logical database
whose contents may be lost) point a run at servers that stand elsewhere.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import sql
from tests.cluster.fixture import kubernetes, luna_cluster, namespace, third_party_crds  # noqa: F401  likewise
from tests.lanes import LaneScheduling, give_way
from tests.objects.fixture import object_server, objects  # noqa: F401  likewise
from tests.serving.people import people  # noqa: F401  a fixture for every folder
from tests.serving.platform import platform  # noqa: F401  likewise
from tests.store.stores import open_store, store  # noqa: F401  fixtures for every folder

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.platform.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LaneScheduling:
    """Distribute tests by lanes."""
    return LaneScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Beside another worker, a test takes the priority of its lane."""
    if hasattr(item.config, "workerinput"):
        give_way(item.nodeid)


# A file system in memory, and what it needs to have free.
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30

# What decides which servers a process speaks to.
_SERVERS = ("KUBE", "LUNA_", "PG", "S3_")


@pytest.fixture(autouse=True)
def _environment_is_left_alone() -> Iterator[None]:
    """A variable that a test leaves behind would lead later tests to its servers, which are gone by then."""
    before = _servers_named()
    yield
    assert _servers_named() == before, "set it with monkeypatch, which takes it back"


def _servers_named() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_SERVERS)}


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the run's Postgres, of a role that may create databases. Use `fresh_database` in a test."""
    if external := os.environ.get("LUNA_TEST_DATABASE_URL"):
        yield external
        return
    # Pytest keeps the folders of three runs; the log is worth keeping, 40 MB of data are not. They are best in memory:
    # each test has a copy of a database with 700 files.
    memory = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None
    with tempfile.TemporaryDirectory(prefix="luna-test-postgres-", dir=memory, ignore_cleanup_errors=True) as data:
        # Postgres may run as another user.
        Path(data).chmod(0o711)
        # Tests end processes, and the kernel keeps what these have written: a sync would only wait for the disk.
        with PostgresServer(Path(data) / "data", tmp_path_factory.mktemp("postgres"), fsync=False) as server:
            yield server.url


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the run's Valkey. Use `fresh_redis` in a test."""
    if external := os.environ.get("LUNA_TEST_REDIS_URL"):
        yield external
        return
    folder = tmp_path_factory.mktemp("valkey")
    with ValkeyServer(folder / "data", folder) as server:
        yield server.url
    shutil.rmtree(folder / "data", ignore_errors=True)


@pytest.fixture
def fresh_database(postgres_server: str) -> Iterator[str]:
    """URL of an empty database of the test's own; dropped afterwards, open connections or not."""
    with _database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> Iterator[str]:
    """Name of a database with this release's schema. Copying it takes a quarter of the time of its migrations."""
    with _database(postgres_server) as url:
        migrate(url)
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def migrated_database(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """URL of a database of the test's own with this release's schema, and no rows."""
    with _database(postgres_server, migrated_template) as url:
        yield url


@contextmanager
def _database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"luna_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # In memory a copy of files takes half as long as the default, which logs every page.
        how = "WAL_LOG" if "LUNA_TEST_DATABASE_URL" in os.environ else "FILE_COPY"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template), sql.SQL(how)))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def fresh_redis(valkey_server: str) -> Iterator[str]:
    """URL of an empty logical database, emptied again afterwards; the same one for every test of the run."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushdb()
        client.script_flush()
        yield valkey_server
        client.flushdb()
