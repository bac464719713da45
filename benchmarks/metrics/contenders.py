"""The servers: Luna, VictoriaMetrics and Prometheus, each with fresh data, each spoken to in the same protocol.

Peers are found on PATH, or in the folder that BENCH_PEERS names; those that are not there are left out.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from benchmarks.http.servers import ROOT, luna, luna_command, read_env

from luna_serving.local.data_folder.ports import free_port
from luna_serving.local.servers.process import ServerProcess, wait_until

START_S = 60.0
STOP = ((signal.SIGTERM, 15.0),)


@dataclass(frozen=True)
class Contender:
    """A running server."""

    name: str
    version: str
    write: str
    """URL of remote write."""
    api: str
    """URL of Prometheus' API, without a slash at the end."""
    data: Path
    """The folder of its data."""
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    """Parameters of each query."""
    database: str = ""
    """The URL of its Postgres, for what its samples cost there."""
    columns: str = ""
    """URL that takes columns as JSON."""


@contextmanager
def our_own(work: Path) -> Iterator[Contender]:
    """`luna up`, as a user starts it."""
    with luna(work, "luna", LUNA_METRICS_FLUSH_S="10") as server:
        base = f"{server.origin}/api/v1"
        headers = {"X-API-Key": _unhurried(work / "luna")}
        facts = read_env(work / "luna" / "env")
        api = f"{base}/prometheus/api/v1"
        yield Contender(
            "Luna",
            "this checkout",
            f"{base}/prometheus/write",
            api,
            work / "luna",
            headers,
            database=facts["DATABASE_URL"],
            columns=f"{base}/metrics/batch",
        )


def _unhurried(data: Path) -> str:
    """The key of an account that may send as fast as the server takes it."""
    limits = ["--quota", "1000000000", "--rate", "100000", "--burst", "100000"]
    limits += ["--limit", "metrics.samples_per_second=1000000"]
    made = luna_command(data, "account", "create", "bench/metrics", "--json", *limits)
    key: str = json.loads(made)["api_key"]
    return key


@contextmanager
def victoria_metrics(work: Path) -> Iterator[Contender]:
    """VictoriaMetrics, one node."""
    data, port = work / "victoria", free_port()
    origin = f"http://127.0.0.1:{port}"
    command = [
        *(program("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={data}"),
        *("-retentionPeriod=12", "-search.latencyOffset=0s", "-loggerLevel=ERROR"),
    ]
    with _running(command, work / "victoria.log", f"{origin}/health"):
        yield Contender(
            "VictoriaMetrics",
            _version(program("victoria-metrics")),
            f"{origin}/api/v1/write",
            f"{origin}/api/v1",
            data,
            # Else it answers from its cache of answers.
            query={"nocache": "1"},
        )


@contextmanager
def prometheus(work: Path) -> Iterator[Contender]:
    """Prometheus as a receiver of remote write."""
    data, port = work / "prometheus", free_port()
    origin = f"http://127.0.0.1:{port}"
    settings = work / "prometheus.yml"
    # A day of samples out of order, so that a backfill is taken.
    settings.write_text("storage: {tsdb: {out_of_order_time_window: 40d}}\n")
    command = [
        *(program("prometheus"), f"--config.file={settings}", f"--web.listen-address=127.0.0.1:{port}"),
        *(f"--storage.tsdb.path={data}", "--web.enable-remote-write-receiver", "--log.level=error"),
        "--storage.tsdb.retention.time=60d",
    ]
    with _running(command, work / "prometheus.log", f"{origin}/-/ready"):
        info = httpx.get(f"{origin}/api/v1/status/buildinfo", trust_env=False).json()["data"]
        yield Contender("Prometheus", info["version"], f"{origin}/api/v1/write", f"{origin}/api/v1", data)


STARTERS: dict[str, Callable[[Path], object]] = {
    "luna": our_own,
    "victoria-metrics": victoria_metrics,
    "prometheus": prometheus,
}


def program(name: str) -> str:
    """The path of a program; empty if it is not installed."""
    places = os.pathsep.join(filter(None, (os.environ.get("BENCH_PEERS"), os.environ.get("PATH", ""))))
    return shutil.which(name, path=places) or ""


def installed(name: str) -> bool:
    """Whether a contender can be started."""
    return name == "luna" or bool(program(name))


@contextmanager
def _running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    process = ServerProcess(command, log_file=log, env=dict(os.environ), cwd=ROOT)
    try:
        wait_until(lambda: _answers(ready), process, START_S)
        yield
    finally:
        process.stop(*STOP)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _version(command: str) -> str:
    """Of VictoriaMetrics: victoria-metrics-20221120-... or a tag, as `-version` prints it."""
    done = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().removeprefix("victoria-metrics-")[:24] or "of the system"
