"""Accounts, Tiers, rows and keys to decide about: parsed from bodies as the API server sends them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from luna_operator.plan.observation import ABSENT, Observation, Ownership, SecretFacts
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import FINALIZER
from luna_operator.resources.tier import TierResource
from luna_store.accounts.provisioning import AccountRow, DesiredAccount, KeyRow

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
UID = uuid.UUID("0a1b2c3d-0000-4000-8000-000000000001")
ACCOUNT_ID = 42

CURRENT, OLDER, PENDING = "luna_Current0", "luna_Older000", "luna_Pending0"


def body(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """An Account as the API server sends it."""
    known = {"name": "acme", "namespace": "team-acme", "uid": str(UID), "resourceVersion": "100", "generation": 1}
    return {
        "apiVersion": "luna.dev/v1",
        "kind": "Account",
        "metadata": {"finalizers": [FINALIZER], **known, **metadata},
        "spec": spec or {},
    }


def account(
    spec: dict[str, Any] | None = None, *, status: dict[str, Any] | None = None, **metadata: Any
) -> AccountResource:
    """A parsed Account; one that is finalized unless `finalizers` says otherwise."""
    return AccountResource.parse({**body(spec, **metadata), "status": status or {}})


def deleted(spec: dict[str, Any] | None = None, **metadata: Any) -> AccountResource:
    """An Account that somebody deletes."""
    return account(spec, deletionTimestamp="2026-11-21T08:59:59Z", **metadata)


def tier(spec: dict[str, Any] | None = None, name: str = "pro", version: int = 10) -> TierResource:
    """A parsed Tier."""
    metadata = {"name": name, "resourceVersion": str(version), "generation": 1}
    return TierResource.parse({"metadata": metadata, "spec": spec or {}})


def key(prefix: str = CURRENT, *, age: timedelta = DAY, **changes: Any) -> KeyRow:
    """A live key; the current one unless it is `pending`, or ends (`expires_at`)."""
    made = KeyRow(
        prefix=prefix,
        digest=f"digest of {prefix}",
        pepper_id="test",
        created_at=NOW - age,
        expires_at=None,
        pending=False,
        rotation_requested_at=None,
    )
    return replace(made, **changes)


def row_of(desired: DesiredAccount, *keys: KeyRow, **changes: Any) -> AccountRow:
    """A row that is as desired, with these keys, the newest first."""
    columns = desired.columns() | {
        "quota_window": desired.quota_window,
        "id": ACCOUNT_ID,
        "quota_used": 0,
        "window_started_at": BEGINNING,
        "cache_stale": False,
        "keys": keys,
    }
    return AccountRow(**columns | changes)


def holds(prefix: str | None, *, in_order: bool = True) -> SecretFacts:
    """Our Secret with this key in it."""
    return SecretFacts(Ownership.OURS, prefix, in_order)


STRANGER = SecretFacts(Ownership.STRANGER)


def unmade(resource: AccountResource | None = None, **seen: Any) -> Observation:
    """An Account of which nothing is made yet."""
    given = {"account": resource or account(), "tier": None, "row": None, "secret": ABSENT, "now": NOW}
    return Observation(**given | seen)


def settled(resource: AccountResource | None = None, *keys: KeyRow, **seen: Any) -> Observation:
    """An Account that is as specified, with a current key in its Secret; `seen` and `row_changes` say what is not."""
    changes = seen.pop("row_changes", {})
    bare = unmade(resource, **{name: value for name, value in seen.items() if name in {"tier", "now"}})
    row = row_of(bare.desired, *(keys or (key(),)), **changes)
    current = next((k for k in row.keys if k.current), None)
    return replace(bare, **{"row": row, "secret": holds(current.prefix if current else None), **seen})
