"""GET /metrics for Prometheus and GET /readyz for Kubernetes. Kopf serves liveness on its own port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Ready = Callable[[], Awaitable[str | None]]
"""Why the operator is not ready; None if it is."""


@asynccontextmanager
async def endpoints(registry: CollectorRegistry, ready: Ready, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port, chosen by the system if 0 was given."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def readyz(_: web.Request) -> web.Response:
        reason = await ready()
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/readyz", readyz)])
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
