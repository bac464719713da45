"""What `luna up` is made of, one piece at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.local.serve_haproxy import NEEDS_HAPROXY

from luna_serving.local.data_folder.caches import cache_folder, keep_compiled_shapes
from luna_serving.local.data_folder.env_file import local_peppers, read_env, write_env
from luna_serving.local.data_folder.errors import BinaryMissingError
from luna_serving.local.data_folder.folder import DataFolder
from luna_serving.local.data_folder.run_folder import MARK, RunFolder
from luna_serving.local.greeting import curl
from luna_serving.local.loopback.haproxy_answers import UNAVAILABLE
from luna_serving.local.loopback.haproxy_connections import with_connections
from luna_serving.local.loopback.haproxy_on_loopback import closed
from luna_serving.local.loopback.ray_environment import choose_proxy, haproxy_binary, install_haproxy, ray_environment
from luna_serving.local.parts import S3, Parts
from luna_serving.local.progress import Progress
from luna_serving.local.servers import seaweedfs
from luna_serving.local.servers.settlement_process import SettlementProcess
from luna_serving.local.signals import Signals, StopRequested
from luna_serving.local.up import finish_objects
from luna_store.accounts.api_keys import Peppers

from .conftest import runs

# HAProxy appends `.<pid>.tmp` while it opens the socket; Linux allows 107 bytes.
LONGEST_SOCKET = 107
NODE_ID = "f" * 56


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.acquire()
    return folder


def environment(tmp_path: Path, **inherited: str) -> dict[str, str]:
    return ray_environment(inherited, tmp_path, "haproxy", tmp_path / "haproxy", cores=2)


def test_the_pepper_of_a_folder_never_changes(folder: DataFolder) -> None:
    peppers = local_peppers(folder)
    assert local_peppers(folder) == peppers
    assert len(Peppers.parse(peppers).by_name["local"]) >= 32
    assert stat.S_IMODE((folder.path / "peppers").stat().st_mode) == 0o600


def test_what_the_env_file_says_is_what_was_written(folder: DataFolder) -> None:
    values = {"DATABASE_URL": "postgresql://u:p=%40@h/d?a=b#c", "LUNA_ACCOUNT_ID": "1"}
    write_env(folder, values)
    assert read_env(folder.path) == values


def test_a_value_that_would_begin_a_line_of_its_own_is_refused(folder: DataFolder) -> None:
    with pytest.raises(ValueError, match="REDIS_URL"):
        write_env(folder, {"REDIS_URL": "redis://h\nLUNA_API_KEY=theirs"})


def test_where_no_luna_runs_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read_env(tmp_path / "nothing") == {}


def test_the_call_is_one_line_that_a_shell_takes_apart_again() -> None:
    line = curl("http://127.0.0.1:8000", 7, "luna_x")
    assert "\n" not in line
    script = f"set -- {line.removeprefix('curl')}; printf '%s\\n' \"$@\""
    words = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, text=True).stdout.splitlines()
    assert words[0] == "http://127.0.0.1:8000/api/v1/7/kalman"
    assert "X-API-Key: luna_x" in words
    assert "Content-Type: application/json" in words


def test_every_listener_without_an_address_is_put_on_loopback() -> None:
    before = "frontend a\n    bind :9101\nlisten b\n  bind *:8404\nfrontend c\n    bind 127.0.0.1:8000\n"
    after = (
        "frontend a\n    bind 127.0.0.1:9101\nlisten b\n  bind 127.0.0.1:8404\nfrontend c\n    bind 127.0.0.1:8000\n"
    )
    assert closed(before) == after
    assert closed(after) == after


def test_the_answer_without_replicas_has_the_length_that_it_says() -> None:
    head, body = UNAVAILABLE.split("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head


@NEEDS_HAPROXY
def test_haproxy_accepts_the_rewritten_configuration(tmp_path: Path) -> None:
    binary = haproxy_binary()
    assert binary
    program = install_haproxy(tmp_path, binary)
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        f"""
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    errorfile 503 {tmp_path / "500.http"}
listen stats
    bind *:{20_480}
    stats enable
