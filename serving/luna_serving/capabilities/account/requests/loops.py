"""Retention of the request log, and removal of what it holds of an account that was deleted."""

from typing import Final

from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_store.ledger.orphans import REQUESTS, remove_rows
from luna_store.platform.leases import Lease, fenced
from luna_store.requests.retention import drop_day, make_days, old_days, remove_old_rows

EVERY_S: Final = 3600.0


def retention(days: int) -> Loop[Background]:
    """The loop that makes the partitions of the next days, and drops those older than so many days.

    Nothing fails without it: rows of a day that has no partition go to the default partition.
    """

    async def run(stores: Background, lease: Lease) -> None:
        async with fenced(stores.engine, lease) as connection:
            await make_days(connection)
        async with fenced(stores.engine, lease) as connection:
            before, old = await old_days(connection, days)
        for partition in old:
            async with fenced(stores.engine, lease) as connection:
                await drop_day(connection, partition)
        more = True
        while more:
            async with fenced(stores.engine, lease) as connection:
                more = await remove_old_rows(connection, before)

    return Loop("account.requests", EVERY_S, run, timeout_s=EVERY_S)


async def forget(stores: Background, account_id: int) -> None:
    """Remove the rows of an account that was deleted; `account.purge` removes those that are written later."""
    more = True
    while more:
        async with stores.engine.begin() as connection:
            more = await remove_rows(connection, account_id, REQUESTS)
