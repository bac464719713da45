"""One run: `luna up`, clients in a process of their own, and a writer of samples."""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from benchmarks.http.servers import ROOT, luna

CONNECT_S = 300.0
SERIES_PER_GROUP = 10
WRITES_PER_S = 4
INGRESS = "ServeReplica:luna:ingress"


@dataclass(frozen=True)
class Figures:
    """What one run measured; times in seconds."""

    active: int
    quiet: int
    seconds: float
    connect: float
    messages_per_s: float
    p50: float
    p99: float
    p999: float
    longest: float
    lost: int
    ingress_cpu: float
    """Cores."""
    proxy_cpu: float
    clients_cpu: float
    kilobytes_per_quiet: float
    """Memory of the ingress replica for each quiet connection."""
    writes: int
    longest_write: float

    def rows(self) -> list[tuple[str, str]]:
        """For a table."""
        return [
            ("sockets that are updated", f"{self.active}"),
            ("quiet sockets", f"{self.quiet}"),
            ("connecting all of them", f"{self.connect:.1f} s"),
            ("updates delivered", f"{self.messages_per_s:.0f} per second"),
            ("delivery p50", f"{self.p50 * 1e3:.0f} ms"),
            ("delivery p99", f"{self.p99 * 1e3:.0f} ms"),
            ("delivery p99.9", f"{self.p999 * 1e3:.0f} ms"),
            ("longest delivery", f"{self.longest * 1e3:.0f} ms"),
            ("connections lost", f"{self.lost}"),
            ("ingress replica", f"{self.ingress_cpu:.2f} cores"),
            ("HAProxy", f"{self.proxy_cpu:.2f} cores"),
            ("the clients themselves", f"{self.clients_cpu:.2f} cores"),
            ("memory of a quiet socket", f"{self.kilobytes_per_quiet:.0f} kB"),
            ("writes", f"{self.writes}, the longest {self.longest_write * 1e3:.0f} ms"),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class Clients:
    """A process of clients."""

    process: asyncio.subprocess.Process

    @classmethod
    async def connected(cls, asked: dict[str, Any]) -> "tuple[Clients, float]":
        """Start one; returns it with the seconds that connecting took."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.live.client",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        clients = cls(process)
        answer = await clients.tell(json.dumps(asked))
        return clients, answer["ready"]

    async def tell(self, line: str, *, answers: bool = True) -> dict[str, Any]:
        """Write a line, read one."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()
        if not answers:
            return {}
        async with asyncio.timeout(CONNECT_S):
            text = await self.process.stdout.readline()
        if not text:
            raise RuntimeError("The clients have ended.")
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def end(self) -> None:
        """End the process."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def write(url: str, key: str, groups: int, until: asyncio.Event) -> tuple[int, float]:
    """Write all series four times a second; the value is the time."""
    writes, longest = 0, 0.0
    async with httpx.AsyncClient(headers={"X-API-Key": key}, timeout=30, trust_env=False) as client:
        due = time.monotonic()
        while not until.is_set():
            now = time.time()
            series = [
                {
                    "name": "live",
                    "labels": {"group": str(g), "n": str(n)},
                    "timestamps": [int(now * 1000)],
                    "values": [now],
                }
                for g in range(groups)
                for n in range(SERIES_PER_GROUP)
            ]
            began = time.monotonic()
            answer = await client.post(f"{url}/metrics/batch", json={"series": series})
            answer.raise_for_status()
            writes, longest = writes + 1, max(longest, time.monotonic() - began)
            due += 1 / WRITES_PER_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return writes, longest


async def measured(
    origin: str, account: str, key: str, active: int, quiet: int, groups: int, seconds: float
) -> Figures:
    """Connect, write, measure."""
    url, parts = f"{origin}/api/v1/{account}", urlsplit(origin)
    base = {
        "host": parts.hostname,
        "port": parts.port,
        "path": f"/api/v1/{account}/ws/metrics",
        "key": key,
        "rate": WRITES_PER_S,
    }
    ingress, proxy = process_of(INGRESS), process_of("haproxy")
    before = ingress.memory_info().rss
    idle, first_s = await Clients.connected(base | {"active": 0, "quiet": quiet, "groups": groups})
    grown = ingress.memory_info().rss - before
    busy, second_s = await Clients.connected(base | {"active": active, "quiet": 0, "groups": groups})
    over = asyncio.Event()
    writing = asyncio.create_task(write(url, key, groups, over))
    try:
        await asyncio.sleep(3)
        began, cpu, proxy_cpu = time.monotonic(), cores(ingress), cores(proxy)
        await busy.tell("begin", answers=False)
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        cpu, proxy_cpu = cores(ingress) - cpu, cores(proxy) - proxy_cpu
        seen = await busy.tell("end")
        over.set()
        writes, longest = await writing
        await idle.tell("begin", answers=False)
        lost = seen["lost"] + (await idle.tell("end"))["lost"]
    finally:
        over.set()
        await idle.end()
        await busy.end()
    return Figures(
        active=active,
        quiet=quiet,
        seconds=took,
        connect=first_s + second_s,
        messages_per_s=seen["messages"] / took,
        p50=seen["p50"],
        p99=seen["p99"],
        p999=seen["p99.9"],
        longest=seen["max"],
        lost=lost,
        ingress_cpu=cpu / took,
        proxy_cpu=proxy_cpu / took,
        clients_cpu=seen["cpu"] / took,
        kilobytes_per_quiet=grown / 1024 / max(quiet, 1),
        writes=writes,
        longest_write=longest,
    )


def process_of(words: str) -> psutil.Process:
    """The youngest descendant of this process whose command line has these words."""
    found = [
        each
        for each in psutil.Process().children(recursive=True)
        if words in " ".join(each.cmdline()) and each.status() != psutil.STATUS_ZOMBIE
    ]
    if not found:
        raise RuntimeError(f"There is no process {words!r}.")
    return max(found, key=lambda each: each.cpu_times().user)


def cores(process: psutil.Process) -> float:
    """Seconds of processor time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def run(work: Path, active: int, quiet: int, groups: int, seconds: float) -> Figures:
    """Start Luna and measure."""
    with luna(work, LUNA_ONLY="metrics", PYTHONPATH=os.environ.get("PYTHONPATH", "")) as server:
        account = server.path.split("/")[3]
        return asyncio.run(measured(server.origin, account, server.api_key, active, quiet, groups, seconds))
