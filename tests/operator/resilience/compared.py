"""Compares a row, status or hash with the specification: every difference as a text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.operator.resilience import expected


def in_row(account: dict[str, Any], tier: dict[str, Any] | None, row: dict[str, Any]) -> list[str]:
    wanted, now = expected.row(account, tier), datetime.now(UTC)
    present = {**row, "allowed_models": sorted(row["allowed_models"])}
    found = [f"{name} is {present[name]!r}, not {value!r}" for name, value in wanted.items() if present[name] != value]
    start = expected.window_start(wanted["quota_window"], now)
    if start is not None and row["window_started_at"] != start:
        found.append(f"its window began at {row['window_started_at']}, not at {start}")
    if row["cache_stale"]:
        found.append("is still marked stale")
    return found


def in_status(account: dict[str, Any], row: dict[str, Any], keys: list[dict[str, Any]]) -> list[str]:
    status, generation, now = account.get("status") or {}, account["metadata"]["generation"], datetime.now(UTC)
    limit, used = row["quota_limit"], row["quota_used"]
    wanted = {
        "observedGeneration": generation,
        "accountId": row["id"],
        "secretName": expected.secret_name(account),
        "effective": expected.effective(row | {"allowed_models": sorted(row["allowed_models"])}),
    }
    found = [
        f"status.{name} is {status.get(name)}, not {value}"
        for name, value in wanted.items()
        if status.get(name) != value
    ]
    usage = status.get("usage") or {}
    if (usage.get("limit"), usage.get("remaining")) != (limit, max(0, limit - used)):
        found.append(f"status.usage is {usage}, not {limit} less {used}")
    shown = {(k["prefix"], k["state"], expected.instant(k.get("expiresAt"))) for k in status.get("keys") or ()}
    held = {(k["prefix"], "Retiring" if k["expires_at"] else "Active", _second(k["expires_at"])) for k in keys}
    if shown != held:
        found.append(f"status.keys are {sorted(shown, key=str)}, not {sorted(held, key=str)}")
    present = {c["type"]: c for c in status.get("conditions") or ()}
    for kind, (state, reason) in expected.conditions(account, used, limit, now).items():
        condition = present.get(kind, {})
        if (condition.get("status"), condition.get("reason")) != (state, reason):
            found.append(f"{kind} is {condition.get('status')} {condition.get('reason')}, not {state} {reason}")
        if condition.get("observedGeneration") != generation:
            found.append(f"{kind} speaks of generation {condition.get('observedGeneration')}, not {generation}")
    return found


def in_ready(account: dict[str, Any], reason: str) -> list[str]:
    status, generation = account.get("status") or {}, account["metadata"]["generation"]
    ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    told = ready.get("status"), ready.get("reason"), status.get("observedGeneration")
    return [] if told == ("False", reason, generation) else [f"Ready is {told}, not False {reason} of {generation}"]


def in_tier(tier: dict[str, Any], accounts: list[dict[str, Any]]) -> list[str]:
    status, generation = tier.get("status") or {}, tier["metadata"]["generation"]
    members = sum(account["spec"].get("tier") == tier["metadata"]["name"] for account in accounts)
    ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    told = status.get("observedGeneration"), status.get("accounts"), ready.get("status"), ready.get("reason")
    wanted = (generation, members, "True", "RolledOut")
    return [] if told == wanted else [f"its status tells {told}, not {wanted}"]


def in_hash(wanted: dict[str, str], held: dict[str, str], now: datetime) -> list[str]:
    found = [f"{name} is {held.get(name)}, not {value}" for name, value in wanted.items() if held.get(name) != value]
    for name in held.keys() - wanted.keys():
        ends = held[name].rpartition(":")[2]
        # A key whose overlap ended stays in the hash until the next rebuild; the scripts know that it ended.
        if not (name.startswith("key:") and 0 < int(ends) <= now.timestamp() * 1000):
            found.append(f"{name} is left over")
    return found


def _second(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(microsecond=0)
