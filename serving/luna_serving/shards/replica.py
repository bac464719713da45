"""The Serve deployment of one shard."""

import asyncio
from typing import Any

from luna_serving.settings import PlatformSettings
from luna_serving.shards.holding import Holding
from luna_serving.shards.shard import Place, Shard, ShardStores
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.process import begin
from luna_store.accounts.secrets import Secrets
from luna_store.platform.logs import CONTEXT
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

# Seconds to close the shard and release the lease; after that Serve kills the process.
STOP_S = 8.0


class ShardReplica:
    """Hosts a shard while it holds the lease; answers `shard.NotOpen` otherwise."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        board: Any,  # noqa: ANN401  a DeploymentHandle
        kind: type[Shard],
        settings: Any,  # noqa: ANN401  the capability's own
        place: Place,
        platform: PlatformSettings,
    ) -> None:
        """Connect to the stores and begin to ask for the lease.

        Args:
            board: the metrics board.
            kind: the class of the shard.
            settings: the capability's.
            place: which shard.
            platform: the settings of the rest.
        """
        telemetry = begin(place.deployment, platform.log, platform.trace)
        secrets = Secrets.from_environment()
        url = secrets.database_url.get_secret_value()
        self._stores = ShardStores(
            async_engine(url, actor="serving"),
            redis_client(secrets.redis_url.get_secret_value(), timeout_s=platform.access.store_timeout_s),
            telemetry.registry,
        )
        self._capability = place.capability
        self._leases = async_engine(url, actor="serving", pool_size=2)
        self._holding = Holding(self._leases, place, lambda lease: kind(settings, self._stores, place, lease))
        self._task = asyncio.create_task(self._holding.run(), name=place.deployment)
        Reporter(board, telemetry.registry).start(place.deployment)

    async def ask(self, account_id: int, request: Any) -> Any:  # noqa: ANN401  of the capability's own types
        """Answer a request about an account of this shard."""
        CONTEXT.set({"capability": self._capability})
        return await self._holding.ask(account_id, request)

    async def ping(self) -> None:
        """Raise unless the shard is open.

        Raises:
            RuntimeError: it is not.
        """
        if self._holding.shard is None:
            raise RuntimeError("The shard is not open.")

    async def check_health(self) -> None:
        """Serve calls this every second or so and replaces a replica that raises or does not answer.

        Raises:
            RuntimeError: the task that holds the lease has ended. Outages of Postgres do not end it.
        """
        if self._task.done():
            cause = None if self._task.cancelled() else self._task.exception()
            raise RuntimeError("The task that holds the lease has ended.") from cause

    async def __del__(self) -> None:
        """Close the shard and release the lease; Serve awaits this once, on the replica's event loop."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=STOP_S)
        await self._stores.redis.aclose()
        await self._stores.engine.dispose()
        await self._leases.dispose()
