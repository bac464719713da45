"""Canonical copies on the disk of this process, by the digest of their set."""

import asyncio
import tempfile
import uuid
from collections import OrderedDict
from pathlib import Path

from luna_serving.capabilities.datasets.validation.canonical.reading import CanonicalCopy
from luna_serving.objects.client import ObjectStore


class Copies:
    """Fetches a copy once, and drops those that were not used for the longest time."""

    def __init__(self, store: ObjectStore, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="luna-copies-", ignore_cleanup_errors=True)
        self._kept: OrderedDict[str, tuple[CanonicalCopy, int]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[CanonicalCopy]] = {}

    async def of(self, digest: str, key: str) -> CanonicalCopy:
        """The copy of a set.

        Args:
            digest: of the set.
            key: of the object.

        Raises:
            ObjectMissing, StoreGone, StoreRefused: it cannot be fetched.
        """
        if (kept := self._kept.get(digest)) is not None:
            self._kept.move_to_end(digest)
            return kept[0]
        task = self._under_way.get(digest)
        if task is None:
            task = self._under_way[digest] = asyncio.create_task(self._fetch(digest, key), name="canonical copy")
            task.add_done_callback(lambda _: self._under_way.pop(digest, None))
        # A caller who hangs up does not end what others wait for.
        return await asyncio.shield(task)

    async def _fetch(self, digest: str, key: str) -> CanonicalCopy:
        place = Path(self._folder.name) / uuid.uuid4().hex
        head = await self._store.get_file(key, place)
        copy = await asyncio.to_thread(CanonicalCopy, place)
        # Open files are read to their end although their names are gone.
        place.unlink()
        self._kept[digest] = (copy, head.bytes)
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self._max_bytes:
            self._kept.popitem(last=False)
        return copy
