"""Multipart uploads: parts of one object, sent apart and joined by the store."""

from collections.abc import AsyncIterator, Sequence

from luna_serving.objects.calling import S3
from luna_serving.objects.errors import ObjectMissing
from luna_serving.objects.values import BINARY, Part, Upload

MOST_PARTS = 10_000


class Multipart:
    """Starts, fills, completes, aborts and lists them."""

    def __init__(self, s3: S3, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    async def start(self, key: str, media_type: str = BINARY) -> str:
        """Begin an upload; returns its id."""
        async with self._s3.call("multipart") as s3:
            answer = await s3.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=media_type)
            return str(answer["UploadId"])

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> Part:
        """Send a part; one of the same number is replaced.

        Raises:
            ObjectMissing: the upload is complete or aborted.
        """
        async with self._s3.call("put", size=len(data)) as s3:
            answer = await s3.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=data
            )
            return Part(number, len(data), str(answer["ETag"]).strip('"'))

    async def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Join the parts into the object.

        Raises:
            ObjectMissing: the upload is complete or aborted, or a part is not there.
        """
        listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        async with self._s3.call("complete") as s3:
            await s3.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
            )

    async def abort(self, key: str, upload_id: str) -> None:
        """Give an upload up and free its parts; no effect if there is none."""
        try:
            async with self._s3.call("multipart") as s3:
                await s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
        except ObjectMissing:
            return

    async def uploads(self, prefix: str = "") -> AsyncIterator[Upload]:
        """Those that are neither complete nor aborted, of all keys with a prefix."""
        marker = {"KeyMarker": "", "UploadIdMarker": ""}
        more = True
        while more:
            async with self._s3.call("list") as s3:
                page = await s3.list_multipart_uploads(
                    Bucket=self._bucket, Prefix=prefix, **{name: value for name, value in marker.items() if value}
                )
            for each in page.get("Uploads", ()):
                yield Upload(each["Key"], each["UploadId"], each["Initiated"])
            after = {"KeyMarker": page.get("NextKeyMarker", ""), "UploadIdMarker": page.get("NextUploadIdMarker", "")}
            more = bool(page.get("IsTruncated")) and after != marker
            marker = after

    async def parts(self, key: str, upload_id: str) -> list[Part]:
        """The parts that have arrived, in order.

        Raises:
            ObjectMissing: the upload is complete or aborted.
        """
        found: list[Part] = []
        more = True
        while more:
            async with self._s3.call("list") as s3:
                page = await s3.list_parts(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumberMarker=found[-1].number if found else 0,
                )
            new = [Part(p["PartNumber"], p["Size"], str(p["ETag"]).strip('"')) for p in page.get("Parts", ())]
            found += new
            more = bool(page.get("IsTruncated")) and bool(new)
        return found
