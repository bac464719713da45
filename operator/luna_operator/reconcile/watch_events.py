"""What the watch tells, put where it belongs: into memory, and into the queue if there may be work in it."""

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
    """Takes events. `kind` is Kubernetes' (ADDED, MODIFIED, DELETED), or None for what a list at the start holds."""

    def __init__(self, resource_cache: ResourceCache, queue: WorkQueue, watch_health: WatchHealth) -> None:
        self._resource_cache = resource_cache
        self._queue = queue
        self._watch_health = watch_health

    def account(self, kind: str | None, body: dict[str, Any]) -> None:
        """An Account came, changed or went."""
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
        # Our own writes are known by their version already. Of what a list holds only the unfinished is looked at:
        # the sweep compares the rest in pages.
        if self._resource_cache.keep(account) and (kind is not None or not _settled(account)):
            self._queue.add(key)

    def tier(self, kind: str | None, body: dict[str, Any]) -> None:
        """A Tier came, changed or went: its Accounts are looked at."""
        name = body["metadata"]["name"]
        if kind == "DELETED":
            self._resource_cache.forget_tier(name)
        else:
            try:
                tier = TierResource.parse(body)
            except ValueError as e:
                log.error("Tier %s cannot be read: %s", name, e)  # noqa: TRY400  the message says it all
                return
            # At the start the sweep compares; a status or a label of a Tier is nothing to its Accounts.
            if not self._resource_cache.keep_tier(tier) or kind is None:
                return
        for key in self._resource_cache.accounts_of(name):
            self._queue.add(key)


def _settled(account: AccountResource) -> bool:
    return account.observed and account.finalized and not account.deleting
