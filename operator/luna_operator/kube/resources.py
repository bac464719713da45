"""Accounts and Tiers at the API server: reads, finalizers, status patches."""

from collections.abc import AsyncIterator
from typing import Any

from luna_operator.kube.client import ApiServer, Conflict, NotFound
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import API_VERSION, FIELD_MANAGER, FINALIZER, Key

ROOT = f"/apis/{API_VERSION}"


def _path(key: Key, subresource: str = "") -> str:
    return f"{ROOT}/namespaces/{key.namespace}/accounts/{key.name}{subresource}"


class Resources:
    """The custom resources at the API server."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def account_pages(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Every Account, in pages."""
        async for page in self._api.pages(f"{ROOT}/accounts"):
            yield page

    async def tiers(self) -> list[dict[str, Any]]:
        """Every Tier."""
        return [tier async for page in self._api.pages(f"{ROOT}/tiers") for tier in page]

    async def require_alive(self, account: AccountResource) -> None:
        """Check that the Account exists and is not being deleted; raises `Conflict` if not."""
        try:
            metadata = (await self._api.get(_path(account.key)))["metadata"]
        except NotFound as e:
            raise Conflict(409, "Deleted", f"Account {account.key} is gone.") from e
        if metadata["uid"] != str(account.uid) or "deletionTimestamp" in metadata:
            raise Conflict(409, "Deleted", f"Account {account.key} is deleted.")

    async def add_finalizer(self, account: AccountResource) -> dict[str, Any]:
        """Add the finalizer; returns the Account after it. Raises `Conflict` if the Account was changed meanwhile."""
        return await self._set_finalizers(account, [*account.finalizers, FINALIZER])

    async def remove_finalizer(self, account: AccountResource) -> dict[str, Any]:
        """Remove the finalizer; raises `Conflict` if the Account was changed meanwhile."""
        return await self._set_finalizers(account, [name for name in account.finalizers if name != FINALIZER])

    async def _set_finalizers(self, account: AccountResource, names: list[str]) -> dict[str, Any]:
        # A merge patch replaces the list: with the version that was seen, no other finalizer is lost.
        metadata = {"uid": str(account.uid), "resourceVersion": account.resource_version, "finalizers": names}
        return await self._api.merge(_path(account.key), {"metadata": metadata}, fieldManager=FIELD_MANAGER)

    async def patch_account_status(self, account: AccountResource, status: dict[str, Any]) -> dict[str, Any]:
        """Write a merge patch of the status; raises `Conflict` if the Account changed since the patch was made.

        The check uses the resource version: the API server ignores a uid in a status patch.
        """
        body = {"metadata": {"resourceVersion": account.resource_version}, "status": status}
        return await self._api.merge(_path(account.key, "/status"), body, fieldManager=FIELD_MANAGER)

    async def patch_tier_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        """Write a merge patch of a Tier's status."""
        return await self._api.merge(f"{ROOT}/tiers/{name}/status", {"status": status}, fieldManager=FIELD_MANAGER)
