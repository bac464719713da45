"""Kubernetes Events about Accounts (events.k8s.io/v1), shown by `kubectl describe`."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from luna_operator.kube.client import ApiServer
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import API_VERSION, FIELD_MANAGER

# The API refuses longer notes.
NOTE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class KubeEvent:
    """Something that happened to an Account."""

    type: Literal["Normal", "Warning"]
    reason: str
    """What happened, CamelCase."""
    action: str
    """What the operator was doing, CamelCase."""
    note: str


def event_manifest(event: KubeEvent, account: AccountResource, *, instance: str, now: datetime) -> dict[str, Any]:
    """The manifest of an Event; a note past `NOTE_BYTES` is cut."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            # A part of a name must not end with a separator.
            "name": f"{account.key.name[:200].rstrip('-.')}.{secrets.token_hex(8)}",
            "namespace": account.key.namespace,
        },
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": event.note.encode()[:NOTE_BYTES].decode(errors="ignore"),
        "reportingController": f"luna.dev/{FIELD_MANAGER}",
        "reportingInstance": instance[:128],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": "Account",
            "namespace": account.key.namespace,
            "name": account.key.name,
            "uid": str(account.uid),
        },
    }


class Events:
    """Posts Events."""

    def __init__(self, api: ApiServer, instance: str) -> None:
        self._api = api
        self._instance = instance

    async def post(self, event: KubeEvent, account: AccountResource) -> None:
        """Post an Event; raises the errors of `kube.client`."""
        body = event_manifest(event, account, instance=self._instance, now=datetime.now(UTC))
        await self._api.create(f"/apis/events.k8s.io/v1/namespaces/{account.key.namespace}/events", body)
