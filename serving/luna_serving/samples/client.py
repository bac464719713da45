"""Asks about samples, in an ingress replica or a worker, whichever process has them."""

from collections.abc import Sequence
from typing import Any, Final

from luna_serving.engines.promql.api import LOOKBACK_MS
from luna_serving.samples.answers import LatestSamples, TooFast, Written
from luna_serving.samples.batch import Batch
from luna_serving.samples.requests import Instant, InstantQuery, Latest, Range, Write, WriteLimits
from luna_serving.shards.client import ShardClient
from luna_store.quota.debits import Grant

# The capability whose shards have samples.
CAPABILITY: Final = "metrics"
READING: Final = Grant(CAPABILITY, "query")
"""The grant that whatever shows samples of an account needs, whichever capability serves it."""
# Seconds of a call's time that are left for the way there and back.
WAY_S: Final = 0.5


class Samples:
    """The samples of all accounts. Every method raises `ShardUnavailable` if the shard does not answer in time."""

    def __init__(self, shards: ShardClient, *, timeout_s: float, most_samples: int = 10_000_000) -> None:
        """Wire it.

        Args:
            shards: of the capability `metrics`.
            timeout_s: seconds for an answer, retries included.
            most_samples: that a query may read, where the call does not say.
        """
        self._shards = shards
        self._timeout_s = timeout_s
        self._most_samples = most_samples

    async def write(self, account_id: int, batch: Batch, limits: WriteLimits) -> Written | TooFast:
        """Keep samples; durable when this returns. After ShardUnavailable they may be kept or not: send them again."""
        answer: Written | TooFast = await self._ask(account_id, Write(batch, limits))
        return answer

    async def instant(
        self,
        account_id: int,
        queries: Sequence[InstantQuery],
        *,
        most_samples: int = 0,
        timeout_s: float | None = None,
    ) -> Sequence[Any]:
        """For each query, in order, a `Vector`, `Matrix`, `Scalar` or `String` of the engine, or a `QueryRefused`.

        Args:
            account_id: whose samples.
            queries: to be evaluated.
            most_samples: that a query may read.
            timeout_s: seconds for all queries, where the caller wants to wait less than for other answers.
        """
        request = Instant(queries, most_samples or self._most_samples, self._seconds(timeout_s))
        answers: Sequence[Any] = await self._ask(account_id, request)
        return answers

    async def range(
        self,
        account_id: int,
        text: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        *,
        most_samples: int = 0,
        timeout_s: float | None = None,
        lookback_ms: int = LOOKBACK_MS,
    ) -> Any:  # noqa: ANN401  a Matrix of the engine, or QueryRefused
        """A `Matrix` of the engine, or a `QueryRefused`; `timeout_s` is as for `instant`."""
        most = most_samples or self._most_samples
        request = Range(text, start_ms, end_ms, step_ms, most, self._seconds(timeout_s), lookback_ms)
        return await self._ask(account_id, request)

    async def latest(self, account_id: int, selectors: Sequence[str], *, most_series: int = 10_000) -> LatestSamples:
        """The last sample of each series that a selector matches. Raises ValueError for a text that is no selector."""
        answer: LatestSamples = await self._ask(account_id, Latest(selectors, most_series))
        return answer

    async def ask(self, account_id: int, request: Any) -> Any:  # noqa: ANN401  of the capability's own types
        """The answer to a request that only the capability knows."""
        return await self._ask(account_id, request)

    def _seconds(self, wanted: float | None) -> float:
        most = self._timeout_s - WAY_S
        return most if wanted is None else min(wanted, most)

    async def _ask(self, account_id: int, request: Any) -> Any:  # noqa: ANN401
        return await self._shards.ask(account_id, request, timeout_s=self._timeout_s)
