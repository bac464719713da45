"""One account from observation to status, and what happens if something is in the way."""

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
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.provisioning import KeyGone, NameTaken

log = logging.getLogger("luna.operator")

# Accounts that are told of an outage between two tries to lead.
TOLD_AT_ONCE = 100

# Answers that another try of the same request will not change: too large, or invalid.
REFUSALS = frozenset({400, 413, 422})


class NotYet(Exception):
    """The account is not as it should be, and nobody needs to be asked: try again."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a reconciliation leaves to do."""

    wake_at: datetime | None = None
    """When the account will change by itself."""
    blocked: bool = False
    """Whether somebody else has to mend something first; it is looked at now and then."""


class Reconciler:
    """Observe, decide, act, tell. Owns none of what it is given."""

    def __init__(
        self,
        resource_cache: ResourceCache,
        observer: Observer,
        actor: Actor,
        resources: Resources,
        events: Events,
        *,
        usage_max_age: timedelta,
    ) -> None:
        self._resource_cache = resource_cache
        self._observer = observer
        self._actor = actor
        self._resources = resources
        self._events = events
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
            await self._tell_outage(account, unavailable(Stage.DATABASE, "Database", _first_line(e)))
            raise NotYet(f"Postgres: {_first_line(e)}") from e
        except (ApiError, ApiUnavailable) as e:
            if _forbids(e):
                # What was asked for is the Secret.
                await self._tell_outage(account, forbidden(Stage.KEY, _first_line(e)))
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
                # A newer version, or a Secret in the way: the next look decides.
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
                await self._tell(event, work.account)
        except (SQLAlchemyError, OSError, ApiError, ApiUnavailable) as e:
            raise NotYet(_first_line(e)) from e
        return after

    async def tell_outage(self, error: Exception) -> None:
        """Postgres is away, and so is leadership: say so on Accounts that wait for a change, some at a time.

        Any replica may: they write the same.
        """
        obstacle = unavailable(Stage.DATABASE, "Database", _first_line(error))
        waiting = (
            account for account in self._resource_cache.accounts() if not account.observed and not account.deleting
        )
        for account in islice(waiting, TOLD_AT_ONCE):
            if not await self._tell_outage(account, obstacle):
                return

    async def _tell_outage(self, account: AccountResource, obstacle: Obstacle) -> bool:
        """Say so where somebody waits for a change; an account that is as specified stays Ready without Postgres.

        Returns:
            False if the API server does not answer, either.
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
        for told in event_notes(account.status, status):
            await self._tell(KubeEvent(told.type, told.reason, "Reconcile", told.note), account)

    async def _tell(self, event: KubeEvent, account: AccountResource) -> None:
        """Post an Event; what it tells of has happened, so one that cannot be posted holds up nothing."""
        try:
            await self._events.post(event, account)
        except (ApiError, ApiUnavailable) as e:
            log.warning("%s: the Event %s is lost: %s", account.key, event.reason, e)


def _outage(error: Exception, step: Step) -> Obstacle:
    """The condition that suffers, from the error and the step that it stopped."""
    text = _first_line(error)
    if isinstance(error, RedisError) or isinstance(step, RebuildCache):
        return unavailable(Stage.QUOTA, "Redis", text)
    if isinstance(error, ApiError | ApiUnavailable):
        return _unanswered(Stage.KEY if isinstance(step, IssueKey | WriteSecret) else Stage.DATABASE, error)
    return unavailable(Stage.DATABASE, "Database", text)


def _unanswered(stage: Stage, error: ApiError | ApiUnavailable) -> Obstacle:
    """The API server did not do it: who may not asks for something else than who was not heard."""
    text = _first_line(error)
    return forbidden(stage, text) if _forbids(error) else unavailable(stage, "ApiServer", text)


def _forbids(error: ApiError | ApiUnavailable) -> bool:
    return isinstance(error, ApiError) and error.status == HTTPStatus.FORBIDDEN


def _first_line(error: BaseException) -> str:
    """Enough for a log line; SQLAlchemy's messages go on for pages."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
