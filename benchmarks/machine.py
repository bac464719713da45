"""What it was measured on."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil


def facts(packages: Sequence[str]) -> dict[str, str]:
    """Return the facts that a reader of the numbers needs, in words; with the versions of some packages."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{cores} cores, {_cpu()}, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in packages)]
        ),
        "commit": _commit(),
    }


def stolen_since(before: float, seconds: float) -> str:
    """Return the share of the cores' time that the hypervisor gave to others: some per cent spoil a run."""
    share = (stolen() - before) / max(seconds, 1e-9) / (os.cpu_count() or 1)
    return f"{share:.1%}"


def stolen() -> float:
    """Return the seconds of all cores that the hypervisor gave to others since the start of the machine."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def busy_cores(seconds: float) -> float:
    """Return how many cores are busy, on average over the next `seconds`, with whatever runs on the machine."""
    return float(psutil.cpu_percent(interval=seconds)) / 100 * (os.cpu_count() or 1)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(none)"


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
