"""Wires the parts of this room to the stores."""

from dataclasses import dataclass

from redis.asyncio import Redis

from luna_serving.access.admission import Admission
from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.credentials import Authenticator
from luna_serving.access.denials import Denials
from luna_serving.access.directory import AccountDirectory
from luna_serving.access.redis_outage import RedisOutage
from luna_serving.access.refunds import Refunds
from luna_serving.telemetry.metrics import AccessMetrics
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.quota.redis_quota import RedisQuota


@dataclass(frozen=True, slots=True)
class Access:
    """The parts of this room that the rest of serving uses."""

    charges: Charges
    authorization: Authorization
    outage: RedisOutage


def access(
    redis: Redis,
    quota: RedisQuota,
    fallback: PostgresQuota,
    cache: AccountCache,
    accounts: Accounts,
    authenticator: Authenticator,
    metrics: AccessMetrics,
    *,
    timeout_s: float,
) -> Access:
    """Wire the room; a query to Postgres times out after `timeout_s` seconds."""
    outage = RedisOutage(redis, cache, metrics, timeout_s=timeout_s)
    refunds = Refunds(quota, fallback, metrics)
    admission = Admission(outage, quota, fallback, refunds, metrics)
    denials = Denials(AccountDirectory(outage, quota, accounts, timeout_s=timeout_s), admission)
    charges = Charges(admission, denials, refunds)
    return Access(charges, Authorization(authenticator, charges, denials), outage)
