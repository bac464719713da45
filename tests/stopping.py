"""Processes that are stopped or that kill themselves where a test says so.

One that is stopped (SIGSTOP) keeps its connections and locks, and answers nothing.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import psutil

STOPS_WITHIN_S = 10.0


@contextmanager
def stopped(pid: int, *, children: bool = False) -> Iterator[None]:
    """Stop a process for the body of a `with`, and have it go on afterwards.

    Args:
        pid: of the process.
        children: whether its children, and theirs, are stopped as well.
    """
    pids = [pid]
    try:
        stop(pid)
        if children:
            # Listed only now: a stopped process starts no more.
            pids += stop_children(pid)
        yield
    finally:
        for each in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


def stop(pid: int) -> None:
    """Stop a process and wait until it stands still: `kill` returns while its other threads may still answer."""
    os.kill(pid, signal.SIGSTOP)
    limit = time.monotonic() + STOPS_WITHIN_S
    while any(_state(thread) not in "tTZX" for thread in _threads(pid)):
        assert time.monotonic() < limit, f"Process {pid} did not stop within {STOPS_WITHIN_S:g} s"
        time.sleep(0.001)


def stop_children(pid: int) -> list[int]:
    """Stop the children of a stopped process, and theirs; returns their ids."""
    found: list[int] = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            with suppress(ProcessLookupError):
                stop(child.pid)
                found += [child.pid, *stop_children(child.pid)]
    return found


def stop_tree(pid: int) -> None:
    """Stop a process, its children and theirs."""
    stop(pid)
    stop_children(pid)


def dying(function: Callable[..., Awaitable[Any]], when: str, call: int) -> Callable[..., Awaitable[Any]]:
    """A function in whose `call`-th call the process is killed, `before` or `after` its work."""
    calls = 0

    @wraps(function)
    async def killed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await function(*arguments, **named)
        if calls >= call and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return killed


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError as e:
        raise ProcessLookupError(f"There is no process {pid}") from e


def _state(thread: Path) -> str:
    """The state letter of a thread: the field after its name, which stands in parentheses (proc_pid_stat(5))."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"
