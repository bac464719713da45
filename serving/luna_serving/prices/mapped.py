"""Bars in memory: files of versions, fetched once to a folder of this machine and mapped by every process on it.

Made for compute replicas: needs neither Redis nor Postgres. What `luna_serving.prices.sources` has located, it reads.
"""

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from typing import Final

import pyarrow as pa

from luna_serving.engines.indicators.bars import Bars
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import ObjectMissing, StoreGone, StoreRefused
from luna_serving.prices.adjusting import adjusted
from luna_serving.prices.announced import announced
from luna_serving.prices.files import MappedFile
from luna_serving.prices.local_files import FileDiffers, LocalFiles
from luna_serving.prices.located import Adjust, Located, MarketFile
from luna_serving.prices.metrics import MappedMetrics

log = logging.getLogger("luna.prices")


ASIDE_BARS: Final = 50_000
"""Longer histories are read in a thread: a million bars take 40 ms to check and adjust, and more from a cold disk."""


class BarsUnavailable(Exception):
    """The bars cannot be read now: the object store is out of reach, or has another file. Answer 503."""


class VersionGone(Exception):
    """The version was pruned since it was located, or its data set deleted: locate again."""


class MappedMarkets:
    """Reads bars of located instruments; one per process, on one event loop."""

    def __init__(
        self, store: ObjectStore, files: LocalFiles, metrics: MappedMetrics, *, follow_s: float = 1.0, most: int = 64
    ) -> None:
        """Map nothing yet.

        Args:
            store: where the files are.
            files: those on this machine.
            metrics: what the process counts.
            follow_s: seconds between two looks for a new version of the server's market.
            most: files that are mapped at once; those that were not used for the longest time are let go. A mapping
                takes address space and no memory of its own.
        """
        self._store = store
        self._files = files
        self._metrics = metrics
        self._follow_s = follow_s
        self._most = most
        self._mapped: OrderedDict[str, MappedFile] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[MappedFile]] = {}
        self._following: asyncio.Task[None] | None = None

    async def warm_up(self) -> None:
        """Map the current version of the server's market and follow it from now on; call it before readiness.

        Without a market, or while the object store is out of reach, it returns at once: calls fetch what they need.
        """
        try:
            await self._map_announced()
        except (BarsUnavailable, StoreGone, StoreRefused) as error:
            log.warning("The market was not mapped ahead: %s", error)
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="prices: follow the market")

    async def bars(self, located: Located, adjust: Adjust = Adjust.SPLITS) -> Bars:
        """The whole history of an instrument, adjusted. Arrays may be views of the file: do not write to them.

        Raises:
            VersionGone: locate again.
            BarsUnavailable: the object store does not have the file now.
        """
        file = await self._file(located.file)
        if located.bars <= ASIDE_BARS:
            return _read(file, located, adjust)
        return await asyncio.to_thread(_read, file, located, adjust)

    async def close(self) -> None:
        """Stop following, and let all files go."""
        tasks = [*self._under_way.values(), *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._mapped.clear()

    async def _file(self, file: MarketFile) -> MappedFile:
        if (found := self._mapped.get(file.digest)) is not None:
            self._mapped.move_to_end(file.digest)
            return found
        task = self._under_way.get(file.digest)
        if task is None:
            task = self._under_way[file.digest] = asyncio.create_task(self._map(file), name="prices: map a version")
            task.add_done_callback(lambda _: self._under_way.pop(file.digest, None))
        # A caller that hangs up does not end what others wait for.
        return await asyncio.shield(task)

    async def _map(self, file: MarketFile) -> MappedFile:
        with self._metrics.mapping():
            try:
                path = await self._files.path_of(self._store, file)
                mapped = await asyncio.to_thread(MappedFile, path)
            except ObjectMissing as error:
                raise VersionGone(f"{file.key} is not stored any more.") from error
            except (StoreGone, StoreRefused, FileDiffers, OSError, pa.ArrowInvalid) as error:
                raise BarsUnavailable(str(error)) from error
        self._mapped[file.digest] = mapped
        while len(self._mapped) > self._most:
            self._mapped.popitem(last=False)
        self._metrics.files.set(len(self._mapped))
        return mapped

    async def _map_announced(self) -> None:
        current = await announced(self._store)
        if current is None or current.file.digest in self._mapped:
            return
        with suppress(VersionGone):
            await self._file(current.file)

    async def _follow(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._follow_s)
            try:
                await self._map_announced()
                failing = False
            except (BarsUnavailable, StoreGone, StoreRefused) as error:
                if not failing:
                    log.warning("The market is not followed: %s", error)
                failing = True


def _read(file: MappedFile, located: Located, adjust: Adjust) -> Bars:
    return adjusted(file.bars(located.start, located.bars), located.actions, adjust)
