"""A large answer as an Arrow stream: its layout is decided first, then threads compute into the bytes that are sent."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.compute import label_of
from luna_serving.capabilities.indicators.jobs.batches import Batch
from luna_serving.capabilities.indicators.prepared import Prepared, prepared
from luna_serving.capabilities.indicators.rendering.messages import (
    END,
    Bytes,
    Constant,
    Layout,
    Messages,
    packed,
    repeated,
    zeros,
)
from luna_serving.capabilities.indicators.rendering.pieces import OWN
from luna_serving.capabilities.indicators.rendering.tables import ID, SYMBOL, facts, schema_of
from luna_serving.dispatch.pieces import Reference, Stored, put
from luna_serving.engines.indicators.bars import Bars
from luna_serving.prices.located import Located

BLOCK_BYTES: Final = 8 << 20
"""Of the numbers of a block, which is one task of a thread and one object in the store."""
BLOCK_INSTRUMENTS: Final = 64


@dataclass(frozen=True, slots=True)
class Block:
    """Some indicators of some instruments: a record batch per indicator."""

    instruments: range
    orders: range
    layouts: Sequence[Layout]
    """Of the orders."""

    @property
    def size(self) -> int:
        """Bytes of its record batches."""
        return sum(each.size for each in self.layouts)


class Scratch:
    """Memory of threads, kept from one block to the next: the first use of a page costs more than what is computed."""

    def __init__(self) -> None:
        self._own = threading.local()

    def of(self, size: int) -> Bytes:
        """So many bytes, with whatever was in them. Of the calling thread, until it asks again."""
        kept: Bytes | None = getattr(self._own, "kept", None)
        if kept is not None and len(kept) >= size:
            return kept[:size]
        made = np.empty(size, np.uint8)
        if size <= 2 * BLOCK_BYTES:
            self._own.kept = made
        return made


class Stream:
    """The answer to a batch."""

    def __init__(self, batch: Batch, bars: Sequence[Bars], benchmarks: Mapping[str, Bars]) -> None:
        """Lay it out.

        Args:
            batch: what was asked for.
            bars: of its instruments, in order.
            benchmarks: by the order's id.
        """
        self._batch = batch
        self._bars = bars
        self._benchmarks = benchmarks
        self._formulas = [prepared(order.formula) for order in batch.orders]
        self._shown = [
            batch.window.cut_times(each.timestamps, instrument if isinstance(instrument, Located) else None)
            for each, instrument in zip(bars, batch.instruments, strict=True)
        ]
        self._names = [
            _columns(order.formula.name, each) for order, each in zip(batch.orders, self._formulas, strict=True)
        ]
        self._outputs = tuple(dict.fromkeys(name for names in self._names for name in names))
        symbols = [each.symbol for each in batch.instruments if isinstance(each, Located)]
        ids = [order.id for order in batch.orders]
        dictionaries = {SYMBOL: pa.array(symbols, pa.string()), ID: pa.array(ids, pa.string())}
        self._messages = Messages(schema_of(self._outputs, self._facts(), batch.errors), dictionaries)
        self._blocks = [
            Block(instruments, orders, self._layouts(instruments, orders)) for instruments, orders in self._cut()
        ]
        self.size = len(self._messages.head) + sum(each.size for each in self._blocks) + len(END)
        """Bytes of the stream."""

    def stored(self, pool: Executor, scratch: Scratch, store: "Callable[[Bytes], Reference | bytes]" = put) -> Stored:
        """Compute and store it.

        Args:
            pool: threads; a task of it is a block.
            scratch: their memory.
            store: keeps the bytes of a block, which are overwritten afterwards.
        """

        def filled(block: Block) -> "Reference | bytes":
            return store(self._filled(block, scratch.of(block.size)))

        return Stored((self._messages.head, *pool.map(filled, self._blocks), END), self.size)

    def _facts(self) -> list[dict[str, object]]:
        batch = self._batch
        # 10,000 pairs of 1,000 instruments with ten indicators: a label for each would take 15 ms.
        orders = [
            (label_of(order, batch.instruments[0], batch.adjust), each.lookback, each.stability)
            for order, each in zip(batch.orders, self._formulas, strict=True)
        ]
        labels = [label_of(batch.orders[0], instrument, batch.adjust) for instrument in batch.instruments]
        return [
            facts(label, *order, shown.start)
            for label, shown in zip(labels, self._shown, strict=True)
            for order in orders
        ]

    def _rows(self, instruments: range) -> int:
        return sum(self._shown[i].stop - self._shown[i].start for i in instruments)

    def _cut(self) -> Iterator[tuple[range, range]]:
        """Instruments and orders of each block that has rows."""
        lines = [len(names) for names in self._names]
        first = 0
        while first < len(self._shown):
            stop = first + 1
            while (
                stop < len(self._shown)
                and stop - first < BLOCK_INSTRUMENTS
                and 8 * self._rows(range(first, stop + 1)) * sum(lines) <= BLOCK_BYTES
            ):
                stop += 1
            instruments = range(first, stop)
            first = stop
            rows = self._rows(instruments)
            order = 0
            while rows and order < len(lines):
                end = order + 1
                while end < len(lines) and 8 * rows * sum(lines[order : end + 1]) <= BLOCK_BYTES:
                    end += 1
                yield instruments, range(order, end)
                order = end

    def _layouts(self, instruments: range, orders: range) -> list[Layout]:
        rows = self._rows(instruments)
        lengths = [self._shown[i].stop - self._shown[i].start for i in instruments]
        times = np.concatenate([self._bars[i].timestamps[self._shown[i]] for i in instruments])
        at = Constant(packed(times.astype("datetime64[us]", copy=False).view(np.uint8)))
        if isinstance(self._batch.instruments[0], Located):
            codes = np.repeat(np.array(instruments, np.int32), lengths)
            symbol = Constant(packed(codes.view(np.uint8)))
        else:
            symbol = Constant(zeros(4 * rows), null=True)
        null = Constant(zeros(8 * rows), null=True)
        layouts = []
        for number in orders:
            own = self._names[number]
            numbers = [None if name in own else null for name in self._outputs]
            layouts.append(self._messages.layout(rows, [symbol, Constant(repeated(number, rows)), at, *numbers]))
        return layouts

    def _filled(self, block: Block, memory: Bytes) -> Bytes:
        begin = 0
        for number, layout in zip(block.orders, block.layouts, strict=True):
            message = memory[begin : begin + layout.size]
            begin += layout.size
            written = layout.begin(message)
            # A layout has its columns in the order of the table, a formula its lines in its own.
            by_name = dict(zip((name for name in self._outputs if name in self._names[number]), written, strict=True))
            self._compute(number, block.instruments, [by_name[name] for name in self._names[number]])
            layout.finish(message, written)
        return memory

    def _compute(self, number: int, instruments: range, columns: Sequence[NDArray[np.float64]]) -> None:
        formula, benchmark = self._formulas[number], self._benchmarks.get(self._batch.orders[number].id)
        row = 0
        for i in instruments:
            shown = self._shown[i]
            end = row + shown.stop - shown.start
            for column, line in zip(columns, formula.lines(self._bars[i], benchmark), strict=True):
                column[row:end] = line[shown]
            row = end


def _columns(name: str, formula: Prepared) -> tuple[str, ...]:
    """The columns of an indicator. The line of an account's own one bears its name."""
    return tuple(name if output == OWN else output for output in formula.outputs)
