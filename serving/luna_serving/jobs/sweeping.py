"""Deletes objects of jobs that nothing names: of attempts that died before their end was committed, of deleted data."""

from datetime import UTC, datetime
from functools import partial
from typing import Final

from luna_serving.jobs.background import Background
from luna_serving.objects.sweeping import SweepReport, sweep
from luna_store.jobs.objects import PREFIX, named, prefix_of
from luna_store.platform.leases import Lease

EVERY_S: Final = 300.0
TIMEOUT_S: Final = 3600.0


async def swept(stores: Background, prefix: str = PREFIX) -> SweepReport | None:
    """Delete the objects below a prefix that no job names or may still name; None without an object store.

    No grace time: a key says which attempt wrote it, and only the one that has the job now can still name it.
    """
    if stores.objects is None:
        return None
    return await sweep(stores.objects, prefix, partial(named, stores.engine), before=datetime.now(UTC))


async def sweep_orphans(stores: Background, _: Lease) -> None:
    """A run of the loop."""
    await swept(stores)


async def forget(stores: Background, account_id: int) -> None:
    """Delete all objects of the jobs of an account that was deleted; its rows have gone with it."""
    if stores.objects is not None:
        await stores.objects.delete_many([each.key async for each in stores.objects.list(prefix_of(account_id))])
