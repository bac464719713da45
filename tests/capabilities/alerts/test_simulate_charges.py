"""A simulation without an answer costs nothing."""

import asyncio
from typing import Any

import pytest
from tests.capabilities.alerts.samples import MemorySamples
from tests.capabilities.alerts.served import served
from tests.store.stores import Store

from luna_serving.samples.answers import QueryRefused, Refusal


class Refusing(MemorySamples):
    """As a shard that refuses, since only the evaluation shows how many samples a query reads."""

    async def range(self, *_: Any, **__: Any) -> Any:
        if self.gone:
            return await super().range(1, "up", 0, 1, 1)
        return QueryRefused(Refusal.LIMIT, "Reads more samples than metrics.query_samples allows.")


@pytest.mark.parametrize(("gone", "status"), [(True, 503), (False, 422)])
async def test_the_unit_is_given_back(store: Store, gone: bool, status: int) -> None:
    caller, samples = await store.account(), Refusing()
    samples.gone = gone
    async with served(store, samples, looping=False) as luna, luna.client(caller) as client:
        body = {"rule": {"expr": "cpu > 1"}, "start": 1_000, "end": 61_000}
        answer = await client.post("/alerts/rules/simulate", json=body)
        assert answer.status_code == status, answer.text
        async with asyncio.timeout(20):
            while await store.left(caller.account_id) != 500:  # noqa: ASYNC110  Valkey is polled
                await asyncio.sleep(0.05)
