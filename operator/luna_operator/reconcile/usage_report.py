"""Writes usage from Postgres into the statuses, in pages, where a report is due."""

import logging
from datetime import UTC, datetime, timedelta

from luna_operator.kube.client import ApiError
from luna_operator.kube.resources import Resources
from luna_operator.plan.status import patch
from luna_operator.plan.usage import next_usage
from luna_operator.reconcile.queue import WorkQueue
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.resources.account import AccountResource
from luna_store.accounts.provisioning import Provisioning

log = logging.getLogger("luna.operator")

ROWS_PER_PAGE = 1000


class UsageReport:
    """Writes `status.usage`. Does not own its arguments."""

    def __init__(
        self,
        resource_cache: ResourceCache,
        queue: WorkQueue,
        provisioning: Provisioning,
        resources: Resources,
        *,
        max_age: timedelta,
    ) -> None:
        self._resource_cache = resource_cache
        self._queue = queue
        self._provisioning = provisioning
        self._resources = resources
        self._max_age = max_age

    async def run(self) -> int:
        """Read every account's usage once; returns how many statuses were written.

        Raises:
            SQLAlchemyError, OSError, ApiUnavailable: something did not answer; report again.
        """
        written, after = 0, 0
        keys = {account.uid: account.key for account in self._resource_cache.accounts()}
        while rows := await self._provisioning.usage_page(after, ROWS_PER_PAGE):
            after = rows[-1].id
            now = datetime.now(UTC)
            for row in rows:
                # The present version: statuses were written since the round began.
                account = self._resource_cache.account(keys[row.uid]) if row.uid in keys else None
                # Without a report there is no status yet: the reconciliation writes the first one.
                if account is None or account.uid != row.uid or not (before := account.status.get("usage")):
                    continue
                try:
                    report = next_usage(before, row, now, self._max_age)
                except Exception:
                    # One account that raises must not stop the others.
                    log.exception("%s: its usage cannot be reported", account.key)
                    continue
                if report is before:
                    continue
                if (report["remaining"] == 0) != (before.get("remaining") == 0):
                    # A condition changes with the usage.
                    self._queue.add(account.key)
                else:
                    await self._write(account, report)
                    written += 1
        return written

    async def _write(self, account: AccountResource, report: dict[str, object]) -> None:
        difference = patch({"usage": account.status["usage"]}, {"usage": report})
        if difference is None:
            return
        try:
            body = await self._resources.patch_account_status(account, difference)
        except ApiError as e:
            log.info("%s: its usage is not written: %s", account.key, e)
            return
        self._resource_cache.keep_written(AccountResource.parse(body))
