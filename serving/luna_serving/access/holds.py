"""Durable holds: units that are charged at once and settled or given back later, by any process."""

import logging
from collections.abc import Awaitable
from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.access.denied import Denied
from luna_serving.wire import problems
from luna_store.ledger import holds
from luna_store.ledger.holds import Hold
from luna_store.ledger.transactions import transaction_within
from luna_store.quota.debits import StoreUnavailable

log = logging.getLogger("luna.holds")


class Holds:
    """Reserves units, and closes holds in separate transactions.

    To close a hold in the same transaction as its work (a job's result), use the functions of `luna_store.ledger.holds`
    on that transaction's connection.
    """

    def __init__(self, engine: AsyncEngine, charges: Charges, *, timeout_s: float) -> None:
        """Wire the holds; Postgres has `timeout_s` seconds to answer."""
        self._engine = engine
        self._charges = charges
        self._timeout_s = timeout_s

    async def reserve(self, charge: Charge, owner: str, lasting: timedelta, *, fence: int = 1) -> Hold:
        """Charge now, for work that ends later.

        Args:
            charge: the most that the work can cost.
            owner: what it is for, such as `job/<id>`.
            lasting: time until the hold is voided, unless it is closed or extended before.
            fence: of this process, in the owner's own count; see `take_over`.

        Raises:
            Denied: nothing was taken.
            HoldExists: an open hold has the charge's debit id; nothing was taken.
            Problem: 401, 404 or 503.
        """
        try:
            async with transaction_within(self._engine, self._timeout_s) as connection:
                hold = await holds.write(connection, charge.debit, owner, fence, lasting)
        except StoreUnavailable as e:
            raise problems.dependencies_gone("The ledger") from e
        except IntegrityError as e:
            raise problems.not_found(f"There is no account {charge.debit.account_id}.") from e
        await self.charge(hold, charge)
        return hold

    async def check(self, charge: Charge) -> None:
        """Check grant, limits and rate of a charge that costs nothing.

        Raises:
            Denied, Problem: as of `reserve`.
        """
        await self._charges.take(charge)

    async def charge(self, hold: Hold, charge: Charge) -> None:
        """Take the debit of a committed hold.

        Raises:
            Denied: nothing was taken, and the hold is closed.
            Problem: 401 or 503; units that may have been taken are given back, now or when the hold is overdue.
        """
        try:
            await self._charges.take(charge)
        except Denied:
            await self._close_or_log(self._drop(hold), hold)
            raise
        except BaseException:  # also if the caller hangs up: the debit may have been taken
            await self._close_or_log(self.void(hold), hold)
            raise
        # From here on the hold decides what is given back, not this process.
        self._charges.served(charge.debit)

    async def extend(self, hold: Hold, lasting: timedelta) -> Hold:
        """Move the end of a hold to `lasting` from now.

        Raises:
            HoldLost: it was closed or taken over.
            StoreUnavailable: Postgres did not answer.
        """
        async with transaction_within(self._engine, self._timeout_s) as connection:
            return await holds.extend(connection, hold, lasting)

    async def settle(self, hold: Hold, units: int) -> None:
        """Close a hold whose work cost `units`; gives the rest back.

        Raises:
            HoldLost: it was closed or taken over.
            StoreUnavailable: Postgres did not answer; with `uncertain`, the hold may be closed.
        """
        async with transaction_within(self._engine, self._timeout_s) as connection:
            await holds.settle(connection, hold, units)

    async def void(self, hold: Hold) -> bool:
        """Close a hold and give all its units back; False if it was closed or taken over before.

        Raises:
            StoreUnavailable: Postgres did not answer; call again, or leave it to `void_overdue`.
        """
        async with transaction_within(self._engine, self._timeout_s) as connection:
            return await holds.void(connection, hold)

    async def take_over(self, owner: str, fence: int) -> list[Hold]:
        """Take over the open holds that processes with a smaller fence left; returns them.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        async with transaction_within(self._engine, self._timeout_s) as connection:
            return await holds.take_over(connection, owner, fence)

    async def _close_or_log(self, close: Awaitable[object], hold: Hold) -> None:
        try:
            await close
        except StoreUnavailable as e:
            log.warning("hold %s of %s stays open until %s: %s", hold.debit_id, hold.owner, hold.until, e)

    async def _drop(self, hold: Hold) -> None:
        async with transaction_within(self._engine, self._timeout_s) as connection:
            await holds.drop(connection, hold)
