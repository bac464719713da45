"""Calls of a team, as the ingress takes them: debits in Redis with the key of its Secret."""

from __future__ import annotations

import asyncio
import uuid
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from tests.operator.resilience import expected
from tests.operator.resilience.kube_api import KubeApi, secret_path

from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.quota.debits import Debit
from luna_store.quota.redis_quota import RedisQuota, redis_client

if TYPE_CHECKING:
    from tests.operator.operating import Surroundings

    from luna_store.quota.debits import Decision


def presented_key(api: KubeApi, account: dict[str, Any]) -> str:
    """The api-key in the Account's Secret."""
    secret = api.request("GET", secret_path(account["metadata"]["namespace"], expected.secret_name(account)))
    return b64decode(secret["data"]["api-key"]).decode()


def call(around: Surroundings, api: KubeApi, account: dict[str, Any], units: int) -> Decision:
    """One call that costs so many units."""
    key = ApiKey.parse(presented_key(api, account))
    digests = tuple(Peppers.parse(around.peppers).digests(key))
    debit = Debit(account["status"]["accountId"], key.prefix, digests, units, uuid.uuid4(), "/kalman")

    async def take() -> Decision:
        client = redis_client(around.redis_url)
        try:
            [decision] = await RedisQuota(client).debit([debit])
        finally:
            await client.aclose()
        return decision

    return asyncio.run(take())
