"""Calls to the replicas of a deployment."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any, Final, cast

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.dispatch.pieces import Large
from luna_serving.telemetry.propagation import TRACEPARENT

# Seconds in which a process that has just started learns of the replicas.
LEARNING_S: Final = 2.0
LOOK_EVERY_S: Final = 0.05


async def on_replica(
    host: DeploymentHandle[Any], capability: str, jobs: Sequence[Any], first_replica_s: float = math.inf
) -> Sequence[Any]:
    """Send jobs to a replica; if it dies, send them to another one, once. Cancellation stops the replica's work.

    Args:
        host: of the deployment `ComputeHost` that computes for the capability.
        capability: whose jobs they are.
        jobs: `Large` ones have answers in the object store.
        first_replica_s: seconds to wait for the first replica that this process hears of. Serve waits without end, such
            as on a new node whose ingress replica is quicker than the models.

    Raises:
        ReplicaUnavailable: no replica could take them.
    """
    if first_replica_s < math.inf:
        await _first_replica(host, first_replica_s)
    if any(isinstance(job, Large) for job in jobs):
        # Serve answers through gRPC, which does not know of references: Ray would never free what they point to.
        host = host.options(_by_reference=True)
    traced = (TRACEPARENT.get(),) if TRACEPARENT.get() else ()
    for attempt in range(2):
        response = cast("DeploymentResponse[Any]", host.compute.remote(capability, list(jobs), *traced))
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


async def _first_replica(host: DeploymentHandle[Any], seconds: float) -> None:
    """Wait until this process knows a replica, or has known one: then Serve has another one started.

    Raises:
        ReplicaUnavailable: it hears of none in time.
    """
    if host.running_replicas_populated():
        return
    host.compute  # noqa: B018  begins to listen for replicas
    until = time.monotonic() + seconds
    while not host.running_replicas_populated():
        if time.monotonic() >= until:
            raise ReplicaUnavailable(f"no replica of {host.deployment_name} has started yet")
        await asyncio.sleep(LOOK_EVERY_S)
