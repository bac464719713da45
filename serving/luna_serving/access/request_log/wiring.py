"""Wires the request log to Postgres."""

from collections.abc import Callable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.credentials import Credential
from luna_serving.access.request_log.log import RequestLog
from luna_serving.access.request_log.metrics import RequestLogMetrics
from luna_serving.access.request_log.rows import Rows
from luna_serving.settings.records import RequestsSettings
from luna_store.requests.writing import write

PROBES: Final = frozenset(
    {"/health", "/health/live", "/health/ready", "/health/detailed", "/health/system", "/liveness", "/readiness"}
    | {"/metrics"}
)
"""Routes of machines that ask every few seconds; nobody's calls."""


def request_log(
    engine: AsyncEngine,
    owner_of: Callable[[Credential], int | None],
    registry: CollectorRegistry,
    settings: RequestsSettings,
) -> RequestLog | None:
    """The request log of an ingress replica, begun on the running loop; None where it is off.

    Args:
        engine: of the replica.
        owner_of: the account of a credential that was recognised before.
        registry: of the replica's metrics.
        settings: of the log.
    """
    if not settings.log:
        return None
    rows = Rows(owner_of, frozenset() if settings.probes else PROBES)
    log = RequestLog(partial(write, engine), rows, RequestLogMetrics(registry), settings)
    log.start()
    return log
