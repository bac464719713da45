"""Brings the bytes of a file here, from where no URL can change them, and compares them with what was declared."""

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.datasets.metrics import ValidationMetrics
from luna_serving.capabilities.datasets.store import validating
from luna_serving.capabilities.datasets.store.records import FileRecord
from luna_serving.capabilities.datasets.store.validating import Attempt
from luna_serving.capabilities.datasets.uploads.keys import file_key, upload_key
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import ObjectMissing

# Sealed files whose uploads are deleted together.
TIDIED_AT_ONCE: Final = 200


class Lost(Exception):
    """The set is no longer this attempt's: it was deleted, or another attempt has ended it."""


@dataclass(frozen=True, slots=True)
class Brought:
    """A file on this machine."""

    place: Path
    as_declared: bool
    """Whether size and digest are those that its owner declared."""


class Sealing:
    """The files of one attempt."""

    def __init__(
        self, engine: AsyncEngine, store: ObjectStore, attempt: Attempt, metrics: ValidationMetrics, folder: Path
    ) -> None:
        self._engine = engine
        self._store = store
        self._attempt = attempt
        self._metrics = metrics
        self._folder = folder
        self._sealed: list[str] = []
        self._uploads: list[str] = []

    async def claim(self, files: Sequence[FileRecord]) -> None:
        """Count the sealed objects that are to be written; files that have one are left out.

        Raises:
            Lost: another attempt has the set.
        """
        new = [(each, self._key(each)) for each in files if each.object_key is None]
        if new and not await validating.claim_objects(self._engine, self._attempt, new):
            raise Lost

    async def brought(self, file: FileRecord) -> Brought:
        """A file, sealed and read. The caller deletes it from this machine.

        Raises:
            Lost: another attempt has the set.
            ObjectMissing: the store has lost it.
            StoreGone, StoreRefused: the store does not answer.
        """
        key = file.object_key or self._key(file)
        upload = upload_key(self._attempt.account_id, self._attempt.dataset_id, file.position)
        place = Path(tempfile.mktemp(dir=self._folder))  # noqa: S306  the folder is this attempt's own
        if not file.verified:
            # An attempt before this one may have sealed it and deleted the upload; if not, reading raises the same.
            with suppress(ObjectMissing):
                await self._store.copy(upload, key)
        as_declared = await self._read(key, file, place)
        if not file.verified:
            await self._noted(file, key, upload, as_declared=as_declared)
        return Brought(place, as_declared)

    async def tidy(self) -> None:
        """Note which files are verified, and delete their uploads: in this order, so that each can be read again."""
        sealed, self._sealed = self._sealed, []
        uploads, self._uploads = self._uploads, []
        await validating.verify_objects(self._engine, sealed)
        await self._store.delete_many(uploads)

    async def _read(self, key: str, file: FileRecord, place: Path) -> bool:
        digest, size = hashlib.sha256(), 0
        with await asyncio.to_thread(place.open, "wb") as target:
            async with self._store.open(key) as reading:
                async for chunk in reading.chunks:
                    size += len(chunk)
                    if size > file.bytes:
                        return False
                    digest.update(chunk)
                    await asyncio.to_thread(target.write, chunk)
        return size == file.bytes and digest.hexdigest() == file.sha256

    async def _noted(self, file: FileRecord, key: str, upload: str, *, as_declared: bool) -> None:
        if as_declared:
            self._sealed.append(key)
            self._metrics.verified(file.bytes)
        else:
            if not await validating.drop_object(self._engine, self._attempt, file, key):
                raise Lost
            await self._store.delete(key)
        self._uploads.append(upload)
        if len(self._uploads) >= TIDIED_AT_ONCE:
            await self.tidy()

    def _key(self, file: FileRecord) -> str:
        return file_key(self._attempt.account_id, self._attempt.dataset_id, file.position)
