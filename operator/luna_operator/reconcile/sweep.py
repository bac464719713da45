"""Sweeps: compare everything in pages, to find what the watch missed and what drifted in Postgres, Redis or Secrets.

A sweep takes a handful of requests for ten thousand accounts; a timer per account would take ten thousand. It repairs
nothing itself: it queues each account that has a plan, and the reconciliation observes it again. It marks a row stale
where Redis differs from it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from luna_operator.kube.client import ApiError
from luna_operator.kube.resources import Resources
from luna_operator.kube.secrets import Secret, SecretsClient
from luna_operator.metrics import Metrics
from luna_operator.plan.decide import AccountPlan, decide
from luna_operator.plan.observation import Observation
from luna_operator.plan.status import patch, status_of
from luna_operator.plan.steps import ApplyMembers, ApplyRow, ConfirmKey, IssueKey, RebuildCache, WriteSecret
from luna_operator.plan.tier_status import tier_status
from luna_operator.reconcile.observe import Observer
from luna_operator.reconcile.queue import WorkQueue
from luna_operator.reconcile.repairs import Repairs
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.reconcile.watch_health import WatchHealth
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_operator.resources.tier import TierResource
from luna_store.accounts.cache import AccountCache

log = logging.getLogger("luna.operator")

_WHERE = {
    ApplyRow: "row",
    ApplyMembers: "members",
    RebuildCache: "cache",
    IssueKey: "secret",
    ConfirmKey: "secret",
    WriteSecret: "secret",
}

# Members of a status that calls, the end of an overlap and obstacles change: no drift.
_CHANGE_BY_THEMSELVES = frozenset({"usage", "keys", "conditions"})


class Sweep:
    """Finds accounts that are not as specified. Does not own its arguments."""

    def __init__(
        self,
        resource_cache: ResourceCache,
        queue: WorkQueue,
        watch_health: WatchHealth,
        observer: Observer,
        resources: Resources,
        secrets: SecretsClient,
        cache: AccountCache,
        metrics: Metrics,
        repairs: Repairs,
    ) -> None:
        self._resource_cache = resource_cache
        self._queue = queue
        self._watch_health = watch_health
        self._observer = observer
        self._resources = resources
        self._secrets = secrets
        self._cache = cache
        self._metrics = metrics
        self._repairs = repairs

    async def run(self) -> int:
        """Compare everything once; returns how many accounts have work to do.

        Raises:
            SQLAlchemyError, RedisError, OSError, ApiError, ApiUnavailable: something did not answer; sweep again.
        """
        self._queue.begin_look()
        await self._tiers()
        before = {account.key: account.resource_version for account in self._resource_cache.accounts()}
        secrets = await self._labelled_secrets()
        listed: set[Key] = set()
        members, waiting = Counter[str](), Counter[str]()
        ready = ended = 0
        async for page in self._resources.account_pages():
            accounts = [account for body in page if (account := self._parse(body)) is not None]
            listed.update(account.key for account in accounts)
            ready += sum(_is_ready(account) for account in accounts)
            ended += sum(_is_ended(account) for account in accounts)
            members.update(account.tier for account in accounts if account.tier is not None)
            async for account in self._unsettled(accounts, secrets):
                waiting[account.tier or ""] += 1
        for key in before.keys() - listed:
            self._watch_health.gone(key)
            # Deleted while the watch was down.
            if self._resource_cache.forget(key, before[key]):
                self._queue.drop(key)
                self._repairs.take(key)
        await self._report_tiers(members, waiting)
        self._metrics.swept(accounts=len(listed), ready=ready, ended=ended)
        return waiting.total()

    async def _tiers(self) -> None:
        listed = await self._resources.tiers()
        for body in listed:
            try:
                self._resource_cache.keep_tier(TierResource.parse(body))
            except ValueError as e:
                log.error("a Tier cannot be read: %s", e)  # noqa: TRY400  the message says it all
        for name in {tier.name for tier in self._resource_cache.tiers()} - {
            body["metadata"]["name"] for body in listed
        }:
            self._resource_cache.forget_tier(name)

    async def _labelled_secrets(self) -> dict[Key, Secret]:
        return {Key(secret.namespace, secret.name): secret async for page in self._secrets.pages() for secret in page}

    def _parse(self, body: dict[str, object]) -> AccountResource | None:
        try:
            account = AccountResource.parse(body)
        except ValueError as e:
            log.error("an Account cannot be read: %s", e)  # noqa: TRY400  the message says it all
            return None
        if not self._resource_cache.keep(account) and self._resource_cache.account(account.key) is None:
            # The watch reported its deletion while this list was read, and will not report it again.
            return None
        self._watch_health.listed(account.key, account.resource_version)
        return account

    async def _unsettled(
        self, accounts: list[AccountResource], secrets: dict[Key, Secret]
    ) -> AsyncIterator[AccountResource]:
        """Queue those of a page that have work to do, and yield them."""
        page = await self._observer.many(accounts, secrets)
        if drifted := [seen.row.id for seen in (observed.seen for observed in page) if seen.cache_drifted and seen.row]:
            # A reconciliation reads only the row and its mark; settlement may rebuild the keys before.
            await self._cache.mark_stale(drifted)
        for observed in page:
            try:
                unsettled = self._queued(observed.seen)
            except Exception:
                # One account that raises must not stop the others; its reconciliation, if there is one, logs more.
                log.exception("%s cannot be looked at", observed.seen.account.key)
                continue
            if unsettled:
                yield observed.seen.account
            # A page of 500 takes tens of milliseconds: let other tasks run in between.
            await asyncio.sleep(0)

    def _queued(self, seen: Observation) -> bool:
        """Queue the account if it has work to do; returns whether it has."""
        plan = decide(seen)
        if plan.steps == (RebuildCache(),) and seen.row is not None and seen.row.cache_stale:
            # After a loss of Redis these are all accounts; settlement rebuilds them in batches within seconds.
            return False
        # The usage report writes usage; a difference in it is no drift.
        change = patch(seen.account.status, status_of(seen, plan.obstacle, timedelta.max))
        if plan.steps or change:
            # An account that is being repaired was counted before.
            if not self._queue.busy_with(seen.account.key):
                self._count(seen, plan, change or {})
            self._queue.add(seen.account.key)
            return True
        if plan.wake_at is not None:
            self._queue.add_after(seen.account.key, (plan.wake_at - seen.now).total_seconds())
        return False

    async def _report_tiers(self, members: Counter[str], waiting: Counter[str]) -> None:
        for tier in self._resource_cache.tiers():
            status = tier_status(tier, accounts=members[tier.name], waiting=waiting[tier.name], now=datetime.now(UTC))
            if (difference := patch(tier.status, status)) is None:
                continue
            try:
                body = await self._resources.patch_tier_status(tier.name, difference)
            except ApiError as e:
                log.info("Tier %s: its status is not written: %s", tier.name, e)
                continue
            if self._resource_cache.keep_tier(TierResource.parse(body)):
                # Its limits changed meanwhile, and the watch will not report the change again.
                for key in self._resource_cache.accounts_of(tier.name):
                    self._queue.add(key)

    def _count(self, seen: Observation, plan: AccountPlan, change: dict[str, Any]) -> None:
        """Count drift, and have it reported: of an account that was as specified before, not of a new one."""
        if not (seen.account.observed and _is_ready(seen.account)):
            return
        where = {_WHERE[type(step)] for step in plan.steps if type(step) in _WHERE}
        if not plan.steps and change.keys() - _CHANGE_BY_THEMSELVES:
            where = {"status"}
        for each in where:
            self._metrics.repaired(each)
        self._repairs.due(seen.account.key, frozenset(where))


def _is_ready(account: AccountResource) -> bool:
    return _ready_of(account).get("status") == "True"


def _is_ended(account: AccountResource) -> bool:
    """Whether the account is not ready on purpose: suspended or expired."""
    ready = _ready_of(account)
    return ready.get("status") == "False" and ready.get("reason") in ("Suspended", "Expired")


def _ready_of(account: AccountResource) -> dict[str, Any]:
    conditions = account.status.get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == "Ready"), {})
