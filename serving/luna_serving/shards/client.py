"""Asks the shard of an account, whichever process it is in, until it answers or the time is over."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from luna_serving.shards.shard import NotOpen, shard_of

# Seconds between attempts: the first pause and the longest one.
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.5

Ask = Callable[[int, Any], Awaitable[Any]]
"""Sends a request about an account to one shard: `handle.ask.remote`."""


class ShardUnavailable(Exception):
    """The shard of an account did not answer in time. A write may have been done."""


class ShardClient:
    """Asks the shards of a capability. Requests must be safe to repeat."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        """Wire it.

        Args:
            asks: for each shard, how it is asked; by index.
        """
        self._asks = tuple(asks)

    async def ask(self, account_id: int, request: Any, *, timeout_s: float) -> Any:  # noqa: ANN401
        """The answer of the account's shard. A request that a dying shard has taken is sent again.

        Args:
            account_id: whose shard.
            request: of the capability's types.
            timeout_s: seconds for all attempts together.

        Raises:
            ShardUnavailable: no answer in time.
        """
        ask = self._asks[shard_of(account_id, len(self._asks))]
        pause_s = FIRST_PAUSE_S
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        answer = await self._once(ask, account_id, request)
                    except (RayActorError, BackPressureError, DeploymentUnavailableError):
                        answer = NotOpen()
                    if not isinstance(answer, NotOpen):
                        return answer
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  jitter
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except TimeoutError as e:
            raise ShardUnavailable(f"The shard of account {account_id} did not answer within {timeout_s:g} s.") from e

    async def _once(self, ask: Ask, account_id: int, request: Any) -> Any:  # noqa: ANN401
        response = ask(account_id, request)
        try:
            return await response
        except asyncio.CancelledError:
            # Of a Serve response, so that the replica stops its work; a coroutine has ended by now.
            cancel = getattr(response, "cancel", None)
            if cancel is not None:
                cancel()
            raise


def clients(shards: Mapping[str, Sequence[Any]]) -> dict[str, ShardClient]:
    """Clients of the shards of each capability, from their Serve DeploymentHandles."""
    return {name: ShardClient([handle.ask.remote for handle in handles]) for name, handles in shards.items()}
