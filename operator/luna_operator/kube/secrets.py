"""The Secret of an Account: manifest, reads, and writes that never adopt a Secret of another owner.

A new Secret is created (which fails if the name is taken) and later changed by server-side apply with the uid that was
seen (which fails on any other object). An apply that creates would merge into an object that appeared in between.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

from luna_operator.kube.client import ApiServer, Conflict, NotFound
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import ACCOUNT_LABEL, API_VERSION, FIELD_MANAGER, MANAGED_BY

OURS = f"{MANAGED_BY}={FIELD_MANAGER}"
OUR_LABELS = frozenset({MANAGED_BY, ACCOUNT_LABEL})
OUR_DATA = frozenset({"api-key", "account-id", "url"})
# Bytes per value. Anybody may put Luna's label on a thousand Secrets of a megabyte: a sweep holds one page at a time,
# and of each Secret only what belongs to Luna.
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret as it was read; its repr does not show the key."""

    namespace: str
    name: str
    uid: str
    owner_uid: str | None
    """The uid of its controlling owner."""
    labels: dict[str, str]
    """Luna's labels only."""
    data: dict[str, str] = field(repr=False)
    """Luna's entries only, decoded; entries that are not text or exceed `LONGEST` are left out."""
    resource_version: str = field(default="", compare=False)
    """Empty matches any version."""

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Self:
        """Read a Secret as the API server sends it."""
        metadata = body["metadata"]
        owners = [owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            owner_uid=owners[0]["uid"] if owners else None,
            labels={k: v for k, v in (metadata.get("labels") or {}).items() if k in OUR_LABELS},
            data=_decoded(body.get("data") or {}),
            resource_version=metadata.get("resourceVersion", ""),
        )


def manifest(account: AccountResource, *, account_id: int, url: str, api_key: str) -> dict[str, Any]:
    """The manifest of the Secret: Opaque, owned and controlled by its Account."""
    content = {"api-key": api_key, "account-id": str(account_id), "url": url}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": account.api_key.secret_name,
            "namespace": account.key.namespace,
            "labels": labels(account),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "Account",
                    "name": account.key.name,
                    "uid": str(account.uid),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "data": {name: b64encode(value.encode()).decode() for name, value in content.items()},
    }


def labels(account: AccountResource) -> dict[str, str]:
    """The labels by which the sweep finds Luna's Secrets, and people find the Secret of an Account."""
    return {MANAGED_BY: FIELD_MANAGER, ACCOUNT_LABEL: str(account.uid)}


class SecretsClient:
    """Reads and writes the Secrets of Accounts."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def find(self, account: AccountResource) -> Secret | None:
        """The Secret under the account's name for it, whichever its owner; None if there is none."""
        try:
            return Secret.parse(await self._api.get(self._path(account)))
        except NotFound:
            return None

    async def pages(self) -> AsyncIterator[list[Secret]]:
        """Every Secret with Luna's label, in pages."""
        async for page in self._api.pages("/api/v1/secrets", labelSelector=OURS):
            yield [Secret.parse(body) for body in page]

    async def write(self, account: AccountResource, body: dict[str, Any], seen: Secret | None) -> Secret:
        """Create the Secret, or change the one that was seen; returns it after the write.

        Raises:
            Conflict: it is no longer as it was seen; observe again.
        """
        if seen is None:
            folder = self._path(account).rpartition("/")[0]
            return Secret.parse(await self._api.create(folder, body, fieldManager=FIELD_MANAGER))
        # The version too: a second replica may have written a newer key into it meanwhile.
        same = {"uid": seen.uid, "resourceVersion": seen.resource_version}
        body = {**body, "metadata": {**body["metadata"], **same}}
        try:
            return Secret.parse(await self._api.apply(self._path(account), body, manager=FIELD_MANAGER))
        except NotFound as e:
            raise Conflict(409, "Gone", f"The Secret {seen.namespace}/{seen.name} was deleted meanwhile.") from e

    def _path(self, account: AccountResource) -> str:
        return f"/api/v1/namespaces/{account.key.namespace}/secrets/{account.api_key.secret_name}"


def _decoded(data: dict[str, str]) -> dict[str, str]:
    decoded = {}
    for name in OUR_DATA & data.keys():
        if len(value := data[name]) > LONGEST:
            continue
        try:
            decoded[name] = b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return decoded
