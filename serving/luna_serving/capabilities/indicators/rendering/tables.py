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
from luna_serving.capabilities.indicators.rendering.pieces import Piece
from luna_serving.wire.tabular import ARROW, CSV, FORMULA

SYMBOL: Final = "symbol"
ID: Final = "id"
FACTS: Final = b"luna"
"""In the metadata of the schema: `results` without their numbers, and `errors`, as JSON."""
_NAMES: Final = pa.dictionary(pa.int32(), pa.string())


def written(pieces: Sequence[Piece], errors: Sequence[Miss], form: str) -> bytes:
    """The bytes of a table."""
    outputs = list(dict.fromkeys(name for piece in pieces for name in piece.values))
    if form == CSV:
        return _as_csv(pieces, outputs)
    fields = [(SYMBOL, _NAMES), (ID, _NAMES), (TIMESTAMP, TIME), *((name, pa.float64()) for name in outputs)]
    schema = pa.schema(fields, metadata={FACTS: orjson.dumps(_facts(pieces, errors))})
    batches = list(_batches(pieces, outputs, schema))
    if form == ARROW:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        stream: bytes = sink.getvalue().to_pybytes()
        return stream
    parquet = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_batches(batches, schema), parquet, compression="zstd")
    return parquet.getvalue()


def _batches(pieces: Sequence[Piece], outputs: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """One per piece. They share the dictionaries, and what is null in whole."""
    symbols = list(dict.fromkeys(piece.label.symbol for piece in pieces if piece.label.symbol is not None))
    ids = list(dict.fromkeys(piece.label.id for piece in pieces))
    longest = max((len(piece.timestamps) for piece in pieces), default=0)
    nulls = pa.nulls(longest, pa.float64())
    of_symbols, of_ids = pa.array(symbols, pa.string()), pa.array(ids, pa.string())
    place = {name: i for i, name in enumerate(symbols)}
    place_of_id = {name: i for i, name in enumerate(ids)}
    for piece in pieces:
        bars, values = len(piece.timestamps), piece.values
        symbol = piece.label.symbol
        codes = pa.nulls(bars, pa.int32()) if symbol is None else pa.array(np.full(bars, place[symbol], np.int32))
        columns: list[Any] = [
            pa.DictionaryArray.from_arrays(codes, of_symbols),
            pa.DictionaryArray.from_arrays(np.full(bars, place_of_id[piece.label.id], np.int32), of_ids),
            pa.array(piece.timestamps.astype("datetime64[us]")).cast(TIME),
        ]
        for name in outputs:
            column = values.get(name)
            columns.append(nulls[:bars] if column is None else pa.array(column, from_pandas=True))
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


def _facts(pieces: Sequence[Piece], errors: Sequence[Miss]) -> dict[str, object]:
    results = [
        {
            "id": piece.label.id,
            "symbol": piece.label.symbol,
            "name": piece.label.name,
            "params": piece.label.params,
            "lookback": piece.history.lookback,
            "warmup_bars": piece.shown.start,
            "stability": piece.history.stability,
            "adjust": piece.label.adjust,
            "data_version": piece.label.data_version,
            "last_bar_closed": piece.label.last_bar_closed,
        }
        for piece in pieces
    ]
    return {"results": results, "errors": [each.as_dict() for each in errors]}
