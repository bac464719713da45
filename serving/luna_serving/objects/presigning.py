"""Requests that a caller may send to the store itself: exact in what they store, short-lived, and signed."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from urllib.parse import quote

from luna_serving.objects.keys import is_incoming
from luna_serving.objects.sigv4 import Credentials, presigned_url
from luna_serving.settings.objects import Checksum, ObjectsSettings

NOTHING: Mapping[Checksum, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """A request to the store that needs no credentials."""

    method: str
    url: str
    headers: Mapping[str, str]
    """To send exactly so: they are signed."""
    expires_at: datetime

    def as_dict(self) -> dict[str, object]:
        """The request on the wire."""
        return {
            "method": self.method,
            "url": self.url,
            "headers": dict(self.headers),
            "expires_at": self.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }


@dataclass(frozen=True, slots=True)
class Presigner:
    """Signs for the endpoint that callers reach."""

    credentials: Credentials = field(repr=False)
    endpoint: str
    name: str
    """Of the bucket."""
    settings: ObjectsSettings

    def put(
        self,
        key: str,
        size: int,
        media_type: str,
        sha256: str,
        *,
        at: datetime | None = None,
        digests: Mapping[Checksum, bytes] = NOTHING,
    ) -> PresignedRequest:
        """A PUT that stores these bytes once.

        Args:
            key: an incoming one.
            size: bytes of the body.
            media_type: of the body, sent as Content-Type.
            sha256: of the body, 64 hexadecimal digits.
            at: the time of signing; now by default.
            digests: of the body by algorithm, for stores whose checksum is not sha256.
        """
        if not is_incoming(key):
            raise ValueError(f"{key!r} is no incoming key: no URL may write it.")
        headers = {"Content-Length": str(size), "Content-Type": media_type}
        headers |= self._checksum({"sha256": bytes.fromhex(sha256), **digests})
        if self.settings.put_once:
            headers["If-None-Match"] = "*"
        return self._signed("PUT", key, {}, headers, at)

    def part(
        self,
        key: str,
        upload_id: str,
        number: int,
        size: int,
        *,
        at: datetime | None = None,
        digests: Mapping[Checksum, bytes] = NOTHING,
    ) -> PresignedRequest:
        """A PUT of one part of a multipart upload.

        Args:
            key: an incoming one.
            upload_id: of the upload.
            number: of the part, from 1 to 10,000.
            size: bytes of the part.
            at: the time of signing; now by default.
            digests: of the part by algorithm, if known.
        """
        if not is_incoming(key):
            raise ValueError(f"{key!r} is no incoming key: no URL may write it.")
        headers = {"Content-Length": str(size), **self._checksum(digests)}
        return self._signed("PUT", key, {"partNumber": str(number), "uploadId": upload_id}, headers, at)

    def get(
        self, key: str, filename: str, *, media_type: str | None = None, at: datetime | None = None
    ) -> PresignedRequest:
        """A GET that downloads an object under a name.

        Args:
            key: of the object.
            filename: that a browser saves it as (RFC 6266, with the encoding of RFC 8187).
            media_type: answered as Content-Type; by default the object's.
            at: the time of signing; now by default.
        """
        query = {"response-content-disposition": disposition(filename)}
        if media_type is not None:
            query["response-content-type"] = media_type
        return self._signed("GET", key, query, {}, at)

    def bucket(self, *, at: datetime | None = None) -> str:
        """The URL of a HEAD of the bucket."""
        return self._signed("HEAD", "", {}, {}, at).url

    def _checksum(self, digests: Mapping[Checksum, bytes]) -> dict[str, str]:
        algorithm = self.settings.checksum
        if algorithm == "none" or algorithm not in digests:
            return {}
        value = base64.b64encode(digests[algorithm]).decode()
        return {"Content-MD5" if algorithm == "md5" else f"x-amz-checksum-{algorithm}": value}

    def _signed(
        self, method: str, key: str, query: Mapping[str, str], headers: dict[str, str], at: datetime | None
    ) -> PresignedRequest:
        now = at or datetime.now(UTC)
        endpoint, path = self.endpoint, f"/{self.name}/{key}"
        if self.settings.addressing == "virtual":
            endpoint, path = endpoint.replace("://", f"://{self.name}.", 1), f"/{key}"
        url = presigned_url(
            self.credentials,
            method,
            endpoint,
            path,
            query=query,
            headers=headers,
            expires_s=self.settings.url_lifetime_s,
            at=now,
        )
        expires = now.replace(microsecond=0) + timedelta(seconds=self.settings.url_lifetime_s)
        return PresignedRequest(method, url, headers, expires)


def disposition(filename: str) -> str:
    """The value of Content-Disposition for a download."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
