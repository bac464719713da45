"""Takes the events of the watch into the resource cache, and queues the accounts that may need work."""

import logging
from typing import Any

from luna_operator.reconcile.queue import WorkQueue
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.reconcile.watch_health import WatchHealth
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_operator.resources.tier import TierResource

log = logging.getLogger("luna.operator")


class WatchEvents:
    """Takes events. `kind` is ADDED, MODIFIED or DELETED, or None for an object of the initial list."""

    def __init__(self, resource_cache: ResourceCache, queue: WorkQueue, watch_health: WatchHealth) -> None:
        self._resource_cache = resource_cache
        self._queue = queue
        self._watch_health = watch_health

    def account(self, kind: str | None, body: dict[str, Any]) -> None:
        """Take an event about an Account."""
        metadata = body["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        self._watch_health.heard(key, metadata["resourceVersion"])
        if kind == "DELETED":
            self._watch_health.gone(key)
            if self._resource_cache.forget(key, metadata["resourceVersion"]):
                self._queue.drop(key)
            return
        try:
            account = AccountResource.parse(body)
        except ValueError as e:
            log.error("Account %s cannot be read: %s", key, e)  # noqa: TRY400  the message says it all
            return
        # The cache holds the versions of the operator's own writes. From the initial list only unfinished accounts are
        # queued: the sweep compares the others in pages.
        if self._resource_cache.keep(account) and (kind is not None or not _settled(account)):
            self._queue.add(key)

    def tier(self, kind: str | None, body: dict[str, Any]) -> None:
        """Take an event about a Tier, and queue its Accounts."""
        name = body["metadata"]["name"]
        if kind == "DELETED":
            self._resource_cache.forget_tier(name)
        else:
            try:
                tier = TierResource.parse(body)
            except ValueError as e:
                log.error("Tier %s cannot be read: %s", name, e)  # noqa: TRY400  the message says it all
                return
            # The sweep compares what the initial list holds; a Tier's status or label does not concern its Accounts.
            if not self._resource_cache.keep_tier(tier) or kind is None:
                return
        for key in self._resource_cache.accounts_of(name):
            self._queue.add(key)


def _settled(account: AccountResource) -> bool:
    return account.observed and account.finalized and not account.deleting
