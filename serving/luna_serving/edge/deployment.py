"""The ingress deployment: a replica of the HTTP edge. What it is made of is decided in `luna_serving.app`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from luna_serving.edge.bodies import ASGIApp


@dataclass(frozen=True, slots=True)
class Connected:
    """A wired edge, and what is to be done when its replica stops."""

    edge: ASGIApp
    close: Callable[[], Awaitable[None]]


class IngressReplica:
    """Opens the stores on its own event loop, answers, and closes them when Serve stops it."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        connect: Callable[..., Awaitable[Connected]],
        *handles: Any,  # noqa: ANN401
    ) -> None:
        """Make the edge.

        Args:
            connect: wires the edge; from the composition root.
            handles: what it is wired to: Serve DeploymentHandles, which exist only inside a replica.
        """
        self._connected = await connect(*handles)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Serve asks for the application after the constructor has run."""
        return self._connected.edge

    async def __del__(self) -> None:
        """Serve's destructor: it awaits this once, after the last call, on the replica's own loop."""
        await self._connected.close()
