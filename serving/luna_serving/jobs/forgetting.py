"""Removes what capabilities keep outside Postgres of accounts that were deleted."""

from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy import delete, select

from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_store.accounts.tables import DeletedAccount
from luna_store.platform.leases import Lease, fenced

EVERY_S = 10.0
ACCOUNTS_AT_ONCE = 100

Forget = Callable[[Background, int], Awaitable[None]]


def forgetting(forgets: Mapping[str, Forget]) -> Loop[Background]:
    """The loop that has every capability forget deleted accounts.

    An account stays listed until all have succeeded, so each may be asked again for one that it has forgotten. One
    account that cannot be forgotten holds up no other.

    Args:
        forgets: by capability; those that are not served are among them, for they may have been.
    """

    async def run(stores: Background, lease: Lease) -> None:
        async with stores.engine.connect() as connection:
            oldest = select(DeletedAccount.account_id).order_by(DeletedAccount.deleted_at).limit(ACCOUNTS_AT_ONCE)
            deleted = list(await connection.scalars(oldest))
        failures: list[Exception] = []
        for account_id in deleted:
            try:
                for forget in forgets.values():
                    await forget(stores, account_id)
            except Exception as e:  # noqa: BLE001  raised below: the loop logs, counts and tries again
                e.add_note(f"while account {account_id} was being forgotten")
                failures.append(e)
                continue
            async with fenced(stores.engine, lease) as connection:
                await connection.execute(delete(DeletedAccount).where(DeletedAccount.account_id == account_id))
        if failures:
            raise ExceptionGroup("accounts could not be forgotten", failures)

    return Loop("account.forget", EVERY_S, run, timeout_s=3600.0)
