"""The bodies of messages: to webhooks Standard Webhooks with Alertmanager's data, to Alertmanagers their API v2."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from luna_serving.capabilities.alerts.delivery.notices import Notice
from luna_serving.capabilities.alerts.store.records import AlertRecord, number, to_instant

# What Alertmanager sends as the end of an alert that fires (Go's zero time).
NO_END: Final = "0001-01-01T00:00:00Z"
FINGERPRINT_HEX: Final = 16


def rfc3339(milliseconds: int) -> str:
    """An instant as Alertmanager writes it."""
    return to_instant(milliseconds).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def webhook_body(rule_id: uuid.UUID, name: str, found: Sequence[Notice], at_ms: int, external_url: str) -> bytes:
    """The message of one evaluation of a rule."""
    alerts = [_shown(each, external_url) for each in found]
    status = "firing" if any(each["status"] == "firing" for each in alerts) else "resolved"
    reminder = all(each.reminder for each in found)
    message = {
        "type": "alert.reminder" if reminder else f"alert.{status}",
        "timestamp": rfc3339(at_ms),
        "data": {
            "version": "4",
            "receiver": "webhook",
            "rule_id": str(rule_id),
            "groupKey": str(rule_id),
            "status": status,
            "groupLabels": {"alertname": name},
            "commonLabels": _common([each.alert.labels for each in found]),
            "commonAnnotations": _common([each.alert.annotations for each in found]),
            "externalURL": external_url,
            "truncatedAlerts": 0,
            "alerts": alerts,
        },
    }
    return orjson.dumps(message)


def _shown(notice: Notice, external_url: str) -> dict[str, Any]:
    alert = notice.alert
    ended = alert.resolved_at_ms
    started = alert.fired_at_ms if alert.fired_at_ms is not None else alert.active_at_ms
    return {
        "id": str(alert.id),
        "status": "firing" if ended is None else "resolved",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "value": number(alert.value),
        "startsAt": rfc3339(started),
        "endsAt": NO_END if ended is None else rfc3339(ended),
        "generatorURL": external_url,
        "fingerprint": notice.fingerprint.hex()[:FINGERPRINT_HEX],
    }


def _common(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *rest = texts
    return {name: text for name, text in first.items() if all(each.get(name) == text for each in rest)}


def alertmanager_body(alerts: Sequence[AlertRecord], now: datetime, external_url: str) -> bytes:
    """`POST /api/v2/alerts`: as Prometheus sends them (notifier, `Alert`)."""
    now_ms = int(now.timestamp() * 1000)
    return orjson.dumps(
        [
            {
                "labels": dict(each.labels),
                "annotations": dict(each.annotations),
                "startsAt": rfc3339(each.fired_at_ms if each.fired_at_ms is not None else each.active_at_ms),
                "endsAt": rfc3339(each.resolved_at_ms if each.resolved_at_ms is not None else now_ms + each.valid_ms),
                "generatorURL": external_url,
            }
            for each in alerts
        ]
    )
