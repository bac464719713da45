"""Run wrk for one slice of time and read what it saw."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .servers import Server

_SCRIPT = Path(__file__).with_name("wrk.lua")
# Longer than any queue here; wrk's default of 2 s would call a slow answer an error.
_TIMEOUT_S = 30

INSTALL_WRK = """wrk, the load generator, is missing. Install it with
  apt-get install wrk      (Debian, Ubuntu)
  brew install wrk         (macOS)
or from https://github.com/wg/wrk, then run this again."""


class WrkFailedError(RuntimeError):
    """wrk itself ended with an error; its own words follow."""


@dataclass(frozen=True)
class Slice:
    """What one run of wrk saw; a slice with faults says nothing about speed."""

    requests: int
    requests_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    faults: dict[str, int] = field(default_factory=dict)


def wrk_program() -> str | None:
    """Return the path of wrk, if it is installed."""
    return shutil.which("wrk")


def wrk_version(program: str) -> str:
    """Return wrk's version; it prints that with its usage and exits with 1."""
    shown = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return (shown.stdout + shown.stderr).split("[", 1)[0].removeprefix("wrk").strip()


def measure(server: Server, bodies: Path, *, connections: int, seconds: float, shortest_answer: int) -> Slice:
    """Keep `connections` requests in flight for `seconds`.

    Args:
        server: where to.
        bodies: one JSON body a line, sent in turn.
        connections: each sends its next request when it has its answer.
        seconds: whole ones; wrk knows no others.
        shortest_answer: fewer bytes than this per answer, on average, are a fault.

    Raises:
        WrkFailedError: wrk could not run.
    """
    run = subprocess.run(
        [
            *(wrk_program() or "wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds:.0f}s", "--timeout", f"{_TIMEOUT_S}s", "--script", str(_SCRIPT)),
            server.url,
        ],
        env={**os.environ, "BENCH_API_KEY": server.api_key, "BENCH_BODIES": str(bodies)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = run.stdout.splitlines()
    if run.returncode != 0 or not lines or not lines[-1].startswith("{"):
        raise WrkFailedError(f"wrk ended with status {run.returncode}: {run.stdout}{run.stderr}")
    return read_slice(json.loads(lines[-1]), shortest_answer)


def read_slice(seen: dict[str, int], shortest_answer: int) -> Slice:
    """Turn the line that wrk.lua prints into a slice."""
    faults = {f"status {seen['last_other']}": seen["answers_other"]} if seen["answers_other"] else {}
    faults |= {f"{name} error": seen[name] for name in ("connect", "read", "write", "timeout") if seen[name]}
    if not seen["requests"]:
        faults["no answer at all"] = 1
    elif not seen["answers_other"] and seen["bytes"] < shortest_answer * seen["requests"]:
        faults["answers too short"] = seen["requests"]
    return Slice(
        requests=seen["requests"],
        requests_per_s=seen["requests"] / seen["microseconds"] * 1e6,
        p50_ms=seen["p50_us"] / 1e3,
        p90_ms=seen["p90_us"] / 1e3,
        p99_ms=seen["p99_us"] / 1e3,
        max_ms=seen["max_us"] / 1e3,
        faults=faults,
    )