"""
    )
    checked = subprocess.run([program, "-c", "-f", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "bind 127.0.0.1:20480" in config.read_text()


def test_serves_own_proxy_stands_in_front_where_it_is_asked_for() -> None:
    assert choose_proxy({"LUNA_PROXY": "serve"}) == "serve"
    assert choose_proxy({}) == ("haproxy" if haproxy_binary() else "serve")


def test_what_the_caller_tunes_wins_but_not_what_keeps_ports_closed(tmp_path: Path) -> None:
    chosen = environment(tmp_path, RAY_SERVE_HAPROXY_NBTHREAD="3", RAY_AUTH_MODE="disabled", OTHER="kept")
    assert (chosen["RAY_SERVE_HAPROXY_NBTHREAD"], chosen["RAY_AUTH_MODE"], chosen["OTHER"]) == ("3", "token", "kept")


def test_two_lunas_are_given_no_port_and_no_file_in_common(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = environment(tmp_path / "a"), environment(tmp_path / "b")
    apart = [name for name in one if name.endswith(("_PATH", "_LOC", "_FILE", "_BASE")) and "IMPORT" not in name]
    assert len(apart) >= 7
    assert all(one[name] != two[name] for name in apart)
    ports = ["RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"]
    assert len({one[name] for name in ports}) == len(ports)


def test_haproxys_socket_path_is_short_enough(folder: DataFolder) -> None:
    run = RunFolder.create(folder)
    socket = environment(run.path)["RAY_SERVE_HAPROXY_SOCKET_PATH"]
    path = Path(socket).parent / NODE_ID / Path(socket).name
    assert len(f"{path}.4194304.tmp") <= LONGEST_SOCKET
    run.remove()


def test_a_killed_runs_processes_are_found_by_their_environment_and_ended(folder: DataFolder) -> None:
    run = RunFolder.create(folder)
    ours = subprocess.Popen(["/bin/sleep", "60"], env={**os.environ, MARK: str(run.path)})
    theirs = subprocess.Popen(["/bin/sleep", "60"])
    try:
        left = RunFolder.left_over(folder)
        assert left is not None
        assert left.end_processes(grace_s=1.0) == 1
        assert ours.poll() is not None
        assert theirs.poll() is None
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()
    left.remove()
    assert not run.path.exists()
    assert RunFolder.left_over(folder) is None


def test_a_damaged_record_removes_no_folder_of_somebody_else(folder: DataFolder, tmp_path: Path) -> None:
    (tmp_path / "luna-link").symlink_to(tmp_path)
    for named in ("/", str(tmp_path), str(tmp_path / "luna-link")):
        (folder.path / "run").write_text(named + "\n")
        assert RunFolder.left_over(folder) is None


def test_settlement_that_keeps_dying_is_started_ever_more_rarely(tmp_path: Path) -> None:
    now = 0.0
    settlement = SettlementProcess(tmp_path / "log", os.environ, (sys.executable, "-c", ""), clock=lambda: now)
    settlement.start()
    pauses = []
    while len(pauses) < 7:
        deadline = time.monotonic() + 10
        while (news := settlement.keep_alive()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pauses.append(float(news.split("again in ")[1].split(" s")[0]))
        now += pauses[-1] - 0.01
        before = settlement.pid
        assert settlement.keep_alive() is None
        assert settlement.pid == before
        now += 0.02
        assert settlement.keep_alive() is None
        assert settlement.pid != before
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    settlement.stop(1.0)


def test_only_the_first_signal_interrupts() -> None:
    with Signals() as signals:
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), 15)
        assert not signals.hurry.is_set()
        os.kill(os.getpid(), 15)
        assert signals.hurry.is_set()


def test_the_cache_is_one_for_each_user_and_machine(tmp_path: Path) -> None:
    found = cache_folder({"XDG_CACHE_HOME": str(tmp_path)})
    assert found is not None
    assert found.is_relative_to(tmp_path / "luna")
    (tmp_path / "file").touch()
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path / "file")}) is None


@pytest.mark.parametrize("compiled", [False, True])
def test_bytecode_is_kept_for_every_process_if_nothing_else_keeps_it(tmp_path: Path, compiled: bool) -> None:
    (tmp_path / "ray.py").touch()
    script = """
import os, sys
from pathlib import Path
from luna_serving.local.data_folder.caches import keep_bytecode
handed_on = dict(os.environ)
# The command line calls it for itself, then `luna up` for its children.
used = [keep_bytecode(Path(sys.argv[1]), {}), keep_bytecode(Path(sys.argv[1]), handed_on)]
assert used == [sys.argv[2] == "False"] * 2, used
assert (handed_on.get("PYTHONPYCACHEPREFIX") == sys.argv[1]) == used[0]
assert ("PYTHONDONTWRITEBYTECODE" in handed_on) == (not used[0])
"""
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environ.pop("PYTHONPYCACHEPREFIX", None)
    if compiled:
        subprocess.run([sys.executable, "-m", "py_compile", tmp_path / "ray.py"], env=environ, check=True)
    command = [sys.executable, "-c", script, str(tmp_path / "cache"), str(compiled)]
    assert subprocess.run(command, env=environ, check=False).returncode == 0


def test_a_jax_cache_that_the_caller_chose_stays(tmp_path: Path) -> None:
    chosen = {"JAX_COMPILATION_CACHE_DIR": "/elsewhere"}
    keep_compiled_shapes(tmp_path, chosen)
    assert chosen["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"


def test_where_there_is_no_object_store_for_the_platform_luna_says_so_and_goes_on(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Path:
        raise BinaryMissingError("There is no embedded object store here: set S3_ENDPOINT.")

    for name in S3:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(seaweedfs, "seaweedfs_binary", missing)
    parts = Parts(folder)
    try:
        parts.begin_objects()
        finish_objects(parts, Progress())
        assert "Without an object store: There is no embedded object store here" in capsys.readouterr().err
        assert parts.dead() is None
        assert parts.objects == {}
    finally:
        parts.stop(threading.Event(), keep_ray_logs=False)


def test_an_object_store_that_is_stopped_while_it_starts_leaves_no_process(folder: DataFolder) -> None:
    parts = Parts(folder)
    parts.begin_objects()
    pid = folder.path / "objects" / "pid"
    deadline = time.monotonic() + 30
    while not pid.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    begun = time.monotonic()
    parts.stop(threading.Event(), keep_ray_logs=False)
    assert time.monotonic() - begun < 10
    assert not runs(int(pid.read_text()))


def test_haproxy_takes_as_many_connections_as_its_open_files_allow() -> None:
    configuration = "global\n    maxconn 4096\n    nbthread 1\nlisten a\n    maxconn 7\n"
    wide = with_connections(configuration, 1_000_000, {})
    assert "    maxconn 32768\n    maxpipes 256\n    nbthread 1\n" in wide
    assert wide.endswith("    maxconn 7\n"), "of the listener, not of the process"
    assert "    maxconn 9544\n" in with_connections(configuration, 20_000, {})
    assert with_connections(configuration, 20_000, {"RAY_SERVE_HAPROXY_MAXCONN": "4096"}) == configuration
