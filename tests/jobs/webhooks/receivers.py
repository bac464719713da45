"""Receivers of webhooks: real HTTP servers on loopback that keep what they get and answer as a test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from standardwebhooks.webhooks import Webhook

from luna_serving.local.data_folder.ports import free_port


@dataclass
class Receiver:
    """A server that is up or down."""

    port: int = field(default_factory=free_port)
    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    def verified(self, secret: str, i: int = -1) -> dict[str, object]:
        """A message, as the library of the standard reads it."""
        headers, body = self.got[i]
        message: dict[str, object] = Webhook(secret).verify(body, headers)
        return message

    async def up(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls).start()

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, body))
        # As it was when the message came: a test that waits for a message changes it for the next one.
        status, headers = self.status, self.headers
        await asyncio.sleep(self.delay_s)
        return web.Response(status=status, headers=headers, body=b"thanks")


@asynccontextmanager
async def receiver(**options: object) -> AsyncIterator[Receiver]:
    made = Receiver(**options)
    await made.up()
    try:
        yield made
    finally:
        await made.down()


async def until(claim: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110  what is waited for sets no Event
            await asyncio.sleep(0.01)


async def eventually(ask: Callable[[], Awaitable[object]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await ask():  # noqa: ASYNC110  what is waited for is in Postgres
            await asyncio.sleep(0.02)
