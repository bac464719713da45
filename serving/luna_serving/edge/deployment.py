"""The ingress deployment: a replica of the HTTP edge. `luna_serving.app` decides its parts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from luna_serving.edge.bodies import ASGIApp


@dataclass(frozen=True, slots=True)
class Connected:
    """A wired edge, with its clean-up for when the replica stops."""

    edge: ASGIApp
    close: Callable[[], Awaitable[None]]


class IngressReplica:
    """Opens the stores on the replica's event loop, serves, and closes them when Serve stops it."""

    _connected: Connected | None = None

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        connect: Callable[..., Awaitable[Connected]],
        *handles: Any,  # noqa: ANN401
    ) -> None:
        """Wire the edge.

        Args:
            connect: wires the edge; from the composition root.
            handles: the Serve DeploymentHandles that it calls; they exist only inside a replica.
        """
        self._connected = await connect(*handles)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The ASGI application; Serve calls this after the constructor."""
        assert self._connected is not None  # noqa: S101  the constructor is done
        return self._connected.edge

    async def __del__(self) -> None:
        """Close the edge; Serve awaits this once, after the last call, on the replica's event loop."""
        # Serve also destroys a replica whose constructor has failed.
        if self._connected is not None:
            await self._connected.close()
