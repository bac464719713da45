"""What the sweep asks: which objects the rows name, and which rows name objects that are not there."""

import json
import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.datasets.uploads.keys import parse_incoming

log = logging.getLogger("luna.datasets")

_SEALED: Final = text("SELECT key FROM dataset_objects WHERE key = ANY(:keys)")
# An upload belongs to a file that is not sealed yet, of a set that may still be validated.
_INCOMING: Final = text("""
SELECT g.key FROM jsonb_to_recordset(CAST(:given AS jsonb)) AS g(key text, id uuid, position int, account_id int)
JOIN datasets d ON d.id = g.id AND d.account_id = g.account_id
JOIN dataset_files f ON f.dataset_id = d.id AND f.position = g.position
LEFT JOIN dataset_objects o ON o.key = f.object_key
WHERE d.state IN ('uploading', 'validating', 'failed') AND NOT coalesce(o.verified, false)
""")
_BETWEEN: Final = text("""
SELECT key FROM dataset_objects WHERE key COLLATE "C" > :after AND key COLLATE "C" <= :last AND created_at < :before
""").bindparams(bindparam("before", type_=DateTime(timezone=True)))
_AFTER: Final = text("""
SELECT key FROM dataset_objects WHERE key COLLATE "C" > :after AND created_at < :before
""").bindparams(bindparam("before", type_=DateTime(timezone=True)))
_FORGET: Final = text("""
DELETE FROM dataset_objects o WHERE o.key = ANY(:keys)
    AND NOT EXISTS (SELECT FROM dataset_files f WHERE f.object_key = o.key) RETURNING o.key
""")


async def named(engine: AsyncEngine, keys: Sequence[str]) -> Collection[str]:
    """Which of these keys belong to something."""
    incoming = {key: parsed for key in keys if (parsed := parse_incoming(key)) is not None}
    given = [
        {"key": key, "account_id": account_id, "id": str(dataset_id), "position": position}
        for key, (account_id, dataset_id, position) in incoming.items()
    ]
    async with engine.connect() as connection:
        found = set(await connection.scalars(_SEALED, {"keys": [key for key in keys if key not in incoming]}))
        if given:
            found |= set(await connection.scalars(_INCOMING, {"given": json.dumps(given)}))
    return found


class LostObjects:
    """Finds rows without an object, while the objects go by in the order of their keys.

    The multipart uploads that follow begin again with small keys; they are no objects and are let pass.
    """

    def __init__(self, engine: AsyncEngine, before: datetime) -> None:
        self._engine = engine
        self._before = before
        self._after = ""
        self.keys: list[str] = []

    async def passed(self, keys: Sequence[str]) -> None:
        """Take the next objects of the list."""
        last = keys[-1]
        if keys[0] <= self._after:
            return
        async with self._engine.connect() as connection:
            values = {"after": self._after, "last": last, "before": self._before}
            there = set(keys)
            self.keys += [key for key in await connection.scalars(_BETWEEN, values) if key not in there]
        self._after = last

    async def ended(self) -> list[str]:
        """All rows without an object, after the last object."""
        async with self._engine.connect() as connection:
            self.keys += list(await connection.scalars(_AFTER, {"after": self._after, "before": self._before}))
        return self.keys


async def forget_lost(connection: AsyncConnection, keys: Sequence[str]) -> int:
    """Delete rows whose object is not there and which no file needs; logs those that one does."""
    gone = set(await connection.scalars(_FORGET, {"keys": list(keys)}))
    for key in set(keys) - gone:
        log.error("the object %s is not in the object store, and a data set needs it", key)
    return len(gone)
