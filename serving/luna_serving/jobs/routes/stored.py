"""What a job has left in the object store: read, streamed, deleted."""

import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, TypeVar

from luna_serving.jobs.routes.parts import data_deleted
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import ObjectMissing, StoreGone, StoreRefused
from luna_serving.objects.streaming import streamed
from luna_serving.objects.values import ObjectHead
from luna_serving.wire import problems
from luna_store.jobs.reading import StoredResult

log = logging.getLogger("luna.jobs")

OBJECTS: Final = "The object store"
T = TypeVar("T")


async def bytes_of(objects: ObjectStore | None, key: str) -> bytes:
    """A whole object.

    Raises:
        Problem: 410, 503.
    """
    return await _asked(_store(objects).get_bytes(key), key)


async def whole(objects: ObjectStore | None, result: StoredResult) -> bytes:
    """A whole result, wherever it is kept.

    Raises:
        Problem: 410, 503.
    """
    return (result.body or b"") if result.object_key is None else await bytes_of(objects, result.object_key)


async def stream_of(objects: ObjectStore | None, key: str) -> tuple[ObjectHead, AsyncIterator[bytes]]:
    """An object in pieces.

    Raises:
        Problem: 410, 503.
    """
    return await _asked(streamed(_store(objects), key), key)


async def delete_all(objects: ObjectStore | None, keys: Sequence[str]) -> None:
    """Delete objects that nothing names any more; those that the store does not delete now, the sweep deletes."""
    if objects is None or not keys:
        return
    try:
        await objects.delete_many(keys)
    except (StoreGone, StoreRefused) as e:
        log.warning("%d objects of deleted data wait for the sweep: %s", len(keys), e)


def _store(objects: ObjectStore | None) -> ObjectStore:
    if objects is None:
        log.error("a job's data is in an object store, but S3_ENDPOINT is not set: set it")
        raise problems.dependencies_gone(OBJECTS)
    return objects


async def _asked(question: Awaitable[T], key: str) -> T:
    try:
        return await question
    except ObjectMissing as e:
        # Its row names it: the data was deleted meanwhile, or the bucket lost it.
        log.warning("the object %s of a job is not in the object store", key)
        raise data_deleted() from e
    except (StoreGone, StoreRefused) as e:
        log.warning("the object %s cannot be read: %s", key, e)
        raise problems.dependencies_gone(OBJECTS) from e
