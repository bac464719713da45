"""The operator as a process of its own, as a pod runs it: started, asked, killed."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import psutil
from prometheus_client.parser import text_string_to_metric_families

from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.servers.process import ServerProcess, wait_until

if TYPE_CHECKING:
    from pathlib import Path

# An address of this process's own, where all of 127.0.0.0/8 are the machine's: a port is not reserved between finding
# and binding it, and of two test runs beside each other one would lose its port to the other.
_PID = os.getpid()
HOST = f"127.{64 + _PID // 65536 % 64}.{_PID // 256 % 256}.{_PID % 256}" if sys.platform == "linux" else LOOPBACK
PEPPERS = "test:a-pepper-of-the-tests-0123456789"
URL = "http://luna.example:8000"


@dataclass(frozen=True)
class Surroundings:
    """What an operator works on."""

    kubeconfig: Path
    database_url: str
    redis_url: str
    peppers: str = PEPPERS


class Operator:
    """One run of `luna-operator`; a context manager that ends it with SIGTERM."""

    def __init__(self, around: Surroundings, folder: Path, **settings: object) -> None:
        """Start it.

        Args:
            around: cluster and stores.
            folder: takes the log, `operator.log`; several runs may share it.
            settings: LUNA_OPERATOR_*, in lower case and without the prefix.
        """
        self.health_port, self.metrics_port = free_port(), free_port()
        given = {
            "public_url": URL,
            "host": HOST,
            "health_port": self.health_port,
            "metrics_port": self.metrics_port,
            **settings,
        }
        environment = {
            **os.environ,
            "KUBECONFIG": str(around.kubeconfig),
            "DATABASE_URL": around.database_url,
            "REDIS_URL": around.redis_url,
            "LUNA_PEPPERS": around.peppers,
            **{f"LUNA_OPERATOR_{name.upper()}": str(value) for name, value in given.items()},
        }
        self.log = folder / "operator.log"
        self.process = self._start(environment)

    def _start(self, environment: dict[str, str]) -> ServerProcess:
        return ServerProcess(
            [sys.executable, "-m", "luna_operator"], log_file=self.log, death_signal=signal.SIGKILL, env=environment
        )

    def wait_ready(self, seconds: float = 60.0) -> Self:
        """Wait until it says so; fails with its log if it ends instead."""
        wait_until(self.ready, self.process, seconds)
        return self

    def ready(self) -> bool:
        """Whether /readyz answers 200."""
        return self._get("readyz") is not None

    def wait_leading(self, seconds: float = 60.0) -> Self:
        """Wait until it reconciles."""
        wait_until(lambda: self.metric("luna_operator_leader") == 1, self.process, seconds)
        return self

    def wait_swept(self, times: int = 1, seconds: float = 60.0) -> Self:
        """Wait until it has looked at everything so many times more."""
        name = "luna_operator_sweep_seconds_count"
        target = self.metric(name) + times
        wait_until(lambda: self.metric(name) >= target, self.process, seconds)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 if there are none yet."""
        text = self._get("metrics") or ""
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def requests(self) -> dict[str, int]:
        """Requests to the API server so far, by `<verb> <resource> <code>`."""
        return {
            "{verb} {resource} {code}".format(**sample.labels): int(sample.value)
            for family in text_string_to_metric_families(self._get("metrics") or "")
            for sample in family.samples
            if sample.name == "luna_operator_kube_requests_total"
        }

    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def kill(self) -> None:
        """SIGKILL: nothing is put in order."""
        self.process.stop((signal.SIGKILL, 10.0))

    def stop(self) -> int:
        """SIGTERM, as Kubernetes does; returns the exit status."""
        return self.process.stop((signal.SIGTERM, 15.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.metrics_port}/{path}", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return None


def eventually(check, seconds: float = 30.0, pause: float = 0.1):
    """Ask until the answer is true and return it; the last failure is the test's."""
    until = time.monotonic() + seconds
    while True:
        try:
            if answer := check():
                return answer
            problem = AssertionError(f"still {answer!r} after {seconds:g} s")
        except (AssertionError, LookupError) as error:
            problem = error
        if time.monotonic() > until:
            raise problem
        time.sleep(pause)
