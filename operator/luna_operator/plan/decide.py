"""Turns an observation into a plan: the missing steps, in their order.

The same function serves a single reconciliation and the sweep over all accounts, so what the sweep reports as drift
is exactly what a reconciliation would repair.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from luna_operator.plan.observation import Observation, Ownership
from luna_operator.plan.obstacles import Obstacle, invalid, invalid_members, secret_conflict, tier_not_found
from luna_operator.plan.steps import (
    AddFinalizer,
    ApplyMembers,
    ApplyRow,
    ConfirmKey,
    EndAccount,
    IssueKey,
    RebuildCache,
    RemoveFinalizer,
    Step,
    Why,
    WriteSecret,
)
from luna_operator.plan.usage import remaining
from luna_store.accounts.desired import KeyRow, differences
from luna_store.quota.windows import window_end


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """What to do now, the obstacle if there is one, and when to reconcile again."""

    steps: tuple[Step, ...] = ()
    obstacle: Obstacle | None = None
    wake_at: datetime | None = field(default=None)
    """The next instant at which this account changes by itself; None for never."""


def decide(seen: Observation) -> AccountPlan:
    """The plan for one account."""
    account = seen.account
    if account.deleting:
        if not account.finalized:
            return AccountPlan()
        return AccountPlan((EndAccount(account.retain), RemoveFinalizer()))
    steps: list[Step] = [] if account.finalized else [AddFinalizer()]
    if seen.tier_missing:
        # Fail static: keep the previous limits, grant nothing new.
        return AccountPlan(tuple(steps), tier_not_found(account.tier or ""), wake_at(seen))
    try:
        desired = seen.desired
    except ValueError as e:
        # The schema became stricter later, or is not applied. One such account must not stop the sweep.
        return AccountPlan(tuple(steps), invalid(str(e)), wake_at(seen))
    row = seen.row
    changed = row is None or bool(differences(desired, row))
    if changed:
        steps.append(ApplyRow(desired))
    if seen.members != account.members.roles:
        changed = True
        steps.append(ApplyMembers(account.members.roles))
    stale = changed or seen.cache_drifted or (row is not None and row.cache_stale)
    if seen.secret.ownership is Ownership.STRANGER:
        rebuild = [RebuildCache()] if stale else []
        return AccountPlan((*steps, *rebuild), secret_conflict(account.api_key.secret_name), wake_at(seen))
    key_steps = _key_steps(seen)
    steps += key_steps
    if stale or any(isinstance(step, IssueKey | ConfirmKey) for step in key_steps):
        steps.append(RebuildCache())
    # After the key's obstacles: without a key no call of the account is answered, with such a member all are.
    obstacle = invalid_members(account.members.refused) if account.members.refused else None
    return AccountPlan(tuple(steps), obstacle, wake_at(seen))


def _key_steps(seen: Observation) -> list[Step]:
    policy, held = seen.account.api_key, _held(seen)
    why = _why(seen, held)
    steps: list[Step] = []
    if held is not None and held.pending:
        steps.append(ConfirmKey(held.prefix, policy.rotation_overlap))
    if why is not None:
        steps.append(IssueKey(why, policy.rotation_overlap, policy.rotation_requested_at))
    elif not seen.secret.in_order:
        steps.append(WriteSecret())
    return steps


def _why(seen: Observation, held: KeyRow | None) -> Why | None:
    """Why a new key is needed, once the held one is confirmed; None if none is needed."""
    policy = seen.account.api_key
    if seen.row is None or not seen.row.keys:
        return Why.FIRST
    if held is None or not (held.pending or held == seen.current_key):
        return Why.REPAIR
    if policy.rotation_requested_at not in {None, held.rotation_requested_at}:
        return Why.REQUESTED
    if policy.rotation_interval is not None and seen.now >= held.created_at + policy.rotation_interval:
        return Why.INTERVAL
    return None


def _held(seen: Observation) -> KeyRow | None:
    """The live key that the Secret holds."""
    if seen.row is None or seen.secret.held_prefix is None:
        return None
    return next((key for key in seen.row.keys if key.prefix == seen.secret.held_prefix), None)


def wake_at(seen: Observation) -> datetime | None:
    """The next rotation, end of an overlap, expiry or end of an exhausted quota; a moment late rather than early."""
    account, current = seen.account, seen.current_key
    instants = [account.expires_at]
    if seen.row is not None:
        instants += [key.expires_at for key in seen.row.keys]
        if seen.row.quota_limit and not remaining(seen.row, seen.now):
            # For other accounts a new window changes only the usage, which the usage report writes.
            instants.append(window_end(seen.row.quota_window, seen.row.window_started_at))
    if current is not None and account.api_key.rotation_interval is not None:
        instants.append(current.created_at + account.api_key.rotation_interval)
    coming = [instant for instant in instants if instant is not None and instant > seen.now]
    # The clocks of the stores may run slightly behind this one.
    return min(coming) + timedelta(seconds=1) if coming else None
