"""An account's conditions, after the Kubernetes API conventions.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md: a
condition is always present, `status` is True, False or Unknown, and `lastTransitionTime` moves only when `status` does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from luna_operator.plan.observation import Observation
from luna_operator.plan.obstacles import Obstacle, Stage
from luna_operator.plan.usage import remaining
from luna_operator.resources.account import format_time


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; a message ends with a full stop."""

    type: str
    status: str
    reason: str
    message: str


def conditions_of(seen: Observation, obstacle: Obstacle | None) -> list[Condition]:
    """Every condition of the account, Ready first.

    Args:
        seen: the account after the steps of its plan were taken.
        obstacle: what stopped them; None if nothing did.
    """
    synced = [_stage(stage, seen, obstacle) for stage in Stage]
    suspended, expired, exhausted = _suspended(seen), _expired(seen), _exhausted(seen)
    return [_ready(synced, suspended, expired, obstacle), *synced, suspended, expired, exhausted]


def _stage(stage: Stage, seen: Observation, obstacle: Obstacle | None) -> Condition:
    if obstacle is not None and obstacle.stage is stage:
        return Condition(stage, "False", obstacle.reason, obstacle.message)
    done = {
        Stage.DATABASE: ("Synced", "The account's row is as specified."),
        Stage.QUOTA: ("Synced", "Redis holds the account's limits and what is left of its quota."),
        Stage.KEY: ("Issued", f"The Secret {seen.account.api_key.secret_name!r} holds the current key."),
    }
    reached = {
        Stage.DATABASE: seen.row is not None,
        Stage.QUOTA: seen.row is not None and not seen.row.cache_stale,
        Stage.KEY: seen.current_key is not None and seen.secret.held_prefix == seen.current_key.prefix,
    }
    if reached[stage]:
        return Condition(stage, "True", *done[stage])
    return Condition(stage, "False", "Pending", "Not there yet.")


def _ready(synced: list[Condition], suspended: Condition, expired: Condition, obstacle: Obstacle | None) -> Condition:
    if obstacle is not None:
        return Condition("Ready", "False", obstacle.reason, obstacle.message)
    for condition in synced:
        if condition.status != "True":
            return Condition("Ready", "False", condition.reason, f"{condition.type}: {condition.message}")
    for condition in (suspended, expired):
        if condition.status == "True":
            return Condition("Ready", "False", condition.type, condition.message)
    return Condition("Ready", "True", "Ready", "Calls with the key in the Secret are answered.")


def _suspended(seen: Observation) -> Condition:
    if seen.account.suspended:
        return Condition("Suspended", "True", "Requested", "spec.suspended is true; set it to false to resume.")
    return Condition("Suspended", "False", "NotRequested", "The account may call.")


def _expired(seen: Observation) -> Condition:
    end = seen.account.expires_at
    if end is None:
        return Condition("Expired", "False", "NoExpiry", "The account does not expire.")
    if end <= seen.now:
        message = f"The account expired at {format_time(end)}; set spec.expiresAt to a later instant, or remove it."
        return Condition("Expired", "True", "Expired", message)
    return Condition("Expired", "False", "NotYet", f"The account expires at {format_time(end)}.")


def _exhausted(seen: Observation) -> Condition:
    row = seen.row
    if row is not None and not remaining(row, seen.now):
        ends = "spec.quota.limit is raised" if row.quota_window == "Lifetime" else "the window ends"
        message = f"All {row.quota_limit} units are used; calls are answered 429 until {ends}."
        return Condition("QuotaExhausted", "True", "NothingLeft", message)
    return Condition("QuotaExhausted", "False", "QuotaLeft", "There is quota left.")


def render(wanted: Iterable[Condition], before: Iterable[dict[str, Any]], generation: int, now: datetime) -> list[Any]:
    """The conditions as the API takes them; a condition whose status did not change keeps its time."""
    old = {condition.get("type"): condition for condition in before}
    rendered = []
    for condition in wanted:
        same = old.get(condition.type, {}).get("status") == condition.status
        since = old[condition.type].get("lastTransitionTime") if same else None
        rendered.append(
            {
                "type": str(condition.type),
                "status": condition.status,
                "observedGeneration": generation,
                "lastTransitionTime": since or format_time(now),
                "reason": condition.reason,
                "message": condition.message,
            }
        )
    return rendered
