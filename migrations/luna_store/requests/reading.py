"""Reads an account's rows of the request log: pages by time, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.requests.tables import RequestRow

# Rows that one page of a filtered list looks at. An account may have millions a day: a filter that fits few of them
# would else read them all, and the statement would end without an answer.
SCANNED: Final = 20_000

Key = tuple[datetime, int]
"""The place of a row in the list: its instant and its id."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is shown; None shows all."""

    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    route: str | None = None
    method: str | None = None
    statuses: tuple[int, int] | None = None
    """The first and last status."""
    request_id: str | None = None
    principal: str | None = None

    def of(self, columns: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401  a ColumnCollection, of a table or subquery
        """The conditions that the index cannot answer, on these columns."""
        wanted = {"route": self.route, "method": self.method, "request_id": self.request_id}
        wanted["principal"] = self.principal
        found = [columns[name] == value for name, value in wanted.items() if value is not None]
        if self.statuses is not None:
            found.append(columns.status.between(*self.statuses))
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first."""

    rows: Sequence[Row[Any]]
    after: Key | None
    """Where the next page begins; None on the last. With filters, a page may be short, or empty, and not the last."""


async def page(
    engine: AsyncEngine, account_id: int, filters: Filters, after: Key | None, limit: int, *, scanned: int = SCANNED
) -> Page:
    """A page of an account's rows.

    Args:
        engine: where the log is.
        account_id: whose rows.
        filters: which of them.
        after: `Page.after` of the page before; None begins.
        limit: rows on the page, at most.
        scanned: rows that a page with filters looks at.
    """
    listed = _listed(account_id, filters, after)
    looked_at = listed.limit(scanned).subquery()
    conditions = filters.of(looked_at.c)
    statement = (
        select(looked_at).where(*conditions).order_by(looked_at.c.at.desc(), looked_at.c.id.desc())
        if conditions
        else listed
    )
    async with engine.connect() as connection:
        # Both statements see the same rows: those that arrive between them would move the place.
        await connection.execution_options(isolation_level="REPEATABLE READ")
        rows = (await connection.execute(statement.limit(limit + 1))).all()
        if len(rows) > limit:
            return Page(rows[:limit], _key(rows[limit - 1]))
        if not conditions:
            return Page(rows, None)
        # Fewer than a page among those looked at: the next page begins behind the last of them.
        last = (await connection.execute(listed.offset(scanned - 1).limit(1))).first()
    return Page(rows, None if last is None else _key(last))


def _key(row: Row[Any]) -> Key:
    return row.at, row.id


def _listed(account_id: int, filters: Filters, after: Key | None) -> Select[Any]:
    row = RequestRow.__table__
    asked = select(row).where(row.c.account_id == account_id)
    asked = asked.order_by(row.c.at.desc(), row.c.id.desc())
    if filters.since is not None:
        asked = asked.where(row.c.at >= filters.since)
    if filters.until is not None:
        asked = asked.where(row.c.at < filters.until)
    if after is not None:
        # The first says nothing new, but lets Postgres leave out later partitions.
        asked = asked.where(row.c.at <= after[0], tuple_(row.c.at, row.c.id) < tuple_(*after))
    return asked
