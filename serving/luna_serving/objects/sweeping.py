"""Removes objects and multipart uploads that no row knows.

A PUT that began before its URL expired may land after its row is gone, and a process may die between a row and its
object. A capability calls `sweep` in a loop, under a lease, with a question to its own tables.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from luna_serving.objects.client import ObjectStore
from luna_serving.objects.values import Listed, Upload

# Keys in one question to the database and in one call of deletion.
KEYS_AT_ONCE = 1000

Known = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Which of some keys the rows of the capability name."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep found and removed."""

    objects: int
    """Under the prefix, before the sweep."""
    bytes: int
    """Of these objects."""
    deleted: int
    deleted_bytes: int
    waiting: int
    """Unknown objects that are too young to be removed."""
    aborted: int
    """Multipart uploads."""


async def sweep(store: ObjectStore, prefix: str, known: Known, *, before: datetime) -> SweepReport:
    """Delete what no row names and what was last written before a time.

    Where a row is committed before its object is written, an object that was written before `before` and that no row
    names now belongs to nobody, if `before` is further back than the longest upload takes. Where objects are first,
    `known` must also count those that a row may still come to name; then `before` may be now.

    Args:
        store: whose bucket is swept.
        prefix: of the keys; other objects are not touched.
        known: asks the rows, of at most `KEYS_AT_ONCE` keys at once.
        before: the time of the sweep without the grace time, in UTC.

    Raises:
        StoreGone: the store does not answer; what is left, the next sweep removes.
    """
    objects = total = deleted = freed = waiting = aborted = 0
    async for batch in _batches(store.list(prefix)):
        named = frozenset(await known([each.key for each in batch]))
        old, young = unknown(batch, named, before)
        await store.delete_many(each.key for each in old)
        objects += len(batch)
        total += sum(each.bytes for each in batch)
        deleted += len(old)
        freed += sum(each.bytes for each in old)
        waiting += len(young)
    async for uploads in _batches(store.multipart.uploads(prefix)):
        named = frozenset(await known([each.key for each in uploads]))
        for upload in abandoned(uploads, named, before):
            await store.multipart.abort(upload.key, upload.upload_id)
            aborted += 1
    return SweepReport(objects, total, deleted, freed, waiting, aborted)


def unknown(listed: Iterable[Listed], named: Collection[str], before: datetime) -> tuple[list[Listed], list[Listed]]:
    """The objects that no row names: those to delete, and those that are too young."""
    strangers = [each for each in listed if each.key not in named]
    return [e for e in strangers if e.modified < before], [e for e in strangers if e.modified >= before]


def abandoned(uploads: Iterable[Upload], named: Collection[str], before: datetime) -> list[Upload]:
    """The multipart uploads that no row names and that began before a time."""
    return [each for each in uploads if each.key not in named and each.initiated < before]


async def _batches(source: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    batch: list[T] = []
    async for each in source:
        batch.append(each)
        if len(batch) == KEYS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
