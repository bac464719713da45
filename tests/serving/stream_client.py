"""A client of a stream for tests: says one thing, hears one answer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.serving.platform import Caller
from websockets.asyncio.client import ClientConnection, connect

LEVEL = {"kind": "local_level", "obs_var": 2.0, "level_var": 0.5}


class Client:
    """One connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await self.connection.recv())
        return heard

    async def tell(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def ask(self, **message: Any) -> dict[str, Any]:
        await self.tell(**message)
        return await self.hear()

    async def open(self, **options: Any) -> str:
        opened = await self.ask(type="open", **({"model": LEVEL} | options))
        assert opened["type"] == "opened", opened
        return str(opened["stream"])

    async def points(self, sequence: int, values: list[Any]) -> dict[str, Any]:
        return await self.ask(type="points", sequence=sequence, values=values)


def socket_url(caller: Caller) -> str:
    return caller.url.replace("http://", "ws://") + "/kalman/stream"


@asynccontextmanager
async def connected(caller: Caller, **headers: str) -> AsyncIterator[Client]:
    async with connect(socket_url(caller), additional_headers={"X-API-Key": caller.key.secret} | headers) as connection:
        yield Client(connection)
