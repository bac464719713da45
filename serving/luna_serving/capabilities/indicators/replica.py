"""The indicators deployment: a replica that maps prices into memory and computes with threads."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.indicators.compute import answer_of, bars_of, history_of
from luna_serving.capabilities.indicators.jobs.batches import BarsGone, Batch, InlineBars, Instrument
from luna_serving.capabilities.indicators.jobs.tasks import Task
from luna_serving.capabilities.indicators.metrics import ReplicaMetrics
from luna_serving.capabilities.indicators.settings import IndicatorSettings
from luna_serving.capabilities.indicators.streams import Scratch, Stream
from luna_serving.dispatch.outcomes import Failed
from luna_serving.dispatch.pieces import Stored
from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.functions import kalman
from luna_serving.prices.located import Adjust
from luna_serving.prices.mapped import BarsUnavailable, MappedMarkets, VersionGone
from luna_serving.prices.wiring import markets_of_environment
from luna_serving.wire.tabular import ARROW

log = logging.getLogger("luna.indicators")

Job = Task | Batch
Answer = bytes | Stored | BarsGone | Failed


class IndicatorReplica:
    """Computes histories and batches. It is ready once the market is mapped."""

    def __init__(
        self, settings: IndicatorSettings, registry: CollectorRegistry, markets: MappedMarkets | None = None
    ) -> None:
        """Wire it.

        Args:
            settings: of the capability.
            registry: of the process.
            markets: where prices are read; by default from the object store of the environment.
        """
        self._metrics = ReplicaMetrics(registry)
        self._markets = markets or markets_of_environment(registry)
        threads = settings.threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="indicators")
        # Batches wait for threads of the pool: they have threads of their own.
        self._batches = ThreadPoolExecutor(threads, thread_name_prefix="batches")
        self._scratch = Scratch()

    async def warm_up(self) -> None:
        """Map the market, and follow it from now on.

        The Kalman filters are compiled in the background; a call of one that arrives meanwhile waits for its program.
        """
        compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")
        await asyncio.get_running_loop().run_in_executor(compiler, kalman.prepare)
        compiler.submit(kalman.compile_ahead)
        compiler.shutdown(wait=False)
        if self._markets is not None:
            await self._markets.warm_up()

    def ping(self) -> None:
        """Answer a probe."""

    async def compute(self, jobs: Sequence[Job]) -> Sequence[Answer]:
        """Answer jobs in order: a task with `History.packed`, a batch with the body of its answer.

        An Arrow stream is in the object store.
        """
        began = time.perf_counter()
        answers = await asyncio.gather(*(self._answered(job) for job in jobs))
        self._metrics.seconds.observe(time.perf_counter() - began)
        return answers

    async def _answered(self, job: Job) -> Answer:
        try:
            return await (self._task(job) if isinstance(job, Task) else self._batch(job))
        except VersionGone as e:
            return BarsGone(str(e), version_gone=True)
        except BarsUnavailable as e:
            return BarsGone(str(e), version_gone=False)
        except Exception:
            log.exception("an indicator could not be computed")
            return Failed()

    async def _task(self, task: Task) -> bytes:
        bars = await self._bars(task.located, task.adjust)
        benchmark = None if task.benchmark is None else await self._bars(task.benchmark, task.adjust)
        self._metrics.histories.inc()
        self._metrics.bars.inc(len(bars))

        def packed() -> bytes:
            return history_of(task.formula, bars, benchmark).packed()

        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(copy_context().run, packed))

    async def _batch(self, batch: Batch) -> bytes | Stored:
        bars = [await self._bars(each, batch.adjust) for each in batch.instruments]
        benchmarks = {
            order.id: await self._bars(order.benchmark, batch.adjust)
            for order in batch.orders
            if order.benchmark is not None
        }
        self._metrics.histories.inc(batch.pairs)
        self._metrics.bars.inc(batch.bars)
        work = partial(copy_context().run, self._rendered, batch, bars, benchmarks)
        return await asyncio.get_running_loop().run_in_executor(self._batches, work)

    def _rendered(self, batch: Batch, bars: Sequence[Bars], benchmarks: Mapping[str, Bars]) -> bytes | Stored:
        if batch.form != ARROW:
            return answer_of(batch, bars, benchmarks, self._pool)
        stream = Stream(batch, bars, benchmarks)
        return stream.stored(self._pool, self._scratch)

    async def _bars(self, instrument: Instrument, adjust: Adjust) -> Bars:
        if isinstance(instrument, InlineBars):
            return bars_of(instrument)
        if self._markets is None:
            raise BarsUnavailable("There is no object store: set S3_ENDPOINT.")
        return await self._markets.bars(instrument, adjust)
