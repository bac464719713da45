"""Runs a sweep on a worker: blocks of symbols, which replicas compute, written to one table."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet

from luna_serving.capabilities.indicators.calls.definitions import Definitions
from luna_serving.capabilities.indicators.calls.places import Places
from luna_serving.capabilities.indicators.calls.resolving import Resolving
from luna_serving.capabilities.indicators.jobs.batches import Batch
from luna_serving.capabilities.indicators.rendering.tables import ID, SYMBOL
from luna_serving.capabilities.indicators.store.custom import CustomIndicators
from luna_serving.capabilities.indicators.sweeps.preparing import KIND
from luna_serving.capabilities.indicators.wire.batch import BatchLimits, parse_batch
from luna_serving.capabilities.indicators.wire.formulas import CAPABILITY
from luna_serving.capabilities.indicators.wire.schemas import IndicatorsForm
from luna_serving.dispatch.pieces import Stored, fetched
from luna_serving.jobs.kinds import Finished, JobInvalid, JobKind, Running
from luna_serving.prices.located import Located
from luna_serving.prices.sources import PriceSources
from luna_serving.prices.stored import StoredPrices
from luna_serving.wire.problems import Problem
from luna_serving.wire.tabular import ARROW, PARQUET
from luna_store.jobs.ending import Artifact
from luna_store.quota.debits import Grant

# Bars of a block, about: a second of computation at most, so that a cancel is quick.
BLOCK_BARS: Final = 2_000_000


class BlockFailed(Exception):
    """A replica could not compute a block, through no fault of the caller."""


def job_kinds(limits: BatchLimits) -> tuple[JobKind, ...]:
    """The kind of job."""
    return (
        JobKind(
            KIND,
            "Computes indicators over many symbols or a whole market, as `POST /indicators`; makes tables.",
            partial(_run, limits),
            IndicatorsForm,
        ),
    )


async def _run(limits: BatchLimits, running: Running) -> Finished:
    batch = await _batch(limits, running)
    with TemporaryDirectory(prefix="luna-indicators-") as folder:
        table = _Table(Path(folder))
        done = 0
        for block in _blocks(batch):
            (answer,) = await running.compute(CAPABILITY, [block])
            if not isinstance(answer, Stored):
                raise BlockFailed(f"A replica answered {answer!r}.")
            await asyncio.to_thread(table.add, (await fetched(answer)).joined())
            done += len(block.instruments)
            running.report(done)
            running.partial(_result(batch, done, table.rows), done * len(batch.orders))
        artifacts = await asyncio.to_thread(table.artifacts)
    return Finished(_result(batch, done, table.rows), artifacts=artifacts)


async def _batch(limits: BatchLimits, running: Running) -> Batch:
    """What the job computes, of the version that its parameters name."""
    engine = running.stores.engine
    prices = PriceSources()
    prices.provide(StoredPrices(engine))
    places = Places(prices, keep_s=0.0, clock=time.monotonic)
    resolving = Resolving(places, prices, Definitions(CustomIndicators(engine, most=0)))

    async def granted(grants: Sequence[Grant]) -> Mapping[Grant, bool]:
        # They were checked when the job was created.
        return dict.fromkeys(grants, True)

    call = parse_batch(running.parameters, limits, sweep=True)
    days = running.limits.get("history_days")
    try:
        batch = await resolving.batch(running.account_id, call, ARROW, days, granted)
    except Problem as e:
        if e.status >= 500:
            raise
        raise JobInvalid("", e.detail) from e
    if batch.errors:
        raise JobInvalid(batch.errors[0].pointer or "/symbols", batch.errors[0].detail)
    return batch


def _blocks(batch: Batch) -> list[Batch]:
    blocks: list[Batch] = []
    held: list[Located] = []
    bars = 0
    for each in batch.instruments:
        assert isinstance(each, Located)  # noqa: S101  a job reads stored prices
        held.append(each)
        bars += each.bars * len(batch.orders)
        if bars >= BLOCK_BARS:
            blocks.append(replace(batch, instruments=tuple(held)))
            held, bars = [], 0
    return [*blocks, replace(batch, instruments=tuple(held))] if held else blocks


def _result(batch: Batch, symbols: int, rows: int) -> bytes:
    versions = {each.data_version for each in batch.instruments if isinstance(each, Located)}
    return orjson.dumps(
        {
            "symbols": symbols,
            "indicators": [order.id for order in batch.orders],
            "rows": rows,
            "adjust": batch.adjust,
            "data_version": max(versions),
        }
    )


class _Table:
    """The table of a job, in files: an Arrow stream and Parquet."""

    def __init__(self, folder: Path) -> None:
        self._paths = folder / "arrow", folder / "parquet"
        self._arrow: pa.ipc.RecordBatchStreamWriter | None = None
        self._parquet: pyarrow.parquet.ParquetWriter | None = None
        self.rows = 0

    def add(self, stream: bytes) -> None:
        """Append the rows of an answer. Blocks have dictionaries of their own: names become text."""
        table = pa.ipc.open_stream(stream).read_all().combine_chunks()
        for name in (SYMBOL, ID):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table.column(name).cast(pa.string()))
        table = table.replace_schema_metadata(None)
        if self._arrow is None or self._parquet is None:
            self._arrow = pa.ipc.new_stream(str(self._paths[0]), table.schema)
            self._parquet = pyarrow.parquet.ParquetWriter(str(self._paths[1]), table.schema, compression="zstd")
        self._arrow.write_table(table)
        self._parquet.write_table(table)
        self.rows += table.num_rows

    def artifacts(self) -> tuple[Artifact, ...]:
        """The files."""
        if self._arrow is None or self._parquet is None:
            return ()
        self._arrow.close()
        self._parquet.close()
        arrow, parquet = (path.read_bytes() for path in self._paths)
        return (
            Artifact.of("indicators.arrow", ARROW, arrow),
            Artifact.of("indicators.parquet", PARQUET, parquet),
        )
