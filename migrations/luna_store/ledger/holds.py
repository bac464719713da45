"""Holds: charges that outlive their request. Each is settled to the work done, or voided, exactly once.

A hold is a row that names a debit's id before the debit is taken. If the process dies at any point, the row names what
may have been charged, and closing it is correct whether or not the debit was taken (see
`luna_store.ledger.booking.correct`). Closing deletes the row in the transaction that corrects the ledger, so only one
of two processes can close it. The functions use the caller's connection, so that a job's result and its settlement are
one transaction.

A hold has an owner (a job, a stream) and a fence, which grows with each process that takes over the owner's work: an
earlier process can no longer change the hold. A hold that nobody closes ends at `until`.

Lock order: the account's row, then the hold's.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.ledger.booking import correct, lock_accounts
from luna_store.quota.debits import Debit

# Longest time from reservation to closing: below the time in which the ledger finds a debit's other booking
# (TWIN_HORIZON).
LONGEST: Final = timedelta(days=6)

_COLUMNS = "debit_id, account_id, owner, fence, units, route, reserved_at, until"
_WRITE = text(f"""
INSERT INTO holds (debit_id, account_id, owner, fence, units, route, until)
VALUES (:debit_id, :account_id, :owner, :fence, :units, :route, now() + LEAST(:lasting, CAST(:longest AS interval)))
ON CONFLICT (debit_id) DO NOTHING RETURNING {_COLUMNS}
""")  # noqa: S608  constants
_EXTEND = text(f"""
UPDATE holds SET until = LEAST(now() + :lasting, reserved_at + CAST(:longest AS interval))
WHERE debit_id = :debit_id AND fence = :fence RETURNING {_COLUMNS}
""")  # noqa: S608  constants
_TAKE_OVER = text(
    f"UPDATE holds SET fence = :fence WHERE owner = :owner AND fence < :fence RETURNING {_COLUMNS}"  # noqa: S608  constants
)
_DELETE = text("DELETE FROM holds WHERE debit_id = :debit_id AND fence = :fence")
_OVERDUE = text(
    f"SELECT {_COLUMNS} FROM holds WHERE until <= now() ORDER BY until LIMIT :at_most"  # noqa: S608  constants
)
_DELETE_OVERDUE = text("DELETE FROM holds WHERE debit_id = :debit_id AND until <= now()")


@dataclass(frozen=True, slots=True)
class Hold:
    """An open charge: reserved, and neither settled nor voided yet."""

    debit_id: uuid.UUID
    account_id: int
    owner: str
    """What it is for, such as `job/<id>`."""
    fence: int
    """Fence of the process that may close it; see `take_over`."""
    units: int
    """Reserved units: the most that it can be settled to."""
    route: str
    reserved_at: datetime
    until: datetime
    """When it is voided unless it is closed or extended before, on the database's clock."""

    @property
    def debit(self) -> Debit:
        """The debit of this hold, for the ledger."""
        return Debit(self.account_id, "", (), self.units, self.debit_id, self.route)


class HoldExists(Exception):
    """An open hold with this debit id exists."""

    def __init__(self, debit_id: uuid.UUID) -> None:
        super().__init__(f"The debit {debit_id} has an open hold.")


class HoldLost(Exception):
    """The hold was closed, or another process has it now."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(f"The hold {hold.debit_id} of {hold.owner} was closed, or taken over from fence {hold.fence}.")


async def write(connection: AsyncConnection, debit: Debit, owner: str, fence: int, lasting: timedelta) -> Hold:
    """Reserve a hold for a debit. The debit may be taken only after this is committed.

    Args:
        connection: of the caller's transaction.
        debit: its id must be used for nothing else.
        owner: what it is for.
        fence: of this process, in the owner's own count.
        lasting: time from now until it is overdue; at most `LONGEST`.

    Raises:
        HoldExists: an open hold has the id; nothing is changed.
        IntegrityError: the account is gone.
    """
    values = {"debit_id": debit.debit_id, "account_id": debit.account_id, "units": debit.units, "route": debit.route}
    values |= {"owner": owner, "fence": fence, "lasting": lasting, "longest": LONGEST}
    row = (await connection.execute(_WRITE, values)).one_or_none()
    if row is None:
        raise HoldExists(debit.debit_id)
    return Hold(*row)


async def extend(connection: AsyncConnection, hold: Hold, lasting: timedelta) -> Hold:
    """Move the end to `lasting` from now, at most to `LONGEST` after the reservation.

    Raises:
        HoldLost: it was closed or taken over.
    """
    row = (await connection.execute(_EXTEND, _key(hold) | {"lasting": lasting, "longest": LONGEST})).one_or_none()
    if row is None:
        raise HoldLost(hold)
    return Hold(*row)


async def take_over(connection: AsyncConnection, owner: str, fence: int) -> list[Hold]:
    """Give the owner's open holds to the process with this fence, which settles or voids them.

    Returns:
        The holds that earlier processes left. Later processes keep theirs.
    """
    rows = await connection.execute(_TAKE_OVER, {"owner": owner, "fence": fence})
    return [Hold(*row) for row in rows]


async def settle(connection: AsyncConnection, hold: Hold, units: int) -> None:
    """Close a hold whose work is done, and give back the units reserved beyond `units`.

    Raises:
        HoldLost: it was closed or taken over; nothing is changed.
        ValueError: more units than were reserved, or fewer than zero.
    """
    if not 0 <= units <= hold.units:
        raise ValueError(f"{units} units of a hold of {hold.units}")
    if not await _close(connection, hold, units):
        raise HoldLost(hold)


async def void(connection: AsyncConnection, hold: Hold) -> bool:
    """Close a hold and give back all its units; False if it was closed or taken over before."""
    return await _close(connection, hold, 0)


async def drop(connection: AsyncConnection, hold: Hold) -> None:
    """Close a hold whose debit was certainly not taken and will not be."""
    await connection.execute(_DELETE, _key(hold))


async def void_overdue(engine: AsyncEngine, at_most: int = 100) -> int:
    """Void overdue holds, each in its own transaction; safe with several callers at once.

    Returns:
        How many were voided; if `at_most`, there may be more.
    """
    async with engine.connect() as connection:
        overdue = [Hold(*row) for row in await connection.execute(_OVERDUE, {"at_most": at_most})]
    voided = 0
    for hold in overdue:
        async with engine.begin() as connection:
            await lock_accounts(connection, [hold.account_id])
            # The hold may have been extended since.
            if (await connection.execute(_DELETE_OVERDUE, {"debit_id": hold.debit_id})).rowcount:
                await correct(connection, hold.debit, 0, debited_at=hold.reserved_at)
                voided += 1
    return voided


async def _close(connection: AsyncConnection, hold: Hold, units: int) -> bool:
    await lock_accounts(connection, [hold.account_id])
    if not (await connection.execute(_DELETE, _key(hold))).rowcount:
        return False
    await correct(connection, hold.debit, units, debited_at=hold.reserved_at)
    return True


def _key(hold: Hold) -> dict[str, object]:
    return {"debit_id": hold.debit_id, "fence": hold.fence}
