"""The ingress deployment: a replica of the HTTP edge. What it is made of is decided in `luna_serving.app`."""

from collections.abc import Awaitable, Callable
from typing import Any

from luna_serving.ingress.requests import ASGIApp


class IngressReplica:
    """Opens the stores on its own event loop, then answers."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        connect: Callable[..., Awaitable[ASGIApp]],
        *handles: Any,  # noqa: ANN401
    ) -> None:
        """Make the edge.

        Args:
            connect: wires the edge; from the composition root.
            handles: what it is wired to: Serve DeploymentHandles, which exist only inside a replica.

        """
        self._edge = await connect(*handles)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Serve asks for the application after the constructor has run."""
        return self._edge
