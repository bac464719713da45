"""The `workers` deployment: a replica that does background work. `luna_serving.app` decides what it is wired to."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("luna.workers")

# Runs under way are cancelled and leases released; what takes longer is left to Serve, which kills the process.
STOP_S = 3.0


class WorkStopped(Exception):
    """Background work has ended though nobody stopped it; the replica must be replaced."""


@dataclass(frozen=True, slots=True)
class ConnectedWorker:
    """What a worker does, and what is to be done when its replica stops."""

    work: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
    """Each runs until it is cancelled: `Loops.run`, and whatever else workers do."""
    close: Callable[[], Awaitable[None]]
    """Closes stores and stops the reporter, after all work has ended."""


class WorkersReplica:
    """Starts its work with the replica and stops it with the replica. Takes no calls but `ping`."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        connect: Callable[..., Awaitable[ConnectedWorker]],
        *handles: Any,  # noqa: ANN401
    ) -> None:
        """Wire the worker and start its work.

        Args:
            connect: wires the worker in its own process; from the composition root.
            handles: what it is wired to: Serve DeploymentHandles, which exist only inside a replica.
        """
        self._connected = await connect(*handles)
        self._tasks = [asyncio.create_task(work(), name=work.__qualname__) for work in self._connected.work]

    async def ping(self) -> None:
        """Answer: the process is there and its event loop turns."""

    async def check_health(self) -> None:
        """Serve asks this every few seconds and replaces a replica that raises or does not answer.

        Raises:
            WorkStopped: a piece of work has ended. Outages of Postgres end none.
        """
        for task in self._tasks:
            if task.done():
                cause = None if task.cancelled() else task.exception()
                raise WorkStopped(f"{task.get_name()} has ended.") from cause

    async def __del__(self) -> None:
        """Serve's destructor: it awaits this once, on the replica's own loop."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            if late:
                log.warning("%d tasks have not stopped within %g s; their leases end by themselves", len(late), STOP_S)
        await self._connected.close()


def holder_name() -> str:
    """Names this process in the table of leases, for people: host (in Kubernetes the pod) and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"
