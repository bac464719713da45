"""What a Luna that was killed leaves behind, and what the next one makes of it."""

from __future__ import annotations

import shutil
import sys
import threading

import psycopg
import pytest
import redis

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

from .conftest import end_by_id, gone_within, runs

# Starts both servers in a worker thread that then ends, and is killed.
KILLED_LUNA = """
import os, pathlib, signal, sys, threading, time
from luna_serving.local.servers import spawn
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
import psycopg, redis
if sys.argv[2] == "untied":
    spawn._TIE_TO_PARENT = "import os, sys; os.execv(sys.argv[3], sys.argv[3:])"
folder = pathlib.Path(sys.argv[1])
servers = PostgresServer(folder / "postgres", folder), ValkeyServer(folder / "valkey", folder)
worker = threading.Thread(target=lambda: [server.start() for server in servers])
worker.start()
worker.join()
with psycopg.connect(servers[0].url) as connection:
    connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
redis.Redis.from_url(servers[1].url).set("kept", 42)
time.sleep(0.3)
print(*(server.pid for server in servers), *(server.poll() for server in servers), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_killed_luna_takes_its_servers_along_but_an_ended_thread_does_not(tmp_path, python):
    output, _ = python(KILLED_LUNA, tmp_path, "tied").communicate(timeout=60)
    postgres, valkey, *alive_after_the_thread = output.split()
    assert alive_after_the_thread == ["None", "None"]
    assert gone_within(10, int(postgres), int(valkey))


def test_a_second_start_stops_the_servers_that_a_killed_luna_left(tmp_path, python):
    output, _ = python(KILLED_LUNA, tmp_path, "untied").communicate(timeout=60)
    left_over = [int(pid) for pid in output.split()[:2]]
    try:
        assert all(runs(pid) for pid in left_over)
        with (
            PostgresServer(tmp_path / "postgres", tmp_path) as postgres,
            ValkeyServer(tmp_path / "valkey", tmp_path) as valkey,
        ):
            assert not any(runs(pid) for pid in left_over)
            with psycopg.connect(postgres.url) as connection:
                assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
            with redis.Redis.from_url(valkey.url) as client:
                assert client.get("kept") == b"42"
    finally:
        end_by_id(*(pid for pid in left_over if runs(pid)))
    shutil.rmtree(tmp_path / "postgres")


def test_a_process_that_only_wears_an_old_id_of_ours_is_left_alone(postgres, valkey, tmp_path, bystander):
    postgres_id = tmp_path / "postgres" / "pgdata" / "postmaster.pid"
    postgres.kill()
    valkey.kill()
    for pid_file in (postgres_id, tmp_path / "valkey" / "valkey.pid"):
        _, _, rest = pid_file.read_text().partition("\n")
        pid_file.write_text(f"{bystander.pid}\n{rest}")
    postgres.start()
    valkey.start()
    assert bystander.poll() is None


@pytest.mark.parametrize("content", ["", "123", "nonsense\n"])
def test_a_damaged_id_file_does_not_stop_the_start(postgres, tmp_path, content):
    postgres.kill()
    (tmp_path / "postgres" / "pgdata" / "postmaster.pid").write_text(content)
    postgres.start()


def test_servers_started_in_a_thread_outlive_it(valkey):
    valkey.stop()
    thread = threading.Thread(target=valkey.start)
    thread.start()
    thread.join()
    assert not gone_within(0.3, valkey.pid)
