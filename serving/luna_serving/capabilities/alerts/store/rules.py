"""Rules in Postgres. Writers of one account take turns."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.alerts.store.records import AlertRecord, record_of, to_ms
from luna_serving.capabilities.alerts.store.writing import Committed, Outcome, generations, write
from luna_store.accounts.accounts import AccountNotFound
from luna_store.audit.actors import Actor, acting_as
from luna_store.platform.uuid7 import uuid7

# A fixed number: "alrt" in ASCII. The other half of the lock's key is the account.
WRITERS_LOCK: Final = 0x616C7274
_SHOWN: Final = """
SELECT r.*, s.next_at, s.last_at, s.seconds, s.error, s.warnings, s.missed,
    (SELECT CASE WHEN bool_or(a.state = 'firing') THEN 'firing' WHEN count(*) > 0 THEN 'pending' ELSE 'inactive' END
     FROM alerts a WHERE a.rule_id = r.id AND a.state IN ('pending', 'firing')) AS state
FROM alert_rules r JOIN alert_schedule s ON s.rule_id = r.id
"""
_ONE: Final = text(f"{_SHOWN} WHERE r.account_id = :account_id AND r.id = :id")
_PAGE: Final = text(f"""{_SHOWN} WHERE r.account_id = :account_id
AND (CAST(:after AS uuid) IS NULL OR r.id > :after) ORDER BY r.id LIMIT :limit""")
_INSERT: Final = text("""
INSERT INTO alert_rules (id, account_id, name, document, webhook_secret, revision)
VALUES (:id, :account_id, :name, CAST(:document AS jsonb), :secret, :revision)
""")
_UPDATE: Final = text("""
UPDATE alert_rules SET name = :name, document = CAST(:document AS jsonb), webhook_secret = :secret,
    revision = :revision, changed_at = now() WHERE id = :id
""")
_SCHEDULE: Final = text("""
INSERT INTO alert_schedule (rule_id, account_id, next_at) VALUES (:id, :account_id, :next_at)
ON CONFLICT (rule_id) DO UPDATE SET next_at = excluded.next_at, error = NULL, warnings = NULL, data_at = NULL
""")
_ALERTS: Final = text("SELECT * FROM alerts WHERE rule_id = :id AND state IN ('pending', 'firing') FOR UPDATE")


class RuleNotFound(Exception):
    """The account has no such rule."""

    def __init__(self, rule_id: uuid.UUID) -> None:
        super().__init__(f"There is no rule {rule_id}.")


class RuleChanged(Exception):
    """The stored rule is not the expected one."""

    def __init__(self, rule_id: uuid.UUID) -> None:
        super().__init__(f"The rule {rule_id} is another revision.")


class RuleLimitReached(Exception):
    """The account may keep no more rules."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule with how it does."""

    id: uuid.UUID
    document: Mapping[str, Any]
    webhook_secret: str | None
    revision: uuid.UUID
    created_at: datetime
    changed_at: datetime
    next_at: datetime
    last_at: datetime | None
    seconds: float | None
    error: str | None
    warnings: Sequence[str]
    missed: int
    state: str


FirstAt = Callable[[uuid.UUID, int], datetime]
"""From a rule's id and the present in milliseconds to its first evaluation."""
Ends = Callable[[Sequence[AlertRecord], int, StoredRule], Outcome]
"""What becomes of the active alerts of a rule that is changed or deleted; the generation is filled in here."""
Keep = Callable[[AsyncConnection, StoredRule], Awaitable[None]]


