"""The complete status of an Account; equal to its present one if nothing changed."""

from datetime import timedelta
from typing import Any

from luna_operator.plan.conditions import conditions_of, render
from luna_operator.plan.observation import Observation
from luna_operator.plan.obstacles import Obstacle
from luna_operator.plan.usage import next_usage
from luna_operator.resources.account import format_time
from luna_operator.resources.limits import EffectiveLimits
from luna_store import limits
from luna_store.accounts.desired import AccountRow
from luna_store.grants import MODELS, names_of


def status_of(seen: Observation, obstacle: Obstacle | None, usage_max_age: timedelta) -> dict[str, Any]:
    """The status after the steps of a plan were taken, or after `obstacle` stopped one of them."""
    before, account, row = seen.account.status, seen.account, seen.row
    status: dict[str, Any] = {
        "observedGeneration": account.generation,
        "secretName": account.api_key.secret_name,
        "effective": _effective(seen.limits),
        "conditions": render(
            conditions_of(seen, obstacle), before.get("conditions") or (), account.generation, seen.now
        ),
    }
    if seen.tier_missing:
        # The limits of a missing Tier are unknown; the previous ones stay in effect.
        status["effective"] = before.get("effective")
    if row is None:
        # Not made yet, or Postgres is unreachable: keep what the status says.
        status |= {name: before[name] for name in ("accountId", "keys", "usage") if name in before}
    else:
        status["accountId"] = row.id
        status["keys"] = _keys(row)
        status["usage"] = next_usage(before.get("usage"), row, seen.now, usage_max_age)
    return dict(_without_nulls(status))


def patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON merge patch (RFC 7386) from one status to the other; None if they are equal."""
    return _merge_patch(_without_nulls(before), after) or None


def _merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := _merge_patch(old, value):
                changed[name] = inner
        elif value != old:
            changed[name] = value
    return changed


def _keys(row: AccountRow) -> list[dict[str, Any]]:
    return [
        {
            "prefix": key.prefix,
            "createdAt": format_time(key.created_at),
            "expiresAt": format_time(key.expires_at),
            "state": "Active" if key.current else "Retiring",
        }
        for key in row.keys
        if not key.pending
    ]


def _effective(holds: EffectiveLimits) -> dict[str, Any]:
    own = limits.in_force(holds.limits)
    return {
        "quota": {"limit": holds.quota_limit, "window": holds.quota_window.value},
        "rateLimit": {"requestsPerSecond": _number(holds.rate_per_second), "burst": holds.rate_burst},
        "allowed": {capability: list(names) for capability, names in holds.allowed.items()},
        "allowedModels": names_of(holds.allowed, MODELS),
        "limits": {limit.field: own[limit.name] for limit in limits.LIMITS if limit.name in own},
    }


def _number(value: float) -> float:
    """50 rather than 50.0: the API server returns 50.0 as 50, which would differ at every comparison."""
    return int(value) if value == int(value) else value


def _without_nulls(value: Any) -> Any:  # noqa: ANN401  JSON
    """Without nulls, which the API server drops, and without empty objects, which it keeps: for comparisons."""
    if isinstance(value, dict):
        cleaned = {name: _without_nulls(item) for name, item in value.items() if item is not None}
        return {name: item for name, item in cleaned.items() if item != {}}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
