"""The limit: parse the body with orjson and write it back, on bare starlette and uvicorn.

No validation, no key, no quota, no filter, and half of the other two's answer. What one process of the same
HTTP stack can move at best: Luna's distance to it is what everything else costs.
"""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def echo(request: Request) -> Response:
    """Answer with the parsed body, printed again."""
    return Response(orjson.dumps(orjson.loads(await request.body())), media_type="application/json")


async def ready(_request: Request) -> Response:
    """Answer at once: there is nothing to wait for."""
    return Response(b'{"status":"ready"}', media_type="application/json")


app = Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/health/ready", ready)])
