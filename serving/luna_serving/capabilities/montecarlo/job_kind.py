"""The kind of job `montecarlo`: blocks on all replicas, joined in their order, with the estimate as progress."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from luna_serving.capabilities.montecarlo.reporting import artifacts_of, sections
from luna_serving.capabilities.montecarlo.schemas.request import MonteCarloRequest
from luna_serving.capabilities.montecarlo.settings import MonteCarloSettings
from luna_serving.capabilities.montecarlo.wire.answers import answer_of, bound
from luna_serving.capabilities.montecarlo.wire.requests import Asked, parse
from luna_serving.capabilities.montecarlo.wire.travelling import BlocksOf, PilotOf
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.finance.montecarlo.api.description import Block, Pilot, Run
from luna_serving.jobs.kinds import Finished, JobInvalid, JobKind, Running
from luna_store.jobs.ending import Artifact

NAME: Final = "montecarlo"
STATE: Final = "state.json"
"""The artifact that `extend` goes on from."""
# Seconds of one core that a task should take: long enough that its way to a replica does not count, short enough that
# the progress moves.
TASK_S: Final = 0.2
# Blocks of a task: a cancelled job costs the blocks that were joined, so few should be under way.
MOST_BLOCKS: Final = 32
# Seconds between two checkpoints.
CHECKPOINT_S: Final = 1.0


class BlocksFailed(Exception):
    """A replica could not compute blocks, through no fault of the caller."""


def job_kinds(settings: MonteCarloSettings) -> tuple[JobKind, ...]:
    """The kind."""
    return (
        JobKind(
            NAME,
            "Values by simulation, as `POST /montecarlo`; it can be extended.",
            partial(run_job, ahead=settings.ahead),
            MonteCarloRequest,
            sections=sections,
        ),
    )


@dataclass(slots=True)
class _State:
    """What a checkpoint has."""

    run: Run
    charged: int = 0
    """Paths that an earlier end of the job has paid for."""

    def kept(self) -> bytes:
        return orjson.dumps({"charged": self.charged, "run": self.run.as_dict()})


async def run_job(running: Running, *, ahead: int) -> Finished:
    """Run an attempt; results and bits do not depend on `ahead`, on replicas, or on where it goes on."""
    asked = await asyncio.to_thread(lambda: parse(orjson.loads(running.parameters)))
    begun = kept_at = time.monotonic()
    state = await _begin(running, asked)
    run, stopped = state.run, "paths"
    running.report(run.blocks, total=asked.blocks)
    async with _blocks(running, asked, run.known, run.blocks, ahead) as coming:
        async for blocks in coming:
            for block in blocks:
                run.add(block)
                if run.precise(asked.std_error):
                    stopped = "std_error"
                    break
            now = time.monotonic()
            running.report(run.blocks, estimate=_shown(run))
            # Blocks that are there already are joined without waiting: let a cancel in.
            await asyncio.sleep(0)
            running.partial(answer_of(asked, run, "cancelled"), _units(asked, state))
            if stopped == "paths" and run.blocks < asked.blocks and now - begun >= asked.seconds:
                stopped = "seconds"
            if stopped != "paths":
                break
            if now - kept_at >= CHECKPOINT_S:
                running.keep(state.kept())
                kept_at = now
    result = answer_of(asked, run, stopped)
    units = _units(asked, state)
    charts = await asyncio.to_thread(artifacts_of, running.parameters, result)
    state.charged = run.paths
    last = Artifact.of(STATE, "application/json", state.kept())
    return Finished(result, units, (*charts, last))


async def _begin(running: Running, asked: Asked) -> _State:
    (known,) = await running.compute(NAME, [PilotOf(asked.problem)])
    if not isinstance(known, Pilot):
        raise _failure(known)
    if running.checkpoint is not None:
        words = orjson.loads(running.checkpoint)
        return _State(Run.from_dict(asked.problem, known, words["run"]), words["charged"])
    return _State(Run(asked.problem, known))


def _failure(answer: object) -> Exception:
    match answer:
        case Refused(pointer, detail):
            return JobInvalid(pointer, detail)
        case _:
            return BlocksFailed(f"A replica answered {answer!r}.")


def _units(asked: Asked, state: _State) -> int:
    """Of the paths since the job was last charged; those beyond what was asked for fill a block and are free."""
    done = min(state.run.paths, asked.paths)
    return asked.units(max(0, done - state.charged))


def _shown(run: Run) -> dict[str, Any]:
    return {**bound(run.value), "paths": run.paths}


@asynccontextmanager
async def _blocks(
    running: Running, asked: Asked, known: Pilot, first: int, ahead: int
) -> AsyncIterator[AsyncIterator[tuple[Block, ...]]]:
    """Blocks from `first` on, in order, while up to `ahead` tasks of them are under way."""
    problem, total = asked.problem, asked.blocks
    size = max(1, min(MOST_BLOCKS, int(TASK_S * 1e9 / (problem.nanoseconds * problem.drawing.paths))))
    under_way: dict[int, asyncio.Task[tuple[Block, ...]]] = {}

    async def task(begin: int) -> tuple[Block, ...]:
        job = BlocksOf(problem, known, begin, min(size, total - begin))
        (answer,) = await running.compute(NAME, [job])
        if not isinstance(answer, tuple):
            raise _failure(answer)
        return answer

    async def coming() -> AsyncIterator[tuple[Block, ...]]:
        following = begin = first
        while begin < total:
            while following < total and len(under_way) < ahead:
                under_way[following] = asyncio.create_task(task(following))
                following += size
            blocks = await under_way[begin]
            del under_way[begin]
            begin += len(blocks)
            yield blocks

    try:
        yield coming()
    finally:
        for each in under_way.values():
            each.cancel()
        await asyncio.gather(*under_way.values(), return_exceptions=True)
