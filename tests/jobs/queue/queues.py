"""Jobs made straight in the store, with charges that are really taken."""

import json
import uuid
from datetime import timedelta
from typing import Any

from tests.store.stores import Caller, Store

from luna_store.jobs import creating
from luna_store.jobs.claiming import ClaimedJob, claim
from luna_store.jobs.creating import NewJob, owner_of
from luna_store.jobs.ending import HOLD_FENCE
from luna_store.ledger import holds
from luna_store.platform.uuid7 import uuid7

KIND = "test"


async def queued(store: Store, caller: Caller, *, units: int = 4, kind: str = KIND, **fields: Any) -> uuid.UUID:
    """Queue a job of the caller; returns its id."""
    job_id = uuid7()
    debit = caller.debit(units)
    if units:
        async with store.engine.begin() as connection:
            await holds.write(connection, debit, owner_of(job_id), HOLD_FENCE, timedelta(days=6))
        decision = (await store.quota.debit([debit]))[0]
        assert decision.admitted, decision
    most, kept = fields.pop("most_queued", 10_000), fields.pop("kept", timedelta(days=30))
    new = NewJob(
        job_id,
        kind,
        fields.pop("parameters", json.dumps({"units": units}).encode()),
        debit,
        "test",
        {"completed": 0, "total": units, "unit": "steps"},
        **fields,
    )
    async with store.engine.begin() as connection:
        await creating.create(connection, new, most_queued=most, kept=kept)
    return job_id


async def claimed(store: Store, at_most: int = 1, worker: str = "one", **options: Any) -> list[ClaimedJob]:
    """Claim jobs of any account."""
    return await claim(store.engine, worker, [KIND], at_most, **options)


async def column(store: Store, job_id: uuid.UUID, name: str) -> Any:
    return await store.scalar(f"SELECT {name} FROM jobs WHERE id = :id", id=job_id)
