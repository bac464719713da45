"""A call for prices whose deadline passes is answered 408 and costs nothing, wherever it was."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.capabilities.market.market import client_of, demo, market_routes
from tests.store.stores import Store

from luna_serving.objects.client import ObjectStore
from luna_store.quota.debits import Debit, Decision
from luna_store.quota.redis_quota import RedisQuota


async def test_units_that_were_taken_behind_the_deadline_are_given_back(
    store: Store, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await demo(store, objects, tmp_path)
    taken, debit = asyncio.Event(), RedisQuota.debit

    async def slow(quota: RedisQuota, debits: Sequence[Debit]) -> list[Decision]:
        decisions = await debit(quota, debits)
        if any(each.units for each in debits):
            taken.set()
            await asyncio.sleep(60)
        return decisions

    monkeypatch.setattr(RedisQuota, "debit", slow)
    async with market_routes(store, objects, tmp_path) as routes, client_of(store, routes, quota_limit=10) as client:
        answer = await client.get("/prices?symbols=AAPL,IBM", headers={"X-Luna-Timeout-Seconds": "1"})
        assert answer.status_code == 408, answer.text
        assert taken.is_set()
        account_id: int = client.account_id  # type: ignore[attr-defined]
        for _ in range(500):
            # In the ledger: which store took the units is not known.
            if await store.scalar("SELECT count(*) FROM usage_events WHERE account_id = :id", id=account_id):
                break
            await asyncio.sleep(0.02)
        await store.settler.settle()
        assert await store.used(account_id) == 0
