"""Kopf's handlers: which resources to watch, and where their events go. They decide nothing.

The handlers take raw events only (`kopf.on.event`): Kopf then keeps no annotations or progress on the resources, and a
restarted operator writes nothing where nothing changed. What Kopf's state handlers would add (finalizers, retries,
resuming) is level-triggered here, see docs/decisions/0015.
"""

from typing import Any

import kopf

from luna_operator.kube.client import PAGE
from luna_operator.reconcile.watch_events import WatchEvents
from luna_operator.resources.names import GROUP, VERSION


def register(registry: kopf.OperatorRegistry, watch_events: WatchEvents, probe: Any) -> None:  # noqa: ANN401  a callable of Kopf's
    """Connect Kopf's events with the operator."""

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401
        return kopf.login_with_service_account(**kwargs) or kopf.login_via_client(**kwargs)

    @kopf.on.event(GROUP, VERSION, "accounts", registry=registry)
    async def account(event: Any, **_: Any) -> None:  # noqa: ANN401
        watch_events.account(event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, "tiers", registry=registry)
    async def tier(event: Any, **_: Any) -> None:  # noqa: ANN401
        watch_events.tier(event["type"], event["object"])

    # Otherwise Kopf retries once a minute without end, and /healthz does not answer meanwhile.
    @kopf.on.probe(id="loops", registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    def loops(**_: Any) -> Any:  # noqa: ANN401
        return probe()


def configure(settings: kopf.OperatorSettings) -> None:
    """Configure Kopf: no Events of its own, no peering, no scanning for resources that Luna does not serve."""
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = PAGE
    # Bookmarks come once a minute: a stream without events for longer hangs, and is reopened.
    settings.watching.inactivity_timeout = 90.0
    settings.watching.server_timeout = 600  # whole seconds: it travels in the query
    settings.watching.connect_timeout = 10.0
    # Handlers only record events: one Kopf worker per object would be ten thousand idle tasks.
    settings.queueing.idle_timeout = 0.5
