"""Servers that belong to one test, which may kill them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

Python = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def stopped_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a server that ran once and was stopped: copying it is faster than initdb."""
    folder = tmp_path_factory.mktemp("stopped")
    with PostgresServer(folder / "data", folder):
        pass
    yield folder / "data"
    shutil.rmtree(folder / "data")


@pytest.fixture
def postgres(tmp_path: Path, stopped_postgres: Path) -> Iterator[PostgresServer]:
    """A running server in `tmp_path / "postgres"`."""
    shutil.copytree(stopped_postgres, tmp_path / "postgres")
    with PostgresServer(tmp_path / "postgres", tmp_path / "log") as server:
        yield server
    shutil.rmtree(tmp_path / "postgres")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A running server in `tmp_path / "valkey"`."""
    with ValkeyServer(tmp_path / "valkey", tmp_path / "log") as server:
        yield server


@pytest.fixture
def python() -> Iterator[Python]:
    """Run a script in another Python process; it and its children end with the test."""
    with contextlib.ExitStack() as stack:

        def run(script: str, *arguments: object, through: Sequence[str] = ()) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [*through, sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True
            )
            stack.callback(_end, process)
            return process

        yield run


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def runs(pid: int) -> bool:
    """Tell whether a process does anything yet; what waits for init to collect it does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_within(seconds: float, *pids: int) -> bool:
    deadline = time.monotonic() + seconds
    while any(runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process
    process.kill()
    process.wait()


def end_by_id(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
