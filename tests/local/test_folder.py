from __future__ import annotations

import socket
import stat

import pytest

from luna_serving.local.data_folder.errors import DataFolderInUseError
from luna_serving.local.data_folder.folder import DataFolder
from luna_serving.local.data_folder.ports import free_port, is_free


def test_a_killed_holder_leaves_no_lock_behind(tmp_path, python):
    script = """
import os, pathlib, signal, sys
from luna_serving.local.data_folder.folder import DataFolder
DataFolder(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
signal.pause()
"""
    process = python(script, tmp_path / "data")
    assert process.stdout.readline() == "held\n"
    folder = DataFolder(tmp_path / "data")
    with pytest.raises(DataFolderInUseError, match=f"process {process.pid}"):
        folder.acquire()
    process.kill()
    process.wait()
    folder.acquire()
    folder.acquire()  # held already
    folder.release()


def test_a_password_is_made_once_and_differs_between_folders(tmp_path):
    one, other = DataFolder(tmp_path / "one"), DataFolder(tmp_path / "other")
    for folder in (one, other):
        folder.acquire()
        folder.release()
    assert one.password() == one.password() == DataFolder(tmp_path / "one").password()
    assert one.password() != other.password()
    assert len(one.password()) >= 32


@pytest.mark.parametrize("content", ["", "many", "0", "70000", "-1"])
def test_a_damaged_memory_of_the_port_is_replaced(tmp_path, content):
    (tmp_path / "port").write_text(content)
    port = DataFolder(tmp_path).port(None)
    assert is_free(port)
    assert DataFolder(tmp_path).port(None) == port


def test_what_is_written_is_for_the_owner_alone_even_over_an_open_file(tmp_path):
    (tmp_path / "secret").write_text("old")
    (tmp_path / "secret").chmod(0o644)
    written = DataFolder(tmp_path).write("secret", "new")
    assert written.read_text() == "new"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_free_port_is_outside_of_the_range_from_which_clients_get_theirs():
    assert all(free_port() < 32_768 for _ in range(20))


def test_a_port_on_which_somebody_listens_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
