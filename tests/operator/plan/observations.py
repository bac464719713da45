"""Any observation that can be made, within what the API server and the tables let through."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from tests.operator.plan.accounts import DAY, HOUR, NOW, STRANGER, account, holds, key, row_of, tier, unmade

from luna_operator.plan.observation import ABSENT, Observation
from luna_operator.resources.account import format_time
from luna_operator.resources.names import FINALIZER
from luna_store.people.roles import Role
from luna_store.quota.windows import QuotaWindow

# Close to now, so that boundaries are met.
around_now = st.sampled_from([-400 * DAY, -DAY, -HOUR, -timedelta(seconds=1), timedelta(), HOUR, DAY, 400 * DAY])
instants = around_now.map(lambda distance: NOW + distance)
requests = st.sampled_from([None, "2026-11-20T12:00:00Z", "2026-11-21T08:00:00Z"])

PEOPLE = [
    {"email": "ada@example.com", "role": "admin"},
    {"email": "alan@example.com"},
    {"email": "grace@example.com", "role": "viewer"},
    {"email": "no address@example.com"},
]
memberships = st.dictionaries(st.sampled_from(["ada@example.com", "eve@example.com"]), st.sampled_from(Role))
quotas = st.fixed_dictionaries(
    {}, optional={"limit": st.sampled_from([0, 7, 500]), "window": st.sampled_from(list(QuotaWindow))}
)
api_keys = st.fixed_dictionaries(
    {},
    optional={
        "rotationInterval": st.sampled_from(["0s", "1m", "1h", "24h", "2160h"]),
        "rotationOverlap": st.sampled_from(["0s", "1s", "59s"]),
        "rotationRequestedAt": requests,
    },
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "tier": st.just("pro"),
        "quota": quotas,
        "suspended": st.booleans(),
        "expiresAt": instants.map(format_time),
        "apiKey": api_keys,
        "members": st.lists(st.sampled_from(PEOPLE), unique_by=lambda member: member["email"]),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "allowedModels": st.just(["local_level", "arima"]),
    },
)
metadata = st.fixed_dictionaries(
    {"finalizers": st.sampled_from([[], [FINALIZER], ["example.com/other"], ["example.com/other", FINALIZER]])},
    optional={"deletionTimestamp": st.just("2026-11-21T08:59:59Z")},
)


@st.composite
def key_rows(draw: st.DrawFn) -> tuple[Any, ...]:
    """Live keys of one account, the newest first; also such as no healthy run leaves behind."""
    ages = sorted(draw(st.lists(st.sampled_from([timedelta(), HOUR, DAY, 91 * DAY]), max_size=3)))
    return tuple(
        key(
            f"luna_Key{number:05}",
            age=age,
            pending=draw(st.booleans()),
            expires_at=draw(st.sampled_from([None, NOW + timedelta(seconds=1), NOW + HOUR])),
            rotation_requested_at=draw(st.sampled_from([None, NOW - HOUR])),
        )
        for number, age in enumerate(ages)
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """An account in any state, its key policy, stores and Secret."""
    resource = account(draw(specs), **draw(metadata))
    granted = draw(st.none() | quotas.map(lambda quota: tier({"quota": quota}))) if resource.tier else None
    seen = unmade(resource, tier=granted)
    keys = draw(key_rows())
    if draw(st.booleans()):
        started = draw(st.sampled_from([NOW - 2 * DAY, NOW.replace(hour=0), NOW.replace(day=1, hour=0)]))
        row = row_of(seen.desired, *keys, quota_used=draw(st.sampled_from([0, 7, 900])), window_started_at=started)
        drift = draw(st.sampled_from([{}, {"cache_stale": True}, {"quota_limit": 8}, {"state": "revoked"}]))
        seen = replace(seen, row=replace(row, **drift), cache_drifted=draw(st.booleans()))
        seen = replace(seen, members=draw(st.just(resource.members.roles) | memberships))
    held = draw(st.sampled_from([None, *(k.prefix for k in seen.row.keys)])) if seen.row else None
    ours = holds(held, in_order=seen.row is not None and draw(st.booleans()))
    return replace(seen, secret=draw(st.sampled_from([ABSENT, STRANGER, ours, ours, ours])))
