"""What each step does to what is observed, written from the steps' descriptions alone: no store, no operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.operator.plan.accounts import BEGINNING, holds, row_of

from luna_operator.plan.steps import (
    AddFinalizer,
    ApplyMembers,
    ApplyRow,
    ConfirmKey,
    EndAccount,
    IssueKey,
    RebuildCache,
    RemoveFinalizer,
    WriteSecret,
)
from luna_operator.resources.names import FINALIZER
from luna_store.accounts.provisioning import KeyRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luna_operator.plan.observation import Observation
    from luna_operator.plan.steps import Step


def take_all(seen: Observation, steps: Iterable[Step]) -> Observation:
    """The observation after the steps."""
    for number, step in enumerate(steps):
        seen = take(seen, step, number)
    return seen


def take(seen: Observation, step: Step, number: int = 0) -> Observation:
    """The observation after one step; `number` tells its key from another's."""
    account, row, now = seen.account, seen.row, seen.now
    match step:
        case AddFinalizer():
            return replace(seen, account=replace(account, finalizers=(*account.finalizers, FINALIZER)))
        case RemoveFinalizer():
            left = tuple(name for name in account.finalizers if name != FINALIZER)
            return replace(seen, account=replace(account, finalizers=left))
        case ApplyRow(desired):
            keys, used = (row.keys, row.quota_used) if row else ((), 0)
            started = row.window_started_at if row else BEGINNING
            applied = row_of(desired, *keys, quota_used=used, window_started_at=started)
            return replace(seen, row=applied)
        case ApplyMembers(roles):
            assert row is not None, "members have an account"
            return replace(seen, members=dict(roles), row=replace(row, cache_stale=True))
        case EndAccount(retain):
            kept = replace(row, state="revoked", keys=()) if row and retain else None
            return replace(seen, row=kept)
        case RebuildCache():
            assert row is not None, "there is nothing to rebuild from"
            return replace(seen, cache_drifted=False, row=replace(row, cache_stale=False))
        case WriteSecret():
            return replace(seen, secret=replace(seen.secret, in_order=True))
        case ConfirmKey(prefix, overlap):
            assert row is not None, "a key has an account"
            [confirmed] = [key for key in row.keys if key.prefix == prefix]
            others = _ended(row.keys, prefix, now, now + overlap)
            keys = _in_order(row.keys, {replace(confirmed, pending=False, expires_at=None), *others})
            return replace(seen, row=replace(row, keys=keys))
        case IssueKey(_, overlap, requested_at):
            assert row is not None, "a key has an account"
            new = KeyRow(f"luna_New{number:05}", "digest", "test", now, None, False, requested_at)
            others = _ended([key for key in row.keys if not key.pending], new.prefix, now, now + overlap)
            return replace(seen, row=replace(row, keys=(new, *others)), secret=holds(new.prefix))


def _ended(keys: Iterable[KeyRow], but: str, now: datetime, end: datetime) -> list[KeyRow]:
    """The other keys, which live until then at most; those whose life is over are not live any more."""
    ended = [replace(key, expires_at=min(key.expires_at or end, end)) for key in keys if key.prefix != but]
    return [key for key in ended if key.expires_at > now]


def _in_order(before: Iterable[KeyRow], after: set[KeyRow]) -> tuple[KeyRow, ...]:
    by_prefix = {key.prefix: key for key in after}
    return tuple(by_prefix[key.prefix] for key in before if key.prefix in by_prefix)


def later(seen: Observation, by: timedelta) -> Observation:
    """The same account some time later, without changes; ended keys are no longer live."""
    now = seen.now + by
    if seen.row is None:
        return replace(seen, now=now)
    keys = tuple(key for key in seen.row.keys if key.expires_at is None or key.expires_at > now)
    held = seen.secret.held_prefix if seen.secret.held_prefix in {key.prefix for key in keys} else None
    return replace(seen, now=now, row=replace(seen.row, keys=keys), secret=replace(seen.secret, held_prefix=held))
