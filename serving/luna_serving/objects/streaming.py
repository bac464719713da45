"""Reads an object for an answer: what goes wrong before the first byte is an error, not a broken answer."""

from collections.abc import AsyncIterator

from luna_serving.objects.client import ObjectStore
from luna_serving.objects.values import ObjectHead


async def streamed(store: ObjectStore, key: str) -> tuple[ObjectHead, AsyncIterator[bytes]]:
    """An object and its bytes in pieces, which must be read or closed.

    Raises:
        ObjectMissing: it is not there.
        StoreGone: the store is out of reach; the pieces raise it, too.
    """
    opened = store.open(key)
    reading = await opened.__aenter__()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async for chunk in reading.chunks:
                yield chunk
        finally:
            await opened.__aexit__(None, None, None)

    return reading.head, chunks()
