"""Writes a canonical copy. `build` runs in a child of the sandbox, `write_copy` is its parent's side."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.canonical.merging import RUN_BYTES, Run, joined, merged, ordered
from luna_serving.capabilities.datasets.validation.canonical.rows import Block, Layout, blocks_of
from luna_serving.capabilities.datasets.validation.contract import (
    SetType,
    TableContract,
    XrayContract,
    contract_json,
)
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.sandbox.limits import Limits
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.sandbox.server import Emit

SERIES: Final = "series"
"""The column of series in the copy of a set whose files are one series each."""
INDEX: Final = b"luna.series"
"""Key of the index in the file's metadata: an Arrow stream of `series`, `start`, `count`."""
GROUP_ROWS: Final = 64 * 1024
GREATEST_FILE: Final = 32 << 30
_BUILD: Final = f"{__name__}:build"


@dataclass(frozen=True, slots=True)
class Copy:
    """A canonical copy that was written."""

    rows: int
    series: int
    bytes: int
    sha256: str


class CopyFailed(Exception):
    """The copy could not be written; our side, since the set was found valid."""


async def write_copy(sandbox: Sandbox, files: Sequence[SetFile], contract: TableContract, target: Path) -> Copy:
    """Write the canonical copy of a valid set.

    Args:
        sandbox: where files are read.
        files: of the set, on this machine.
        contract: of the set.
        target: the file to write; its folder also holds what does not fit into memory, for a while.

    Raises:
        CopyFailed: our side.
    """
    # The child has another working folder.
    work = Path(tempfile.mkdtemp(dir=os.path.abspath(target.parent), prefix=".copy-"))  # noqa: PTH100  ASYNC240
    try:
        arguments = {
            "files": [[file.path, str(file.file.resolve())] for file in files],
            "type": contract.type.value,
            "contract": contract_json(contract),
            "work": str(work),
        }
        limits = replace(Limits(), file_bytes=GREATEST_FILE, cpu_s=3600, wall_s=7200)
        outcome = await sandbox.run(_BUILD, arguments, limits=limits)
        if not outcome.finished:
            raise CopyFailed(f"The canonical copy was not written: {outcome.detail}")
        written = work / "copy.parquet"
        digest = await asyncio.to_thread(sha256_of, written)
        size = written.stat().st_size
        written.replace(target)
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    return Copy(int(outcome.result["rows"]), int(outcome.result["series"]), size, digest)


def build(arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Write `copy.parquet` into the folder `work`; see `sandbox.server.Validator`."""
    contract = contract_of(SetType(arguments["type"]), arguments["contract"])
    if isinstance(contract, XrayContract):
        raise TypeError("Sets of images have no canonical copy.")
    layout, work = Layout.of(contract), Path(arguments["work"])
    files = [(path, Path(file)) for path, file in arguments["files"]]
    rows = 0
    index: dict[int, list[int]] = {}
    sorted_blocks, rank = _sorted(layout, files, work)
    with _writer(layout, work / "copy.parquet") as writer:
        for block in _grouped(sorted_blocks):
            _note(index, block.series, rows)
            writer.write_table(_table(layout, block, writer.schema), row_group_size=GROUP_ROWS)
            rows += block.series.size
            emit({"progress": {"rows": rows}})
        names = [layout.names.names[number] for number in sorted(index, key=lambda each: int(rank[each]))]
        spans = sorted(index.values())
        writer.add_key_value_metadata({INDEX: _index(names, spans)})
    return {"rows": rows, "series": len(names)}


def _sorted(layout: Layout, files: Sequence[tuple[str, Path]], work: Path) -> tuple[Iterator[Block], NDArray[np.int32]]:
    """The rows by name of the series and time, and each series' place among the names."""
    held: list[Block] = []
    runs: list[Run] = []
    size = 0
    for block in blocks_of(layout, files):
        held.append(block)
        size += sum(array.nbytes for array in block.arrays)
        if size >= RUN_BYTES:
            runs.append(Run.write(work / f"run-{len(runs)}", joined(held)))
            held, size = [], 0
    # Only now the order of names is known.
    names = layout.names.names
    rank = np.empty(len(names), np.int32)
    rank[np.asarray(sorted(range(len(names)), key=names.__getitem__), np.int64)] = np.arange(len(names), dtype=np.int32)
    if not runs:
        return iter([ordered(joined(held), rank)] if held else []), rank
    if held:
        runs.append(Run.write(work / f"run-{len(runs)}", joined(held)))
        held = []
    return merged([Run.write(run.file, ordered(run.read(0, run.rows), rank)) for run in runs], rank), rank


def _grouped(blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks of a row group each, but the last."""
    held: list[Block] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += block.series.size
        if size < GROUP_ROWS:
            continue
        whole = joined(held)
        cut = size - size % GROUP_ROWS
        for start in range(0, cut, GROUP_ROWS):
            yield whole.take(slice(start, start + GROUP_ROWS))
        held, size = [whole.take(slice(cut, None))], size - cut
    if size:
        yield joined(held)


def _note(index: dict[int, list[int]], series: NDArray[np.int32], offset: int) -> None:
    """Add a sorted block to the index: first row and number of rows by series."""
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
    counts = np.diff(starts, append=series.size)
    for number, start, count in zip(series[starts].tolist(), starts.tolist(), counts.tolist(), strict=True):
        index.setdefault(number, [offset + start, 0])[1] += count


def _index(names: Sequence[str], spans: Sequence[Sequence[int]]) -> bytes:
    table = pa.table(
        {
            "series": pa.array(names, pa.string()),
            "start": pa.array([start for start, _ in spans], pa.int64()),
            "count": pa.array([count for _, count in spans], pa.int64()),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _writer(layout: Layout, file: Path) -> pq.ParquetWriter:
    contract = layout.contract
    words = pa.dictionary(pa.int32(), pa.string())
    fields = [
        (contract.series_column or SERIES, words),
        (contract.time_column, pa.timestamp("us", "UTC" if layout.zoned else None)),
        *((name, words if name in layout.words else pa.float64()) for name in layout.columns),
    ]
    # Sorted times and words take little space in any case; numbers are what they are.
    coded = [name for name, kind in fields if kind == words]
    return pq.ParquetWriter(file, pa.schema(fields), compression="zstd", use_dictionary=coded, store_schema=True)


def _table(layout: Layout, block: Block, schema: pa.Schema) -> pa.Table:
    arrays = [
        _words(block.series, layout.names.names),
        pa.array(block.us, pa.timestamp("us")).cast(schema.field(1).type),
    ]
    for name, column in zip(layout.columns, block.columns, strict=True):
        if name in layout.words:
            arrays.append(_words(column, layout.words[name].names))
        else:
            missing = np.isnan(column)
            arrays.append(pa.array(column, mask=missing) if missing.any() else pa.array(column))
    return pa.Table.from_arrays(arrays, schema=schema)


def _words(numbers: NDArray[np.int32], names: Sequence[str]) -> pa.Array:
    """Numbers as words. The dictionary does not depend on the order in which words came."""
    there = sorted((names[number], number) for number in np.unique(numbers).tolist() if number >= 0)
    places = np.zeros(len(names) + 1, np.int32)
    places[[number for _, number in there]] = np.arange(len(there), dtype=np.int32)
    missing = numbers < 0
    indices = pa.array(places[numbers], mask=missing) if missing.any() else pa.array(places[numbers])
    return pa.DictionaryArray.from_arrays(indices, pa.array([name for name, _ in there], pa.string()))
