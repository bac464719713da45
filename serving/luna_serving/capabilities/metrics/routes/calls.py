"""What all routes share: the charge, the shard, and what a call costs when the shard does not answer."""

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.edge.operation import Asked
from luna_serving.samples.answers import QueryRefused, Refusal, TooFast
from luna_serving.samples.client import CAPABILITY, READING, Samples
from luna_serving.samples.requests import WriteLimits
from luna_serving.shards.client import ShardClient, ShardUnavailable
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.limits import in_force
from luna_store.quota.debits import Debit, Grant

INGEST: Final = "ingest"
QUERY: Final = READING.name
SAMPLES_PER_UNIT: Final = 1_000
# Seconds of a call that are left for the answer.
MARGIN_S: Final = 0.5
LEAST_S: Final = 1.0
SHARD: Final = "The process that has the account's samples"


@dataclass(frozen=True, slots=True)
class Calls:
    """Charges calls and asks shards."""

    charges: Charges
    shards: ShardClient
    settings: MetricsSettings

    def samples(self, asked: Asked) -> Samples:
        """Asks the shard for as long as the caller waits."""
        timeout_s = max(LEAST_S, min(asked.seconds - MARGIN_S, self.settings.query_s))
        return Samples(self.shards, timeout_s=timeout_s, most_samples=self.limit(asked, "metrics.query_samples"))

    def limit(self, asked: Asked, name: str) -> int:
        """A limit of the account, which the server's own bounds."""
        value = in_force(asked.standing.limits)[name]
        return min(value, self.settings.ceilings().get(name, value))

    def write_limits(self, asked: Asked) -> WriteLimits:
        """Those of a write."""
        return WriteLimits(self.limit(asked, "metrics.active_series"), self.limit(asked, "metrics.samples_per_second"))

    @asynccontextmanager
    async def charged(self, asked: Asked, route: str, grant: str, units: int) -> AsyncIterator[None]:
        """Charge a call; give the units back if it is not served.

        Raises:
            Denied: of the charge. Nothing is charged.
            Problem: 401; of the call; or 503 if the shard does not answer in time. Nothing is charged.
        """
        credential = asked.credential
        debit = Debit(
            asked.account_id,
            credential.key_prefix,
            credential.key_digests,
            units,
            uuid.uuid4(),
            route,
            Grant(CAPABILITY, grant),
            traceparent=asked.traceparent,
        )
        try:
            asked.standing = await self.charges.take(Charge(credential, debit))
        except asyncio.CancelledError:
            # Whether a store took the units is not known.
            self.charges.void_later(debit)
            raise
        try:
            yield
        except ShardUnavailable as e:
            self.charges.refund_later(debit)
            raise problems.dependencies_gone(SHARD) from e
        except BaseException:
            self.charges.refund_later(debit)
            raise
        self.charges.served(debit)


def units_of(samples: int) -> int:
    """What an ingest of samples costs."""
    return math.ceil(samples / SAMPLES_PER_UNIT)


def too_fast(why: TooFast) -> Problem:
    """429: more samples than the account may send now."""
    wait_s = max(1, math.ceil(why.retry_after_s))
    return Problem("too-many-samples", 429, "Too many samples per second.", why.detail, {"Retry-After": str(wait_s)})


def too_many_series(detail: str) -> Problem:
    """429: no series of the call may become active. Series become inactive after an hour without samples."""
    return Problem("too-many-series", 429, "Too many active series.", detail, {"Retry-After": "60"})


def refused_query(why: QueryRefused, pointer: str) -> Problem:
    """The problem of a query without an answer.

    Args:
        why: of the shard.
        pointer: to the text of the query.
    """
    if why.why is Refusal.TIMEOUT:
        return Problem("query-timeout", 503, "The query took too long.", why.detail, {"Retry-After": "5"})
    if why.why is Refusal.BUSY:
        return Problem("queries-busy", 503, "Too many samples are being read.", why.detail, {"Retry-After": "2"})
    facts: Mapping[str, int] = {} if why.offset is None else {"offset": why.offset}
    return problems.invalid(FieldError(pointer, why.detail), facts=facts)
