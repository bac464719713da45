"""`GET /metrics/live`: live updates as server-sent events."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.metrics.live.limits import ConnectionLimit
from luna_serving.edge.account_scope import AccountRoutes, Owner, needs
from luna_serving.edge.bodies import header_map
from luna_serving.edge.event_stream import OPENAPI, EventStream
from luna_serving.edge.openapi import refusals
from luna_serving.live import protocol
from luna_serving.live.admission import Admitted
from luna_serving.live.events import Events
from luna_serving.live.selectors import LONGEST
from luna_serving.live.session import LiveService
from luna_serving.live.subscribers import DEFAULT_RATE, HIGHEST_RATE, LOWEST_RATE
from luna_serving.samples.client import READING
from luna_store.people.roles import Role

PATH: Final = "/metrics/live"
LABEL: Final = "metrics/live"
DESCRIPTION: Final = (
    "Server-sent events: `subscribed`, then `update` with the series that have changed and their last samples, and "
    "`alert`. The first update has the present values. The id `<epoch>:<seq>` resumes the stream: no alert is lost. "
    "A comment comes every 15 s. Costs nothing. The same messages as the WebSocket `/ws/metrics`."
)
ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Events.", "content": dict(OPENAPI)},
    **refusals(401, 403, 404, 422, 429, 503),
}
Selectors = Annotated[
    list[Annotated[str, Query(max_length=LONGEST)]] | None,
    Query(max_length=protocol.MOST_SELECTORS, description='PromQL vector selectors, such as `cpu{host="a"}`.'),
]
Rate = Annotated[
    float, Query(ge=LOWEST_RATE, le=HIGHEST_RATE, description="Updates per second at most.", allow_inf_nan=False)
]
Alerts = Annotated[bool, Query(description="Whether changes of alerts are sent.")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="The id of the last event that came.")]
LastEventParameter = Annotated[
    str | None, Query(max_length=96, description="The same, for clients that cannot set the header.")
]


def router(authorization: Authorization, service: LiveService, limit: ConnectionLimit, stall_s: float) -> APIRouter:
    """Build the route.

    Args:
        authorization: recognises callers.
        service: of the connections.
        limit: on the account's connections.
        stall_s: seconds that a caller may read nothing.
    """
    routes = AccountRoutes(authorization, LABEL, tags=["metrics"], responses=refusals(401, 403, 404, 422, 429, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(
        PATH,
        summary="Live updates as server-sent events",
        description=DESCRIPTION,
        status_code=200,
        response_class=EventStream,
        responses=ANSWER,
        openapi_extra=needs(Role.VIEWER, grant=READING),
    )
    async def live(
        request: Request,
        own: Own,
        selector: Selectors = None,
        rate: Rate = DEFAULT_RATE,
        alerts: Alerts = True,
        last_event_id: LastEventParameter = None,
        last_id: LastEventId = None,
    ) -> Response:
        place = read_last_id(last_id, last_event_id)
        wanted = protocol.wanted(selector or (), rate, alerts=alerts, place=place, pointer="/query/selector")
        limit.admit(own.account_id, own.standing)
        subscriber = service.hub.connect(own.account_id)
        try:
            await service.subscribe(subscriber, wanted)
        except BaseException:
            service.hub.leave(subscriber)
            raise
        headers = header_map(request.scope)
        admitted = Admitted(subscriber, lambda: authorization.read(headers))
        return EventStream(Events(service, admitted), stall_s=stall_s)

    return routes


def read_last_id(header: str | None, parameter: str | None) -> tuple[str, int] | None:
    """The place after which a caller goes on; the header wins.

    Raises:
        Problem: 422.
    """
    sent, pointer = (parameter, "/query/last_event_id") if header is None else (header, "/header/last-event-id")
    return None if sent is None or not sent.strip() else protocol.read_place(sent, pointer)
