"""Attempts to authenticate: reserved before they are checked, given back if they succeed."""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from math import ceil
from typing import Final

from luna_serving.access.redis_outage import RedisOutage
from luna_serving.access.throttle.blocks import Blocks
from luna_serving.access.throttle.memory import MemoryBuckets
from luna_serving.access.throttle.metrics import ThrottleMetrics
from luna_serving.access.throttle.policy import Bucket, Buckets, Kind, Refused, Taken, block_of, delay_s, policies
from luna_serving.settings import ThrottleSettings
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.accounts.api_keys import Peppers
from luna_store.quota import redis_keys
from luna_store.quota.debits import StoreUnavailable

log = logging.getLogger("luna.throttle")

# Clients are asked to come back within 5 minutes, whatever the settings say.
LONGEST_RETRY_S: Final = 300


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that may be made. It counts as failed until `succeeded` or `given_back` is called."""

    kind: Kind
    _buckets: tuple[Bucket, ...]
    _store: Buckets
    _metrics: ThrottleMetrics

    async def succeeded(self) -> None:
        """Give the attempt back."""
        self._metrics.attempts[self.kind, "succeeded"].inc()
        await self.given_back()

    async def given_back(self) -> None:
        """Give back an attempt that neither succeeded nor failed, as when a store is gone.

        Never raises: where the store of attempts is gone, the attempt stays counted.
        """
        try:
            await self._store.give_back(self._buckets)
        except StoreUnavailable as e:
            log.warning("an attempt that did not fail stays counted: %s", e.__cause__)


class Attempts:
    """Limits attempts per address, and logins per address and email, too.

    Fails closed: while Redis is gone, this process counts by itself, under the same limits.
    """

    def __init__(
        self,
        store: Buckets,
        outage: RedisOutage,
        settings: ThrottleSettings,
        peppers: Peppers,
        metrics: ThrottleMetrics,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire it.

        Args:
            store: shared by all replicas.
            outage: knows whether Redis answers.
            settings: the limits.
            peppers: emails are digested with a key that is derived from the current one.
            metrics: what is counted.
            sleep: for the progressive delay.
            clock: monotonic seconds.
        """
        self._store = store
        self._outage = outage
        self._settings = settings
        self._policies = policies(settings)
        self._per_subject = replace(self._policies[Kind.LOGIN], attempts=settings.login_attempts_per_email)
        self._digest_key = hmac.new(peppers.by_name[peppers.current], b"luna throttle subjects", sha256).digest()
        self._metrics = metrics
        self._sleep = sleep
        self._memory = MemoryBuckets(clock)
        self._blocks = Blocks(clock)

    async def begin(self, kind: Kind, address: str, subject: str = "") -> Attempt:
        """Reserve an attempt, before anything that is costly; wait if others have failed before.

        Args:
            kind: what is attempted.
            address: the caller's.
            subject: the email of a login. Each email has a limit of its own at each address.

        Raises:
            Problem: 429, too many have failed.
        """
        buckets = self._buckets(kind, address, subject)
        store, verdict = await self._taken(buckets)
        if isinstance(verdict, Refused):
            raise self._refusal(kind, verdict.wait_s)
        self._metrics.attempts[kind, "begun"].inc()
        seconds = delay_s(verdict.used - 1, self._settings)
        if seconds:
            await self._sleep(seconds)
        return Attempt(kind, buckets, store, self._metrics)

    async def key_failed(self, address: str) -> Problem | None:
        """Count an API key or token that was refused.

        Returns:
            429 if too many of this address were; None if the caller may try again.
        """
        name = block_of(address)
        left = self._blocks.left_s(name)
        if left <= 0:
            _, verdict = await self._taken(self._buckets(Kind.KEY, address, ""))
            if isinstance(verdict, Taken):
                self._metrics.attempts[Kind.KEY, "begun"].inc()
                return None
            left = verdict.wait_s
            self._blocks.add(name, left)
        return self._refusal(Kind.KEY, left)

    @property
    def blocking(self) -> bool:
        """Whether any address is known to be blocked for keys; costs next to nothing."""
        return self._blocks.any()

    def key_block(self, address: str) -> Problem | None:
        """429 if this process knows that the address is blocked for keys. Asks no store."""
        left = self._blocks.left_s(block_of(address))
        return self._refusal(Kind.KEY, left) if left > 0 else None

    def _refusal(self, kind: Kind, wait_s: float) -> Problem:
        self._metrics.throttled[kind,].inc()
        return problems.too_many_attempts(_retry_s(wait_s))

    async def _taken(self, buckets: tuple[Bucket, ...]) -> tuple[Buckets, Taken | Refused]:
        if not self._outage.gone:
            try:
                return self._store, await self._store.take(buckets)
            except StoreUnavailable as e:
                self._outage.begin(e)
        return self._memory, await self._memory.take(buckets)

    def _buckets(self, kind: Kind, address: str, subject: str) -> tuple[Bucket, ...]:
        name = block_of(address)
        of_address = Bucket(redis_keys.throttle(name, kind), self._policies[kind])
        if not subject:
            return (of_address,)
        normal = subject.strip().lower().encode("utf-8", "surrogatepass")
        digest = hmac.new(self._digest_key, normal, sha256).hexdigest()[:32]
        return of_address, Bucket(redis_keys.throttle(name, kind, digest), self._per_subject)


def _retry_s(wait_s: float) -> int:
    return min(LONGEST_RETRY_S, max(1, ceil(wait_s)))
