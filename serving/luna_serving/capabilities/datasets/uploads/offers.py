"""The requests with which a caller sends what is missing of a set."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.datasets.store.records import FileRecord, SetRecord
from luna_serving.capabilities.datasets.store.validating import keep_upload
from luna_serving.capabilities.datasets.uploads.arrivals import Arrivals, PartSizes
from luna_serving.capabilities.datasets.uploads.keys import upload_key
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.presigning import PresignedRequest

Shown = dict[str, Any]


class Offers:
    """Signs requests; begins multipart uploads where files are large."""

    def __init__(self, engine: AsyncEngine, store: ObjectStore, sizes: PartSizes) -> None:
        self._engine = engine
        self._store = store
        self._sizes = sizes

    async def shown(
        self,
        record: SetRecord,
        files: Sequence[FileRecord],
        arrivals: Arrivals,
        *,
        signed: Collection[str] | None = None,
        only_missing: bool = False,
    ) -> list[Shown]:
        """Each file with its state, and the request that sends it while it is missing.

        Args:
            record: the set.
            files: its files.
            arrivals: what has arrived.
            signed: paths of the files that get a request; None for all that are missing.
            only_missing: leave out files that are there.

        Raises:
            StoreGone, StoreRefused: a multipart upload could not be begun.
        """
        missing = {each.position for each in arrivals.missing(files)}
        wanted = [each for each in files if each.position in missing and (signed is None or each.path in signed)]
        uploads = {each.position: await self._upload(record, each, arrivals) for each in wanted}

        def render() -> list[Shown]:
            return [
                self._file(record, each, arrivals, uploads)
                for each in files
                if not only_missing or each.position in missing
            ]

        # A signature takes 30 us, and there may be ten thousand.
        return await asyncio.to_thread(render)

    async def _upload(self, record: SetRecord, file: FileRecord, arrivals: Arrivals) -> str | None:
        """The multipart upload of a file; None for a file that is sent whole."""
        if not self._sizes.is_divided(file.bytes):
            return None
        if file.upload_id is not None and file.position not in arrivals.gone:
            return file.upload_id
        key = upload_key(record.account_id, record.id, file.position)
        begun = await self._store.multipart.start(key, file.media_type)
        if await keep_upload(self._engine, record.id, file.position, begun, before=file.upload_id):
            return begun
        # A concurrent call was first: its upload is shown with the next answer.
        await self._store.multipart.abort(key, begun)
        return None

    def _file(
        self, record: SetRecord, file: FileRecord, arrivals: Arrivals, uploads: Mapping[int, str | None]
    ) -> Shown:
        shown: Shown = {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "media_type": file.media_type}
        if file.position in arrivals.present:
            return shown | {"state": "present"}
        if file.position in arrivals.stored:
            return shown | {"state": "stored"}
        shown["state"] = "missing"
        if file.position not in uploads:
            return shown
        key = upload_key(record.account_id, record.id, file.position)
        upload = uploads[file.position]
        if not self._sizes.is_divided(file.bytes):
            request = self._store.presigned_put(key, file.bytes, file.media_type, file.sha256)
            return shown | {"upload": request.as_dict()}
        if upload is None:
            return shown
        there = {part.number for part in arrivals.parts.get(file.position, ())}
        requests = {
            number: (size, self._store.presigned_part(key, upload, number, size))
            for number, size in enumerate(self._sizes.of(file.bytes), 1)
            if number not in there
        }
        return shown | {"upload": _in_parts(requests)}


def _in_parts(requests: Mapping[int, tuple[int, PresignedRequest]]) -> Shown:
    parts = [
        {"number": number, "bytes": size, "url": request.url, "headers": dict(request.headers)}
        for number, (size, request) in requests.items()
    ]
    ends = {request.as_dict()["expires_at"] for _, request in requests.values()}
    return {"method": "PUT", "parts": parts, "expires_at": min(map(str, ends)) if ends else None}
