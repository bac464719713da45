"""Asks replicas, and says what it means that one cannot read prices."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from luna_serving.capabilities.indicators.cache.lookup import Computed
from luna_serving.capabilities.indicators.jobs.batches import BarsGone, Batch
from luna_serving.capabilities.indicators.jobs.tasks import Task
from luna_serving.dispatch.outcomes import Failed, Unavailable
from luna_serving.dispatch.pieces import Body, Stored, fetched

log = logging.getLogger("luna.indicators")
Replicas = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


class Computing:
    """Sends tasks and batches to replicas."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    async def tasks(self, tasks: Sequence[Task]) -> Sequence[Computed]:
        """The packed history of each task, in order.

        Raises:
            ReplicaUnavailable: none could take them.
        """
        return [_readable(answer) for answer in await self._replicas(list(tasks))]

    async def batch(self, batch: Batch) -> bytes | Body | Failed | Unavailable:
        """The body of the answer to a batch.

        Raises:
            ReplicaUnavailable: as of `tasks`.
        """
        (answer,) = await self._replicas([batch])
        if isinstance(answer, Stored):
            return await fetched(answer)
        body = _readable(answer)
        return body if isinstance(body, bytes | Unavailable) else Failed()


def _readable(answer: Any) -> Computed:  # noqa: ANN401  of a replica
    if isinstance(answer, BarsGone):
        # Both end by themselves: a pruned version is not located again, and the object store comes back. Calls of
        # other markets share the round trip, and are answered.
        return Unavailable(answer.reason)
    result: Computed = answer
    return result
