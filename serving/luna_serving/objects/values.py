"""What the store says of objects and uploads."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

BINARY = "application/octet-stream"
# S3's most bytes of one CopyObject.
MOST_COPIED = 5 * 1024**3
# Bytes of a piece of a body that is read.
CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """An object without its bytes."""

    bytes: int
    media_type: str
    etag: str
    """Changes with the content; the MD5 of the body where it was stored by one PUT, on most stores."""
    modified: datetime
    sha256: str | None
    """Hexadecimal, where the store has verified and kept it."""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """From the answer to HeadObject or GetObject."""
        return cls(
            int(answer["ContentLength"]),
            answer.get("ContentType") or BINARY,
            str(answer.get("ETag", "")).strip('"'),
            answer["LastModified"],
            _hexadecimal(answer.get("ChecksumSHA256")),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """An object under way."""

    head: ObjectHead
    """`bytes` is the size of what is read: of a range, its own."""
    chunks: AsyncIterator[bytes]
    """The body, once, in pieces of at most 256 KiB."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a list."""

    key: str
    bytes: int
    modified: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that is neither complete nor aborted."""

    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload, as the store has it."""

    number: int
    bytes: int
    etag: str


def _hexadecimal(checksum: str | None) -> str | None:
    # Of a multipart upload it is a digest of digests, with the number of parts behind a dash.
    if not checksum or "-" in checksum:
        return None
    try:
        return base64.b64decode(checksum, validate=True).hex()
    except binascii.Error:
        return None
