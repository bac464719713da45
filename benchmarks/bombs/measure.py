"""One caller of `/kalman` in turns alone and beside bombs that are validated, and the memory of the validators."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import psutil

from luna_serving.capabilities.datasets.validation.sandbox.running import SERVER

from .making import Bomb

# Seconds between two calls of the measured caller: it waits for each answer, and never makes up for a slow one.
PACE_S = 0.02
POINTS = 200
VERDICT_S = 300.0


@dataclass
class Beside:
    """What was measured."""

    quiet_s: list[float] = field(default_factory=list)
    """Seconds of each call alone."""
    beside_s: list[float] = field(default_factory=list)
    """Seconds of each call beside bombs."""
    refused: int = 0
    """Calls without a 200."""
    verdicts: list[tuple[str, str]] = field(default_factory=list)
    """State of each bomb's set, and the rule that it broke."""
    wrong: list[str] = field(default_factory=list)
    """Bombs whose verdict is not the one that they deserve."""
    peak_bytes: int = 0
    """Resident memory of the largest validator."""


async def measured(base_url: str, api_key: str, bombs: Sequence[Bomb], *, rounds: int, phase_s: float) -> Beside:
    """Measure.

    Args:
        base_url: of an account: `http://host:port/api/v1/1`.
        api_key: its key.
        bombs: what is uploaded, all at once, again and again while a phase lasts.
        rounds: phases of each kind, in turns: what else runs on the machine changes slowly.
        phase_s: seconds of a phase at least; one with bombs lasts until the last verdict.
    """
    found = Beside()
    made = [(bomb, await asyncio.to_thread(bomb.make)) for bomb in bombs]
    headers = {"X-API-Key": api_key}
    async with (
        httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60, trust_env=False) as caller,
        httpx.AsyncClient(base_url=base_url, headers=headers, timeout=120, trust_env=False) as uploader,
    ):
        await _calls(caller, [], found, asyncio.create_task(asyncio.sleep(1.0)))
        for _ in range(rounds):
            await _calls(caller, found.quiet_s, found, asyncio.create_task(asyncio.sleep(phase_s)))
            throwing = asyncio.create_task(_throw(uploader, made, found, phase_s))
            watching = asyncio.create_task(_watch(found))
            await _calls(caller, found.beside_s, found, throwing)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await throwing
    return found


async def _calls(caller: httpx.AsyncClient, seconds: list[float], found: Beside, until: "asyncio.Task[None]") -> None:
    """Call one at a time until a task has ended."""
    walk = np.random.default_rng(7).normal(size=POINTS).cumsum().tolist()
    while not until.done():
        begun = time.perf_counter()
        answer = await caller.post("/kalman", json={"results": walk})
        seconds.append(time.perf_counter() - begun)
        found.refused += answer.status_code != httpx.codes.OK
        await asyncio.sleep(PACE_S)


async def _throw(luna: httpx.AsyncClient, bombs: Sequence[tuple[Bomb, bytes]], found: Beside, phase_s: float) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < phase_s:
        async with asyncio.TaskGroup() as group:
            for bomb, body in bombs:
                group.create_task(_judged(luna, bomb, body, found))


async def _judged(luna: httpx.AsyncClient, bomb: Bomb, body: bytes, found: Beside) -> None:
    """Upload a bomb as a set of its own, and wait for the verdict."""
    digest = hashlib.sha256(body).hexdigest()
    file = {"path": bomb.path, "bytes": len(body), "sha256": digest, "media_type": bomb.media_type}
    name = bomb.path.replace(".", "-")
    started = await _ok(luna.post("/upload/start", json={"name": name, **bomb.declaration, "files": [file]}))
    (declared,) = started["files"]
    if declared["state"] == "missing":
        upload = declared["upload"]
        async with httpx.AsyncClient(timeout=120, trust_env=False) as store:
            sent = await store.request(upload["method"], upload["url"], headers=upload["headers"], content=body)
            sent.raise_for_status()
    await _ok(luna.post("/upload/complete", json={"dataset_id": started["dataset_id"]}))
    path, ends_at = f"/validation/{started['dataset_id']}/status", time.monotonic() + VERDICT_S
    status: dict[str, Any] = {"state": "validating"}
    while status["state"] == "validating" and time.monotonic() < ends_at:
        status = await _ok(luna.get(path, headers={"Prefer": "wait=20"}))
    rules = {each["id"] for each in status.get("findings", ())}
    found.verdicts.append((status["state"], bomb.rule))
    if status["state"] != "invalid" or bomb.rule not in rules:
        found.wrong.append(f"{bomb.path} is {status['state']}: {', '.join(sorted(rules))} instead of {bomb.rule}")


async def _ok(asked: Any) -> dict[str, Any]:  # noqa: ANN401  an awaitable of httpx
    answer = await asked
    answer.raise_for_status()
    return dict(answer.json())


async def _watch(found: Beside) -> None:
    """Note the most memory that a validator has. Children keep the command line of the server that forked them."""
    while True:
        for process in psutil.process_iter(["cmdline"]):
            if SERVER in (process.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    found.peak_bytes = max(found.peak_bytes, process.memory_info().rss)
        await asyncio.sleep(0.05)


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """The median, the 99th percentile and the maximum, in milliseconds."""
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return {"p50": float(p50), "p99": float(p99), "max": max(seconds) * 1000}
