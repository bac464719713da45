"""Which objects of the store belong to jobs: large results and artifacts.

An object is written before the transaction that names it, under a key that holds the fence of its attempt. As fences
only grow, the key says whether that transaction can still come: no grace time is needed to tell an orphan.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Bytes of a result up to which a job shows it; a larger one is read by its link. Where there is an object store, larger
# results and artifacts are kept in it.
INLINE_BYTES: Final = 256 * 1024
# All objects of all jobs, apart from what capabilities keep of accounts.
PREFIX: Final = "jobs/"
_NAMED: Final = text("""
SELECT g.key FROM jsonb_to_recordset(CAST(:given AS jsonb)) AS g(key text, account_id bigint, id uuid, fence bigint)
JOIN jobs j ON j.id = g.id AND j.account_id = g.account_id
WHERE (j.status = 'running' AND j.fence = g.fence)
    OR EXISTS (SELECT FROM job_artifacts a WHERE a.job_id = g.id AND a.object_key = g.key)
""")


def prefix_of(account_id: int) -> str:
    """What all objects of an account's jobs begin with."""
    return f"{PREFIX}{account_id}/"


@dataclass(frozen=True, slots=True)
class JobKey:
    """The key of an object: that of one attempt, so that two workers on one job never write the same one."""

    account_id: int
    job_id: uuid.UUID
    fence: int
    number: int
    """Of the object among those of the attempt."""

    def __str__(self) -> str:
        return f"{prefix_of(self.account_id)}{self.job_id}/{self.fence}/{self.number}"

    @classmethod
    def parse(cls, key: str) -> Self | None:
        """The key that a text is; None for another text."""
        try:
            area, account_id, job_id, fence, number = key.split("/")
            found = cls(int(account_id), uuid.UUID(job_id), int(fence), int(number))
        except ValueError:
            return None
        return found if area == PREFIX.rstrip("/") and str(found) == key else None


async def named(engine: AsyncEngine, keys: Sequence[str]) -> Collection[str]:
    """Those of these keys that a job names, or that the attempt which has a job now may still name."""
    given = [
        {"key": key, "account_id": parsed.account_id, "id": str(parsed.job_id), "fence": parsed.fence}
        for key in keys
        if (parsed := JobKey.parse(key)) is not None
    ]
    async with engine.connect() as connection:
        return set(await connection.scalars(_NAMED, {"given": json.dumps(given)}))
