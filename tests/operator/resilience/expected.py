"""What an Account and its Tier ask for, worked out from the resources alone.

Written from the contract, not with the operator's code: this is what that code is compared with.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

CONDITIONS = ("Ready", "DatabaseSynced", "QuotaSynced", "KeyIssued", "Suspended", "Expired", "QuotaExhausted")

# Per column of the row: the field in the resource, and Luna's default.
_LIMITS: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("quota_limit", ("quota", "limit"), 500),
    ("quota_window", ("quota", "window"), "Lifetime"),
    ("rate_per_second", ("rateLimit", "requestsPerSecond"), 50),
    ("rate_burst", ("rateLimit", "burst"), 100),
    ("allowed_models", ("allowedModels",), ["*"]),
    ("max_series_length", ("limits", "maxSeriesLength"), None),
    ("max_series_per_request", ("limits", "maxSeriesPerRequest"), None),
    ("history_days", ("limits", "historyDays"), None),
)


# Limits that these tests leave alone: Luna's own are in force.
_OTHER_LIMITS = {
    "jobsConcurrent": 4,
    "jobsQueued": 10_000,
    "jobsSeconds": 3_600,
    "jobsResultBytes": 64 * 1024**2,
    "jobsWeight": 1,
    "jobsResultDays": 30,
    "datasetsStoredBytes": 10 * 1024**3,
    "alertsRules": 1_000,
    "metricsActiveSeries": 100_000,
    "metricsSamplesPerSecond": 100_000,
    "metricsLabels": 30,
    "metricsQuerySamples": 10_000_000,
    "metricsRetentionDays": 90,
}


def limits(spec: dict[str, Any], tier: dict[str, Any] | None) -> dict[str, Any]:
    """The Account's field, else its Tier's, else Luna's own; by the columns of `accounts`."""
    found = {}
    for column, path, default in _LIMITS:
        own, given = _at(spec, path), _at(tier or {}, path)
        found[column] = own if own is not None else given if given is not None else default
    found["rate_burst"] = max(found["rate_burst"], math.ceil(found["rate_per_second"]))
    found["allowed_models"] = sorted(found["allowed_models"])
    return found


def row(account: dict[str, Any], tier: dict[str, Any] | None) -> dict[str, Any]:
    """The columns of `accounts` that the resources decide."""
    metadata, spec = account["metadata"], account["spec"]
    return {
        "account_name": f"{metadata['namespace']}/{metadata['name']}",
        "display_name": spec.get("displayName", ""),
        "tier": spec.get("tier"),
        "state": "suspended" if spec.get("suspended") else "active",
        "expires_at": instant(spec.get("expiresAt")),
        **limits(spec, tier),
    }


def members(account: dict[str, Any]) -> dict[str, str]:
    """The roles that the resource gives, by address."""
    return {member["email"]: member.get("role", "member") for member in account["spec"].get("members") or ()}


def effective(columns: dict[str, Any]) -> dict[str, Any]:
    """`status.effective`; what is left to the server stays out."""
    own = {
        "maxSeriesLength": columns["max_series_length"],
        "maxSeriesPerRequest": columns["max_series_per_request"],
        "historyDays": columns["history_days"],
    }
    shown = _OTHER_LIMITS | {name: value for name, value in own.items() if value is not None}
    return {
        "quota": {"limit": columns["quota_limit"], "window": columns["quota_window"]},
        "rateLimit": {"requestsPerSecond": columns["rate_per_second"], "burst": columns["rate_burst"]},
        "allowed": {"*": ["*"]} | ({} if columns["allowed_models"] == ["*"] else {"kalman": columns["allowed_models"]}),
        "allowedModels": columns["allowed_models"],
        "limits": shown,
    }


def conditions(account: dict[str, Any], used: int, limit: int, now: datetime) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition of an account without obstacles."""
    spec = account["spec"]
    end = instant(spec.get("expiresAt"))
    suspended, expired = bool(spec.get("suspended")), end is not None and end <= now
    ready = ("False", "Suspended") if suspended else ("False", "Expired") if expired else ("True", "Ready")
    return {
        "Ready": ready,
        "DatabaseSynced": ("True", "Synced"),
        "QuotaSynced": ("True", "Synced"),
        "KeyIssued": ("True", "Issued"),
        "Suspended": ("True", "Requested") if suspended else ("False", "NotRequested"),
        "Expired": ("True", "Expired") if expired else ("False", "NotYet" if end else "NoExpiry"),
        "QuotaExhausted": ("True", "NothingLeft") if used >= limit else ("False", "QuotaLeft"),
    }


def secret_name(account: dict[str, Any]) -> str:
    return account["spec"].get("apiKey", {}).get("secretName") or f"{account['metadata']['name']}-luna-key"


def window_start(window: str, now: datetime) -> datetime | None:
    """When the running window began; None for Lifetime, which began with the account."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"Day": midnight, "Month": midnight.replace(day=1)}.get(window)


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _at(body: dict[str, Any], path: tuple[str, ...]) -> Any:
    for name in path:
        body = (body or {}).get(name)
    return body
