"""The outbox of webhooks: messages that ended jobs left, claimed by deliverers and settled after each try.

A claim moves the message's next try beyond the claim's lease and counts the try. The count is the fence: what a
deliverer settles after its lease has ended changes nothing. One that is killed between sending and settling leaves the
message to be sent once more, under the same id.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Longer than a try may take, so that a message is not claimed twice.
LEASE_S: Final = 60.0
# Characters of an error that are kept.
ERROR_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is to be tried now."""

    id: uuid.UUID
    job_id: uuid.UUID
    account_id: int
    url: str
    event: str
    data: Mapping[str, Any]
    """The members of the job that change, as they were when it ended."""
    created_at: datetime
    tries: int
    """This one included."""


# Those of one account are numbered, so that accounts take turns and none has more than its share of the deliverer.
_CLAIM = text("""
WITH numbered AS (
    SELECT id, next_at, row_number() OVER (PARTITION BY account_id ORDER BY next_at, id)
        + coalesce((CAST(:busy AS jsonb) ->> account_id::text)::int, 0) AS place
    FROM webhook_deliveries WHERE next_at <= clock_timestamp()
), chosen AS (
    SELECT d.id FROM webhook_deliveries d JOIN numbered n ON n.id = d.id
    WHERE n.place <= :per_account AND d.next_at <= clock_timestamp()
    ORDER BY n.place, n.next_at LIMIT :at_most FOR UPDATE OF d SKIP LOCKED
)
UPDATE webhook_deliveries d SET tries = d.tries + 1, next_at = clock_timestamp() + make_interval(secs => :lease_s)
FROM chosen WHERE d.id = chosen.id
RETURNING d.id, d.job_id, d.account_id, d.url, d.event, d.data, d.created_at, d.tries
""")
_SETTLE = text("""
UPDATE webhook_deliveries SET
    delivered_at = CASE WHEN :delivered THEN clock_timestamp() END,
    next_at = clock_timestamp() + make_interval(secs => CAST(:again_in_s AS float8)),
    last_error = :error
WHERE id = :id AND tries = :tries AND delivered_at IS NULL AND next_at IS NOT NULL
""")


async def claim(
    engine: AsyncEngine, at_most: int, *, per_account: int, busy: Mapping[int, int], lease_s: float = LEASE_S
) -> list[Delivery]:
    """Take messages that are due; safe with several deliverers at once.

    Args:
        engine: of the deliverer.
        at_most: how many.
        per_account: how many of one account it may have under way.
        busy: how many of each account it has under way.
        lease_s: seconds after which another deliverer may try them.
    """
    values = {"at_most": at_most, "per_account": per_account, "busy": json.dumps(dict(busy)), "lease_s": lease_s}
    async with engine.begin() as connection:
        return [Delivery(**row) for row in (await connection.execute(_CLAIM, values)).mappings()]


async def settle(
    engine: AsyncEngine, delivery: Delivery, *, delivered: bool, again_in_s: float | None, error: str | None
) -> bool:
    """Write down how a try went.

    Args:
        engine: of the deliverer.
        delivery: as it was claimed.
        delivered: whether the receiver has it.
        again_in_s: seconds until the next try; None for none.
        error: why it was not delivered.

    Returns:
        Whether it was still this deliverer's.
    """
    values = {
        "id": delivery.id,
        "tries": delivery.tries,
        "delivered": delivered,
        "again_in_s": again_in_s,
        "error": error and error.replace("\0", "")[:ERROR_LENGTH],
    }
    async with engine.begin() as connection:
        return bool((await connection.execute(_SETTLE, values)).rowcount)


async def waiting(engine: AsyncEngine) -> int:
    """Messages that are still to be delivered, those to be tried again included."""
    query = text("SELECT count(*) FROM webhook_deliveries WHERE next_at IS NOT NULL")
    async with engine.connect() as connection:
        return int(await connection.scalar(query) or 0)
