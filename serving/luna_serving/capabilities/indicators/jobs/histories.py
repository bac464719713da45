"""The values of an indicator over a whole history, and their bytes in the cache: an Arrow stream, zstd-compressed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

TIMESTAMP: Final = "timestamp"
TIME: Final = pa.timestamp("us", tz="UTC")
FACTS: Final = b"luna.indicator"
# Formulas may change between releases: what another release has kept is not used.
RELEASE: Final = version("luna")
_WRITTEN: Final = pa.ipc.IpcWriteOptions(compression="zstd")


class NotAHistory(ValueError):
    """The bytes are of another release, or were damaged."""


@dataclass(frozen=True)
class History:
    """The values of an indicator over all bars. Not changed after it is made."""

    timestamps: NDArray[np.datetime64]
    """datetime64[us], UTC, start of bar [T]."""
    values: Mapping[str, NDArray[np.float64]]
    """By output [T]; NaN for null."""
    lookback: int
    """Leading nulls of a history without gaps."""
    stability: str
    """A value of the engine's `Stability`."""

    def __len__(self) -> int:
        return len(self.timestamps)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.timestamps.nbytes + sum(each.nbytes for each in self.values.values())

    def only(self, shown: slice) -> "History":
        """Some of the bars, in memory of their own: the others can be freed."""
        values = {name: each[shown].copy() for name, each in self.values.items()}
        return History(self.timestamps[shown].copy(), values, self.lookback, self.stability)

    def packed(self) -> bytes:
        """The bytes that are cached. Releases the interpreter's lock while it compresses."""
        names = [TIMESTAMP, *self.values]
        times = pa.array(self.timestamps.astype("datetime64[us]")).cast(TIME)
        columns = [times, *(pa.array(each, from_pandas=True) for each in self.values.values())]
        facts = orjson.dumps({"lookback": self.lookback, "stability": self.stability, "release": RELEASE})
        batch = pa.record_batch(columns, names=names).replace_schema_metadata({FACTS: facts})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema, options=_WRITTEN) as writer:
            writer.write_batch(batch)
        packed: bytes = sink.getvalue().to_pybytes()
        return packed


def unpacked(data: bytes) -> History:
    """The history of `History.packed`.

    Raises:
        NotAHistory: they are not such bytes.
    """
    try:
        table = pa.ipc.open_stream(data).read_all().combine_chunks()
        facts = orjson.loads((table.schema.metadata or {})[FACTS])
        if facts["release"] != RELEASE:
            raise NotAHistory(f"of release {facts['release']}")
        times = table.column(TIMESTAMP).to_numpy().astype("datetime64[us]")
        values = {name: table.column(name).to_numpy() for name in table.column_names if name != TIMESTAMP}
        return History(times, values, int(facts["lookback"]), str(facts["stability"]))
    except NotAHistory:
        raise
    except (pa.ArrowException, KeyError, ValueError, TypeError) as e:
        raise NotAHistory(str(e)) from e
