"""All that Kopf sees: which resources to watch and whom to tell. Whatever is decided, is decided elsewhere.

Only raw events are taken (`kopf.on.event`): Kopf then keeps no annotations or progress on the resources, and an
operator that is started again writes nothing where nothing changed. What Kopf's state handlers would add (finalizers,
retries, resuming) is level-triggered here, see docs/decisions/0015.
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

    # Else Kopf tries again after a minute, for as long as it takes, and /healthz answers nothing meanwhile.
    @kopf.on.probe(id="loops", registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    def loops(**_: Any) -> Any:  # noqa: ANN401
        return probe()


def configure(settings: kopf.OperatorSettings) -> None:
    """Kopf as we want it: no posts of its own, no peering, no scanning for resources that we do not serve."""
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = PAGE
    # Bookmarks come once a minute: a stream without any event for longer hangs, and is opened anew.
    settings.watching.inactivity_timeout = 90.0
    settings.watching.server_timeout = 600  # whole seconds: it travels in the query
    settings.watching.connect_timeout = 10.0
    # An event is only noted: a worker of Kopf's for each object would be ten thousand idle tasks.
    settings.queueing.idle_timeout = 0.5
