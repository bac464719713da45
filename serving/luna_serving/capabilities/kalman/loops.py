"""What keeps the tables of the Kalman capability as small as is documented."""

from datetime import timedelta

from luna_serving.capabilities.kalman.store.stream_retention import EXPIRED_AT_ONCE, expire_unused
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_store.platform.leases import Lease, fenced

HOUR_S = 3600.0


def loops(unused: timedelta) -> tuple[Loop[Background], ...]:
    """The capability's loops.

    Args:
        unused: a stream that nobody used for this long is deleted.
    """

    async def expire_streams(stores: Background, lease: Lease) -> None:
        expired = EXPIRED_AT_ONCE
        while expired >= EXPIRED_AT_ONCE:
            async with fenced(stores.engine, lease) as connection:
                expired = await expire_unused(connection, unused)

    return (Loop("kalman.streams", HOUR_S, expire_streams, timeout_s=HOUR_S),)
