"""Bars as an answer: JSON, CSV, Arrow or Parquet."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from luna_serving.engines.indicators.bars import COLUMNS, Bars, Column, Times
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Adjust, Located
from luna_serving.wire.problems import TYPE_BASE, Problem
from luna_serving.wire.tabular import CSV, JSON, PARQUET, without_formulas

ARROW: Final = "application/vnd.apache.arrow.stream"
FORMS: Final = (JSON, CSV, ARROW, PARQUET)
OTHER_FORMS: Final = {form: {"schema": {"type": "string", "format": "binary"}} for form in FORMS[1:]}
METADATA: Final = b"luna"
"""Key of what JSON says beside the values, in the metadata of Arrow and Parquet."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The bars of a symbol that an answer has, in its order."""

    located: Located
    timestamps: Times
    columns: Mapping[str, Column]
    """By `COLUMNS`, NaN where missing."""

    @classmethod
    def of(cls, located: Located, bars: Bars, *, newest_first: bool) -> Self:
        """Show bars."""
        step = -1 if newest_first else 1
        columns = {name: column[::step] for name in COLUMNS if (column := bars.column(name)) is not None}
        return cls(located, bars.timestamps[::step], columns)


@dataclass(frozen=True, slots=True)
class Missed:
    """A symbol that could not be answered."""

    symbol: str
    problem: Problem

    def as_dict(self) -> dict[str, Any]:
        """As answers have it."""
        return {"symbol": self.symbol, "type": TYPE_BASE + self.problem.slug, "detail": self.problem.detail}


@dataclass(frozen=True, slots=True)
class Prices:
    """What is answered."""

    interval: Interval
    adjust: Adjust
    shown: Sequence[Shown]
    missed: Sequence[Missed]
    next_cursor: str | None

    def facts(self, each: Shown) -> dict[str, Any]:
        """What is said of a symbol beside its values."""
        located = each.located
        own = {} if located.dataset is None else {"dataset": located.dataset.as_dict()}
        return {
            "symbol": located.symbol,
            "interval": self.interval.value,
            "adjust": self.adjust.value,
            "data_version": located.data_version,
            "last_bar_closed": located.last_bar_closed,
            **own,
        }


def written(prices: Prices, form: str) -> bytes:
    """The body of an answer. Takes a while; call it in a thread."""
    return _json(prices) if form == JSON else _table(prices, form)


def _json(prices: Prices) -> bytes:
    return orjson.dumps(
        {
            "results": [
                {
                    **prices.facts(each),
                    "timestamps": times(each.timestamps, prices.interval),
                    "values": {name: np.ascontiguousarray(column) for name, column in each.columns.items()},
                }
                for each in prices.shown
            ],
            "errors": [each.as_dict() for each in prices.missed],
            "next_cursor": prices.next_cursor,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def times(timestamps: Times, interval: Interval) -> list[str]:
    """Starts of bars: dates, or of intraday bars dates and times in UTC."""
    if not interval.intraday:
        return list(np.datetime_as_string(timestamps.astype("datetime64[D]")))
    whole = bool((timestamps == timestamps.astype("datetime64[s]")).all())
    return list(np.datetime_as_string(timestamps, "s" if whole else "us", timezone="UTC"))


def _table(prices: Prices, form: str) -> bytes:
    shown = prices.shown
    counts = [len(each.timestamps) for each in shown]
    codes = np.repeat(np.arange(len(shown), dtype=np.int32), counts)
    symbols = pa.DictionaryArray.from_arrays(
        pa.array(codes), pa.array([each.located.symbol for each in shown], pa.string())
    )
    kind = pa.timestamp("us", "UTC") if prices.interval.intraday else pa.date32()
    stamps = np.concatenate([each.timestamps for each in shown])
    columns = [symbols, _stamps(stamps, kind)]
    for name in COLUMNS:
        values = np.concatenate([each.columns[name] for each in shown])
        columns.append(pa.array(values, mask=np.isnan(values)))
    table = pa.table(columns, names=["symbol", "timestamp", *COLUMNS])
    sink = io.BytesIO()
    if form == CSV:
        plain = table.set_column(0, "symbol", table["symbol"].cast(pa.string()))
        pyarrow.csv.write_csv(without_formulas(plain), sink)
        return sink.getvalue()
    facts = {
        "results": [prices.facts(each) for each in shown],
        "errors": [each.as_dict() for each in prices.missed],
        "next_cursor": prices.next_cursor,
    }
    table = table.replace_schema_metadata({METADATA: orjson.dumps(facts)})
    if form == PARQUET:
        pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=["symbol"])
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def _stamps(stamps: Times, kind: pa.DataType) -> pa.Array:
    if pa.types.is_date(kind):
        return pa.array(stamps.astype("datetime64[D]"))
    return pa.array(stamps.view(np.int64)).cast(kind)
