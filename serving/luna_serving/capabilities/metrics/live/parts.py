"""What the capability serves of live updates."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter

from luna_serving.capabilities.contract import Platform
from luna_serving.capabilities.metrics.live import stream
from luna_serving.capabilities.metrics.live.limits import ConnectionLimit
from luna_serving.edge.sockets import SocketRoute
from luna_serving.live.admission import Admission
from luna_serving.live.hub import Hub
from luna_serving.live.metrics import LiveMetrics
from luna_serving.live.ports import AlertLog, Present
from luna_serving.live.session import LiveService
from luna_serving.samples.client import READING
from luna_store.people.roles import Role

SOCKET: Final = "ws/metrics"


@dataclass(frozen=True, slots=True)
class LiveParts:
    """Routes, for the capability's `Routes`."""

    routers: tuple[APIRouter, ...]
    sockets: tuple[SocketRoute, ...]
    closing: tuple[Callable[[], Awaitable[None]], ...]


def live_parts(
    platform: Platform, present: Present, alerts: AlertLog, *, most_series: int, most_connections: int
) -> LiveParts:
    """Wire live updates in an ingress replica.

    Args:
        platform: of the replica.
        present: present values: `present.ShardPresent(samples)`.
        alerts: the log of alerts: `platform.alert_log`.
        most_series: that one subscription may match.
        most_connections: of one account on this replica; the account's own limit can lower it.
    """
    metrics = LiveMetrics(platform.registry)
    hub = Hub(platform.redis, present, alerts, metrics, most_series=most_series)
    service = LiveService(hub, Admission(platform.authorization), metrics, most_series)
    limit = ConnectionLimit(hub, most_connections, platform.settings.edge.max_sockets)
    router = stream.router(platform.authorization, service, limit, platform.settings.edge.request_timeout_s)
    socket = SocketRoute(SOCKET, service.serve, least=Role.VIEWER, grant=READING, admit=limit.admit)
    return LiveParts((router,), (socket,), (service.admission.close, hub.close))
