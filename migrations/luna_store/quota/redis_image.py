"""What Redis should hold of an account, as a pure function of its rows, and whether it does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row

from luna_store.grants import ALL, MODELS, Allowed, names_of
from luna_store.limits import LIMITS, in_force
from luna_store.quota.gcra import interval_us
from luna_store.quota.windows import QuotaWindow, milliseconds, window_end, window_seconds

# Columns of `accounts a` that `Mirror.of` reads, with all the account's keys and its people's live sessions as JSON.
COLUMNS = """
    a.id, a.state, a.expires_at, a.window_started_at, a.quota_window, a.quota_limit, a.quota_used, a.rate_per_second,
    a.rate_burst, a.allowed, a.limits, a.cache_epoch,
    (SELECT coalesce(json_agg(json_build_array(
        k.prefix, k.digest,
        CASE WHEN k.expires_at IS NULL THEN 0 ELSE greatest(1, floor(extract(epoch FROM k.expires_at) * 1000)) END,
        k.revoked_at IS NOT NULL
    )), '[]') FROM api_keys k WHERE k.account_id = a.id) AS keys,
    (SELECT coalesce(json_agg(json_build_array(
        s.principal, floor(extract(epoch FROM s.expires_at) * 1000)
    )), '[]') FROM live_sessions s WHERE s.account_id = a.id) AS sessions
"""

# Resolution of the clock by which Redis expires keys.
CLOCK_TICK = timedelta(milliseconds=1)


class MirroredKey(NamedTuple):
    """A key of the account, valid or ended."""

    prefix: str
    digest: str
    expires_ms: int
    """Unix milliseconds; 0 for never."""
    revoked: bool

    def live(self, now: datetime) -> bool:
        """Whether the key is valid at `now`."""
        return not self.revoked and (self.expires_ms == 0 or self.expires_ms > now.timestamp() * 1000)


class MirroredSession(NamedTuple):
    """A person's session with the account that has not been ended. It has no digest: its tokens are signed."""

    principal: str
    """Names the session and its role."""
    expires_ms: int
    """Unix milliseconds."""


@dataclass(frozen=True, slots=True)
class Held:
    """What Redis holds of an account."""

    fields: Mapping[str, str]
    """The fields of the account's hash."""
    quota: bool
    """Whether there is a number of units left."""
    owners: Sequence[str | None]
    """The account ids of the keys' index entries, in the order of `Mirror.keys`."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """What Redis should hold of an account."""

    account_id: int
    left: int
    """Limit less used, from Postgres."""
    window_started_ms: int
    standing: dict[str, str | int]
    """The fields of the hash, without the keys and sessions."""
    keys: list[MirroredKey]
    sessions: Sequence[MirroredSession] = ()

    @classmethod
    def of(cls, row: Row[Any]) -> "Mirror":
        """Build it from a row with `COLUMNS`."""
        window = QuotaWindow(row.quota_window)
        limits = in_force(row.limits)
        return cls(
            row.id,
            row.quota_limit - row.quota_used,
            milliseconds(row.window_started_at),
            {
                "state": row.state,
                "expires_at": milliseconds(row.expires_at),
                "window_started_at": milliseconds(row.window_started_at),
                "window_ends_at": milliseconds(window_end(window, row.window_started_at)),
                "window_s": window_seconds(window, row.window_started_at),
                "quota_limit": row.quota_limit,
                "interval": interval_us(row.rate_per_second),
                "burst": row.rate_burst,
                "allowed": _json(row.allowed),
                "limits": _json(limits),
                **_for_earlier_release(row.allowed, limits),
                "epoch": row.cache_epoch,
            },
            [MirroredKey(*key) for key in row.keys],
            [MirroredSession(*session) for session in row.sessions],
        )

    def fields(self, now: datetime) -> dict[str, str | int]:
        """The hash, with the keys and sessions that are live at `now`."""
        now_ms = now.timestamp() * 1000
        keys = {f"key:{k.prefix}": f"{k.digest}:{k.expires_ms}" for k in self.keys if k.live(now)}
        sessions = {f"key:{s.principal}": f"0:{s.expires_ms}" for s in self.sessions if s.expires_ms > now_ms}
        return self.standing | keys | sessions

    def agrees(self, held: Held, since: datetime, until: datetime) -> bool:
        """Whether Redis held this when it was read, between two instants of its own clock.

        Fields of a newer release, and keys that ended since, make no difference. The index entry of a key that ends
        meanwhile may be there or not: Redis drops it by itself, to the millisecond.
        """
        wanted = self.fields(since)
        if not held.quota or any(held.fields.get(name) != str(value) for name, value in wanted.items()):
            return False
        around = (since - CLOCK_TICK, until + CLOCK_TICK)
        for key, owner in zip(self.keys, held.owners, strict=True):
            if owner not in {str(self.account_id) if key.live(now) else None for now in around}:
                return False
        more = (held.fields[name] for name in held.fields.keys() - wanted.keys() if name.startswith("key:"))
        return all(_has_ended(value, until) for value in more)


def _json(value: object) -> str:
    """Canonical text: equal values have equal texts, which are compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _for_earlier_release(allowed: Allowed, limits: Mapping[str, int]) -> dict[str, str | int]:
    """The fields that releases before revision 0005 read; to be removed with the old columns."""
    models = names_of(allowed, MODELS)
    return {
        "models": ALL if ALL in models else "\n" + "\n".join(models) + "\n",
        **{each.earlier_hash_field: limits.get(each.name, 0) for each in LIMITS if each.earlier_hash_field},
    }


def _has_ended(key: str, now: datetime) -> bool:
    """Whether the scripts refuse a key as expired: `<digest>:<expiry ms, 0 = none>`."""
    expires_ms = key.rpartition(":")[2]
    return expires_ms.isdecimal() and 0 < int(expires_ms) <= now.timestamp() * 1000
