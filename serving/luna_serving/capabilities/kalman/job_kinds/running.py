"""Runs jobs of the Kalman capability: blocks of their work, which replicas compute."""

import asyncio
import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import orjson

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.schemas import FitRequest
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.job_kinds.preparing import FIT, SIMULATE
from luna_serving.capabilities.kalman.job_kinds.reporting import fit_sections, simulate_sections
from luna_serving.capabilities.kalman.simulations.schemas import SimulateRequest
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.outcomes import Refused
from luna_serving.jobs.kinds import Finished, JobInvalid, JobKind, Running

CAPABILITY: Final = "kalman"
# Seconds that a block of a fit should take: long enough that its way to a replica and back does not count, short enough
# that the progress moves and little is lost with a worker.
BLOCK_S: Final = 1.0
MOST_SERIES: Final = 64
# Seconds that one series may take before its best so far counts.
SERIES_S: Final = 300.0
# Seconds between two checkpoints, which hold all results so far.
CHECKPOINT_S: Final = 2.0


class BlockFailed(Exception):
    """A replica could not compute a block, through no fault of the caller."""


def job_kinds(limits: SeriesLimits) -> tuple[JobKind, ...]:
    """The kinds of jobs."""
    return (
        JobKind(
            FIT,
            "Estimates a model's parameters from each of many series, as `POST /kalman/fit`, without its deadline.",
            partial(_fit, limits),
            FitRequest,
            sections=fit_sections,
        ),
        JobKind(
            SIMULATE,
            "Draws paths from a model, as `POST /kalman/simulate`, without its deadline.",
            partial(_simulate, limits),
            SimulateRequest,
            sections=simulate_sections,
        ),
    )


@dataclass(slots=True)
class _Fitted:
    """The series of a fit that are done."""

    results: list[Any] = field(default_factory=list)
    plan: dict[str, Any] | None = None

    def answer(self) -> bytes:
        return orjson.dumps({"plan": self.plan, "results": self.results})


async def _fit(limits: SeriesLimits, running: Running) -> Finished:
    job = await _job(parse_fit, limits, running)
    done = _Fitted()
    if running.checkpoint is not None:
        done = _Fitted(**orjson.loads(running.checkpoint))
    size, kept_at = 1, time.monotonic()
    total = len(job.series)
    while (begin := len(done.results)) < total:
        block: FitJob = replace(job, series=job.series[begin : begin + size], seconds=SERIES_S * size)
        begun = time.monotonic()
        answer = await _computed(running, block, begin)
        done.results += answer["results"]
        done.plan = _joined(done.plan, answer["plan"])
        running.report(len(done.results))
        running.partial(done.answer(), len(done.results))
        now = time.monotonic()
        if now - kept_at > CHECKPOINT_S:
            running.keep(orjson.dumps({"results": done.results, "plan": done.plan}))
            kept_at = now
        size = _next_size(size, now - begun)
    return Finished(done.answer())


def _next_size(size: int, took_s: float) -> int:
    if took_s < BLOCK_S / 2:
        return min(2 * size, MOST_SERIES)
    return max(1, size // 2) if took_s > 2 * BLOCK_S else size


def _joined(before: dict[str, Any] | None, block: dict[str, Any]) -> dict[str, Any]:
    """The plan of all blocks: the last one's, with the warnings of each."""
    if before is None:
        return block
    warnings = [*before.get("warnings", ()), *block.get("warnings", ())]
    return block | ({"warnings": list(dict.fromkeys(warnings))} if warnings else {})


async def _simulate(limits: SeriesLimits, running: Running) -> Finished:
    job = await _job(parse_simulate, limits, running)
    (answer,) = await running.compute(CAPABILITY, [replace(job, seconds=math.inf)])
    result = _bytes_of(answer, 0)
    running.report(1)
    return Finished(result)


async def _job(parse: Any, limits: SeriesLimits, running: Running) -> Any:  # noqa: ANN401  of the kind
    work = await asyncio.to_thread(parse, limits, running.parameters)
    if isinstance(work, NamedCall):
        raise TypeError("The model of a job is filled in when the job is created.")
    return work.job


async def _computed(running: Running, block: FitJob, begin: int) -> dict[str, Any]:
    (answer,) = await running.compute(CAPABILITY, [block])
    document: dict[str, Any] = orjson.loads(_bytes_of(answer, begin))
    return document


def _bytes_of(answer: object, begin: int) -> bytes:
    match answer:
        case bytes():
            return answer
        case Refused(pointer, detail):
            raise JobInvalid(pointer, detail, units=begin)
        case _:
            raise BlockFailed(f"A replica answered {answer!r}.")
