"""`luna up`, the real thing: a subprocess with Postgres, Valkey, Ray, HAProxy and the application."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from luna_serving.local.data_folder.ports import free_port

# Some tests start Luna twice.
pytestmark = pytest.mark.timeout(900)

OF_TIERS = [f"LUNA_{tier}_{what}" for tier in ("FREE", "PRO", "PREMIUM") for what in ("ACCOUNT_ID", "API_KEY")]
NAMES = [
    *("LUNA_URL", "LUNA_ACCOUNT_ID", "LUNA_API_KEY", *OF_TIERS, "LUNA_EMAIL", "LUNA_PASSWORD"),
    *("DATABASE_URL", "REDIS_URL"),
]
OBJECTS = ["S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "S3_BUCKET", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"]
NILE = [1120, 1160, 963, 1210, 1160]
# 12 s on two idle cores; 95 s have been measured while benchmarks ran.
READY_S = 240


class Up:
    """One run of `luna up`."""

    def __init__(self, data_dir: Path, *options: str, port: int = 0, **environment: str) -> None:
        self.data_dir = data_dir
        self.out = data_dir.with_suffix(".out")
        self.err = data_dir.with_suffix(".err")
        kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL", "LUNA_PEPPERS", *OBJECTS}}
        command = [sys.executable, "-m", "luna_serving.cli", "up", "--data-dir", str(data_dir), "--port", str(port)]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen([*command, *options], stdout=out, stderr=err, env=kept | environment)

    def wait_until_ready(self) -> dict[str, str]:
        deadline = time.monotonic() + READY_S
        while "Stop with" not in self.out.read_text():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.05)
        return self.env

    @property
    def env(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.data_dir / "env").read_text().splitlines())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send the signal; returns the seconds until it was gone."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - begun

    @property
    def run_dir(self) -> str | None:
        record = self.data_dir / "run"
        return record.read_text().strip() if record.exists() else None


def processes(*needles: str) -> list[str]:
    """Command lines of the living processes whose command line or environment names one of the folders."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), *process.environ().values()]
            if any(needle in word for needle in needles for word in words):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return found


