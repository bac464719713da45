"""Routes for administrators: health and metrics. They need no key and show no secret."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from luna_serving.edge.openapi import refusals
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.health import Health
from luna_serving.wire import problems


class Cpu(BaseModel):
    """Of the machine, as this process may use it."""

    cores: float = Field(description="That this process may use: the container's limit, if there is one.")
    used_percent: float = Field(description="Of all cores, since the last such answer of this replica.")
    load_average_1m: float


class Memory(BaseModel):
    """Of the machine and of this process."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None = Field(description="The container's; null where there is none.")
    process_bytes: int = Field(description="That this ingress replica holds.")


class Disk(BaseModel):
    """The disk of the data folder; in a cluster, of temporary files and logs."""

    total_bytes: int
    free_bytes: int


class Replicas(BaseModel):
    """One deployment."""

    running: int = Field(description="Replicas that have reported in the last 15 s.")
    capabilities: list[str] = Field(description="What it computes for.")
    device: str | None = Field(description="What one of them computes on: cpu, or the name of the GPU; null: unknown.")


class SystemAnswer(BaseModel):
    """What it runs on."""

    status: str = Field(description="ok, or unavailable where calls cannot be served.")
    uptime_s: float = Field(description="Of this ingress replica.")
    versions: dict[str, str]
    cpu: Cpu
    memory: Memory
    disk: Disk | None
    replicas: dict[str, Replicas] | None = Field(description="By deployment; null: they cannot be counted right now.")


METRICS_FORM: Final = CONTENT_TYPE_LATEST.partition(";")[0]


class TextMetrics(Response):
    """Prometheus' text format."""

    media_type = METRICS_FORM


def router(
    health: Health,
    reporter: Reporter,
    facts: Callable[[], dict[str, Any]],
    system: Callable[[], Awaitable[dict[str, Any]]],
) -> APIRouter:
    """Build the routes.

    Args:
        health: checks the dependencies.
        reporter: collects the metrics of the application.
        facts: what /health/detailed adds.
        system: what /health/system adds to the status.
    """
    routes = APIRouter(tags=["operations"])

    # The document lists them from the last one up.
    @routes.get("/liveness", summary="Is the process alive? As /health/live")
    @routes.get("/health/live", summary="Is the process alive?")
    @routes.get("/health", summary="Does it answer?")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readiness", summary="Can it serve calls? As /health/ready", responses=refusals(503))
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

    @routes.get("/health/system", summary="What does it run on?")
    async def of_system() -> SystemAnswer:
        checkup = await health.check()
        return SystemAnswer(status="ok" if checkup.ready else "unavailable", **await system())

    @routes.get(
        "/metrics",
        summary="Metrics of the whole application, for Prometheus",
        response_class=TextMetrics,
        responses={200: {"content": {METRICS_FORM: {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(await reporter.render(), media_type=CONTENT_TYPE_LATEST)

    return routes
