"""The object store of one bucket: what capabilities and jobs call."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.calling import S3
from luna_serving.objects.errors import StoreGone, StoreRefused
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.objects.multipart import Multipart
from luna_serving.objects.presigning import PresignedRequest, Presigner
from luna_serving.objects.values import BINARY, CHUNK, Listed, ObjectHead, Part, Reading
from luna_serving.settings.objects import ObjectsSettings

# S3's most keys in one DeleteObjects or ListObjectsV2.
KEYS_PER_CALL = 1000
# Files above this size are sent in parts of it: a part is in memory, and is hashed on the event loop (10 ms).
PART_BYTES = 16 * 1024**2


class ObjectStore:
    """Reads and writes objects; one per process, on one event loop. Connects at the first call.

    Every method raises StoreGone if the store is out of reach or too slow, and StoreRefused if it refuses the
    credentials or the bucket; the others are named where they occur.
    """

    def __init__(self, access: ObjectAccess, settings: ObjectsSettings, metrics: ObjectMetrics) -> None:
        """Prepare the client; nothing is sent.

        Args:
            access: where the store is.
            settings: how it is called and signed for.
            metrics: what the process counts.
        """
        self.bucket = access.s3_bucket
        self._s3 = S3(access, settings, metrics)
        self._settings = settings
        self._own_signer = Presigner(access.credentials, access.endpoint, access.s3_bucket, settings)
        self._presigner = Presigner(access.credentials, access.public_endpoint, access.s3_bucket, settings)
        self.multipart = Multipart(self._s3, access.s3_bucket)

    async def put_bytes(self, key: str, data: bytes, media_type: str = BINARY, *, sha256: str | None = None) -> None:
        """Store an object, in place of one with the same key.

        Args:
            key: of the object.
            data: its bytes.
            media_type: answered with it.
            sha256: hexadecimal; the store compares it if its checksum is sha256.
        """
        more = {}
        if sha256 is not None and self._settings.checksum == "sha256":
            more["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        async with self._s3.call("put", size=len(data)) as s3:
            await s3.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=media_type, **more)

    async def put_file(self, key: str, path: Path, media_type: str = BINARY) -> None:
        """Store the contents of a file; of a large one, at most 16 MiB are in memory."""
        with await asyncio.to_thread(path.open, "rb") as file:
            first = await asyncio.to_thread(file.read, PART_BYTES)
            if len(first) < PART_BYTES:
                await self.put_bytes(key, first, media_type)
                return
            upload = await self.multipart.start(key, media_type)
            try:
                parts: list[Part] = []
                data = first
                while data:
                    parts.append(await self.multipart.put_part(key, upload, len(parts) + 1, data))
                    data = await asyncio.to_thread(file.read, PART_BYTES)
                await self.multipart.complete(key, upload, parts)
            except BaseException:
                # The sweep aborts it if this fails, too.
                await asyncio.shield(self._give_up(key, upload))
                raise

    async def _give_up(self, key: str, upload: str) -> None:
        try:
            await self.multipart.abort(key, upload)
        except StoreGone:
            return

    @asynccontextmanager
    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[Reading]:
        """Read an object in pieces.

        Args:
            key: of the object.
            start: the first byte.
            end: the byte behind the last one; by default all.

        Raises:
            ObjectMissing: it is not there.
        """
        more = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        async with self._s3.call("get") as s3:
            answer = await s3.get_object(Bucket=self.bucket, Key=key, **more)
        async with answer["Body"]:
            yield Reading(ObjectHead.of(answer), self._s3.chunks(answer["Body"], CHUNK))

    async def get_bytes(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Read an object, or a range of it, into memory.

        Raises:
            ObjectMissing: it is not there.
        """
        async with self.open(key, start=start, end=end) as reading:
            return b"".join([chunk async for chunk in reading.chunks])

    async def get_file(self, key: str, path: Path) -> ObjectHead:
        """Read an object into a file, which is replaced.

        Raises:
            ObjectMissing: it is not there.
        """
        async with self.open(key) as reading:
            with await asyncio.to_thread(path.open, "wb") as file:
                async for chunk in reading.chunks:
                    await asyncio.to_thread(file.write, chunk)
            return reading.head

    async def head(self, key: str) -> ObjectHead:
        """Size, type and checksum of an object.

        Raises:
            ObjectMissing: it is not there.
        """
        async with self._s3.call("head") as s3:
            return ObjectHead.of(await s3.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED"))

    async def copy(self, source: str, target: str) -> None:
        """Copy an object of at most 5 GiB within the store, in place of one at the target.

        Raises:
            ObjectMissing: the source is not there.
        """
        async with self._s3.call("copy") as s3:
            await s3.copy_object(Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": source})

    async def delete(self, key: str) -> None:
        """Delete an object; no effect if it is not there."""
        async with self._s3.call("delete") as s3:
            await s3.delete_object(Bucket=self.bucket, Key=key)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Delete objects, a thousand per call; returns how many keys were given.

        Raises:
            StoreRefused: the store did not delete some of them; says which.
        """
        rest = iter(keys)
        deleted = 0
        while batch := list(islice(rest, KEYS_PER_CALL)):
            async with self._s3.call("delete") as s3:
                answer = await s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
                if failed := answer.get("Errors"):
                    raise StoreRefused(f"The object store did not delete {len(failed)} keys: {failed[:3]}")
            deleted += len(batch)
        return deleted

    async def list(self, prefix: str, *, page_size: int = KEYS_PER_CALL) -> AsyncIterator[Listed]:
        """The objects whose keys begin with a prefix, in the order of their keys.

        Args:
            prefix: of the keys.
            page_size: objects per call to the store, at most 1000.
        """
        token: dict[str, str] = {}
        more = True
        while more:
            async with self._s3.call("list") as s3:
                page = await s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=page_size, **token)
            for each in page.get("Contents", ()):
                yield Listed(each["Key"], each["Size"], each["LastModified"], str(each.get("ETag", "")).strip('"'))
            more = bool(page.get("IsTruncated"))
            token = {"ContinuationToken": page.get("NextContinuationToken", "")}

    async def ping(self) -> None:
        """Return if the bucket answers."""
        await self._s3.ping(self._own_signer.bucket())

    def presigned_put(self, key: str, size: int, media_type: str, sha256: str) -> PresignedRequest:
        """A PUT that stores exactly these bytes once; see `Presigner.put`."""
        return self._presigner.put(key, size, media_type, sha256)

    def presigned_part(self, key: str, upload_id: str, number: int, size: int) -> PresignedRequest:
        """A PUT of one part of a multipart upload; see `Presigner.part`."""
        return self._presigner.part(key, upload_id, number, size)

    def presigned_get(self, key: str, filename: str, media_type: str | None = None) -> PresignedRequest:
        """A GET that downloads an object under a name; see `Presigner.get`."""
        return self._presigner.get(key, filename, media_type=media_type)

    async def close(self) -> None:
        """Close the connections."""
        await self._s3.close()
