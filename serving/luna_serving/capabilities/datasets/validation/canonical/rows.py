"""The rows of a set as plain numbers: what the readers of tables give, without text and types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.contract import TableContract
from luna_serving.capabilities.datasets.validation.tables.chunks import Chunk, Reader, Restart, numeric, wanted
from luna_serving.capabilities.datasets.validation.tables.columnar_reader import ColumnarReader
from luna_serving.capabilities.datasets.validation.tables.csv_reader import CsvReader
from luna_serving.capabilities.datasets.validation.tables.formats import Format
from luna_serving.capabilities.datasets.validation.tables.grouping import SeriesNames
from luna_serving.capabilities.datasets.validation.tables.recognising import recognised
from luna_serving.capabilities.datasets.validation.tables.tally import Tally
from luna_serving.capabilities.datasets.validation.tables.times import TimeColumn

_SUFFIXES: Final = (".gz", ".zst", ".csv", ".tsv", ".txt", ".parquet", ".pq", ".arrow", ".arrows", ".feather", ".ipc")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows: the number of the series, the time, and a column of numbers each."""

    series: NDArray[np.int32]
    us: NDArray[np.int64]
    columns: tuple[NDArray[Any], ...]
    """In the order of `Layout.columns`: float64, or int32 for words of `Layout.words`; -1 for none."""

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All of them."""
        return (self.series, self.us, *self.columns)

    def take(self, at: "NDArray[np.intp] | slice") -> "Block":
        """The rows at some places."""
        return Block(self.series[at], self.us[at], tuple(column[at] for column in self.columns))


@dataclass(slots=True)
class Layout:
    """What the columns of blocks are."""

    contract: TableContract
    names: SeriesNames = field(default_factory=SeriesNames)
    words: Mapping[str, SeriesNames] = field(default_factory=dict)
    zoned: bool = False

    @classmethod
    def of(cls, contract: TableContract) -> "Layout":
        """For a contract."""
        return cls(contract, words={name: SeriesNames() for name in contract.enums if name != contract.series_column})

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the contract but those of time and series."""
        roles = {self.contract.time_column, self.contract.series_column}
        return tuple(name for name in wanted(self.contract) if name not in roles)


def blocks_of(layout: Layout, files: Sequence[tuple[str, Path]]) -> Iterator[Block]:
    """The rows of valid files, in their order.

    Args:
        layout: learns the names of series and words.
        files: name in the set and place of each.

    Raises:
        Stopped: a file cannot be read, so it is not the one that was found valid.
    """
    for path, file in files:
        for chunk in _chunks(layout.contract, path, file):
            yield _block(layout, path, chunk)


def _chunks(contract: TableContract, path: str, file: Path) -> Iterator[tuple[Chunk, TimeColumn]]:
    tally = Tally(path, lambda _: None)
    what = recognised(file, path, tally)
    reader: Reader
    # A cell of another type may come late: rows that were given cannot be taken back, so that is found out before.
    if what.format is not Format.CSV:
        reader = ColumnarReader(file, what.format, contract, tally)
    else:
        reader = CsvReader(file, what.compression, contract, tally, as_text=False)
        if _needs_text(reader):
            reader = CsvReader(file, what.compression, contract, tally, as_text=True)
    time = TimeColumn(contract.time_column, None, tally)
    for chunk in reader.chunks():
        if chunk.rows.size:
            yield chunk, time


def _needs_text(reader: CsvReader) -> bool:
    try:
        for _ in reader.chunks():
            pass
    except Restart:
        return True
    return False


def _block(layout: Layout, path: str, given: tuple[Chunk, TimeColumn]) -> Block:
    chunk, time = given
    contract, cells = layout.contract, chunk.columns
    us = time.instants(cells[contract.time_column], chunk.rows).us
    layout.zoned = layout.zoned or bool(time.zoned)
    if contract.series_column is None:
        series = np.full(us.size, layout.names.number(series_name(path)), np.int32)
    else:
        series = layout.names.numbers(cells[contract.series_column])
    numbers = numeric(contract)
    columns = tuple(
        cells[name].fill_null(np.nan).to_numpy(zero_copy_only=False)
        if name in numbers
        else layout.words[name].numbers(cells[name])
        for name in layout.columns
    )
    return Block(series, us, columns)


def series_name(path: str) -> str:
    """The series that a file without a series column is: its name without the ends that say its format."""
    while path.lower().endswith(_SUFFIXES):
        path = path[: path.rindex(".")]
    return path
