"""Quota and rate in Redis: the scripts of `lua/`, sent in pipelines."""

import json
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from luna_store.limits import LIMITS
from luna_store.quota import redis_keys
from luna_store.quota.debits import Debit, Decision, Outcome, Standing, StoreUnavailable

SCRIPTS = files("luna_store.quota") / "lua"
# Errors after which the command may have reached the server.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)


def redis_client(redis_url: str, *, timeout_s: float = 1.0, max_connections: int = 32) -> Redis:
    """A client that never sends a command twice: a debit whose answer was lost may have happened.

    Args:
        redis_url: `redis://` or `rediss://`, with the password in it.
        timeout_s: seconds to wait for a connection or an answer before Redis counts as gone.
        max_connections: a caller beyond these waits its turn.

    Raises:
        ValueError: it is no such URL; says how to write one.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            redis_url,
            decode_responses=True,
            max_connections=max_connections,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except ValueError:
        # The parser's message quotes the port; after a "/" in the password, that is the password.
        raise ValueError(
            "REDIS_URL must be of the form redis://:password@host:port/0; in a password write / as %2F, @ as %40, "
            ": as %3A, # as %23 and ? as %3F."
        ) from None
    return Redis.from_pool(pool)


class RedisQuota:
    """Debits and refunds in Redis. Does not own the client."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._debit = redis.register_script(_debit_script())
        self._refund = redis.register_script((SCRIPTS / "refund.lua").read_text())

    async def debit(self, debits: Sequence[Debit]) -> list[Decision]:
        """Decide all debits in one round trip, in order.

        Raises:
            StoreUnavailable: Redis did not answer, or cannot write. With `uncertain`, some of the debits may have
                been taken; settlement counts each once if they are then booked in Postgres under the same ids.
        """
        replies = await self._send(debits)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            # A restarted server has lost the script: the debits that it refused did not run.
            await self._load()
            missed = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            for i, reply in zip(missed, await self._send([debits[i] for i in missed]), strict=True):
                replies[i] = reply
        return [_decision(reply) for reply in replies]

    async def _send(self, debits: Sequence[Debit]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for d in debits:
            pipe.evalsha(
                self._debit.sha,
                4,
                redis_keys.account(d.account_id),
                redis_keys.quota(d.account_id),
                redis_keys.rate(d.account_id),
                redis_keys.events(d.account_id),
                d.key_prefix,
                ",".join(d.key_digests),
                d.units,
                d.debit_id.hex,
                d.route,
                d.grant.capability if d.grant else "",
                d.grant.name if d.grant else "",
                *(part for amount in d.amounts.items() for part in amount),
                *((d.traceparent,) if d.traceparent else ()),
            )
        charged = {d.account_id for d in debits if d.units}
        if charged:
            # After the debits: if settlement took the mark before them, it would miss them until its next sweep.
            pipe.sadd(redis_keys.UNSETTLED, *charged)
        try:
            replies = await pipe.execute(raise_on_error=False)
        except LOST as e:
            raise StoreUnavailable("Redis", uncertain=True) from e
        return replies[: len(debits)]

    async def _load(self) -> None:
        try:
            await self._redis.script_load(self._debit.script)
        except (RedisError, OSError) as e:
            # Some of the batch may have run before the script was found missing.
            raise StoreUnavailable("Redis", uncertain=True) from e

    async def refund(self, debit: Debit) -> bool:
        """Refund the debit once; True if this call did, False if an earlier one did.

        Raises:
            StoreUnavailable: Redis did not answer or does not hold the account; call again, or void in Postgres.
        """
        try:
            done = await self._refund(
                keys=[
                    redis_keys.account(debit.account_id),
                    redis_keys.quota(debit.account_id),
                    redis_keys.events(debit.account_id),
                    redis_keys.refunded(debit.account_id, debit.debit_id.hex),
                ],
                args=[
                    debit.units,
                    debit.refund_id.hex,
                    debit.debit_id.hex,
                    debit.route,
                    redis_keys.REFUND_MEMORY_S,
                ],
            )
        except (RedisError, OSError) as e:
            raise StoreUnavailable("Redis", uncertain=True) from e
        if done < 0:
            raise StoreUnavailable("Redis", uncertain=False)
        # A hint; the sweep finds accounts without it.
        with suppress(RedisError, OSError):
            await self._redis.sadd(redis_keys.UNSETTLED, debit.account_id)
        return bool(done)

    async def owner(self, digests: Sequence[str]) -> int | None:
        """The account of the key with one of these digests; None if Redis does not know it."""
        try:
            found = await cast("Awaitable[list[str | None]]", self._redis.mget([redis_keys.key(d) for d in digests]))
        except (RedisError, OSError) as e:
            raise StoreUnavailable("Redis", uncertain=False) from e
        return next((int(owner) for owner in found if owner is not None), None)


def _debit_script() -> str:
    fields = (f"{each.earlier_hash_field} = '{each.name}'" for each in LIMITS if each.earlier_hash_field)
    parts = (SCRIPTS / "earlier_hash.lua", SCRIPTS / "debit.lua")
    return "".join([f"local earlier_limits = {{{', '.join(fields)}}}\n", *(part.read_text() for part in parts)])


def _decision(reply: Any) -> Decision:  # noqa: ANN401  what redis-py returns for a script
    if isinstance(reply, RedisError):
        # Out of memory, a read-only replica, or still loading. This debit did not run; others of the batch may have.
        raise StoreUnavailable("Redis", uncertain=True) from reply
    code, *facts = reply
    if not facts:
        return Decision(Outcome(code))
    limit, left, window_ends_at, window_s, burst, tokens, wait, interval, limits, exceeded = facts
    return Decision(
        Outcome(code),
        Standing(
            quota_limit=limit,
            quota_left=left,
            window_ends_at_ms=window_ends_at,
            window_s=window_s,
            burst=burst,
            tokens_left=max(0, tokens),
            interval_us=interval,
            wait_us=wait,
            limits=_limits(limits),
        ),
        exceeded or None,
    )


@lru_cache(maxsize=4096)
def _limits(text: str) -> Mapping[str, int]:
    # Cached: most accounts have the limits of their Tier.
    return MappingProxyType(json.loads(text))
