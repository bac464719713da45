"""Answers as tables with the columns `symbol, id, timestamp, <outputs>`; an output that an indicator lacks is null."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from luna_serving.capabilities.indicators.jobs.histories import TIME, TIMESTAMP
from luna_serving.capabilities.indicators.jobs.windows import Miss
from luna_serving.capabilities.indicators.rendering.pieces import Label, Piece
from luna_serving.wire.tabular import ARROW, CSV, FORMULA

SYMBOL: Final = "symbol"
ID: Final = "id"
FACTS: Final = b"luna"
"""In the metadata of the schema: `results` without their numbers, and `errors`, as JSON."""
PIECES_PER_BATCH: Final = 64
"""1,000 symbols, 10 indicators, 1,260 bars: 153 MB in 0.6 s. With a piece per batch 255 MB in 2 s, plain 1.6 GB."""
_WRITTEN: Final = pa.ipc.IpcWriteOptions(compression="lz4")
NAMES: Final = pa.dictionary(pa.int32(), pa.string())


def written(pieces: Sequence[Piece], errors: Sequence[Miss], form: str) -> bytes:
    """The bytes of a table."""
    outputs = list(dict.fromkeys(name for piece in pieces for name in piece.values))
    if form == CSV:
        return _as_csv(pieces, outputs)
    results = [
        facts(each.label, each.label, each.history.lookback, each.history.stability, each.warmup_bars)
        for each in pieces
    ]
    schema = schema_of(outputs, results, errors)
    batches = _batches(pieces, outputs, schema)
    if form == ARROW:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema, options=_WRITTEN) as writer:
            for batch in batches:
                writer.write_batch(batch)
        stream: bytes = sink.getvalue().to_pybytes()
        return stream
    parquet = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_batches(batches, schema), parquet, compression="zstd")
    return parquet.getvalue()


def _batches(pieces: Sequence[Piece], outputs: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Pieces of one indicator together: in long runs the nulls of other outputs, most of a table, shrink to nothing."""
    symbols = list(dict.fromkeys(piece.label.symbol for piece in pieces if piece.label.symbol is not None))
    ids = list(dict.fromkeys(piece.label.id for piece in pieces))
    of_symbols, of_ids = pa.array(symbols, pa.string()), pa.array(ids, pa.string())
    place: dict[str | None, int] = {name: i for i, name in enumerate(symbols)}
    alike: dict[str, list[Piece]] = {}
    for piece in pieces:
        alike.setdefault(piece.label.id, []).append(piece)
    for number, id_ in enumerate(ids):
        for first in range(0, len(alike[id_]), PIECES_PER_BATCH):
            part = alike[id_][first : first + PIECES_PER_BATCH]
            lengths = [len(piece.timestamps) for piece in part]
            rows = sum(lengths)
            known = part[0].label.symbol is not None
            codes = np.repeat(np.array([place.get(each.label.symbol, 0) for each in part], np.int32), lengths)
            times = np.concatenate([piece.timestamps for piece in part]).astype("datetime64[us]", copy=False)
            values = [piece.values for piece in part]
            nulls = pa.nulls(rows, pa.float64())
            columns: list[Any] = [
                pa.DictionaryArray.from_arrays(pa.array(codes) if known else pa.nulls(rows, pa.int32()), of_symbols),
                pa.DictionaryArray.from_arrays(np.full(rows, number, np.int32), of_ids),
                pa.array(times).cast(TIME),
                *(
                    pa.array(np.concatenate([each[name] for each in values]), from_pandas=True)
                    if name in values[0]
                    else nulls
                    for name in outputs
                ),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _as_csv(pieces: Sequence[Piece], outputs: Sequence[str]) -> bytes:
    sink = io.BytesIO()
    fields = [(SYMBOL, pa.string()), (ID, pa.string()), (TIMESTAMP, pa.string())]
    schema = pa.schema([*fields, *((name, pa.float64()) for name in outputs)])
    with pyarrow.csv.CSVWriter(sink, schema) as writer:
        for piece in pieces:
            bars, values = len(piece.timestamps), piece.values
            columns: list[Any] = [
                pa.nulls(bars, pa.string()) if piece.label.symbol is None else _repeated(piece.label.symbol, bars),
                _repeated(piece.label.id, bars),
                _times(piece),
            ]
            for name in outputs:
                column = values.get(name)
                columns.append(pa.nulls(bars, pa.float64()) if column is None else pa.array(column, from_pandas=True))
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return sink.getvalue()


def _times(piece: Piece) -> pa.Array:
    if piece.label.intraday:
        return pa.array(np.datetime_as_string(piece.timestamps, unit="s", timezone="UTC"))
    return pa.array(np.datetime_as_string(piece.timestamps, unit="D"))


def _repeated(text: str, count: int) -> pa.Array:
    # As `wire.tabular`: what a spreadsheet would compute stands behind an apostrophe.
    guarded = f"'{text}" if re.match(FORMULA, text) else text
    return pa.repeat(pa.scalar(guarded, pa.string()), count)


def facts(label: Label, order: Label, lookback: int, stability: str, warmup_bars: int) -> dict[str, object]:
    """What the metadata of a table say of a piece.

    Args:
        label: of the instrument.
        order: of the indicator; may be the same.
        lookback: of the indicator.
        stability: of the indicator.
        warmup_bars: before the first bar shown.
    """
    return {
        "id": order.id,
        "symbol": label.symbol,
        "name": order.name,
        "params": order.params,
        "lookback": lookback,
        "warmup_bars": warmup_bars,
        "stability": stability,
        "adjust": label.adjust,
        "data_version": label.data_version,
        "last_bar_closed": label.last_bar_closed,
    }


def schema_of(outputs: Sequence[str], results: Sequence[dict[str, object]], errors: Sequence[Miss]) -> pa.Schema:
    """The columns of a table, with the facts of its pieces and the errors of other items."""
    fields = [(SYMBOL, NAMES), (ID, NAMES), (TIMESTAMP, TIME), *((name, pa.float64()) for name in outputs)]
    document = {"results": results, "errors": [each.as_dict() for each in errors]}
    return pa.schema(fields, metadata={FACTS: orjson.dumps(document)})
