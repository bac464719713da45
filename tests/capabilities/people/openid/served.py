"""An ingress replica without Ray, as a process: what these tests need of Luna, ready in two seconds.

It wires what `luna_serving.wiring` wires in a replica of Serve. `test_whole_luna.py` goes through `luna up`.
"""

import asyncio
import os
import sys
from typing import Any

import uvicorn

from luna_serving.capabilities.account.capability import ACCOUNT
from luna_serving.capabilities.people.capability import PEOPLE
from luna_serving.edge.middleware import ServeErrorsAsProblems
from luna_serving.settings import read_settings
from luna_serving.wiring import connect


class Handle:
    """A deployment that these tests do not run."""

    @property
    def report(self) -> "Handle":
        return self

    ping = render = report

    async def remote(self, *_: Any) -> bytes:
        return b""


async def serve(port: int) -> None:
    capabilities = (ACCOUNT, PEOPLE)
    settings = read_settings({each.name: each.settings for each in capabilities})
    connected = await connect(capabilities, settings, Handle(), {}, {}, Handle())
    app = ServeErrorsAsProblems(connected.edge)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    try:
        await server.serve()
    finally:
        await connected.close()


if __name__ == "__main__":
    os.environ.setdefault("LUNA_EDGE_PUBLIC_URL", f"http://127.0.0.1:{sys.argv[1]}")
    asyncio.run(serve(int(sys.argv[1])))
