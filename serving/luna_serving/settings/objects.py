"""Settings of the object store. Where it is, and its credentials, are no settings (`luna_serving.objects.access`)."""

from typing import Literal

from pydantic import Field

from luna_serving.settings.group import Group

Checksum = Literal["sha256", "crc32c", "md5", "none"]


class ObjectsSettings(Group):
    """The object store ([objects](objects.md))."""

    checksum: Checksum = Field(
        "sha256",
        description="What the store compares at a PUT: sha256 or crc32c (x-amz-checksum-*), md5 (Content-MD5), or "
        "none. Clients declare sha256; one of another algorithm is compared where they declare that, too.",
    )
    put_once: bool = Field(
        default=True,
        description="Sign `If-None-Match: *`, so that a presigned URL stores once. Off for stores without conditional "
        "writes.",
    )
    addressing: Literal["path", "virtual"] = Field(
        "path", description="Where the bucket is: path (https://host/bucket/key) or virtual (https://bucket.host/key)."
    )
    url_lifetime_s: int = Field(900, ge=1, le=604_800, description="Seconds that a presigned URL is valid.")
    connect_timeout_s: float = Field(2.0, gt=0, le=60, description="Seconds to connect to the store.")
    answer_timeout_s: float = Field(
        5.0,
        gt=0,
        le=300,
        description="Seconds that the store has for an answer and for each piece of a body; a second more per MB sent.",
    )
    copy_timeout_s: float = Field(
        120.0, gt=0, le=3600, description="Seconds that the store has to copy an object or to join its parts."
    )
    connections: int = Field(32, ge=1, le=1000, description="Connections of a process to the store.")
    attempts: int = Field(2, ge=1, le=5, description="Times that a call is sent if the store fails; 1 never repeats.")