def gone_within(seconds: float, *needles: str) -> bool:
    deadline = time.monotonic() + seconds
    while processes(*needles):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def call(env: dict[str, str]) -> int:
    """One call of the original contract; its status."""
    request = urllib.request.Request(
        f"{env['LUNA_URL']}/api/v1/{env['LUNA_ACCOUNT_ID']}/kalman",
        json.dumps({"results": NILE}).encode(),
        {"X-API-Key": env["LUNA_API_KEY"], "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert len(json.load(answer)["processed_results"]) == len(NILE)
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def used(env: dict[str, str]) -> int:
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT quota_used FROM accounts WHERE id = %s", [env["LUNA_ACCOUNT_ID"]]).fetchone()
    assert row
    return int(row[0])


def unsettled(env: dict[str, str]) -> int:
    """Units that Redis has debited and Postgres does not have yet."""
    with psycopg.connect(env["DATABASE_URL"]) as connection, redis.Redis.from_url(env["REDIS_URL"]) as client:
        account = env["LUNA_ACCOUNT_ID"]
        row = connection.execute("SELECT quota_limit - quota_used FROM accounts WHERE id = %s", [account]).fetchone()
        assert row
        return int(row[0]) - int(client.get(f"user:{{{account}}}:quota"))


def eventually(claim: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Up]]:
    """Start Lunas; those that still run end with the module."""
    folder = tmp_path_factory.mktemp("up")
    runs: list[Up] = []

    def start(name: str, *options: str, port: int = 0, **environment: str) -> Up:
        runs.append(Up(folder / name, *options, port=port, **environment))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.stop()
        shutil.rmtree(run.data_dir / "postgres", ignore_errors=True)


@pytest.fixture(scope="module")
def luna(starts: Callable[..., Up]) -> Up:
    """A running Luna that a test may use but not stop."""
    run = starts("shared")
    run.wait_until_ready()
    return run


def test_the_env_file_holds_its_names_one_a_line_for_its_owner_alone(luna: Up) -> None:
    file = luna.data_dir / "env"
    assert [line.split("=", 1)[0] for line in file.read_text().splitlines()] == [*NAMES, *OBJECTS]
    assert all(luna.env.values())
    for name in ("env", "peppers", "demo-key"):
        assert stat.S_IMODE((luna.data_dir / name).stat().st_mode) == 0o600


def test_the_printed_call_works_as_pasted(luna: Up) -> None:
    line = next(line for line in luna.out.read_text().splitlines() if line.startswith("curl "))
    answer = subprocess.run(["/bin/sh", "-c", f"{line} -s"], capture_output=True, check=True, text=True)
    assert len(json.loads(answer.stdout)["processed_results"]) == 10


def test_the_documentation_that_it_names_is_there(luna: Up) -> None:
    found = re.search(r"http://\S+/docs", luna.out.read_text())
    assert found
    with urllib.request.urlopen(found.group(), timeout=10) as answer:
        assert answer.status == 200


def test_calls_are_settled_to_postgres(luna: Up) -> None:
    before = used(luna.env)
    assert call(luna.env) == 200
    assert eventually(lambda: unsettled(luna.env) == 0)
    assert used(luna.env) > before


def test_haproxy_stands_in_front_where_it_is_installed(luna: Up) -> None:
    with urllib.request.urlopen(f"{luna.env['LUNA_URL']}/health/detailed", timeout=10) as answer:
        assert json.load(answer)["proxy"] == ("haproxy" if sys.platform == "linux" else "serve")


def test_the_embedded_object_store_is_up_and_its_keys_are_in_no_command_line(luna: Up) -> None:
    with urllib.request.urlopen(f"{luna.env['LUNA_URL']}/health/detailed", timeout=10) as answer:
        assert json.load(answer)["dependencies"]["objects"] == "up"
    secret = luna.env["S3_SECRET_ACCESS_KEY"]
    children = psutil.Process(luna.process.pid).children(recursive=True)
    assert [child.pid for child in children if secret in " ".join(child.cmdline())] == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let us see others' sockets")
def test_only_ports_that_ask_for_a_token_listen_beyond_this_machine(luna: Up) -> None:
    open_ports = []
    for process in [luna.process.pid, *psutil.Process(luna.process.pid).children(recursive=True)]:
        pid = process if isinstance(process, int) else process.pid
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in psutil.Process(pid).net_connections("inet"):
                loopback = connection.laddr.ip in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
                if connection.status == psutil.CONN_LISTEN and not loopback:
                    open_ports.append((psutil.Process(pid).cmdline()[0], connection.laddr))
    # Serve's channel between replicas binds every address; Ray's token guards it.
    assert all(name.startswith("ray::ServeReplica") for name, _ in open_ports), open_ports


def test_what_others_could_read_or_replace_is_closed_to_them(luna: Up) -> None:
    assert luna.run_dir
    assert stat.S_IMODE(Path(luna.run_dir).stat().st_mode) == 0o700
    assert stat.S_IMODE(luna.data_dir.stat().st_mode) == 0o700


def test_a_second_luna_on_the_same_folder_is_refused(luna: Up) -> None:
    before = (luna.data_dir / "env").read_text()
    command = [sys.executable, "-m", "luna_serving.cli", "up", "--data-dir", str(luna.data_dir), "--port", "0"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1
    assert str(luna.process.pid) in second.stderr
    assert "--data-dir" in second.stderr
    assert (luna.data_dir / "env").read_text() == before
    assert call(luna.env) == 200


def test_a_port_in_use_is_named_with_the_way_out(starts: Callable[..., Up]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = starts("port", port=port)
        assert refused.process.wait(20) == 1
    said = refused.err.read_text()
    assert f"Port {port}" in said
    assert "--port" in said
    assert not (refused.data_dir / "env").exists()


def test_accounts_are_made_and_changed_while_it_runs(luna: Up) -> None:
    def account(*argv: str) -> dict[str, str]:
        command = [sys.executable, "-m", "luna_serving.cli", "account", *argv, "--json"]
        done = subprocess.run([*command, "--data-dir", str(luna.data_dir)], capture_output=True, check=True, text=True)
        return json.loads(done.stdout)

    made = account("create", "team/web")
    env = luna.env | {"LUNA_ACCOUNT_ID": str(made["id"]), "LUNA_API_KEY": made["api_key"]}
    assert call(env) == 200
    account("suspend", "team/web")
    assert call(env) == 403
    account("resume", "team/web")
    assert call(env) == 200


def test_settlement_that_dies_is_started_again(luna: Up) -> None:
    def settlers() -> list[psutil.Process]:
        found = []
        for child in psutil.Process(luna.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # killed, and gone between two questions
                if child.status() != psutil.STATUS_ZOMBIE and "settle" in child.cmdline():
                    found.append(child)
        return found

    (first,) = settlers()
    first.kill()
    assert eventually(lambda: [p.pid for p in settlers()] not in ([], [first.pid]))
    before = used(luna.env)
    assert call(luna.env) == 200
    assert eventually(lambda: unsettled(luna.env) == 0)
    assert used(luna.env) > before


def test_two_lunas_run_beside_each_other_and_two_interrupts_stop_one_at_once(
    luna: Up, starts: Callable[..., Up]
) -> None:
    other = starts("other", "--quota", "3", LUNA_PROXY="serve")
    env = other.wait_until_ready()
    assert [call(env) for _ in range(4)] == [200, 200, 200, 429]
    assert call(luna.env) == 200
    with urllib.request.urlopen(f"{env['LUNA_URL']}/health/detailed", timeout=10) as answer:
        assert json.load(answer)["proxy"] == "serve"
    other.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert other.stop(signal.SIGINT) < 4
    assert processes(str(other.data_dir)) == []
    assert call(luna.env) == 200


def test_stopped_it_leaves_nothing_running_and_finds_its_data_again(starts: Callable[..., Up]) -> None:
    port = free_port()
    first = starts("again", "--quota", "40", port=port)
    before = first.wait_until_ready()
    run_dir = first.run_dir
    assert run_dir
    assert [call(before) for _ in range(3)] == [200] * 3
    assert first.stop() < 10
    assert first.process.returncode == 0
    assert processes(str(first.data_dir), run_dir) == []
    assert not Path(run_dir).exists()
    assert not (first.data_dir / "env").exists()

    second = starts("again", "--quota", "5", port=port)
    after = second.wait_until_ready()
    assert {name: after[name] for name in NAMES[:3]} == {name: before[name] for name in NAMES[:3]}
    assert used(after) == 3  # what was still in Redis was settled while it stopped
    assert [call(after) for _ in range(3)] == [200, 200, 429]

    # A database that dies takes Luna with it, and Luna says so.
    (valkey,) = [p for p in psutil.Process(second.process.pid).children() if p.name() == "valkey-server"]
    valkey.kill()
    assert second.process.wait(20) == 1
    assert "Valkey ended" in second.err.read_text()
    assert str(second.data_dir / "logs" / "valkey.log") in second.err.read_text()
    assert processes(str(second.data_dir)) == []


def test_killed_hard_it_leaves_nothing_for_long_and_starts_again(starts: Callable[..., Up]) -> None:
    first = starts("killed")
    assert eventually(lambda: bool(first.run_dir), 20)
    run_dir = first.run_dir
    assert run_dir
    front = "haproxy.cfg" if sys.platform == "linux" else "ProxyActor"
    assert eventually(lambda: any(front in line for line in processes(run_dir)), READY_S)
    first.stop(signal.SIGKILL)
    assert gone_within(15, str(first.data_dir), run_dir), processes(str(first.data_dir), run_dir)
    second = starts("killed")
    assert eventually(lambda: "Migrations" in second.err.read_text(), 30)
    assert not Path(run_dir).exists()
    assert second.stop() < 10


@pytest.mark.parametrize("after_s", [0.3, 2.0, 5.0])
def test_stopped_while_it_starts_it_is_gone_as_well(starts: Callable[..., Up], after_s: float) -> None:
    run = starts(f"interrupted-{after_s}")
    assert eventually((run.data_dir / "run").exists, 20)
    time.sleep(after_s)
    run_dir = run.run_dir
    assert run_dir
    assert run.stop(signal.SIGINT) < 10
    assert run.process.returncode == 0, run.err.read_text()
    assert processes(str(run.data_dir), run_dir) == []
    assert not Path(run_dir).exists()


def test_an_application_that_cannot_start_is_told_with_its_log(starts: Callable[..., Up]) -> None:
    # Settings are checked beforehand; what Ray thinks of its own variables only Ray knows.
    run = starts("broken", RAY_SERVE_CONTROL_LOOP_INTERVAL_S="nonsense")
    assert run.process.wait(READY_S) == 1
    said = run.err.read_text()
    assert str(run.data_dir / "logs" / "serve.log") in said
    assert "RAY_SERVE_CONTROL_LOOP_INTERVAL_S" in said
    assert processes(str(run.data_dir)) == []


def test_a_setting_out_of_its_range_is_named_before_anything_starts(starts: Callable[..., Up]) -> None:
    run = starts("setting", LUNA_DISPATCH_MAX_BATCH="0")
    assert run.process.wait(20) == 1
    assert "LUNA_DISPATCH_MAX_BATCH" in run.err.read_text()
    assert not (run.data_dir / "postgres").exists()


def test_an_external_server_out_of_reach_is_told_with_its_setting(starts: Callable[..., Up]) -> None:
    run = starts("external", DATABASE_URL="postgresql://luna:secret@127.0.0.1:1/luna")
    assert run.process.wait(30) == 1
    assert "DATABASE_URL" in run.err.read_text()
    assert "secret" not in run.err.read_text()
