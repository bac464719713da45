"""The job kind `blackscholes`: evaluates options in blocks that replicas compute."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from luna_serving.capabilities.blackscholes.answers import as_json
from luna_serving.capabilities.blackscholes.charts import artifacts
from luna_serving.capabilities.blackscholes.job import PricedColumns, PricingJob
from luna_serving.capabilities.blackscholes.reporting import sections
from luna_serving.capabilities.blackscholes.wire.reading import Reader
from luna_serving.capabilities.blackscholes.wire.schemas import PricingRequest
from luna_serving.capabilities.blackscholes.wire.work import CAPABILITY, ROWS_PER_UNIT, SECONDS
from luna_serving.jobs.kinds import Finished, JobKind, Running
from luna_serving.wire.sent import Sent

# CPU-seconds of a block: its way to a replica does not count, and a cancel is quick.
BLOCK_S: Final = 0.3
# A partial result is rendered whole each time: not for larger ones.
PARTIAL_ROWS: Final = 100_000


class BlockFailed(Exception):
    """A replica could not compute a block, through no fault of the caller."""


def job_kinds(max_rows: int) -> tuple[JobKind, ...]:
    """The kind."""
    return (
        JobKind(
            CAPABILITY,
            "Evaluates options, as `POST /blackscholes`, and draws their payoff, Greeks and smile.",
            partial(_run, Reader(max_rows)),
            PricingRequest,
            sections=sections,
        ),
    )


@dataclass(slots=True)
class _Priced:
    """The rows that are done; the others are null."""

    job: PricingJob
    results: dict[str, np.ndarray]
    codes: np.ndarray
    done: int = 0

    def take(self, block: PricedColumns) -> None:
        end = self.done + len(block.codes)
        for name, column in block.results.items():
            self.results[name][self.done : end] = column
        self.codes[self.done : end] = block.codes
        self.done = end

    def units(self) -> int:
        return -(-self.done // ROWS_PER_UNIT)

    def rendered(self) -> bytes:
        plan: Mapping[str, Any] = self.job.plan
        if self.done < self.job.rows:
            plan = {**plan, "computed": self.done}
        return as_json(self.results, self.codes, plan)


async def _run(reader: Reader, running: Running) -> Finished:
    work = await asyncio.to_thread(reader.parse, Sent(running.parameters))
    job = work.job
    priced = _Priced(job, {n: np.full(job.rows, np.nan) for n in job.outputs}, np.zeros(job.rows, np.int8))
    block = max(ROWS_PER_UNIT, int(BLOCK_S / SECONDS[job.plan["method"]]))
    while priced.done < job.rows:
        part = job.part(priced.done, min(priced.done + block, job.rows))
        (answer,) = await running.compute(CAPABILITY, [part])
        if not isinstance(answer, PricedColumns):
            raise BlockFailed(f"A replica answered {answer!r}.")
        priced.take(answer)
        running.report(priced.done)
        if job.rows <= PARTIAL_ROWS and priced.done < job.rows:
            running.partial(await asyncio.to_thread(priced.rendered), priced.units())
    result = await asyncio.to_thread(priced.rendered)
    drawn = await asyncio.to_thread(artifacts, job, priced.results)
    return Finished(result, artifacts=drawn)
