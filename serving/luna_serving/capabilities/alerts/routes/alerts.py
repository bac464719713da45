"""`/alerts/active`, `/alerts/history`, `/alerts/resolve/{id}`: an account's alerts."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.alerts.delivery.silencing import matchers_of, silenced
from luna_serving.capabilities.alerts.evaluation.evaluator import Announce
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling, all_ended, outcome_of
from luna_serving.capabilities.alerts.routes.instants import Instant
from luna_serving.capabilities.alerts.routes.rules import id_of
from luna_serving.capabilities.alerts.routes.schemas import ActiveAlert, AlertPage, HistoryPage
from luna_serving.capabilities.alerts.rules.rule import rule_of
from luna_serving.capabilities.alerts.store.reading import AlertNotFound, Alerts
from luna_serving.capabilities.alerts.store.records import AlertRecord, shown, to_instant
from luna_serving.capabilities.alerts.store.silences import active_silences
from luna_serving.capabilities.alerts.store.writing import Outcome
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import refusals
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

STORE: Final = "The store of alerts"
JSON: Final = "application/json"
MEANINGS: Final[Meanings] = {AlertNotFound: lambda e: problems.not_found(str(e))}
OLDEST: Final[Cursors[tuple[datetime, uuid.UUID]]] = Cursors("alerts", tuple[AwareDatetime, uuid.UUID])
NEWEST: Final[Cursors[tuple[datetime, uuid.UUID]]] = Cursors("history", tuple[AwareDatetime, uuid.UUID])
OfRule = Annotated[uuid.UUID | None, Query(description="Of this rule alone.")]


@dataclass(frozen=True, slots=True)
class AlertRoutes:
    """The routes, with what they need."""

    authorization: Authorization
    engine: AsyncEngine
    alerts: Alerts
    telling: Telling
    announce: Announce

    def router(self) -> APIRouter:
        """Build the router."""
        routes = AccountRoutes(self.authorization, "alerts", tags=["alerts"], responses=refusals(401, 403, 422, 503))
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.get("/alerts/active", summary="Alerts that are pending or firing", response_model=AlertPage)
        async def active(
            own: Own,
            state: Annotated[Literal["pending", "firing"] | None, Query()] = None,
            rule_id: OfRule = None,
            limit: Limit = PAGE,
            cursor: Cursor = None,
        ) -> Response:
            question = self.alerts.active(
                own.account_id, limit=limit + 1, after=OLDEST.read(cursor), state=state, rule_id=rule_id
            )
            found = await store_answer(question, STORE)
            written = await store_answer(active_silences(self.engine, [own.account_id]), STORE)
            silences = [matchers_of(each) for each in written.get(own.account_id, ())]
            last = found[limit - 1] if len(found) > limit else None
            more = OLDEST.write((to_instant(last.active_at_ms), last.id)) if last is not None else None
            items = [shown(each) | {"silenced": silenced(each.labels, silences)} for each in found[:limit]]
            return _json({"alerts": items, "next_cursor": more})

        @routes.get("/alerts/history", summary="Alerts that fired", response_model=HistoryPage)
        async def history(
            own: Own,
            rule_id: OfRule = None,
            start: Annotated[Instant, Query(description="Fired at this instant or later.")] = None,
            end: Annotated[Instant, Query(description="Fired at this instant or earlier.")] = None,
            limit: Limit = PAGE,
            cursor: Cursor = None,
        ) -> Response:
            if start is not None and end is not None and end < start:
                raise problems.invalid(FieldError("/query/end", "Must not be before start."))
            question = self.alerts.history(
                own.account_id, limit=limit + 1, after=NEWEST.read(cursor), rule_id=rule_id, start=start, end=end
            )
            found = await store_answer(question, STORE)
            last = found[limit - 1] if len(found) > limit else None
            more = NEWEST.write((to_instant(last.fired_at_ms or 0), last.id)) if last is not None else None
            return _json({"items": [_past(each) for each in found[:limit]], "next_cursor": more})

        @routes.post(
            "/alerts/resolve/{alert_id}",
            summary="End an alert by hand",
            description="It may fire again at the next evaluation. One that has ended stays as it is.",
            response_model=ActiveAlert,
            responses=refusals(404),
        )
        async def resolve(own: Own, alert_id: str) -> Response:
            question = self.alerts.resolve(own.account_id, id_of(alert_id, "/path/alert_id"), self._ends)
            record, committed = await store_answer(question, STORE, MEANINGS)
            await self.announce(own.account_id, committed)
            return _json(shown(record))

        return routes

    def _ends(self, alerts: Sequence[AlertRecord], now_ms: int, row: Any) -> Outcome:  # noqa: ANN401
        (alert,) = alerts
        document: Mapping[str, Any] = row.document if row is not None else {"name": alert.name, "expr": "1"}
        rule = rule_of(alert.rule_id, 0, alert.id, document)
        secret = row.webhook_secret if row is not None else None
        ended = all_ended(alerts, now_ms)
        return outcome_of(rule, 0, secret, alerts, ended, now_ms, lambda _: False, self.telling, resolved_by="hand")


def _past(record: AlertRecord) -> dict[str, Any]:
    return shown(record) | {"resolved_at": record.resolved_at_ms, "resolved_by": record.resolved_by}


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type=JSON)
