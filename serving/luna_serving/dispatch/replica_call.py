"""Calls to the replicas of a deployment."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentResponse

from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.telemetry.propagation import TRACEPARENT


async def on_replica(compute: Callable[..., DeploymentResponse[Any]], jobs: Sequence[Any]) -> Sequence[Any]:
    """Send jobs to a replica; if it dies, send them to another one, once. Cancellation stops the replica's work.

    Raises:
        ReplicaUnavailable: no replica could take them.
    """
    traced = (TRACEPARENT.get(),) if TRACEPARENT.get() else ()
    for attempt in range(2):
        response = compute(list(jobs), *traced)
        try:
            answers: Sequence[Any] = await response
        except asyncio.CancelledError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise
        except RayActorError as e:
            if attempt:
                raise ReplicaUnavailable(str(e)) from e
            await asyncio.sleep(0.1)
        except (BackPressureError, DeploymentUnavailableError) as e:
            raise ReplicaUnavailable(str(e)) from e
        else:
            return answers
    raise AssertionError  # the second attempt returns or raises
