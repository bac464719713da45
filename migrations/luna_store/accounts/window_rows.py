"""Quota windows in the accounts' rows: the current one, the begin of the next, and the units in the ledger."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from luna_store.accounts.tables import Account
from luna_store.ledger.booking import TWIN_HORIZON
from luna_store.ledger.tables import UsageEvent
from luna_store.quota.windows import QuotaWindow, window_end, window_start

# A Lifetime window begins before all accounts: nothing in the ledger is older.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def running_since(window: QuotaWindow) -> ColumnElement[datetime]:
    """When the current window began, on the database's clock."""
    match window:
        case QuotaWindow.LIFETIME:
            return literal(BEGINNING)
        case QuotaWindow.DAY:
            return func.date_trunc("day", func.now(), "UTC")
        case QuotaWindow.MONTH:
            return func.date_trunc("month", func.now(), "UTC")


def used_since(account_id: int, start: datetime | ColumnElement[datetime]) -> ScalarSelect[int]:
    """Units in the ledger for the window that began at `start`: debits, less their refunds.

    Refunds of an earlier window's debits are left out, as in `luna_store.ledger.booking.book`. Events that wait in
    Redis do not count: booking adds them later.
    """
    debit = aliased(UsageEvent)
    of_earlier = (
        select(debit.stream_id)
        .where(
            debit.debit_id.in_([UsageEvent.debit_id, UsageEvent.origin]),
            debit.units > 0,
            debit.occurred_at < start,
            debit.occurred_at >= start - TWIN_HORIZON,
        )
        .exists()
    )
    return (
        select(func.coalesce(func.sum(UsageEvent.units), 0))
        .where(UsageEvent.account_id == account_id, UsageEvent.occurred_at >= start)
        .where((UsageEvent.units > 0) | ~of_earlier)
        .scalar_subquery()
    )


async def roll_window(connection: AsyncConnection, account_id: int, now: datetime) -> Row[Any] | None:
    """Lock the account's row and, if its quota window has ended, begin the one that holds `now`.

    Returns:
        The row after that; None if there is no such account.
    """
    locked = select(Account.__table__).where(Account.id == account_id).with_for_update()
    row = (await connection.execute(locked)).one_or_none()
    if row is None or not (start := next_start(row, now)):
        return row
    await begin_window(connection, account_id, start)
    return (await connection.execute(locked)).one()


def next_start(row: Row[Any], now: datetime) -> datetime | None:
    """When the window that holds `now` began; None if the row is in that window already."""
    window = QuotaWindow(row.quota_window)
    end = window_end(window, row.window_started_at)
    return None if end is None or now < end else window_start(window, row.window_started_at, now)


async def begin_window(connection: AsyncConnection, account_id: int, start: datetime) -> None:
    """Begin the window at `start`. The caller holds the row's lock."""
    await connection.execute(
        update(Account)
        .where(Account.id == account_id)
        .values(window_started_at=start, quota_used=used_since(account_id, start), cache_stale=text("true"))
    )
