"""Finds and ends descendants of a server, and servers that a killed Luna left."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

Steps = Sequence[tuple[signal.Signals, float]]
"""How to stop a server: each signal with its seconds. SIGKILL always follows."""


def stop_left_over(pid_file: Path, program: str, argument: str, steps: Steps) -> bool:
    """Stop the server that a killed Luna left running; return whether there was one.

    Process ids are reused, so an id in a file is not proof. The process is Luna's only if it runs `program` with
    `argument` (the path of the data) on its command line.

    Args:
        pid_file: written by the server itself, the id on its first line.
        program: file name of the program, such as "postgres".
        argument: an argument that only the server of this data folder has.
        steps: as in `ServerProcess.stop`.
    """
    try:
        pid = int(pid_file.read_text().split(maxsplit=1)[0])
        process = psutil.Process(pid)
        command = process.cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return False
    if not command or Path(command[0]).name != program or argument not in command[1:]:
        return False
    family = children(pid)
    for number, grace_s in (*steps, (signal.SIGKILL, 10.0)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)  # psutil compares start times: it never hits a reused id
        if _gone([process], grace_s):
            break
    end(family, grace_s=0.5)
    return True


def children(pid: int) -> list[psutil.Process]:
    """Return the descendants of a process. Call it while the process lives: its orphans belong to init."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def end(family: Sequence[psutil.Process], grace_s: float) -> None:
    """Kill processes that outlive their server by more than `grace_s` seconds; return when none runs."""
    if _gone(family, grace_s):
        return
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _gone(family, 5.0)


def _gone(family: Sequence[psutil.Process], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(_runs(process) for process in family):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def _runs(process: psutil.Process) -> bool:
    # An orphan stays a zombie until init reaps it, which may never happen in a container. It holds no
    # resources.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
