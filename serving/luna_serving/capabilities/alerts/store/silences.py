"""Silences in Postgres, in Alertmanager's terms."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.audit.actors import Actor, acting_as
from luna_store.platform.uuid7 import uuid7

_INSERT: Final = text("""
INSERT INTO alert_silences (id, account_id, matchers, starts_at, ends_at, created_by, comment)
SELECT :id, :account_id, CAST(:matchers AS jsonb), :starts_at, :ends_at, :created_by, :comment
WHERE (SELECT count(*) FROM alert_silences WHERE account_id = :account_id AND ends_at > now()) < :most
RETURNING *
""")
_UPDATE: Final = text("""
UPDATE alert_silences SET matchers = CAST(:matchers AS jsonb), starts_at = :starts_at, ends_at = :ends_at,
    created_by = :created_by, comment = :comment, updated_at = now()
WHERE account_id = :account_id AND id = :id RETURNING *
""")
_PAGE: Final = text("""
SELECT * FROM alert_silences WHERE account_id = :account_id
    AND (CAST(:ends_at AS timestamptz) IS NULL OR (ends_at, id) < (:ends_at, CAST(:id AS uuid)))
ORDER BY ends_at DESC, id DESC LIMIT :limit
""")
_ONE: Final = text("SELECT * FROM alert_silences WHERE account_id = :account_id AND id = :id")
_END: Final = text("""
UPDATE alert_silences SET ends_at = CASE WHEN starts_at < now() THEN least(ends_at, now()) ELSE ends_at END,
    updated_at = now()
WHERE account_id = :account_id AND id = :id AND starts_at < now() RETURNING id
""")
_DROP: Final = text("DELETE FROM alert_silences WHERE account_id = :account_id AND id = :id RETURNING id")
_ACTIVE: Final = text("""
SELECT account_id, id, matchers FROM alert_silences WHERE account_id = ANY(:accounts)
    AND starts_at <= coalesce(CAST(:at AS timestamptz), clock_timestamp())
    AND ends_at > coalesce(CAST(:at AS timestamptz), clock_timestamp())
""")


class SilenceNotFound(Exception):
    """The account has no such silence."""

    def __init__(self, silence_id: uuid.UUID) -> None:
        super().__init__(f"There is no silence {silence_id}.")


class SilencesFull(Exception):
    """The account has as many silences as it may."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence."""

    id: uuid.UUID
    matchers: Sequence[Mapping[str, Any]]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    updated_at: datetime


class Silences:
    """The repository. Does not own the engine."""

    def __init__(self, engine: AsyncEngine, *, most: int) -> None:
        """Wire it; an account may have `most` silences that have not ended."""
        self._engine = engine
        self._most = most

    async def put(self, account_id: int, silence_id: uuid.UUID | None, values: Mapping[str, Any], by: Actor) -> Silence:
        """Make a silence, or change the one of this id.

        Raises:
            SilenceNotFound: there is none of this id.
            SilencesFull: the account may have no more.
        """
        row = {**values, "matchers": orjson.dumps(values["matchers"]).decode(), "account_id": account_id}
        async with self._engine.begin() as connection:
            await acting_as(connection, by)
            if silence_id is not None:
                found = (await connection.execute(_UPDATE, {**row, "id": silence_id})).one_or_none()
                if found is None:
                    raise SilenceNotFound(silence_id)
                return _silence(found)
            made = (await connection.execute(_INSERT, {**row, "id": uuid7(), "most": self._most})).one_or_none()
        if made is None:
            raise SilencesFull(f"The account has {self._most} silences. Delete one.")
        return _silence(made)

    async def page(
        self, account_id: int, *, limit: int, after: tuple[datetime, uuid.UUID] | None = None
    ) -> list[Silence]:
        """Silences, those that end last first."""
        ends_at, silence_id = after if after is not None else (None, None)
        values = {"account_id": account_id, "limit": limit, "ends_at": ends_at, "id": silence_id}
        async with self._engine.connect() as connection:
            return [_silence(row) for row in await connection.execute(_PAGE, values)]

    async def get(self, account_id: int, silence_id: uuid.UUID) -> Silence:
        """A silence.

        Raises:
            SilenceNotFound: there is none of this id.
        """
        async with self._engine.connect() as connection:
            row = (await connection.execute(_ONE, {"account_id": account_id, "id": silence_id})).one_or_none()
        if row is None:
            raise SilenceNotFound(silence_id)
        return _silence(row)

    async def end(self, account_id: int, silence_id: uuid.UUID, by: Actor) -> None:
        """End a silence now; one that has not begun is deleted.

        Raises:
            SilenceNotFound: there is none of this id.
        """
        values = {"account_id": account_id, "id": silence_id}
        async with self._engine.begin() as connection:
            await acting_as(connection, by)
            for statement in (_END, _DROP):
                if (await connection.execute(statement, values)).one_or_none() is not None:
                    return
        raise SilenceNotFound(silence_id)


async def active_silences(
    engine: AsyncEngine, accounts: Sequence[int], at: str | None = None
) -> dict[int, list[Sequence[Mapping[str, Any]]]]:
    """The matchers of the silences that are in force, by account."""
    found: dict[int, list[Sequence[Mapping[str, Any]]]] = {}
    async with engine.connect() as connection:
        for row in await connection.execute(_ACTIVE, {"accounts": list(accounts), "at": at}):
            found.setdefault(row.account_id, []).append(row.matchers)
    return found


def _silence(row: Any) -> Silence:  # noqa: ANN401
    return Silence(row.id, row.matchers, row.starts_at, row.ends_at, row.created_by, row.comment, row.updated_at)
