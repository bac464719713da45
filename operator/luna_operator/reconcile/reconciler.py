"""Reconciles one account, from observation to status, and turns errors into obstacles or retries."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import islice

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_operator.kube.client import ApiError, ApiUnavailable, Conflict
from luna_operator.kube.events import Events, KubeEvent
from luna_operator.kube.resources import Resources
from luna_operator.plan.decide import AccountPlan, decide
from luna_operator.plan.event_notes import event_notes
from luna_operator.plan.observation import ABSENT, Observation
from luna_operator.plan.obstacles import Obstacle, Stage, forbidden, name_taken, secret_refused, unavailable
from luna_operator.plan.status import patch, status_of
from luna_operator.plan.steps import IssueKey, RebuildCache, Step, WriteSecret
from luna_operator.reconcile.act import Actor, Work
from luna_operator.reconcile.observe import Observed, Observer
from luna_operator.reconcile.repairs import Repairs
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.provisioning import KeyGone, NameTaken

log = logging.getLogger("luna.operator")

# Accounts whose status reports an outage between two attempts to lead.
REPORTED_AT_ONCE = 100

# Statuses that a retry of the same request does not change: too large, or invalid.
REFUSALS = frozenset({400, 413, 422})


class NotYet(Exception):
    """The account is not as specified, for a reason that passes: retry."""


@dataclass(frozen=True, slots=True)
class Done:
    """What remains to do after a reconciliation."""

    wake_at: datetime | None = None
    """When the account changes by itself."""
    blocked: bool = False
    """Whether somebody else has to act first; the account is reconciled again now and then."""


class Reconciler:
    """Observes, decides, acts and reports. Does not own its arguments."""

    def __init__(
        self,
        resource_cache: ResourceCache,
        observer: Observer,
        actor: Actor,
        resources: Resources,
        events: Events,
        repairs: Repairs,
        *,
        usage_max_age: timedelta,
    ) -> None:
        self._resource_cache = resource_cache
        self._observer = observer
        self._actor = actor
        self._resources = resources
        self._events = events
        self._repairs = repairs
        self._usage_max_age = usage_max_age

    async def reconcile(self, key: Key) -> Done:
        """Bring one account to its specification.

        Raises:
            NotYet: a store or the API server did not answer, or something changed meanwhile.
        """
        account = self._resource_cache.account(key)
        if account is None:
            return Done()
        try:
            observed = await self._observer.one(account)
        except (SQLAlchemyError, OSError) as e:
            await self._report_outage(account, unavailable(Stage.DATABASE, "Database", _first_line(e)))
            raise NotYet(f"Postgres: {_first_line(e)}") from e
        except (ApiError, ApiUnavailable) as e:
            if _forbids(e):
                # The request was for the Secret.
                await self._report_outage(account, forbidden(Stage.KEY, _first_line(e)))
            raise NotYet(str(e)) from e
        return await self._carry_out(observed, decide(observed.seen))

    async def _carry_out(self, observed: Observed, plan: AccountPlan) -> Done:
        work = self._actor.begin(observed)
        obstacle = plan.obstacle
        cause: Exception | None = None
        for step in plan.steps:
            try:
                await self._actor.take(step, work)
            except NameTaken as e:
                obstacle = name_taken(e.account_name, e.account_id)
            except (Conflict, KeyGone, AccountNotFound) as e:
                # A newer version, or a Secret of another owner: the next observation decides.
                raise NotYet(str(e)) from e
            except ApiError as e:
                if isinstance(step, IssueKey | WriteSecret) and e.status in REFUSALS:
                    obstacle = secret_refused(work.account.api_key.secret_name, _first_line(e))
                else:
                    obstacle, cause = _outage(e, step), e
            except (RedisError, SQLAlchemyError, OSError, ApiUnavailable) as e:
                obstacle, cause = _outage(e, step), e
            if obstacle is not None and obstacle is not plan.obstacle:
                break
        if observed.seen.account.deleting:
            if cause is not None:
                raise NotYet(_first_line(cause)) from cause
            return Done()
        after = await self._report(work, observed.seen, obstacle)
        if cause is not None:
            raise NotYet(_first_line(cause)) from cause
        return Done(decide(after).wake_at, blocked=obstacle is not None)

    async def _report(self, work: Work, seen: Observation, obstacle: Obstacle | None) -> Observation:
        try:
            after = await self._actor.after(work, seen)
            await self._write_status(after, obstacle)
            for event in work.events:
                await self._post(event, work.account)
            if obstacle is None:
                for repaired in self._repairs.take(work.account.key):
                    log.info("%s: %s", work.account.key, repaired)
                    await self._post(KubeEvent("Normal", "Repaired", "Reconcile", repaired), work.account)
        except (SQLAlchemyError, OSError, ApiError, ApiUnavailable) as e:
            raise NotYet(_first_line(e)) from e
        return after

    async def report_outage(self, error: Exception) -> None:
        """Report an outage of Postgres, and so of leadership, on some of the Accounts that wait for a change.

        Any replica may do it: all of them write the same.
        """
        obstacle = unavailable(Stage.DATABASE, "Database", _first_line(error))
        waiting = (
            account for account in self._resource_cache.accounts() if not account.observed and not account.deleting
        )
        for account in islice(waiting, REPORTED_AT_ONCE):
            if not await self._report_outage(account, obstacle):
                return

    async def _report_outage(self, account: AccountResource, obstacle: Obstacle) -> bool:
        """Report an outage on an account that waits for a change; one that is as specified stays Ready.

        Returns:
            False if the API server does not answer either.
        """
        if account.observed or account.deleting:
            return True
        seen = Observation(account, self._resource_cache.tier(account.tier), None, ABSENT, datetime.now(UTC))
        try:
            await self._write_status(seen, obstacle)
        except (ApiError, ApiUnavailable) as e:
            log.warning("%s: its status could not be written either: %s", account.key, e)
            return isinstance(e, ApiError)
        return True

    async def _write_status(self, seen: Observation, obstacle: Obstacle | None) -> None:
        account = seen.account
        status = status_of(seen, obstacle, self._usage_max_age)
        difference = patch(account.status, status)
        if difference is None:
            return
        written = AccountResource.parse(await self._resources.patch_account_status(account, difference))
        self._resource_cache.keep_written(written)
        for change in event_notes(account.status, status):
            await self._post(KubeEvent(change.type, change.reason, "Reconcile", change.note), account)

    async def _post(self, event: KubeEvent, account: AccountResource) -> None:
        """Post an Event; one that cannot be posted is logged, and the reconciliation goes on."""
        try:
            await self._events.post(event, account)
        except (ApiError, ApiUnavailable) as e:
            log.warning("%s: the Event %s is lost: %s", account.key, event.reason, e)


def _outage(error: Exception, step: Step) -> Obstacle:
    """The obstacle behind an error, given the step that it stopped."""
    text = _first_line(error)
    if isinstance(error, RedisError) or isinstance(step, RebuildCache):
        return unavailable(Stage.QUOTA, "Redis", text)
    if isinstance(error, ApiError | ApiUnavailable):
        return _unanswered(Stage.KEY if isinstance(step, IssueKey | WriteSecret) else Stage.DATABASE, error)
    return unavailable(Stage.DATABASE, "Database", text)


def _unanswered(stage: Stage, error: ApiError | ApiUnavailable) -> Obstacle:
    """An error of the API server as an obstacle: forbidden needs another cure than unavailable."""
    text = _first_line(error)
    return forbidden(stage, text) if _forbids(error) else unavailable(stage, "ApiServer", text)


def _forbids(error: ApiError | ApiUnavailable) -> bool:
    return isinstance(error, ApiError) and error.status == HTTPStatus.FORBIDDEN


def _first_line(error: BaseException) -> str:
    """The first line of an error: SQLAlchemy's messages span pages."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
