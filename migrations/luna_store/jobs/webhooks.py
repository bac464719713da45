"""The outbox of webhooks: the messages that ended jobs left."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.platform.outbox import LEASE_S, Outbox

_COLUMNS: Final = ("id", "job_id", "account_id", "url", "event", "data", "created_at", "tries")
OUTBOX: Final = Outbox("webhook_deliveries", [f"d.{name}" for name in _COLUMNS])


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


async def claim(
    engine: AsyncEngine, at_most: int, *, per_account: int, busy: Mapping[int, int], lease_s: float = LEASE_S
) -> list[Delivery]:
    """Take messages that are due; see `Outbox.claim`."""
    rows = await OUTBOX.claim(engine, at_most, per_account=per_account, busy=busy, lease_s=lease_s)
    return [Delivery(**row) for row in rows]
