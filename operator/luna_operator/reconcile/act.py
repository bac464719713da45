"""Takes the steps of a plan. A step may be interrupted at any point: the next plan resumes from there."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from redis.exceptions import RedisError

from luna_operator.kube.client import ApiError
from luna_operator.kube.events import KubeEvent
from luna_operator.kube.resources import Resources
from luna_operator.kube.secrets import Secret, SecretsClient, manifest
from luna_operator.metrics import Metrics
from luna_operator.plan.observation import Observation
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
from luna_operator.reconcile.observe import Observed, Observer
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.resources.account import AccountResource, format_time
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.provisioning import AccountRow, Provisioning
from luna_store.people.reconciled import ResourceMembers


@dataclass(slots=True)
class Work:
    """One account while its steps are taken."""

    account: AccountResource
    row: AccountRow | None
    secret: Secret | None
    events: list[KubeEvent] = field(default_factory=list)
    touched: bool = False
    """Whether row, keys or Secret changed since they were read."""
    alive: bool = False
    """Whether the API server confirmed in this pass that the Account exists."""

    @property
    def account_id(self) -> int:
        """The row's id; the steps that need it follow the step that makes the row."""
        if self.row is None:
            raise LookupError(f"{self.account.key} has no row yet.")
        return self.row.id


class Actor:
    """Takes steps. Does not own its arguments."""

    def __init__(
        self,
        resource_cache: ResourceCache,
        observer: Observer,
        resources: Resources,
        secrets: SecretsClient,
        provisioning: Provisioning,
        members: ResourceMembers,
        cache: AccountCache,
        metrics: Metrics,
        *,
        url: str,
    ) -> None:
        self._resource_cache = resource_cache
        self._observer = observer
        self._resources = resources
        self._secrets = secrets
        self._provisioning = provisioning
        self._members = members
        self._cache = cache
        self._metrics = metrics
        self._url = url

    def begin(self, observed: Observed) -> Work:
        """Start the work on an observed account."""
        return Work(observed.seen.account, observed.seen.row, observed.secret)

    async def take(self, step: Step, work: Work) -> None:
        """Take one step.

        Raises:
            SQLAlchemyError, RedisError, OSError, NameTaken, ApiError, ApiUnavailable: what stopped the step; nothing
                has to be undone.
        """
        match step:
            case AddFinalizer():
                self._keep(work, await self._resources.add_finalizer(work.account))
                work.alive = True
            case ApplyRow(desired):
                if not work.alive and (work.row is None or work.row.state == "revoked"):
                    # Another replica may have ended the account before this replica's watch reports it.
                    await self._resources.require_alive(work.account)
                work.row, work.touched = await self._provisioning.apply(desired, work.row), True
            case ApplyMembers(roles):
                await self._members.apply(work.account_id, roles)
                work.touched = True
            case IssueKey():
                await self._issue(step, work)
            case ConfirmKey(prefix, overlap):
                await self._provisioning.confirm(work.account_id, prefix, overlap=overlap)
                work.touched = True
            case WriteSecret():
                await self._write(work, work.secret.data["api-key"] if work.secret else "")
            case RebuildCache():
                await self._cache.rebuild(work.account_id)
                work.touched = True
            case EndAccount(retain):
                await self._end(work.account, retain=retain)
            case RemoveFinalizer():
                await self._resources.remove_finalizer(work.account)
                self._resource_cache.forget(work.account.key, work.account.resource_version)

    async def after(self, work: Work, seen: Observation) -> Observation:
        """The observation after the steps; read again only where a step changed something."""
        if not work.touched:
            return replace(seen, account=work.account, now=datetime.now(UTC))
        row, members = await self._observer.stored(work.account)
        return self._observer.observed(work.account, row, work.secret, members).seen

    async def _issue(self, step: IssueKey, work: Work) -> None:
        account_id = work.account_id
        key = await self._provisioning.issue(account_id, rotation_requested_at=step.requested_at)
        try:
            await self._write(work, key.secret)
        except ApiError:
            # The write was refused, so nobody has the key. Such keys would pile up and slow down every rebuild.
            if digest := await self._provisioning.withdraw(account_id, key.prefix):
                with suppress(RedisError, OSError):
                    await self._cache.forget_key(digest)
            raise
        await self._provisioning.confirm(account_id, key.prefix, overlap=step.overlap)
        self._metrics.key_issued(step.why)
        ends = format_time(datetime.now(UTC) + step.overlap)
        note = f"The Secret {work.account.api_key.secret_name!r} holds the key {key.prefix}."
        if step.why is Why.FIRST:
            work.events.append(KubeEvent("Normal", "KeyIssued", "IssueKey", note))
        else:
            work.events.append(KubeEvent("Normal", "KeyRotated", "RotateKey", f"{note} Earlier keys end at {ends}."))

    async def _write(self, work: Work, api_key: str) -> None:
        body = manifest(work.account, account_id=work.account_id, url=self._url, api_key=api_key)
        work.secret = await self._secrets.write(work.account, body, work.secret)
        work.touched = True

    async def _end(self, account: AccountResource, *, retain: bool) -> None:
        # Revoked first, under either policy: Redis is rebuilt from the row before the row is removed.
        ended = await self._provisioning.end(account.uid, retain=True)
        if ended is None:
            if not retain and (account_id := account.status.get("accountId")) is not None:
                # An interrupted run removed the row and not the Redis keys.
                await self._cache.rebuild(account_id)
            return
        account_id, digests = ended
        try:
            await self._cache.rebuild(account_id)
        except (RedisError, OSError):
            if not retain:
                raise
            # The row is marked stale: settlement rebuilds the keys when Redis is back.
        if not retain:
            # Before the row is removed: if the status was never written, the row alone holds the id.
            await self._cache.forget(account_id, digests)
            await self._provisioning.end(account.uid, retain=False)
            await self._cache.forget(account_id, digests)

    def _keep(self, work: Work, body: dict[str, object]) -> None:
        work.account = AccountResource.parse(body)
        self._resource_cache.keep(work.account)
