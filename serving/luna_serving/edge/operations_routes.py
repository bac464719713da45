"""Routes for administrators: health and metrics. They need no key and show no secret."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from luna_serving.edge.openapi import refusals
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.health import Health
from luna_serving.wire import problems


def router(health: Health, reporter: Reporter, facts: Callable[[], dict[str, Any]]) -> APIRouter:
    """Build the routes.

    Args:
        health: checks the dependencies.
        reporter: collects the metrics of the application.
        facts: what /health/detailed adds.
    """
    routes = APIRouter(tags=["operations"])

    @routes.get("/health", summary="Does it answer?")
    @routes.get("/health/live", summary="Is the process alive?")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/health/ready", summary="Can it serve calls?", responses=refusals(503))
    async def ready() -> dict[str, str]:
        checkup = await health.check()
        if not checkup.ready:
            down = [name for name, state in checkup.states.items() if state == "down"]
            raise problems.dependencies_gone(" and ".join(down))
        return {"status": "ok"}

    @routes.get("/health/detailed", summary="What does it stand on?")
    async def detailed() -> dict[str, Any]:
        checkup = await health.check()
        return {"status": "ok" if checkup.ready else "unavailable", "dependencies": checkup.states, **facts()}

    @routes.get(
        "/metrics",
        summary="Metrics of the whole application, for Prometheus",
        response_class=Response,
        responses={200: {"content": {CONTENT_TYPE_LATEST.partition(";")[0]: {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(await reporter.render(), media_type=CONTENT_TYPE_LATEST)

    return routes
