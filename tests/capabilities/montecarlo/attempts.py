"""Attempts at Monte Carlo jobs in this process: replicas are threads, kills are exceptions."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.montecarlo.compute import Worker
from luna_serving.capabilities.montecarlo.job_kind import STATE, run_job
from luna_serving.capabilities.montecarlo.metrics import MonteCarloMetrics
from luna_serving.capabilities.montecarlo.routes import extended
from luna_serving.capabilities.montecarlo.wire.requests import parse
from luna_serving.jobs.background import Background
from luna_serving.jobs.kinds import Finished


class Killed(Exception):
    """The worker is gone."""


class Attempt:
    """Implements `jobs.kinds.Running`."""

    def __init__(self, parameters: bytes, checkpoint: bytes | None, workers: int, kill_after: int | None) -> None:
        self.parameters, self.checkpoint = parameters, checkpoint
        self.job_id, self.account_id = "00000000-0000-0000-0000-000000000000", 1
        self.limits: Mapping[str, int] = {}
        self.estimates: list[dict[str, Any]] = []
        self.kept: bytes | None = None
        self.left: tuple[bytes, int] | None = None
        self.completed: list[tuple[int, int | None]] = []
        self.reported: Callable[[int], None] = lambda _: None
        self._worker = Worker(MonteCarloMetrics(CollectorRegistry()))
        self._pool = ThreadPoolExecutor(workers)
        self._kill_after = kill_after

    @property
    def stores(self) -> Background:
        raise AssertionError("a Monte Carlo job needs no stores")

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        assert capability == "montecarlo"
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._pool, self._worker.answer, job, lambda: False) for job in jobs]

    def report(self, completed: int, *, total: int | None = None, estimate: Mapping[str, Any] | None = None) -> None:
        self.completed.append((completed, total))
        if estimate is not None:
            self.estimates.append(dict(estimate))
        self.reported(completed)
        if self._kill_after is not None and completed >= self._kill_after:
            raise Killed

    def keep(self, checkpoint: bytes) -> None:
        self.kept = checkpoint

    def partial(self, result: bytes, units: int) -> None:
        self.left = result, units


def parameters(**members: Any) -> bytes:
    """Of a job, as its door prepares them."""
    return parse(json.loads(json.dumps(members))).parameters


async def ran(
    parameters: bytes,
    *,
    checkpoint: bytes | None = None,
    workers: int = 1,
    ahead: int = 4,
) -> Finished:
    return await run_job(Attempt(parameters, checkpoint, workers, None), ahead=ahead)


def state_of(finished: Finished) -> bytes:
    (body,) = (artifact.body for artifact in finished.artifacts if artifact.name == STATE)
    assert body is not None
    return body


async def went_on(parameters: bytes, finished: Finished, paths: int, **more: Any) -> tuple[bytes, Finished]:
    """The parameters and the end of a job that was extended."""
    plan = extended(parameters, finished.result, paths)
    return plan.parameters, await ran(plan.parameters, checkpoint=state_of(finished), **more)
