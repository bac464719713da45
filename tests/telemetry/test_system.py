"""What /health/system says of a process and its machine, against what the system says itself."""

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.serving.platform import Platform

from luna_serving.app import CAPABILITIES
from luna_serving.telemetry.board import MetricsBoard
from luna_serving.telemetry.replica_counts import ReplicaCounts
from luna_serving.telemetry.system import System, cores, memory_limit


def test_facts_are_those_of_the_machine(tmp_path: Path) -> None:
    facts = System(str(tmp_path), tmp_path).facts()
    assert facts["memory"]["total_bytes"] == psutil.virtual_memory().total
    assert facts["memory"]["process_bytes"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert facts["disk"]["total_bytes"] == shutil.disk_usage(tmp_path).total
    assert facts["cpu"]["cores"] == len(os.sched_getaffinity(0))
    assert 0 <= facts["uptime_s"] < 60


@pytest.mark.parametrize(
    ("files", "limit", "shown"),
    [
        ({"memory.max": "1073741824\n", "cpu.max": "50000 100000\n"}, 1073741824, 0.5),
        ({"memory.max": "max\n", "cpu.max": "max 100000\n"}, None, None),
        (
            {
                "memory/memory.limit_in_bytes": "536870912\n",
                "cpu/cpu.cfs_quota_us": "25000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            536870912,
            0.25,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            None,
        ),
        ({}, None, None),
    ],
    ids=["cgroup 2", "cgroup 2 without limits", "cgroup 1", "cgroup 1 without limits", "no cgroup"],
)
def test_a_container_is_shown_with_its_limits(
    tmp_path: Path, files: dict[str, str], limit: int | None, shown: float | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert memory_limit(tmp_path) == limit
    assert cores(tmp_path) == (shown or len(os.sched_getaffinity(0)))


def test_a_folder_that_is_gone_costs_the_disk_and_nothing_else(tmp_path: Path) -> None:
    facts = System(str(tmp_path / "gone"), tmp_path).facts()
    assert facts["disk"] is None
    assert facts["memory"]["total_bytes"] > 0


def test_the_board_counts_the_replicas_that_report() -> None:
    now = 0.0
    board = MetricsBoard(lambda: now)
    for name in ("ingress-a", "ingress-b", "my-host-c"):
        board.report(name, ())
    assert board.replicas() == {"ingress": 2, "my-host": 1}
    now = 10.0
    board.report("ingress-a", ())
    now = 20.0
    assert board.replicas() == {"ingress": 1}


class Away:
    """A deployment that does not answer."""

    deployment_name = "compute"
    replicas = device = property(lambda self: self)

    def remote(self) -> Any:
        return asyncio.sleep(60)


async def test_a_board_that_does_not_answer_leaves_the_replicas_unknown() -> None:
    async with asyncio.timeout(30):
        assert await ReplicaCounts(Away(), {"kalman": Away()}).counted() is None


async def test_health_system_shows_a_running_luna_and_nothing_that_helps_an_attacker(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        for _ in range(50):  # every replica reports in its first seconds
            answer = await client.get("/health/system")
            replicas = answer.json()["replicas"] or {}
            running = {name: each["running"] for name, each in replicas.items()}
            if running.get("ingress") == 2 and running.get("compute") == 1 and "workers" in running:
                break
            await asyncio.sleep(1)
    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] == "ok"
    computing = sorted(each.name for each in CAPABILITIES if each.replica is not None)
    assert found["replicas"]["compute"] == {"running": 1, "capabilities": computing, "device": "cpu"}
    assert found["replicas"]["ingress"] == {"running": 2, "capabilities": [], "device": None}
    assert found["memory"]["total_bytes"] == psutil.virtual_memory().total
    assert set(found["versions"]) == {"luna", "python", "ray", "jax"}
    assert all(re.fullmatch(r"\d+\.\d+", found["versions"][name]) for name in ("python", "ray", "jax"))
    for secret in ("127.0.0.1", "/", os.uname().nodename, "postgres", "redis"):
        assert secret not in answer.text.replace(found["status"], ""), secret


async def test_the_short_names_mean_the_same(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        for short, long in (("/liveness", "/health/live"), ("/readiness", "/health/ready")):
            answers = [await client.get(short), await client.get(long)]
            assert [(a.status_code, a.json()) for a in answers] == [(200, {"status": "ok"})] * 2
