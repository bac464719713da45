"""Routes for those who run Luna: health and metrics. They need no key and tell no secret."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from luna_serving.ingress import problems
from luna_serving.ingress.health import Health
from luna_serving.ingress.metrics_deployment import Reporter

T = TypeVar("T", bound=Callable[..., Any])


def router(health: Health, reporter: Reporter, facts: Callable[[], dict[str, Any]]) -> APIRouter:
    """Build the routes.

    Args:
        health: the dependencies.
        reporter: the way to the whole application's metrics.
        facts: what /health/detailed adds.
    """
    routes = APIRouter(tags=["operations"])

    def health_route(path: str, summary: str) -> Callable[[T], T]:
        """A route that answers GET and HEAD: load balancers ask for the head alone."""

        def register(handler: T) -> T:
            # First the one that answers, then the one that the OpenAPI document shows.
            routes.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)(handler)
            routes.get(path, summary=summary)(handler)
            return handler

        return register

    @health_route("/health", "Does it answer?")
    @health_route("/health/live", "Is the process alive?")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @health_route("/health/ready", "Can it serve calls?")
    async def ready() -> dict[str, str]:
        checkup = await health.check()
        if not checkup.ready:
            down = [name for name, state in checkup.states.items() if state == "down"]
            raise problems.dependencies_gone(" and ".join(down))
        return {"status": "ok"}

    @health_route("/health/detailed", "What does it stand on?")
    async def detailed() -> dict[str, Any]:
        checkup = await health.check()
        return {"status": "ok" if checkup.ready else "unavailable", "dependencies": checkup.states, **facts()}

    @routes.get("/metrics", summary="Metrics of the whole application, for Prometheus")
    async def metrics() -> Response:
        return Response(await reporter.render(), media_type=CONTENT_TYPE_LATEST)

    return routes
