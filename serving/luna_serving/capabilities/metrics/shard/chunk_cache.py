"""Decoded chunks, and which chunks a series has on a day, within a bound of bytes."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from luna_serving.capabilities.metrics.shard.runs import Floats, Ints

Key = tuple[int, int, int]
"""Account, series, day since 1970."""

# Of an entry and of a chunk in it, beside the columns.
ENTRY_BYTES = 300
CHUNK_BYTES = 150


@dataclass(frozen=True, slots=True)
class CachedChunk:
    """A chunk of which the columns are known, or not."""

    first_ms: int
    last_ms: int
    generation: int
    columns: tuple[Ints, Floats] | None

    @property
    def nbytes(self) -> int:
        """In memory."""
        columns = self.columns
        return CHUNK_BYTES if columns is None else CHUNK_BYTES + columns[0].nbytes + columns[1].nbytes


class ChunkCache:
    """All chunks of series on days; what was used least recently goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._entries: OrderedDict[Key, tuple[CachedChunk, ...]] = OrderedDict()
        self.nbytes = 0

    def get(self, key: Key, first_ms: int, last_ms: int) -> Sequence[CachedChunk] | None:
        """The chunks that reach into a period; None unless the columns of all of them are known."""
        found = self._entries.get(key)
        if found is None:
            return None
        inside = [each for each in found if each.first_ms <= last_ms and each.last_ms >= first_ms]
        if any(each.columns is None for each in inside):
            return None
        self._entries.move_to_end(key)
        return inside

    def put(self, key: Key, chunks: Sequence[CachedChunk]) -> None:
        """Keep all chunks of a series on a day. Columns that are known already stay known."""
        known = {(each.first_ms, each.generation): each for each in self._entries.get(key, ())}
        chunks = [
            known.get((each.first_ms, each.generation), each) if each.columns is None else each for each in chunks
        ]
        self.drop((key,))
        size = _size(chunks)
        if size > self._most:
            return
        self._entries[key] = tuple(chunks)
        self.nbytes += size
        while self.nbytes > self._most:
            _, gone = self._entries.popitem(last=False)
            self.nbytes -= _size(gone)

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget series on days: their chunks have changed."""
        for key in keys:
            gone = self._entries.pop(key, None)
            if gone is not None:
                self.nbytes -= _size(gone)

    def drop_account(self, account_id: int) -> None:
        """Forget all of an account."""
        self.drop([key for key in self._entries if key[0] == account_id])


def _size(chunks: Sequence[CachedChunk]) -> int:
    return ENTRY_BYTES + sum(each.nbytes for each in chunks)
