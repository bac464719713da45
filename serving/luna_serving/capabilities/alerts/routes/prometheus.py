"""`/prometheus/api/v1/rules` and `/prometheus/api/v1/alerts`, in Prometheus' format: times RFC 3339, values texts."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.alerts.delivery.payload import rfc3339
from luna_serving.capabilities.alerts.routes.schemas import PrometheusAnswer
from luna_serving.capabilities.alerts.rules.rule import Rule, rule_of
from luna_serving.capabilities.alerts.store.reading import Alerts
from luna_serving.capabilities.alerts.store.records import AlertRecord, to_ms
from luna_serving.capabilities.alerts.store.rules import Rules, StoredRule
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.openapi import refusals
from luna_serving.edge.store_answers import store_answer

STORE: Final = "The store of rules"
JSON: Final = "application/json"
# Prometheus' answer has no pages; Grafana asks for all.
MOST: Final = 10_000
NEVER: Final = "0001-01-01T00:00:00Z"
Names = Annotated[list[str] | None, Query()]


@dataclass(frozen=True, slots=True)
class PrometheusRoutes:
    """The routes, with what they need."""

    authorization: Authorization
    rules: Rules
    alerts: Alerts

    def router(self) -> APIRouter:
        """Build the router."""
        routes = AccountRoutes(
            self.authorization, "prometheus", tags=["alerts"], responses=refusals(401, 403, 422, 503)
        )
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.get(
            "/prometheus/api/v1/rules", summary="Rules, as Prometheus lists them", response_model=PrometheusAnswer
        )
        async def rules(
            own: Own,
            type: Annotated[Literal["alert", "record"] | None, Query()] = None,  # noqa: A002  Prometheus' name
            rule_name: Annotated[list[str] | None, Query(alias="rule_name[]")] = None,
            rule_group: Annotated[list[str] | None, Query(alias="rule_group[]")] = None,
            exclude_alerts: Annotated[bool, Query()] = False,
        ) -> Response:
            stored = await store_answer(self.rules.page(own.account_id, limit=MOST), STORE)
            active = await store_answer(self.alerts.active(own.account_id, limit=MOST), STORE)
            alerts: dict[uuid.UUID, list[AlertRecord]] = defaultdict(list)
            for alert in [] if exclude_alerts else active:
                alerts[alert.rule_id].append(alert)
            groups: dict[str, list[tuple[StoredRule, Rule]]] = defaultdict(list)
            for each in [] if type == "record" else stored:
                rule = rule_of(each.id, own.account_id, each.revision, each.document)
                if (rule_name and rule.name not in rule_name) or (rule_group and rule.group not in rule_group):
                    continue
                groups[rule.group].append((each, rule))
            return _answer({"groups": [_group(name, of, alerts) for name, of in groups.items()]})

        @routes.get(
            "/prometheus/api/v1/alerts", summary="Alerts, as Prometheus lists them", response_model=PrometheusAnswer
        )
        async def alerts(own: Own) -> Response:
            active = await store_answer(self.alerts.active(own.account_id, limit=MOST), STORE)
            return _answer({"alerts": [_alert(each) for each in active]})

        return routes


def _group(
    name: str, rules: Sequence[tuple[StoredRule, Rule]], alerts: Mapping[uuid.UUID, Sequence[AlertRecord]]
) -> dict[str, Any]:
    last = max((stored.last_at for stored, _ in rules if stored.last_at is not None), default=None)
    return {
        "name": name,
        "file": "luna",
        "interval": min(rule.interval_ms for _, rule in rules) / 1000,
        "limit": 0,
        "rules": [_rule(stored, rule, alerts.get(stored.id, ())) for stored, rule in rules],
        "evaluationTime": sum(stored.seconds or 0.0 for stored, _ in rules),
        "lastEvaluation": _time(last),
    }


def _rule(stored: StoredRule, rule: Rule, alerts: Sequence[AlertRecord]) -> dict[str, Any]:
    shown = {
        "state": stored.state,
        "name": rule.name,
        "query": rule.query,
        "duration": rule.holds.for_ms / 1000,
        "keepFiringFor": rule.holds.keep_firing_for_ms / 1000,
        "labels": {name: template.text for name, template in rule.labels.items()},
        "annotations": {name: template.text for name, template in rule.annotations.items()},
        "alerts": [_alert(each) for each in alerts],
        "health": "unknown" if stored.last_at is None else ("err" if stored.error else "ok"),
        "evaluationTime": stored.seconds or 0.0,
        "lastEvaluation": _time(stored.last_at),
        "type": "alerting",
    }
    return shown | ({"lastError": stored.error} if stored.error else {})


def _alert(record: AlertRecord) -> dict[str, Any]:
    kept = record.keep_firing_since_ms
    return {
        "labels": dict(record.labels),
        "annotations": dict(record.annotations),
        "state": record.state,
        "activeAt": rfc3339(record.active_at_ms),
        "value": _number(record.value),
    } | ({"keepFiringSince": rfc3339(kept)} if kept is not None else {})


def _number(value: float) -> str:
    """As Go's `strconv.FormatFloat(value, 'e', -1, 64)`."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")
    digits, exponent = f"{value:.17e}".split("e")
    for precision in range(18):
        if float(text := f"{value:.{precision}e}") == value:
            digits, exponent = text.split("e")
            break
    return f"{digits}e{exponent}"


def _time(instant: datetime | None) -> str:
    return NEVER if instant is None else rfc3339(to_ms(instant))


def _answer(data: dict[str, Any]) -> Response:
    return Response(orjson.dumps({"status": "success", "data": data}), media_type=JSON)
