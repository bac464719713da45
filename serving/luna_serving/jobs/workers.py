"""The `workers` deployment: replicas that do background work. `luna_serving.app` wires them."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from luna_serving.jobs.scaling import DEMAND

log = logging.getLogger("luna.workers")

# Seconds to cancel runs and release leases; after that Serve kills the process.
STOP_S = 3.0


class WorkStopped(Exception):
    """Background work ended without being stopped; the replica must be replaced."""


@dataclass(frozen=True, slots=True)
class ConnectedWorker:
    """The tasks of a worker, and its clean-up for when the replica stops."""

    work: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
    """Tasks that run until they are cancelled, such as `Loops.run`."""
    close: Callable[[], Awaitable[None]]
    """Closes the stores and stops the reporter, after all tasks have ended."""
    demand: Callable[[], Awaitable[float]] | None = None
    """Jobs that could run now, for Serve's autoscaler."""


class WorkersReplica:
    """Starts and stops its tasks with the replica. Its only call is `ping`."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        connect: Callable[..., Awaitable[ConnectedWorker]],
        *handles: Any,  # noqa: ANN401
    ) -> None:
        """Wire the worker and start its tasks.

        Args:
            connect: wires the worker in its own process; from the composition root.
            handles: the Serve DeploymentHandles that it calls; they exist only inside a replica.
        """
        self._connected = await connect(*handles)
        self._tasks = [asyncio.create_task(work(), name=work.__qualname__) for work in self._connected.work]

    async def ping(self) -> None:
        """Answer, which shows that the process and its event loop run."""

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What Serve's autoscaler asks for every few seconds, where there is one; see `scaling`."""
        return {} if self._connected.demand is None else {DEMAND: await self._connected.demand()}

    async def check_health(self) -> None:
        """Serve calls this every few seconds and replaces a replica that raises or does not answer.

        Raises:
            WorkStopped: a task has ended. Outages of Postgres do not end tasks.
        """
        for task in self._tasks:
            if task.done():
                cause = None if task.cancelled() else task.exception()
                raise WorkStopped(f"{task.get_name()} has ended.") from cause

    async def __del__(self) -> None:
        """Stop the worker; Serve awaits this once, on the replica's event loop."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            if late:
                log.warning("%d tasks have not stopped within %g s; their leases expire", len(late), STOP_S)
        await self._connected.close()


def holder_name() -> str:
    """The name of this process in the table of leases: host (in Kubernetes the pod) and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"