class Rules:
    """The repository. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(
        self,
        account_id: int,
        document: Mapping[str, Any],
        secret: str | None,
        first_at: FirstAt,
        keep: Keep,
        *,
        most: int,
        by: Actor,
    ) -> StoredRule:
        """Store a rule; `keep` is called in the transaction.

        Raises:
            AccountNotFound: there is no such account (any more).
            RuleLimitReached: the account has `most` rules.
        """
        rule_id = uuid7()
        try:
            async with self._engine.begin() as connection:
                await _lock(connection, account_id)
                await _require_room(connection, account_id, most)
                await acting_as(connection, by)
                await connection.execute(_INSERT, _row(rule_id, account_id, document, secret))
                await self._schedule(connection, account_id, rule_id, first_at)
                stored = await _found(connection, account_id, rule_id)
                await keep(connection, stored)
        except IntegrityError as e:
            raise AccountNotFound(account_id) from e
        return stored

    async def replace(
        self,
        account_id: int,
        rule_id: uuid.UUID,
        document: Mapping[str, Any],
        secret_of: Callable[[StoredRule], str | None],
        first_at: FirstAt,
        ends: Ends | None,
        *,
        expected: frozenset[uuid.UUID] | None,
        by: Actor,
    ) -> tuple[StoredRule, Committed]:
        """Put another document in a rule's place.

        Args:
            account_id: whose.
            rule_id: which.
            document: the new one.
            secret_of: from the stored rule to the secret afterwards.
            first_at: when it is evaluated next.
            ends: asked if the name or the labels changed: alerts have others then, so the present ones end.
            expected: revisions of which the stored rule must be one.
            by: for the audit log.

        Raises:
            RuleNotFound: there is none of this id.
            RuleChanged: it is not an expected one.
        """
        async with self._engine.begin() as connection:
            before = await self._locked(connection, account_id, rule_id, expected)
            if before.document == dict(document):
                return before, Committed()
            await acting_as(connection, by)
            committed = await _end(connection, account_id, before, ends)
            await connection.execute(_UPDATE, _row(rule_id, account_id, document, secret_of(before)))
            await self._schedule(connection, account_id, rule_id, first_at)
            return await _found(connection, account_id, rule_id), committed

    async def delete(
        self, account_id: int, rule_id: uuid.UUID, ends: Ends, *, expected: frozenset[uuid.UUID] | None, by: Actor
    ) -> Committed:
        """Remove a rule; its alerts end, and stay in the history. Errors as of `replace`."""
        async with self._engine.begin() as connection:
            before = await self._locked(connection, account_id, rule_id, expected)
            await acting_as(connection, by)
            committed = await _end(connection, account_id, before, ends)
            await connection.execute(text("DELETE FROM alert_rules WHERE id = :id"), {"id": rule_id})
        return committed

    async def get(self, account_id: int, rule_id: uuid.UUID) -> StoredRule:
        """A rule.

        Raises:
            RuleNotFound: there is none of this id.
        """
        async with self._engine.connect() as connection:
            return await _found(connection, account_id, rule_id)

    async def page(self, account_id: int, *, limit: int, after: uuid.UUID | None = None) -> list[StoredRule]:
        """Rules in the order of their creation, behind one."""
        values = {"account_id": account_id, "limit": limit, "after": after}
        async with self._engine.connect() as connection:
            return [_stored(row) for row in await connection.execute(_PAGE, values)]

    async def _locked(
        self, connection: AsyncConnection, account_id: int, rule_id: uuid.UUID, expected: frozenset[uuid.UUID] | None
    ) -> StoredRule:
        await _lock(connection, account_id)
        before = await _found(connection, account_id, rule_id)
        if expected is not None and before.revision not in expected:
            raise RuleChanged(rule_id)
        return before

    @staticmethod
    async def _schedule(connection: AsyncConnection, account_id: int, rule_id: uuid.UUID, first_at: FirstAt) -> None:
        now_ms = await _now_ms(connection)
        values = {"id": rule_id, "account_id": account_id, "next_at": first_at(rule_id, now_ms)}
        await connection.execute(_SCHEDULE, values)


async def _end(connection: AsyncConnection, account_id: int, before: StoredRule, ends: Ends | None) -> Committed:
    generation = (await generations(connection, [before.id])).get(before.id, 0)
    alerts = [record_of(row) for row in await connection.execute(_ALERTS, {"id": before.id})] if ends else []
    outcome = Outcome(before.id, generation)
    if ends is not None and alerts:
        outcome = replace(ends(alerts, await _now_ms(connection), before), generation=generation)
    return await write(connection, account_id, [outcome])


async def _now_ms(connection: AsyncConnection) -> int:
    now = await connection.scalar(text("SELECT clock_timestamp()"))
    assert now is not None  # noqa: S101  a function without arguments
    return to_ms(now)


async def _lock(connection: AsyncConnection, account_id: int) -> None:
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(:alerts, :account)"), {"alerts": WRITERS_LOCK, "account": account_id}
    )


async def _require_room(connection: AsyncConnection, account_id: int, most: int) -> None:
    count = text("SELECT count(*) FROM alert_rules WHERE account_id = :id")
    if (await connection.scalar(count, {"id": account_id}) or 0) >= most:
        raise RuleLimitReached(f"The account has {most} rules, which is its limit alerts.rules. Delete one.")


async def _found(connection: AsyncConnection, account_id: int, rule_id: uuid.UUID) -> StoredRule:
    row = (await connection.execute(_ONE, {"account_id": account_id, "id": rule_id})).one_or_none()
    if row is None:
        raise RuleNotFound(rule_id)
    return _stored(row)


def _row(rule_id: uuid.UUID, account_id: int, document: Mapping[str, Any], secret: str | None) -> dict[str, Any]:
    return {
        "id": rule_id,
        "account_id": account_id,
        "name": document["name"],
        "document": orjson.dumps(document).decode(),
        "secret": secret,
        "revision": uuid7(),
    }


def _stored(row: Any) -> StoredRule:  # noqa: ANN401
    return StoredRule(
        id=row.id,
        document=row.document,
        webhook_secret=row.webhook_secret,
        revision=row.revision,
        created_at=row.created_at,
        changed_at=row.changed_at,
        next_at=row.next_at,
        last_at=row.last_at,
        seconds=row.seconds,
        error=row.error,
        warnings=row.warnings or (),
        missed=row.missed,
        state=row.state,
    )
