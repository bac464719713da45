"""Uvicorn's WebSocket protocol without compression, whose connections end; and as many open files as are allowed.

permessage-deflate keeps some 40 kB for each connection and compresses each message for each client again; live updates
are small and many. Serve builds the `uvicorn.Config` itself and cannot turn it off.

Uvicorn closes a connection when all that was written has been read. A client that reads nothing, but whose kernel
answers, would keep it for good.
"""

import asyncio
import resource
from typing import Any, Final

import uvicorn.config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# More are of no use to one process, and `hard` may be "unlimited".
MOST_FILES: Final = 2**20


# Seconds in which a client reads what was written before the connection was closed.
LINGER_S: Final = 10.0


class LiveProtocol(WebSocketsSansIOProtocol):
    """Offers no permessage-deflate (RFC 7692); aborts a connection that is closed and not read to its end."""

    def __init__(self, config: uvicorn.Config, *rest: Any, **options: Any) -> None:  # noqa: ANN401  uvicorn's
        """Accept a connection; arguments are uvicorn's."""
        config.ws_per_message_deflate = False
        super().__init__(config, *rest, **options)

    async def run_asgi(self) -> None:
        """Run the application for this connection; uvicorn calls it once."""
        await super().run_asgi()
        if not self.disconnected:
            asyncio.get_running_loop().call_later(LINGER_S, self._abort)

    def keepalive_timeout(self) -> None:
        """Close the connection of a client that answers no ping."""
        super().keepalive_timeout()
        self._abort()

    def _abort(self) -> None:
        if not self.disconnected:
            self.transport.abort()


def install() -> None:
    """Make it the default protocol of uvicorn in this process, and raise the limit on open files."""
    uvicorn.config.WS_PROTOCOLS["auto"] = f"{__name__}:{LiveProtocol.__name__}"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
