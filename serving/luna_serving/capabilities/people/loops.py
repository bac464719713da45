"""Loops that remove old rows of the tables of people."""

from datetime import timedelta
from typing import Final

from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_store.people.sessions import remove_old
from luna_store.platform.leases import Lease, fenced

HOUR_S = 3600.0
# How long an ended session explains what happened.
KEPT: Final = timedelta(days=30)


async def remove_sessions(stores: Background, lease: Lease) -> None:
    """Remove sessions and links that ended more than 30 days ago."""
    async with fenced(stores.engine, lease) as connection:
        await remove_old(connection, KEPT)


LOOPS: Final[tuple[Loop[Background], ...]] = (Loop("people.sessions", HOUR_S, remove_sessions),)
