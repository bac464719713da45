"""What an ingress replica runs on, for `/health/system`: versions, cores, memory, disk. No address, path or host."""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

# Everybody may ask; and a share of CPU time over less than this says nothing.
FRESH_S: Final = 1.0
CGROUP: Final = Path("/sys/fs/cgroup")
MEMORY_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")
# cgroup v1 writes "no limit" as the largest number of pages.
UNLIMITED_BYTES: Final = 2**60
# By these, a bug report says enough; the last digits would say which known holes are open.
DIGITS: Final = 2
PACKAGES: Final = ("ray", "jax")


class System:
    """Facts of one process and its machine."""

    def __init__(self, data_dir: str = "", cgroup: Path = CGROUP) -> None:
        """Begin to measure.

        Args:
            data_dir: a folder on the disk that is shown; the folder of temporary files by default.
            cgroup: where Linux shows the container's limits.
        """
        self._disk = data_dir or tempfile.gettempdir()
        self._cgroup = cgroup
        self._process = psutil.Process()
        self._since = time.monotonic()
        self._versions = versions()
        self._last: tuple[float, dict[str, Any]] = (-FRESH_S, {})
        # The share of CPU time is measured from one call to the next.
        psutil.cpu_percent(None)

    def facts(self) -> dict[str, Any]:
        """The members of the answer, measured at most once per second."""
        now = time.monotonic()
        if now - self._last[0] > FRESH_S:
            self._last = (now, self._measured(now))
        return self._last[1]

    def _measured(self, now: float) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        return {
            "uptime_s": round(now - self._since, 1),
            "versions": self._versions,
            "cpu": {
                "cores": cores(self._cgroup),
                "used_percent": psutil.cpu_percent(None),
                "load_average_1m": round(os.getloadavg()[0], 2),
            },
            "memory": {
                "total_bytes": memory.total,
                "available_bytes": memory.available,
                "limit_bytes": memory_limit(self._cgroup),
                "process_bytes": self._process.memory_info().rss,
            },
            "disk": self._disk_facts(),
        }

    def _disk_facts(self) -> dict[str, int] | None:
        try:
            usage = shutil.disk_usage(self._disk)
        except OSError:  # the folder was removed
            return None
        return {"total_bytes": usage.total, "free_bytes": usage.free}


def cores(cgroup: Path) -> float:
    """Cores that this process may use: the container's limit, or those that it may be scheduled on."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _numbers(cgroup, ("cpu.max",), 2) or [
        *_numbers(cgroup, ("cpu/cpu.cfs_quota_us",), 1),
        *_numbers(cgroup, ("cpu/cpu.cfs_period_us",), 1),
    ]
    if len(quota) == 2 and min(quota) > 0:
        return min(float(own), round(quota[0] / quota[1], 2))
    return float(own)


def memory_limit(cgroup: Path) -> int | None:
    """The container's limit in bytes; None where there is none."""
    found = _numbers(cgroup, MEMORY_LIMITS, 1)
    return found[0] if found and found[0] < UNLIMITED_BYTES else None


def _numbers(cgroup: Path, names: Sequence[str], count: int) -> list[int]:
    for name in names:
        try:
            words = (cgroup / name).read_text().split()
        except OSError:
            continue
        if len(words) >= count and all(word.lstrip("-").isdigit() for word in words[:count]):
            return [int(word) for word in words[:count]]
    return []


def versions() -> dict[str, str]:
    """Luna's version, as the OpenAPI document has it, and the first two numbers of what it is built on."""
    found = {"luna": version("luna"), "python": _short(platform.python_version())}
    for package in PACKAGES:
        try:
            found[package] = _short(version(package))
        except PackageNotFoundError:
            continue
    return found


def _short(number: str) -> str:
    return ".".join(number.split(".")[:DIGITS])
